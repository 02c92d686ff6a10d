//! HTTP/2 toward the client (RFC 9113): hyper with every bound set.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::Request;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::body::ClientBody;
use super::connection::Connection;
use super::ended::Ended;
use super::flood::{Meter, Seen};
use super::http;
use super::patience::Patience;
use super::pool::LocalExecutor;
use crate::verdict::Reason;

/// After `GOAWAY` the client has this long to go.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one connection until it ends.
pub(super) async fn serve<S>(connection: &Rc<Connection>, stream: S) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let snapshot = connection.worker.snapshot();
    let limits = snapshot.limits();
    let service = service_fn(|request: Request<Incoming>| {
        let body = |body: Incoming| (!body.is_end_stream()).then_some(ClientBody::Http2(body));
        let (head, incoming) = request.into_parts();
        let answered = http::serve(Rc::clone(connection), Box::new(head), body(incoming));
        async { answered.await.map(http::Answer::into_response) }
    });
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        // What h2 refuses itself nobody records: up to here it is left to `http`.
        .max_header_list_size(u32::try_from(limits.header_size * 2).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10);
    let seen = Rc::new(Seen::default());
    let metered = Meter::new(stream, connection, &seen);
    let hyper = Box::pin(builder.serve_connection(TokioIo::new(metered), service));
    let preface =
        Preface { seen: Rc::clone(&seen), patience: Patience::new(limits.handshake_timeout) };
    let idle = Patience::new(snapshot.idle_timeout(None));
    match watch(connection, hyper, preface, idle).await {
        Turn::Ended(Ended::Client) | Turn::Broken(_) if seen.broke_tls.get() => {
            let detail = "the client broke the rules of TLS";
            http::turn_away(connection, Reason::MalformedRequest, detail).await
        }
        Turn::Ended(ended) => ended,
        Turn::Broken(error) => broken(connection, &error).await,
        Turn::Silent => {
            http::turn_away(connection, Reason::Timeout, "no HTTP/2 preface came in time").await
        }
    }
}

/// What a client must begin with, and how long it is waited for.
struct Preface {
    seen: Rc<Seen>,
    patience: Patience,
}

impl Preface {
    fn poll_late(&mut self, cx: &mut Context<'_>, since: Instant) -> Poll<()> {
        if self.seen.begun.get() { Poll::Pending } else { self.patience.poll_elapsed(cx, since) }
    }
}

/// How the connection came to its end.
enum Turn {
    /// In a way that says itself.
    Ended(Ended),
    /// h2 or the socket gave up.
    Broken(hyper::Error),
    /// The client never began.
    Silent,
}

/// Polls the connection along with everything that can end it.
async fn watch<H: Graceful>(
    connection: &Rc<Connection>,
    mut hyper: Pin<Box<H>>,
    mut preface: Preface,
    mut idle: Patience,
) -> Turn {
    let began = Instant::now();
    let mut farewell: Option<(Ended, Option<(Patience, Instant)>)> = None;
    poll_fn(|cx| {
        if let Poll::Ready(reason) = connection.cut.poll(cx) {
            return Poll::Ready(Turn::Ended(Ended::Cut(reason)));
        }
        if farewell.is_none() && connection.drain.poll(cx).is_ready() {
            hyper.as_mut().farewell();
            // How long a stream may go on then is for the box's drain timeout to say.
            farewell = Some((Ended::Drained, None));
        }
        if let Poll::Ready(done) = hyper.as_mut().poll(cx) {
            return Poll::Ready(match (&farewell, done) {
                (Some((ended, _)), _) => Turn::Ended(*ended),
                (None, Ok(())) => Turn::Ended(Ended::Client),
                (None, Err(error)) => Turn::Broken(error),
            });
        }
        match &mut farewell {
            Some((_, None)) => return Poll::Pending,
            // A stream that came as the farewell went is let end.
            Some((_, Some(_))) if connection.is_busy() => return Poll::Pending,
            Some((ended, Some((patience, since)))) => {
                return patience.poll_elapsed(cx, *since).map(|()| Turn::Ended(*ended));
            }
            None => {}
        }
        if preface.poll_late(cx, began).is_ready() {
            return Poll::Ready(Turn::Silent);
        }
        // A connection in use is not idle; the timer looks again when it fires.
        if idle.poll_elapsed(cx, connection.idle_since().unwrap_or_else(Instant::now)).is_ready() {
            hyper.as_mut().farewell();
            farewell = Some((Ended::Idle, Some((Patience::new(FAREWELL), Instant::now()))));
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

/// A connection that can be asked to end.
trait Graceful: Future<Output = hyper::Result<()>> {
    /// `GOAWAY`: what is in flight goes on, nothing new is taken.
    fn farewell(self: Pin<&mut Self>);
}

impl<I, S, B> Graceful for http2::Connection<I, S, LocalExecutor>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    LocalExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn farewell(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Whose fault it was. h2 itself ends a connection that floods, with `ENHANCE_YOUR_CALM` (RFC 9113 §7): it is cut and
/// counted as at every bound. What it cannot read is refused like a broken head of HTTP/1.1.
async fn broken(connection: &Rc<Connection>, error: &hyper::Error) -> Ended {
    match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
        Some(error) if error.is_remote() => Ended::Client,
        Some(error) if error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) => {
            connection.cut(Reason::Limit);
            Ended::Cut(Reason::Limit)
        }
        Some(_) => {
            http::turn_away(
                connection,
                Reason::MalformedRequest,
                "the frames are not those of HTTP/2",
            )
            .await
        }
        None if connection.is_busy() => Ended::Broken(Reason::MalformedRequest),
        None => Ended::Client,
    }
}
