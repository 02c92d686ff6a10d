//! The guardrails as they are MEANT: what no rule can widen. What they come to for a flow is in the engine, what they
//! forbid a law to say in the proofs.

use std::collections::BTreeSet;

use crate::flow::{Name, TlsVersion};
use crate::yaml::Place;

/// The guardrails, each present only where written.
#[derive(Debug, Clone, Default)]
pub struct Guardrails {
    /// The only systems that may be a destination.
    pub destinations: Option<Guardrail<BTreeSet<Name>>>,
    /// The systems that may never open a connection.
    pub reverse_access: Option<Guardrail<BTreeSet<Name>>>,
    /// The countries in which endpoints may stand, ISO 3166-1 alpha-2.
    pub residency: Option<Guardrail<BTreeSet<String>>>,
    /// What `residency` does about a round trip that is too long for its site.
    pub round_trip: RoundTrip,
    /// The systems toward which no individual number may go.
    pub content: Option<Guardrail<BTreeSet<Name>>>,
    /// TLS on both legs.
    pub encryption: Option<Guardrail<Encryption>>,
}

/// What is done about a round trip that is longer than the site permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoundTrip {
    /// It is measured and reported.
    #[default]
    Observe,
    /// It is refused.
    Enforce,
}

/// One guardrail: what it says, the clause it comes from, where it is written.
#[derive(Debug, Clone)]
pub struct Guardrail<T> {
    /// What it says.
    pub what: T,
    /// The clause behind it.
    pub clause: Option<String>,
    /// Where it is written.
    pub place: Place,
}

/// The `encryption` guardrail.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// The permitted versions; never empty, only 1.2 and 1.3.
    pub versions: BTreeSet<TlsVersion>,
    /// Whether both sides must show a certificate.
    pub mutual: bool,
    /// Whether TLS may pass unterminated.
    pub passthrough: bool,
}
