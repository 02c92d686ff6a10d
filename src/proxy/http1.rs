//! HTTP/1.1 toward the client: what is asked is answered, one request after the other. While a client is idle only the TLS
//! state stays; the rest is built again when the next byte comes.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{Method, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::body::{ClientBody, ResponseBody};
use super::connection::Connection;
use super::ended::{Ended, is_tls_fault};
use super::http::{self, Answer};
use super::outgoing::{Failure, To};
use super::refusal::{Refusal, Side};
use super::socket;
use super::switch::Prefixed;
use super::wire::{Asked, Breach, Ending, Late, Patience, Place, Served, Watch, is_last};
use crate::verdict::{Denied, Reason, Stage};

/// A client that asks nothing for this long is parked.
const PARK_AFTER: Duration = Duration::from_millis(500);

/// How one spell of requests ended.
enum Turn {
    /// The last request was answered: no other can follow.
    Last,
    /// The client asked for no more behind the one that was answered.
    Enough,
    /// The client has gone, or what it sent is no request.
    Closed,
    /// An answer could not be brought to its end.
    Failed,
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
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    let served = Served::new(stream, connection.worker.snapshot().limits().header_size);
    loop {
        let turn = Box::pin(spell(connection, &served)).await;
        if !matches!(turn, Turn::Late(Late::Idle)) {
            return Box::pin(end(connection, served, turn)).await;
        }
        if let Some(ended) = parked(connection, &served).await {
            return Box::pin(finish(served, ended)).await;
        }
    }
}

/// Requests, one behind the other, until the client is idle or there will be no more.
async fn spell<S>(connection: &Rc<Connection>, served: &Served<S>) -> Turn
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    let watch = Watch::new(patience(connection));
    let mut spell = Spell { connection, served, watch, is_draining: false };
    loop {
        if let Err(turn) = spell.exchange().await {
            return turn;
        }
    }
}

/// One spell under way.
struct Spell<'a, S> {
    connection: &'a Rc<Connection>,
    served: &'a Served<S>,
    watch: Watch,
    is_draining: bool,
}

impl<S> Spell<'_, S>
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    /// One request and its answer.
    async fn exchange(&mut self) -> Result<(), Turn> {
        let served = self.served;
        let asked = self.during(|cx| served.poll_asked(cx)).await?;
        let Asked { request, content, mut to } = match asked {
            Ok(Some(asked)) => asked,
            Ok(None) => return Err(Turn::Closed),
            Err(error) => return Err(lost(&error)),
        };
        let content = content.map(ClientBody::Http1);
        let answer = {
            let mut working = pin!(http::serve(Rc::clone(self.connection), request, content));
            let answered = self.during(|cx| match working.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(Ok(answered)),
                Poll::Pending => served.poll_gone(cx).map(|gone| Err(gone_with(gone))),
            });
            match answered.await?? {
                Ok(answer) => answer,
                Err(http::Aborted(_)) => return Err(Turn::Failed),
            }
        };
        let asked_for_no_more = to.is_last;
        to.is_last |= self.is_draining;
        self.send(answer, &to).await?;
        let is_ready = poll_fn(|cx| Poll::Ready(served.is_ready_again(cx))).await;
        match is_ready {
            true if asked_for_no_more => Err(Turn::Enough),
            true if !(to.is_last || self.is_draining) => Ok(()),
            _ => Err(Turn::Last),
        }
    }

    /// Sends an answer.
    async fn send(&mut self, answer: Answer, to: &To) -> Result<(), Turn> {
        let served = self.served;
        let Answer { head, body } = answer;
        let ends = head.status == StatusCode::SWITCHING_PROTOCOLS || is_last(&head.headers);
        let mut outgoing = served.answer(&head, body, to);
        drop(head);
        let sent = self.during(|cx| match served.poll_send(&mut outgoing, cx) {
            Poll::Ready(sent) => Poll::Ready(Ok(sent)),
            Poll::Pending => {
                // A client that is slow to read keeps no upstream connection from others.
                outgoing.let_go();
                served.poll_gone(cx).map(|gone| Err(gone_with(gone)))
            }
        });
        match sent.await?? {
            Ok(()) if ends => Err(Turn::Last),
            Ok(()) => Ok(()),
            Err(Failure::Body) => Err(Turn::Failed),
            Err(Failure::Write) => Err(Turn::Closed),
        }
    }

    /// Goes on with `stage` until it is done or something else ends the spell.
    async fn during<T>(
        &mut self,
        mut stage: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Turn> {
        poll_fn(|cx| {
            if let Poll::Ready(reason) = self.connection.cut.poll(cx) {
                return Poll::Ready(Err(Turn::Cut(reason)));
            }
            if !self.is_draining && self.connection.drain.poll(cx).is_ready() {
                self.is_draining = true;
                if self.served.is_idle() {
                    return Poll::Ready(Err(Turn::Drained));
                }
            }
            if let Poll::Ready(done) = stage(cx) {
                return Poll::Ready(Ok(done));
            }
            self.watch.poll_late(cx, self.served.since()).map(|late| Err(Turn::Late(late)))
        })
        .await
    }
}

