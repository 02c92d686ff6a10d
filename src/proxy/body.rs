//! The two bodies of an exchange: counted, bounded in time, cut when the law says so. Bytes are never copied.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::clock;
use super::exchange::Exchange;
use super::header;
use super::patience::Patience;
use super::pool::BrokeOff;
use super::stream::Stream;
use super::wire::Content;
use crate::verdict::Reason;

/// What a client sends behind a head.
#[derive(Debug)]
pub(super) enum ClientBody {
    /// By HTTP/1.1.
    Http1(Content),
    /// By HTTP/2.
    Http2(Incoming),
}

/// The client's request body on its way to the upstream.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Option<ClientBody>,
    watch: Rc<Stream>,
    sent: Rc<dyn Count>,
    last: Instant,
    is_begun: bool,
    patience: Patience,
}

/// A response body on its way to the client.
#[derive(Debug)]
pub(super) enum ResponseBody {
    /// From the upstream.
    Upstream(Box<Relayed>),
    /// A refusal.
    Own(Full<Bytes>),
}

/// The upstream's response body, with everything that must be done when it ends.
#[derive(Debug)]
pub(super) struct Relayed {
    exchange: Exchange,
    patience: Patience,
}

/// Counts plaintext bytes of one direction.
pub(super) trait Count: std::fmt::Debug {
    /// `bytes` more went by.
    fn count(&self, bytes: u64);
}

/// The client's body broke off, or is none that its version permits.
#[derive(Debug)]
pub(super) struct ClientBroke;

/// The body ends here: the law changed, a peer was too slow, or the other side failed.
#[derive(Debug)]
pub(super) struct BodyError(pub(super) Reason);

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ClientBroke;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBroke>>> {
        match self.get_mut() {
            Self::Http1(content) => Pin::new(content).poll_frame(cx).map_err(|_why| ClientBroke),
            Self::Http2(incoming) => Pin::new(incoming).poll_frame(cx).map_err(|_why| ClientBroke),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(content) => content.is_end_stream(),
            Self::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(content) => content.size_hint(),
            Self::Http2(incoming) => incoming.size_hint(),
        }
    }
}

impl RequestBody {
    /// Watches the client's body, if there is one: counted by `sent`, at most `limit` between two reads.
    pub(super) fn new(
        incoming: Option<ClientBody>,
        watch: Rc<Stream>,
        sent: Rc<dyn Count>,
        limit: Duration,
    ) -> Self {
        watch.is_sent.set(incoming.is_none());
        Self {
            incoming,
            watch,
            sent,
            last: clock::woken(),
            is_begun: false,
            patience: Patience::new(limit),
        }
    }

    /// Whether not one byte of it was read.
    pub(super) const fn is_unread(&self) -> bool {
        !self.is_begun
    }

    /// The client's body.
    pub(super) fn into_incoming(self) -> Option<ClientBody> {
        self.incoming
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        if this.watch.is_sent.get() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = this.watch.cut.poll(cx) {
            return Poll::Ready(Some(Err(BodyError(reason))));
        }
        match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                frame.trailers_mut().map(header::strip_trailers);
                this.watch.is_sent.set(incoming.is_end_stream());
                this.is_begun = true;
                this.last = this.watch.moved();
                this.sent.count(frame.data_ref().map_or(0, |data| data.len() as u64));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(ClientBroke))) => {
                this.watch.cut.throw(Reason::MalformedRequest);
                Poll::Ready(Some(Err(BodyError(Reason::MalformedRequest))))
            }
            Poll::Ready(None) => {
                this.watch.is_sent.set(true);
                this.watch.moved();
                Poll::Ready(None)
            }
            Poll::Pending => this.patience.poll_elapsed(cx, this.last).map(|()| {
                this.watch.cut.throw(Reason::Timeout);
                Some(Err(BodyError(Reason::Timeout)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl ResponseBody {
    /// The body of a response that the upstream has begun.
    pub(super) fn relayed(exchange: Exchange, limit: Duration) -> Self {
        Self::Upstream(Box::new(Relayed { exchange, patience: Patience::new(limit) }))
    }

    /// A body of our own.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self::Own(Full::new(bytes))
    }
}

impl Relayed {
    fn poll_relayed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(reason) = self.exchange.stream().cut.poll(cx) {
            self.exchange.fail(reason);
            return Poll::Ready(Some(Err(BodyError(reason))));
        }
        match self.exchange.poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                frame.trailers_mut().map(header::strip_trailers);
                self.exchange.received(frame.data_ref().map_or(0, |data| data.len() as u64));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(BrokeOff))) => {
                self.exchange.fail(Reason::UpstreamFailed);
                Poll::Ready(Some(Err(BodyError(Reason::UpstreamFailed))))
            }
            Poll::Ready(None) => {
                self.exchange.complete();
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.patience.poll_elapsed(cx, self.exchange.stream().progress()).map(|()| {
                    self.exchange.fail(Reason::Timeout);
                    Some(Err(BodyError(Reason::Timeout)))
                })
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Upstream(relayed) => relayed.poll_relayed(cx),
            Self::Own(own) => Pin::new(own).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(relayed) => relayed.exchange.is_end_stream(),
            Self::Own(own) => own.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(relayed) => relayed.exchange.size_hint(),
            Self::Own(own) => own.size_hint(),
        }
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.code())
    }
}

impl std::error::Error for BodyError {}
