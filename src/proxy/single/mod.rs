//! An HTTP/1.1 connection to an upstream (RFC 9112): one exchange at a time, driven by the task that waits for its
//! answer; only what is left of a request after its answer has a task of its own. Which request may be sent is decided elsewhere; what its fields
//! mean is `header`'s.
//!
//! hyper's client cost a kept request a second task, two channels and a third of all its instructions; what is
//! needed of a client toward one verified peer is little, and heads are still read by the parser that hyper has. Its
//! counterpart toward clients is `wire`.

mod chunked;
mod head;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, response};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::{AbortHandle, spawn_local, unconstrained};

use chunked::{Chunked, Place};
use head::{Framing, Head};

use super::outgoing::{Failure, Outgoing};

/// What a read has room for at first: the head and the body of most answers.
const FIRST_READ: usize = 4 << 10;

/// What a read of a long body has room for: four TLS records, so that four can go on in one system call.
const LONG_READ: usize = 64 << 10;

/// Interim answers before the last one: an upstream that never comes to the point is none.
const INTERIM_MAX: usize = 16;

/// Less room than this is not worth a read.
const LEAST_READ: usize = 1 << 10;

/// Why an exchange did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The upstream closed, or the connection broke, before the first byte of any answer.
    Unanswered,
    /// The upstream closed, or the connection broke, within its answer.
    Cut,
    /// What it answered is not HTTP/1.1.
    Malformed,
    /// The body of the request failed: nothing is wrong with the upstream.
    Request,
}

/// A stream that can tell, without a system call, that nothing has come from the network.
pub(super) trait Quiet {
    /// Whether neither bytes nor an end have come. What was read before and not handed on is not looked at.
    fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool;
}

/// A connection; ended when it is dropped.
#[derive(Debug)]
pub(super) struct Single<S, B> {
    line: Rc<RefCell<Line<S, B>>>,
    /// Sends the rest of a request that was answered before its end.
    rest: Option<Rest>,
}

/// The task that sends the rest of a request; stopped when nobody waits for it.
#[derive(Debug)]
struct Rest(AbortHandle);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Both directions.
#[derive(Debug)]
struct Line<S, B> {
    stream: S,
    /// Read, and not handed on.
    held: BytesMut,
    reading: Reading,
    outgoing: Option<Outgoing<B>>,
    /// Whether the next request may use it, as far as it is known now.
    keeps: bool,
    /// The body of the request failed.
    failed: bool,
    /// Whether `held` stands in memory for long bodies.
    is_large: bool,
}

/// What the next bytes of the upstream belong to.
#[derive(Debug)]
enum Reading {
    /// Nothing was asked.
    Nothing,
    /// A head, how much of it was searched for its end, and how many interim ones came before it.
    Head { to: Method, searched: usize, interim: usize },
    /// A body of which so much is to come.
    Length(u64),
    /// A body in chunks.
    Chunked(Chunked),
    /// A body that ends with the connection.
    UntilClose,
    /// The other protocol.
    Switched,
}

