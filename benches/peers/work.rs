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

use super::added;
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
            Self::Latency => added::measure(site, running, settings),
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
