//! A message of HTTP/1.1 on its way out, a request or an answer (RFC 9112): its head, and its body as far as it has come,
//! in as few writes as there can be.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode, request, response};
use http_body::{Body, Frame};
use hyper::ext::ReasonPhrase;
use tokio::io::AsyncWrite;

use super::clock;

/// The end of a body in chunks, without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Room for the heads of most messages.
const HEAD_ROOM: usize = 512;

/// A message that is not wholly sent.
#[derive(Debug)]
pub(crate) struct Outgoing<B> {
    /// Encoded and not written: a head, a chunk's size, trailers.
    front: BytesMut,
    /// Of the body, not written.
    data: Bytes,
    /// Behind the data.
    back: &'static [u8],
    /// The body; what is left of it is sent until it has ended.
    body: Option<B>,
    has_ended: bool,
    framing: Framing,
    /// Whether the other side takes trailers.
    takes_trailers: bool,
}

/// What is known of the request that an answer is for.
#[derive(Debug, Clone)]
pub(crate) struct To {
    /// Its method: an answer to `HEAD` has no body (RFC 9112 §6.3).
    pub(super) method: Method,
    /// Whether it says `TE: trailers` (RFC 9110 §6.5.1).
    pub(super) takes_trailers: bool,
    /// Whether the connection ends behind the answer.
    pub(super) is_last: bool,
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
pub(crate) enum Failure {
    /// The other side takes no more.
    Write,
    /// Its body broke off, or is not as long as it said.
    Body,
}

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    /// A request, its head encoded.
    pub(super) fn request(parts: &request::Parts, body: B) -> Self {
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
        put_length(&mut front, parts.headers.get(CONTENT_LENGTH));
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
        let (has_ended, takes_trailers) = (body.is_none(), true);
        Self { front, data: Bytes::new(), back: b"", body, has_ended, framing, takes_trailers }
    }

    /// An answer, its head encoded. Its own `Content-Length` says how long the body is; where there is none it is the body,
    /// and where that does not know either it goes in chunks.
    pub(super) fn answer(parts: &response::Parts, body: B, to: &To) -> Self {
        let (code, headers) = (parts.status.as_u16(), &parts.headers);
        let has_no_length = code < 200 || code == 204;
        let body = Some(body).filter(|body| {
            !(body.is_end_stream() || has_no_length || code == 304 || to.method == Method::HEAD)
        });
        let said = headers.get(CONTENT_LENGTH).map(length);
        let framing = match (&body, said) {
            (Some(body), None) => {
                body.size_hint().exact().map_or(Framing::Chunked, Framing::Length)
            }
            (Some(_), Some(length)) => Framing::Length(length),
            (None, _) => Framing::Length(0),
        };
        let mut front = BytesMut::with_capacity(HEAD_ROOM);
        put_status(&mut front, parts);
        put_fields(&mut front, headers);
        put_length(&mut front, headers.get(CONTENT_LENGTH).filter(|_| !has_no_length));
        if !headers.contains_key(DATE) {
            put_field(&mut front, "date", &clock::http_date());
        }
        if to.is_last && !headers.contains_key(CONNECTION) {
            put_field(&mut front, "connection", b"close");
        }
        match framing {
            _ if said.is_some() || has_no_length || code == 304 || to.method == Method::HEAD => {}
            Framing::Chunked => put_field(&mut front, "transfer-encoding", b"chunked"),
            Framing::Length(length) => {
                put_field(&mut front, "content-length", length.to_string().as_bytes());
            }
        }
        front.put_slice(b"\r\n");
        let (has_ended, takes_trailers) = (body.is_none(), to.takes_trailers);
        Self { front, data: Bytes::new(), back: b"", body, has_ended, framing, takes_trailers }
    }

