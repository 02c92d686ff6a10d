//! What was on the wire against what the ledger says: a connection without an entry went by the record, an entry
//! without packets went by the capture. The law is not asked here.
//!
//! The box is a NAT that writes down its own translations: a client's connection is found by its two ends in *opened*
//! or *refused*, the box's own leg by the local port in *dialled*. An entry is compared only where the capture stands at
//! a place where its packets must have gone by: some other connection of the same leg was seen.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::judge::Leg;
use super::{Connection, Protocol};
use crate::flow::Timestamp;
use crate::policy::address::{canonical, canonical_socket};
use entry::{Recorded, What};

/// How far the clocks of the capture and of the box may be apart, and how long an entry may take to be written.
const SKEW: Duration = Duration::from_secs(2);

/// The most connections that are held to be compared; about 100 bytes each.
const CONNECTIONS_MAX: usize = 4 << 20;

/// The most examples of each kind that are kept; all are counted.
const EXAMPLES_MAX: usize = 100;

/// The connections of a capture that a ledger has to know, held until it is compared.
#[derive(Debug, Default)]
pub struct Witness {
    seen: Vec<Seen>,
    by_ends: HashMap<(SocketAddr, SocketAddr), Vec<u32>>,
    /// The ends of everything on the box's legs, recorded or not.
    legs: BTreeMap<Leg, u64>,
    window: Option<(Timestamp, Timestamp)>,
    /// Connections beyond the bound.
    beyond: u64,
    /// By client connection, where it dialled last and no packet was seen; and that entry's number.
    unseen_dials: HashMap<(u64, u64), (SocketAddr, u64)>,
}

/// One connection, as short as can be.
#[derive(Debug, Clone)]
struct Seen {
    unrecorded: Unrecorded,
    ended: Timestamp,
    /// Its opening was before the capture.
    early: bool,
    due: Due,
    found: bool,
}

/// What the ledger has to say of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it carried nothing, or went where the box has no part.
    Nothing,
    /// An entry of its own.
    Entry,
    /// An entry, or, since the law refuses it, a place in a counted summary.
    Refusal,
}

/// A connection on the wire without an entry: a bypass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// On which side of the appliance it was.
    pub leg: Leg,
    /// The protocol above IP.
    pub protocol: Protocol,
    /// The file with its first packet.
    pub file: Arc<str>,
    /// That packet's number, from 1.
    pub packet: u64,
    /// That packet's time.
    pub at: Timestamp,
    /// Who opened it.
    pub initiator: SocketAddr,
    /// Whom it was opened to.
    pub responder: SocketAddr,
}

/// An entry without packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The process's number in the ledger.
    pub boot: u64,
    /// The entry's number.
    pub seq: u64,
    /// The leg it speaks of.
    pub leg: Leg,
    /// When it was written.
    pub at: Timestamp,
    /// Who opened the connection.
    pub initiator: SocketAddr,
    /// Whom it was opened to.
    pub responder: SocketAddr,
}

/// What the comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Entries of the capture's time that speak of connections.
    pub entries: u64,
    /// Of them, those whose packets were found.
    pub matched: u64,
    /// Connections that an entry is due for and that have one, or are counted in a summary.
    pub recorded: u64,
    /// Connections without an entry.
    pub bypassed: u64,
    /// The first of these.
    pub bypasses: Vec<Unrecorded>,
    /// Entries without packets, where packets must have gone by.
    pub unseen: u64,
    /// The first of these.
    pub missing: Vec<Unseen>,
    /// Entries of a leg of which this capture saw nothing.
    pub elsewhere: u64,
    /// Gap entries of the capture's time: the ledger itself lost something.
    pub gaps: u64,
    /// Lines of the ledger that could not be read.
    pub damaged: u64,
    /// Segments of the ledger whose lines are gone in their time, where the capture reaches back to them.
    pub pruned: u64,
    /// Connections that were not compared because there were too many.
    pub beyond: u64,
}

impl Reconciled {
    /// Whether the comparison leaves nothing open: every entry has its packets, and both sides could be read whole.
    pub const fn is_complete(&self) -> bool {
        let whole = self.gaps == 0 && self.damaged == 0 && self.pruned == 0;
        self.unseen == 0 && self.beyond == 0 && whole
    }
}

impl Witness {
    /// Takes one connection.
    pub fn take(&mut self, connection: &Connection, leg: Leg, due: Due) {
        let (first, last) = self.window.unwrap_or((connection.at, connection.ended));
        self.window = Some((first.min(connection.at), last.max(connection.ended)));
        *self.legs.entry(leg).or_default() += 1;
        if due == Due::Nothing && leg == Leg::Beside {
            return;
        }
        let number =
            u32::try_from(self.seen.len()).ok().filter(|_| self.seen.len() < CONNECTIONS_MAX);
        let Some(number) = number else {
            self.beyond += 1;
            return;
        };
        let (from, to) = (connection.initiator, connection.responder);
        self.by_ends.entry(ends(from, to)).or_default().push(number);
        // Who opened it is only likely, and the entry knows better.
        if connection.inferred {
            self.by_ends.entry(ends(to, from)).or_default().push(number);
        }
        self.seen.push(Seen {
            unrecorded: Unrecorded::of(connection, leg),
            ended: connection.ended,
            early: connection.inferred,
            due,
            found: false,
        });
    }

