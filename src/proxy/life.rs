//! From the handshake to the last byte: what happens to one client connection, in order.

use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::connection::Connection;
use super::ended::Ended;
use super::patience::Patience;
use super::permit::Opened;
use super::route::{Blocked, Fresh, route};
use super::socket::{self, Socket};
use super::{clock, http1, http2, judge, relay, upstream};
use crate::flow::Alpn;
use crate::ledger::Body;
use crate::metrics::Leg;
use crate::policy::model::Protocol;
use crate::tls;
use crate::verdict::{Denied, Reason, Stage, Verdict};

/// A client whose handshake is done.
struct Shaken {
    /// Boxed: it is handed on, and would otherwise take its place in the task once more.
    stream: Box<TlsStream<Socket>>,
    protocol: Protocol,
    alpn: Option<Alpn>,
}

/// Why there was no handshake.
struct Unshaken {
    denied: Denied,
    detail: Option<&'static str>,
}

/// Carries one connection until it ends.
pub(super) async fn live(connection: Rc<Connection>, stream: StdStream) {
    let Some(shaken) = Box::pin(handshake(&connection, stream)).await else { return };
    let admitted = Box::pin(identify(&connection, &shaken)).await;
    let ended = match (shaken.protocol, admitted) {
        (Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp, true) => {
            Box::pin(relayed(&connection, shaken.stream)).await
        }
        (Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp, false) => {
            Box::pin(turn_away(shaken.stream)).await
        }
        // On `https` a refusal is said in HTTP, to the first request, also when it came before.
        (Protocol::Https, _) if shaken.alpn == Some(Alpn::H2) => {
            Box::pin(http2::serve(&connection, shaken.stream)).await
        }
        (Protocol::Https, _) => http1::serve(&connection, shaken.stream).await,
    };
    Box::pin(connection.close(ended)).await;
}

async fn handshake(connection: &Rc<Connection>, stream: StdStream) -> Option<Shaken> {
    let limits = connection.worker.snapshot().limits().clone();
    let stream = TcpStream::from_std(stream).ok()?;
    upstream::prepare(&stream, limits.tcp_keepalive).ok()?;
    let shaken = tokio::select! {
        biased;
        _cut = connection.cut.thrown() => return None,
        shaken = timeout(limits.handshake_timeout, shake(connection, stream)) => shaken,
    };
    let unshaken = match shaken {
        Ok(Ok(shaken)) => return Some(shaken),
        Ok(Err(unshaken)) => unshaken,
        Err(_late) => Unshaken {
            denied: Denied::plain(Reason::Timeout, Stage::Hello),
            detail: Some("the handshake took too long"),
        },
    };
    connection.worker.shared.metrics.handshake_failed(Leg::Client, unshaken.denied.reason);
    let snapshot = connection.worker.snapshot();
    let _reference = connection.refuse(&snapshot, unshaken.denied, None, unshaken.detail).await;
    None
}

async fn shake(connection: &Rc<Connection>, stream: TcpStream) -> Result<Shaken, Unshaken> {
    let acceptor = LazyConfigAcceptor::new(Acceptor::default(), Socket::new(stream));
    let start = acceptor.await.map_err(|error| broken(&error))?;
    let snapshot = connection.worker.snapshot();
    let protocol = judge_hello(connection, &start)?;
    if protocol.is_opaque() {
        // No law with such a rule is put in force by this version.
        let denied = Denied::plain(Reason::Protocol, Stage::Hello);
        return Err(Unshaken { denied, detail: None });
    }
    let gone = || Unshaken { denied: Denied::plain(Reason::Listener, Stage::Hello), detail: None };
    let listener = snapshot.listener(&connection.listener).ok_or_else(gone)?;
    let config = match protocol {
        Protocol::Https => &listener.https,
        Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp => &listener.plain,
    };
    let stream = start.into_stream(Arc::clone(config)).await.map_err(|error| broken(&error))?;
    let stream = Box::new(stream);
    let (_, session) = stream.get_ref();
    let (version, alpn) = tls::agreed(session);
    let mut hello = connection.hello().as_deref().cloned().ok_or_else(gone)?;
    (hello.version, hello.alpn) = (version, alpn);
    connection.set_hello(hello);
    Ok(Shaken { stream, protocol, alpn })
}

/// The `ClientHello` is judged before it is answered. Where HTTP is spoken, a refusal waits for the first request, so
/// that it can be said; everybody else is closed here.
fn judge_hello(
    connection: &Rc<Connection>,
    start: &StartHandshake<Socket>,
) -> Result<Protocol, Unshaken> {
    let client = start.client_hello();
    let hello = tls::hello(&client);
    let offered = tls::offered(&client);
    let snapshot = connection.worker.snapshot();
    let protocol =
        snapshot.engine.protocol(&connection.listener, connection.source.ip(), &hello.server_name);
    connection.set_hello(hello);
    match (snapshot.engine.decide(&connection.flow(clock::now())), protocol) {
        (Verdict::Deny(denied), Some(Protocol::Tls)) => Err(Unshaken { denied, detail: None }),
        (Verdict::Deny(denied), None) if offered.is_empty() => {
            Err(Unshaken { denied, detail: None })
        }
        (_, protocol) => Ok(protocol.unwrap_or(Protocol::Https)),
    }
}

