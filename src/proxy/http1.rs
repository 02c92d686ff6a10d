//! HTTP/1.1 toward the client: hyper behind the guard. While a client is idle hyper is taken down and only the TLS
//! state stays; it is built again when the next byte comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::connection::Connection;
use super::ended::{Ended, broke_tls};
use super::http;
use super::refusal::{Refusal, Side};
use super::socket;
use super::switch::Prefixed;
use super::wire::{Ending, Exchange, Guard, Late, Patience, Place, Watch};
use crate::verdict::{Denied, Reason, Stage};

/// A client that asks nothing for this long is parked.
const PARK_AFTER: Duration = Duration::from_millis(500);

/// How one spell of hyper ended.
enum Turn {
    /// hyper is done with the connection.
    Done(bool),
    /// The client broke the rules of TLS.
    Broken,
    /// The law, or a bound, ended it.
    Cut(Reason),
    /// The client was late.
    Late(Late),
    /// This box stops, and nothing is owed.
    Drained,
}

/// Serves one connection until it ends.
pub(super) async fn serve<S>(connection: &Rc<Connection>, stream: S) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut guard = Guard::new(stream, connection.worker.snapshot().limits().header_size);
    loop {
        let (returned, turn) = Box::pin(spell(connection, guard)).await;
        guard = returned;
        if !matches!(turn, Turn::Late(Late::Idle)) {
            return Box::pin(end(connection, guard, turn)).await;
        }
        if let Some(ended) = parked(connection, &mut guard).await {
            return Box::pin(finish(guard, ended)).await;
        }
    }
}

/// One spell of hyper around the guard, which comes back from it.
async fn spell<S>(connection: &Rc<Connection>, guard: Guard<S>) -> (Guard<S>, Turn)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let exchange = Rc::clone(guard.exchange());
    let mut watch = Watch::new(Rc::clone(&exchange), patience(connection));
    let service = service_fn(|request| {
        let answer = Some(exchange.answer());
        Box::pin(http::serve(Rc::clone(connection), answer, request))
    });
    let mut hyper = http1::Builder::new()
        .keep_alive(true)
        .max_buf_size(buffer_size(connection))
        .serve_connection(TokioIo::new(guard), service);
    let mut draining = false;
    let turn = poll_fn(|cx| {
        if let Poll::Ready(reason) = connection.cut.poll(cx) {
            return Poll::Ready(Turn::Cut(reason));
        }
        if !draining && connection.drain.poll(cx).is_ready() {
            draining = true;
            if exchange.idle_since().is_some() {
                return Poll::Ready(Turn::Drained);
            }
            Pin::new(&mut hyper).graceful_shutdown();
        }
        if let Poll::Ready(done) = hyper.poll_without_shutdown(cx) {
            let broken = done.as_ref().is_err_and(broke_tls);
            return Poll::Ready(if broken { Turn::Broken } else { Turn::Done(done.is_ok()) });
        }
        Pin::new(&mut watch).poll(cx).map(Turn::Late)
    })
    .await;
    (hyper.into_parts().io.into_inner(), turn)
}

fn patience(connection: &Connection) -> Patience {
    let snapshot = connection.worker.snapshot();
    let limits = snapshot.limits();
    let idle = snapshot.idle_timeout(connection.rule());
    Patience {
        idle: idle.min(PARK_AFTER),
        head: limits.handshake_timeout,
        write: limits.idle_timeout,
    }
}

/// hyper must be able to hold the largest head that the guard lets through.
fn buffer_size(connection: &Connection) -> usize {
    connection.worker.snapshot().limits().header_size.max(8 * 1024) + 8 * 1024
}

/// Waits for the next request with nothing but the TLS state. `None`: there is one.
async fn parked<S>(connection: &Rc<Connection>, guard: &mut Guard<S>) -> Option<Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let idle = connection.worker.snapshot().idle_timeout(connection.rule());
    let rest = idle.saturating_sub(PARK_AFTER);
    connection.drop_patience();
    tokio::select! {
        biased;
        reason = connection.cut.thrown() => Some(Ended::Cut(reason)),
        _draining = connection.drain.thrown() => Some(Ended::Drained),
        arrived = guard.arrived() => match arrived {
            Ok(true) => None,
            Ok(false) | Err(_) => Some(Ended::Client),
        },
        () = tokio::time::sleep(rest) => Some(Ended::Idle),
    }
}

