//! No rule can be reached by a system that may never initiate: neither by name, nor by address, nor by identity.

use ipnet::IpNet;

use super::{against, error};
use crate::flow::{Identity, Name};
use crate::policy::compile::prefixes;
use crate::policy::model::{Model, Rule, System};
use crate::yaml::Fault;

/// One system that a rule is for, and one that may never initiate.
#[derive(Clone, Copy)]
struct Pair<'a> {
    rule: &'a Name,
    to: &'a Name,
    source: (&'a Name, &'a System),
    closed: (&'a Name, &'a System),
}

/// Every way in which a system that may never initiate could pass.
pub(super) fn reverse_access(model: &Model) -> Vec<Fault> {
    let Some(guardrail) = &model.guardrails.reverse_access else { return Vec::new() };
    let closed = || guardrail.what.iter().filter_map(|name| model.systems.get_key_value(name));
    let mut faults = Vec::new();
    for name in &guardrail.what {
        let named = model.rules.iter().filter(|(_, rule)| rule.from.contains(name));
        faults.extend(named.map(|(rule, written)| by_name(rule, written, name)));
    }
    for source in model.systems.iter().filter(|(name, _)| !guardrail.what.contains(*name)) {
        let Some((rule, written)) = model.rules.iter().find(|(_, it)| it.from.contains(source.0))
        else {
            continue;
        };
        for closed in closed() {
            let pair = Pair { rule, to: &written.to, source, closed };
            faults.extend(by_address(pair));
            faults.extend(by_identity(pair));
        }
    }
    faults.into_iter().map(|fault| against(fault, guardrail)).collect()
}

fn by_name(rule: &Name, written: &Rule, closed: &Name) -> Fault {
    let message = format!("`{closed}` could pass by rule `{rule}`");
    let fault =
        error("reverse_access", message, &written.place, &format!("`from` names `{closed}`"));
    Fault {
        notes: vec![format!("example: {closed} → {}", written.to)],
        remedy: Some(format!("take `{closed}` out of `from`")),
        ..fault
    }
}

fn by_address(pair: Pair<'_>) -> Vec<Fault> {
    let ((source, wide), (closed, narrow)) = (pair.source, pair.closed);
    let mut faults = Vec::new();
    for net in prefixes(wide) {
        for inner in prefixes(narrow).filter(|it| net.contains(it) || it.contains(&net)) {
            let message = format!("`{closed}` could pass by rule `{}`", pair.rule);
            let label = format!("`{net}` and `{inner}` of `{closed}` overlap");
            let both = if net.contains(&inner) { inner } else { net };
            let address = both.hosts().next().unwrap_or_else(|| both.addr());
            faults.push(Fault {
                notes: vec![format!("example: {address} → {}", pair.to)],
                remedy: Some(narrowed(source, net, inner)),
                ..error("reverse_access", message, &wide.place, &label)
            });
        }
    }
    faults
}

/// The larger part of `net` that is free of `inner`, where there is one.
fn narrowed(system: &Name, net: IpNet, inner: IpNet) -> String {
    let halves = net.subnets(net.prefix_len().saturating_add(1));
    let free = halves.ok().and_then(|mut halves| halves.find(|half| !half.contains(&inner)));
    match free.filter(|_| net != inner && net.contains(&inner)) {
        Some(half) => format!("narrow `{net}` of `{system}` to {half}"),
        None => format!("take `{net}` out of `addresses` of `{system}`"),
    }
}

fn by_identity(pair: Pair<'_>) -> Vec<Fault> {
    let ((source, system), (closed, other)) = (pair.source, pair.closed);
    let shared = system.identities.iter().filter(|identity| other.identities.contains(identity));
    let fault = |identity: &Identity| Fault {
        notes: vec![format!("example: a certificate with `{identity}` → {}", pair.to)],
        remedy: Some(format!("take `{identity}` out of `identities` of `{source}`")),
        ..error(
            "reverse_access",
            format!("`{closed}` could pass by rule `{}`", pair.rule),
            &system.place,
            &format!("`{identity}` is one of `{closed}` too"),
        )
    };
    shared.map(fault).collect()
}
