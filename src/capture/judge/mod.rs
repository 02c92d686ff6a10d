//! From a connection on the wire to the flow that the law is asked about. Who may pass is decided by the engine
//! alone; here stands only which facts a capture gives at which place.
//!
//! | leg | facts |
//! |---|---|
//! | inbound | source, the listener that stands there, hello; a client certificate only before TLS 1.3 |
//! | outbound | the address dialled, hello, before TLS 1.3 the server's certificate; asked for every system on whose behalf the box may dial, since the wire does not say for whom |
//! | beside | source, and the responder as the address that is reached; nobody stood between |
//!
//! What a capture cannot see leaves a flow *not yet*. A connection that lived through a change of the law is judged
//! again at each change, as the proxy does it. What the law does not speak of is in `outside`.

mod clause;
mod outside;
mod own;
mod paper;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use clause::Broken;
pub use outside::Outside;
pub use own::{Leg, Own};

use super::{Application, Connection, Protocol};
use crate::flow::{Flow, Host, Name, Paper, Peer, ServerName, Timestamp, Transport};
use crate::policy::Engine;
use crate::policy::model::{Model, Side};
use crate::tls::TrustStore;
use crate::verdict::{NotYet, Reason, Stage, Verdict};
use paper::Papers;

/// The law, at the appliance's place in a capture.
#[derive(Debug)]
pub struct Judge {
    engine: Engine,
    own: Own,
    papers: Papers,
    /// What stands where nothing listens.
    nowhere: Option<Name>,
    /// An address of each system that a rule names as a source.
    behalf: Vec<IpAddr>,
}

/// A judged connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// On which side of the appliance it is.
    pub leg: Leg,
    /// The law's answer.
    pub answer: Answer,
    /// The packet that showed it, counted like [`Connection::first_packet`].
    pub packet: u64,
    /// The moment for which it was judged: its first packet's, or that of a change of the law that it outlived.
    pub at: Timestamp,
}

/// What the law says of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A verdict of the engine.
    Law(Verdict),
    /// The law does not speak of it.
    Outside(Outside),
}

impl Answer {
    /// `allow`, `deny`, `not_yet` or `outside`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Law(verdict) => verdict.code(),
            Self::Outside(_) => "outside",
        }
    }

    /// The reason of a refusal.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Law(verdict) => verdict.reason(),
            Self::Outside(_) => None,
        }
    }

    /// The rule that the verdict speaks of.
    pub const fn rule(&self) -> Option<&Name> {
        match self {
            Self::Law(verdict) => verdict.rule(),
            Self::Outside(_) => None,
        }
    }
}

impl Judge {
    /// The law of `model` where the appliance has the addresses of `own`; `trust` as far as it could be read.
    pub fn new(model: &Model, own: Own, trust: BTreeMap<Name, TrustStore>) -> Self {
        let nowhere = own.nowhere();
        let mut refusing = own.refusing();
        refusing.extend(nowhere.clone());
        let engine = Engine::compile(model.clone()).with_listeners(refusing);
        let behalf = behalf(&engine);
        Self { engine, own, papers: Papers::new(trust), nowhere, behalf }
    }

    /// The law.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The appliance's place.
    pub fn own(&self) -> &Own {
        &self.own
    }

    /// The same connection with its ends as the law knows them: where the opening was not seen, the end that is a
    /// listener of the box or an endpoint of a system did not open it.
    pub fn oriented(&self, connection: Connection) -> Connection {
        let serves = |end: SocketAddr| self.own.listens(end) || self.engine.site_of(end).is_some();
        let turned = serves(connection.initiator) && !serves(connection.responder);
        let likely = connection.inferred && connection.hello.is_none();
        if likely && turned { connection.turned() } else { connection }
    }

    /// Answers one connection.
    pub fn judge(&self, connection: &Connection) -> Judged {
        let leg = self.own.leg(connection);
        let mut judged = match outside::kind(connection, &self.own) {
            Some(kind) if !self.closes(connection, kind) => {
                let answer = Answer::Outside(kind);
                return Judged { leg, answer, packet: connection.first_packet, at: connection.at };
            }
            Some(_) | None => self.over_time(connection, leg),
        };
        if let Answer::Law(Verdict::Deny(denied)) = &judged.answer {
            judged.packet = witness(connection, denied.stage);
        }
        judged
    }

