//! What the ledger is told when it is opened, and why it could not be.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::batch::Bound;
use crate::appliance::{LedgerSettings, Limits, WhenUnwritable};
use crate::flow::Timestamp;

/// How the ledger is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its directory; made where it is not there.
    pub directory: PathBuf,
    /// What happens when it cannot be written.
    pub when_unwritable: WhenUnwritable,
    /// The longest an entry that nobody waits for stays unsynced.
    pub sync: Duration,
    /// A write and sync that takes longer makes the ledger unwritable.
    pub sync_timeout: Duration,
    /// Less free space than this, in bytes, makes the ledger unwritable.
    pub disk_reserve: u64,
    /// How many entries wait for the writer before an append waits.
    pub batch_entries: usize,
    /// How many bytes wait for the writer before an append waits.
    pub batch_size: usize,
    /// A segment that would grow beyond this many bytes is followed by a new one.
    pub segment_size: u64,
    /// The moment of the start; what is found on disk is recorded with it.
    pub started: Timestamp,
}

impl Settings {
    /// From the box file; `started` is the moment of the start.
    pub fn new(ledger: &LedgerSettings, limits: &Limits, started: Timestamp) -> Self {
        Self {
            directory: ledger.directory.clone(),
            when_unwritable: ledger.when_unwritable,
            sync: ledger.sync,
            sync_timeout: limits.sync_timeout,
            disk_reserve: limits.disk_reserve,
            batch_entries: 8192,
            batch_size: 4 << 20,
            segment_size: 64 << 20,
            started,
        }
    }

    pub(super) const fn bound(&self) -> Bound {
        Bound { count: self.batch_entries, size: self.batch_size }
    }
}

/// Why the ledger could not be opened.
#[derive(Debug)]
pub enum LedgerError {
    /// Another process writes it.
    Busy {
        /// The ledger's directory.
        directory: PathBuf,
    },
    /// The file system said no.
    Io {
        /// What was done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// What is on disk is no ledger that can be continued, and the box file says `refuse`.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first damaged line, from 1.
        line: u64,
    },
}

impl LedgerError {
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { doing, path, error }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { directory } => {
                write!(f, "the ledger in `{}` is written by another process", directory.display())
            }
            Self::Io { doing, path, error } => {
                write!(f, "cannot {doing} `{}`: {error}", path.display())
            }
            Self::Damaged { path, line } => write!(
                f,
                "`{}` is damaged at line {line}; keep the directory as evidence, move it away and start again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Busy { .. } | Self::Damaged { .. } => None,
        }
    }
}
