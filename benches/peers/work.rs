//! What is measured on every subject, and what it should come to beside the best of the others. How the figures are
//! shown is not known here.

use std::io;
use std::time::Duration;

use crate::argument::{Peers, Throughput};
use crate::client::{Caller, Paper};
use crate::door::Way;
use crate::figure::micros;
use crate::idle;
use crate::latency::{Pace, Seen, Tally, slice};
use crate::site::Site;
use crate::subject::{Candidate, Running};
use crate::throughput::{ROWS, Row};
use crate::turn::in_turn;

use super::ratio::Bar;
use super::table::{Line, Sample, Unit};

/// One measurement; it gives one line, latency two.
#[derive(Debug)]
pub(super) enum Work {
    /// Requests or megabytes by processor second; what is added to the name of the row, and the bar where there is one.
    Flow(&'static Row, &'static str, Option<Bar>),
    /// Memory of idle connections.
    Idle(&'static str, Way, Bar),
    /// Added latency.
    Latency,
}

/// What the ratio to the best of the others should come to, in the order of [`ROWS`].
const FLOW_BARS: [Bar; 8] = [
    Bar { first: 1.0, goal: 1.1 },
    Bar { first: 1.0, goal: 1.2 },
    Bar { first: 1.0, goal: 1.2 },
    Bar { first: 1.0, goal: 1.2 },
    Bar { first: 1.0, goal: 1.15 },
    Bar { first: 1.0, goal: 1.15 },
    Bar { first: 1.0, goal: 1.3 },
    Bar { first: 1.0, goal: 1.5 },
];

/// The same for added latency, both percentiles.
const LATENCY_BAR: Bar = Bar { first: 0.9, goal: 0.7 };

/// What is added to the name of a row that sekisho does with the key exchange it prefers.
const HYBRID: &str = ", X25519MLKEM768";

impl Work {
    /// What is asked for, of all that every subject does.
    pub(super) fn all(settings: &Throughput) -> Vec<Self> {
        let flows = ROWS.iter().zip(FLOW_BARS).map(|(row, bar)| Self::Flow(row, "", Some(bar)));
        let others = [
            Self::Latency,
            Self::Idle("idle https", Way::Https, Bar { first: 1.0, goal: 0.8 }),
            Self::Idle("idle tls", Way::Tls, Bar { first: 1.0, goal: 0.6 }),
        ];
        flows.chain(others).filter(|work| settings.wants(&work.name())).collect()
    }

    /// What is asked for, of what sekisho does with the key exchange it prefers: the rows that shake hands.
    pub(super) fn hybrid(settings: &Throughput) -> Vec<Self> {
        let rows = ROWS.iter().filter(|row| row.is_new());
        let works = rows.map(|row| Self::Flow(row, HYBRID, None));
        works.filter(|work| settings.wants(&work.name())).collect()
    }

    fn name(&self) -> String {
        match self {
            Self::Flow(row, addition, _) => format!("{}{addition}", row.name),
            Self::Idle(name, ..) => (*name).to_owned(),
            Self::Latency => "latency".to_owned(),
        }
    }

    /// Whether it begins with a process that has done nothing yet.
    pub(super) const fn is_fresh(&self) -> bool {
        matches!(self, Self::Idle(..))
    }

    /// Measures subjects that run already, in turn.
    ///
    /// # Errors
    /// Where a load could not be made.
    pub(super) fn measure(
        &self,
        site: &Site,
        running: &mut [Running],
        settings: &Peers,
    ) -> io::Result<Vec<Line>> {
        match self {
            Self::Flow(row, _, bar) => {
                let samples = flow(&self.name(), row, site, running, settings)?;
                let unit = unit(row);
                Ok(vec![Line { name: self.name(), unit, bar: *bar, samples }])
            }
            Self::Latency => latency(site, running, settings),
            Self::Idle(..) => Ok(Vec::new()),
        }
    }

