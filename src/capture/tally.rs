//! Beside the table: what became of the packets of each input, and the texts of the layers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::decode::{Outcome, Stack};
use super::{FileCoverage, Reason};

/// Different layer stacks that are kept apart; a capture with more has random tags.
const LAYERS_MAX: usize = 1 << 16;

/// The texts of the layer stacks seen.
#[derive(Default)]
pub(super) struct Layers {
    known: HashMap<Stack, u32>,
    texts: Vec<Arc<str>>,
}

/// What became of the packets of one input.
pub(super) struct Tally {
    pub(super) name: Arc<str>,
    judged: u64,
    shortened: u64,
    outside: BTreeMap<&'static str, u64>,
    unjudged: BTreeMap<Reason, u64>,
}

impl Layers {
    /// The place of a stack in the list, for an entry to keep.
    pub(super) fn place(&mut self, stack: &Stack) -> u32 {
        if let Some(place) = self.known.get(stack) {
            return *place;
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        if self.texts.len() < LAYERS_MAX {
            self.texts.push(Arc::from(stack.to_string()));
            self.known.insert(*stack, place);
        }
        place
    }

    /// Beyond the bound, only that they are many.
    pub(super) fn text(&self, place: u32) -> Arc<str> {
        self.texts.get(place as usize).map_or_else(|| Arc::from("many"), Arc::clone)
    }
}

impl Tally {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self { name, judged: 0, shortened: 0, outside: BTreeMap::new(), unjudged: BTreeMap::new() }
    }

    /// Counts what became of one packet.
    #[inline]
    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Judged => self.judged += 1,
            Outcome::Shortened => {
                self.judged += 1;
                self.shortened += 1;
            }
            Outcome::Outside(name) => *self.outside.entry(name).or_default() += 1,
            Outcome::Unjudged(reason) => *self.unjudged.entry(reason).or_default() += 1,
            Outcome::Held => {}
        }
    }

    /// What a file itself knows, with what became of its packets.
    pub(super) fn covered(&mut self, read: FileCoverage) -> FileCoverage {
        FileCoverage {
            judged: self.judged,
            shortened: self.shortened,
            outside: std::mem::take(&mut self.outside),
            unjudged: std::mem::take(&mut self.unjudged),
            ..read
        }
    }
}
