//! A pooled connection lent for one exchange: sends what a permit permits, and is given back or ended.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Http1, Key, Multiplexed, Pool};
use crate::proxy::body::RequestBody;
use crate::proxy::permit::RequestPermit;
use crate::proxy::single::Broken;
use crate::proxy::upstream::UpstreamPeer;

/// A connection lent for one exchange: a request is sent, the body of its answer is read, and it is given back.
/// Unless it is given back it is ended: a half-used HTTP/1.1 connection serves nobody.
#[derive(Debug)]
pub(in crate::proxy) struct Checkout {
    pub(super) pool: Rc<Pool>,
    pub(super) key: Key,
    pub(super) lent: Lent,
    pub(super) used: Use,
}

#[derive(Debug)]
pub(super) enum Lent {
    Single(Box<Http1>),
    /// With the body of the answer, once it is there.
    Shared {
        connection: Rc<Multiplexed>,
        body: Option<Incoming>,
    },
    Returned,
}

impl Lent {
    pub(super) fn shared(connection: &Rc<Multiplexed>) -> Self {
        Self::Shared { connection: Rc::clone(connection), body: None }
    }
}

/// Which use of its connection a checkout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    First,
    Again,
    /// The first and the last.
    Once,
}

/// Why a request was not answered.
#[derive(Debug)]
pub(in crate::proxy) struct SendError {
    /// The body, where not one byte of the request was sent.
    pub(in crate::proxy) unsent: Option<Box<RequestBody>>,
    /// Whether it ended before the first byte of a response.
    pub(in crate::proxy) before_response: bool,
}

/// The answer ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct BrokeOff;

impl SendError {
    fn unsent(body: RequestBody) -> Self {
        Self { unsent: Some(Box::new(body)), before_response: true }
    }
}

impl Checkout {
    /// Whether it has served before.
    pub(in crate::proxy) fn is_pooled(&self) -> bool {
        self.used == Use::Again
    }

    /// Whom the upstream proved to be.
    pub(in crate::proxy) fn peer(&self) -> Option<Arc<UpstreamPeer>> {
        match &self.lent {
            Lent::Single(http1) => Some(Arc::clone(&http1.leg.peer)),
            Lent::Shared { connection, .. } => Some(Arc::clone(&connection.leg.peer)),
            Lent::Returned => None,
        }
    }

    /// Whether it speaks HTTP/2.
    pub(in crate::proxy) const fn is_http2(&self) -> bool {
        matches!(self.lent, Lent::Shared { .. })
    }

    /// Sends what `permit` permits. The permit is for this very address or nothing is sent. The body of the answer is
    /// read with [`Checkout::poll_frame`].
    ///
    /// # Errors
    /// [`SendError`] tells what may be tried again.
    pub(in crate::proxy) async fn send(
        &mut self,
        permit: RequestPermit,
        head: &Parts,
        body: RequestBody,
    ) -> Result<Box<response::Parts>, SendError> {
        if permit.endpoint() != self.key.endpoint {
            return Err(SendError::unsent(body));
        }
        match &mut self.lent {
            // It may have been closed while the entry was written.
            Lent::Single(http1) if !http1.is_ready(self.used) => Err(SendError::unsent(body)),
            Lent::Single(http1) => {
                let sent = http1.single.send(head, body).await;
                sent.map_err(|broken| SendError {
                    unsent: None,
                    before_response: broken == Broken::Unanswered,
                })
            }
            Lent::Shared { connection, body: answer } => {
                let request = Request::from_parts(head.clone(), body);
                let (head, incoming) = multiplex(connection, request).await?.into_parts();
                *answer = Some(incoming);
                Ok(Box::new(head))
            }
            Lent::Returned => Err(SendError::unsent(body)),
        }
    }

    /// The next piece of the answer's body.
    ///
    /// # Errors
    /// The answer broke off.
    pub(in crate::proxy) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        match &mut self.lent {
            Lent::Single(http1) => http1
                .single
                .poll_frame(cx)
                .map(|next| next.map(|it| it.map_err(|_broken| BrokeOff))),
            Lent::Shared { body: Some(body), .. } => Pin::new(body)
                .poll_frame(cx)
                .map(|next| next.map(|it| it.map_err(|_broken| BrokeOff))),
            Lent::Shared { body: None, .. } | Lent::Returned => Poll::Ready(None),
        }
    }

    /// Whether the answer's body has ended.
    pub(in crate::proxy) fn is_end_stream(&self) -> bool {
        match &self.lent {
            Lent::Single(http1) => http1.single.is_end_stream(),
            Lent::Shared { body, .. } => body.as_ref().is_none_or(Body::is_end_stream),
            Lent::Returned => true,
        }
    }

    /// How much of the answer's body is to come, as far as it is known.
    pub(in crate::proxy) fn size_hint(&self) -> SizeHint {
        match &self.lent {
            Lent::Single(http1) => http1.single.size_hint(),
            Lent::Shared { body: Some(body), .. } => body.size_hint(),
            Lent::Shared { body: None, .. } | Lent::Returned => SizeHint::with_exact(0),
        }
    }

    /// Gives it back after the last byte of a response.
    pub(in crate::proxy) fn give_back(mut self) {
        match std::mem::replace(&mut self.lent, Lent::Returned) {
            Lent::Single(mut http1) => {
                if self.used != Use::Once && http1.single.settle() {
                    self.pool.give_back(self.key, http1);
                }
            }
            Lent::Shared { connection, .. } => self.pool.release(self.key, &connection),
            Lent::Returned => {}
        }
    }

    /// After a `101` on a connection that was lent once: what the upstream has said behind it, and the stream, which
    /// keeps its place.
    pub(in crate::proxy) fn switched(
        &mut self,
    ) -> Option<(Bytes, impl AsyncRead + AsyncWrite + Unpin + std::fmt::Debug + 'static)> {
        match std::mem::replace(&mut self.lent, Lent::Returned) {
            Lent::Single(http1) if self.used == Use::Once => http1.single.switched(),
            Lent::Single(_) | Lent::Returned => None,
            Lent::Shared { connection, .. } => {
                self.pool.release(self.key, &connection);
                None
            }
        }
    }
}

impl Http1 {
    /// Whether it still takes a request: one that was pooled was looked at when it was taken.
    fn is_ready(&self, used: Use) -> bool {
        match used {
            Use::Again => self.single.is_still_quiet(),
            Use::First | Use::Once => self.single.is_quiet(),
        }
    }
}

async fn multiplex(
    connection: &Multiplexed,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, SendError> {
    let mut sender = connection.sender.clone();
    if sender.ready().await.is_err() {
        return Err(SendError::unsent(request.into_body()));
    }
    sender.try_send_request(request).await.map_err(|mut failed| {
        let unsent = failed.take_message().map(|request| Box::new(request.into_body()));
        let error = failed.into_error();
        // The head of a response is what is waited for: whatever broke off did so before it, unless it was
        // answered with something that is not HTTP, or our own body failed.
        let before_response = !error.is_parse() && !error.is_user();
        SendError { unsent, before_response }
    })
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // A single connection ends here with its stream; a stream of a shared one is reset by its body.
        if let Lent::Shared { connection, .. } = &self.lent {
            self.pool.release(self.key, connection);
        }
    }
}