/// The client has gone before its answer was.
fn gone_with(gone: io::Result<()>) -> Turn {
    gone.map_or_else(|error| lost(&error), |()| Turn::Closed)
}

/// Why there is nothing to be read any more.
fn lost(error: &io::Error) -> Turn {
    if is_tls_fault(error) { Turn::Broken } else { Turn::Closed }
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

/// Waits for the next request with nothing but the TLS state. `None`: there is one.
async fn parked<S>(connection: &Rc<Connection>, served: &Served<S>) -> Option<Ended>
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    let idle = connection.worker.snapshot().idle_timeout(connection.rule());
    let rest = idle.saturating_sub(PARK_AFTER);
    connection.drop_patience();
    tokio::select! {
        biased;
        reason = connection.cut.thrown() => Some(Ended::Cut(reason)),
        _draining = connection.drain.thrown() => Some(Ended::Drained),
        arrived = poll_fn(|cx| served.poll_arrived(cx)) => match arrived {
            Ok(true) => None,
            Ok(false) | Err(_) => Some(Ended::Client),
        },
        () = tokio::time::sleep(rest) => Some(Ended::Idle),
    }
}

async fn end<S>(connection: &Rc<Connection>, served: Served<S>, turn: Turn) -> Ended
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    if let (Turn::Last, Some(switched)) = (&turn, connection.take_switched()) {
        let (said, stream) = served.into_parts();
        return Box::pin(switched.relay(connection, Prefixed::new(said, stream))).await;
    }
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
        Turn::Drained => finish(served, Ended::Drained).await,
        Turn::Late(Late::Head) => {
            let denied = Denied::plain(Reason::Timeout, Stage::Request);
            answer_and_end(
                connection,
                served,
                (denied, Side::Client),
                "a head was not completed in time",
            )
            .await
        }
        Turn::Late(Late::Idle) => finish(served, Ended::Idle).await,
        Turn::Late(Late::Write) => Ended::Broken(Reason::Timeout),
        Turn::Closed | Turn::Last | Turn::Enough | Turn::Failed => {
            if let Some(Breach { violation, place: Place::Head }) = served.breach() {
                let denied = Denied::plain(violation.reason(), Stage::Request);
                let detail = violation.description();
                return answer_and_end(connection, served, (denied, Side::Head), detail).await;
            }
            let ended = done(connection, served.ending(), &turn);
            finish(served, ended).await
        }
    }
}

fn done(connection: &Connection, ending: Option<Ending>, turn: &Turn) -> Ended {
    match ending {
        Some(Ending::Clean) => Ended::Client,
        Some(Ending::InHead | Ending::InBody) => Ended::Broken(Reason::MalformedRequest),
        None if connection.was_denied() => Ended::Refused,
        None if connection.worker.is_draining() => Ended::Drained,
        None => match turn {
            Turn::Closed | Turn::Enough => Ended::Client,
            // An answer before the end of the request, after which nothing more can be read from this client.
            Turn::Last => Ended::Upstream,
            Turn::Failed | Turn::Broken | Turn::Cut(_) | Turn::Late(_) | Turn::Drained => {
                Ended::Broken(Reason::UpstreamFailed)
            }
        },
    }
}

/// What is no request is answered here: recorded first, so that the answer has its reference.
async fn answer_and_end<S>(
    connection: &Rc<Connection>,
    served: Served<S>,
    (denied, side): (Denied, Side),
    detail: &'static str,
) -> Ended
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + 'static,
{
    let snapshot = connection.worker.snapshot();
    let reason = denied.reason;
    let reference = connection.refuse(&snapshot, denied, None, Some(detail)).await;
    let refusal = Refusal { reason, side, reference };
    connection.count_outcome(refusal.status().as_u16());
    // Whatever it meant to ask, this says all.
    let to = To { method: Method::GET, takes_trailers: false, is_last: true };
    let (head, body) = refusal.response(Version::HTTP_11).into_parts();
    let mut answer = served.answer(&head, ResponseBody::own(body), &to);
    let sent = timeout(LAST_WORDS, poll_fn(|cx| served.poll_send(&mut answer, cx))).await;
    if matches!(sent, Ok(Ok(()))) {
        close(served.into_parts().1, LINGER_BROKEN).await;
    }
    Ended::Refused
}

/// What a client may still send into a lingering close: the rest of a body, most often.
const LINGER_BYTES: u64 = 1 << 20;

/// The same where its bytes were no request at all: less is owed, and whoever sends for ever is soon done.
const LINGER_BROKEN: u64 = 32 << 10;

/// For the last words to somebody who may not be listening.
const LAST_WORDS: Duration = Duration::from_secs(2);

async fn finish<S>(served: Served<S>, ended: Ended) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let is_read = served.is_read();
    let (_said, mut stream) = served.into_parts();
    match ended {
        // Nothing is owed, and nothing was sent that was not read.
        Ended::Idle | Ended::Drained | Ended::Client if is_read => {
            drop(timeout(LAST_WORDS, stream.shutdown()).await);
        }
        Ended::Idle
        | Ended::Drained
        | Ended::Client
        | Ended::Upstream
        | Ended::Refused
        | Ended::Cut(_)
        | Ended::Broken(_)
        | Ended::Panicked => close(stream, LINGER_BYTES).await,
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