fn broken(error: &std::io::Error) -> Unshaken {
    let (reason, detail) = tls::client_refusal(error);
    Unshaken { denied: Denied::plain(reason, Stage::Hello), detail: Some(detail) }
}

/// The client certificate becomes a fact and is judged with the rest. An admitted connection is *opened* in the
/// ledger, on disk, before anything is asked upstream for it.
async fn identify(connection: &Rc<Connection>, shaken: &Shaken) -> bool {
    let snapshot = connection.worker.snapshot();
    let Some(listener) = snapshot.listener(&connection.listener) else { return false };
    let now = clock::now();
    let chain = shaken.stream.get_ref().1.peer_certificates().unwrap_or_default();
    connection.set_presented(connection.worker.papers.present(chain, &listener.clients, now));
    match snapshot.engine.decide(&connection.flow(now)) {
        Verdict::Deny(denied) if shaken.protocol == Protocol::Tls => {
            let _reference = connection.refuse(&snapshot, denied, None, None).await;
            false
        }
        // Said, recorded and counted with the first request.
        Verdict::Deny(_) => false,
        verdict @ (Verdict::Allow(_) | Verdict::NotYet(_)) => {
            open(connection, verdict, shaken.protocol).await
        }
    }
}

async fn open(connection: &Rc<Connection>, verdict: Verdict, protocol: Protocol) -> bool {
    let snapshot = connection.worker.snapshot();
    let body = Body::Opened { facts: connection.client_facts(&snapshot), verdict };
    let ledger = &connection.worker.shared.ledger;
    let kept = match ledger.append(&connection.entry(&snapshot, body)).await {
        Ok(receipt) => ledger.sync(receipt).await,
        Err(unwritable) => Err(unwritable),
    };
    if let Ok(Ok(opened)) = kept.map(Opened::claim) {
        connection.set_opened(opened);
        return true;
    }
    if protocol == Protocol::Tls {
        // On `https` the first request is answered with it, and counted.
        connection.worker.shared.metrics.denied(Reason::LedgerUnwritable, Stage::Identity);
    }
    false
}

/// A `tls` passage has no words for a refusal: it ends in order, so that the client's own log says something.
async fn turn_away(mut stream: Box<TlsStream<Socket>>) -> Ended {
    socket::linger(&mut stream, 64 << 10, Duration::from_secs(1)).await;
    Ended::Refused
}

async fn relayed(connection: &Rc<Connection>, stream: Box<TlsStream<Socket>>) -> Ended {
    let snapshot = connection.worker.snapshot();
    let mut flow = connection.flow(clock::now());
    let routed = tokio::select! {
        biased;
        reason = connection.cut.thrown() => return Ended::Cut(reason),
        routed = route(connection, &snapshot, &mut flow, &Fresh) => routed,
    };
    let ((dialled, slot), allowed) = match routed {
        Ok(routed) => routed,
        Err(blocked) => {
            record_blocked(connection, blocked).await;
            return turn_away(stream).await;
        }
    };
    connection.relay_to(allowed.endpoint, &dialled.peer);
    if let Some(denied) = judge::late(connection, &snapshot, &flow) {
        record_blocked(connection, Blocked::Denied(denied)).await;
        return turn_away(stream).await;
    }
    let (rule, metrics) = connection.passes_by(&allowed.rule, &allowed.system).clone();
    let patience = Patience::new(snapshot.idle_timeout(Some(&rule)));
    let ended = relay::relay(connection, &metrics, stream, dialled.stream, patience).await;
    drop(slot);
    ended
}

async fn record_blocked(connection: &Rc<Connection>, blocked: Blocked) {
    let denied = match blocked {
        Blocked::Denied(denied) => denied,
        Blocked::Failed(reason, stage) => Denied::plain(reason, stage),
        Blocked::Unwritable => Denied::plain(Reason::LedgerUnwritable, Stage::Dial),
    };
    let snapshot = connection.worker.snapshot();
    let _reference = connection.refuse(&snapshot, denied, None, None).await;
}

#[cfg(test)]
mod tests {
    use super::live;

    /// What every client connection occupies for as long as it lives, in bytes, TLS and buffers apart (they are boxed).
    const TASK_MAX: usize = 1024;

    /// The size of the future that `make` makes, without making one.
    fn size_of_future<A, B, F: Future>(_make: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_a_connection_stays_small() {
        let size = size_of_future(live);
        assert!(size <= TASK_MAX, "{size} bytes");
        assert!(size > 0);
    }
}