async fn end<S>(connection: &Rc<Connection>, guard: Guard<S>, turn: Turn) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let (Turn::Done(true), Some(switched)) = (&turn, connection.take_switched()) {
        let (said, stream) = guard.into_parts();
        return Box::pin(switched.relay(connection, Prefixed::new(said.freeze(), stream))).await;
    }
    let exchange = Rc::clone(guard.exchange());
    match turn {
        Turn::Cut(reason) => Ended::Cut(reason),
        Turn::Broken => {
            http::turn_away(
                connection,
                Reason::MalformedRequest,
                "the client broke the rules of TLS",
            )
            .await
        }
        Turn::Drained => finish(guard, Ended::Drained).await,
        Turn::Late(Late::Head) => {
            let denied = Denied::plain(Reason::Timeout, Stage::Request);
            answer_and_end(
                connection,
                guard,
                (denied, Side::Client),
                "a head was not completed in time",
            )
            .await
        }
        Turn::Late(Late::Idle) => finish(guard, Ended::Idle).await,
        Turn::Late(Late::Write) => Ended::Broken(Reason::Timeout),
        Turn::Done(is_ok) => match exchange.breach() {
            Some(breach) if breach.place == Place::Head && is_ok => {
                let denied = Denied::plain(breach.violation.reason(), Stage::Request);
                answer_and_end(
                    connection,
                    guard,
                    (denied, Side::Head),
                    breach.violation.description(),
                )
                .await
            }
            _ => finish(guard, done(connection, &exchange, is_ok)).await,
        },
    }
}

fn done(connection: &Connection, exchange: &Exchange, is_ok: bool) -> Ended {
    match exchange.ending() {
        Some(Ending::Clean) => Ended::Client,
        Some(Ending::InHead | Ending::InBody) => Ended::Broken(Reason::MalformedRequest),
        None if connection.was_denied() => Ended::Refused,
        None if connection.worker.is_draining() => Ended::Drained,
        // An answer before the end of the request, after which nothing more can be read from this client.
        None if is_ok => Ended::Upstream,
        None => Ended::Broken(Reason::UpstreamFailed),
    }
}

/// What hyper never saw is answered here: recorded first, so that the answer has its reference.
async fn answer_and_end<S>(
    connection: &Rc<Connection>,
    guard: Guard<S>,
    (denied, side): (Denied, Side),
    detail: &'static str,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let snapshot = connection.worker.snapshot();
    let reason = denied.reason;
    let reference = connection.refuse(&snapshot, denied, None, Some(detail)).await;
    let refusal = Refusal { reason, side, reference };
    connection.count_outcome(refusal.status().as_u16());
    let mut stream = guard.into_inner();
    let written = timeout(LAST_WORDS, stream.write_all(&refusal.to_bytes())).await;
    if matches!(written, Ok(Ok(()))) {
        close(stream, LINGER_BROKEN).await;
    }
    Ended::Refused
}

/// What a client may still send into a lingering close: the rest of a body, most often.
const LINGER_BYTES: u64 = 1 << 20;

/// The same where its bytes were no request at all: less is owed, and whoever sends for ever is soon done.
const LINGER_BROKEN: u64 = 32 << 10;

/// For the last words to somebody who may not be listening.
const LAST_WORDS: Duration = Duration::from_secs(2);

async fn finish<S>(guard: Guard<S>, ended: Ended) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match ended {
        // Nothing is owed, and nothing was sent that is not answered.
        Ended::Idle | Ended::Drained | Ended::Client => {
            drop(timeout(LAST_WORDS, guard.into_inner().shutdown()).await);
        }
        Ended::Upstream | Ended::Refused | Ended::Cut(_) | Ended::Broken(_) | Ended::Panicked => {
            close(guard.into_inner(), LINGER_BYTES).await;
        }
    }
    ended
}

/// Ends TLS in order and lingers, so that the last answer is read before the connection is gone.
async fn close<S>(mut stream: S, bytes: u64)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket::linger(&mut stream, bytes, LAST_WORDS).await;
}
