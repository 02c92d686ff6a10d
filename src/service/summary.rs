//! What a reload changes, in words for the ledger: which rules, systems, approvals, guardrails, certificates and lists.
//! What becomes allowed or refused by it is another question, which `diff` answers.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::flow::Name;
use crate::policy::Masked;
use crate::policy::model::{
    Approval, Document, Endpoint, Guardrail, Http, Interconnection, Model, Rule, Site, System,
    Trust, Upstream,
};
use crate::source::Loaded;

/// So many are listed; then one line says how many more there are.
const LISTED_MAX: usize = 64;

/// The parts of one thing, each with what it says.
type Parts = Vec<(&'static str, String)>;

/// One line for each thing that was added, removed or changed; empty where nothing was.
pub(super) fn changes(old: &Loaded, new: &Loaded) -> Vec<Masked> {
    let (was, is) = (old.law.engine.model(), new.law.engine.model());
    let mut lines = law(was, is);
    lines.extend(compared("trust", &lists(old), &lists(new)));
    lines.extend(compared("certificate", &credentials(old), &credentials(new)));
    if box_file(old) != box_file(new) {
        lines.push("box file: changed".to_owned());
    }
    bounded(lines)
}

fn box_file(loaded: &Loaded) -> Option<&[u8]> {
    loaded.files.first().map(|file| &*file.bytes)
}

fn bounded(mut lines: Vec<String>) -> Vec<Masked> {
    let more = lines.len().saturating_sub(LISTED_MAX);
    lines.truncate(LISTED_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.iter().map(|line| Masked::text(line)).collect()
}

fn law(was: &Model, is: &Model) -> Vec<String> {
    let both = |of: fn(&Model) -> BTreeMap<String, Parts>| (of(was), of(is));
    let kinds = [
        ("interconnection", both(|model| one("record", interconnection(&model.interconnection)))),
        ("guardrail", both(guardrails)),
        ("document", both(|model| each(&model.documents, document))),
        ("approval", both(|model| each(&model.approvals, approval))),
        ("site", both(|model| each(&model.sites, site))),
        ("trust", both(|model| each(&model.trust, trust))),
        ("system", both(|model| each(&model.systems, system))),
        ("rule", both(|model| each(&model.rules, rule))),
    ];
    kinds.iter().flat_map(|(kind, (was, is))| compared(kind, was, is)).collect()
}

/// `rule x: added`, `rule x: removed`, `rule x: methods, paths`.
fn compared(
    kind: &str,
    was: &BTreeMap<String, Parts>,
    is: &BTreeMap<String, Parts>,
) -> Vec<String> {
    let removed = was.keys().filter(|name| !is.contains_key(*name));
    let mut lines: Vec<_> = removed.map(|name| format!("{kind} `{name}`: removed")).collect();
    for (name, parts) in is {
        match was.get(name).map(|before| differing(before, parts)) {
            None => lines.push(format!("{kind} `{name}`: added")),
            Some(words) if !words.is_empty() => {
                lines.push(format!("{kind} `{name}`: {}", words.join(", ")));
            }
            Some(_) => (),
        }
    }
    lines
}

fn differing(before: &Parts, after: &Parts) -> Vec<&'static str> {
    let said = |parts: &Parts, word: &str| {
        parts.iter().find(|(own, _)| *own == word).map(|(_, what)| what.clone())
    };
    let mut words: Vec<_> = before.iter().chain(after).map(|(word, _)| *word).collect();
    words.sort_unstable();
    words.dedup();
    words.retain(|word| said(before, word) != said(after, word));
    words
}

fn each<T>(of: &BTreeMap<Name, T>, parts: fn(&T) -> Parts) -> BTreeMap<String, Parts> {
    of.iter().map(|(name, one)| (name.to_string(), parts(one))).collect()
}

fn one(name: &str, parts: Parts) -> BTreeMap<String, Parts> {
    BTreeMap::from([(name.to_owned(), parts)])
}

fn part(word: &'static str, what: impl Debug) -> (&'static str, String) {
    (word, format!("{what:?}"))
}

fn interconnection(record: &Interconnection) -> Parts {
    let Interconnection {
        business_number,
        section,
        name,
        purpose,
        counterparties,
        categories,
        connection_date,
        place: _,
    } = record;
    vec![
        part("business_number", business_number),
        part("section", section),
        part("name", name),
        part("purpose", purpose),
        part("counterparties", counterparties),
        part("categories", categories),
        part("connection_date", connection_date),
    ]
}

fn guardrails(model: &Model) -> BTreeMap<String, Parts> {
    fn put<T: Debug>(
        all: &mut BTreeMap<String, Parts>,
        name: &str,
        guardrail: Option<&Guardrail<T>>,
    ) {
        if let Some(Guardrail { what, clause, place: _ }) = guardrail {
            all.insert(name.to_owned(), vec![part("content", what), part("clause", clause)]);
        }
    }
    let guardrails = &model.guardrails;
    let mut all = BTreeMap::new();
    put(&mut all, "destinations", guardrails.destinations.as_ref());
    put(&mut all, "reverse_access", guardrails.reverse_access.as_ref());
    put(&mut all, "residency", guardrails.residency.as_ref());
    put(&mut all, "content", guardrails.content.as_ref());
    put(&mut all, "encryption", guardrails.encryption.as_ref());
    all
}

fn document(document: &Document) -> Parts {
    let Document { title, clause, reference, until, place: _ } = document;
    vec![
        part("title", title),
        part("clause", clause),
        part("reference", reference),
        part("until", until),
    ]
}

fn approval(approval: &Approval) -> Parts {
    let Approval { consultation, opinion, amends, period, place: _ } = approval;
    vec![
        part("consultation", consultation),
        part("opinion", opinion),
        part("amends", amends),
        part("dates", period),
    ]
}

fn site(site: &Site) -> Parts {
    let Site { title, country, dial, evidence, round_trip_max, place: _ } = site;
    vec![
        part("title", title),
        part("country", country),
        part("dial", dial),
        part("evidence", evidence),
        part("round_trip_max", round_trip_max),
    ]
}

fn trust(trust: &Trust) -> Parts {
    let Trust { roots, revocation, place: _ } = trust;
    vec![part("roots", roots), part("revocation", revocation)]
}

fn system(system: &System) -> Parts {
    let System { title, side, owner, addresses, identities, upstream: reached, place: _ } = system;
    let mut parts = vec![
        part("title", title),
        part("side", side),
        part("owner", owner),
        part("addresses", addresses),
        part("identities", identities),
    ];
    parts.extend(reached.iter().flat_map(upstream));
    parts
}

fn upstream(upstream: &Upstream) -> Parts {
    let Upstream {
        server_name,
        line,
        trust,
        certificate,
        connections,
        endpoints,
        line_place: _,
        certificate_place: _,
    } = upstream;
    let endpoint = |endpoint: &Endpoint| {
        let Endpoint { address, site, approval, period, place: _ } = endpoint;
        format!("{address} {site} {approval} {period:?}")
    };
    vec![
        part("server_name", server_name),
        part("line", line),
        part("trust", trust),
        part("certificate", certificate),
        part("connections", connections),
        part("endpoints", endpoints.iter().map(endpoint).collect::<Vec<_>>()),
    ]
}

fn rule(rule: &Rule) -> Parts {
    let Rule {
        title,
        approval,
        period,
        listener,
        from,
        to,
        protocol,
        http,
        individual_number,
        enforcement,
        upgrade,
        idle_timeout,
        response_timeout,
        place: _,
    } = rule;
    let (methods, paths) = match http {
        Some(Http { methods, paths }) => (Some(methods), Some(paths)),
        None => (None, None),
    };
    vec![
        part("title", title),
        part("approval", approval),
        part("dates", period),
        part("listener", listener),
        part("from", from),
        part("to", to),
        part("protocol", protocol),
        part("methods", methods),
        part("paths", paths),
        part("individual_number", individual_number),
        part("enforcement", enforcement),
        part("upgrade", upgrade),
        part("idle_timeout", idle_timeout),
        part("response_timeout", response_timeout),
    ]
}

/// What lies behind a trust: the same names, other bytes.
fn lists(loaded: &Loaded) -> BTreeMap<String, Parts> {
    let stores = loaded.trust.iter();
    stores
        .map(|(name, store)| {
            let behind = (store.fingerprint(), store.next_update());
            (name.to_string(), vec![part("roots or revocation lists replaced", behind)])
        })
        .collect()
}

fn credentials(loaded: &Loaded) -> BTreeMap<String, Parts> {
    let held = loaded.certificates.iter();
    held.map(|(name, credential)| {
        (name.to_string(), vec![part("replaced", credential.fingerprint())])
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{LISTED_MAX, bounded, law};
    use crate::flow::{Name, Timestamp};
    use crate::service::testing;

    #[test]
    fn what_is_the_same_is_not_mentioned_wherever_it_is_written() {
        let was = testing::model();
        let mut is = was.clone();
        for rule in is.rules.values_mut() {
            rule.place.line += 7;
        }
        assert_eq!(law(&was, &is), [""; 0]);
    }

    #[test]
    fn each_change_is_named_with_what_it_touches() {
        let was = testing::model();
        let mut is = was.clone();
        let register = Name::parse("register").unwrap();
        let rule = is.rules.get_mut(&register).unwrap();
        rule.period.until = Some(Timestamp::from_seconds(7));
        let http = rule.http.as_mut().unwrap();
        http.paths.clear();
        let more = rule.clone();
        is.rules.insert(Name::parse("results").unwrap(), more);
        let site = is.sites.keys().next().cloned().unwrap();
        is.sites.remove(&site);
        is.interconnection.connection_date = Timestamp::from_seconds(7);
        let expected = [
            "interconnection `record`: connection_date".to_owned(),
            format!("site `{site}`: removed"),
            "rule `register`: dates, paths".to_owned(),
            "rule `results`: added".to_owned(),
        ];
        assert_eq!(law(&was, &is), expected);
        assert_eq!(law(&is, &is), [""; 0]);
    }

    #[test]
    fn a_law_that_is_changed_altogether_does_not_fill_an_entry() {
        let lines: Vec<_> = (0..100).map(|n| format!("rule `r{n}`: added")).collect();
        let said = bounded(lines);
        assert_eq!(said.len(), LISTED_MAX + 1);
        assert_eq!(said[LISTED_MAX].as_str(), "and 36 more");
    }
}
