//! A request on its way out: its head, and its body as far as it has come, in as few writes as there can be.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::Method;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

/// The end of a body in chunks, without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Room for the heads of most requests.
const HEAD_ROOM: usize = 512;

/// A request that is not wholly sent.
#[derive(Debug)]
pub(super) struct Outgoing<B> {
    /// Encoded and not written: a head, a chunk's size, trailers.
    front: BytesMut,
    /// Of the body, not written.
    data: Bytes,
    /// Behind the data.
    back: &'static [u8],
    /// The rest of the body.
    body: Option<B>,
    framing: Framing,
}

/// How the other side knows the end of the body.
#[derive(Debug, Clone, Copy)]
enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked,
}

/// Why it was not wholly sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The upstream takes no more.
    Write,
    /// Its body broke off, or is not as long as it said.
    Body,
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    /// Encodes the head.
    pub(super) fn new(parts: &Parts, body: B) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        let said = parts.headers.get(CONTENT_LENGTH).map(length);
        let coded = parts.headers.contains_key(TRANSFER_ENCODING);
        let framing = match (&body, said) {
            (_, Some(length)) => Framing::Length(length),
            (None, None) if !coded => Framing::Length(0),
            (Some(_) | None, None) => Framing::Chunked,
        };
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut front = BytesMut::with_capacity(HEAD_ROOM);
        for piece in [parts.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
            front.put_slice(piece.as_bytes());
        }
        put_fields(&mut front, &parts.headers);
        if body.is_some() && said.is_none() && !coded {
            front.put_slice(b"transfer-encoding: chunked\r\n");
        }
        // RFC 9110 §8.6: a method that expects a body says so where there is none.
        if body.is_none() && said.is_none() && !coded && expects_body(&parts.method) {
            front.put_slice(b"content-length: 0\r\n");
        }
        front.put_slice(b"\r\n");
        if body.is_none() && coded {
            front.put_slice(LAST_CHUNK);
        }
        Self { front, data: Bytes::new(), back: b"", body, framing }
    }

    /// Sends what goes now; ready when all of it is sent.
    pub(super) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            // Before the first write, so that a head and a short body leave together.
            let body = self.poll_body(cx)?;
            if self.has_bytes() {
                ready!(self.poll_write(stream, cx)).map_err(|_why| Failure::Write)?;
                continue;
            }
            ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(|_why| Failure::Write)?;
            if body.is_ready() && self.body.is_none() {
                let is_short = matches!(self.framing, Framing::Length(1..));
                return Poll::Ready(if is_short { Err(Failure::Body) } else { Ok(()) });
            }
            if body.is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn has_bytes(&self) -> bool {
        !(self.front.is_empty() && self.data.is_empty() && self.back.is_empty())
    }

    /// Takes up the next piece of the body, where the last one is written. Pending: it has not come.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if !(self.data.is_empty() && self.back.is_empty()) {
            return Poll::Ready(Ok(()));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        let taken = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => self.put(frame),
            Some(Err(_)) => Err(Failure::Body),
            None => self.finish(),
        };
        if self.body.as_ref().is_some_and(Body::is_end_stream) {
            self.finish()?;
        }
        Poll::Ready(taken)
    }

    fn put(&mut self, frame: Frame<Bytes>) -> Result<(), Failure> {
        match (frame.into_data(), &mut self.framing) {
            (Ok(data), Framing::Length(left)) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Failure::Body)?;
                self.data = data;
            }
            (Ok(data), Framing::Chunked) if !data.is_empty() => {
                self.front.put_slice(format!("{:x}\r\n", data.len()).as_bytes());
                self.data = data;
                self.back = b"\r\n";
            }
            (Err(frame), Framing::Chunked) => {
                self.front.put_slice(b"0\r\n");
                put_fields(&mut self.front, &frame.into_trailers().unwrap_or_default());
                self.front.put_slice(b"\r\n");
                self.body = None;
            }
            // An empty piece would be the end; behind a length there is no place for trailers.
            (Ok(_), Framing::Chunked) | (Err(_), Framing::Length(_)) => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.body = None;
        match self.framing {
            Framing::Length(0) => Ok(()),
            Framing::Length(_) => Err(Failure::Body),
            Framing::Chunked => {
                // Behind a piece of data its end comes first.
                if self.back.is_empty() {
                    self.front.put_slice(LAST_CHUNK);
                } else {
                    self.back = b"\r\n0\r\n\r\n";
                }
                Ok(())
            }
        }
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let slices = [IoSlice::new(&self.front), IoSlice::new(&self.data), IoSlice::new(self.back)];
        let mut written = ready!(Pin::new(stream).poll_write_vectored(cx, &slices))?;
        if written == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
        }
        written = advance(&mut self.front, written);
        written = advance(&mut self.data, written);
        self.back = self.back.get(written..).unwrap_or_default();
        Poll::Ready(Ok(()))
    }
}

/// Takes up to `bytes` from the front; how many are left over.
fn advance(buffer: &mut impl Buf, bytes: usize) -> usize {
    let taken = bytes.min(buffer.remaining());
    buffer.advance(taken);
    bytes - taken
}

fn put_fields(front: &mut BytesMut, fields: &HeaderMap) {
    for (name, value) in fields {
        front.reserve(name.as_str().len() + value.len() + 4);
        front.put_slice(name.as_str().as_bytes());
        front.put_slice(b": ");
        front.put_slice(value.as_bytes());
        front.put_slice(b"\r\n");
    }
}

/// What `wire`, or h2, has found to be one number.
fn length(value: &HeaderValue) -> u64 {
    value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

const fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
