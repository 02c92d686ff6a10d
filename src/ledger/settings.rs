//! What the ledger is told when it is opened, and why it could not be.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::batch::Bound;
use super::note::NoteError;
use crate::appliance::{Appliance, WhenUnwritable};
use crate::flow::{Name, Timestamp};

/// How the ledger is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its directory; made where it is not there.
    pub directory: PathBuf,
    /// Where its key and the copy of its head lie; made where it is not there.
    pub state: PathBuf,
    /// The box's name, after which a new ledger is named.
    pub appliance: Name,
    /// How long the lines of a closed segment are kept, in whole days of 24 hours.
    pub retain: Duration,
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
    pub fn new(appliance: &Appliance, started: Timestamp) -> Self {
        let (ledger, limits) = (&appliance.ledger, &appliance.limits);
        Self {
            directory: ledger.directory.clone(),
            state: appliance.state.clone(),
            appliance: appliance.name.clone(),
            retain: ledger.retain,
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
    /// It was sealed: its life is over.
    Sealed {
        /// The ledger's directory.
        directory: PathBuf,
    },
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
    /// The key's file holds no key.
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        error: NoteError,
    },
    /// What is on disk is no ledger that can be continued, and the box file says `refuse`.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first damaged line, from 1.
        line: u64,
    },
    /// Entries that must be there are not, and the box file says `refuse`.
    Missing {
        /// The ledger's directory.
        directory: PathBuf,
        /// The first one that is missing.
        entry: u64,
    },
    /// There are fewer entries than a checkpoint has signed, and the box file says `refuse`.
    RolledBack {
        /// The ledger's directory.
        directory: PathBuf,
        /// How many entries were signed.
        signed: u64,
        /// The last one that is there.
        last: u64,
    },
    /// The entries are not those that a checkpoint has signed, and the box file says `refuse`.
    Forked {
        /// The ledger's directory.
        directory: PathBuf,
        /// How many entries the checkpoint covers.
        size: u64,
    },
    /// The newest checkpoint is not signed by this box's key, and the box file says `refuse`.
    Foreign {
        /// The ledger's directory.
        directory: PathBuf,
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

    pub(super) fn key(path: impl Into<PathBuf>) -> impl FnOnce(NoteError) -> Self {
        let path = path.into();
        move |error| Self::Key { path, error }
    }

    /// Why what is on disk cannot be continued, as a gap entry says it; `None` where it is not the ledger's fault.
    pub(super) const fn damage(&self) -> Option<&'static str> {
        match self {
            Self::Sealed { .. } | Self::Busy { .. } | Self::Io { .. } | Self::Key { .. } => None,
            Self::Damaged { .. } => Some("damaged line"),
            Self::Missing { .. } => Some("missing segment"),
            Self::RolledBack { .. } => Some("rolled back"),
            Self::Forked { .. } => Some("forked"),
            Self::Foreign { .. } => Some("foreign key"),
        }
    }
}

/// What is to be done with a ledger that cannot be continued.
const REMEDY: &str = "keep the directory as evidence: move it away, with `ledger.key`, `ledger.pub` and `ledger.head` of the state directory, and start again";

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed { directory } => write!(
                f,
                "the ledger in `{}` was sealed and takes no more entries; to run this box again, name another `ledger.directory` and another `state`",
                directory.display()
            ),
            Self::Busy { directory } => {
                write!(f, "the ledger in `{}` is written by another process", directory.display())
            }
            Self::Io { doing, path, error } => {
                write!(f, "cannot {doing} `{}`: {error}", path.display())
            }
            Self::Key { path, error } => {
                write!(f, "`{}` holds no key of a ledger: {error}", path.display())
            }
            Self::Damaged { path, line } => {
                write!(f, "`{}` is damaged at line {line}; {REMEDY}", path.display())
            }
            Self::Missing { directory, entry } => {
                write!(f, "entry {entry} is missing in `{}`; {REMEDY}", directory.display())
            }
            Self::RolledBack { directory, signed, last } => write!(
                f,
                "the ledger in `{}` was rolled back: {signed} entries were signed, the last one there is {last}; {REMEDY}",
                directory.display()
            ),
            Self::Forked { directory, size } => write!(
                f,
                "the ledger in `{}` is forked: its first {size} entries are not those that were signed; {REMEDY}",
                directory.display()
            ),
            Self::Foreign { directory } => write!(
                f,
                "the newest checkpoint in `{}` is not signed by this box's key; {REMEDY}",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for LedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Key { error, .. } => Some(error),
            Self::Sealed { .. }
            | Self::Busy { .. }
            | Self::Damaged { .. }
            | Self::Missing { .. }
            | Self::RolledBack { .. }
            | Self::Forked { .. }
            | Self::Foreign { .. } => None,
        }
    }
}
