//! After `101 Switching Protocols` (RFC 9110 §7.8): bytes both ways, as on a relay. The request that asked for it was
//! judged and recorded like any other; what stood behind its head was withheld until the upstream had taken the switch.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::connection::Connection;
use super::ended::Ended;
use super::patience::Patience;
use super::relay;
use super::stream::Registered;
use crate::metrics::RuleMetrics;

/// Both directions of one leg, whatever is below.
pub(super) trait Leg: AsyncRead + AsyncWrite + Unpin + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Unpin + std::fmt::Debug> Leg for S {}

/// A stream of which the first bytes were read already.
#[derive(Debug)]
pub(super) struct Prefixed<S> {
    first: Bytes,
    stream: S,
}

/// The upstream's side of a switch, until the client has its `101`.
#[derive(Debug)]
pub(super) struct Switched {
    upstream: Prefixed<Box<dyn Leg>>,
    registered: Registered,
    metrics: Arc<RuleMetrics>,
    idle: Duration,
}

impl Switched {
    pub(super) fn new(
        upstream: Prefixed<Box<dyn Leg>>,
        registered: Registered,
        metrics: Arc<RuleMetrics>,
        idle: Duration,
    ) -> Self {
        Self { upstream, registered, metrics, idle }
    }

    /// Relays until it ends, or the law no longer permits the request that led here.
    pub(super) async fn relay<C>(self, connection: &Rc<Connection>, mut client: C) -> Ended
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        // What of the `101` was handed to TLS may not have left yet.
        if client.flush().await.is_err() {
            return Ended::Client;
        }
        let patience = Patience::new(self.idle);
        tokio::select! {
            biased;
            reason = self.registered.stream().cut.thrown() => Ended::Cut(reason),
            ended = relay::relay(connection, &self.metrics, client, self.upstream, patience) => ended,
        }
    }
}

impl<S> Prefixed<S> {
    pub(super) const fn new(first: Bytes, stream: S) -> Self {
        Self { first, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let length = this.first.len().min(buffer.remaining());
        buffer.put_slice(this.first.get(..length).unwrap_or_default());
        this.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
