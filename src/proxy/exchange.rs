//! One permitted exchange after its response head: counts, ends, and gives the upstream connection back.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::clock;
use super::pool::{BrokeOff, Checkout};
use super::stream::{Registered, Stream};
use crate::flow::Name;
use crate::ledger::Body;
use crate::metrics::RuleMetrics;
use crate::policy::Masked;
use crate::verdict::{Reason, Stage};

/// An exchange whose response is on its way. Ends exactly once: complete, failed, or left by the client.
#[derive(Debug)]
pub(super) struct Exchange {
    registered: Registered,
    checkout: Option<Checkout>,
    rule: Name,
    metrics: Arc<RuleMetrics>,
    code: u16,
    began: Instant,
}

impl Exchange {
    pub(super) fn new(
        registered: Registered,
        checkout: Checkout,
        (rule, metrics): (Name, Arc<RuleMetrics>),
        code: u16,
        began: Instant,
    ) -> Self {
        Self { registered, checkout: Some(checkout), rule, metrics, code, began }
    }

    pub(super) fn stream(&self) -> &Rc<Stream> {
        self.registered.stream()
    }

    /// The next piece of the response body.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        self.checkout.as_mut().map_or(Poll::Ready(None), |checkout| checkout.poll_frame(cx))
    }

    /// Whether the response body has ended.
    pub(super) fn is_end_stream(&self) -> bool {
        self.checkout.as_ref().is_none_or(Checkout::is_end_stream)
    }

    /// How much of the response body is to come, as far as it is known.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.checkout.as_ref().map_or_else(|| SizeHint::with_exact(0), Checkout::size_hint)
    }

    /// `bytes` of the response body went by.
    pub(super) fn received(&self, bytes: u64) {
        self.stream().moved();
        self.registered.connection().count_to_client(bytes);
        self.metrics.to_client(bytes);
    }

    /// The last byte of the response was handed on: the upstream connection can serve the next request. Also done when it
    /// is dropped, so that the books can be kept once the bytes have left.
    pub(super) fn complete(&mut self) {
        if let Some(checkout) = self.checkout.take() {
            // Answered before the request has ended: the rest of it has no place to go, and the next request
            // must not wait behind it.
            if self.stream().is_sent.get() {
                checkout.give_back();
            }
            self.end();
        }
    }

    /// It broke off; the upstream connection is ended with it.
    pub(super) fn fail(&mut self, reason: Reason) {
        if let Some(checkout) = self.checkout.take() {
            drop(checkout);
            self.end();
            let endpoint = self.stream().flow.borrow().endpoint;
            self.registered.connection().note(Body::Failed {
                reason,
                stage: Stage::Content,
                rule: Some(self.rule.clone()),
                endpoint,
                detail: Some(Masked::own("the response broke off")),
            });
        }
    }

    fn end(&self) {
        self.metrics.request(self.code, clock::woken().duration_since(self.began));
        self.registered.connection().count_outcome(self.code);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.complete();
        } else if self.checkout.take().is_some() {
            // The client left before the end: what it left is ended, not drained.
            self.registered.connection().count_abandoned();
            self.end();
        }
    }
}
