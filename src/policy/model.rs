//! What the operator MEANT: the law with every name resolved and every value in a type that cannot be
//! wrong. Made by `resolve`, consumed by `compile` and the proofs. No texts, no engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use super::example::{Expectation, Flaw, Scenario, ScenarioFlow};
pub use super::guardrail::{Encryption, Guardrail, Guardrails, RoundTrip};

use crate::flow::{Host, Identity, Method, Name, Timestamp};
use crate::yaml::Place;

/// The whole law.
#[derive(Debug, Clone)]
pub struct Model {
    /// The time zone in which dates without a time are read.
    pub timezone: Zone,
    /// 電算結合記録票.
    pub interconnection: Interconnection,
    /// What is proven on paper.
    pub documents: BTreeMap<Name, Document>,
    /// The council's decisions that rules and endpoints stand on.
    pub approvals: BTreeMap<Name, Approval>,
    /// Where public addresses are registered, if a file says it.
    pub geography: Option<Geography>,
    /// What no rule may widen.
    pub guardrails: Guardrails,
    /// Where endpoints stand.
    pub sites: BTreeMap<Name, Site>,
    /// Certification authorities and their revocation lists.
    pub trust: BTreeMap<Name, Trust>,
    /// Everybody who takes part.
    pub systems: BTreeMap<Name, System>,
    /// The only ways to pass.
    pub rules: BTreeMap<Name, Rule>,
    /// Prepared exceptions for degraded operation (縮退運転); nothing is open by being written.
    pub declarations: BTreeMap<Name, Declaration>,
    /// The law's own tests.
    pub scenarios: Vec<Scenario>,
}

/// What the pinned geography file says of the addresses in the law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geography {
    /// The country of each public endpoint address that it knows, ISO 3166-1 alpha-2.
    pub countries: BTreeMap<IpAddr, String>,
    /// From when on it is too old to be believed: its own date and `age_max`.
    pub until: Timestamp,
    /// Where it is written.
    pub place: Place,
}

/// A prepared exception: while it is open its site may be dialled for its rules.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// Its title.
    pub title: Option<String>,
    /// The site that it opens.
    pub site: Name,
    /// The rules that it opens it for.
    pub rules: BTreeSet<Name>,
    /// The longest it may stay open.
    pub at_most: Duration,
    /// The approval it stands on.
    pub approval: Name,
    /// Where it is written.
    pub place: Place,
}

/// A fixed offset from UTC, in seconds east. `Asia/Tokyo` is +09:00: Japan has kept no daylight saving time since 1952.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset: i32,
}

/// The interconnection record.
#[derive(Debug, Clone)]
pub struct Interconnection {
    /// 業務登録番号; blank in the seed.
    pub business_number: Option<String>,
    /// The section in charge.
    pub section: String,
    /// The name of the interconnection.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// 相手方.
    pub counterparties: Vec<String>,
    /// Categories of data, as written.
    pub categories: Vec<String>,
    /// 結合年月日, 00:00 in the law's time zone: nothing passes before it.
    pub connection_date: Timestamp,
    /// Where it is written.
    pub place: Place,
}

/// A document that proves something.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its title.
    pub title: Option<String>,
    /// The clause it proves.
    pub clause: String,
    /// Where it is kept.
    pub reference: String,
    /// When it ends, exclusive.
    pub until: Option<Timestamp>,
    /// Where it is written.
    pub place: Place,
}

/// From when until when something holds: `since` inclusive, `until` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The moment at which it no longer holds.
    pub until: Option<Timestamp>,
}

/// A decision of the council.
#[derive(Debug, Clone)]
pub struct Approval {
    /// 諮問.
    pub consultation: String,
    /// 答申, when there is one.
    pub opinion: Option<String>,
    /// The approval it amends.
    pub amends: Option<Name>,
    /// When it holds.
    pub period: Period,
    /// Where it is written.
    pub place: Place,
}

/// Where endpoints stand.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its title.
    pub title: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// When it may be dialled.
    pub dial: Dial,
    /// The document that proves where it is.
    pub evidence: Name,
    /// The longest round trip that fits it.
    pub round_trip_max: Option<Duration>,
    /// Where it is written.
    pub place: Place,
}

/// When the endpoints of a site may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// At any time.
    Always,
    /// Only while a declaration is open.
    Declared,
    /// Never.
    Never,
}

/// A certification authority and what is known of revocations.
#[derive(Debug, Clone)]
pub struct Trust {
    /// PEM files of the roots; the path is already joined with the folder of the file that has it.
    pub roots: PathBuf,
    /// Its revocation lists.
    pub revocation: RevocationLists,
    /// Where it is written.
    pub place: Place,
}

