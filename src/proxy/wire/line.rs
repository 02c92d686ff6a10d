//! Both directions of a client's connection: what is read and not taken, what is owed, and since when the client is waited
//! for. Nothing here knows what a request asks.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::chunk::Piece;
use super::head::{Framing, Heading};
use super::patience::Since;
use super::violation::Breach;
use super::{Place, Wire, request};
use crate::proxy::clock;

/// What a read between two requests has room for, on the stack.
const PEEK: usize = 2 << 10;

/// What a read of a head has room for.
const HEAD_READ: usize = 4 << 10;

/// What a read of a long body has room for: four TLS records, so that four can go on in one system call.
const LONG_READ: usize = 64 << 10;

/// Less room than this is not worth a read.
const LEAST_READ: usize = 1 << 10;

/// The interim answer to `Expect: 100-continue`.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How the client's side of the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Between two requests.
    Clean,
    /// Within a head, which nobody has seen.
    InHead,
    /// Within a body.
    InBody,
}

/// The body broke off, was not what the wire lets pass, or belongs to a request that is over.
#[derive(Debug)]
pub(crate) struct Broken;

/// Both directions.
#[derive(Debug)]
pub(super) struct Line<S> {
    pub(super) stream: S,
    pub(super) wire: Wire,
    /// Read, and not taken. Freed while the client is idle.
    pub(super) held: BytesMut,
    /// Whether `held` has bytes that were not shown to `wire`.
    pub(super) is_fresh: bool,
    /// How many requests there were.
    pub(super) number: u64,
    /// Where an interim answer is owed: how much of it was written.
    pub(super) interim: Option<usize>,
    pub(super) since: Since,
    /// Who answers, while somebody else reads the body.
    answering: Option<Waker>,
    /// Who reads the body, while the interim answer cannot be written.
    reading: Option<Waker>,
    pub(super) breach: Option<Breach>,
    pub(super) ending: Option<Ending>,
}

impl<S> Line<S> {
    /// Over a stream on which nothing was said; no head may be larger than `header_size` bytes.
    pub(super) fn new(stream: S, header_size: usize) -> Self {
        Self {
            stream,
            wire: Wire::new(header_size),
            held: BytesMut::new(),
            is_fresh: false,
            number: 0,
            interim: None,
            since: Since { idle: Some(clock::woken()), head: None, stalled: None },
            answering: None,
            reading: None,
            breach: None,
            ending: None,
        }
    }
}

