//! Busy polling: a worker that waits for one answer, and has lately got such answers at once, looks for it again and again
//! for a moment before it goes to sleep. A core that sleeps is woken by another one, and finds its caches cold; where the
//! upstream stands in the same room that is a good part of the latency.
//!
//! The kernel does the same for a guest before it halts, but knows nothing of answers: it sees long sleeps between requests
//! and gives up. Where answers take their time, behind a leased line for one, this gives up too, and costs nothing.
//!
//! It looks for little longer than answers usually take, and after a late one not at all for a while. On a host of virtual
//! machines that has no core free, the core that looks may be the very one that the upstream waits for: to look on is then
//! what keeps the answer away, and where one is late for that reason, most of the next are.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// An answer that takes longer is late, and none is looked for longer: a Linux guest looks as long before it halts
/// (`guest_halt_poll_ns`).
const LIMIT: Duration = Duration::from_micros(200);

/// So many answers in a row must have been in time before the next is looked for.
const IN_A_ROW: u8 = 8;

/// By what part of itself an answer moves what answers usually take: one in so many. Up and down alike, so that it comes
/// to lie where half of them take longer.
const STEP: u32 = 8;

/// Answers never usually take less, as far as this is concerned: a smaller time has no eighth to speak of.
const USUAL_MIN: Duration = Duration::from_micros(10);

/// Of the time that it would have slept, a worker looks for this part at most: one in so many.
const PART: u32 = 10;

/// What is saved up of that time at most, so that a burst after a quiet night costs no more than any other.
const SAVED_MAX: Duration = Duration::from_millis(10);

thread_local! {
    /// Of the worker whose thread this is.
    static HABIT: Cell<Habit> = const { Cell::new(Habit::new()) };
}

/// A worker's runtime. It looks for the one answer that it waits for, where that is worth it, before it sleeps; where nobody
/// waits for an answer, it does `at_rest` before.
///
/// # Errors
/// Where the kernel has no descriptor left for it.
pub(super) fn runtime(
    exchanges: &Arc<Exchanges>,
    at_rest: impl Fn() + Send + Sync + 'static,
) -> io::Result<Runtime> {
    HABIT.set(Habit::new());
    let (parking, looking) = (Arc::clone(exchanges), Arc::clone(exchanges));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().on_thread_unpark(after_sleep).on_thread_park(move || {
        if parking.before_sleep() == Open::None {
            at_rest();
        }
    });
    let runtime = runtime.build()?;
    drop(runtime.spawn(async move { looking.keep_looking().await }));
    Ok(runtime)
}

/// The exchanges of one worker, from judgement to their last byte, and what it does while it waits for them. Used by the
/// worker's thread alone; atomic since a runtime's hooks must be.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    open: AtomicUsize,
    begun: AtomicUsize,
    look: Notify,
}

impl Exchanges {
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn open(&self) -> Open {
        match self.open.load(Ordering::Relaxed) {
            0 => Open::None,
            1 => Open::One(self.begun.load(Ordering::Relaxed)),
            _ => Open::Several,
        }
    }

    /// The worker has nothing to do. Where it is to look for events first, [`Exchanges::keep_looking`] gets something to do.
    fn before_sleep(&self) -> Open {
        let (open, mut habit) = (self.open(), HABIT.get());
        let next = habit.rest(Instant::now(), open);
        HABIT.set(habit);
        if next == Next::Look {
            self.look.notify_one();
        }
        open
    }

    /// Does nothing, as long as the runtime lives: one that has a task to run asks for events without sleeping.
    async fn keep_looking(&self) {
        loop {
            self.look.notified().await;
        }
    }
}

/// The worker goes on.
fn after_sleep() {
    let mut habit = HABIT.get();
    if habit.asleep.is_some() {
        habit.wake(Instant::now());
        HABIT.set(habit);
    }
}

/// What a worker waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    /// One exchange, with its number.
    One(usize),
    /// With more than one the next event is near anyway.
    Several,
}

/// What a worker does when it has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Sleep,
    /// Asks for events without waiting for them.
    Look,
}

/// An exchange that was the only one when the worker had nothing else to do.
#[derive(Debug, Clone, Copy)]
struct Wait {
    exchange: usize,
    since: Instant,
    /// How long it looks; nothing where it sleeps.
    looks: Duration,
}

/// What a worker has learned of the answers it waits for.
#[derive(Debug, Clone, Copy)]
struct Habit {
    wait: Option<Wait>,
    /// Answers in time since the last that was late.
    in_time: u8,
    /// How long half of the answers in time take at most.
    usual: Duration,
    saved: Duration,
    asleep: Option<Instant>,
}

