//! Why the law says what it says of one flow: the road stage by stage, every rule and the facts that stop it, and the
//! smallest edit of the law's text that would change the answer. It asks the engine and decides nothing itself.

mod edit;
mod patch;
mod repair;
mod text;
mod unified;

pub use patch::{Hunk, hunks};
pub use repair::{Proposal, Proven, propose};
pub use unified::unified;

use crate::flow::{Flow, Identity, Name, Paper, Timestamp};
use crate::policy::engine::{Engine, Sifted};
use crate::policy::model::ScenarioFlow;
use crate::policy::scenario;
use crate::verdict::{Reason, Stage, Verdict};

/// What is asked about: some facts, the moment, and where one is at hand the client certificate itself.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The facts that are named; the others take the most favourable value, as in a scenario.
    pub facts: ScenarioFlow,
    /// The papers as they were read; in their place come those of the facts where `None`.
    pub paper: Option<Paper>,
    /// What was shown at the moment of the ledger entry: such a flow is not completed.
    pub recorded: Option<Flow>,
}

/// The engine's answer with the road to it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The flow that was judged, completed.
    pub flow: Flow,
    /// The answer.
    pub verdict: Verdict,
    /// Whose address it comes from.
    pub source: Option<Name>,
    /// Whose name it asks for.
    pub destination: Option<Name>,
    /// The answer after each stage whose facts are known, until the first refusal.
    pub road: Vec<Step>,
    /// What refuses by itself, whatever the rules say, in the order of travel; also behind the first refusal.
    pub gates: Vec<(Stage, Reason)>,
    /// The rules that come near, the nearest first.
    pub candidates: Vec<Candidate>,
    /// How many rules more there are that come less near.
    pub others: usize,
}

/// One stage of the road.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// What the law says of the facts up to it.
    pub verdict: Verdict,
}

/// A rule, the facts that fit it and those that do not, in the order in which facts come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub rule: Name,
    /// What fits: `source to listener dates protocol method path upgrade`.
    pub fits: Vec<&'static str>,
    /// What does not.
    pub stopped_by: Vec<&'static str>,
}

/// The most rules that are shown.
const CANDIDATES_MAX: usize = 12;

impl Asked {
    /// The flow under this law at `at`.
    pub fn flow(&self, engine: &Engine, at: Timestamp) -> Flow {
        if let Some(recorded) = &self.recorded {
            return Flow { at, ..recorded.clone() };
        }
        let mut flow = scenario::flow(engine, &self.facts, at);
        if let Some(paper) = &self.paper {
            flow.paper = flow.paper.map(|_| std::sync::Arc::new(paper.clone()));
        }
        flow
    }

    /// The answer under this law. A path that is none is a malformed request.
    pub fn verdict(&self, engine: &Engine, at: Timestamp) -> Verdict {
        let engine = self.declared(engine, at);
        scenario::judged(&engine, &self.flow(&engine, at), self.facts.path.as_deref())
    }

    /// The same law while what is asked about as declared is open.
    fn declared(&self, engine: &Engine, at: Timestamp) -> Engine {
        engine.with_declarations(&scenario::opened(engine, &self.facts, at))
    }

    /// The names in the client certificate.
    pub(super) fn identities(&self) -> &[Identity] {
        match &self.paper {
            Some(Paper::Presented(certificate)) => &certificate.identities,
            Some(Paper::Absent) => &[],
            None => &self.facts.identities,
        }
    }
}

/// Explains what this law says of a flow at `at`.
pub fn explain(engine: &Engine, asked: &Asked, at: Timestamp) -> Explanation {
    let engine = &asked.declared(engine, at);
    let flow = asked.flow(engine, at);
    let sift = engine.sift_all(&flow);
    let name = |id: Option<usize>| Some(engine.tables().systems.get(id?)?.name.clone());
    let (source, destination) = (name(sift.source), name(sift.destination));
    let known =
        Known { engine, flow: &flow, source: source.as_ref(), destination: destination.as_ref() };
    let mut candidates: Vec<_> = sift.rules.iter().map(|it| known.candidate(it)).collect();
    candidates.sort_by_key(|it| (it.distance(), it.stopped_by.len()));
    let others = candidates.len().saturating_sub(CANDIDATES_MAX);
    candidates.truncate(CANDIDATES_MAX);
    let gates = sift.gates;
    Explanation {
        verdict: asked.verdict(engine, at),
        road: road(engine, &flow),
        source,
        destination,
        gates,
        candidates,
        others,
        flow,
    }
}