impl<S> Line<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<(Heading, Bytes)>>> {
        loop {
            if std::mem::take(&mut self.is_fresh) {
                match self.wire.head(&self.held) {
                    Ok(Some(heading)) => return Poll::Ready(Ok(Some(self.take_head(heading)))),
                    Ok(None) => self.head_begun(),
                    Err(breach) => self.broken(breach),
                }
            }
            if self.breach.is_some() || self.ending.is_some() {
                return Poll::Ready(Ok(None));
            }
            ready!(self.poll_fill(cx, HEAD_READ))?;
        }
    }

    fn take_head(&mut self, heading: Heading) -> (Heading, Bytes) {
        let bytes = self.held.split_to(heading.length).freeze();
        self.number += 1;
        self.since = Since { idle: None, head: None, stalled: None };
        let waits = heading.expects && heading.framing != Framing::Empty;
        self.interim = waits.then_some(0);
        (heading, bytes)
    }

    fn head_begun(&mut self) {
        self.since.head.get_or_insert_with(clock::woken);
    }

    fn broken(&mut self, breach: Breach) {
        self.since.head = None;
        self.breach = Some(breach);
    }

    fn ended(&mut self) {
        self.since.head = None;
        self.ending = Some(match (self.wire.is_between(), self.held.is_empty()) {
            (true, true) => Ending::Clean,
            (true, false) => Ending::InHead,
            (false, _) => Ending::InBody,
        });
    }

    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.wire.is_between() {
            // Whoever reads the body sees the client go, and wakes this task when it has read it.
            remember(&mut self.answering, cx);
            return Poll::Pending;
        }
        // With a byte of the next request in hand nothing more is read before the answer has left.
        if !self.held.is_empty() || self.breach.is_some() {
            return Poll::Pending;
        }
        if self.ending.is_none() {
            ready!(self.poll_peek(cx))?;
        }
        if self.ending.is_some() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Reads a little between two requests, without memory for it.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); PEEK];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.ended();
        } else {
            self.held.extend_from_slice(buffer.filled());
            self.is_fresh = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more; at the end of the stream it says where that was.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<()>> {
        if self.held.capacity() - self.held.len() < room.min(LEAST_READ) {
            self.held.reserve(room);
        }
        let read = ready!(pin!(self.stream.read_buf(&mut self.held)).poll(cx))?;
        if read == 0 {
            self.ended();
        } else {
            self.is_fresh = true;
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece of the body of the request with this number.
    pub(super) fn poll_content(
        &mut self,
        number: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if number != self.number {
            return Poll::Ready(Some(Err(Broken)));
        }
        // The client waits for the word to send it.
        if ready!(self.poll_interim(cx)).is_err() {
            return Poll::Ready(Some(Err(Broken)));
        }
        let content = self.poll_rest(cx);
        if self.wire.is_between() {
            wake(&mut self.answering);
            if self.held.is_empty() {
                self.held = BytesMut::new();
            }
        }
        content
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if self.wire.is_between() {
                return Poll::Ready(None);
            }
            match self.take_piece() {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.wire.is_between() => return Poll::Ready(None),
                Ok(None) if self.ending.is_none() => {}
                Ok(None) | Err(Broken) => return Poll::Ready(Some(Err(Broken))),
            }
            let room = self.wire.left().and_then(|left| usize::try_from(left).ok());
            let room = room.map_or(LONG_READ, |left| left.min(LONG_READ));
            if ready!(self.poll_fill(cx, room)).is_err() {
                return Poll::Ready(Some(Err(Broken)));
            }
        }
    }

    /// What is owed of the interim answer, where the answer itself is there: from here on it is its part.
    pub(super) fn take_interim(&mut self) -> &'static [u8] {
        wake(&mut self.reading);
        // One that has not begun to leave is not owed any more.
        let begun = self.interim.take().filter(|written| *written > 0);
        begun.and_then(|written| CONTINUE.get(written..)).unwrap_or_default()
    }

    /// A number of its own for what is left of a body that nobody wanted: whoever had it can read it no more.
    pub(super) const fn disown(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_some() {
            remember(&mut self.reading, cx);
        }
        while let Some(written) = self.interim {
            match CONTINUE.get(written..) {
                None | Some([]) => {
                    ready!(Pin::new(&mut *self).poll_flush(cx))?;
                    self.interim = None;
                }
                Some(rest) => {
                    let more = ready!(Pin::new(&mut *self).poll_write(cx, rest))?;
                    if more == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    self.interim = Some(written + more);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A piece of what is held.
    fn take_piece(&mut self) -> Result<Option<Frame<Bytes>>, Broken> {
        loop {
            let piece = self.wire.piece(&self.held).map_err(|breach| {
                self.breach = Some(breach);
                Broken
            })?;
            match piece {
                Piece::More => return Ok(None),
                Piece::Framing(length) => self.held.advance(length),
                Piece::Data(length) => {
                    let data = self.held.split_to(length).freeze();
                    // The end stands most often right behind the last piece: then nobody needs to ask for more.
                    if self.held.starts_with(b"\r\n0\r\n\r\n") {
                        let _end = self.take_piece()?;
                    }
                    return Ok(Some(Frame::data(data)));
                }
                Piece::Trailers(length) => {
                    let trailers = request::trailers(&self.held.split_to(length).freeze());
                    let trailers = trailers.map_err(|violation| {
                        self.breach = Some(Breach { violation, place: Place::Body });
                        Broken
                    })?;
                    return Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)));
                }
            }
        }
    }

    fn stalled<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_ready() {
            self.since.stalled = None;
        } else {
            self.since.stalled.get_or_insert_with(clock::woken);
        }
        written
    }
}

/// Where the body of a request comes from, whatever the stream is.
pub(super) trait Source: std::fmt::Debug {
    fn poll_frame(
        &self,
        number: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>>;

    /// How many bytes are to come of the body with this number, where that is known and it is still there.
    fn left(&self, number: u64) -> Option<u64>;
}

impl<S> Source for RefCell<Line<S>>
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin,
{
    fn poll_frame(
        &self,
        number: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.borrow_mut().poll_content(number, cx)
    }

    fn left(&self, number: u64) -> Option<u64> {
        let line = self.borrow();
        line.wire.left().filter(|_| number == line.number)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let written = Pin::new(&mut line.stream).poll_write(cx, bytes);
        line.stalled(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        let written = Pin::new(&mut line.stream).poll_write_vectored(cx, slices);
        line.stalled(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let flushed = Pin::new(&mut line.stream).poll_flush(cx);
        line.stalled(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(known) => known.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
