//! The rules, and that those which meet on a connection speak one protocol.

use std::collections::{BTreeMap, BTreeSet};

use super::{Table, each_once, period};
use crate::flow::Name;
use crate::policy::document::{DeclarationText, HttpText, RuleText};
use crate::policy::model::{
    Approval, Declaration, Enforcement, Http, IndividualNumber, Protocol, Rule, Site, System, Zone,
};
use crate::yaml::{At, Fault, Faults, Mapped, Place};

/// What rules rest on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) zone: Zone,
    pub(super) approvals: &'a Table<Approval>,
    pub(super) systems: &'a Table<System>,
    /// The systems that have an upstream in the files, also a wrong one.
    pub(super) reachable: &'a BTreeSet<Name>,
}

pub(super) fn rule(
    text: RuleText,
    name: &At<Name>,
    ground: &Ground<'_>,
    faults: &mut Faults,
) -> Option<Rule> {
    check_http(&text, faults);
    check_upgrade(&text, faults);
    check_sight(&text, faults);
    let approval = text.approval.and_then(|at| ground.approvals.find(&at, faults));
    let period = period(text.since, text.until, ground.zone, faults);
    let from = text.from.map(|list| sources(list, ground, faults));
    let to = text.to.and_then(|at| destination(&at, ground, faults));
    let http = text.http.and_then(|text| http(text, faults));
    Some(Rule {
        title: text.title.map(|at| at.value),
        approval: approval?,
        period,
        listener: text.listener.map(|at| at.value),
        from: from.filter(|from| !from.is_empty())?,
        to: to?,
        protocol: text.protocol?.value,
        http,
        individual_number: text.individual_number?.value,
        idle_timeout: text.idle_timeout.map(|at| at.value),
        response_timeout: text.response_timeout.map(|at| at.value),
        enforcement: text.enforcement.map_or(Enforcement::Enforce, |at| at.value),
        upgrade: text.upgrade.is_some_and(|at| at.value),
        place: name.place.clone(),
    })
}

fn sources(list: Vec<At<Name>>, ground: &Ground<'_>, faults: &mut Faults) -> BTreeSet<Name> {
    each_once(list, faults).iter().filter_map(|at| ground.systems.find(at, faults)).collect()
}

/// A rule leads to a system that can be reached.
fn destination(at: &At<Name>, ground: &Ground<'_>, faults: &mut Faults) -> Option<Name> {
    let name = ground.systems.find(at, faults)?;
    let system = ground.systems.known.get(&name)?;
    if system.upstream.is_some() {
        return Some(name);
    }
    // One that is written but wrong has been reported.
    if !ground.reachable.contains(&name) {
        let message = format!("system `{name}` has no `upstream`, so that no rule can lead to it");
        faults.push(
            Fault::error("no_upstream", &at.place, message).and(&system.place, "declared here"),
        );
    }
    None
}

/// `http` says what may be asked; without HTTP there is nothing to ask.
fn check_http(text: &RuleText, faults: &mut Faults) {
    let Some(protocol) = &text.protocol else { return };
    match protocol.value {
        Protocol::Https if text.lacks("http") => {
            let fault = Fault::error(
                "missing_key",
                text.place(),
                "key `http` is missing; protocol `https` needs it",
            );
            faults.push(fault.remedy("write `http: { methods: [GET], paths: [\"/…\"] }`"));
        }
        Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp if !text.lacks("http") => {
            let place = text.http.as_ref().map_or_else(|| text.place(), |http| http.place());
            let fault = Fault::error(
                "unknown_key",
                place,
                format!(
                    "protocol `{}` has no `http`: nobody reads what is inside",
                    protocol.value.as_str()
                ),
            );
            faults.push(fault.and(&protocol.place, "the protocol"));
        }
        Protocol::Https | Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp => {}
    }
}

/// Only a request can ask for another protocol, and what comes after it is read by nobody.
fn check_upgrade(text: &RuleText, faults: &mut Faults) {
    let Some(upgrade) = text.upgrade.as_ref().filter(|at| at.value) else { return };
    let fault = |message| Fault::error("contradiction", &upgrade.place, message);
    if let Some(protocol) = text.protocol.as_ref().filter(|at| at.value != Protocol::Https) {
        let fault = fault("only a request can ask for another protocol: `upgrade` needs `https`");
        faults.push(fault.and(&protocol.place, "the protocol").remedy("leave `upgrade` out"));
    }
    let forbidden = |at: &&At<IndividualNumber>| at.value == IndividualNumber::Forbidden;
    if let Some(number) = text.individual_number.as_ref().filter(forbidden) {
        let fault = fault("what comes after a switch of protocols is read by nobody");
        faults.push(fault.and(&number.place, "must be read").remedy("leave `upgrade` out"));
    }
}

