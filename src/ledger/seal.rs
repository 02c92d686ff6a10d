//! The end of a ledger's life: the disposal is its last entry, a checkpoint covers it, the signing key is destroyed, and
//! a file says so. Whoever has the directory and the public key can verify it as before; nobody can add to it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::entry::{Body, Entry, PolicyDigest};
use super::file;
use super::key;
use super::note::Checkpoint;
use super::reading::stretches;
use super::settings::{LedgerError, Settings};
use super::{Ledger, Unwritable};
use crate::flow::Timestamp;
use crate::policy::Masked;

/// The file that says so.
const NAME: &str = "sealed";

/// Who seals, and under which law the box ran last.
#[derive(Debug, Clone, Copy)]
pub struct Sealing {
    /// When.
    pub at: Timestamp,
    /// The law.
    pub policy: PolicyDigest,
    /// The user id of whoever seals.
    pub uid: u32,
    /// The process.
    pub pid: i32,
}

/// Why a ledger could not be sealed.
#[derive(Debug)]
pub enum SealError {
    /// It cannot be opened.
    Ledger(LedgerError),
    /// There is no ledger in the directory.
    Empty,
    /// It was not possible to write to it; nothing was destroyed.
    Unwritable,
    /// The key could not be destroyed, or the file that says so not be written.
    Io(io::Error),
}

impl std::fmt::Display for SealError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ledger(error) => error.fmt(f),
            Self::Empty => f.write_str("there is no ledger to seal"),
            Self::Unwritable => {
                f.write_str("the ledger could not be written; nothing was destroyed")
            }
            Self::Io(error) => write!(f, "the signing key could not be destroyed: {error}"),
        }
    }
}

impl std::error::Error for SealError {}

/// Whether a ledger was sealed.
pub(super) fn is_sealed(directory: &Path) -> bool {
    directory.join(NAME).exists()
}

/// Seals the ledger. Every step can be done again after a crash: the entries are there before the key goes, and the
/// key is gone before the file says so.
///
/// # Errors
/// [`SealError`].
pub async fn seal(settings: Settings, sealing: Sealing) -> Result<Checkpoint, SealError> {
    let (directory, state) = (settings.directory.clone(), settings.state.clone());
    if stretches(&directory).map_err(SealError::Io)?.is_empty() {
        return Err(SealError::Empty);
    }
    let ledger = Ledger::open(settings).map_err(SealError::Ledger)?;
    let Sealing { at, policy, uid, pid } = sealing;
    let entry = |body| Entry { at, policy, connection: None, body };
    let disposal = Body::Operation {
        call: Masked::own("seal"),
        uid: Some(uid),
        pid: Some(pid),
        outcome: Masked::own("done"),
        detail: vec![Masked::own(
            "the signing key is destroyed after the checkpoint of this entry",
        )],
    };
    let unwritable = |Unwritable| SealError::Unwritable;
    let _receipt = ledger.append(&entry(disposal)).await.map_err(unwritable)?;
    let stop = Body::Stop { cause: Masked::own("sealed") };
    let watched = ledger.clone();
    let _receipt = ledger.close(entry(stop)).await.map_err(unwritable)?;
    let found = watched.stats();
    let last = found.checkpoint.filter(|checkpoint| checkpoint.size == found.durable);
    let last = last.ok_or(SealError::Unwritable)?;
    destroy(&state.join(key::SECRET)).map_err(SealError::Io)?;
    let text = format!("sekisho.sealed/1\nat {at}\n{last}");
    file::replace(&directory.join(NAME), 0o640, text.as_bytes()).map_err(SealError::Io)?;
    Ok(last)
}

/// Overwrites a file, as far as its disk does that in place, and removes it.
fn destroy(path: &Path) -> io::Result<()> {
    let length = usize::try_from(fs::metadata(path)?.len()).unwrap_or(0);
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    fs::remove_file(path)?;
    file::sync_parent(path)
}
