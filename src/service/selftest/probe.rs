//! The probes. A control that is new adds its own here: a row of the table, and who tries what.

use std::net::IpAddr;

use super::papers::Papers;
use super::passage::{Passage, address};
use crate::policy::model::{Guardrails, RevocationLists};
use crate::source::Loaded;
use crate::tls::Credential;
use crate::verdict::Reason;

/// One probe.
#[derive(Debug)]
pub(super) struct Probe {
    /// Its name: stable, in ledger, metrics and report.
    pub(super) name: &'static str,
    /// What it tries.
    pub(super) title: &'static str,
    /// The answer that is due.
    pub(super) expected: Expected,
    /// The clause behind its guardrail, as the law names it.
    pub(super) clause: fn(&Guardrails) -> Option<&String>,
    /// Who tries it.
    pub(super) who: fn(&Cast<'_>) -> Result<Caller, Absent>,
    /// Under which law.
    pub(super) under: Under,
}

/// The answer that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It passes.
    Allow,
    /// It is refused, for this reason.
    Deny(Reason),
}

impl Expected {
    /// The code.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(reason) => reason.code(),
        }
    }
}

/// Which twin of the law in force is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    /// The law with its sites where they are.
    Home,
    /// The law with its sites abroad.
    Abroad,
}

/// Who is there to try something.
#[derive(Debug)]
pub(super) struct Cast<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) passage: &'a Passage,
    pub(super) papers: &'a Papers,
}

/// Who tries.
#[derive(Debug)]
pub(super) struct Caller {
    /// The address that is judged.
    pub(super) source: IpAddr,
    /// What is shown.
    pub(super) credential: Credential,
}

/// Why nobody can try.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// The law does not ask for the control.
    NotInLaw(String),
    /// It ought to be there, and is not.
    Missing(String),
}

/// Every probe, in the order in which they are tried: what has to pass first, since what is refused proves nothing where
/// nothing passes; what lies abroad last.
pub(super) const PROBES: &[Probe] = &[
    Probe {
        name: "allowed_passage",
        title: "規則で許された通過",
        expected: Expected::Allow,
        clause: |rails| rails.destinations.as_ref()?.clause.as_ref(),
        who: |cast| Ok(cast.caller(&cast.papers.caller)),
        under: Under::Home,
    },
    Probe {
        name: "unknown_source",
        title: "登録のないアドレスからの接続",
        expected: Expected::Deny(Reason::UnknownSource),
        clause: |rails| rails.destinations.as_ref()?.clause.as_ref(),
        who: |cast| cast.stranger(),
        under: Under::Home,
    },
    Probe {
        name: "reverse_access_by_address",
        title: "逆方向の接続（アドレス）",
        expected: Expected::Deny(Reason::ReverseAccess),
        clause: |rails| rails.reverse_access.as_ref()?.clause.as_ref(),
        who: |cast| cast.reversed_by_address(),
        under: Under::Home,
    },
    Probe {
        name: "reverse_access_by_identity",
        title: "逆方向の接続（証明書）",
        expected: Expected::Deny(Reason::ReverseAccess),
        clause: |rails| rails.reverse_access.as_ref()?.clause.as_ref(),
        who: |cast| cast.reversed_by_identity(),
        under: Under::Home,
    },
    Probe {
        name: "revoked_certificate",
        title: "失効した証明書による接続",
        expected: Expected::Deny(Reason::CertificateRevoked),
        clause: |rails| rails.encryption.as_ref()?.clause.as_ref(),
        who: |cast| cast.revoked(),
        under: Under::Home,
    },
    Probe {
        name: "foreign_endpoint",
        title: "国外にある接続先",
        expected: Expected::Deny(Reason::OutsideCountry),
        clause: |rails| rails.residency.as_ref()?.clause.as_ref(),
        who: |cast| Ok(cast.caller(&cast.papers.caller)),
        under: Under::Abroad,
    },
];

/// Addresses for documentation (RFC 5737, RFC 3849), which nobody has.
const STRANGERS: [&str; 4] = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"];

impl Cast<'_> {
    /// The system that may ask, with this certificate.
    fn caller(&self, credential: &Credential) -> Caller {
        Caller { source: self.passage.source, credential: credential.clone() }
    }

    fn stranger(&self) -> Result<Caller, Absent> {
        let engine = &self.loaded.law.engine;
        let addresses = STRANGERS.iter().filter_map(|text| text.parse::<IpAddr>().ok());
        let source = addresses.into_iter().find(|address| engine.system_of(*address).is_none());
        let missing = || Absent::Missing("every address belongs to a system".to_owned());
        let credential = self.papers.caller.clone();
        Ok(Caller { source: source.ok_or_else(missing)?, credential })
    }

    fn reversed_by_address(&self) -> Result<Caller, Absent> {
        let (system, credential) = self.papers.reversed.as_ref().ok_or_else(nobody)?;
        let unknown = || Absent::NotInLaw(format!("system `{system}` has no address of its own"));
        let source = address(self.loaded, system).ok_or_else(unknown)?;
        Ok(Caller { source, credential: credential.clone() })
    }

    fn reversed_by_identity(&self) -> Result<Caller, Absent> {
        let (_, credential) = self.papers.reversed.as_ref().ok_or_else(nobody)?;
        Ok(self.caller(credential))
    }

    fn revoked(&self) -> Result<Caller, Absent> {
        let trust = self.loaded.law.engine.model().trust.get(&self.passage.clients);
        match trust.map(|trust| &trust.revocation) {
            Some(RevocationLists::NotKept(why)) => {
                let name = &self.passage.clients;
                Err(Absent::NotInLaw(format!("trust `{name}` keeps no revocation list: {why}")))
            }
            Some(RevocationLists::Lists(_)) | None => Ok(self.caller(&self.papers.revoked)),
        }
    }
}

fn nobody() -> Absent {
    Absent::Missing("the law names no system that may never initiate".to_owned())
}
