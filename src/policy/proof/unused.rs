//! What the law has and does not use, and what it lacks: guardrails and scenarios.

use std::collections::BTreeSet;

use super::warning;
use crate::appliance::Appliance;
use crate::flow::Name;
use crate::policy::model::{Expectation, Model, System, Upstream};
use crate::yaml::{Fault, Place};

/// Systems, sites, approvals and, with a box, trusts that nothing names. Documents are a register: they stand for
/// themselves.
pub(super) fn unused(model: &Model, appliance: Option<&Appliance>) -> Vec<Fault> {
    let systems = model.systems.iter().map(|(name, it)| ("system", name, &it.place));
    let sites = model.sites.iter().map(|(name, it)| ("site", name, &it.place));
    let approvals = model.approvals.iter().map(|(name, it)| ("approval", name, &it.place));
    let trusts = model.trust.iter().map(|(name, it)| ("trust", name, &it.place));
    let (used_systems, used_sites) = (systems_used(model), sites_used(model));
    let used_approvals = approvals_used(model);
    let mut found: Vec<_> = systems.filter(|(_, name, _)| !used_systems.contains(name)).collect();
    found.extend(sites.filter(|(_, name, _)| !used_sites.contains(name)));
    found.extend(approvals.filter(|(_, name, _)| !used_approvals.contains(name)));
    if let Some(appliance) = appliance {
        let used = trusts_used(model, appliance);
        found.extend(trusts.filter(|(_, name, _)| !used.contains(name)));
    }
    found.into_iter().map(|(kind, name, place)| nothing_names(kind, name, place)).collect()
}

/// Guardrails that are not written: what nobody limits.
pub(super) fn absent_guardrails(model: &Model) -> Vec<Fault> {
    let guardrails = &model.guardrails;
    let table = [
        ("destinations", guardrails.destinations.is_some(), "a rule may lead to any system"),
        ("reverse_access", guardrails.reverse_access.is_some(), "a rule may be for any system"),
        ("residency", guardrails.residency.is_some(), "an endpoint may stand in any country"),
        ("content", guardrails.content.is_some(), "individual numbers may go to any destination"),
        ("encryption", guardrails.encryption.is_some(), "only the default holds, TLS 1.3"),
    ];
    let fault = |(name, _, meaning): (&str, bool, &str)| {
        let message = format!("there is no guardrail `{name}`: {meaning}");
        warning("absent_guardrail", message, &model.interconnection.place)
    };
    table.into_iter().filter(|(_, written, _)| !written).map(fault).collect()
}

/// Rules that no scenario expects to allow anything.
pub(super) fn untested_rules(model: &Model) -> Vec<Fault> {
    let allowed: BTreeSet<&Name> = model
        .scenarios
        .iter()
        .filter_map(|scenario| match &scenario.expect {
            Expectation::Allow(rule) => Some(rule),
            Expectation::Deny(_) | Expectation::WouldDeny(_) => None,
        })
        .collect();
    let untested = model.rules.iter().filter(|(name, _)| !allowed.contains(name));
    let fault = |(name, place): (&Name, &Place)| {
        let message = format!("no scenario shows what rule `{name}` allows");
        let remedy = Some(format!("write a scenario with `expect: {{ allow: {name} }}`"));
        Fault { remedy, ..warning("rule_without_scenario", message, place) }
    };
    untested.map(|(name, rule)| fault((name, &rule.place))).collect()
}

fn nothing_names(kind: &str, name: &Name, place: &Place) -> Fault {
    warning("unused", format!("nothing names {kind} `{name}`"), place)
}

fn upstreams(model: &Model) -> impl Iterator<Item = &Upstream> {
    model.systems.values().filter_map(|system: &System| system.upstream.as_ref())
}

fn systems_used(model: &Model) -> BTreeSet<&Name> {
    let guardrails = &model.guardrails;
    let lists = [&guardrails.destinations, &guardrails.reverse_access, &guardrails.content];
    let guarded = lists.into_iter().flatten().flat_map(|guardrail| &guardrail.what);
    let ruled = model.rules.values().flat_map(|rule| rule.from.iter().chain([&rule.to]));
    ruled.chain(guarded).collect()
}

fn sites_used(model: &Model) -> BTreeSet<&Name> {
    upstreams(model).flat_map(|upstream| &upstream.endpoints).map(|it| &it.site).collect()
}

fn approvals_used(model: &Model) -> BTreeSet<&Name> {
    let endpoints = upstreams(model).flat_map(|upstream| &upstream.endpoints);
    let rules = model.rules.values().map(|rule| &rule.approval);
    let amended = model.approvals.values().filter_map(|approval| approval.amends.as_ref());
    let declared = model.declarations.values().map(|declaration| &declaration.approval);
    let endpoints = endpoints.map(|endpoint| &endpoint.approval);
    rules.chain(endpoints).chain(amended).chain(declared).collect()
}

fn trusts_used<'a>(model: &'a Model, appliance: &'a Appliance) -> BTreeSet<&'a Name> {
    let clients = appliance.listeners.values().filter_map(|listener| listener.mode.clients());
    upstreams(model).map(|upstream| &upstream.trust).chain(clients).collect()
}
