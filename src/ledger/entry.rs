//! What an entry says. The kinds and their fields are a versioned public format.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::flow::{Name, Timestamp, TlsVersion};
use crate::policy::Masked;
use crate::verdict::{Reason, Stage, Verdict};

/// A client connection of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// SHA-256 of a law, over the names and bytes of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyDigest(pub [u8; 32]);

impl PolicyDigest {
    /// Takes 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for PolicyDigest {
    /// 64 hexadecimal digits; `{:.8}` is the short form that people are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits: Vec<_> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.pad(&digits.concat())
    }
}

/// One entry before it has its number.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The law in force.
    pub policy: PolicyDigest,
    /// The client connection it speaks of.
    pub connection: Option<ConnectionId>,
    /// What it says.
    pub body: Body,
}

/// The kinds of entries: `start stop policy opened dialled request refused failed closed summary gap operation probe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The process began.
    Start,
    /// The process ends in order.
    Stop,
    /// A law was put in force or refused.
    Policy,
    /// A client connection was admitted.
    Opened,
    /// An upstream connection is about to be dialled.
    Dialled,
    /// A request is about to be forwarded.
    Request,
    /// Something was refused.
    Refused,
    /// Something permitted failed.
    Failed,
    /// A client connection ended.
    Closed,
    /// Refusals counted, not listed.
    Summary,
    /// Something was lost, or a torn line was cut.
    Gap,
    /// Somebody called over the control socket or by a signal.
    Operation,
    /// A probe of the self-test, and whether its control operated.
    Probe,
}

/// What an entry says.
#[derive(Debug, Clone)]
pub enum Body {
    /// [`Kind::Start`].
    Start {
        /// The program's version.
        version: &'static str,
        /// The box's name.
        appliance: Name,
    },
    /// [`Kind::Stop`].
    Stop {
        /// Why: `signal`, `drained`, `error`.
        cause: Masked,
    },
    /// [`Kind::Policy`].
    Policy {
        /// Whether it is in force now.
        accepted: bool,
        /// The law that was offered.
        offered: Option<PolicyDigest>,
        /// The law in force before; `None` at a start.
        was: Option<PolicyDigest>,
        /// What is different by it, one thing each: rules, systems, approvals, certificates, lists.
        changes: Vec<Masked>,
        /// Where it came from: `disk`, `archive`.
        origin: Masked,
        /// How many faults kept it out.
        faults: u32,
        /// The first faults, masked.
        first: Vec<Masked>,
    },
    /// [`Kind::Opened`].
    Opened {
        /// The client's facts; in a box, so that the frequent kinds are no larger for them.
        facts: Box<ClientFacts>,
        /// The verdict so far.
        verdict: Verdict,
    },
    /// [`Kind::Dialled`].
    Dialled {
        /// The system.
        system: Name,
        /// The judged address that is dialled.
        endpoint: SocketAddr,
        /// The bound local address of the upstream leg.
        local: SocketAddr,
        /// Its site.
        site: Option<Name>,
        /// An allow.
        verdict: Verdict,
    },
    /// [`Kind::Request`].
    Request {
        /// The request's facts.
        facts: RequestFacts,
        /// Where it is sent.
        endpoint: SocketAddr,
        /// An allow.
        verdict: Verdict,
    },
    /// [`Kind::Refused`]: the client's facts where no `opened` has them, the request's where there was one.
    Refused {
        /// The client's facts.
        client: Option<Box<ClientFacts>>,
        /// The request's facts.
        request: Option<RequestFacts>,
        /// Where it would have been dialled.
        endpoint: Option<SocketAddr>,
        /// A denial.
        verdict: Verdict,
        /// A word more, where there is one (`header line without a colon`).
        detail: Option<Masked>,
    },
    /// [`Kind::Failed`]: permitted, but it did not work out.
    Failed {
        /// Why.
        reason: Reason,
        /// When in its life.
        stage: Stage,
        /// The rule.
        rule: Option<Name>,
        /// Where it was dialled.
        endpoint: Option<SocketAddr>,
        /// A word more.
        detail: Option<Masked>,
    },
    /// [`Kind::Closed`].
    Closed {
        /// Bytes of plaintext sent to the upstream.
        to_upstream: u64,
        /// Bytes of plaintext sent to the client.
        to_client: u64,
        /// How long it lasted.
        duration: Duration,
        /// How it ended: `client upstream idle timeout cut drain error` or a reason's code.
        how: Masked,
        /// Requests by status code.
        outcomes: BTreeMap<u16, u64>,
    },
    /// [`Kind::Summary`].
    Summary {
        /// The source; `None` for the rest beyond the table.
        source: Option<IpAddr>,
        /// The reason; `None` for the rest.
        reason: Option<Reason>,
        /// How many.
        count: u64,
        /// Since when.
        since: Timestamp,
    },
    /// [`Kind::Gap`].
    Gap {
        /// How many entries were lost; `None` where it cannot be known.
        lost: Option<u64>,
        /// From when.
        since: Option<Timestamp>,
        /// How many bytes of a torn line were cut.
        cut: Option<u64>,
        /// What happened: `torn line`, `unclean stop`, `unwritable`, `clock step`; or why an earlier ledger was set
        /// aside: `damaged line`, `missing segment`, `rolled back`, `forked`, `foreign key`.
        cause: Masked,
    },
    /// [`Kind::Operation`].
    Operation {
        /// What was done: `reload`, `status`, `stop`, `prune`.
        call: Masked,
        /// The user id of the caller, as far as the socket tells.
        uid: Option<u32>,
        /// The process id of the caller.
        pid: Option<i32>,
        /// How it ended.
        outcome: Masked,
        /// More of it, one thing each: what a reload changes, which entries are pruned.
        detail: Vec<Masked>,
    },
    /// [`Kind::Probe`].
    Probe {
        /// Its name.
        probe: Masked,
        /// `passed`, `failed`, or `not_in_law` where the law does not ask for the control.
        outcome: Masked,
        /// What the law should answer: `allow` or a reason's code.
        expected: Masked,
        /// What happened, likewise.
        happened: Masked,
        /// The clause behind the guardrail.
        clause: Option<Masked>,
        /// The numbers of the first and the last entry that the attempt left.
        entries: Option<(u64, u64)>,
        /// A word more.
        detail: Option<Masked>,
    },
}