impl Habit {
    const fn new() -> Self {
        Self { wait: None, in_time: 0, usual: LIMIT, saved: Duration::ZERO, asleep: None }
    }

    /// There is nothing to do at `now`.
    fn rest(&mut self, now: Instant, open: Open) -> Next {
        if let Some(wait) = self.wait.take_if(|wait| open != Open::One(wait.exchange)) {
            let waited = now.duration_since(wait.since);
            self.pay(wait, waited);
            // Where others have begun, nobody knows how long it took by itself.
            if open == Open::None {
                self.learn(waited);
            }
        }
        let next = match open {
            Open::One(exchange) => self.look_or_sleep(now, exchange),
            Open::None | Open::Several => Next::Sleep,
        };
        self.asleep = (next == Next::Sleep).then_some(now);
        next
    }

    fn look_or_sleep(&mut self, now: Instant, exchange: usize) -> Next {
        let begins = || Wait { exchange, since: now, looks: self.patience() };
        let mut wait = self.wait.unwrap_or_else(begins);
        let waited = now.duration_since(wait.since);
        let next = if waited < wait.looks { Next::Look } else { Next::Sleep };
        if next == Next::Sleep {
            self.pay(wait, waited);
            wait.looks = Duration::ZERO;
        }
        self.wait = Some(wait);
        next
    }

    /// How long to look for an answer: half as long again as they usually take.
    fn patience(&self) -> Duration {
        let patience = LIMIT.min(self.usual * 3 / 2);
        let looks = self.in_time >= IN_A_ROW && self.saved >= patience;
        if looks { patience } else { Duration::ZERO }
    }

    /// Where it looked, it did so all the time.
    fn pay(&mut self, wait: Wait, waited: Duration) {
        if !wait.looks.is_zero() {
            self.saved = self.saved.saturating_sub(waited);
        }
    }

    /// An exchange took so long, from the first moment with nothing to do until its last byte had left.
    fn learn(&mut self, waited: Duration) {
        if waited > LIMIT {
            self.in_time = 0;
            return;
        }
        self.in_time = self.in_time.saturating_add(1);
        let parts = if waited > self.usual { STEP + 1 } else { STEP - 1 };
        self.usual = (self.usual * parts / STEP).clamp(USUAL_MIN, LIMIT);
    }

