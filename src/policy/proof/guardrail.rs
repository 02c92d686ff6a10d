//! What the guardrails say of rules, endpoints and owners. Who may never initiate has a file of its own.

use super::{against, beside, error, example};
use crate::flow::Name;
use crate::policy::address;
use crate::policy::compile::{is_closed, residency as refusal};
use crate::policy::model::{
    Declaration, Dial, Endpoint, IndividualNumber, Model, Rule, Side, Site, System,
};
use crate::verdict::Reason;
use crate::yaml::{Fault, folded};

/// Every rule leads to a listed destination.
pub(super) fn destinations(model: &Model) -> Vec<Fault> {
    let Some(guardrail) = &model.guardrails.destinations else { return Vec::new() };
    let beyond = model.rules.iter().filter(|(_, rule)| !guardrail.what.contains(&rule.to));
    let fault = |(name, rule): (&Name, &Rule)| {
        let message =
            format!("rule `{name}` leads to `{}`, which is no listed destination", rule.to);
        let fault = error("destination_not_listed", message, &rule.place, "leads elsewhere");
        Fault {
            notes: vec![example(model, rule)],
            remedy: Some(format!("lead it to one of {}", listed(&guardrail.what))),
            ..against(fault, guardrail)
        }
    };
    beyond.map(fault).collect()
}

/// Every endpoint, and so every step of a failover, lies in a permitted country.
pub(super) fn residency(model: &Model) -> Vec<Fault> {
    let upstreams =
        model.systems.iter().filter_map(|(name, system)| Some((name, system.upstream.as_ref()?)));
    let endpoints = upstreams.flat_map(|(name, up)| up.endpoints.iter().map(move |it| (name, it)));
    endpoints.filter_map(|(name, it)| outside(model, name, it)).collect()
}

fn outside(model: &Model, system: &Name, endpoint: &Endpoint) -> Option<Fault> {
    let guardrail = model.guardrails.residency.as_ref()?;
    let reason = refusal(model, endpoint)?;
    let site = model.sites.get(&endpoint.site)?;
    let address = endpoint.address;
    let country = &site.country;
    let only = || format!("only {} is permitted: take the endpoint out", listed(&guardrail.what));
    let (message, remedy) = if !guardrail.what.contains(country) {
        (format!("endpoint `{address}` of `{system}` stands in `{country}`"), only())
    } else if let Some(elsewhere) = registered(model, endpoint) {
        let registry = format!("is registered in `{elsewhere}`, whatever its site says");
        (format!("endpoint `{address}` of `{system}` {registry}"), only())
    } else {
        (
            format!("the country of endpoint `{address}` of `{system}` cannot be told"),
            "a public address counts by `geography`: name a file that knows it, or use one of a closed network"
                .to_owned(),
        )
    };
    let fault = error(reason.code(), message, &endpoint.place, "would be dialled");
    let fault = beside(fault, &site.place, &format!("site `{}` is in `{country}`", endpoint.site));
    let leading = model.rules.values().find(|rule| rule.to == *system);
    let flow = leading.map_or_else(
        || format!("example: any source → {system} at {address}"),
        |rule| format!("{} at {address}", example(model, rule)),
    );
    Some(Fault { notes: vec![flow], remedy: Some(remedy), ..against(fault, guardrail) })
}

/// The country of a public address by `geography`.
fn registered<'a>(model: &'a Model, endpoint: &Endpoint) -> Option<&'a String> {
    model.geography.as_ref()?.countries.get(&address::canonical(endpoint.address.ip()))
}

/// Toward where no individual number may go, rules say `forbidden`.
pub(super) fn content(model: &Model) -> Vec<Fault> {
    let Some(guardrail) = &model.guardrails.content else { return Vec::new() };
    let toward = |rule: &Rule| {
        guardrail.what.contains(&rule.to) && rule.individual_number != IndividualNumber::Forbidden
    };
    let fault = |(name, rule): (&Name, &Rule)| {
        let message = format!(
            "rule `{name}` leads to `{}`, toward which no individual number may go, and does not say `forbidden`",
            rule.to
        );
        let fault = error("individual_number", message, &rule.place, "may carry one");
        Fault {
            notes: vec![format!("{} with an individual number in its body", example(model, rule))],
            remedy: Some("write `individual_number: forbidden`".to_owned()),
            ..against(fault, guardrail)
        }
    };
    model.rules.iter().filter(|(_, rule)| toward(rule)).map(fault).collect()
}

