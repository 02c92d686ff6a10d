//! The only reader of law directories, certificates and revocation lists; and the archive of accepted laws.
//!
//! Files may change while they are read. Everything is therefore read twice, after the youngest file has come to
//! rest, and only what was the same both times is believed; a mixture is a fault, and the old law stays.
//! Nothing here watches anything: who reloads, and when, is for the service to say.

mod archive;
mod desk;
mod law;
mod material;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use archive::Archive;
pub use law::{digest, load_law};

use desk::Desk;

use crate::appliance::{self, Appliance};
use crate::flow::Name;
use crate::ledger::PolicyDigest;
use crate::policy::{self, Law};
use crate::tls::{Credential, TrustStore};
use crate::yaml::{Fault, Faults, SourceFile};

/// How often a reading is begun anew because files changed under it.
const TRIES: u32 = 8;
/// The pause before a reading is begun anew.
const PAUSE: Duration = Duration::from_millis(25);

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
    /// The box file (first), the law's files and the public certificate files, as read: what the archive keeps.
    pub files: Vec<SourceFile>,
}

/// Reads box and law from disk. Blocks, at most about a second; what somebody should look at is added to the law's warnings.
///
/// # Errors
/// Every fault in one go.
pub fn load(box_file: &Path) -> Result<Loaded, Faults> {
    settled(|desk| understand(desk, box_file))
}

/// Reads until two readings agree.
fn settled<T>(read: impl Fn(&mut Desk) -> Result<T, Faults>) -> Result<T, Faults> {
    for _ in 0..TRIES {
        let mut desk = Desk::disk();
        let outcome = read(&mut desk);
        if desk.is_unchanged() {
            return outcome;
        }
        std::thread::sleep(PAUSE);
    }
    let message = "the files kept changing while they were read";
    let fault = Fault::nowhere("files_changing", message);
    Err(Faults(vec![fault.remedy("try again when whoever writes them is done")]))
}

/// Box, law and certificates as the desk has them.
fn understand(desk: &mut Desk, box_file: &Path) -> Result<Loaded, Faults> {
    let file = law::box_file(desk, box_file)?;
    let appliance = appliance::understand(&file)?;
    let mut faults = Faults::new();
    let certificates = material::certificates(desk, &appliance.certificates, &mut faults);
    let files = law::files(desk, &appliance.policies, &file);
    let law = files.and_then(|files| {
        let digest = digest(&files);
        policy::understand(&files, Some(&appliance)).map(|law| (law, files, digest))
    });
    let (mut law, files, digest) = match law {
        Ok(read) => read,
        Err(more) => {
            faults.extend(more);
            return Err(faults.sorted());
        }
    };
    let trust = material::trust(desk, &law.engine.model().trust, &mut faults);
    if !faults.is_sound() {
        return Err(faults.sorted());
    }
    law.warnings.extend(faults);
    let files = [vec![file], files, desk.public()].concat();
    Ok(Loaded { appliance, law, trust, certificates, digest, files })
}