impl<S, B> Single<S, B>
where
    S: AsyncRead + AsyncWrite + Quiet + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin + 'static,
{
    /// Over a stream that nobody has used.
    pub(super) fn new(stream: S) -> Self {
        let line = Line {
            stream,
            held: BytesMut::new(),
            reading: Reading::Nothing,
            outgoing: None,
            keeps: true,
            failed: false,
            is_large: false,
        };
        Self { line: Rc::new(RefCell::new(line)), rest: None }
    }

    /// Whether it could serve a request: nothing is under way, and the upstream has neither closed nor said anything
    /// unasked. Costs no system call where nothing has come.
    pub(super) fn is_quiet(&self) -> bool {
        self.line.borrow_mut().is_quiet()
    }

    /// The same, where it was so a moment ago and nobody has read since.
    pub(super) fn is_still_quiet(&self) -> bool {
        // Nobody is to be woken: whoever uses it next looks again.
        self.line.borrow_mut().stream.is_quiet(&mut Context::from_waker(Waker::noop()))
    }

    /// Sends a request and reads the head of its answer; the body of either may be longer under way.
    ///
    /// # Errors
    /// [`Broken`]; the connection is of no use then.
    pub(super) async fn send(
        &mut self,
        head: &Parts,
        body: B,
    ) -> Result<Box<response::Parts>, Broken> {
        self.line.borrow_mut().begin(head, body);
        let line = &self.line;
        let head = poll_fn(|cx| line.borrow_mut().poll_head(cx)).await?;
        if line.borrow().outgoing.is_some() {
            let line = Rc::clone(line);
            let rest = async move { poll_fn(|cx| line.borrow_mut().poll_outgoing(cx)).await };
            self.rest = Some(Rest(spawn_local(rest).abort_handle()));
        }
        Ok(head)
    }

    /// The next piece of the answer's body.
    ///
    /// # Errors
    /// [`Broken`]; the connection is of no use then.
    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.line.borrow_mut().poll_frame(cx)
    }

    /// Whether the answer's body has ended.
    pub(super) fn is_end_stream(&self) -> bool {
        matches!(self.line.borrow().reading, Reading::Nothing | Reading::Switched)
    }

    /// How much of the answer's body is to come, as far as it is known.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.line.borrow().reading {
            Reading::Length(left) => SizeHint::with_exact(left),
            Reading::Nothing | Reading::Switched => SizeHint::with_exact(0),
            Reading::Head { .. } | Reading::Chunked(_) | Reading::UntilClose => SizeHint::default(),
        }
    }

    /// Whether the next request may use it, now that its answer has ended.
    pub(super) fn settle(&mut self) -> bool {
        self.rest = None;
        self.line.borrow_mut().settle()
    }

    /// Gives back the memory that waits for the next answer.
    pub(super) fn shrink(&self) {
        self.line.borrow_mut().shrink();
    }

    /// After a `101`: what the upstream has said behind it, and the stream. `None` where it was no `101`.
    pub(super) fn switched(self) -> Option<(Bytes, S)> {
        let Self { line, rest: _ } = self;
        let line = Rc::into_inner(line)?.into_inner();
        let switched = matches!(line.reading, Reading::Switched) && line.outgoing.is_none();
        switched.then(|| (line.held.freeze(), line.stream))
    }
}

