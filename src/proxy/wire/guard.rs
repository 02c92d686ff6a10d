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
pub(crate) struct Guard<S> {
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
    pub(crate) fn new(stream: S, header_size: usize) -> Self {
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
    pub(crate) const fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    /// Whether nothing is owed to the client and no byte of it waits: hyper may be taken down.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.wire.is_between() && self.held.is_empty() && self.exchange.is_clients_turn()
    }

    /// The stream itself; what was withheld is thrown away.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// The stream, and what it has said behind the last request that was let through: after a switch of protocols these
    /// bytes belong to the other one.
    pub(crate) fn into_parts(self) -> (BytesMut, S) {
        (self.held, self.stream)
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
    pub(crate) async fn arrived(&mut self) -> io::Result<bool> {
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::rc::Rc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use bytes::Bytes;
    use http::{Method, Request, Response, Uri};
    use http_body_util::BodyExt;
    use hyper::body::{Frame, Incoming, SizeHint};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::Guard;
    use crate::proxy::wire::tests::framing::{believed, stream};
    use crate::proxy::wire::tests::{HEAD_MAX, chunked, run};
    use crate::proxy::wire::{Answer, Ending, Late, Patience, Place, Violation, Watch};

    /// A body that holds the answer until hyper has taken it.
    struct Reply {
        data: Option<Bytes>,
        _answer: Answer,
    }

    impl hyper::body::Body for Reply {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
        }
    }

    /// The guard over a duplex whose other end is the client.
    fn guarded(space: usize) -> (DuplexStream, Guard<DuplexStream>) {
        let (client, server) = tokio::io::duplex(space);
        (client, Guard::new(server, HEAD_MAX))
    }

    /// Serves until hyper ends; `/slow` takes a second, `/large` answers 1 MiB, `/unread` does not look at its body.
    /// Gives back the guard and the targets that were asked, with `!` where the body failed.
    async fn serve(guard: Guard<DuplexStream>) -> (Guard<DuplexStream>, Vec<String>) {
        let exchange = Rc::clone(guard.exchange());
        let log = Rc::new(RefCell::new(Vec::new()));
        let service = service_fn(|request: Request<Incoming>| {
            let (answer, log) = (exchange.answer(), Rc::clone(&log));
            let path = request.uri().path().to_owned();
            let connect = request.method() == Method::CONNECT;
            log.borrow_mut().push(path.clone());
            Box::pin(async move {
                if path == "/slow" {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                let failed = path != "/unread" && request.into_body().collect().await.is_err();
                if failed {
                    log.borrow_mut().push("!".into());
                }
                let status = if failed || connect { 400 } else { 200 };
                let data = if path == "/large" { "x".repeat(1 << 20) } else { path };
                let reply = Reply { data: Some(Bytes::from(data)), _answer: answer };
                Ok::<_, Infallible>(Response::builder().status(status).body(reply).unwrap())
            })
        });
        let mut connection = http1::Builder::new().serve_connection(TokioIo::new(guard), service);
        let _ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
        let guard = connection.into_parts().io.into_inner();
        (guard, log.take())
    }

    /// Sends `requests`, serves them, lets the connection's task answer a breach of a head; what the client reads.
    async fn converse(requests: &[u8], space: usize) -> (String, Vec<String>, Option<Violation>) {
        let (mut client, guard) = guarded(space);
        let server = async {
            let (guard, log) = serve(guard).await;
            let breach = guard.exchange().breach();
            let mut stream = guard.into_inner();
            if let Some(breach) = breach.filter(|breach| breach.place == Place::Head) {
                let text = format!(
                    "HTTP/1.1 {} Refused\r\n\r\n",
                    breach.violation.reason().header_status()
                );
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            (log, breach.map(|breach| breach.violation))
        };
        let client = async {
            client.write_all(requests).await.unwrap();
            // A reader that is late: answers wait in hyper's buffer.
            tokio::time::sleep(Duration::from_secs(5)).await;
            let mut text = Vec::new();
            client.read_to_end(&mut text).await.unwrap();
            String::from_utf8(text).unwrap()
        };
        let ((log, breach), text) = tokio::join!(server, client);
        (text, log, breach)
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
    }

    /// A good request to `path` between another good one and a bad one.
    async fn refuse_after(path: &str, space: usize) {
        let never = "GET / HTTP/1.0\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n";
        let requests = format!("{}{}{never}", get("/"), get(path));
        let (text, log, breach) = converse(requests.as_bytes(), space.max(requests.len())).await;
        assert_eq!(log, ["/", path]);
        assert_eq!(breach, Some(Violation::Version));
        assert!(text.ends_with("HTTP/1.1 400 Refused\r\n\r\n"), "{path}");
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
        let (_, answer) = text.rsplit_once("HTTP/1.1 200").unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = if path == "/large" { 1 << 20 } else { path.len() };
        assert_eq!(body.find("HTTP/1.1 400"), Some(length));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_comes_after_the_earlier_answers_and_cuts_none() {
        for path in ["/", "/slow", "/large"] {
            for space in [64, 4096, 1 << 22] {
                refuse_after(path, space).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_breaks_the_rules_fails_in_the_service_which_answers() {
        let requests = format!("{}zz\r\n{}", chunked("3\r\nabc\r\n"), get("/never"));
        let (text, log, breach) = converse(requests.as_bytes(), 4096).await;
        assert_eq!(log, ["/", "!"]);
        assert_eq!(breach, Some(Violation::ChunkSize));
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1);
        assert!(text.starts_with("HTTP/1.1 400"));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_behind_an_upgrade_are_judged_like_any_request() {
        let upgrade = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        let followed = format!("{upgrade}{}smuggled\n", get("/next"));
        let (_, log, breach) = converse(followed.as_bytes(), 4096).await;
        assert_eq!(log, ["/up", "/next"]);
        assert_eq!(breach, Some(Violation::BareLineFeed));
        let (_, log, breach) = converse(format!("{upgrade}smuggled\n").as_bytes(), 4096).await;
        assert_eq!((log, breach), (vec!["/up".into()], Some(Violation::BareLineFeed)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_read_is_never_taken_for_a_request() {
        let body = get("/smuggled").repeat(4000);
        let head =
            format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        let (_, log, breach) = converse(format!("{head}{body}").as_bytes(), 1 << 20).await;
        assert_eq!((log, breach), (vec!["/unread".into()], None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_stream_says_where_it_was() {
        let table = [
            (get("/"), Ending::Clean),
            (format!("{}GET", get("/")), Ending::InHead),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab".into(), Ending::InBody),
            (chunked("3\r\nabc\r\n0\r\n"), Ending::InBody),
            (chunked("3\r\nabc\r\n0\r\n\r\n"), Ending::Clean),
        ];
        for (text, ending) in table {
            let (mut client, guard) = guarded(4096);
            let client = async {
                client.write_all(text.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.shutdown().await.unwrap();
            };
            let ((guard, _), ()) = tokio::join!(serve(guard), client);
            assert_eq!(guard.exchange().ending(), Some(ending), "{text:?}");
            assert_eq!(guard.exchange().breach(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_away_ends_the_service() {
        let (mut client, guard) = guarded(4096);
        client.write_all(get("/slow").as_bytes()).await.unwrap();
        drop(client);
        let begun = tokio::time::Instant::now();
        let (guard, log) = serve(guard).await;
        assert_eq!(log, ["/slow"]);
        assert_eq!(guard.exchange().ending(), Some(Ending::Clean));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_client_is_parked_without_a_buffer_and_comes_back() {
        let (mut client, mut guard) = guarded(4096);
        for _ in 0..3 {
            assert!(guard.is_idle());
            assert_eq!(guard.held.capacity(), 0);
            client.write_all(get("/").as_bytes()).await.unwrap();
            assert!(guard.arrived().await.unwrap());
            assert!(!guard.is_idle());
            guard = park(guard).await;
            let mut answer = [0; 4096];
            let length = client.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
        }
        drop(client);
        assert!(!guard.arrived().await.unwrap());
        assert_eq!(guard.exchange().ending(), Some(Ending::Clean));
    }

    /// Serves one request and takes hyper down when the client has been idle for a second.
    async fn park(guard: Guard<DuplexStream>) -> Guard<DuplexStream> {
        let exchange = Rc::clone(guard.exchange());
        let service = service_fn(|_: Request<Incoming>| {
            let reply = Reply { data: Some(Bytes::from("x")), _answer: exchange.answer() };
            Box::pin(async move { Ok::<_, Infallible>(Response::new(reply)) })
        });
        let mut connection = http1::Builder::new().serve_connection(TokioIo::new(guard), service);
        tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended.unwrap(),
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                assert!(exchange.idle_since().is_some());
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|context| connection.poll_without_shutdown(context)).await.unwrap();
            }
        }
        let parts = connection.into_parts();
        assert!(parts.read_buf.is_empty());
        parts.io.into_inner()
    }

    const PATIENCE: Patience = Patience {
        idle: Duration::from_mins(5),
        head: Duration::from_secs(10),
        write: Duration::from_mins(1),
    };

    /// Serves a client that does `deeds`: what it was late for, and after how many seconds.
    async fn late(
        space: usize,
        deeds: impl AsyncFnOnce(DuplexStream) -> DuplexStream,
    ) -> (Late, u64) {
        let (client, guard) = guarded(space);
        let watch = Watch::new(Rc::clone(guard.exchange()), PATIENCE);
        let begun = tokio::time::Instant::now();
        let server = async {
            tokio::select! {
                biased;
                _ = serve(guard) => unreachable!("the client stays"),
                late = watch => (late, begun.elapsed().as_secs()),
            }
        };
        let (late, _client) = tokio::join!(server, deeds(client));
        late
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_late_for_what_it_does_not_do() {
        let nothing = late(4096, async |client| client).await;
        assert_eq!(nothing, (Late::Idle, 300));
        let after_one = late(4096, async |mut client| {
            tokio::time::sleep(Duration::from_secs(200)).await;
            client.write_all(get("/slow").as_bytes()).await.unwrap();
            client
        });
        assert_eq!(after_one.await, (Late::Idle, 501));
        let dribbling = late(4096, async |mut client| {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let mut head = get("/").into_bytes().into_iter().take(20);
            while let Some(byte) = head.next()
                && client.write_all(&[byte]).await.is_ok()
            {
                tokio::time::sleep(Duration::from_secs(9)).await;
            }
            client
        });
        assert_eq!(dribbling.await, (Late::Head, 30));
        let not_reading = late(256, async |mut client| {
            client.write_all(get("/large").as_bytes()).await.unwrap();
            client
        });
        assert_eq!(not_reading.await, (Late::Write, 60));
    }

    /// The paths that reach the service behind a guard whose stream holds `space` bytes at a time.
    async fn reached(stream: &[u8], space: usize) -> Vec<String> {
        let (client, guard) = guarded(space);
        let (mut reader, mut writer) = tokio::io::split(client);
        let write = async {
            // Fails where the guard has found a breach and the stream is gone.
            if writer.write_all(stream).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                writer.shutdown().await.ok();
            }
        };
        let server = async { serve(guard).await.1 };
        let mut answers = Vec::new();
        let (log, (), read) = tokio::join!(server, write, reader.read_to_end(&mut answers));
        assert!(read.is_ok());
        log
    }

    proptest! {
        #[test]
        fn what_reaches_the_service_is_what_the_wire_believes(
            stream in stream(),
            space in prop::sample::select(vec![1_usize, 7, 64, 1 << 16]),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            let log = runtime.block_on(reached(&stream, space));
            let path = |target: &str| target.parse::<Uri>().unwrap().path().to_owned();
            let whole: Vec<_> =
                believed(&run(&stream, &[]).released).iter().map(|seen| path(&seen.target)).collect();
            prop_assert_eq!(log.get(..whole.len()), Some(&whole[..]));
            // At most one more: it began, and its body failed.
            let more = &log[whole.len()..];
            prop_assert!(more.is_empty() || more.len() == 2 && more[1] == "!", "{:?}", more);
        }
    }
}
