//! Entries that a report lists by themselves: as many as a table holds, and how many there were.

use crate::flow::Timestamp;
use crate::ledger::Record;

/// A list in the report is no longer than this; the rest is counted.
pub(super) const LIST_MAX: usize = 200;

/// An entry that is listed by itself: when, its reference, what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// When.
    pub at: Timestamp,
    /// `BOOT-SEQ`.
    pub reference: String,
    /// The texts that its table shows, in the table's order.
    pub texts: Vec<String>,
}

/// A list that is cut, and how many there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The first of them.
    pub listed: Vec<Listed>,
    /// All of them.
    pub count: u64,
}

impl List {
    pub(super) fn push(&mut self, record: &Record, texts: Vec<String>) {
        self.count += 1;
        if self.listed.len() < LIST_MAX {
            self.listed.push(Listed { at: record.at, reference: record.reference(), texts });
        }
    }
}