/// Both legs of every rule are encrypted as the guardrail says.
pub(super) fn encryption(model: &Model) -> Vec<Fault> {
    let Some(guardrail) = &model.guardrails.encryption else { return Vec::new() };
    let closed = model.rules.iter().filter(|(_, rule)| is_closed(model, rule.protocol));
    let fault = |(name, rule): (&Name, &Rule)| {
        let protocol = rule.protocol.as_str();
        let message = format!("rule `{name}` speaks `{protocol}`, which `encryption` refuses");
        let fault = error("encryption", message, &rule.place, "is not encrypted by this box");
        Fault {
            notes: vec![format!("{} in `{protocol}`", example(model, rule))],
            remedy: Some("let the rule speak `https` or `tls`".to_owned()),
            ..against(fault, guardrail)
        }
    };
    closed.map(fault).collect()
}

/// A declaration opens a site that waits for one, in a permitted country.
pub(super) fn declarations(model: &Model) -> Vec<Fault> {
    let sites = model
        .declarations
        .iter()
        .filter_map(|(name, it)| Some((name, it, model.sites.get(&it.site)?)));
    sites
        .flat_map(|(name, declaration, site)| declaration_faults(model, (name, declaration), site))
        .collect()
}

fn declaration_faults(
    model: &Model,
    (name, declaration): (&Name, &Declaration),
    site: &Site,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let flow = format!("example: any source → `{}` while `{name}` is open", declaration.site);
    if site.dial != Dial::Declared {
        let message =
            format!("declaration `{name}` names site `{}`, which waits for none", declaration.site);
        let fault = error("declaration_site", message, &declaration.place, "would open it");
        faults.push(Fault {
            notes: vec![flow.clone()],
            remedy: Some(
                "write `dial: declared` for the site, or leave the declaration out".to_owned(),
            ),
            ..beside(fault, &site.place, "the site")
        });
    }
    let abroad = model.guardrails.residency.as_ref().filter(|it| !it.what.contains(&site.country));
    if let Some(guardrail) = abroad {
        let message =
            format!("declaration `{name}` opens site `{}` in `{}`", declaration.site, site.country);
        let fault =
            error(Reason::OutsideCountry.code(), message, &declaration.place, "would open it");
        faults.push(Fault {
            notes: vec![flow],
            remedy: Some(format!(
                "only {} is permitted: leave the declaration out",
                listed(&guardrail.what)
            )),
            ..against(fault, guardrail)
        });
    }
    faults
}

/// No request switches protocols toward a system that may never initiate: after a switch either side may speak first.
pub(super) fn switches(model: &Model) -> Vec<Fault> {
    let Some(guardrail) = &model.guardrails.reverse_access else { return Vec::new() };
    let toward = |rule: &Rule| rule.upgrade && guardrail.what.contains(&rule.to);
    let fault = |(name, rule): (&Name, &Rule)| {
        let message = format!(
            "rule `{name}` permits a switch of protocols toward `{}`, which may never initiate",
            rule.to
        );
        let fault = error("reverse_access", message, &rule.place, "either side may then speak");
        Fault {
            notes: vec![format!("{} with `Upgrade`", example(model, rule))],
            remedy: Some("take `upgrade` out of the rule".to_owned()),
            ..against(fault, guardrail)
        }
    };
    model.rules.iter().filter(|(_, rule)| toward(rule)).map(fault).collect()
}

/// Whoever answers for a system of the centre is a counterparty of the interconnection record.
pub(super) fn counterparties(model: &Model) -> Vec<Fault> {
    let record = &model.interconnection;
    let known: Vec<String> = record.counterparties.iter().map(|it| folded(it)).collect();
    let stranger = |system: &System| {
        let owner = system.owner.clone().filter(|_| system.side == Side::Center)?;
        (!known.contains(&folded(&owner))).then_some(owner)
    };
    let fault = |(name, system): (&Name, &System)| {
        let owner = stranger(system)?;
        let message = format!("`{owner}`, the owner of `{name}`, is none of the counterparties");
        let fault = error("counterparty", message, &system.place, "has another owner");
        Some(Fault {
            notes: vec![format!("example: any source → {name}")],
            remedy: Some(format!("the record names {}", listed(&record.counterparties))),
            ..beside(fault, &record.place, "結合の相手方")
        })
    };
    model.systems.iter().filter_map(fault).collect()
}

fn listed<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}
