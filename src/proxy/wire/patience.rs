//! How long a client may take: idle, in a head, not reading. The clock of an HTTP/1 connection; the
//! bodies of requests are the service's.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The bounds of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Without a request: `idle_timeout`.
    pub idle: Duration,
    /// From the first byte of a head to its last: `handshake_timeout`.
    pub head: Duration,
    /// Without taking a byte of what is written.
    pub write: Duration,
}

/// What a client took too long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// It asked nothing; closed without a word.
    Idle,
    /// It did not end a head; 408.
    Head,
    /// It did not read; nothing can be said to it.
    Write,
}

/// Since when the client is waited for, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    /// Nothing is owed to it and no byte of it waits.
    pub(super) idle: Option<Instant>,
    /// A head is incomplete.
    pub(super) head: Option<Instant>,
    /// It takes no byte of what is written to it.
    pub(super) stalled: Option<Instant>,
}

impl Since {
    /// When the client will be late, and for what, if nothing happens until then. `None`: it is not the client
    /// who is waited for.
    fn deadline(&self, patience: &Patience) -> Option<(Instant, Late)> {
        let stalled = self.stalled.map(|since| (since + patience.write, Late::Write));
        let head = || self.head.map(|since| (since + patience.head, Late::Head));
        let idle = || self.idle.map(|since| (since + patience.idle, Late::Idle));
        stalled.or_else(head).or_else(idle)
    }
}

/// Ends when the client is late. Poll it after the connection, in the same task: it is shown how things stand each time
/// and needs no waking of its own but its timer, which is set anew only when it fires or is set too late.
#[derive(Debug)]
pub(crate) struct Watch {
    patience: Patience,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    /// Watches a client.
    pub(crate) fn new(patience: Patience) -> Self {
        let sleep = Box::pin(tokio::time::sleep(patience.head.min(patience.idle)));
        Self { patience, sleep }
    }

    /// Ready when the client is late, as things stand.
    pub(crate) fn poll_late(&mut self, context: &mut Context<'_>, since: Since) -> Poll<Late> {
        let Some((at, late)) = since.deadline(&self.patience) else { return Poll::Pending };
        loop {
            if at < self.sleep.deadline() {
                self.sleep.as_mut().reset(at);
            }
            ready!(self.sleep.as_mut().poll(context));
            if self.sleep.deadline() >= at {
                return Poll::Ready(late);
            }
            self.sleep.as_mut().reset(at);
        }
    }
}
