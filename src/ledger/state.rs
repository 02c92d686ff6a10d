//! What callers, writer and watch share: the batch behind its short lock, who waits, and whether the ledger can
//! be written. The order of the ledger is the order of this lock. No files.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::batch::Batch;
use super::entry::{Body, Kind, PolicyDigest};
use super::line;
use super::settings::Settings;
use super::stats::{Durations, Stats};
use crate::flow::Timestamp;
use crate::policy::Masked;

/// Commits are at least this far apart, so that waiters who come in a stream share one.
const COMMIT_GAP: Duration = Duration::from_millis(1);
/// How often the writer looks at the disk, and tries again where it failed.
const LOOK: Duration = Duration::from_secs(1);

/// The shared part of one ledger.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) boot: u64,
    state: Mutex<State>,
    /// The writer waits here for work.
    work: Condvar,
    /// The watch waits here for the end.
    watch: Condvar,
    /// Appends wait here while the batch is full.
    pub(super) room: Notify,
    pub(super) connections: AtomicU64,
    free: AtomicU64,
}

#[derive(Debug)]
struct State {
    batch: Batch,
    /// The number of the next entry.
    next: u64,
    /// The number of the first entry of this process.
    began: u64,
    /// Everything up to this number is on disk.
    durable: u64,
    /// When the oldest line of the batch was placed.
    oldest: Option<Instant>,
    waiters: Vec<Waiter>,
    obstacle: Option<Obstacle>,
    /// What was turned away since the last gap entry.
    missing: Option<Missing>,
    lost: u64,
    /// When the writer began the commit it is in.
    committing: Option<Instant>,
    stage: Life,
    syncs: Durations,
}

/// A caller who waits for the disk; it is told whether its entry is on it.
#[derive(Debug)]
struct Waiter {
    seq: u64,
    told: oneshot::Sender<bool>,
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
    /// The writer is dead. Nothing heals this.
    Dead,
}

impl Obstacle {
    /// Too little space does not keep what has its number already from being synced.
    const fn stops_commits(self) -> bool {
        match self {
            Self::Failed | Self::Slow | Self::Dead => true,
            Self::Full => false,
        }
    }
}

/// Entries that were not kept.
#[derive(Debug, Clone, Copy)]
struct Missing {
    count: u64,
    since: Timestamp,
}

/// How far the life of the ledger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
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

/// What the writer is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Write and sync the batch in its hand.
    Commit,
    /// Look at the disk.
    Look,
    /// Nothing is left and nothing comes.
    End,
}

impl Shared {
    /// A ledger that continues with the number `next`.
    pub(super) fn new(settings: Settings, boot: u64, next: u64, free: u64) -> Self {
        let state = State {
            batch: Batch::default(),
            next,
            began: next,
            durable: next.saturating_sub(1),
            oldest: None,
            waiters: Vec::new(),
            obstacle: (free < settings.disk_reserve).then_some(Obstacle::Full),
            missing: None,
            lost: 0,
            committing: None,
            stage: Life::Open,
            syncs: Durations::default(),
        };
        Self {
            settings,
            boot,
            state: Mutex::new(state),
            work: Condvar::new(),
            watch: Condvar::new(),
            room: Notify::new(),
            connections: AtomicU64::new(1),
            free: AtomicU64::new(free),
        }
    }

    /// Numbers a draft and places it. The lock is held for a copy of the line and no longer.
    pub(super) fn place(&self, draft: &Draft) -> Placement {
        let mut state = self.lock();
        if state.stage > Life::Open || state.obstacle == Some(Obstacle::Dead) {
            return Placement::Over;
        }
        if state.obstacle.is_some() {
            return state.turn_away(draft.at);
        }
        let bound = self.settings.bound();
        if state.batch.is_full(bound) {
            return Placement::Full;
        }
        let (was_empty, was_half) = (state.batch.is_empty(), state.batch.is_half_full(bound));
        state.record_missing(draft, self.boot);
        let seq = state.number(self.boot, &draft.rendered, draft.at);
        if draft.kind == Kind::Stop {
            state.stage = Life::Closing;
        }
        let wake = was_empty || was_half != state.batch.is_half_full(bound);
        if wake || state.stage == Life::Closing {
            drop(state);
            self.work.notify_one();
        }
        Placement::Placed(seq)
    }