/// How revocation is known.
#[derive(Debug, Clone)]
pub enum RevocationLists {
    /// Files with lists, PEM or DER, joined like the roots. All of them are read.
    Lists(Vec<PathBuf>),
    /// There is none, and why.
    NotKept(String),
}

/// The side of the line that a system stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The union's.
    Union,
    /// The coordinating bodies'.
    Center,
}

/// One who takes part.
#[derive(Debug, Clone)]
pub struct System {
    /// Its title, mostly Japanese.
    pub title: Option<String>,
    /// Its side.
    pub side: Side,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The addresses it has besides its endpoints.
    pub addresses: Vec<IpNet>,
    /// The names its certificates carry.
    pub identities: Vec<Identity>,
    /// How it is reached, if at all.
    pub upstream: Option<Upstream>,
    /// Where it is written.
    pub place: Place,
}

/// How a system is reached.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The name that clients ask for and that its certificate must carry.
    pub server_name: Host,
    /// The line (of the box) it is dialled on.
    pub line: Name,
    /// The trust its certificate must chain to.
    pub trust: Name,
    /// The certificate (of the box) that is shown to it.
    pub certificate: Name,
    /// The most connections of this box to each of its endpoints.
    pub connections: Option<u32>,
    /// Where it stands, in order of preference; never empty.
    pub endpoints: Vec<Endpoint>,
    /// Where `line` is written, for faults against the box.
    pub line_place: Place,
    /// Where `certificate` is written, for faults against the box.
    pub certificate_place: Place,
}

/// One socket address of a system.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address.
    pub address: SocketAddr,
    /// The site it stands at.
    pub site: Name,
    /// The approval it stands on.
    pub approval: Name,
    /// A narrower period of its own.
    pub period: Period,
    /// Where it is written.
    pub place: Place,
}

/// The protocols that a rule can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP over TLS, each request judged.
    Https,
    /// Any bytes over TLS, terminated and re-originated.
    Tls,
    /// Any bytes over TLS that is not terminated: only its `ClientHello` is read.
    TlsPassthrough,
    /// Any bytes; the destination is known by its address alone.
    Tcp,
}

impl Protocol {
    /// As in the law's files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Tls => "tls",
            Self::TlsPassthrough => "tls_passthrough",
            Self::Tcp => "tcp",
        }
    }

    /// Whether nobody here can read what is inside.
    pub const fn is_opaque(self) -> bool {
        matches!(self, Self::TlsPassthrough | Self::Tcp)
    }
}

/// One way to pass.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its title.
    pub title: Option<String>,
    /// The approval it stands on.
    pub approval: Name,
    /// A narrower period of its own.
    pub period: Period,
    /// The listener it holds on; any where `None`.
    pub listener: Option<Name>,
    /// The systems it holds for.
    pub from: BTreeSet<Name>,
    /// The system it leads to.
    pub to: Name,
    /// What it speaks.
    pub protocol: Protocol,
    /// For `https`: what may be asked.
    pub http: Option<Http>,
    /// Whether individual numbers may go this way.
    pub individual_number: IndividualNumber,
    /// A connection that is idle for longer is closed; the box's where `None`.
    pub idle_timeout: Option<Duration>,
    /// An upstream that takes longer is given up; the box's where `None`.
    pub response_timeout: Option<Duration>,
    /// Whether what does not fit its request facts is refused or only recorded.
    pub enforcement: Enforcement,
    /// Whether a request may switch to another protocol (RFC 9110 §7.8).
    pub upgrade: bool,
    /// Where it is written.
    pub place: Place,
}

/// What a rule does about requests that do not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// They are refused.
    Enforce,
    /// They pass and are recorded as *would deny*. Only method, path and upgrade (and content) are relaxed.
    Observe,
}

/// What the rule says about individual numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndividualNumber {
    /// They may pass (the lawful case toward the intermediate server).
    Permitted,
    /// They are looked for, and may not pass.
    Forbidden,
    /// Nobody looks.
    Unseen,
}

/// The request facts of an `https` rule.
#[derive(Debug, Clone)]
pub struct Http {
    /// The methods; never empty.
    pub methods: BTreeSet<Method>,
    /// The path patterns; never empty.
    pub paths: Vec<PathPattern>,
}

/// A path pattern: `*` is one segment, `**` (last only) one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// The segments before a last `**`.
    pub segments: Vec<SegmentPattern>,
    /// Whether `**` ends it.
    pub rest: bool,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentPattern {
    /// This very text, in normal form.
    Literal(Box<str>),
    /// `*`: any one segment that is not empty.
    Any,
}

impl fmt::Display for PathPattern {
    /// As it is written: `/exchange/**`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                SegmentPattern::Literal(text) => write!(f, "/{text}")?,
                SegmentPattern::Any => f.write_str("/*")?,
            }
        }
        if self.rest { f.write_str("/**") } else { Ok(()) }
    }
}
