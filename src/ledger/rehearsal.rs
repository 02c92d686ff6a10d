//! What a self-test has recorded, for the self-test to look at. Its entries stand in the ledger among all others, in
//! their order; they are flagged `selftest`. No files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::Kind;
use crate::verdict::Reason;

/// As many entries are remembered; a self-test leaves a few dozen.
const NOTED_MAX: usize = 4096;

/// The entries of one self-test; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    noted: Arc<Mutex<Vec<Noted>>>,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// Its number.
    pub seq: u64,
    /// Its kind.
    pub kind: Kind,
    /// The reason it gives.
    pub reason: Option<Reason>,
}

impl Rehearsal {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.noted().len()
    }

    /// Those after the first `count`.
    pub fn since(&self, count: usize) -> Vec<Noted> {
        self.noted().iter().skip(count).copied().collect()
    }

    pub(super) fn note(&self, noted: Noted) {
        let mut all = self.noted();
        if all.len() < NOTED_MAX {
            all.push(noted);
        }
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Noted>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
