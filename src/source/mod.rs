//! The only reader of law directories, certificates and revocation lists; and the archive of accepted laws.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::appliance::Appliance;
use crate::flow::Name;
use crate::ledger::PolicyDigest;
use crate::policy::Law;
use crate::tls::{Credential, TrustStore};
use crate::yaml::{Fault, Faults, SourceFile};

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

/// Reads the files of a law, `*.yaml` in name order.
///
/// # Errors
/// Every file that cannot be read.
pub fn load_law(directory: &Path) -> Result<Vec<SourceFile>, Faults> {
    let names =
        law_files(directory).map_err(|error| Faults::from(unreadable(directory, &error)))?;
    let mut faults = Faults::new();
    let mut files = Vec::with_capacity(names.len());
    for path in names {
        match load_file(&path) {
            Ok(file) => files.push(file),
            Err(error) => faults.push(unreadable(&path, &error)),
        }
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

fn law_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    Ok(paths)
}

fn load_file(path: &Path) -> io::Result<SourceFile> {
    // One byte more than is read as YAML, so that what is too large is seen to be.
    let bound = u64::try_from(SourceFile::BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    Ok(SourceFile { name: path.to_string_lossy().into(), bytes: bytes.into() })
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::nowhere("unreadable", format!("`{}` cannot be read: {error}", path.display()))
}
