//! A client's HTTP/1.1 connection (RFC 9112): one exchange at a time, driven by the task that answers. Its bytes pass
//! [`super::Wire`] first; which request is answered how is decided elsewhere.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{request, response};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::head::Framing;
use super::line::{Broken, Ending, Line, Source};
use super::patience::Since;
use super::violation::Breach;
use super::{Place, request as heads};
use crate::proxy::outgoing::{Failure, Outgoing, To};
use crate::proxy::{clock, header};

/// How much of a body that nobody wanted is thrown away, where it is there already, to keep the connection.
const UNWANTED_MAX: usize = 64 << 10;

/// A request, and what its answer has to know of it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its head.
    pub request: Box<request::Parts>,
    /// Its body, where it has one.
    pub content: Option<Content>,
    /// For its answer.
    pub to: To,
}

/// A connection. Requests are let through one at a time: the next head is looked at when the answer to the one before
/// has left, so that a refusal of the next can never overtake or cut an answer.
#[derive(Debug)]
pub(crate) struct Served<S> {
    line: Rc<RefCell<Line<S>>>,
}

/// The body of the request under way, read by whoever sends it on.
#[derive(Debug)]
pub(crate) struct Content {
    line: Rc<dyn Source>,
    /// Which request it belongs to.
    number: u64,
}

/// What is left when no HTTP is spoken any more: the stream, whatever is on it.
#[derive(Debug)]
pub(crate) struct Bare<S> {
    line: Rc<RefCell<Line<S>>>,
}

impl<S> Served<S> {
    /// Serves `stream`; no head may be larger than `header_size` bytes.
    pub(crate) fn new(stream: S, header_size: usize) -> Self {
        Self { line: Rc::new(RefCell::new(Line::new(stream, header_size))) }
    }

    /// What was wrong with the client's bytes. In a head, the connection's task answers it; in a body, whoever reads
    /// that sees it fail.
    pub(crate) fn breach(&self) -> Option<Breach> {
        self.line.borrow().breach
    }

    /// How the client's side ended, where it has.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.line.borrow().ending
    }

    /// Since when the client is waited for, and for what.
    pub(crate) fn since(&self) -> Since {
        self.line.borrow().since
    }

    /// Whether nothing is owed to the client and no byte of it waits.
    pub(crate) fn is_idle(&self) -> bool {
        let line = self.line.borrow();
        line.since.idle.is_some() && line.since.head.is_none() && line.held.is_empty()
    }

    /// Whether there is nothing of the client's that was not read: it can be closed on without losing what it was told.
    pub(crate) fn is_read(&self) -> bool {
        let line = self.line.borrow();
        line.ending.is_some() || (line.wire.is_between() && line.held.is_empty())
    }

    /// The stream, and what it has said behind the last request: after a switch of protocols these bytes belong to the
    /// other one.
    pub(crate) fn into_parts(self) -> (Bytes, Bare<S>) {
        let said = std::mem::take(&mut self.line.borrow_mut().held).freeze();
        (said, Bare { line: self.line })
    }
}

impl<S> Served<S>
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    /// Waits, without a buffer, for the first byte of a request: `true` when there is one, `false` when the client has
    /// closed instead.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) fn poll_arrived(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut line = self.line.borrow_mut();
        if line.held.is_empty() {
            line.held = BytesMut::new();
            if line.ending.is_none() {
                ready!(line.poll_peek(cx))?;
            }
        }
        Poll::Ready(Ok(!line.held.is_empty()))
    }

    /// The next request; `None` when there will be none: [`Self::breach`] or [`Self::ending`] say why.
    ///
    /// # Errors
    /// Those of the stream.
    pub(crate) fn poll_asked(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Asked>>> {
        let (heading, bytes, number) = {
            let mut line = self.line.borrow_mut();
            let Some((heading, bytes)) = ready!(line.poll_head(cx))? else {
                return Poll::Ready(Ok(None));
            };
            (heading, bytes, line.number)
        };
        let asked = heads::request(&bytes, &heading).map(|request| Asked {
            to: To {
                method: request.method.clone(),
                takes_trailers: header::takes_trailers(&request.headers),
                is_last: heads::is_last(&request.headers),
            },
            content: (heading.framing != Framing::Empty)
                .then(|| Content { line: Rc::clone(&self.line) as Rc<dyn Source>, number }),
            request,
        });
        Poll::Ready(Ok(asked
            .map_err(|violation| {
                self.line.borrow_mut().breach = Some(Breach { violation, place: Place::Head });
            })
            .ok()))
    }

    /// Ready when the client has gone although its answer is on its way. What it asks next is held.
    ///
    /// # Errors
    /// Those of the stream, which is gone with them.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.borrow_mut().poll_gone(cx)
    }

    /// The answer, to be given to [`Self::poll_send`].
    pub(crate) fn answer<B>(&self, head: &response::Parts, body: B, to: &To) -> Outgoing<B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        Outgoing::answer(head, body, to).behind(self.line.borrow_mut().take_interim())
    }

    /// Sends what goes now; ready when all of it has left.
    pub(crate) fn poll_send<B>(
        &self,
        answer: &mut Outgoing<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        answer.poll_send(&mut *self.line.borrow_mut(), cx)
    }

    /// The exchange is over: whether another may follow. What is left of a body that nobody wanted is thrown away, where
    /// it is there already.
    pub(crate) fn is_ready_again(&self, cx: &mut Context<'_>) -> bool {
        let mut line = self.line.borrow_mut();
        let (number, mut thrown) = (line.disown(), 0);
        while !line.wire.is_between() && thrown < UNWANTED_MAX {
            match line.poll_content(number, cx) {
                Poll::Ready(Some(Ok(frame))) => thrown += frame.data_ref().map_or(1, Bytes::len),
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => break,
            }
        }
        let is_ready = line.wire.is_between();
        if is_ready {
            line.is_fresh = !line.held.is_empty();
            line.since.idle = Some(clock::woken());
        }
        is_ready
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.line.poll_frame(self.number, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.line.left(self.number) == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.line.left(self.number).map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bare<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line.borrow_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bare<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line.borrow_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line.borrow_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.borrow().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line.borrow_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line.borrow_mut().stream).poll_shutdown(cx)
    }
}
