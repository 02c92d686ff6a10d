//! The latency that each subject adds: its percentiles minus those without a subject, in the same round. A turn in which
//! the host of a virtual machine took the cores away is taken again, whatever came of it, for all subjects.

use std::io;
use std::time::{Duration, Instant};

use crate::argument::Peers;
use crate::client::{Caller, Paper};
use crate::figure::micros;
use crate::latency::{Pace, Seen, Tally, slice};
use crate::procfs::stolen_time;
use crate::site::Site;
use crate::subject::Running;
use crate::turn::once_each;

use super::ratio::Bar;
use super::table::{Line, Sample, Unit};

/// What the ratio to the best of the others should come to, both percentiles.
const BAR: Bar = Bar { first: 0.9, goal: 0.7 };

/// A window is taken in slices, in turn like windows: the host of a virtual machine changes its mood within seconds,
/// which so meets all alike.
const SLICE: Duration = Duration::from_secs(1);

/// How many windows are taken for one of the other rows: the 99th percentile of a window of 5 s rests on the 25 slowest
/// of its requests, and a kernel thread that takes a core for a millisecond is in many of them.
pub(super) const WINDOWS: usize = 5;

/// The share of one core that the host may take during a turn: in a turn of 5 s one tick of the kernel's clock. Where it
/// takes 1 %, the 99th percentile is the host's.
const STOLEN_MAX: f64 = 0.002;

/// Measures; a line for each percentile.
///
/// # Errors
/// Where a subject takes no connections, or the machine does not say what its host took.
pub(super) fn measure(site: &Site, running: &[Running], settings: &Peers) -> io::Result<Vec<Line>> {
    let doors = running.iter().map(|subject| (subject.name, subject.https));
    let direct = running.first().map(|subject| ("direct", subject.behind));
    let callers = doors
        .chain(direct)
        .map(|(name, door)| Ok((name, Caller::new(site, &door, Paper::Permitted)?)));
    let mut turns = Turns::new(callers.collect::<io::Result<Vec<_>>>()?, settings);
    let mut seen: Vec<Vec<Seen>> = turns.callers.iter().map(|_| Vec::new()).collect();
    for round in 0..settings.throughput.rounds * WINDOWS {
        for (seen, (window, name)) in seen.iter_mut().zip(turns.windows()?) {
            tell(round, name, &window);
            seen.push(window);
        }
    }
    turns.say_how_quiet();
    let direct = seen.pop().unwrap_or_default();
    let line = |part: &str, of: fn(&Seen) -> Duration| {
        let added = |seen: &Vec<Seen>| {
            seen.iter().zip(&direct).map(|(seen, direct)| Sample::added(seen, direct, of)).collect()
        };
        Line {
            name: format!("added latency {part}, {} requests a second", settings.rate),
            unit: Unit::Microsecond,
            bar: Some(BAR),
            samples: seen.iter().map(added).collect(),
        }
    };
    Ok(vec![line("p50", |seen| seen.p50), line("p99", |seen| seen.p99)])
}

/// Whose turn it is, and how often all had theirs again.
struct Turns {
    callers: Vec<(&'static str, Caller)>,
    pace: Pace,
    slices: usize,
    taken: usize,
    again: usize,
    again_max: usize,
}

impl Turns {
    fn new(callers: Vec<(&'static str, Caller)>, settings: &Peers) -> Self {
        let length = settings.throughput.length();
        let slices = usize::try_from(length.as_secs() / SLICE.as_secs()).unwrap_or(1).max(1);
        let (rate, connections) = (settings.rate, settings.paced);
        let pace = Pace { rate, connections, length: SLICE.min(length) };
        let again_max = settings.throughput.rounds * WINDOWS * slices;
        Self { callers, pace, slices, taken: 0, again: 0, again_max }
    }

    /// A window of each, in the order of the callers.
    fn windows(&mut self) -> io::Result<Vec<(Seen, &'static str)>> {
        let mut windows: Vec<Tally> = self.callers.iter().map(|_| Tally::default()).collect();
        for _slice in 0..self.slices {
            for (window, part) in windows.iter_mut().zip(self.quiet_turn()?) {
                window.add(part);
            }
        }
        let names = self.callers.iter().map(|(name, _)| *name);
        Ok(windows.into_iter().map(Tally::seen).zip(names).collect())
    }

    /// A slice of each; again while the host takes the cores away, unless that was so too often.
    fn quiet_turn(&mut self) -> io::Result<Vec<Tally>> {
        loop {
            let (stolen, began) = (stolen_time()?, Instant::now());
            let pace = self.pace;
            let parts =
                once_each(self.taken, &mut self.callers, |(_, caller)| slice(caller, pace))?;
            let stolen = stolen_time()?.saturating_sub(stolen).as_secs_f64();
            let quiet = stolen <= began.elapsed().as_secs_f64() * STOLEN_MAX;
            if quiet || self.again == self.again_max {
                self.taken += 1;
                return Ok(parts);
            }
            self.again += 1;
        }
    }

    fn say_how_quiet(&self) {
        let Self { taken, again, again_max, .. } = self;
        let share = STOLEN_MAX * 100.0;
        println!(
            "latency: {again} turns beside the {taken} that count were taken again, since the host took more than {share:.1} % of a core meanwhile"
        );
        if again == again_max {
            println!(
                "latency: that was as often as allowed; the rest is as it came, and the machine is not quiet"
            );
        }
        println!();
    }
}

fn tell(round: usize, name: &str, seen: &Seen) {
    eprintln!(
        "latency, {name}, round {}: p50 {:.0} p99 {:.0} most {:.0} µs, the client itself late by {:.0} µs (p99), {} failed",
        round + 1,
        micros(seen.p50),
        micros(seen.p99),
        micros(seen.most),
        micros(seen.late),
        seen.failed
    );
}