/// What is recorded of a client.
#[derive(Debug, Clone)]
pub struct ClientFacts {
    /// Its address.
    pub source: SocketAddr,
    /// Where it connected to.
    pub to_address: SocketAddr,
    /// The listener.
    pub listener: Name,
    /// The system the address belongs to.
    pub system: Option<Name>,
    /// The server name asked for.
    pub server_name: Option<Masked>,
    /// The TLS version in use.
    pub tls: Option<TlsVersion>,
    /// The identities of its certificate; `None` where there was no handshake, empty where there was no certificate.
    pub identities: Option<Vec<Masked>>,
    /// When its certificate ends.
    pub not_after: Option<Timestamp>,
}

/// What is recorded of a request.
#[derive(Debug, Clone)]
pub struct RequestFacts {
    /// The method.
    pub method: Masked,
    /// The host; the destination where it equals the server name.
    pub host: Option<Masked>,
    /// The path.
    pub path: Masked,
}

impl Kind {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Policy => "policy",
            Self::Opened => "opened",
            Self::Dialled => "dialled",
            Self::Request => "request",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Closed => "closed",
            Self::Summary => "summary",
            Self::Gap => "gap",
            Self::Operation => "operation",
            Self::Probe => "probe",
        }
    }
}

impl Body {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Start { .. } => Kind::Start,
            Self::Stop { .. } => Kind::Stop,
            Self::Policy { .. } => Kind::Policy,
            Self::Opened { .. } => Kind::Opened,
            Self::Dialled { .. } => Kind::Dialled,
            Self::Request { .. } => Kind::Request,
            Self::Refused { .. } => Kind::Refused,
            Self::Failed { .. } => Kind::Failed,
            Self::Closed { .. } => Kind::Closed,
            Self::Summary { .. } => Kind::Summary,
            Self::Gap { .. } => Kind::Gap,
            Self::Operation { .. } => Kind::Operation,
            Self::Probe { .. } => Kind::Probe,
        }
    }

    /// The reason it gives, where something was refused or failed.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Opened { verdict, .. }
            | Self::Dialled { verdict, .. }
            | Self::Request { verdict, .. }
            | Self::Refused { verdict, .. } => verdict.reason(),
            Self::Failed { reason, .. } => Some(*reason),
            Self::Summary { reason, .. } => *reason,
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Policy { .. }
            | Self::Closed { .. }
            | Self::Gap { .. }
            | Self::Operation { .. }
            | Self::Probe { .. } => None,
        }
    }

    /// The verdict it records.
    pub const fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Opened { verdict, .. }
            | Self::Dialled { verdict, .. }
            | Self::Request { verdict, .. }
            | Self::Refused { verdict, .. } => Some(verdict),
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Policy { .. }
            | Self::Failed { .. }
            | Self::Closed { .. }
            | Self::Summary { .. }
            | Self::Gap { .. }
            | Self::Operation { .. }
            | Self::Probe { .. } => None,
        }
    }
}