    /// Places the gap entry that is due, if one is.
    pub(super) fn settle(&self, at: Timestamp) {
        let mut state = self.lock();
        if state.obstacle.is_none() && state.stage == Life::Open {
            let draft = Draft { at, policy: None, kind: Kind::Gap, rendered: Vec::new() };
            state.record_missing(&draft, self.boot);
            drop(state);
            self.work.notify_one();
        }
    }

    /// Begins to wait until the entry `seq` is on disk.
    pub(super) fn wait_for(&self, seq: u64) -> Waiting {
        let mut state = self.lock();
        if state.durable >= seq {
            return Waiting::Durable;
        }
        let stopped = state.obstacle.is_some_and(Obstacle::stops_commits);
        if stopped || state.stage == Life::Ended {
            return Waiting::Away;
        }
        let (told, answer) = oneshot::channel();
        state.waiters.push(Waiter { seq, told });
        drop(state);
        self.work.notify_one();
        Waiting::Told(answer)
    }

    /// Notes that an entry from `at` was relied upon before it was on disk.
    pub(super) fn waive(&self, at: Timestamp) {
        self.lock().miss(at, 0);
    }

    /// Whether nothing stands in the way.
    pub(super) fn is_writable(&self) -> bool {
        let state = self.lock();
        state.obstacle.is_none() && state.stage == Life::Open
    }

    /// Whether the writer died.
    pub(super) fn is_dead(&self) -> bool {
        self.lock().obstacle == Some(Obstacle::Dead)
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            entries: state.next - state.began,
            durable: state.durable,
            lost: state.lost,
            free: self.free.load(Ordering::Relaxed),
            writable: state.obstacle.is_none() && state.stage == Life::Open,
            syncs: state.syncs.clone(),
        }
    }

    /// Nothing more is taken; the writer ends when everything is on disk.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.stage = state.stage.max(Life::Closing);
        drop(state);
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// Every holder of the lock leaves the state whole, so that a panic elsewhere does not matter to it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's side.
impl Shared {
    /// Waits until there is something to do. For a [`Job::Commit`] the batch is in `hand`, which must be empty.
    pub(super) fn next_job(
        &self,
        hand: &mut Batch,
        last_commit: Instant,
        last_look: Instant,
    ) -> Job {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let look = last_look + LOOK;
            match state.due(last_commit, &self.settings) {
                Some(due) if due <= now => {
                    state.hand_over(hand, now);
                    drop(state);
                    self.room.notify_waiters();
                    return Job::Commit;
                }
                None if state.stage > Life::Open => return Job::End,
                _ if look <= now => return Job::Look,
                due => {
                    let until = due.map_or(look, |due| due.min(look));
                    state = self.rest(&self.work, state, until.saturating_duration_since(now));
                }
            }
        }
    }

    /// Before another attempt: waits a while. `false` once the ledger is closing.
    pub(super) fn wait_to_retry(&self) -> bool {
        let mut state = self.lock();
        let until = Instant::now() + LOOK;
        while state.stage == Life::Open {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.rest(&self.work, state, left);
        }
        false
    }

    /// Everything before `end` is on disk: those who wait for it are told, and the ledger can be written.
    pub(super) fn committed(&self, end: u64, took: Duration) {
        let mut state = self.lock();
        state.durable = end.saturating_sub(1);
        state.committing = None;
        state.syncs.observe(took);
        state.clear_obstacle(&[Obstacle::Failed, Obstacle::Slow]);
        let durable = state.durable;
        let done: Vec<_> = state.waiters.extract_if(.., |waiter| waiter.seq <= durable).collect();
        drop(state);
        tell(done, true);
    }

    /// The disk has this much left.
    pub(super) fn measured(&self, free: u64) {
        self.free.store(free, Ordering::Relaxed);
        if free < self.settings.disk_reserve {
            self.obstruct(Obstacle::Full);
        } else {
            self.lock().clear_obstacle(&[Obstacle::Full]);
        }
    }

    /// Something stands in the way: everybody who waits is told.
    pub(super) fn obstruct(&self, obstacle: Obstacle) {
        let mut state = self.lock();
        if state.obstacle != Some(Obstacle::Dead) {
            state.obstacle = Some(obstacle);
        }
        let mut waiters = Vec::new();
        if obstacle.stops_commits() {
            waiters = std::mem::take(&mut state.waiters);
        }
        if obstacle == Obstacle::Failed {
            state.committing = None;
        }
        drop(state);
        tell(waiters, false);
        self.room.notify_waiters();
    }

    /// The writer has ended, by itself or not.
    pub(super) fn ended(&self) {
        let mut state = self.lock();
        state.stage = Life::Ended;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        tell(waiters, false);
        self.room.notify_waiters();
        self.watch.notify_one();
    }

    fn rest<'a>(
        &self,
        at: &Condvar,
        state: MutexGuard<'a, State>,
        time: Duration,
    ) -> MutexGuard<'a, State> {
        at.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The watch's side.
