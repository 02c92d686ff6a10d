//! Boxes on their way into words: what they come to, which of them are told as one, and the names of systems.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::Atoms;
use super::both::Both;
use super::rename::Renames;
use super::split::Region;
use super::words::Turn;
use super::{Outcome, Pair};
use crate::flow::{Flow, Name};
use crate::policy::engine::Engine;
use crate::verdict::{Reason, Verdict};

/// Whether a law lets it pass.
pub(super) fn is_complete(region: &Region) -> bool {
    region.verdicts.each().into_iter().any(|verdict| matches!(verdict, Verdict::Allow(_)))
}

/// Boxes that became one: the endpoints, the atoms, an example.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) endpoints: Atoms,
    pub(super) atoms: [Atoms; 8],
    pub(super) example: Flow,
}

/// What a box comes to.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) turn: Turn,
    pub(super) rules: (Option<Name>, Option<Name>),
    pub(super) reason: Option<Reason>,
    /// Whether it passes by the new law only since its rule observes.
    pub(super) observed: bool,
}

/// What a region comes to.
pub(super) fn kind(region: &Region) -> Kind {
    let Both { old, new } = region.verdicts.each();
    let rule = |verdict: &Verdict| match Outcome::of(verdict) {
        Outcome::Passes(rule, _) => Some(rule),
        Outcome::Refused | Outcome::Open => None,
    };
    let rules = (rule(old), rule(new));
    let turn = match &rules {
        (None, Some(_)) => Turn::Allowed,
        (Some(_), None) => Turn::Refused,
        (Some(_), Some(_)) => Turn::OtherRule,
        (None, None) => Turn::Undecided,
    };
    let observed = matches!(Outcome::of(new), Outcome::Passes(_, true));
    // What is only observed has as many reasons as there are ways not to fit.
    let reason = old.reason().or_else(|| new.reason()).filter(|_| !observed);
    Kind { turn, rules, reason, observed }
}

/// Blocks that differ in one thing only, as one, until none do.
pub(super) fn joined(mut blocks: Vec<Block>) -> Vec<Block> {
    let mut at = 0;
    while let Some(block) = blocks.get(at) {
        let twin = blocks
            .iter()
            .enumerate()
            .skip(at + 1)
            .find_map(|(index, it)| Some((index, join(block, it)?)));
        match twin {
            Some((index, both)) => {
                let _gone = blocks.remove(index);
                if let Some(block) = blocks.get_mut(at) {
                    *block = both;
                }
                at = 0;
            }
            None => at += 1,
        }
    }
    blocks
}

fn join(a: &Block, b: &Block) -> Option<Block> {
    let differing = a.atoms.iter().zip(&b.atoms).filter(|(a, b)| a != b).count();
    let endpoints = usize::from(a.endpoints != b.endpoints);
    if differing + endpoints > 1 {
        return None;
    }
    let mut both = a.clone();
    both.endpoints = a.endpoints.union(&b.endpoints);
    both.atoms.iter_mut().zip(&b.atoms).for_each(|(mine, other)| *mine = mine.union(other));
    Some(both)
}

/// The names of systems by number, and where rules lead, of the old and the new law.
#[derive(Debug)]
pub(super) struct SystemNames {
    systems: Both<Vec<Name>>,
    /// The destination and the listener of each rule.
    led: Both<BTreeMap<Name, (Name, Option<Name>)>>,
    /// The listeners that answer nothing under either law.
    refusing: BTreeSet<Name>,
}

impl SystemNames {
    pub(super) fn of(pair: Pair<'_>) -> Self {
        let tables = pair.map(Engine::tables);
        let refusing = pair.map(Engine::refusing);
        Self {
            refusing: refusing.old.intersection(refusing.new).cloned().collect(),
            systems: tables.map(|it| it.systems.iter().map(|system| system.name.clone()).collect()),
            led: tables.map(|it| {
                it.rules
                    .iter()
                    .map(|rule| (rule.name.clone(), (rule.to.clone(), rule.listener.clone())))
                    .collect()
            }),
        }
    }

    pub(super) fn named(&self, systems: Both<Option<usize>>) -> Both<Option<Name>> {
        self.systems.each().with(systems).map(|(names, system)| names.get(system?).cloned())
    }

    /// Where a rule leads: the destination of what is known by its address alone.
    pub(super) fn led(&self, rules: &(Option<Name>, Option<Name>)) -> Option<&Name> {
        let new = rules.1.as_ref().and_then(|rule| self.led.new.get(rule));
        let found = new.or_else(|| rules.0.as_ref().and_then(|rule| self.led.old.get(rule)));
        found.map(|(to, _)| to)
    }

    /// Whether a listener answers nothing, whatever the law.
    pub(super) fn refuses(&self, listener: &Name) -> bool {
        self.refusing.contains(listener)
    }

    /// Whether a rule names the same listener in both laws, so that it goes without saying.
    pub(super) fn same_listener(
        &self,
        rules: &(Option<Name>, Option<Name>),
        renames: &Renames,
    ) -> bool {
        let before = |new: &Name| {
            let twin = self.led.old.iter().find(|(old, _)| renames.rule(old) == new);
            twin.and_then(|(_, (_, listener))| listener.as_ref())
        };
        let name =
            rules.1.clone().or_else(|| rules.0.as_ref().map(|old| renames.rule(old).clone()));
        name.is_some_and(|name| {
            let after = self.led.new.get(&name).and_then(|(_, listener)| listener.as_ref());
            after.is_some() && before(&name) == after
        })
    }
}
