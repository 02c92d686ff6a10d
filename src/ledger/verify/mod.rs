//! Whether a ledger is what it was: every line hashed into the tree, every signed checkpoint and every head that an
//! outsider holds compared at its size. Needs the directory and the public key; streams, in bounded memory.
//!
//! The honest claim: nothing older than the oldest checkpoint that is held elsewhere can have been changed unseen.
//! Whoever has the signing key can sign another history; only a witness outside shows that.

mod claim;
mod locate;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;

pub(super) use claim::Notes;
pub use claim::{Held, Witness, held_in};
pub use walk::{Progress, verify};

use super::tree::Hash;

/// What was done to a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// A line is not what it was.
    Altered,
    /// A line is not there.
    Removed,
    /// A line is there that was not.
    Inserted,
    /// A line stands in another place.
    Reordered,
    /// The last lines are not there.
    CutTail,
    /// There are two histories.
    Forked,
    /// An older state was put in the place of a newer one.
    RolledBack,
    /// A checkpoint is not signed by the key.
    ForeignKey,
}

impl Harm {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::CutTail => "cut_tail",
            Self::Forked => "forked",
            Self::RolledBack => "rolled_back",
            Self::ForeignKey => "foreign_key",
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A line of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file's name in the directory.
    pub file: String,
    /// Which line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The first damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What was done.
    pub harm: Harm,
    /// The number of the first entry that is damaged, or of the first that may be.
    pub seq: u64,
    /// The last entry that may be the first damaged one; for [`Harm::CutTail`] the last that is missing.
    pub last: u64,
    /// The first entry that no root proves.
    pub since: u64,
    /// Whether it is this very line. Otherwise every line between `since` and `last` may be it.
    pub exact: bool,
    /// Where the entry `seq` stands, or should.
    pub place: Place,
}

/// Why something cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Nothing is signed.
    NoCheckpoint,
    /// A line after the newest checkpoint is not as the hash beside it has it.
    UnsignedDiffers,
    /// An outsider's head is older than what is kept.
    WitnessUnkept,
}

impl Doubt {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoCheckpoint => "no_checkpoint",
            Self::UnsignedDiffers => "unsigned_differs",
            Self::WitnessUnkept => "witness_unkept",
        }
    }

    /// What it means.
    pub const fn english(self) -> &'static str {
        match self {
            Self::NoCheckpoint => "no checkpoint is there, so that nothing is proven",
            Self::UnsignedDiffers => {
                "a line after the newest checkpoint is not as the hash beside it has it"
            }
            Self::WitnessUnkept => {
                "a head that was given is older than what is kept, and cannot be compared"
            }
        }
    }
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Entries in order, those that are pruned included.
    pub entries: u64,
    /// Entries whose lines are gone in their time; the tree still covers them.
    pub pruned: u64,
    /// The size up to which signed checkpoints prove the entries.
    pub signed: u64,
    /// The root of that size.
    pub root: Option<Hash>,
    /// Signed checkpoints that fit.
    pub checkpoints: u64,
    /// Signed checkpoints inside of what is pruned, whose roots can no longer be computed.
    pub unkept: u64,
    /// Whether the last line is being written, or was torn.
    pub torn: bool,
    /// Gap entries.
    pub gaps: u64,
    /// Heads of outsiders that fit.
    pub witnesses: u64,
    /// The first damage of each kind of evidence: lines, checkpoints, witnesses. Empty where nothing is.
    pub damage: Vec<Damage>,
    /// What cannot be told.
    pub doubts: Vec<Doubt>,
}

/// How a verification ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that is signed is as it was.
    Intact,
    /// Something is not.
    Altered,
    /// It cannot be told.
    Incomplete,
}

impl Findings {
    /// Damage beats doubt.
    pub fn outcome(&self) -> Outcome {
        if !self.damage.is_empty() {
            Outcome::Altered
        } else if self.doubts.is_empty() {
            Outcome::Intact
        } else {
            Outcome::Incomplete
        }
    }

    /// Entries after the newest checkpoint.
    pub const fn unsigned(&self) -> u64 {
        self.entries.saturating_sub(self.signed)
    }
}