    /// Compares with the ledger in `directory`.
    ///
    /// # Errors
    /// What the file system says, or that no ledger is there.
    pub fn compare(mut self, directory: &Path) -> io::Result<Reconciled> {
        let mut outcome = Reconciled { beyond: self.beyond, ..Reconciled::default() };
        let mut summaries = Vec::new();
        let reading = entry::each(directory, &mut |recorded| {
            self.look_up(&recorded, &mut outcome, &mut summaries);
        })?;
        outcome.damaged = reading.damaged;
        let reaches_back = |(first, _)| reading.first.is_none_or(|begun| first < begun);
        outcome.pruned = if self.window.is_some_and(reaches_back) { reading.pruned } else { 0 };
        self.finish(&summaries, &mut outcome);
        Ok(outcome)
    }

    fn look_up(
        &mut self,
        recorded: &Recorded,
        outcome: &mut Reconciled,
        summaries: &mut Vec<Counted>,
    ) {
        match recorded.what {
            What::Inbound(from, to) => self.entry(recorded, (Leg::Inbound, from, to), outcome),
            What::Outbound(from, to) => self.entry(recorded, (Leg::Outbound, from, to), outcome),
            What::InVain(endpoint) => self.in_vain(recorded, endpoint, outcome),
            What::Summary { source, since } => {
                if self.overlaps(since, recorded.at) {
                    summaries.push(Counted {
                        source: source.map(canonical),
                        since,
                        until: recorded.at,
                    });
                }
            }
            What::Gap => outcome.gaps += u64::from(self.overlaps(recorded.at, recorded.at)),
        }
    }

    /// Marks the connections that `recorded` speaks of; one of the capture's time that none answers to is unseen.
    fn entry(
        &mut self,
        recorded: &Recorded,
        (leg, from, to): (Leg, SocketAddr, SocketAddr),
        outcome: &mut Reconciled,
    ) {
        let mut found = false;
        for number in self.by_ends.get(&ends(from, to)).into_iter().flatten() {
            let index = usize::try_from(*number).unwrap_or(usize::MAX);
            let Some(seen) = self.seen.get_mut(index).filter(|seen| seen.lived_at(recorded.at))
            else {
                continue;
            };
            seen.found = true;
            found = true;
        }
        let inside = self.window.is_some_and(|(first, last)| {
            first.plus(SKEW) <= recorded.at && recorded.at.plus(SKEW) <= last
        });
        if !found && !inside {
            return;
        }
        outcome.entries += 1;
        if found {
            outcome.matched += 1;
        } else if self.legs.contains_key(&leg) {
            outcome.unseen += 1;
            if let Some(connection) = recorded.connection.filter(|_| leg == Leg::Outbound) {
                self.unseen_dials.insert(connection, (to, recorded.seq));
            }
            if outcome.missing.len() < EXAMPLES_MAX {
                let Recorded { boot, seq, at, .. } = *recorded;
                outcome.missing.push(Unseen { boot, seq, leg, at, initiator: from, responder: to });
            }
        } else {
            outcome.elsewhere += 1;
        }
    }

    /// A dial that came to nothing carried nothing; one that never left the box is missed by nobody.
    fn in_vain(&mut self, failed: &Recorded, endpoint: SocketAddr, outcome: &mut Reconciled) {
        let Some(connection) = failed.connection else { return };
        let Some((_, seq)) = self.unseen_dials.remove(&connection).filter(|it| it.0 == endpoint)
        else {
            return;
        };
        outcome.entries -= 1;
        outcome.unseen -= 1;
        outcome.missing.retain(|missing| (missing.boot, missing.seq) != (failed.boot, seq));
    }

    fn finish(self, summaries: &[Counted], outcome: &mut Reconciled) {
        for seen in self.seen.into_iter().filter(|seen| seen.due != Due::Nothing) {
            let refused = seen.unrecorded.leg == Leg::Inbound && seen.due == Due::Refusal;
            let counted = || summaries.iter().any(|counted| counted.covers(&seen.unrecorded));
            if seen.found || refused && counted() {
                outcome.recorded += 1;
                continue;
            }
            outcome.bypassed += 1;
            if outcome.bypasses.len() < EXAMPLES_MAX {
                outcome.bypasses.push(seen.unrecorded);
            }
        }
        outcome.bypasses.sort_by_key(|unrecorded| unrecorded.at);
    }

    fn overlaps(&self, since: Timestamp, until: Timestamp) -> bool {
        self.window
            .is_some_and(|(first, last)| since <= last.plus(SKEW) && first <= until.plus(SKEW))
    }
}

/// Refusals of one source that were counted, not listed.
#[derive(Debug, Clone, Copy)]
struct Counted {
    source: Option<IpAddr>,
    since: Timestamp,
    until: Timestamp,
}

impl Counted {
    fn covers(&self, connection: &Unrecorded) -> bool {
        let same = self.source.is_none_or(|source| source == canonical(connection.initiator.ip()));
        same && self.since <= connection.at.plus(SKEW) && connection.at <= self.until.plus(SKEW)
    }
}

impl Seen {
    /// Whether an entry of this moment can speak of it. One that was open before the capture began has an earlier entry.
    fn lived_at(&self, at: Timestamp) -> bool {
        at <= self.ended.plus(SKEW) && (self.early || self.unrecorded.at <= at.plus(SKEW))
    }
}

impl Unrecorded {
    fn of(connection: &Connection, leg: Leg) -> Self {
        Self {
            leg,
            protocol: connection.protocol,
            file: Arc::clone(&connection.file),
            packet: connection.first_packet,
            at: connection.at,
            initiator: connection.initiator,
            responder: connection.responder,
        }
    }
}

fn ends(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    (canonical_socket(from), canonical_socket(to))
}