/// Where nobody can read what is inside, the only honest word is `unseen`.
fn check_sight(text: &RuleText, faults: &mut Faults) {
    let (Some(protocol), Some(number)) = (&text.protocol, &text.individual_number) else { return };
    if protocol.value.is_opaque() && number.value != IndividualNumber::Unseen {
        let message = format!(
            "nobody here can read inside `{}`, so that nothing can be said of individual numbers",
            protocol.value.as_str()
        );
        let fault = Fault::error("contradiction", &number.place, message);
        faults.push(fault.and(&protocol.place, "the protocol").remedy("write `unseen`"));
    }
}

/// A prepared exception names a site and rules that are there.
pub(super) fn declaration(
    text: DeclarationText,
    name: &At<Name>,
    (approvals, sites, rules): (&Table<Approval>, &Table<Site>, &Table<Rule>),
    faults: &mut Faults,
) -> Option<Declaration> {
    let approval = text.approval.and_then(|at| approvals.find(&at, faults));
    let site = text.site.and_then(|at| sites.find(&at, faults));
    let named = each_once(text.rules?, faults);
    let rules: BTreeSet<Name> = named.iter().filter_map(|at| rules.find(at, faults)).collect();
    Some(Declaration {
        title: text.title.map(|at| at.value),
        site: site?,
        rules: Some(rules).filter(|rules| !rules.is_empty())?,
        at_most: text.at_most?.value,
        approval: approval?,
        place: name.place.clone(),
    })
}

fn http(text: HttpText, faults: &mut Faults) -> Option<Http> {
    let methods = each_once(text.methods?, faults).into_iter().map(|at| at.value).collect();
    let paths = text.paths?.into_iter().map(|at| at.value).collect();
    Some(Http { methods, paths })
}

/// The rules of one source and destination: by protocol, the listeners they hold on and where they are written.
type Meeting<'a> = BTreeMap<Protocol, BTreeMap<Option<&'a Name>, &'a Place>>;

/// ALPN is answered before the client is known, so that the rules that could fit must agree on it.
pub(super) fn check_protocols(rules: &BTreeMap<Name, Rule>, faults: &mut Faults) {
    let mut meetings: BTreeMap<(&Name, &Name), Meeting<'_>> = BTreeMap::new();
    for rule in rules.values() {
        for from in &rule.from {
            let meeting = meetings.entry((from, &rule.to)).or_default();
            let places = meeting.entry(rule.protocol).or_default();
            places.entry(rule.listener.as_ref()).or_insert(&rule.place);
        }
    }
    for ((from, to), meeting) in &meetings {
        faults.0.extend(conflict(from, to, meeting));
    }
}

fn conflict(from: &Name, to: &Name, meeting: &Meeting<'_>) -> Option<Fault> {
    let meets = |a: Option<&Name>, b: Option<&Name>| a.is_none() || b.is_none() || a == b;
    let flat = || {
        meeting.iter().flat_map(|(protocol, places)| places.iter().map(move |it| (*protocol, it)))
    };
    let mut pairs = flat().flat_map(|one| flat().map(move |other| (one, other)));
    let ((first, (_, here)), (second, (_, there))) =
        pairs.find(|((first, (a, _)), (second, (b, _)))| first < second && meets(**a, **b))?;
    let (first, second) = (first.as_str(), second.as_str());
    let message =
        format!("from `{from}` to `{to}` one rule speaks `{first}` and another `{second}`");
    let fault = Fault::error("protocol_conflict", there, message)
        .label(format!("speaks `{second}`"))
        .and(here, format!("speaks `{first}`"));
    Some(fault.remedy(
        "give them different listeners or one protocol: it is agreed on before the client is known",
    ))
}

#[cfg(test)]
mod tests {
    use super::check_protocols;
    use crate::policy::imagined::{name, rule};
    use crate::policy::model::{Protocol, Rule};
    use crate::yaml::Faults;

    /// What is told of a rule with this protocol and listener and one that speaks `tls` on that listener.
    fn told(protocol: Protocol, here: Option<&str>, there: Option<&str>) -> String {
        let with = |protocol, listener: Option<&str>| Rule {
            listener: listener.map(name),
            ..rule(&["existing-system"], "intermediate-server", protocol, None)
        };
        let rules =
            [(name("one"), with(protocol, here)), (name("other"), with(Protocol::Tls, there))];
        let mut faults = Faults::default();
        check_protocols(&rules.into(), &mut faults);
        faults.0.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn two_rules_meet_where_a_listener_can_be_that_of_both() {
        let due = "from `existing-system` to `intermediate-server` one rule speaks `https` and another `tls`";
        for (here, there) in [
            (None, None),
            (Some("union-lan"), None),
            (None, Some("union-lan")),
            (Some("union-lan"), Some("union-lan")),
        ] {
            assert_eq!(told(Protocol::Https, here, there), due, "{here:?} {there:?}");
        }
        assert_eq!(told(Protocol::Https, Some("union-lan"), Some("other-lan")), "");
        assert_eq!(told(Protocol::Tls, None, None), "");
    }
}
