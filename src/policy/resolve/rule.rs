//! The rules, and that those which meet on a connection speak one protocol.

use std::collections::{BTreeMap, BTreeSet};

use super::{Table, each_once, period};
use crate::flow::Name;
use crate::policy::document::{HttpText, RuleText};
use crate::policy::model::{Approval, Enforcement, Http, Protocol, Rule, System, Zone};
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
        Protocol::Tls if !text.lacks("http") => {
            let place = text.http.as_ref().map_or_else(|| text.place(), |http| http.place());
            let fault = Fault::error(
                "unknown_key",
                place,
                "protocol `tls` has no `http`: nobody reads what is inside",
            );
            faults.push(fault.and(&protocol.place, "the protocol"));
        }
        Protocol::Https | Protocol::Tls => {}
    }
}

/// Only a request can ask for another protocol.
fn check_upgrade(text: &RuleText, faults: &mut Faults) {
    let (Some(protocol), Some(upgrade)) = (&text.protocol, &text.upgrade) else { return };
    if upgrade.value && protocol.value != Protocol::Https {
        let message = "only a request can ask for another protocol: `upgrade` needs `https`";
        let fault = Fault::error("contradiction", &upgrade.place, message);
        faults.push(fault.and(&protocol.place, "the protocol").remedy("leave `upgrade` out"));
    }
}

fn http(text: HttpText, faults: &mut Faults) -> Option<Http> {
    let methods = each_once(text.methods?, faults).into_iter().map(|at| at.value).collect();
    let paths = text.paths?.into_iter().map(|at| at.value).collect();
    Some(Http { methods, paths })
}

/// The rules of one listener, source and destination.
#[derive(Default)]
struct Meeting<'a> {
    https: BTreeMap<Option<&'a Name>, &'a Place>,
    tls: BTreeMap<Option<&'a Name>, &'a Place>,
}

/// ALPN is answered before the client is known, so that the rules that could fit must agree on it.
pub(super) fn check_protocols(rules: &BTreeMap<Name, Rule>, faults: &mut Faults) {
    let mut meetings: BTreeMap<(&Name, &Name), Meeting<'_>> = BTreeMap::new();
    for rule in rules.values() {
        for from in &rule.from {
            let meeting = meetings.entry((from, &rule.to)).or_default();
            let side = match rule.protocol {
                Protocol::Https => &mut meeting.https,
                Protocol::Tls => &mut meeting.tls,
            };
            side.entry(rule.listener.as_ref()).or_insert(&rule.place);
        }
    }
    for ((from, to), meeting) in &meetings {
        faults.0.extend(conflict(from, to, meeting));
    }
}

fn conflict(from: &Name, to: &Name, meeting: &Meeting<'_>) -> Option<Fault> {
    let meets = |a: Option<&Name>, b: Option<&Name>| a.is_none() || b.is_none() || a == b;
    let pairs =
        meeting.https.iter().flat_map(|https| meeting.tls.iter().map(move |tls| (https, tls)));
    let ((_, https), (_, tls)) = pairs.into_iter().find(|((a, _), (b, _))| meets(**a, **b))?;
    let message = format!("from `{from}` to `{to}` one rule speaks `https` and another `tls`");
    let fault = Fault::error("protocol_conflict", tls, message)
        .label("speaks `tls`")
        .and(https, "speaks `https`");
    Some(fault.remedy(
        "give them different listeners or one protocol: it is agreed on before the client is known",
    ))
}