impl Shared {
    /// Waits for a commit that takes too long, and says so to everybody; returns when the writer has ended. The
    /// writer cannot do this itself: it is inside the call that does not return.
    pub(super) fn watch(&self) {
        let patience = self.settings.sync_timeout;
        let mut state = self.lock();
        while state.stage != Life::Ended {
            // A commit that begins after this look cannot be late before the next one.
            let waited = state.committing.map_or(Duration::ZERO, |began| began.elapsed());
            if waited >= patience && state.obstacle != Some(Obstacle::Slow) {
                drop(state);
                tracing::error!(?waited, "the ledger cannot be written: a sync does not return");
                self.obstruct(Obstacle::Slow);
                state = self.lock();
            } else {
                let left = patience.checked_sub(waited).filter(|left| !left.is_zero());
                state = self.rest(&self.watch, state, left.unwrap_or(patience));
            }
        }
    }
}

impl State {
    fn number(&mut self, boot: u64, rendered: &[u8], at: Timestamp) -> u64 {
        let seq = self.next;
        self.batch.place(seq, boot, rendered, at.as_seconds().div_euclid(86_400));
        self.next += 1;
        self.oldest.get_or_insert_with(Instant::now);
        seq
    }

    fn turn_away(&mut self, at: Timestamp) -> Placement {
        self.miss(at, 1);
        Placement::Away(self.next)
    }

    fn miss(&mut self, at: Timestamp, count: u64) {
        let missing = self.missing.get_or_insert(Missing { count: 0, since: at });
        missing.count += count;
        missing.since = missing.since.min(at);
        self.lost += count;
    }

    /// The gap entry comes before the first entry after it, with the moment and the law of that one.
    fn record_missing(&mut self, next: &Draft, boot: u64) {
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
    fn due(&self, last_commit: Instant, settings: &Settings) -> Option<Instant> {
        let oldest = self.oldest?;
        if self.stage > Life::Open || self.batch.is_half_full(settings.bound()) {
            Some(oldest)
        } else if self.waiters.is_empty() {
            Some(oldest + settings.sync)
        } else {
            Some(last_commit + COMMIT_GAP)
        }
    }

    fn hand_over(&mut self, hand: &mut Batch, now: Instant) {
        hand.clear();
        std::mem::swap(hand, &mut self.batch);
        self.oldest = None;
        self.committing = Some(now);
    }

    fn clear_obstacle(&mut self, these: &[Obstacle]) {
        if self.obstacle.is_some_and(|obstacle| these.contains(&obstacle)) {
            self.obstacle = None;
        }
    }
}

fn tell(waiters: Vec<Waiter>, durable: bool) {
    for waiter in waiters {
        // One who no longer listens was cancelled.
        let _cancelled = waiter.told.send(durable);
    }
}
