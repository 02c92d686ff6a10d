//! A pooled connection lent for one exchange: sends what a permit permits, and is given back or ended.

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use super::{Key, Multiplexed, Pool, Single};
use crate::proxy::body::RequestBody;
use crate::proxy::permit::RequestPermit;
use crate::proxy::upstream::UpstreamPeer;

/// A connection lent for one exchange. Unless it is given back it is ended: a half-used HTTP/1.1 connection
/// serves nobody.
#[derive(Debug)]
pub(in crate::proxy) struct Checkout {
    pub(super) pool: Rc<Pool>,
    pub(super) key: Key,
    pub(super) lent: Lent,
    pub(super) pooled: bool,
    /// Nobody gets it back.
    pub(super) once: bool,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a checkout lives in one place; a box would cost every request"
)]
pub(super) enum Lent {
    Single(Single),
    Shared(Rc<Multiplexed>),
    Returned,
}

/// Why a request was not answered.
#[derive(Debug)]
pub(in crate::proxy) struct SendError {
    /// The request, where not one byte of it was sent.
    pub(in crate::proxy) unsent: Option<Box<Request<RequestBody>>>,
    /// Whether it ended before the first byte of a response.
    pub(in crate::proxy) before_response: bool,
}

impl SendError {
    fn unsent(request: Request<RequestBody>) -> Self {
        Self { unsent: Some(Box::new(request)), before_response: true }
    }
}

impl Checkout {
    /// Whether it has served before.
    pub(in crate::proxy) const fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Whom the upstream proved to be.
    pub(in crate::proxy) fn peer(&self) -> Option<Arc<UpstreamPeer>> {
        match &self.lent {
            Lent::Single(single) => Some(Arc::clone(&single.leg.peer)),
            Lent::Shared(shared) => Some(Arc::clone(&shared.leg.peer)),
            Lent::Returned => None,
        }
    }

    /// Whether it speaks HTTP/2.
    pub(in crate::proxy) const fn is_http2(&self) -> bool {
        matches!(self.lent, Lent::Shared(_))
    }

    /// Sends what `permit` permits. The permit is for this very address or nothing is sent.
    ///
    /// # Errors
    /// [`SendError`] tells what may be tried again.
    pub(in crate::proxy) async fn send(
        &mut self,
        permit: RequestPermit,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, SendError> {
        if permit.endpoint() != self.key.endpoint {
            return Err(SendError::unsent(request));
        }
        let sent = match &mut self.lent {
            Lent::Single(single) => {
                if single.sender.ready().await.is_err() {
                    return Err(SendError::unsent(request));
                }
                single.sender.try_send_request(request).await
            }
            Lent::Shared(shared) => {
                let mut sender = shared.sender.clone();
                if sender.ready().await.is_err() {
                    return Err(SendError::unsent(request));
                }
                sender.try_send_request(request).await
            }
            Lent::Returned => return Err(SendError::unsent(request)),
        };
        sent.map_err(|mut failed| {
            let unsent = failed.take_message().map(Box::new);
            let error = failed.into_error();
            // The head of a response is what is waited for: whatever broke off did so before it, unless it was
            // answered with something that is not HTTP, or our own body failed.
            let before_response = !error.is_parse() && !error.is_user();
            SendError { unsent, before_response }
        })
    }

    /// Gives it back after the last byte of a response.
    pub(in crate::proxy) fn give_back(&mut self) {
        match std::mem::replace(&mut self.lent, Lent::Returned) {
            Lent::Single(_) if self.once => {}
            Lent::Single(single) => self.pool.give_back(self.key, single),
            Lent::Shared(shared) => self.pool.release(self.key, &shared),
            Lent::Returned => {}
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // A single connection ends here with its `Leg`; a stream of a shared one was reset by its body.
        if let Lent::Shared(shared) = &self.lent {
            self.pool.release(self.key, shared);
        }
    }
}
