//! What the ledger gives back: a receipt, which cannot be made elsewhere nor used twice.

use super::entry::{ConnectionId, Kind};
use crate::flow::Timestamp;
use crate::verdict::Verdict;

/// How an entry was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is on disk: written and synced.
    Durable,
    /// It is numbered and placed in the batch.
    Queued,
    /// It could not be kept and the box file says `continue`: counted, a gap entry follows.
    Waived,
}

/// Proof that an entry was taken. Cannot be copied, cannot be made elsewhere.
#[derive(Debug)]
#[must_use = "a receipt is what a permit is claimed from"]
pub struct Receipt {
    pub(super) seq: u64,
    pub(super) boot: u64,
    pub(super) kind: Kind,
    pub(super) at: Timestamp,
    pub(super) connection: Option<ConnectionId>,
    pub(super) verdict: Option<Verdict>,
    pub(super) kept: Kept,
}

impl Receipt {
    /// The entry's number; of a waived entry that was never numbered, the number of the gap entry that
    /// will stand for it.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The reference shown outside, `BOOT-SEQ`.
    pub fn reference(&self) -> String {
        format!("{}-{}", self.boot, self.seq)
    }

    /// What kind of entry it was.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The connection it speaks of.
    pub const fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// The verdict it recorded.
    pub const fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// How it was kept.
    pub const fn kept(&self) -> Kept {
        self.kept
    }
}

/// The ledger cannot be written and the box file says `refuse`; or it is closed, or its writer is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritable;

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the ledger cannot be written")
    }
}

impl std::error::Error for Unwritable {}
