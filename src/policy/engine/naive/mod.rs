//! The slower truth: the same law, read straight from the model by loops, without tables. Tests compare the engine
//! with it.

mod dial;

use std::collections::BTreeSet;

use ipnet::IpNet;

use dial::{dial, find, is_open, out_of_time, plain};

use super::Opened;
use crate::flow::{Chain, Flow, Identity, Name, Paper, Peer, Revocation, ServerName};
use crate::flow::{Path, TlsVersion, Transport};
use crate::policy::model::{
    Dial, Enforcement, Model, PathPattern, Protocol, Rule, SegmentPattern, System,
};
use crate::verdict::{Allowed, Denied, Near, NotYet, Reason, Stage, Verdict};

/// Answers a flow, slowly.
pub(super) fn decide(
    model: &Model,
    (refusing, opened): (&BTreeSet<Name>, &[Opened]),
    flow: &Flow,
) -> Verdict {
    judge(model, (refusing, opened), flow).unwrap_or_else(Verdict::Deny)
}

fn judge(
    model: &Model,
    (refusing, opened): (&BTreeSet<Name>, &[Opened]),
    flow: &Flow,
) -> Result<Verdict, Denied> {
    let source = arrival(model, refusing, flow)?;
    let destination = hello(model, flow, &source)?;
    identity(model, flow, &source)?;
    let pool = |rule: &Rule| {
        rule.from.contains(&source) && destination.as_ref().is_none_or(|name| rule.to == *name)
    };
    request(model, flow, destination.as_ref(), &pool)?;
    let left = fitting(model, flow, 3, &pool);
    let only = if left.len() == 1 { left.first().cloned() } else { None };
    let late = |reason, stage| Denied { reason, stage, rule: only.clone(), nearest: Vec::new() };
    let declared = |site: &Name, rule: &Name| {
        opened.iter().any(|it| is_open(model, it, (site, rule), flow.at))
    };
    let opens = |site: &Name| left.iter().any(|rule| declared(site, rule));
    if let Some(reason) = dial(model, flow, destination.as_ref(), &opens) {
        return Err(late(reason, Stage::Dial));
    }
    if !peer_is_expected(model, flow, destination.as_ref()) {
        return Err(late(Reason::UpstreamIdentity, Stage::Peer));
    }
    let stage = if flow.peer.is_some() {
        Stage::Peer
    } else if flow.endpoint.is_some() {
        Stage::Dial
    } else if flow.request.is_some() {
        Stage::Request
    } else if flow.paper.is_some() {
        Stage::Identity
    } else if flow.hello.is_some() {
        Stage::Hello
    } else {
        Stage::Arrival
    };
    let Some(endpoint) = flow.endpoint else {
        return Ok(Verdict::NotYet(NotYet { stage, rule: only }));
    };
    let (owner, found) = find(model, endpoint).expect("what is no endpoint was barred");
    let reached = destination.clone().unwrap_or_else(|| owner.clone());
    let toward = |rule: &Rule| rule.from.contains(&source) && rule.to == reached;
    let mut ordered = fitting(model, flow, 3, &toward);
    ordered.sort_by_key(|name| stops(model, &model.rules[name], flow, 3).len());
    for name in &ordered {
        let rule = &model.rules[name];
        let (named, paper) = (destination.is_some(), flow.paper.is_some());
        let known = match rule.protocol {
            Protocol::Https => named && paper && flow.request.is_some(),
            Protocol::Tls => named && paper,
            Protocol::TlsPassthrough => named,
            Protocol::Tcp => true,
        };
        let always = model.sites[&found.site].dial == Dial::Always;
        if known && (always || declared(&found.site, name)) {
            let system = rule.to.clone();
            let unfit = !stops(model, rule, flow, 3).is_empty();
            let would_deny = unfit.then(|| nearest(model, flow, 3, Stage::Request, &toward).reason);
            let rule = name.clone();
            return Ok(Verdict::Allow(Allowed { rule, system, endpoint, would_deny }));
        }
    }
    Ok(Verdict::NotYet(NotYet { stage, rule: only }))
}

fn arrival(model: &Model, refusing: &BTreeSet<Name>, flow: &Flow) -> Result<Name, Denied> {
    let deny = |reason| Err(Denied::plain(reason, Stage::Arrival));
    let source = plain(flow.source);
    let mut best: Option<(u8, &Name)> = None;
    let mut closed = false;
    for (name, system) in &model.systems {
        for net in nets(system) {
            if net.contains(&source) {
                closed |= never_initiates(model, name);
                if best.is_none_or(|(length, _)| net.prefix_len() > length) {
                    best = Some((net.prefix_len(), name));
                }
            }
        }
    }
    let Some((_, owner)) = best else { return deny(Reason::UnknownSource) };
    if closed {
        return deny(Reason::ReverseAccess);
    }
    if flow.at < model.interconnection.connection_date {
        return deny(Reason::BeforeConnectionDate);
    }
    if flow.listener.as_ref().is_some_and(|listener| refusing.contains(listener)) {
        return deny(Reason::Listener);
    }
    let pool = |rule: &Rule| rule.from.contains(owner);
    if fitting(model, flow, 1, &pool).is_empty() {
        return Err(nearest(model, flow, 1, Stage::Arrival, &pool));
    }
    Ok(owner.clone())
}

