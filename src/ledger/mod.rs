//! The audit ledger: numbered JSON lines, one lock-ordered batch, one writer, group commit.
//!
//! A [`Receipt`] is made here and nowhere else; it is what a permit is claimed from.

mod entry;

pub use entry::{Body, ClientFacts, ConnectionId, Entry, Kind, PolicyDigest, RequestFacts};

use std::sync::Arc;

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
    seq: u64,
    boot: u64,
    kind: Kind,
    connection: Option<ConnectionId>,
    verdict: Option<Verdict>,
    kept: Kept,
}

impl Receipt {
    /// The entry's number.
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

/// The ledger cannot be written and the box file says `refuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritable;

/// A handle on the ledger; clones share one batch and one writer.
#[derive(Debug, Clone)]
pub struct Ledger {
    shared: Arc<()>,
}

impl Ledger {
    /// Numbers `entry` and places it in the batch. Waits only while the batch is full.
    ///
    /// # Errors
    /// [`Unwritable`] under `when_unwritable: refuse`; under `continue` the receipt is [`Kept::Waived`].
    pub async fn append(&self, entry: Entry) -> Result<Receipt, Unwritable> {
        todo!()
    }

    /// Waits until the entry of `receipt`, and so every earlier one, is on disk. At once where it is already
    /// durable or waived.
    ///
    /// # Errors
    /// [`Unwritable`] under `when_unwritable: refuse` when the sync fails or takes longer than `sync_timeout`.
    pub async fn sync(&self, receipt: Receipt) -> Result<Receipt, Unwritable> {
        todo!()
    }

    /// Records a refusal that needed no identity: 20 a minute per source and reason as entries of their own
    /// (then `Some(receipt)`), the rest counted into a summary (`None`).
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub async fn append_limited(
        &self,
        source: std::net::IpAddr,
        entry: Entry,
    ) -> Result<Option<Receipt>, Unwritable> {
        todo!()
    }

    /// This boot's number; grows by one at every start.
    pub fn boot(&self) -> u64 {
        todo!()
    }

    /// Whether entries can be written now.
    pub fn is_writable(&self) -> bool {
        todo!()
    }

    /// A number for a new client connection, unique within this boot.
    pub fn next_connection(&self) -> ConnectionId {
        todo!()
    }
}