    /// The guardrail that a refusal speaks for.
    pub fn broken(&self, connection: &Connection, reason: Reason) -> Option<Broken<'_>> {
        clause::broken(&self.engine.model().guardrails, reason, in_clear(connection))
    }

    /// The flow that the law is asked about, at its first moment; on the outbound leg on behalf of nobody yet.
    pub fn flow(&self, connection: &Connection, leg: Leg) -> Flow {
        let to = connection.responder;
        let listener = match leg {
            Leg::Inbound => self.nowhere.as_ref().and_then(|none| self.own.listener(to, none)),
            Leg::Outbound | Leg::Beside => None,
        };
        let hello = connection.hello.as_ref().map(|hello| hello.fact(connection.handshake));
        let mut flow = Flow::arrival(connection.at, connection.initiator.ip(), to, listener);
        flow.transport = transport(connection.protocol);
        flow.hello = hello.filter(|_| connection.protocol == Protocol::Tcp).map(Arc::new);
        flow.in_clear = in_clear(connection);
        flow.endpoint = (leg != Leg::Inbound).then_some(to);
        flow
    }

    /// Whether the ledger must have `connection`: it carried something through the appliance, or to or from the centre.
    pub fn is_due_in_ledger(&self, connection: &Connection, leg: Leg) -> bool {
        let carried = connection.bytes_to_initiator > 0 || connection.bytes_to_responder > 0;
        let tcp = connection.protocol == Protocol::Tcp;
        let ours = match leg {
            Leg::Inbound => tcp && self.own.may_forward(connection.responder),
            Leg::Outbound => tcp,
            Leg::Beside => false,
        };
        let ends = [connection.initiator.ip(), connection.responder.ip()];
        carried && (ours || leg == Leg::Beside && ends.into_iter().any(|end| self.is_center(end)))
    }

    /// Whether an address belongs to a system of the centre's side.
    pub fn is_center(&self, address: IpAddr) -> bool {
        let model = self.engine.model();
        let system = self.engine.system_of(address).and_then(|name| model.systems.get(name));
        system.is_some_and(|system| system.side == Side::Center)
    }

    /// A tunnel's envelope is no passage of its own, but nobody who may never initiate opens one.
    fn closes(&self, connection: &Connection, kind: Outside) -> bool {
        let flow = || self.flow(connection, Leg::Beside);
        kind == Outside::Carrier
            && self.engine.decide(&flow()).reason() == Some(Reason::ReverseAccess)
    }

    /// Judges at the first packet and at every change of the law until the last one; the first refusal stands.
    fn over_time(&self, connection: &Connection, leg: Leg) -> Judged {
        let mut flow = self.flow(connection, leg);
        let packet = connection.first_packet;
        let first = self.decide(connection, leg, &mut flow);
        let mut judged = Judged { leg, answer: Answer::Law(first), packet, at: flow.at };
        while judged.answer.reason().is_none()
            && let Some(next) = self.engine.next_change(flow.at)
            && next <= connection.ended
        {
            flow.at = next;
            let verdict = self.decide(connection, leg, &mut flow);
            if verdict.reason().is_some() {
                judged = Judged { answer: Answer::Law(verdict), at: next, ..judged };
            }
        }
        judged
    }

    /// One moment of it. The certificates that were seen are read under that moment's lists.
    fn decide(&self, connection: &Connection, leg: Leg, flow: &mut Flow) -> Verdict {
        flow.peer = self.peer(connection, leg, flow.at);
        if leg == Leg::Outbound {
            return self.on_behalf(flow);
        }
        let Some(shown) = &connection.client_chain else { return self.engine.decide(flow) };
        let trust = self.own.clients(connection.responder);
        if let Some(paper) = self.papers.client(shown, trust, flow.at) {
            flow.paper = Some(Arc::new(paper));
            return self.engine.decide(flow);
        }
        self.by_names_alone(Papers::names(shown), flow)
    }

    /// Without its trust a certificate can only ever be believed against its holder.
    fn by_names_alone(&self, paper: Option<Paper>, flow: &Flow) -> Verdict {
        let verdict = self.engine.decide(&Flow { paper: paper.map(Arc::new), ..flow.clone() });
        if verdict.reason() == Some(Reason::ReverseAccess) {
            verdict
        } else {
            self.engine.decide(flow)
        }
    }

    fn peer(&self, connection: &Connection, leg: Leg, at: Timestamp) -> Option<Peer> {
        let shown = connection.server_chain.as_ref().filter(|_| leg != Leg::Inbound)?;
        let system = self.engine.system_of(connection.responder.ip())?;
        self.papers.peer(shown, self.engine.model(), system, at)
    }

    /// The box's own dial: right where it is right for somebody; else the refusal of the one who came furthest.
    fn on_behalf(&self, flow: &Flow) -> Verdict {
        let asked = |source: &IpAddr| self.engine.decide(&Flow { source: *source, ..flow.clone() });
        let verdicts: Vec<_> = self.behalf.iter().map(asked).collect();
        let open = || verdicts.iter().filter(|verdict| verdict.reason().is_none());
        let Some(first) = open().next() else {
            let furthest = verdicts.iter().max_by_key(|verdict| reached(verdict)).cloned();
            // A law without rules has nobody to dial for: the box is a source like any other.
            return furthest.unwrap_or_else(|| self.engine.decide(flow));
        };
        let rules: BTreeSet<_> = open().map(Verdict::rule).collect();
        match first {
            Verdict::NotYet(not_yet) if rules.len() > 1 => {
                Verdict::NotYet(NotYet { stage: not_yet.stage, rule: None })
            }
            Verdict::NotYet(_) | Verdict::Allow(_) | Verdict::Deny(_) => first.clone(),
        }
    }
}

