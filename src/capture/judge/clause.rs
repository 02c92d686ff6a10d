//! Which guardrail a refusal speaks for, and the clause behind it. Says nothing of whether to refuse.

use crate::policy::model::{Guardrail, Guardrails};
use crate::verdict::Reason;

/// A guardrail that was run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken<'a> {
    /// Its key in the law.
    pub guardrail: &'static str,
    /// The clause that the law gives for it.
    pub clause: Option<&'a str>,
}

/// The guardrail behind `reason`, where the law has it.
pub(super) fn broken(
    guardrails: &Guardrails,
    reason: Reason,
    in_clear: bool,
) -> Option<Broken<'_>> {
    match reason {
        Reason::ReverseAccess => named("reverse_access", guardrails.reverse_access.as_ref()),
        Reason::DestinationNotListed => named("destinations", guardrails.destinations.as_ref()),
        Reason::OutsideCountry | Reason::CountryUnknown | Reason::RoundTrip => {
            named("residency", guardrails.residency.as_ref())
        }
        Reason::IndividualNumber | Reason::ContentUnreadable => {
            named("content", guardrails.content.as_ref())
        }
        Reason::TlsVersion | Reason::IdentityMissing => {
            named("encryption", guardrails.encryption.as_ref())
        }
        Reason::Protocol if in_clear => named("encryption", guardrails.encryption.as_ref()),
        Reason::Protocol
        | Reason::UnknownSource
        | Reason::UnknownDestination
        | Reason::NoRule
        | Reason::Listener
        | Reason::IdentityUnknown
        | Reason::IdentityMismatch
        | Reason::CertificateRevoked
        | Reason::RevocationUnknown
        | Reason::CertificateExpired
        | Reason::CertificateInvalid
        | Reason::HostMismatch
        | Reason::Method
        | Reason::Path
        | Reason::Upgrade
        | Reason::BeforeConnectionDate
        | Reason::BeforeApproval
        | Reason::AfterApproval
        | Reason::SiteNotDeclared
        | Reason::MalformedRequest
        | Reason::Handshake
        | Reason::Timeout
        | Reason::Limit
        | Reason::LedgerUnwritable
        | Reason::UpstreamUnreachable
        | Reason::UpstreamIdentity
        | Reason::UpstreamFailed
        | Reason::Draining => None,
    }
}

fn named<'a, T>(guardrail: &'static str, written: Option<&'a Guardrail<T>>) -> Option<Broken<'a>> {
    Some(Broken { guardrail, clause: written?.clause.as_deref() })
}
