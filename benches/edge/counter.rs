//! What a load has done so far, shared by its tasks on one thread, and the processor time that it cost. No load is
//! made here.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::figure::float;
use crate::procfs::{machine_time, processor_time};
use crate::subject::Running;

/// Counted by all tasks of one load.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    done: Cell<u64>,
    failed: Cell<u64>,
    first_failure: RefCell<Option<String>>,
    over: Cell<bool>,
}

/// Where everything stands at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    at: Instant,
    done: u64,
    failed: u64,
    subject: Duration,
    load: Duration,
    machine: Duration,
}

/// What happened between two marks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Units of work a second.
    pub(crate) by_second: f64,
    /// Units of work a second of the subject's processor time.
    pub(crate) by_processor_second: f64,
    /// The share of one core that the subject used.
    pub(crate) subject: f64,
    /// The share of one core that load generator and stand-in used together.
    pub(crate) load: f64,
    /// Cores that everybody else on the machine used meanwhile.
    pub(crate) others: f64,
    /// Attempts that failed.
    pub(crate) failed: u64,
}

impl Counter {
    /// So many units of work more.
    pub(crate) fn add(&self, units: u64) {
        self.done.set(self.done.get() + units);
    }

    /// So many bytes more.
    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.add(u64::try_from(bytes).unwrap_or(0));
    }

    /// An attempt that failed.
    pub(crate) fn fail(&self, why: &io::Error) {
        self.failed.set(self.failed.get() + 1);
        self.first_failure.borrow_mut().get_or_insert_with(|| why.to_string());
    }

    /// Why the first failed.
    pub(crate) fn first_failure(&self) -> Option<String> {
        self.first_failure.borrow().clone()
    }

    /// Tells the tasks to end.
    pub(crate) fn end(&self) {
        self.over.set(true);
    }

    /// Whether they should.
    pub(crate) const fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Where everything stands now.
    ///
    /// # Errors
    /// Where a process is gone.
    pub(crate) fn mark(&self, running: &Running) -> io::Result<Mark> {
        let upstream = running.upstream.as_ref().map(Child::processor_time);
        Ok(Mark {
            at: Instant::now(),
            done: self.done.get(),
            failed: self.failed.get(),
            subject: running.process.processor_time()?,
            load: processor_time(std::process::id())? + upstream.transpose()?.unwrap_or_default(),
            machine: machine_time()?,
        })
    }
}

impl Mark {
    /// What happened from here to `later`.
    pub(crate) fn to(&self, later: &Self) -> Span {
        let seconds = later.at.duration_since(self.at).as_secs_f64();
        let subject = later.subject.saturating_sub(self.subject).as_secs_f64();
        let load = later.load.saturating_sub(self.load).as_secs_f64();
        let machine = later.machine.saturating_sub(self.machine).as_secs_f64();
        let done = float(later.done - self.done);
        Span {
            by_second: done / seconds,
            by_processor_second: if subject > 0.0 { done / subject } else { 0.0 },
            subject: subject / seconds,
            load: load / seconds,
            others: ((machine - subject - load) / seconds).max(0.0),
            failed: later.failed - self.failed,
        }
    }
}
