//! The latency that each subject adds: its percentiles minus those without a subject, in the same round. Requests on
//! their way while the host of a virtual machine took the cores away are left out, whatever came of them, and more are made.

use std::io;
use std::time::Duration;

use crate::argument::Peers;
use crate::client::{Caller, Paper};
use crate::figure::micros;
use crate::latency::{Pace, Seen, Tally, slice};
use crate::site::Site;
use crate::subject::Running;
use crate::turn::once_each;

use super::host::watched;
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

/// How many slices may be taken for one that a window would have on a quiet machine.
const SLICES_MAX: usize = 2;

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

/// Whose turn it is, and how many requests were left out.
struct Turns {
    callers: Vec<(&'static str, Caller)>,
    pace: Pace,
    /// Slices of a window on a quiet machine.
    slices: usize,
    taken: usize,
    asked: usize,
    disturbed: usize,
    unquiet: usize,
}

/// A window of one subject: the requests of quiet moments, and the others.
#[derive(Default)]
struct Window {
    quiet: Tally,
    disturbed: Tally,
}

impl Turns {
    fn new(callers: Vec<(&'static str, Caller)>, settings: &Peers) -> Self {
        let length = settings.throughput.length();
        let slices = usize::try_from(length.as_secs() / SLICE.as_secs()).unwrap_or(1).max(1);
        let (rate, connections) = (settings.rate, settings.paced);
        let pace = Pace { rate, connections, length: SLICE.min(length) };
        Self { callers, pace, slices, taken: 0, asked: 0, disturbed: 0, unquiet: 0 }
    }

    /// The requests of a window on a quiet machine.
    fn wanted(&self) -> usize {
        self.pace.requests() * self.slices
    }

    /// A window of each, in the order of the callers: slices in turn until everyone has its requests.
    fn windows(&mut self) -> io::Result<Vec<(Seen, &'static str)>> {
        let mut windows: Vec<Window> = self.callers.iter().map(|_| Window::default()).collect();
        for _slice in 0..self.slices * SLICES_MAX {
            let pace = self.pace;
            let parts = once_each(self.taken, &mut self.callers, |(_, caller)| {
                watched(|| slice(caller, pace))
            })?;
            self.taken += 1;
            for (window, (part, host)) in windows.iter_mut().zip(parts) {
                let (quiet, disturbed) = part.apart(|from, until| host.left_alone(from, until));
                window.quiet.add(quiet);
                window.disturbed.add(disturbed);
            }
            if windows.iter().all(|window| window.quiet.asked() >= self.wanted()) {
                break;
            }
        }
        let seen: Vec<_> = windows.into_iter().map(|window| self.seen(window)).collect();
        Ok(seen.into_iter().zip(self.callers.iter().map(|(name, _)| *name)).collect())
    }

    /// The requests of quiet moments; all of them where those are fewer than half of what a window has.
    fn seen(&mut self, window: Window) -> Seen {
        let Window { mut quiet, disturbed } = window;
        self.asked += quiet.asked() + disturbed.asked();
        if quiet.asked() * 2 < self.wanted() {
            self.unquiet += 1;
            quiet.add(disturbed);
        } else {
            self.disturbed += disturbed.asked();
        }
        quiet.seen()
    }

    fn say_how_quiet(&self) {
        let Self { asked, disturbed, unquiet, .. } = self;
        println!(
            "latency: {disturbed} of {asked} requests left out, since the host took a core in the tenth of a second around them"
        );
        if *unquiet > 0 {
            println!(
                "latency: windows in which that would have been most, where all count: {unquiet}; the machine is not quiet"
            );
        }
        println!();
    }
}

fn tell(round: usize, name: &str, seen: &Seen) {
    eprintln!(
        "latency, {name}, round {}: p50 {:.0} p99 {:.0} most {:.0} µs of {}, the client itself late by {:.0} µs (p99), {} failed",
        round + 1,
        micros(seen.p50),
        micros(seen.p99),
        micros(seen.most),
        seen.answered,
        micros(seen.late),
        seen.failed
    );
}
