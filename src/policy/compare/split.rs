//! The boxes of a cell that two laws answer differently.
//!
//! A box is cut along one axis after the other. Atoms for which the same rules go on and the same checks refuse stay
//! together; where no rule of either law goes on both refuse, and the box is forgotten. What is left at the end is
//! answered alike throughout, and both engines judge one flow of it.

use std::collections::BTreeMap;

use super::axis::{Atoms, Axis, Point};
use super::both::Both;
use super::cell::{Cell, Position};
use super::rename::Renames;
use super::{Outcome, Pair};
use crate::flow::Flow;
use crate::policy::compile::RuleId;
use crate::policy::engine::{Engine, Sieve, Sift, Sifted, Stops};
use crate::verdict::{Stage, Verdict};

/// A box whose flows the laws answer differently.
#[derive(Debug, Clone)]
pub(super) struct Region {
    /// The endpoint, by its number in the cell.
    pub(super) endpoint: usize,
    /// The atoms of each axis.
    pub(super) atoms: [Atoms; 8],
    /// One of its flows, and what the laws say of it.
    pub(super) example: Flow,
    pub(super) verdicts: Both<Verdict>,
}

impl Region {
    /// Whether a flow lies in it.
    pub(super) fn contains(&self, position: &Position) -> bool {
        let inside = |(atoms, atom): (&Atoms, &usize)| atoms.contains(*atom);
        self.endpoint == position.endpoint && self.atoms.iter().zip(&position.point).all(inside)
    }
}

/// The boxes of a cell that are answered differently.
pub(super) fn regions(pair: Pair<'_>, cell: &Cell, renames: &Renames) -> Vec<Region> {
    let mut found = Vec::new();
    for endpoint in 0..cell.endpoints.len() {
        let tables = pair
            .with(cell.rules.each())
            .map(|(engine, rules)| table(engine, rules, cell, endpoint));
        let alive = cell.rules.each().map(|rules| (0..rules.len()).collect());
        let mut cut = Cut { pair, cell, renames, endpoint, tables, found: Vec::new() };
        cut.along(&mut Vec::new(), &alive);
        found.append(&mut cut.found);
    }
    found
}

/// What one law says of each atom of each axis.
struct Table(Vec<Vec<Answer>>);

/// What one law says of an atom: whether no check refuses it, and which rules go on there, with what they overlook.
struct Answer {
    passes: bool,
    fitting: Vec<(usize, Stops)>,
}

fn table(engine: &Engine, rules: &[RuleId], cell: &Cell, endpoint: usize) -> Table {
    // Time is the one axis that another one's check waits for: before the connection date nothing else is looked at.
    let admitted = |when: &usize| {
        let mut point = Point::default();
        point[0] = *when;
        let judged = cell.flow(Position { endpoint, point });
        judged.is_some_and(|flow| !refuses(&engine.sift(&flow, &[]), &[Stage::Arrival]))
    };
    let mut base = Point::default();
    base[0] = (0..cell.size(Axis::When)).find(admitted).unwrap_or(0);
    let axis = |(number, axis): (usize, Axis)| {
        let atom = |atom: usize| {
            let mut point = base;
            if let Some(here) = point.get_mut(number) {
                *here = atom;
            }
            let flow = cell.flow(Position { endpoint, point });
            flow.map_or_else(Answer::none, |flow| answer(engine, rules, &flow, axis))
        };
        (0..cell.size(axis)).map(atom).collect()
    };
    Table(Axis::ALL.into_iter().enumerate().map(axis).collect())
}

impl Answer {
    const fn none() -> Self {
        Self { passes: false, fitting: Vec::new() }
    }
}

/// What a law says of a flow, as far as one axis goes.
fn answer(engine: &Engine, rules: &[RuleId], flow: &Flow, axis: Axis) -> Answer {
    let sift = engine.sift(flow, rules);
    let sieves = sift.rules.iter().map(|rule| sieve(rule, axis)).enumerate();
    let fitting = sieves.filter(|(_, sieve)| sieve.fits).map(|(rule, sieve)| (rule, sieve.stops));
    Answer { passes: !refuses(&sift, stages(axis)), fitting: fitting.collect() }
}