/// The stage that refused it.
const fn reached(verdict: &Verdict) -> Option<Stage> {
    match verdict {
        Verdict::Deny(denied) => Some(denied.stage),
        Verdict::Allow(_) | Verdict::NotYet(_) => None,
    }
}

/// An address of each system that a rule lets begin. One inside a prefix of another system would speak for that one.
fn behalf(engine: &Engine) -> Vec<IpAddr> {
    let model = engine.model();
    let sources: BTreeSet<&Name> = model.rules.values().flat_map(|rule| &rule.from).collect();
    let address = |name: &&Name| {
        let nets = model.systems.get(*name)?.addresses.iter();
        let ends = nets.flat_map(|net| [net.network(), net.broadcast()]);
        ends.into_iter().find(|address| engine.system_of(*address) == Some(*name))
    };
    sources.iter().filter_map(address).collect()
}

/// The packet that shows what a stage refused.
fn witness(connection: &Connection, stage: Stage) -> u64 {
    let hello = connection.hello.as_ref().map(|hello| hello.packet);
    let head = connection.heads.first().map(|head| head.packet);
    let shown = match stage {
        Stage::Hello if in_clear(connection) => head,
        Stage::Hello => hello,
        Stage::Identity => connection.client_chain.as_ref().map(|chain| chain.packet),
        Stage::Peer => connection.server_chain.as_ref().map(|chain| chain.packet),
        Stage::Accept | Stage::Arrival | Stage::Request | Stage::Dial | Stage::Content => None,
    };
    shown.unwrap_or(connection.first_packet)
}

const fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::Icmp => Transport::Icmp,
        Protocol::Esp => Transport::Esp,
        Protocol::Other(number) => Transport::Other(number),
    }
}

fn in_clear(connection: &Connection) -> bool {
    connection.protocol == Protocol::Tcp
        && match connection.application {
            Application::Http | Application::Upgraded | Application::Other => true,
            Application::Silent
            | Application::Tls
            | Application::Quic(_)
            | Application::Unknown => false,
        }
}

/// The server name that was asked for, where it is one.
pub fn server_name(connection: &Connection) -> Option<&Host> {
    match &connection.hello.as_ref()?.server_name {
        ServerName::Name(host) => Some(host),
        ServerName::Missing | ServerName::Unusable => None,
    }
}