    /// Measures each subject in a process of its own every time.
    ///
    /// # Errors
    /// Where a subject does not start or does not take the connections.
    pub(super) fn measure_fresh(
        &self,
        site: &Site,
        candidates: &mut [Candidate],
        settings: &Peers,
    ) -> io::Result<Vec<Line>> {
        let Self::Idle(name, way, bar) = self else { return Ok(Vec::new()) };
        let hold = Duration::from_secs(settings.hold);
        let samples = in_turn(settings.throughput.rounds, candidates, |round, candidate| {
            let mut running = candidate.start(site)?;
            let outcome = idle::one(site, &mut running, *way, settings.idle, hold)?;
            let sample = Sample::of_idle(&outcome);
            sample.tell(round, name, candidate.name());
            Ok(sample)
        })?;
        let unit = Unit::Kibibyte;
        Ok(vec![Line { name: (*name).to_owned(), unit, bar: Some(*bar), samples }])
    }
}

fn flow(
    name: &str,
    row: &Row,
    site: &Site,
    running: &mut [Running],
    settings: &Peers,
) -> io::Result<Vec<Vec<Sample>>> {
    in_turn(settings.throughput.rounds, running, |round, subject| {
        let span = row.window(site, subject, &settings.throughput)?;
        let sample = Sample::of_span(span, unit(row));
        sample.tell(round, name, subject.name);
        Ok(sample)
    })
}

const fn unit(row: &Row) -> Unit {
    if row.is_bulk() { Unit::Megabyte } else { Unit::Request }
}

/// A window of latency is taken in slices, in turn like windows: the machine under a virtual one changes its mood within
/// seconds, which so meets all alike.
const SLICE: Duration = Duration::from_secs(1);

/// How many windows of latency are taken for one of the other rows: the 99th percentile of a window of 5 s rests on the
/// 25 slowest of its requests, and a kernel thread that takes a core for a millisecond is in many of them.
pub(super) const WINDOWS: usize = 8;

/// What each subject adds to the time without one, in the same round.
fn latency(site: &Site, running: &[Running], settings: &Peers) -> io::Result<Vec<Line>> {
    let doors = running.iter().map(|subject| (subject.name, subject.https));
    let direct = running.first().map(|subject| ("direct", subject.behind));
    let callers = doors
        .chain(direct)
        .map(|(name, door)| Ok((name, Caller::new(site, &door, Paper::Permitted)?)));
    let mut callers = callers.collect::<io::Result<Vec<_>>>()?;
    let length = settings.throughput.length();
    let slices = usize::try_from(length.as_secs() / SLICE.as_secs()).unwrap_or(1).max(1);
    let pace = Pace { rate: settings.rate, connections: settings.paced, length: SLICE.min(length) };
    let mut seen: Vec<Vec<Seen>> = callers.iter().map(|_| Vec::new()).collect();
    for round in 0..settings.throughput.rounds * WINDOWS {
        let parts = in_turn(slices, &mut callers, |_slice, (_, caller)| slice(caller, pace))?;
        for ((seen, parts), (name, _)) in seen.iter_mut().zip(parts).zip(&callers) {
            let mut window = Tally::default();
            for part in parts {
                window.add(part);
            }
            let window = window.seen();
            tell_latency(round, name, &window);
            seen.push(window);
        }
    }
    let direct = seen.pop().unwrap_or_default();
    let line = |part: &str, of: fn(&Seen) -> Duration| {
        let added = |seen: &Vec<Seen>| {
            seen.iter().zip(&direct).map(|(seen, direct)| Sample::added(seen, direct, of)).collect()
        };
        Line {
            name: format!("added latency {part}, {} requests a second", settings.rate),
            unit: Unit::Microsecond,
            bar: Some(LATENCY_BAR),
            samples: seen.iter().map(added).collect(),
        }
    };
    Ok(vec![line("p50", |seen| seen.p50), line("p99", |seen| seen.p99)])
}

fn tell_latency(round: usize, name: &str, seen: &Seen) {
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
