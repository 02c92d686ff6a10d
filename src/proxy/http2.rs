//! HTTP/2 toward the client (RFC 9113): hyper with every bound set.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::Connection;
use super::ended::Ended;
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
    let service = service_fn(|request| http::serve(Rc::clone(connection), None, request));
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10);
    let hyper = Box::pin(builder.serve_connection(TokioIo::new(stream), service));
    watch(connection, hyper, Patience::new(snapshot.idle_timeout(None))).await
}

/// Polls the connection along with everything that can end it.
async fn watch<H>(connection: &Rc<Connection>, mut hyper: Pin<Box<H>>, mut idle: Patience) -> Ended
where
    H: Graceful,
{
    let mut farewell: Option<(Ended, Option<(Patience, Instant)>)> = None;
    poll_fn(|cx| {
        if let Poll::Ready(reason) = connection.cut.poll(cx) {
            return Poll::Ready(Ended::Cut(reason));
        }
        if farewell.is_none() && connection.drain.poll(cx).is_ready() {
            hyper.as_mut().farewell();
            // How long a stream may go on then is for the box's drain timeout to say.
            farewell = Some((Ended::Drained, None));
        }
        if let Poll::Ready(done) = hyper.as_mut().poll(cx) {
            let ended = farewell.as_ref().map(|(ended, _)| *ended);
            return Poll::Ready(ended.unwrap_or_else(|| done_with(connection, &done)));
        }
        match &mut farewell {
            Some((_, None)) => return Poll::Pending,
            Some((ended, Some((patience, since)))) => {
                return patience.poll_elapsed(cx, *since).map(|()| *ended);
            }
            None => {}
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
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
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

/// A client that floods is cut by h2 itself, with `ENHANCE_YOUR_CALM`; it is counted like every bound.
fn done_with(connection: &Rc<Connection>, done: &hyper::Result<()>) -> Ended {
    let Err(error) = done else { return Ended::Client };
    let flooded = format!("{error:?}").contains("ENHANCE_YOUR_CALM");
    if flooded {
        connection.cut(Reason::Limit);
        return Ended::Cut(Reason::Limit);
    }
    Ended::Broken(Reason::MalformedRequest)
}