    /// What stands before it and has not left yet.
    pub(super) fn behind(mut self, before: &[u8]) -> Self {
        if !before.is_empty() {
            self.front = [before, &self.front].concat().as_slice().into();
        }
        self
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
            if body.is_ready() && self.has_ended {
                let is_short = matches!(self.framing, Framing::Length(1..));
                return Poll::Ready(if is_short { Err(Failure::Body) } else { Ok(()) });
            }
            if body.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What waits to leave waits for the other side alone: where the body has ended, nobody else is held up by it.
    pub(super) fn let_go(&mut self) {
        if self.has_ended {
            self.body = None;
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
        let body = self.body.as_mut().filter(|_| !self.has_ended);
        let Some(body) = body else { return Poll::Ready(Ok(())) };
        let taken = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) => self.put(frame),
            Some(Err(_)) => Err(Failure::Body),
            None => self.finish(),
        };
        if !self.has_ended && self.body.as_ref().is_some_and(Body::is_end_stream) {
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
                if self.takes_trailers {
                    put_fields(&mut self.front, &frame.into_trailers().unwrap_or_default());
                }
                self.front.put_slice(b"\r\n");
                self.has_ended = true;
            }
            // An empty piece would be the end; behind a length there is no place for trailers.
            (Ok(_), Framing::Chunked) | (Err(_), Framing::Length(_)) => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.has_ended = true;
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

fn put_status(front: &mut BytesMut, parts: &response::Parts) {
    front.put_slice(b"HTTP/1.1 ");
    front.put_slice(parts.status.as_str().as_bytes());
    front.put_slice(b" ");
    let own = parts.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    front.put_slice(own.or_else(|| phrase(parts.status)).unwrap_or_default());
    front.put_slice(b"\r\n");
}

fn phrase(status: StatusCode) -> Option<&'static [u8]> {
    status.canonical_reason().map(str::as_bytes)
}

/// All but the length.
fn put_fields(front: &mut BytesMut, fields: &HeaderMap) {
    for (name, value) in fields {
        if *name != CONTENT_LENGTH {
            put_field(front, name.as_str(), value.as_bytes());
        }
    }
}

/// Said twice over HTTP/2 it is the same twice (RFC 9113 §8.1.1), and is said once here.
fn put_length(front: &mut BytesMut, length: Option<&HeaderValue>) {
    if let Some(length) = length {
        put_field(front, "content-length", length.as_bytes());
    }
}

fn put_field(front: &mut BytesMut, name: &str, value: &[u8]) {
    front.reserve(name.len() + value.len() + 4);
    front.put_slice(name.as_bytes());
    front.put_slice(b": ");
    front.put_slice(value);
    front.put_slice(b"\r\n");
}

/// What `wire`, `single` or h2 has found to be one number.
fn length(value: &HeaderValue) -> u64 {
    value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

const fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::header::{HeaderMap, HeaderValue};
    use http::{Method, Response, Version};
    use http_body::Frame;
    use hyper::ext::ReasonPhrase;
    use tokio::io::AsyncReadExt;

    use super::{Body, Failure, Outgoing, To};
    use crate::proxy::refusal::{Refusal, Side};
    use crate::verdict::Reason;

    /// A body of given pieces, which does not say how long it is.
    #[derive(Debug, Default)]
    pub(in crate::proxy) struct Pieces(pub(in crate::proxy) VecDeque<Frame<Bytes>>);

    impl Pieces {
        pub(in crate::proxy) fn of(pieces: &[&'static str]) -> Self {
            let data = |piece: &&'static str| Frame::data(Bytes::from_static(piece.as_bytes()));
            Self(pieces.iter().map(data).collect())
        }

        fn with_trailer(mut self) -> Self {
            let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from(7))]);
            self.0.push_back(Frame::trailers(trailers));
            self
        }
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    fn to(method: Method) -> To {
        To { method, takes_trailers: true, is_last: false }
    }

