//! What callers, writer and watch share: the state behind its short lock, and where each of them waits. The order
//! of the ledger is the order of this lock. No files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::batch::Batch;
use super::entry::Kind;
use super::note::Checkpoint;
use super::recover::Recovered;
use super::settings::Settings;
use super::state::{Draft, Life, Obstacle, Placement, State, Waiter, Waiting};
use super::stats::Stats;
use crate::flow::Timestamp;

/// How often the writer looks at the disk, and tries again where it failed.
const LOOK: Duration = Duration::from_secs(1);

/// For so many times the longest that an entry stays unsynced the writer, after a commit, sleeps no longer than that at a
/// time: whoever places the next entry need not wake it.
const DOZES: u32 = 2;

/// Of the longest that an entry nobody waits for stays unsynced, the part after which a quiet moment is taken to write it.
/// Earlier ones would only mean more writes.
const RIPE: (u32, u32) = (3, 4);

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
    /// When the ledger was opened; `waiting` counts from here.
    opened: Instant,
    /// The µs at which the oldest line of the batch was placed, until somebody has said that it may be written; else 0.
    waiting: AtomicU64,
    free: AtomicU64,
    /// The public half of the signing key.
    key: String,
    /// Where an earlier ledger was set aside.
    aside: Option<PathBuf>,
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
    /// A ledger that continues as `recovered` says.
    pub(super) fn new(settings: Settings, recovered: &Recovered, free: u64) -> Self {
        let obstacle = (free < settings.disk_reserve).then_some(Obstacle::Full);
        let checkpoint = recovered.signer.newest().cloned();
        let state = State { checkpoint, ..State::new(recovered.next, obstacle) };
        Self {
            settings,
            boot: recovered.boot,
            state: Mutex::new(state),
            key: recovered.signer.public(),
            aside: recovered.aside.clone(),
            work: Condvar::new(),
            watch: Condvar::new(),
            room: Notify::new(),
            connections: AtomicU64::new(1),
            opened: Instant::now(),
            waiting: AtomicU64::new(0),
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
        if was_empty {
            self.waiting.store(self.micros().max(1), Ordering::Relaxed);
        }
        // A wake is a system call in the middle of a request: not for a writer that looks in time by itself.
        let oversleeps = was_empty && state.oversleeps(self.settings.sync);
        let wake = oversleeps || was_half != state.batch.is_half_full(bound);
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

    /// A thread that serves has nothing to do for the moment: what would be written soon is better written now than in the
    /// middle of a request. Costs nothing where nothing waits.
    pub(super) fn rest(&self) {
        let placed = self.waiting.load(Ordering::Relaxed);
        let age = Duration::from_micros(self.micros().saturating_sub(placed));
        if placed > 0 && age >= self.settings.sync * RIPE.0 / RIPE.1 {
            let mut state = self.lock();
            self.waiting.store(0, Ordering::Relaxed);
            state.is_ripe = !state.batch.is_empty();
            drop(state);
            self.work.notify_one();
        }
    }

    /// Since the ledger was opened.
    fn micros(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
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
            checkpoint: state.checkpoint.clone(),
            key: self.key.clone(),
            aside: self.aside.clone(),
        }
    }

    /// Whether the writer has ended, or will.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().stage > Life::Open
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
                    self.waiting.store(0, Ordering::Relaxed);
                    drop(state);
                    self.room.notify_waiters();
                    return Job::Commit;
                }
                None if state.stage > Life::Open => return Job::End,
                _ if look <= now => return Job::Look,
                due => {
                    let doze = (now < last_commit + self.settings.sync * DOZES)
                        .then(|| now + self.settings.sync);
                    let until = due.or(doze).map_or(look, |due| due.min(look));
                    state.sleeps_until = Some(until);
                    state = rest(&self.work, state, until.saturating_duration_since(now));
                    state.sleeps_until = None;
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
            state = rest(&self.work, state, left);
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

    /// A checkpoint is being written, which may take as long as a commit; or is not any more.
    pub(super) fn signing(&self, since: Option<Instant>) {
        let mut state = self.lock();
        state.committing = since;
        if since.is_none() {
            state.clear_obstacle(&[Obstacle::Slow]);
        }
    }

    /// A checkpoint is on disk.
    pub(super) fn signed(&self, checkpoint: Checkpoint) {
        let mut state = self.lock();
        state.clear_obstacle(&[Obstacle::Unsigned]);
        state.checkpoint = Some(checkpoint);
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
        let waiters = self.lock().obstruct(obstacle);
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
                // Under the lock that showed the commit: one that has ended by now would leave nobody to heal it.
                let waiters = state.obstruct(Obstacle::Slow);
                drop(state);
                tracing::error!(?waited, "the ledger cannot be written: a sync does not return");
                tell(waiters, false);
                self.room.notify_waiters();
                state = self.lock();
            } else {
                let left = patience.checked_sub(waited).filter(|left| !left.is_zero());
                state = rest(&self.watch, state, left.unwrap_or(patience));
            }
        }
    }
}

fn rest<'a>(at: &Condvar, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
    at.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
}

fn tell(waiters: Vec<Waiter>, durable: bool) {
    for waiter in waiters {
        // One who no longer listens was cancelled.
        let _cancelled = waiter.told.send(durable);
    }
}
