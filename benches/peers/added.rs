//! The latency that each subject adds: its percentiles minus those without a subject, in the same window. A window is
//! taken in turns of a quarter of a second of everyone, spread over the time that the other rows take, and those turns
//! count that the host of a virtual machine left alone: where it takes a core, for moments or minutes, the 99th
//! percentile is the host's, for all subjects.

use std::io;
use std::time::Duration;

use crate::argument::Peers;
use crate::client::{Caller, Paper};
use crate::figure::micros;
use crate::latency::{Pace, Seen, Tally, slice};
use crate::site::Site;
use crate::subject::Running;
use crate::turn::once_each;

use super::host::{Host, quietest};
use super::ratio::Bar;
use super::table::{Line, Sample, Unit};

/// What its lines are asked for by.
pub(super) const NAME: &str = "latency";

/// What the ratio to the best of the others should come to, both percentiles.
const BAR: Bar = Bar { first: 0.9, goal: 0.7 };

/// How long everyone is measured in a turn: short, since what a host takes comes in bursts, and a turn that meets one
/// tells nothing of the subjects.
const SLICE: Duration = Duration::from_millis(500);

/// How many windows are wanted for one round of the other rows: the 99th percentile of a window of 5 s rests on the 25
/// slowest of its requests, and a kernel thread that takes a core for a millisecond is in many of them.
const WANTED: usize = 2;

/// How many count at least, be the host as it may.
const LEAST: usize = 1;

/// How many turns are taken for one that is wanted, at most.
const MOST: usize = 2;

/// The share of one core that the host may take from a turn that it is said to have left alone.
const ALONE: f64 = 0.001;

/// The same by the mean of the turns that count; above it the table is said not to be of a quiet machine. At 0.5 % the
/// 99th percentile of every subject is half as much again.
const QUIET: f64 = 0.002;

/// The turns taken so far.
pub(super) struct Added {
    host: Host,
    callers: Vec<(&'static str, Caller)>,
    pace: Pace,
    /// Turns of a window.
    slices: usize,
    /// Rounds of the other rows.
    rounds: usize,
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
    /// Where a client's key cannot be read, or the machine does not say what its host took.
    pub(super) fn new(site: &Site, running: &[Running], settings: &Peers) -> io::Result<Self> {
        let doors = running.iter().map(|subject| (subject.name, subject.https));
        let direct = running.first().map(|subject| ("direct", subject.behind));
        let callers = doors
            .chain(direct)
            .map(|(name, door)| Ok((name, Caller::new(site, &door, Paper::Permitted)?)))
            .collect::<io::Result<Vec<_>>>()?;
        let length = settings.throughput.length();
        let slices = usize::try_from(length.as_millis() / SLICE.as_millis()).unwrap_or(1).max(1);
        let (rate, connections) = (settings.rate, settings.paced);
        let pace = Pace { rate, connections, length: SLICE.min(length) };
        let (host, rounds) = (Host::new()?, settings.throughput.rounds);
        Ok(Self { host, callers, pace, slices, rounds, turns: Vec::new() })
    }

    /// Takes turns until the host left as many alone as `part` of `parts` need, or `MOST` times as many are taken.
    ///
    /// # Errors
    /// Where a subject takes no connections, or the machine does not say what its host took.
    pub(super) fn measure(&mut self, part: usize, parts: usize) -> io::Result<()> {
        let needed = self.turns_of(WANTED) * part;
        while self.left_alone() * parts < needed && self.turns.len() * parts < MOST * needed {
            let (number, pace) = (self.turns.len(), self.pace);
            let turn = || once_each(number, &mut self.callers, |(_, caller)| slice(caller, pace));
            let (seen, taken) = self.host.watched(turn)?;
            let turn = Turn { parts: seen, taken };
            self.tell(number, &turn);
            self.turns.push(turn);
        }
        Ok(())
    }

    /// The turns of so many windows for each round of the other rows.
    const fn turns_of(&self, windows: usize) -> usize {
        self.rounds * windows * self.slices
    }

    fn left_alone(&self) -> usize {
        self.turns.iter().filter(|turn| turn.taken <= ALONE).count()
    }

    fn tell(&self, number: usize, turn: &Turn) {
        let seen: Vec<Seen> = turn.parts.iter().map(|part| part.clone().seen()).collect();
        let each = |of: fn(&Seen) -> Duration| {
            let named = self.callers.iter().zip(&seen);
            named
                .map(|((name, _), seen)| format!("{name} {:.0}", micros(of(seen))))
                .collect::<Vec<_>>()
                .join(", ")
        };
        eprintln!(
            "latency, turn {}, µs: p50 {}; p99 {}; the client itself late (p99) {}; {} failed; the host took {:.2} % of a core",
            number + 1,
            each(|seen| seen.p50),
            each(|seen| seen.p99),
            each(|seen| seen.late),
            seen.iter().map(|seen| seen.failed).sum::<usize>(),
            turn.taken * 100.0
        );
    }

    /// A line for each percentile; says how quiet it was.
    pub(super) fn lines(self) -> Vec<Line> {
        let taken: Vec<f64> = self.turns.iter().map(|turn| turn.taken).collect();
        let whole = self.left_alone() / self.slices * self.slices;
        let count = whole.clamp(self.turns_of(LEAST), self.turns_of(WANTED));
        let quietest = quietest(&taken, count);
        let (count, rest): (Vec<_>, Vec<_>) =
            (0..).zip(self.turns).partition(|(number, _)| quietest.contains(number));
        let everyone = self.callers.len();
        let windows: Vec<Vec<Seen>> =
            count.chunks(self.slices).map(|turns| window(turns, everyone)).collect();
        say_how_quiet(windows.len(), &count, &rest);
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

fn say_how_quiet(windows: usize, count: &[(usize, Turn)], rest: &[(usize, Turn)]) {
    let mean = |turns: &[(usize, Turn)]| {
        let number = u32::try_from(turns.len()).unwrap_or(u32::MAX).max(1);
        turns.iter().map(|(_, turn)| turn.taken).sum::<f64>() / f64::from(number)
    };
    println!(
        "latency: {windows} windows, of the {} of {} turns in which the host took least, {:.2} % of a core (mean); {:.2} % in the others{}\n",
        count.len(),
        count.len() + rest.len(),
        mean(count) * 100.0,
        mean(rest) * 100.0,
        if mean(count) > QUIET { "; the machine is not quiet" } else { "" }
    );
}
