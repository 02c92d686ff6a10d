//! Which passage of the law in force the self-test tries: the first that the law allows at this moment.

use std::net::{IpAddr, SocketAddr};

use crate::appliance::Mode;
use crate::flow::{Host, Name, Request, Timestamp};
use crate::policy::model::{Protocol, Rule, ScenarioFlow};
use crate::policy::scenario;
use crate::source::Loaded;
use crate::verdict::Verdict;

/// A passage by one rule, from a system of the union to where the rule leads.
#[derive(Debug, Clone)]
pub(super) struct Passage {
    /// The system that asks.
    pub(super) system: Name,
    /// One of its addresses.
    pub(super) source: IpAddr,
    /// The listener that it comes to.
    pub(super) listener: Name,
    /// That listener's address.
    pub(super) to_address: SocketAddr,
    /// The trust that client certificates must chain to there.
    pub(super) clients: Name,
    /// The system it leads to.
    pub(super) to: Name,
    /// The name that is asked for.
    pub(super) server_name: Host,
    /// What the rule speaks.
    pub(super) protocol: Protocol,
    /// For `https`: what is asked.
    pub(super) request: Option<Request>,
}

/// The first that is allowed at `now`; where none is, the first of all, so that its refusal is seen. `None` where the
/// law lets nobody pass by a listener of this box.
pub(super) fn choose(loaded: &Loaded, now: Timestamp) -> Option<Passage> {
    let mut all = candidates(loaded, now).into_iter();
    let first = all.next()?;
    let mut whole = std::iter::once(first.clone()).chain(all);
    let allowed = whole.find(|(_, verdict)| matches!(verdict, Verdict::Allow(_)));
    Some(allowed.unwrap_or(first).0)
}

fn candidates(loaded: &Loaded, now: Timestamp) -> Vec<(Passage, Verdict)> {
    let rules = loaded.law.engine.model().rules.values();
    let callers = rules.flat_map(|rule| rule.from.iter().map(move |system| (rule, system)));
    let listeners = &loaded.appliance.listeners;
    let named = |rule: &Rule, name: &Name| rule.listener.as_ref().is_none_or(|it| it == name);
    callers
        .flat_map(|(rule, system)| {
            let open = listeners.iter().filter(move |(name, _)| named(rule, name));
            open.filter_map(move |(name, listener)| match &listener.mode {
                Mode::Reverse { clients, .. } => {
                    let door = (name, *listener.bind.first()?, clients);
                    candidate(loaded, (rule, system), door, now)
                }
                Mode::Forward(_) | Mode::Transparent(_) | Mode::Refuse => None,
            })
        })
        .collect()
}

fn candidate(
    loaded: &Loaded,
    (rule, system): (&Rule, &Name),
    (listener, to_address, clients): (&Name, SocketAddr, &Name),
    now: Timestamp,
) -> Option<(Passage, Verdict)> {
    let engine = &loaded.law.engine;
    let source = address(loaded, system)?;
    let facts = ScenarioFlow {
        from: Some(source),
        to_address: Some(to_address),
        listener: Some(listener.clone()),
        to: Some(rule.to.clone()),
        ..ScenarioFlow::default()
    };
    let flow = scenario::flow(engine, &facts, now);
    let verdict = engine.decide(&flow);
    let upstream = engine.model().systems.get(&rule.to)?.upstream.as_ref()?;
    let passage = Passage {
        system: system.clone(),
        source,
        listener: listener.clone(),
        to_address,
        clients: clients.clone(),
        to: rule.to.clone(),
        server_name: upstream.server_name.clone(),
        protocol: rule.protocol,
        request: flow.request,
    };
    Some((passage, verdict))
}

/// The first address of a system's first prefix.
pub(super) fn address(loaded: &Loaded, system: &Name) -> Option<IpAddr> {
    let system = loaded.law.engine.model().systems.get(system)?;
    system.addresses.first()?.hosts().next()
}
