//! What the guard, the service and the connection's task know together of one HTTP/1 connection: whose
//! turn it is, since when, and how it ended. One thread, no locks, no I/O.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::violation::Breach;
use crate::proxy::clock;

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The client's: nothing is owed to it.
    Client,
    /// Ours: a head was let through and is not answered to the end.
    Service,
    /// hyper's: the answer has ended but may still stand in hyper's buffer.
    Flush,
}

/// How the client's side of the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Between two requests.
    Clean,
    /// Within a head, which nobody has seen.
    InHead,
    /// Within a body.
    InBody,
}

/// The shared state of one connection. Requests are let through one at a time: the next head is looked
/// at when the answer to the one before has left hyper's buffer, so that a refusal of the next can
/// never overtake or cut an answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    turn: Cell<Turn>,
    idle_since: Cell<Instant>,
    head_since: Cell<Option<Instant>>,
    stalled_since: Cell<Option<Instant>>,
    breach: Cell<Option<Breach>>,
    ending: Cell<Option<Ending>>,
    reader: RefCell<Option<Waker>>,
}

/// Held by the service from the moment it gets a request until its answer has ended: put it into the
/// response's body. Dropped, it makes room for the next request.
#[derive(Debug)]
#[must_use = "the next request is let through when this is dropped"]
pub(crate) struct Answer {
    exchange: Rc<Exchange>,
}

impl Exchange {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            turn: Cell::new(Turn::Client),
            idle_since: Cell::new(clock::woken()),
            head_since: Cell::new(None),
            stalled_since: Cell::new(None),
            breach: Cell::new(None),
            ending: Cell::new(None),
            reader: RefCell::new(None),
        })
    }

    /// The service has got a request.
    pub(crate) fn answer(self: &Rc<Self>) -> Answer {
        Answer { exchange: Rc::clone(self) }
    }

    /// What was wrong with the client's bytes. In a head, the connection's task answers it once hyper
    /// has ended; in a body, the service does when it sees the body fail.
    pub(crate) fn breach(&self) -> Option<Breach> {
        self.breach.get()
    }

    /// How the client's side ended, where it has.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.ending.get()
    }

    /// Since when nothing is owed to the client and no byte of it waits.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = self.turn.get() == Turn::Client && self.head_since.get().is_none();
        idle.then(|| self.idle_since.get())
    }

    /// Since when a head is incomplete.
    pub(crate) fn head_since(&self) -> Option<Instant> {
        self.head_since.get()
    }

    /// Since when the client takes no byte of what is written to it.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since.get()
    }

    /// Whether the next head may be looked at.
    pub(super) fn is_clients_turn(&self) -> bool {
        self.turn.get() == Turn::Client
    }

    /// Whether a request was let through and is not answered to the end.
    pub(super) fn is_services_turn(&self) -> bool {
        self.turn.get() == Turn::Service
    }

    pub(super) fn head_begun(&self) {
        if self.head_since.get().is_none() {
            self.head_since.set(Some(clock::woken()));
        }
    }

    pub(super) fn asked(&self) {
        self.head_since.set(None);
        self.turn.set(Turn::Service);
    }

    pub(super) fn broken(&self, breach: Breach) {
        self.head_since.set(None);
        self.breach.set(Some(breach));
    }

    pub(super) fn ended(&self, ending: Ending) {
        self.head_since.set(None);
        self.ending.set(Some(ending));
    }

    /// Everything that hyper had to write is written.
    pub(super) fn flushed(&self) {
        if self.turn.get() == Turn::Flush {
            self.turn.set(Turn::Client);
            self.idle_since.set(clock::woken());
            self.wake();
        }
    }

    pub(super) fn stalled(&self, stalled: bool) {
        if !stalled {
            self.stalled_since.set(None);
        } else if self.stalled_since.get().is_none() {
            self.stalled_since.set(Some(clock::woken()));
        }
    }

    /// The reader is to be woken when it is the client's turn.
    pub(super) fn wait(&self, context: &Context<'_>) {
        let mut reader = self.reader.borrow_mut();
        match reader.as_mut() {
            Some(waker) => waker.clone_from(context.waker()),
            None => *reader = Some(context.waker().clone()),
        }
    }

    fn wake(&self) {
        let reader = self.reader.take();
        if let Some(waker) = reader {
            waker.wake();
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.exchange.turn.get() == Turn::Service {
            self.exchange.turn.set(Turn::Flush);
        }
    }
}