/// The stages whose checks look at an axis.
const fn stages(axis: Axis) -> &'static [Stage] {
    match axis {
        Axis::When => &[Stage::Arrival, Stage::Dial],
        Axis::Listener | Axis::Transport => &[Stage::Arrival],
        Axis::Version => &[Stage::Hello],
        // Only rules look at it.
        Axis::Spoken => &[],
        Axis::Paper => &[Stage::Identity],
        Axis::Ask => &[Stage::Request],
        Axis::Peer => &[Stage::Peer],
    }
}

fn refuses(sift: &Sift<'_>, stages: &[Stage]) -> bool {
    sift.gates.iter().any(|(stage, _)| stages.contains(stage))
}

/// What a rule finds as far as one axis says it.
fn sieve(rule: &Sifted<'_>, axis: Axis) -> Sieve {
    let [transport, listener, dates] = rule.standing.stops;
    let one = |stop| Sieve { stops: [stop, None, None], fits: stop.is_none() };
    match axis {
        Axis::When => one(dates),
        Axis::Listener => one(listener),
        Axis::Transport => one(transport),
        Axis::Spoken => rule.protocol,
        Axis::Ask => rule.request,
        Axis::Version | Axis::Paper | Axis::Peer => one(None),
    }
}

/// The cutting of a cell at one endpoint.
struct Cut<'a> {
    pair: Pair<'a>,
    cell: &'a Cell,
    renames: &'a Renames,
    endpoint: usize,
    tables: Both<Table>,
    found: Vec<Region>,
}

/// What both laws say of an atom, as far as rules that go on are concerned, and whether the fact is known at all: atoms
/// of one kind stay together.
type Kind = (bool, Both<Vec<(usize, Stops)>>);

impl Cut<'_> {
    /// Cuts along the next axis; `alive` are the rules that fit so far.
    fn along(&mut self, atoms: &mut Vec<Atoms>, alive: &Both<Vec<usize>>) {
        let number = atoms.len();
        let Some(axis) = Axis::ALL.get(number) else { return self.judge(atoms) };
        let mut kinds: BTreeMap<Kind, Atoms> = BTreeMap::new();
        for atom in 0..self.cell.size(*axis) {
            let sides = self.tables.each().with(alive.each());
            let going = sides.map(|(table, alive)| table.going(number, atom, alive));
            if self.cell.matters(&going) {
                kinds.entry((self.cell.is_known(*axis, atom), going)).or_default().insert(atom);
            }
        }
        for ((_, going), group) in kinds {
            let next = going.map(|going| going.into_iter().map(|(rule, _)| rule).collect());
            atoms.push(group);
            self.along(atoms, &next);
            atoms.pop();
        }
    }

    /// Judges one flow of a box; the others are answered alike.
    fn judge(&mut self, atoms: &[Atoms]) {
        let mut point = Point::default();
        for (here, atoms) in point.iter_mut().zip(atoms) {
            *here = atoms.first().unwrap_or(0);
        }
        let Some(example) = self.cell.flow(Position { endpoint: self.endpoint, point }) else {
            return;
        };
        let verdicts = self.pair.map(|engine| engine.decide(&example));
        if !self.renames.differ(&verdicts.each().map(Outcome::of)) {
            return;
        }
        let Ok(atoms) = <[Atoms; 8]>::try_from(atoms.to_vec()) else { return };
        self.found.push(Region { endpoint: self.endpoint, atoms, example, verdicts });
    }
}

impl Table {
    /// The rules that go on at an atom, of those that are alive; none where a check refuses it.
    fn going(&self, axis: usize, atom: usize, alive: &[usize]) -> Vec<(usize, Stops)> {
        let answer = self.0.get(axis).and_then(|atoms| atoms.get(atom));
        let fitting =
            answer.filter(|answer| answer.passes).map_or(&[][..], |answer| &answer.fitting);
        fitting.iter().filter(|(rule, _)| alive.binary_search(rule).is_ok()).copied().collect()
    }
}

impl Renames {
    /// Whether two outcomes differ, another name for the same rule aside.
    pub(super) fn differ(&self, outcomes: &Both<Outcome>) -> bool {
        match (&outcomes.old, &outcomes.new) {
            (Outcome::Passes(old, was), Outcome::Passes(new, is)) => {
                self.rule(old) != new || was != is
            }
            (old, new) => old != new,
        }
    }
}
