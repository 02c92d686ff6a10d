//! The latency that each subject adds: its percentiles minus those without a subject, in the same window. A window is
//! taken in turns of a second of everyone, spread over the time that the other rows take, and the half of the turns counts
//! that the host of a virtual machine left most alone: where it takes a core, for seconds or minutes, the 99th
//! percentile is the host's, for all subjects.

use std::io;
use std::time::Duration;

use crate::argument::Peers;
use crate::client::{Caller, Paper};
use crate::figure::{median, micros};
use crate::latency::{Pace, Seen, Tally, slice};
use crate::site::Site;
use crate::subject::Running;
use crate::turn::once_each;

use super::host::{quieter_half, watched};
use super::ratio::Bar;
use super::table::{Line, Sample, Unit};

/// What its lines are asked for by.
pub(super) const NAME: &str = "latency";

/// What the ratio to the best of the others should come to, both percentiles.
const BAR: Bar = Bar { first: 0.9, goal: 0.7 };

/// How long everyone is measured in a turn: what the host does within seconds so meets all alike.
const SLICE: Duration = Duration::from_secs(1);

/// How many windows count for one round of the other rows: the 99th percentile of a window of 5 s rests on the 25 slowest
/// of its requests, and a kernel thread that takes a core for a millisecond is in many of them.
pub(super) const WINDOWS: usize = 4;

/// How many turns are taken for one that counts.
const TAKEN: usize = 2;

/// The share of one core that the host may take, by the median of the turns that count; above it the table is said
/// not to be of a quiet machine.
const QUIET: f64 = 0.01;

/// The turns taken so far.
pub(super) struct Added {
    callers: Vec<(&'static str, Caller)>,
    pace: Pace,
    /// Turns of a window.
    slices: usize,
    /// Turns to be taken.
    wanted: usize,
    turns: Vec<Turn>,
}

/// A slice of each, in the order of the callers.
struct Turn {
    parts: Vec<Tally>,
    /// The share of one core that the host took.
    taken: f64,
}

impl Added {
    /// Nothing is measured yet.
    ///
    /// # Errors
    /// Where a client's key cannot be read.
    pub(super) fn new(site: &Site, running: &[Running], settings: &Peers) -> io::Result<Self> {
        let doors = running.iter().map(|subject| (subject.name, subject.https));
        let direct = running.first().map(|subject| ("direct", subject.behind));
        let callers = doors
            .chain(direct)
            .map(|(name, door)| Ok((name, Caller::new(site, &door, Paper::Permitted)?)))
            .collect::<io::Result<Vec<_>>>()?;
        let length = settings.throughput.length();
        let slices = usize::try_from(length.as_secs() / SLICE.as_secs()).unwrap_or(1).max(1);
        let (rate, connections) = (settings.rate, settings.paced);
        let pace = Pace { rate, connections, length: SLICE.min(length) };
        let wanted = settings.throughput.rounds * WINDOWS * TAKEN * slices;
        Ok(Self { callers, pace, slices, wanted, turns: Vec::new() })
    }

    /// Takes turns until `part` of `parts` of them are taken.
    ///
    /// # Errors
    /// Where a subject takes no connections, or the machine does not say what its host took.
    pub(super) fn measure(&mut self, part: usize, parts: usize) -> io::Result<()> {
        while self.turns.len() * parts < self.wanted * part {
            let (number, pace) = (self.turns.len(), self.pace);
            let turn = || once_each(number, &mut self.callers, |(_, caller)| slice(caller, pace));
            let (parts, taken) = watched(turn)?;
            for (part, (name, _)) in parts.iter().zip(&self.callers) {
                tell(number, name, &part.clone().seen(), taken);
            }
            self.turns.push(Turn { parts, taken });
        }
        Ok(())
    }

    /// A line for each percentile; says how quiet it was.
    pub(super) fn lines(self) -> Vec<Line> {
        let taken: Vec<f64> = self.turns.iter().map(|turn| turn.taken).collect();
        let quieter = quieter_half(&taken);
        let (count, rest): (Vec<_>, Vec<_>) =
            (0..).zip(self.turns).partition(|(number, _)| quieter.contains(number));
        say_how_quiet(&count, &rest);
        let everyone = self.callers.len();
        let windows: Vec<Vec<Seen>> =
            count.chunks(self.slices).map(|turns| window(turns, everyone)).collect();
        let line = |part: &str, of: fn(&Seen) -> Duration| {
            let added = |subject: usize| {
                let both = windows.iter().filter_map(|seen| seen.get(subject).zip(seen.last()));
                both.map(|(seen, direct)| Sample::added(seen, direct, of)).collect()
            };
            Line {
                name: format!("added latency {part}, {} requests a second", self.pace.rate),
                unit: Unit::Microsecond,
                bar: Some(BAR),
                samples: (0..everyone.saturating_sub(1)).map(added).collect(),
            }
        };
        vec![line("p50", |seen| seen.p50), line("p99", |seen| seen.p99)]
    }
}

/// What everyone saw in these turns.
fn window(turns: &[(usize, Turn)], everyone: usize) -> Vec<Seen> {
    let mut tallies = vec![Tally::default(); everyone];
    for (_, turn) in turns {
        for (tally, part) in tallies.iter_mut().zip(&turn.parts) {
            tally.add(part);
        }
    }
    tallies.into_iter().map(Tally::seen).collect()
}

fn say_how_quiet(count: &[(usize, Turn)], rest: &[(usize, Turn)]) {
    let middle =
        |turns: &[(usize, Turn)]| median(turns.iter().map(|(_, turn)| turn.taken).collect());
    let quiet = middle(count);
    println!(
        "latency: of {} turns those {} count in which the host took least, {:.1} % of a core (median); {:.1} % in the others{}\n",
        count.len() + rest.len(),
        count.len(),
        quiet * 100.0,
        middle(rest) * 100.0,
        if quiet > QUIET { "; the machine is not quiet" } else { "" }
    );
}

fn tell(number: usize, name: &str, seen: &Seen, taken: f64) {
    eprintln!(
        "latency, {name}, turn {}: p50 {:.0} p99 {:.0} most {:.0} µs of {}, the client itself late by {:.0} µs (p99), {} failed; the host took {:.1} % of a core",
        number + 1,
        micros(seen.p50),
        micros(seen.p99),
        micros(seen.most),
        seen.answered,
        micros(seen.late),
        seen.failed,
        taken * 100.0
    );
}
