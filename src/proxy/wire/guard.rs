//! The stream between TLS and hyper: reads for hyper, shows the bytes to [`Wire`], hands on what may
//! go, keeps the rest. Writes go through untouched. It answers nobody: that is the connection's task.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Wire;
use super::exchange::{Ending, Exchange};
use super::violation::{Breach, Place};

/// How much [`Guard::arrived`] reads at most, on the stack.
const FIRST_READ: usize = 2 * 1024;

/// A stream whose reads are guarded. It outlives hyper's connection: while a client is idle, hyper can be
/// taken down and built again around the same guard, which then holds no buffer.
///
/// It gives hyper the end of the stream when something was wrong with a head, so that hyper ends in order;
/// [`Exchange::breach`] then says what, and the connection's task writes the refusal to [`Guard::into_inner`].
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    wire: Wire,
    exchange: Rc<Exchange>,
    /// Read, but not handed on. Freed when it is empty.
    held: BytesMut,
    /// How many leading bytes of `held` may be handed on.
    ready: usize,
    /// Whether `held` has bytes behind `ready` that were not shown to `wire`.
    fresh: bool,
}

impl<S> Guard<S> {
    /// Guards `stream`; no head may be larger than `header_size` bytes.
    pub fn new(stream: S, header_size: usize) -> Self {
        Self {
            stream,
            wire: Wire::new(header_size),
            exchange: Exchange::new(),
            held: BytesMut::new(),
            ready: 0,
            fresh: false,
        }
    }

    /// What the service and the connection's task share with it.
    pub const fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    /// Whether nothing is owed to the client and no byte of it waits: hyper may be taken down.
    pub fn is_idle(&self) -> bool {
        self.wire.is_between() && self.held.is_empty() && self.exchange.is_clients_turn()
    }

    /// The guarded stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream itself; what was withheld is thrown away.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn is_waiting(&self) -> bool {
        self.wire.is_between() && !self.exchange.is_clients_turn()
    }

    /// Hands on what may go; whether there was anything.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(ready) = self.held.get(..self.ready.min(buffer.remaining())) else { return false };
        let length = ready.len();
        buffer.put_slice(ready);
        self.held.advance(length);
        self.ready -= length;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        self.fresh |= length > 0 && self.ready == 0 && !self.held.is_empty();
        length > 0
    }

    fn release_held(&mut self) {
        self.fresh = false;
        self.ready = release(&mut self.wire, &self.exchange, &self.held);
    }

    /// Takes what was read into `buffer` behind its first `before` bytes.
    fn take(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let read = buffer.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return self.end();
        }
        let at_once = self.held.is_empty() && !self.is_waiting();
        let passed = if at_once { release(&mut self.wire, &self.exchange, read) } else { 0 };
        self.held.extend_from_slice(read.get(passed..).unwrap_or_default());
        // What stands behind bytes that passed may be another piece, even a whole one.
        self.fresh = !at_once || (passed > 0 && !self.held.is_empty());
        buffer.set_filled(before + passed);
    }

    fn end(&self) {
        self.exchange.ended(match (self.wire.is_between(), self.held.is_empty()) {
            (true, true) => Ending::Clean,
            (true, false) => Ending::InHead,
            (false, _) => Ending::InBody,
        });
    }

    /// Something was wrong. In the body of a request that is not answered, the service is told by an
    /// error; else hyper ends, but not before it has written every earlier answer.
    fn poll_broken(&self, context: &Context<'_>, breach: Breach) -> Poll<io::Result<()>> {
        if self.exchange.is_clients_turn() {
            return Poll::Ready(Ok(()));
        }
        if breach.place == Place::Body && self.exchange.is_services_turn() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, breach.violation)));
        }
        self.exchange.wait(context);
        Poll::Pending
    }
}

/// Shows `bytes` to the wire and tells the exchange: how many may be handed on.
fn release(wire: &mut Wire, exchange: &Exchange, bytes: &[u8]) -> usize {
    let between = wire.is_between();
    match wire.release(bytes) {
        Ok(0) if between => {
            exchange.head_begun();
            0
        }
        Ok(passed) => {
            if between {
                exchange.asked();
            }
            passed
        }
        Err(breach) => {
            exchange.broken(breach);
            0
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Waits, without hyper and without a buffer, for the first byte of a request: `true` when there is
    /// one, `false` when the client has closed instead.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn arrived(&mut self) -> io::Result<bool> {
        poll_fn(|context| self.poll_arrived(context)).await
    }

    fn poll_arrived(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.held.is_empty() || self.exchange.ending().is_some() {
            return Poll::Ready(Ok(!self.held.is_empty()));
        }
        let mut space = [MaybeUninit::uninit(); FIRST_READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.end();
        } else {
            self.held.extend_from_slice(buffer.filled());
            self.fresh = true;
            self.exchange.head_begun();
        }
        Poll::Ready(Ok(!self.held.is_empty()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let before = buffer.filled().len();
        loop {
            if guard.hand_on(buffer) || buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(breach) = guard.exchange.breach() {
                return guard.poll_broken(context, breach);
            }
            if guard.is_waiting() && !guard.held.is_empty() {
                guard.exchange.wait(context);
                return Poll::Pending;
            }
            if guard.fresh {
                guard.release_held();
                continue;
            }
            if guard.exchange.ending().is_some() {
                return Poll::Ready(Ok(()));
            }
            // Also while an answer is owed: so hyper learns that the client has gone.
            ready!(Pin::new(&mut guard.stream).poll_read(context, buffer))?;
            guard.take(buffer, before);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.stream).poll_write(context, bytes);
        guard.exchange.stalled(written.is_pending());
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.stream).poll_write_vectored(context, slices);
        guard.exchange.stalled(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let flushed = Pin::new(&mut guard.stream).poll_flush(context);
        guard.exchange.stalled(flushed.is_pending());
        if matches!(flushed, Poll::Ready(Ok(()))) {
            guard.exchange.flushed();
        }
        flushed
    }

    /// Leaves the stream open where a refusal is still to be written to it.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        match guard.exchange.breach() {
            Some(Breach { place: Place::Head, .. }) => {
                Pin::new(&mut guard.stream).poll_flush(context)
            }
            Some(_) | None => Pin::new(&mut guard.stream).poll_shutdown(context),
        }
    }
}
