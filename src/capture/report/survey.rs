//! One pass over a capture: every connection is judged, counted, shown where that was asked for, and kept for the
//! comparison with the ledger. Holds no connection longer than that needs.

use std::io::{self, Write};

use super::{Tally, json, text};
use crate::capture::judge::{Answer, Judge, Judged, Outside};
use crate::capture::learn::Learned;
use crate::capture::reconcile::{Due, Witness};
use crate::capture::{Connection, Sink};

/// Which connections are shown one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// None: only groups in the end.
    Nothing,
    /// All, for people.
    Text,
    /// All, and each violation, for programs.
    Json,
}

/// Takes what a reading finds.
pub struct Survey<'a> {
    judge: &'a Judge,
    shown: Shown,
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(u64, u64),
    /// What was counted.
    pub tally: Tally,
    /// The connections that a ledger has to know, where one is to be compared.
    pub witness: Option<Witness>,
    /// What no rule covers, where rules are to be proposed.
    pub learned: Option<Learned>,
    /// Why the output could not be written; nothing more was then.
    pub failed: Option<io::Error>,
}

impl std::fmt::Debug for Survey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey").field("tally", &self.tally).finish_non_exhaustive()
    }
}

impl<'a> Survey<'a> {
    /// By this law, to `out`; `progress` is told bytes and packets from time to time.
    pub fn new(
        judge: &'a Judge,
        shown: Shown,
        out: &'a mut dyn Write,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        let tally = Tally::default();
        Self { judge, shown, out, progress, tally, witness: None, learned: None, failed: None }
    }

    fn show(&mut self, connection: &Connection, judged: &Judged) {
        let line = match self.shown {
            Shown::Nothing => return,
            Shown::Text => text::flow(self.judge, connection, judged),
            Shown::Json => json::connection(self.judge, connection, judged),
        };
        if self.failed.is_none() {
            self.failed = writeln!(self.out, "{line}").err();
        }
    }
}

impl Sink for Survey<'_> {
    fn connection(&mut self, connection: Connection) {
        let connection = self.judge.oriented(connection);
        let judged = self.judge.judge(&connection);
        self.tally.add(self.judge, &connection, &judged);
        self.show(&connection, &judged);
        if let Some(witness) = &mut self.witness {
            witness.take(&connection, judged.leg, due(self.judge, &connection, &judged));
        }
        if let Some(learned) = &mut self.learned {
            learned.take(self.judge, &connection, &judged);
        }
    }

    fn progress(&mut self, bytes: u64, packets: u64) {
        (self.progress)(bytes, packets);
    }
}

/// What the ledger must have of it. What stays outside the law is not in the ledger.
fn due(judge: &Judge, connection: &Connection, judged: &Judged) -> Due {
    match judged.answer {
        Answer::Outside(
            Outside::Link | Outside::Control | Outside::Administration | Outside::Carrier,
        ) => Due::Nothing,
        Answer::Law(_) if !judge.is_due_in_ledger(connection, judged.leg) => Due::Nothing,
        Answer::Law(_) if judged.answer.reason().is_some() => Due::Refusal,
        Answer::Law(_) => Due::Entry,
    }
}