    /// What is written of an answer, but for its date, and how that ended.
    async fn written<B>(answer: Response<B>, to: &To) -> (String, Result<(), Failure>)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (mut here, mut there) = tokio::io::duplex(1 << 16);
        let (parts, body) = answer.into_parts();
        let mut outgoing = Outgoing::answer(&parts, body, to);
        let sent = poll_fn(|cx| outgoing.poll_send(&mut here, cx)).await;
        drop(here);
        let mut text = String::new();
        there.read_to_string(&mut text).await.unwrap();
        let is_date = |line: &str| line.starts_with("date: ") && line.ends_with(" GMT\r\n");
        assert_eq!(text.split_inclusive('\n').filter(|line| is_date(line)).count(), 1, "{text}");
        (text.split_inclusive('\n').filter(|line| !is_date(line)).collect(), sent)
    }

    fn answer(status: u16, length: Option<u64>, body: Pieces) -> Response<Pieces> {
        let mut answer = Response::builder().status(status).body(body).unwrap();
        if let Some(length) = length {
            answer.headers_mut().insert("content-length", HeaderValue::from(length));
        }
        answer
    }

    #[tokio::test]
    async fn a_body_ends_where_its_head_says() {
        let body = || Pieces::of(&["ab", "", "c"]);
        let twice = || {
            let mut answer = answer(200, Some(3), body());
            answer.headers_mut().append("content-length", HeaderValue::from(3));
            answer
        };
        let table = [
            (Method::GET, answer(200, Some(3), body()), "200 OK\r\ncontent-length: 3\r\n\r\nabc"),
            (
                Method::GET,
                answer(200, None, body()),
                "200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ),
            (
                Method::GET,
                answer(200, None, body().with_trailer()),
                "200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-sum: 7\r\n\r\n",
            ),
            (
                Method::GET,
                answer(200, None, Pieces::default()),
                "200 OK\r\ncontent-length: 0\r\n\r\n",
            ),
            (Method::GET, twice(), "200 OK\r\ncontent-length: 3\r\n\r\nabc"),
            (Method::HEAD, answer(200, Some(3), body()), "200 OK\r\ncontent-length: 3\r\n\r\n"),
            (Method::HEAD, answer(200, None, Pieces::default()), "200 OK\r\n\r\n"),
            (
                Method::GET,
                answer(304, Some(3), Pieces::default()),
                "304 Not Modified\r\ncontent-length: 3\r\n\r\n",
            ),
            (Method::GET, answer(204, Some(0), Pieces::default()), "204 No Content\r\n\r\n"),
            (
                Method::GET,
                answer(799, Some(0), Pieces::default()),
                "799 \r\ncontent-length: 0\r\n\r\n",
            ),
        ];
        for (method, answer, due) in table {
            let (text, sent) = written(answer, &to(method)).await;
            assert_eq!((text, sent), (format!("HTTP/1.1 {due}"), Ok(())));
        }
    }

    #[tokio::test]
    async fn a_body_of_another_length_than_its_head_says_is_broken_off() {
        for (length, pieces) in [(4, ["ab", "c"]), (2, ["ab", "c"])] {
            let answer = answer(200, Some(length), Pieces::of(&pieces));
            let (text, sent) = written(answer, &to(Method::GET)).await;
            assert_eq!(sent, Err(Failure::Body), "{length}");
            assert!(!text.ends_with(if length == 2 { "abc" } else { "abcd" }), "{text}");
        }
    }

    #[tokio::test]
    async fn trailers_go_to_whoever_takes_them_and_the_last_answer_says_so() {
        let to = To { method: Method::GET, takes_trailers: false, is_last: true };
        let (text, _) = written(answer(200, None, Pieces::of(&["a"]).with_trailer()), &to).await;
        assert!(!text.contains("x-sum"), "{text}");
        assert!(text.ends_with("1\r\na\r\n0\r\n\r\n"), "{text}");
        assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    }

    #[tokio::test]
    async fn a_phrase_and_a_date_of_the_upstream_stay() {
        let mut answer = answer(200, Some(0), Pieces::default());
        answer.extensions_mut().insert(ReasonPhrase::from_static(b"Fine"));
        let (text, _) = written(answer, &to(Method::GET)).await;
        assert!(text.starts_with("HTTP/1.1 200 Fine\r\n"), "{text}");
        let dated = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        let mut answer = Response::new(Pieces::default());
        answer.headers_mut().insert("date", dated);
        // One date, and it is not ours.
        let (text, _) = written(answer, &to(Method::GET)).await;
        assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }

    #[tokio::test]
    async fn a_refusal_is_one_whole_answer() {
        let refusal = Refusal { reason: Reason::Limit, side: Side::Head, reference: None };
        let answer = refusal.response(Version::HTTP_11).map(http_body_util::Full::new);
        let due = answer.body().clone();
        let (text, _) = written(answer, &to(Method::GET)).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{head}");
        assert_eq!(head.matches("connection: close").count(), 1, "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())));
        assert_eq!(Some(body.len() as u64), Body::size_hint(&due).exact());
    }
}