fn hello(model: &Model, flow: &Flow, source: &Name) -> Result<Option<Name>, Denied> {
    if flow.in_clear {
        let pool = |rule: &Rule| rule.from.contains(source);
        return Err(nearest(model, flow, 2, Stage::Hello, &pool));
    }
    let Some(hello) = &flow.hello else { return Ok(None) };
    let deny = |reason| Err(Denied::plain(reason, Stage::Hello));
    let mut destination = None;
    if let ServerName::Name(asked) = &hello.server_name {
        for (name, system) in &model.systems {
            let serves = system.upstream.as_ref().is_some_and(|up| up.server_name == *asked);
            if serves && destination.is_none() {
                destination = Some(name.clone());
            }
        }
        for (name, system) in &model.systems {
            let speaks = system.identities.contains(&Identity::Dns(asked.clone()));
            if system.upstream.is_none() && speaks && destination.is_none() {
                destination = Some(name.clone());
            }
        }
    }
    if let (Some(name), Some(only)) = (&destination, &model.guardrails.destinations)
        && !only.what.contains(name)
    {
        return deny(Reason::DestinationNotListed);
    }
    let permitted = match &model.guardrails.encryption {
        Some(encryption) => encryption.what.versions.contains(&hello.version),
        None => hello.version == TlsVersion::Tls13,
    };
    if !permitted {
        return deny(Reason::TlsVersion);
    }
    if !matches!(hello.server_name, ServerName::Name(_)) {
        return deny(Reason::HostMismatch);
    }
    let Some(destination) = destination else { return deny(Reason::UnknownDestination) };
    let pool = |rule: &Rule| rule.from.contains(source) && rule.to == destination;
    for phases in [1, 2] {
        if fitting(model, flow, phases, &pool).is_empty() {
            return Err(nearest(model, flow, phases, Stage::Hello, &pool));
        }
    }
    Ok(Some(destination))
}

fn identity(model: &Model, flow: &Flow, source: &Name) -> Result<(), Denied> {
    let Some(paper) = &flow.paper else { return Ok(()) };
    let deny = |reason| Err(Denied::plain(reason, Stage::Identity));
    let Paper::Presented(certificate) = &**paper else { return deny(Reason::IdentityMissing) };
    let mut named = BTreeSet::new();
    for (name, system) in &model.systems {
        for identity in &certificate.identities {
            if system.identities.contains(identity) {
                named.insert(name);
            }
        }
    }
    if named.iter().any(|name| never_initiates(model, name)) {
        return deny(Reason::ReverseAccess);
    }
    if certificate.chain == Chain::Untrusted {
        return deny(Reason::CertificateInvalid);
    }
    if certificate.revocation == Revocation::Revoked {
        return deny(Reason::CertificateRevoked);
    }
    if !(certificate.not_before..=certificate.not_after).contains(&flow.at) {
        return deny(Reason::CertificateExpired);
    }
    let known = match certificate.revocation {
        Revocation::Good { until } => flow.at < until,
        Revocation::NotKept => true,
        Revocation::Unknown | Revocation::Revoked => false,
    };
    if !known {
        return deny(Reason::RevocationUnknown);
    }
    if named.is_empty() {
        return deny(Reason::IdentityUnknown);
    }
    if named != BTreeSet::from([source]) {
        return deny(Reason::IdentityMismatch);
    }
    Ok(())
}

fn request(
    model: &Model,
    flow: &Flow,
    destination: Option<&Name>,
    pool: &dyn Fn(&Rule) -> bool,
) -> Result<(), Denied> {
    let Some(request) = &flow.request else { return Ok(()) };
    let before = fitting(model, flow, 2, pool);
    let rule = if before.len() == 1 { before.first().cloned() } else { None };
    let deny = |reason| Err(Denied { rule, ..Denied::plain(reason, Stage::Request) });
    let same = match (&flow.hello, &request.host) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(hello), Some(host)) => hello.server_name == ServerName::Name(host.clone()),
    };
    if !same {
        return deny(Reason::HostMismatch);
    }
    let silent = destination.is_some_and(|name| never_initiates(model, name));
    if request.upgrade && (silent || request.method.as_str() == "CONNECT") {
        return deny(Reason::Upgrade);
    }
    if fitting(model, flow, 3, pool).is_empty() {
        return Err(nearest(model, flow, 3, Stage::Request, pool));
    }
    Ok(())
}

