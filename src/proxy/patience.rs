//! Timers that cost nothing while bytes flow.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A timer that exists only once somebody is waited for, and is moved only when it fires: a body that flows
/// costs no timer work.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// The same timer for the next wait of the same task: while waits follow each other nothing is set or cleared.
    pub(super) fn renewed(self, limit: Duration) -> Self {
        // One that is set for later than it is due would fire too late; one that is set for earlier is moved when it fires.
        let timer = self.timer.filter(|_| limit >= self.limit);
        Self { limit, timer }
    }

    /// Still waiting since `from`; ready when that has lasted for the limit.
    pub(super) fn poll_elapsed(&mut self, cx: &mut Context<'_>, from: Instant) -> Poll<()> {
        let deadline = from + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Ends when nothing has moved for the limit, as `last` tells.
    pub(super) async fn elapsed(&mut self, last: impl Fn() -> Instant) {
        std::future::poll_fn(|cx| self.poll_elapsed(cx, last())).await;
    }
}