impl<S, B> Line<S, B>
where
    S: AsyncRead + AsyncWrite + Quiet + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    fn is_quiet(&mut self) -> bool {
        let is_idle = matches!(self.reading, Reading::Nothing) && self.outgoing.is_none();
        let mut byte = [0];
        let stream = &mut self.stream;
        // By a read, since TLS may hold a word behind an answer; a ticket, which is no word, is taken by it. A task that
        // has used up its budget would find every stream quiet.
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut byte)));
        let mut cx = Context::from_waker(Waker::noop());
        self.keeps && is_idle && pin!(unconstrained(read)).poll(&mut cx).is_pending()
    }

    fn begin(&mut self, head: &Parts, body: B) {
        self.reading = Reading::Head { to: head.method.clone(), searched: 0, interim: 0 };
        self.outgoing = Some(Outgoing::request(head, body));
    }

    /// Sends as much of the request as goes now.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(outgoing) = &mut self.outgoing else { return Poll::Ready(()) };
        match ready!(outgoing.poll_send(&mut self.stream, cx)) {
            Ok(()) => {}
            // Its answer may still be there, or on its way: an upstream may close what it does not want to read.
            Err(Failure::Write) => self.keeps = false,
            Err(Failure::Body) => self.failed = true,
        }
        self.outgoing = None;
        Poll::Ready(())
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Box<response::Parts>, Broken>> {
        let _sent = self.poll_outgoing(cx);
        loop {
            if self.failed {
                return Poll::Ready(Err(Broken::Request));
            }
            if let Some(head) = self.take_head()? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_fill(cx, FIRST_READ)).unwrap_or(0) == 0 {
                return Poll::Ready(Err(self.broken_off()));
            }
        }
    }

    fn broken_off(&self) -> Broken {
        let is_first = matches!(self.reading, Reading::Head { interim: 0, .. });
        if is_first && self.held.is_empty() { Broken::Unanswered } else { Broken::Cut }
    }

    /// The head of the answer, once it is complete; interim answers are passed over (RFC 9110 §15.2).
    fn take_head(&mut self) -> Result<Option<Box<response::Parts>>, Broken> {
        loop {
            let Reading::Head { to, searched, interim } = &mut self.reading else {
                return Err(Broken::Malformed);
            };
            let Some(length) = head::length(&self.held, searched)? else { return Ok(None) };
            let Head { response, framing, keeps } =
                head::parse(&self.held.split_to(length).freeze(), to)?;
            *searched = 0;
            self.keeps &= keeps;
            self.reading = match framing {
                Framing::Interim if *interim < INTERIM_MAX => {
                    *interim += 1;
                    continue;
                }
                Framing::Interim => return Err(Broken::Malformed),
                Framing::Length(0) => Reading::Nothing,
                Framing::Length(left) => Reading::Length(left),
                Framing::Chunked => Reading::Chunked(Chunked::default()),
                Framing::UntilClose => Reading::UntilClose,
                Framing::Switched => Reading::Switched,
            };
            return Ok(Some(response));
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if self.failed {
                return Poll::Ready(Some(Err(Broken::Request)));
            }
            if let Some(frame) = self.take_frame().transpose() {
                return Poll::Ready(Some(frame));
            }
            let Some(room) = self.room() else { return Poll::Ready(None) };
            match ready!(self.poll_fill(cx, room)) {
                Ok(0) if matches!(self.reading, Reading::UntilClose) => {
                    self.keeps = false;
                    self.reading = Reading::Nothing;
                }
                Ok(0) | Err(_) => return Poll::Ready(Some(Err(Broken::Cut))),
                Ok(_) => {}
            }
        }
    }

    /// A piece of what is held.
    fn take_frame(&mut self) -> Result<Option<Frame<Bytes>>, Broken> {
        match &mut self.reading {
            Reading::Nothing | Reading::Switched | Reading::Head { .. } => Ok(None),
            Reading::UntilClose => Ok(take(&mut self.held, u64::MAX)),
            Reading::Length(left) => {
                let frame = take(&mut self.held, *left);
                *left -= frame.as_ref().and_then(Frame::data_ref).map_or(0, length);
                if *left == 0 {
                    self.reading = Reading::Nothing;
                }
                Ok(frame)
            }
            Reading::Chunked(chunked) => {
                let mut frame = None;
                if let Place::Data(left) = chunked.advance(&mut self.held)? {
                    frame = take(&mut self.held, left);
                    chunked.passed(frame.as_ref().and_then(Frame::data_ref).map_or(0, length));
                }
                // The end stands most often right behind the last piece: then nobody needs to ask for more.
                if matches!(chunked.advance(&mut self.held)?, Place::End) {
                    if frame.is_some() && chunked.has_trailers() {
                        return Ok(frame);
                    }
                    let trailers = chunked.trailers();
                    self.reading = Reading::Nothing;
                    return Ok(frame.or_else(|| trailers.map(Frame::trailers)));
                }
                Ok(frame)
            }
        }
    }

    /// What the next read of a body should have room for; `None`: there is none.
    fn room(&self) -> Option<usize> {
        match &self.reading {
            Reading::Nothing | Reading::Switched | Reading::Head { .. } => None,
            Reading::Length(left) => {
                Some(usize::try_from(*left).map_or(LONG_READ, |left| left.min(LONG_READ)))
            }
            Reading::Chunked(_) | Reading::UntilClose => Some(LONG_READ),
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.held.capacity() - self.held.len() < room.min(LEAST_READ) {
            self.held.reserve(room);
            self.is_large |= room > FIRST_READ;
        }
        pin!(self.stream.read_buf(&mut self.held)).poll(cx)
    }

    fn shrink(&mut self) {
        self.held = BytesMut::new();
        self.is_large = false;
    }

    fn settle(&mut self) -> bool {
        let is_clean = self.held.is_empty() && !self.failed;
        // What was read last is given up with its answer: the next one most often finds the same memory again.
        if self.is_large {
            self.shrink();
        }
        self.keeps
            && is_clean
            && matches!(self.reading, Reading::Nothing)
            && self.outgoing.is_none()
    }
}

fn take(held: &mut BytesMut, most: u64) -> Option<Frame<Bytes>> {
    let length = usize::try_from(most).map_or(held.len(), |most| most.min(held.len()));
    (length > 0).then(|| Frame::data(held.split_to(length).freeze()))
}

fn length(data: &Bytes) -> u64 {
    data.len() as u64
}
