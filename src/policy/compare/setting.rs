//! What is written otherwise and no answer to a flow shows, or shows only in its effect: trust, lines, timeouts,
//! documents, approvals. What answers show (who, whence, whither, what is asked) is not repeated here; titles and the order
//! of lists are left out, but that of endpoints, which are tried in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::clause::{Change, Effect};
use super::phrase::{day, duration};
use super::rename::{Renames, matched};
use crate::flow::{Name, Timestamp};
use crate::policy::model::{
    Declaration, Dial, Enforcement, IndividualNumber, Model, Period, RevocationLists, Rule, Side,
    System, Trust,
};

/// What is written of a thing, key by key; keys that stand on another thing's name have it as it is called in the new law.
type Written = BTreeMap<&'static str, String>;
/// A section of the law.
type Section = BTreeMap<Name, Written>;
/// The new names of old things.
type Names = BTreeMap<Name, Name>;

/// The changes.
pub(super) fn settings(old: &Model, new: &Model, renames: &Renames) -> Vec<Change> {
    let (none, date) = (Names::new(), |model: &Model| Dates(model.timezone.offset));
    let (was, is) = (date(old), date(new));
    let mut found = keys("the interconnection record", &record(old), &record(new));
    let mut compare = |kind: &str, before: Section, after: Section, known: Option<&Names>| {
        let twins = matched(&before, &after, |a, b| a == b);
        let names = known.unwrap_or(&twins).clone();
        found.extend(section(kind, &taken(before, &names), &after));
        names
    };
    let papers = compare("document", documents(old, was), documents(new, is), None);
    let decisions = compare("approval", approvals(old, was), approvals(new, is), None);
    let places = compare("site", sites(old, &papers), sites(new, &none), None);
    let authorities = compare("trust", trust(old), trust(new), None);
    let before = Ground { approvals: &decisions, sites: &places, trust: &authorities };
    let after = Ground { approvals: &none, sites: &none, trust: &none };
    let systems =
        |model: &Model, ground: &Ground<'_>| each(&model.systems, |it| system(it, ground));
    let rules = |model: &Model, ground: &Ground<'_>| each(&model.rules, |it| rule(it, ground));
    compare("system", systems(old, &before), systems(new, &after), Some(&renames.systems));
    compare("rule", rules(old, &before), rules(new, &after), Some(&renames.rules));
    let prepared = |model: &Model, ground: &Ground<'_>, rules: &Names| {
        each(&model.declarations, |it| declaration(it, ground, rules))
    };
    let declarations = (prepared(old, &before, &renames.rules), prepared(new, &after, &none));
    compare("declaration", declarations.0, declarations.1, None);
    found.extend(keys("the geography", &geography(old, was), &geography(new, is)));
    found
}

/// A section under its new names.
fn taken(section: Section, names: &Names) -> Section {
    section
        .into_iter()
        .map(|(name, written)| (names.get(&name).cloned().unwrap_or(name), written))
        .collect()
}

fn section(kind: &str, before: &Section, after: &Section) -> Vec<Change> {
    let all: BTreeSet<&Name> = before.keys().chain(after.keys()).collect();
    let changed = |name: &Name| {
        let subject = format!("{kind} `{name}`");
        let say = |text: &str| {
            vec![Change {
                subject: subject.clone(),
                text: text.to_owned(),
                effect: Effect::Neither,
            }]
        };
        match (before.get(name), after.get(name)) {
            (None, Some(_)) => say("is new"),
            (Some(_), None) => say("is gone"),
            (Some(before), Some(after)) => keys(&subject, before, after),
            (None, None) => Vec::new(),
        }
    };
    all.into_iter().flat_map(changed).collect()
}

