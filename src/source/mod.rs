//! The only reader of law directories, certificates and revocation lists; and the archive of accepted laws.

use std::collections::BTreeMap;
use std::path::Path;

use crate::appliance::Appliance;
use crate::flow::Name;
use crate::ledger::PolicyDigest;
use crate::policy::Law;
use crate::tls::{Credential, TrustStore};
use crate::yaml::{Faults, SourceFile};

/// Everything a snapshot is built from, read in one go.
#[derive(Debug)]
pub struct Loaded {
    /// The box.
    pub appliance: Appliance,
    /// The law.
    pub law: Law,
    /// The law's trust, parsed.
    pub trust: BTreeMap<Name, TrustStore>,
    /// The box's certificates, parsed.
    pub certificates: BTreeMap<Name, Credential>,
    /// SHA-256 over names and bytes of the law's files.
    pub digest: PolicyDigest,
    /// The box file, the law's files and the public certificate files, as read: what the archive keeps.
    pub files: Vec<SourceFile>,
}

/// Reads box and law from disk.
///
/// # Errors
/// Every fault in one go.
pub fn load(box_file: &Path) -> Result<Loaded, Faults> {
    todo!()
}
