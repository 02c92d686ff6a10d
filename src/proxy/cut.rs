//! Ending something that is in flight: the law changed, or a bound was reached.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use crate::verdict::Reason;

/// A switch that is thrown once; whoever works on what it belongs to polls it along with the work.
#[derive(Debug, Default)]
pub(super) struct Cut {
    reason: Cell<Option<Reason>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Cut {
    /// Throws the switch; the first reason stays.
    pub(super) fn throw(&self, reason: Reason) {
        if self.reason.get().is_none() {
            self.reason.set(Some(reason));
        }
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Why it was thrown, if it was.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.reason.get()
    }

    /// Ready once it is thrown.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Reason> {
        if let Some(reason) = self.reason.get() {
            return Poll::Ready(reason);
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            // At most the connection, a request and two bodies wait; older wakers of moved tasks are dropped here.
            if waiting.len() >= 8 {
                waiting.remove(0).wake();
            }
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Resolves once it is thrown.
    pub(super) async fn thrown(&self) -> Reason {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::Cut;
    use crate::verdict::Reason;

    #[tokio::test]
    async fn everybody_who_waits_hears_the_first_reason() {
        let cut = Rc::new(Cut::default());
        let throw = async {
            tokio::task::yield_now().await;
            cut.throw(Reason::CertificateRevoked);
            cut.throw(Reason::Draining);
        };
        let (first, second, ()) = tokio::join!(cut.thrown(), cut.thrown(), throw);
        assert_eq!((first, second), (Reason::CertificateRevoked, Reason::CertificateRevoked));
        assert_eq!(cut.reason(), Some(Reason::CertificateRevoked));
    }
}
