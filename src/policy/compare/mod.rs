//! What two laws answer differently: which flows become allowed, which are refused, which pass by another rule.
//!
//! The space of all flows is cut into *cells* (whose address, whose name is asked for), and a cell along *axes* (time,
//! listener, transport, TLS version, application protocol, papers, request, peer) into atoms that neither law can tell
//! apart. Every law's rules and checks look at the axes independently of each other, so that it is enough to ask the
//! engine about each atom of each axis, not about every combination; boxes whose rules and checks are the same fall
//! together, and of each box that is left both engines judge one flow. So the engine decides, and nothing here does.
//!
//! Texts are not compared: renames and reorderings change no answer. Why a refused flow is refused is not compared
//! either; `explain` says that.

mod atlas;
mod axis;
mod block;
mod both;
mod cell;
mod clause;
mod ends;
mod path;
mod phrase;
mod rename;
mod setting;
mod split;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

pub use clause::{Change, Effect};
pub use rename::Renames;
pub use words::{Sentence, Turn};

use atlas::{Atlas, HostClass, SourceClass};
use block::SystemNames;
use both::Both;
use cell::Cell;
use split::Region;

use crate::flow::{Flow, Name, Timestamp, TlsVersion};
use crate::policy::engine::Engine;
use crate::verdict::Verdict;

/// What two laws answer differently.
#[derive(Debug)]
pub struct Difference {
    atlas: Atlas,
    /// Cells that have a region, by source and destination.
    cells: BTreeMap<Key, Compared>,
    renames: Renames,
    guardrails: Vec<Change>,
    settings: Vec<Change>,
    names: SystemNames,
    /// The later connection date: that nothing passes before it goes without saying.
    begin: Timestamp,
    /// Seconds east of UTC in which dates are shown.
    offset: i32,
    /// The TLS versions that both laws permit.
    versions: BTreeSet<TlsVersion>,
}

/// Where a flow comes from and whom it asks for, each as a class that neither law can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: SourceClass,
    /// `None` where nothing is known of the server name.
    host: Option<HostClass>,
}

/// A cell and the boxes in it that the laws answer differently.
#[derive(Debug)]
struct Compared {
    cell: Cell,
    regions: Vec<Region>,
}

/// Two laws whose rules between two systems cut the paths into too many pieces to be told apart here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooFine {
    /// How many pieces are told apart at most.
    pub most: usize,
}

impl fmt::Display for TooFine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the patterns between two systems cut their paths into more than {} pieces",
            self.most
        )
    }
}

impl std::error::Error for TooFine {}

/// The two laws.
type Pair<'a> = Both<&'a Engine>;

/// What a verdict comes to, as far as laws are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Refused.
    Refused,
    /// Nothing refuses it so far.
    Open,
    /// It passes by this rule; whether only since the rule observes.
    Passes(Name, bool),
}

impl Outcome {
    pub(super) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Deny(_) => Self::Refused,
            Verdict::NotYet(_) => Self::Open,
            Verdict::Allow(allowed) => {
                Self::Passes(allowed.rule.clone(), allowed.would_deny.is_some())
            }
        }
    }
}

/// Compares two laws.
///
/// # Errors
/// [`TooFine`] where their paths cannot be told apart within bounds.
pub fn compare(old: &Arc<Engine>, new: &Arc<Engine>) -> Result<Difference, TooFine> {
    let pair = Pair { old: &**old, new: &**new };
    let renames = Renames::of(old.model(), new.model());
    let atlas = Atlas::of(pair);
    let mut cells = BTreeMap::new();
    for key in atlas.keys(pair) {
        let Some(cell) = Cell::of(pair, &atlas, key)? else { continue };
        let regions = split::regions(pair, &cell, &renames);
        if !regions.is_empty() {
            cells.insert(key, Compared { cell, regions });
        }
    }
    let guardrails = clause::guardrails(old.model(), new.model(), &renames);
    let settings = setting::settings(old.model(), new.model(), &renames);
    let tables = pair.map(Engine::tables);
    Ok(Difference {
        atlas,
        cells,
        renames,
        guardrails,
        settings,
        names: SystemNames::of(pair),
        begin: tables.map(|it| it.connection_date).into_iter().max().unwrap_or(Timestamp::MAX),
        offset: new.model().timezone.offset,
        versions: tables.old.versions.intersection(&tables.new.versions).copied().collect(),
    })
}

impl Difference {
    /// Whether the laws answer this flow differently: one lets it pass and the other does not, it passes by another rule,
    /// or one refuses it while the other waits for more facts.
    pub fn contains(&self, flow: &Flow) -> bool {
        let Some(key) = self.atlas.key(flow) else { return false };
        let Some(compared) = self.cells.get(&key) else { return false };
        let Some(place) = compared.cell.place(&self.atlas, flow) else { return false };
        compared.regions.iter().any(|region| region.contains(&place))
    }

    /// What changes for flows, in words, the most important first.
    pub fn sentences(&self) -> Vec<Sentence> {
        words::sentences(self)
    }

    /// What changes among the guardrails.
    pub fn guardrails(&self) -> &[Change] {
        &self.guardrails
    }

    /// What changes beside the answers: trust, lines, timeouts, documents.
    pub fn settings(&self) -> &[Change] {
        &self.settings
    }

    /// What has another name and is the same.
    pub fn renames(&self) -> &Renames {
        &self.renames
    }

    /// Whether the laws are the same to every flow, guardrail and setting.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.guardrails.is_empty() && self.settings.is_empty()
    }
}

#[cfg(test)]
mod tests;
