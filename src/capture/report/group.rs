//! Connections of one kind as one line: who, whither, what the law says of it. Bounded, whatever a capture holds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::capture::judge::{Answer, Judge, Judged, Leg, Outside, server_name};
use crate::capture::{Connection, Protocol};
use crate::flow::{Name, Timestamp};
use crate::policy::Masked;
use crate::verdict::Reason;

/// The most groups; what is beyond is one group for each answer.
const GROUPS_MAX: usize = 4096;

/// What the law says of all connections of a group, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Says {
    Deny(Rank, Reason),
    NotYet,
    Allow,
    Outside(Outside),
}

/// How bad a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Rank {
    /// A system that may never initiate.
    Reverse,
    /// Another guardrail.
    Guarded,
    /// Anything else.
    Other,
}

/// Who is at one end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Party {
    System(Name),
    Named(String),
    Address(IpAddr),
    /// The box itself.
    Appliance,
    /// Many, beyond the bound.
    Various,
}

/// What connections of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) says: Says,
    pub(super) leg: Leg,
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) protocol: Protocol,
    /// The responder's port, where the protocol has ports.
    pub(super) port: Option<u16>,
}

/// The connections of one group, counted; the earliest stands for all.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) connections: u64,
    pub(super) bytes: u64,
    /// Of the connections, those whose initiator is only likely.
    pub(super) inferred: u64,
    pub(super) at: Timestamp,
    pub(super) file: Arc<str>,
    pub(super) packet: u64,
    /// The guardrail, and its clause.
    pub(super) broken: Option<(&'static str, Option<Arc<str>>)>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups(HashMap<Key, Group>);

impl Groups {
    pub(super) fn add(&mut self, judge: &Judge, connection: &Connection, judged: &Judged) {
        let key = Key::of(judge, connection, judged);
        let full = self.0.len() >= GROUPS_MAX && !self.0.contains_key(&key);
        let key = if full { key.folded() } else { key };
        let group = self.0.entry(key).or_insert_with(|| Group::of(judge, connection, judged));
        group.add(connection, judged);
    }

    /// The worst first, and of the equally bad the most.
    pub(super) fn sorted(&self) -> Vec<(&Key, &Group)> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by(|(a, x), (b, y)| {
            a.says.cmp(&b.says).then(y.connections.cmp(&x.connections)).then(a.cmp(b))
        });
        sorted
    }
}

impl Key {
    fn of(judge: &Judge, connection: &Connection, judged: &Judged) -> Self {
        let system =
            |address: IpAddr| judge.engine().system_of(address).cloned().map(Party::System);
        let (from, to) = (connection.initiator.ip(), connection.responder.ip());
        let named = server_name(connection).map(|host| match judge.engine().destination(host) {
            Some(destination) => Party::System(destination.name.clone()),
            None => Party::Named(judge.engine().mask_host(host.as_str()).as_str().to_owned()),
        });
        let ours = (judged.leg == Leg::Outbound).then_some(Party::Appliance);
        let ports = matches!(connection.protocol, Protocol::Tcp | Protocol::Udp);
        Self {
            says: Says::of(judge, connection, &judged.answer),
            leg: judged.leg,
            from: ours.or_else(|| system(from)).unwrap_or(Party::Address(from)),
            to: named.or_else(|| system(to)).unwrap_or(Party::Address(to)),
            protocol: connection.protocol,
            port: ports.then(|| connection.responder.port()),
        }
    }

    fn folded(self) -> Self {
        Self { from: Party::Various, to: Party::Various, port: None, ..self }
    }
}

impl Says {
    fn of(judge: &Judge, connection: &Connection, answer: &Answer) -> Self {
        match (answer, answer.reason()) {
            (Answer::Outside(kind), _) => Self::Outside(*kind),
            (Answer::Law(_), Some(reason)) => {
                let rank = match (reason, judge.broken(connection, reason)) {
                    (Reason::ReverseAccess, _) => Rank::Reverse,
                    (_, Some(_)) => Rank::Guarded,
                    (_, None) => Rank::Other,
                };
                Self::Deny(rank, reason)
            }
            (Answer::Law(verdict), None) if verdict.code() == "allow" => Self::Allow,
            (Answer::Law(_), None) => Self::NotYet,
        }
    }

    /// The reason's code, or the verdict's.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Deny(_, reason) => reason.code(),
            Self::NotYet => "not_yet",
            Self::Allow => "allow",
            Self::Outside(kind) => kind.code(),
        }
    }
}

impl Group {
    fn of(judge: &Judge, connection: &Connection, judged: &Judged) -> Self {
        let broken = judged.answer.reason().and_then(|reason| judge.broken(connection, reason));
        Self {
            connections: 0,
            bytes: 0,
            inferred: 0,
            at: judged.at,
            file: Arc::clone(&connection.file),
            packet: judged.packet,
            broken: broken.map(|broken| (broken.guardrail, broken.clause.map(Arc::from))),
        }
    }

    fn add(&mut self, connection: &Connection, judged: &Judged) {
        self.connections += 1;
        self.bytes += connection.bytes_to_initiator + connection.bytes_to_responder;
        self.inferred += u64::from(connection.inferred);
        if judged.at < self.at {
            self.at = judged.at;
            self.packet = judged.packet;
            self.file = Arc::clone(&connection.file);
        }
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(name) => name.fmt(f),
            Self::Named(text) => f.write_str(text),
            Self::Address(address) => address.fmt(f),
            Self::Appliance => f.write_str("(appliance)"),
            Self::Various => f.write_str("(various)"),
        }
    }
}

/// A server name as it may be shown: a stranger's text, with what could be an individual number hidden.
pub(super) fn masked_name(judge: &Judge, connection: &Connection) -> Option<Masked> {
    server_name(connection).map(|host| judge.engine().mask_host(host.as_str()))
}
