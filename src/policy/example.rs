//! The law's own tests as they are MEANT: the facts that a scenario names and the answer it expects. How a flow is made
//! of them, and how it is judged, is in `scenario`.

use std::net::{IpAddr, SocketAddr};

use crate::flow::{Identity, Method, Name, Timestamp, TlsVersion};
use crate::verdict::Reason;
use crate::yaml::Place;

/// One test of the law by itself.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it shows.
    pub title: String,
    /// The facts that are named.
    pub flow: ScenarioFlow,
    /// The answer that is due.
    pub expect: Expectation,
    /// Where it is written.
    pub place: Place,
}

/// The facts of a scenario; what is not named takes the most favourable value.
#[derive(Debug, Clone, Default)]
pub struct ScenarioFlow {
    /// The source address.
    pub from: Option<IpAddr>,
    /// The address it was opened to.
    pub to_address: Option<SocketAddr>,
    /// The listener.
    pub listener: Option<Name>,
    /// Names in the client certificate.
    pub identities: Vec<Identity>,
    /// What is wrong with the client certificate.
    pub flaw: Option<Flaw>,
    /// The destination.
    pub to: Option<Name>,
    /// The server name asked for; the destination's where `None`.
    pub server_name: Option<String>,
    /// The request's host; the server name where `None`.
    pub host: Option<String>,
    /// The method.
    pub method: Option<Method>,
    /// The path.
    pub path: Option<String>,
    /// Whether the request asks for another protocol.
    pub upgrade: bool,
    /// The endpoint dialled.
    pub endpoint: Option<SocketAddr>,
    /// Whether the upstream turns out to be somebody else.
    pub stranger: bool,
    /// The TLS version.
    pub tls: Option<TlsVersion>,
    /// The declarations that are open.
    pub declared: Vec<Name>,
    /// When.
    pub at: Option<Timestamp>,
}

/// What can be wrong with a client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// There is none.
    Absent,
    /// It does not chain to the trust.
    Untrusted,
    /// It has ended.
    Expired,
    /// It is on a revocation list.
    Revoked,
    /// No list covers it.
    Unlisted,
}

/// What a scenario expects.
#[derive(Debug, Clone)]
pub enum Expectation {
    /// Allowed by this rule.
    Allow(Name),
    /// Refused for this reason.
    Deny(Reason),
    /// Allowed only because its rule observes, which else would refuse for this reason.
    WouldDeny(Reason),
}
