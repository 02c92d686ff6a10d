//! What stands behind the ledger's lock: the batch, who waits, and whether it can be written. No lock, no thread.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::batch::Batch;
use super::entry::{Body, Kind, PolicyDigest};
use super::line;
use super::note::Checkpoint;
use super::settings::Settings;
use super::stats::Durations;
use crate::flow::Timestamp;
use crate::policy::Masked;

/// Commits are at least this far apart, so that waiters who come in a stream share one.
const COMMIT_GAP: Duration = Duration::from_millis(1);

/// Everything behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) batch: Batch,
    /// The number of the next entry.
    pub(super) next: u64,
    /// The number of the first entry of this process.
    pub(super) began: u64,
    /// Everything up to this number is on disk.
    pub(super) durable: u64,
    /// When the oldest line of the batch was placed.
    pub(super) oldest: Option<Instant>,
    /// Whether this is a good moment to write it.
    pub(super) is_ripe: bool,
    /// When the writer, which sleeps, looks by itself; `None` while it is awake and looks before it sleeps.
    pub(super) sleeps_until: Option<Instant>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) obstacle: Option<Obstacle>,
    /// What was turned away since the last gap entry.
    pub(super) missing: Option<Missing>,
    pub(super) lost: u64,
    /// When the writer began the commit it is in.
    pub(super) committing: Option<Instant>,
    pub(super) stage: Life,
    pub(super) syncs: Durations,
    /// The newest one.
    pub(super) checkpoint: Option<Checkpoint>,
}

/// A caller who waits for the disk; it is told whether its entry is on it.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) seq: u64,
    pub(super) told: oneshot::Sender<bool>,
}

/// Why the ledger cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A write or a sync failed.
    Failed,
    /// A write and sync takes longer than `sync_timeout`.
    Slow,
    /// There is less free space than `disk_reserve`.
    Full,
    /// A checkpoint could not be written.
    Unsigned,
    /// The writer is dead. Nothing heals this.
    Dead,
}

impl Obstacle {
    /// Too little space, or a checkpoint that fails, does not keep what has its number already from being synced.
    pub(super) const fn stops_commits(self) -> bool {
        match self {
            Self::Failed | Self::Slow | Self::Dead => true,
            Self::Full | Self::Unsigned => false,
        }
    }
}

/// Entries that were not kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    pub(super) count: u64,
    pub(super) since: Timestamp,
}

/// How far the life of the ledger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Life {
    Open,
    /// The last entry is placed; the writer ends once it is on disk.
    Closing,
    /// The writer has ended.
    Ended,
}

/// An entry that is rendered but has no number.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) at: Timestamp,
    pub(super) policy: Option<PolicyDigest>,
    pub(super) kind: Kind,
    pub(super) rendered: Vec<u8>,
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// It has this number.
    Placed(u64),
    /// There is no room now.
    Full,
    /// The ledger cannot be written; this is the number of the gap entry to come.
    Away(u64),
    /// The ledger is closed, or dead.
    Over,
}

/// What waiting for the disk begins with.
#[derive(Debug)]
pub(super) enum Waiting {
    /// It is there already.
    Durable,
    /// The answer comes here.
    Told(oneshot::Receiver<bool>),
    /// It will not come.
    Away,
}

impl State {
    pub(super) fn new(next: u64, obstacle: Option<Obstacle>) -> Self {
        Self {
            batch: Batch::default(),
            next,
            began: next,
            durable: next.saturating_sub(1),
            oldest: None,
            is_ripe: false,
            sleeps_until: None,
            waiters: Vec::new(),
            obstacle,
            missing: None,
            lost: 0,
            committing: None,
            stage: Life::Open,
            syncs: Durations::default(),
            checkpoint: None,
        }
    }

    pub(super) fn number(&mut self, boot: u64, rendered: &[u8], at: Timestamp) -> u64 {
        let seq = self.next;
        self.batch.place(seq, boot, rendered, at.as_seconds().div_euclid(86_400));
        self.next += 1;
        self.oldest.get_or_insert_with(Instant::now);
        seq
    }

    pub(super) fn turn_away(&mut self, at: Timestamp) -> Placement {
        self.miss(at, 1);
        Placement::Away(self.next)
    }

    pub(super) fn miss(&mut self, at: Timestamp, count: u64) {
        let missing = self.missing.get_or_insert(Missing { count: 0, since: at });
        missing.count += count;
        missing.since = missing.since.min(at);
        self.lost += count;
    }

    /// The gap entry comes before the first entry after it, with the moment and the law of that one.
    pub(super) fn record_missing(&mut self, next: &Draft, boot: u64) {
        let Some(missing) = self.missing.take() else { return };
        let body = Body::Gap {
            lost: Some(missing.count),
            since: Some(missing.since),
            cut: None,
            cause: Masked::own("unwritable"),
        };
        let mut rendered = Vec::new();
        line::render_parts(&mut rendered, (next.at, next.policy, None), &body);
        self.number(boot, &rendered, next.at);
    }

    /// When the batch is to be written; `None` where it is empty.
    pub(super) fn due(&self, last_commit: Instant, settings: &Settings) -> Option<Instant> {
        let oldest = self.oldest?;
        let is_full = self.batch.is_half_full(settings.bound());
        if self.stage > Life::Open || is_full || self.is_ripe {
            Some(oldest)
        } else if self.waiters.is_empty() {
            Some(oldest + settings.sync)
        } else {
            Some(last_commit + COMMIT_GAP)
        }
    }

    /// Whether the writer sleeps longer than the oldest line may stay unsynced.
    pub(super) fn oversleeps(&self, sync: Duration) -> bool {
        let due = self.oldest.map(|oldest| oldest + sync);
        due.zip(self.sleeps_until).is_some_and(|(due, until)| until > due)
    }

    pub(super) fn hand_over(&mut self, hand: &mut Batch, now: Instant) {
        hand.clear();
        std::mem::swap(hand, &mut self.batch);
        self.oldest = None;
        self.is_ripe = false;
        self.committing = Some(now);
    }

    /// Hands out those who can no longer be told that their entry is on disk.
    pub(super) fn obstruct(&mut self, obstacle: Obstacle) -> Vec<Waiter> {
        if self.obstacle != Some(Obstacle::Dead) {
            self.obstacle = Some(obstacle);
        }
        if matches!(obstacle, Obstacle::Failed | Obstacle::Unsigned) {
            self.committing = None;
        }
        if obstacle.stops_commits() { std::mem::take(&mut self.waiters) } else { Vec::new() }
    }

    pub(super) fn clear_obstacle(&mut self, these: &[Obstacle]) {
        if self.obstacle.is_some_and(|obstacle| these.contains(&obstacle)) {
            self.obstacle = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::State;

    #[test]
    fn a_writer_is_woken_only_where_it_would_look_too_late() {
        let sync = Duration::from_millis(25);
        let placed = Instant::now();
        let after = |millis| Some(placed + Duration::from_millis(millis));
        let table = [
            ("asleep for long", Some(placed), after(900), true),
            ("a little too long", Some(placed), after(26), true),
            ("up in time", Some(placed), after(25), false),
            ("awake", Some(placed), None, false),
            ("nothing to write", None, after(900), false),
        ];
        for (case, oldest, sleeps_until, due) in table {
            let state = State { oldest, sleeps_until, ..State::new(1, None) };
            assert_eq!(state.oversleeps(sync), due, "{case}");
        }
    }
}
