//! What is measured on every subject, and what it should come to beside the best of the others. How the figures are
//! shown is not known here.

use std::io;
use std::time::Duration;

use crate::argument::{Peers, Throughput};
use crate::door::Way;
use crate::idle;
use crate::site::Site;
use crate::subject::{Candidate, Running};
use crate::throughput::{ROWS, Row};
use crate::turn::in_turn;

use super::ratio::Bar;
use super::table::{Line, Sample, Unit};

/// Requests or megabytes by processor second, of subjects that run already; one line.
#[derive(Debug)]
pub(super) struct Flow {
    row: &'static Row,
    /// What is added to the name of the row.
    addition: &'static str,
    bar: Option<Bar>,
}

/// Memory of idle connections, of processes that have done nothing yet; one line.
#[derive(Debug)]
pub(super) struct Still {
    name: &'static str,
    way: Way,
    bar: Bar,
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

/// What is added to the name of a row that sekisho does with the key exchange it prefers.
const HYBRID: &str = ", X25519MLKEM768";

const STILL: [Still; 2] = [
    Still { name: "idle https", way: Way::Https, bar: Bar { first: 1.0, goal: 0.8 } },
    Still { name: "idle tls", way: Way::Tls, bar: Bar { first: 1.0, goal: 0.6 } },
];

impl Flow {
    /// What is asked for, of all that every subject does.
    pub(super) fn all(settings: &Throughput) -> Vec<Self> {
        let rows = ROWS.iter().zip(FLOW_BARS);
        let flows = rows.map(|(row, bar)| Self { row, addition: "", bar: Some(bar) });
        flows.filter(|flow| settings.wants(&flow.name())).collect()
    }

    /// What is asked for, of what sekisho does with the key exchange it prefers: the rows that shake hands.
    pub(super) fn hybrid(settings: &Throughput) -> Vec<Self> {
        let rows = ROWS.iter().filter(|row| row.is_new());
        let flows = rows.map(|row| Self { row, addition: HYBRID, bar: None });
        flows.filter(|flow| settings.wants(&flow.name())).collect()
    }

    fn name(&self) -> String {
        format!("{}{}", self.row.name, self.addition)
    }

    /// Measures all in turn.
    ///
    /// # Errors
    /// Where a load could not be made.
    pub(super) fn measure(
        &self,
        site: &Site,
        running: &mut [Running],
        settings: &Throughput,
    ) -> io::Result<Line> {
        let (name, unit) = (self.name(), unit(self.row));
        let samples = in_turn(settings.rounds, running, |round, subject| {
            let sample = Sample::of_span(self.row.window(site, subject, settings)?, unit);
            sample.tell(round, &name, subject.name);
            Ok(sample)
        })?;
        Ok(Line { name, unit, bar: self.bar, samples })
    }
}

impl Still {
    /// What is asked for.
    pub(super) fn all(settings: &Throughput) -> impl Iterator<Item = Self> {
        STILL.into_iter().filter(|still| settings.wants(still.name))
    }

    /// Measures each in turn, in a process of its own every time.
    ///
    /// # Errors
    /// Where a subject does not start or does not take the connections.
    pub(super) fn measure(
        &self,
        site: &Site,
        candidates: &mut [Candidate],
        settings: &Peers,
    ) -> io::Result<Line> {
        let Self { name, way, bar } = *self;
        let hold = Duration::from_secs(settings.hold);
        let samples = in_turn(settings.throughput.rounds, candidates, |round, candidate| {
            let mut running = candidate.start(site)?;
            let outcome = idle::one(site, &mut running, way, settings.idle, hold)?;
            let sample = Sample::of_idle(&outcome);
            sample.tell(round, name, candidate.name());
            Ok(sample)
        })?;
        Ok(Line { name: name.to_owned(), unit: Unit::Kibibyte, bar: Some(bar), samples })
    }
}

const fn unit(row: &Row) -> Unit {
    if row.is_bulk() { Unit::Megabyte } else { Unit::Request }
}
