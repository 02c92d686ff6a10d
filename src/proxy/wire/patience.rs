//! How long a client may take: idle, in a head, not reading. The clock of an HTTP/1 connection; the
//! bodies of requests are the service's.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::exchange::Exchange;

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

impl Exchange {
    /// When the client will be late, and for what, if nothing happens until then. `None`: it is not the client
    /// who is waited for.
    pub(crate) fn deadline(&self, patience: &Patience) -> Option<(Instant, Late)> {
        let stalled = self.stalled_since().map(|since| (since + patience.write, Late::Write));
        let head = || self.head_since().map(|since| (since + patience.head, Late::Head));
        let idle = || self.idle_since().map(|since| (since + patience.idle, Late::Idle));
        stalled.or_else(head).or_else(idle)
    }
}

/// Ends when the client is late. Poll it after hyper's connection, in the same task: it looks at the
/// exchange each time and needs no waking of its own but its timer, which is set anew only when it
/// fires or is set too late.
#[derive(Debug)]
pub(crate) struct Watch {
    exchange: Rc<Exchange>,
    patience: Patience,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    /// Watches `exchange`.
    pub(crate) fn new(exchange: Rc<Exchange>, patience: Patience) -> Self {
        let sleep = Box::pin(tokio::time::sleep(patience.head.min(patience.idle)));
        Self { exchange, patience, sleep }
    }
}

impl Future for Watch {
    type Output = Late;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Late> {
        loop {
            let Some((at, late)) = self.exchange.deadline(&self.patience) else {
                return Poll::Pending;
            };
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