fn keys(subject: &str, before: &Written, after: &Written) -> Vec<Change> {
    let all: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let changed = |key: &str| {
        let (was, is) = (before.get(key), after.get(key));
        let text = match (was, is) {
            (Some(was), Some(is)) if was != is => format!("`{key}` was {was}, is {is}"),
            (None, Some(is)) => format!("`{key}` is {is}, was not there"),
            (Some(was), None) => format!("`{key}` was {was}, is not there"),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        Some(Change { subject: subject.to_owned(), text, effect: Effect::Neither })
    };
    all.into_iter().filter_map(changed).collect()
}

fn each<T>(things: &BTreeMap<Name, T>, written: impl Fn(&T) -> Written) -> Section {
    things.iter().map(|(name, thing)| (name.clone(), written(thing))).collect()
}

fn written(keys: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Written {
    keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// Dates in a law's own time zone.
#[derive(Clone, Copy)]
struct Dates(i32);

impl Dates {
    fn keys(self, period: Period) -> [(&'static str, Option<String>); 2] {
        let shown = |at| day(at, self.0);
        // A law says the last day, and means its end.
        let last = |at: Timestamp| {
            let before = day(Timestamp::from_seconds(at.as_seconds().saturating_sub(1)), self.0);
            let whole = before.ends_with("23:59:59");
            if whole { before.chars().take(10).collect() } else { day(at, self.0) }
        };
        [("since", period.since.map(shown)), ("until", period.until.map(last))]
    }
}

fn record(model: &Model) -> Written {
    let it = &model.interconnection;
    let list = |texts: &[String]| Some(texts.join(", "));
    written([
        ("business_number", it.business_number.clone()),
        ("section", Some(it.section.clone())),
        ("name", Some(it.name.clone())),
        ("purpose", Some(it.purpose.clone())),
        ("counterparties", list(&it.counterparties)),
        ("categories", list(&it.categories)),
        ("timezone", Some(format!("{} s east of UTC", model.timezone.offset))),
    ])
}

fn documents(model: &Model, dates: Dates) -> Section {
    each(&model.documents, |it| {
        let [_, until] = dates.keys(Period { since: None, until: it.until });
        written([
            ("clause", Some(it.clause.clone())),
            ("reference", Some(it.reference.clone())),
            until,
        ])
    })
}

fn approvals(model: &Model, dates: Dates) -> Section {
    each(&model.approvals, |it| {
        let own = [
            ("consultation", Some(it.consultation.clone())),
            ("opinion", it.opinion.clone()),
            ("amends", it.amends.as_ref().map(ToString::to_string)),
        ];
        written(own.into_iter().chain(dates.keys(it.period)))
    })
}

fn sites(model: &Model, documents: &Names) -> Section {
    each(&model.sites, |it| {
        let dial = match it.dial {
            Dial::Always => "always",
            Dial::Declared => "declared",
            Dial::Never => "never",
        };
        written([
            ("country", Some(it.country.clone())),
            ("dial", Some(dial.to_owned())),
            ("evidence", Some(called(documents, &it.evidence))),
            ("round_trip_max", it.round_trip_max.map(duration)),
        ])
    })
}

fn trust(model: &Model) -> Section {
    let shown = |path: &Path| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    each(&model.trust, |it: &Trust| {
        let revocation = match &it.revocation {
            RevocationLists::Lists(lists) => {
                lists.iter().map(|it| shown(it)).collect::<Vec<_>>().join(", ")
            }
            RevocationLists::NotKept(why) => format!("none: {why}"),
        };
        written([("roots", Some(shown(&it.roots))), ("revocation", Some(revocation))])
    })
}

/// What names of the old law are called now.
struct Ground<'a> {
    approvals: &'a Names,
    sites: &'a Names,
    trust: &'a Names,
}

fn called(names: &Names, name: &Name) -> String {
    names.get(name).unwrap_or(name).to_string()
}

fn declaration(declaration: &Declaration, ground: &Ground<'_>, rules: &Names) -> Written {
    let names = declaration.rules.iter().map(|rule| called(rules, rule));
    written([
        ("site", Some(called(ground.sites, &declaration.site))),
        ("rules", Some(names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", "))),
        ("at_most", Some(duration(declaration.at_most))),
        ("approval", Some(called(ground.approvals, &declaration.approval))),
    ])
}

fn geography(model: &Model, dates: Dates) -> Written {
    let until = model.geography.as_ref().map(|it| day(it.until, dates.0));
    written([("until", until)])
}

fn system(system: &System, ground: &Ground<'_>) -> Written {
    let side = match system.side {
        Side::Union => "union",
        Side::Center => "center",
    };
    let upstream = system.upstream.as_ref();
    let endpoint = |it: &crate::policy::model::Endpoint| {
        format!(
            "{} at {} by {}",
            it.address,
            called(ground.sites, &it.site),
            called(ground.approvals, &it.approval)
        )
    };
    written([
        ("side", Some(side.to_owned())),
        ("owner", system.owner.clone()),
        ("line", upstream.map(|it| it.line.to_string())),
        ("trust", upstream.map(|it| called(ground.trust, &it.trust))),
        ("certificate", upstream.map(|it| it.certificate.to_string())),
        ("connections", upstream.and_then(|it| it.connections).map(|it| it.to_string())),
        (
            "endpoints",
            upstream.map(|it| it.endpoints.iter().map(endpoint).collect::<Vec<_>>().join(", ")),
        ),
    ])
}

fn rule(rule: &Rule, ground: &Ground<'_>) -> Written {
    let individual_number = match rule.individual_number {
        IndividualNumber::Permitted => "permitted",
        IndividualNumber::Forbidden => "forbidden",
        IndividualNumber::Unseen => "unseen",
    };
    let enforcement = match rule.enforcement {
        Enforcement::Enforce => "enforce",
        Enforcement::Observe => "observe",
    };
    written([
        ("approval", Some(called(ground.approvals, &rule.approval))),
        ("individual_number", Some(individual_number.to_owned())),
        ("idle_timeout", rule.idle_timeout.map(duration)),
        ("response_timeout", rule.response_timeout.map(duration)),
        ("enforcement", Some(enforcement.to_owned())),
    ])
}