fn peer_is_expected(model: &Model, flow: &Flow, destination: Option<&Name>) -> bool {
    match (&flow.peer, destination) {
        (None, _) | (Some(Peer::Verified(_)), None) => true,
        (Some(Peer::Refused), _) => false,
        (Some(Peer::Verified(identities)), Some(name)) => {
            let system = &model.systems[name];
            identities.iter().any(|identity| system.identities.contains(identity))
        }
    }
}

/// The rules of the pool that nothing of the first `phases` stops.
fn fitting(model: &Model, flow: &Flow, phases: usize, pool: &dyn Fn(&Rule) -> bool) -> Vec<Name> {
    let lets_pass = |rule: &Rule, kind: &Reason| {
        rule.enforcement == Enforcement::Observe
            && [Reason::Method, Reason::Path, Reason::Upgrade].contains(kind)
    };
    let fits = |rule: &Rule| {
        (1..=phases)
            .all(|phase| stops(model, rule, flow, phase).iter().all(|kind| lets_pass(rule, kind)))
    };
    let left = model.rules.iter().filter(|(_, rule)| pool(rule) && fits(rule));
    left.map(|(name, _)| name.clone()).collect()
}

fn nearest(
    model: &Model,
    flow: &Flow,
    phase: usize,
    stage: Stage,
    pool: &dyn Fn(&Rule) -> bool,
) -> Denied {
    let mut near = Vec::new();
    for name in fitting(model, flow, phase - 1, pool) {
        let stopped_by = stops(model, &model.rules[&name], flow, phase);
        near.push(Near { rule: name, stopped_by });
    }
    let fewest = near.iter().map(|it| it.stopped_by.len()).min().unwrap_or(0);
    near.retain(|it| it.stopped_by.len() == fewest);
    let rule = if near.len() == 1 { Some(near[0].rule.clone()) } else { None };
    let kinds: BTreeSet<Vec<Reason>> = near.iter().map(|it| it.stopped_by.clone()).collect();
    if fewest == 1 && kinds.len() == 1 {
        let reason = near[0].stopped_by[0];
        return Denied { reason, stage, rule, nearest: Vec::new() };
    }
    near.truncate(8);
    Denied { reason: Reason::NoRule, stage, rule, nearest: near }
}

fn stops(model: &Model, rule: &Rule, flow: &Flow, phase: usize) -> Vec<Reason> {
    let mut stopped = Vec::new();
    match phase {
        1 => {
            let refused = model.guardrails.encryption.as_ref().is_some_and(|encryption| {
                rule.protocol == Protocol::Tcp
                    || (rule.protocol == Protocol::TlsPassthrough && !encryption.what.passthrough)
            });
            if flow.transport != Transport::Tcp || refused {
                stopped.push(Reason::Protocol);
            }
            if rule.listener.is_some() && flow.listener.is_some() && rule.listener != flow.listener
            {
                stopped.push(Reason::Listener);
            }
            let approval = model.approvals[&rule.approval].period;
            stopped.extend(out_of_time(&[approval, rule.period], flow.at));
        }
        2 => {
            let agreed = flow.hello.as_ref().and_then(|hello| hello.alpn);
            if flow.in_clear || rule.protocol == Protocol::Tls && agreed.is_some() {
                stopped.push(Reason::Protocol);
            }
        }
        _ => match (&flow.request, &rule.http) {
            (None, _) => (),
            (Some(_), None) => stopped.push(Reason::Protocol),
            (Some(request), Some(http)) => {
                if !http.methods.contains(&request.method) {
                    stopped.push(Reason::Method);
                }
                if !http.paths.iter().any(|pattern| takes(pattern, &request.path)) {
                    stopped.push(Reason::Path);
                }
                if request.upgrade && !rule.upgrade {
                    stopped.push(Reason::Upgrade);
                }
            }
        },
    }
    stopped
}

fn takes(pattern: &PathPattern, path: &Path) -> bool {
    let segments: Vec<&str> = path.as_str().split('/').skip(1).collect();
    let wanted = pattern.segments.len();
    let long_enough = if pattern.rest {
        segments.len() > wanted && !segments[wanted].is_empty()
    } else {
        segments.len() == wanted
    };
    long_enough
        && pattern.segments.iter().zip(&segments).all(|(wanted, segment)| match wanted {
            SegmentPattern::Literal(text) => **text == **segment,
            SegmentPattern::Any => !segment.is_empty(),
        })
}

fn never_initiates(model: &Model, name: &Name) -> bool {
    model.guardrails.reverse_access.as_ref().is_some_and(|it| it.what.contains(name))
}

fn nets(system: &System) -> Vec<IpNet> {
    let mut nets = system.addresses.clone();
    for endpoint in system.upstream.iter().flat_map(|up| &up.endpoints) {
        nets.push(IpNet::from(plain(endpoint.address.ip())));
    }
    nets
}