    /// It was woken.
    fn wake(&mut self, now: Instant) {
        if let Some(asleep) = self.asleep.take() {
            let earned = now.duration_since(asleep) / PART;
            self.saved = self.saved.saturating_add(earned).min(SAVED_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a worker does from its start on.
    struct Worker {
        habit: Habit,
        now: Instant,
        begun: usize,
    }

    const PAUSE: Duration = Duration::from_millis(2);

    const QUICK: Duration = Duration::from_micros(80);

    impl Worker {
        fn new() -> Self {
            Self { habit: Habit::new(), now: Instant::now(), begun: 0 }
        }

        /// One that has had many answers at once.
        fn used_to_quick_answers() -> Self {
            let mut worker = Self::new();
            for _ in 0..50 {
                worker.exchange(QUICK, PAUSE);
            }
            worker
        }

        fn passes(&mut self, time: Duration) {
            self.now += time;
        }

        fn sleeps(&mut self, open: Open, time: Duration) {
            assert_eq!(self.habit.rest(self.now, open), Next::Sleep);
            self.passes(time);
            self.habit.wake(self.now);
        }

        /// Waits for an answer, then for the next request. For how long it looked instead of sleeping.
        fn exchange(&mut self, answered_after: Duration, pause: Duration) -> Duration {
            self.begun += 1;
            let (asked, open) = (self.now, Open::One(self.begun));
            let mut looked = Duration::ZERO;
            while self.habit.rest(self.now, open) == Next::Look {
                let step = Duration::from_micros(1);
                self.passes(step);
                looked += step;
                if looked >= answered_after {
                    break;
                }
            }
            let rest = answered_after.saturating_sub(self.now - asked);
            if !rest.is_zero() {
                self.passes(rest);
                self.habit.wake(self.now);
            }
            self.sleeps(Open::None, pause);
            looked
        }
    }

    #[test]
    fn a_worker_sleeps_until_it_has_seen_that_answers_come_at_once() {
        let mut worker = Worker::new();
        let looked: Vec<_> = (0..12).map(|_| worker.exchange(QUICK, PAUSE)).collect();
        let (first, then) = looked.split_at(IN_A_ROW.into());
        assert!(first.iter().all(Duration::is_zero), "{looked:?}");
        assert!(then.iter().all(|looked| *looked == QUICK), "{looked:?}");
    }

    #[test]
    fn answers_that_take_their_time_are_never_looked_for() {
        let mut worker = Worker::new();
        let late = LIMIT + Duration::from_micros(1);
        assert!((0..1000).all(|_| worker.exchange(late, PAUSE).is_zero()));
    }

    #[test]
    fn answers_that_all_take_almost_the_limit_are_looked_for() {
        let mut worker = Worker::new();
        let almost = LIMIT * 199 / 200;
        let looked: Vec<_> = (0..50).map(|_| worker.exchange(almost, PAUSE)).collect();
        assert!(looked.iter().skip(IN_A_ROW.into()).all(|looked| *looked == almost), "{looked:?}");
    }

    #[test]
    fn a_late_answer_is_given_up_early_and_the_next_ones_are_not_looked_for() {
        let mut worker = Worker::used_to_quick_answers();
        let looked = worker.exchange(Duration::from_secs(1), PAUSE);
        assert!(looked > QUICK && looked <= QUICK * 2, "{looked:?}");
        let next: Vec<_> = (0..12).map(|_| worker.exchange(QUICK, PAUSE)).collect();
        let (doubted, then) = next.split_at(IN_A_ROW.into());
        assert!(doubted.iter().all(Duration::is_zero), "{next:?}");
        assert!(then.iter().all(|looked| *looked == QUICK), "{next:?}");
    }

    #[test]
    fn answers_that_take_longer_than_they_did_are_waited_out_again_after_a_few() {
        let mut worker = Worker::used_to_quick_answers();
        let slower = LIMIT * 4 / 5;
        let looked: Vec<_> = (0..20).map(|_| worker.exchange(slower, PAUSE)).collect();
        assert!(looked.iter().skip(8).all(|looked| *looked == slower), "{looked:?}");
    }

    #[test]
    fn it_looks_for_a_tenth_of_the_time_that_it_sleeps_at_most() {
        let mut worker = Worker::used_to_quick_answers();
        let (pause, began) = (QUICK * 2, worker.now);
        let looked: Duration = (0..10_000).map(|_| worker.exchange(QUICK, pause)).sum();
        let slept = (worker.now - began).saturating_sub(looked);
        assert!(looked <= slept / PART + SAVED_MAX, "{looked:?} of {slept:?}");
        assert!(looked >= slept / PART / 2, "it is used: {looked:?} of {slept:?}");
    }

    #[test]
    fn a_night_saves_no_more_than_the_bound() {
        let mut worker = Worker::used_to_quick_answers();
        worker.sleeps(Open::None, Duration::from_hours(8));
        assert_eq!(worker.habit.saved, SAVED_MAX);
    }

    #[test]
    fn with_several_exchanges_under_way_it_sleeps() {
        let mut worker = Worker::used_to_quick_answers();
        assert_eq!(worker.habit.rest(worker.now, Open::One(100)), Next::Look);
        assert_eq!(worker.habit.rest(worker.now, Open::Several), Next::Sleep);
    }

    #[test]
    fn an_exchange_that_others_joined_teaches_nothing() {
        let mut worker = Worker::used_to_quick_answers();
        let learned = |habit: Habit| (habit.in_time, habit.usual);
        let before = learned(worker.habit);
        worker.habit.rest(worker.now, Open::One(100));
        worker.passes(LIMIT * 5);
        worker.sleeps(Open::Several, PAUSE);
        worker.sleeps(Open::None, PAUSE);
        assert_eq!(learned(worker.habit), before);
    }

    /// Far longer than it looks, so that no stall of the machine can stand for it.
    const LONG: Duration = Duration::from_secs(1);

    #[test]
    fn a_runtime_asks_for_events_for_a_moment_and_then_sleeps() {
        let exchanges = Arc::<Exchanges>::default();
        let rested = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&rested);
        let at_rest = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let runtime = runtime(&exchanges, at_rest).unwrap();
        let habit = Worker::used_to_quick_answers().habit;
        HABIT.set(Habit { saved: SAVED_MAX, ..habit });
        exchanges.begin();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let upstream = std::thread::spawn(move || {
            std::thread::sleep(LONG);
            answer.send(()).unwrap();
        });
        // No timer: one that slept at once would sleep until it is answered, and never come by the limit.
        runtime.block_on(answered).unwrap();
        upstream.join().unwrap();
        let waited = HABIT.get().wait;
        assert!(waited.is_some_and(|wait| wait.looks.is_zero()), "{waited:?}");
        assert_eq!(rested.load(Ordering::Relaxed), 0, "somebody waits");
        exchanges.end();
        runtime.block_on(async { tokio::time::sleep(LIMIT).await });
        assert_eq!(HABIT.get().in_time, 0, "the answer was late");
        assert!(rested.load(Ordering::Relaxed) > 0, "nobody waits any more");
    }
}