/// The same flow with one fact more each time, as it is in a connection's life.
fn road(engine: &Engine, flow: &Flow) -> Vec<Step> {
    let arrival = Flow {
        transport: flow.transport,
        ..Flow::arrival(flow.at, flow.source, flow.to_address, flow.listener.clone())
    };
    let hello = Flow { hello: flow.hello.clone(), in_clear: flow.in_clear, ..arrival.clone() };
    let identity = Flow { paper: flow.paper.clone(), ..hello.clone() };
    let request = Flow { request: flow.request.clone(), ..identity.clone() };
    let dial = Flow { endpoint: flow.endpoint, ..request.clone() };
    let steps = [
        (Stage::Arrival, true, arrival),
        (Stage::Hello, flow.hello.is_some() || flow.in_clear, hello),
        (Stage::Identity, flow.paper.is_some(), identity),
        (Stage::Request, flow.request.is_some(), request),
        (Stage::Dial, flow.endpoint.is_some(), dial),
        (Stage::Peer, flow.peer.is_some(), flow.clone()),
    ];
    let known = steps.into_iter().filter(|(_, known, _)| *known);
    let mut road: Vec<Step> = Vec::new();
    for (stage, _, flow) in known {
        let verdict = engine.decide(&flow);
        let refused = matches!(verdict, Verdict::Deny(_));
        road.push(Step { stage, verdict });
        if refused {
            break;
        }
    }
    road
}

/// What is known of the flow beside what the rules say.
#[derive(Clone, Copy)]
struct Known<'a> {
    engine: &'a Engine,
    flow: &'a Flow,
    source: Option<&'a Name>,
    destination: Option<&'a Name>,
}

impl Known<'_> {
    fn candidate(self, sifted: &Sifted<'_>) -> Candidate {
        let [transport, listener, dates] = sifted.standing.stops;
        let [method, path, upgrade] = request_stops(sifted);
        let rule = self.engine.rule(&sifted.rule.name);
        let from =
            self.source.is_some_and(|name| rule.is_some_and(|rule| rule.from.contains(name)));
        let to = self.destination.is_some_and(|name| sifted.rule.to == *name);
        let asks = self.flow.request.is_some() && method != Some(Reason::Protocol);
        let protocol = [transport, sifted.protocol.stops.into_iter().flatten().next(), method];
        let protocol = protocol.into_iter().flatten().all(|kind| kind != Reason::Protocol);
        let facts = [
            ("source", true, from),
            ("to", self.flow.hello.is_some(), to),
            ("listener", self.flow.listener.is_some(), listener.is_none()),
            ("dates", true, dates.is_none()),
            ("protocol", self.flow.hello.is_some(), protocol),
            ("method", asks, method.is_none()),
            ("path", asks, path.is_none()),
            ("upgrade", asks && (upgrade.is_some() || self.upgrades()), upgrade.is_none()),
        ];
        let known = facts.into_iter().filter(|(_, known, _)| *known);
        let (fits, stopped): (Vec<_>, Vec<_>) = known.partition(|(_, _, fits)| *fits);
        let words = |facts: Vec<(&'static str, bool, bool)>| {
            facts.into_iter().map(|(word, ..)| word).collect()
        };
        Candidate { rule: sifted.rule.name.clone(), fits: words(fits), stopped_by: words(stopped) }
    }

    fn upgrades(self) -> bool {
        self.flow.request.as_ref().is_some_and(|request| request.upgrade)
    }
}

fn request_stops(sifted: &Sifted<'_>) -> [Option<Reason>; 3] {
    let has = |kind: Reason| sifted.request.stops.contains(&Some(kind)).then_some(kind);
    [has(Reason::Method).or_else(|| has(Reason::Protocol)), has(Reason::Path), has(Reason::Upgrade)]
}

impl Candidate {
    /// A rule that does not join source and destination is further away than any that does.
    fn distance(&self) -> usize {
        self.stopped_by.iter().filter(|fact| ["source", "to"].contains(*fact)).count()
    }
}

#[cfg(test)]
mod tests;
