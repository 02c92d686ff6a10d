//! What a survey of a capture comes to: counts while it is read, groups, and in the end the outcome as a table, as
//! lines for programs, or as metrics. Reads nothing and decides nothing; who prints is the command line.

mod group;
mod json;
mod survey;
#[cfg(test)]
mod tests;
mod text;
mod textfile;

use std::collections::BTreeMap;

pub use survey::{Shown, Survey};
pub use textfile::write as write_textfile;

use time::{OffsetDateTime, UtcOffset};

use super::judge::{Answer, Judge, Judged, Leg, Outside};
use super::reconcile::Reconciled;
use super::{Connection, Coverage, Protocol};
use crate::flow::Timestamp;
use crate::policy::model::{Model, Zone};
use crate::verdict::Reason;
use group::Groups;

/// What was counted of the connections of a capture.
#[derive(Debug, Default)]
pub struct Tally {
    connections: u64,
    inferred: u64,
    beside: u64,
    allowed: u64,
    not_yet: u64,
    reasons: BTreeMap<Reason, u64>,
    outside: BTreeMap<Outside, u64>,
    groups: Groups,
}

/// The whole outcome.
#[derive(Debug)]
pub struct Outcome {
    /// What was read.
    pub coverage: Coverage,
    /// What was found in it.
    pub tally: Tally,
    /// How it compares with the ledger, where one was named.
    pub reconciled: Option<Reconciled>,
    /// The law it was judged by, as its digest's first digits.
    pub policy: Option<String>,
}

impl Tally {
    fn add(&mut self, judge: &Judge, connection: &Connection, judged: &Judged) {
        self.connections += 1;
        self.inferred += u64::from(connection.inferred);
        match (&judged.answer, judged.answer.reason()) {
            (Answer::Outside(kind), _) => *self.outside.entry(*kind).or_default() += 1,
            (Answer::Law(_), Some(reason)) => *self.reasons.entry(reason).or_default() += 1,
            (Answer::Law(verdict), None) if verdict.code() == "allow" => self.allowed += 1,
            (Answer::Law(_), None) => {
                self.not_yet += 1;
                self.beside += u64::from(judged.leg == Leg::Beside);
            }
        }
        self.groups.add(judge, connection, judged);
    }

    fn denied(&self) -> u64 {
        self.reasons.values().sum()
    }

    fn verdicts(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::from([
            ("allow", self.allowed),
            ("deny", self.denied()),
            ("not_yet", self.not_yet),
            ("outside", self.outside.values().sum()),
        ])
    }
}

impl Outcome {
    /// Connections that the law refuses, and those that the ledger should have and has not.
    pub fn violations(&self) -> u64 {
        self.tally.denied() + self.reconciled.as_ref().map_or(0, |reconciled| reconciled.bypassed)
    }

    /// Whether everything that passed was seen, could be judged, and agrees with the ledger.
    pub fn is_complete(&self) -> bool {
        self.coverage.is_complete() && self.reconciled.as_ref().is_none_or(Reconciled::is_complete)
    }

    /// No violation, and nothing that could hide one.
    pub fn is_clean(&self) -> bool {
        self.violations() == 0 && self.is_complete()
    }

    /// The lines for programs that end the output.
    pub fn json(&self) -> String {
        json::ending(self)
    }

    /// The table for people; `model` has the titles and the time zone.
    pub fn text(&self, model: &Model, colour: bool) -> String {
        text::render(self, model, colour)
    }
}

fn protocol_code(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => "tcp".to_owned(),
        Protocol::Udp => "udp".to_owned(),
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Esp => "esp".to_owned(),
        Protocol::Other(number) => format!("ip-{number}"),
    }
}

/// A moment in the law's time zone, to the second.
fn local(at: Timestamp, zone: Zone) -> String {
    let offset = UtcOffset::from_whole_seconds(zone.offset).unwrap_or(UtcOffset::UTC);
    let moment = OffsetDateTime::from_unix_timestamp(at.as_seconds())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(offset);
    let (date, clock) = (moment.date(), moment.time());
    let (hour, minute, second) = clock.as_hms();
    format!("{date} {hour:02}:{minute:02}:{second:02}")
}
