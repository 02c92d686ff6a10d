//! The gate itself: takes connections within the bounds, judges the source address alone, and hands what may
//! go on to the worker with the fewest. Nothing is answered here, not even a TLS byte.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::shared::Shared;
use super::{BoundListener, clock};
use crate::appliance::Limits;
use crate::flow::{Flow, Name};
use crate::ledger::{Body, ClientFacts, Entry};
use crate::verdict::{Denied, Reason, Stage, Verdict};

/// A connection that may go on to its handshake.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The accepted socket, non-blocking.
    pub(super) stream: TcpStream,
    /// Where it comes from.
    pub(super) source: SocketAddr,
    /// The local address it was opened to.
    pub(super) to_address: SocketAddr,
    /// The listener that took it.
    pub(super) listener: Name,
    /// Its place within the bounds; given back when it is dropped.
    pub(super) admission: Admission,
}

/// The client connections there are, in all and by source.
#[derive(Debug, Default)]
pub(super) struct Census {
    all: AtomicUsize,
    by_source: Mutex<HashMap<IpAddr, u32>>,
}

/// One place within the bounds.
#[derive(Debug)]
pub(super) struct Admission {
    census: Arc<Census>,
    source: IpAddr,
}

/// A worker as the acceptor sees it.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    /// Where arrivals go.
    pub(super) arrivals: mpsc::Sender<Arrival>,
    /// How many connections it carries.
    pub(super) load: Arc<AtomicUsize>,
}

impl Census {
    /// Client connections now.
    pub(super) fn count(&self) -> usize {
        self.all.load(Ordering::Acquire)
    }

    /// Takes a place for `source`, where the bounds leave one.
    pub(super) fn admit(self: &Arc<Self>, source: IpAddr, limits: &Limits) -> Option<Admission> {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let most = usize::try_from(limits.connections).unwrap_or(usize::MAX);
        let here = by_source.get(&source).copied().unwrap_or(0);
        if self.count() >= most || here >= limits.connections_per_source {
            return None;
        }
        by_source.insert(source, here + 1);
        self.all.fetch_add(1, Ordering::AcqRel);
        Some(Admission { census: Arc::clone(self), source })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_source = self.census.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = by_source.get_mut(&self.source) {
            *here -= 1;
            if *here == 0 {
                by_source.remove(&self.source);
            }
        }
        self.census.all.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Accepts on one socket until `stop` says so.
pub(super) async fn accept(
    listener: BoundListener,
    shared: Arc<Shared>,
    desks: Arc<[Desk]>,
    mut stop: watch::Receiver<bool>,
) {
    let socket = match TcpListener::from_std(listener.socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(listener = %listener.name, %error, "the listener cannot be polled");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.changed() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, source)) => match stream.into_std() {
                Ok(stream) => arrive(stream, source, &listener.name, &shared, &desks).await,
                Err(error) => pause_after(&error, &shared).await,
            },
            Err(error) => pause_after(&error, &shared).await,
        }
    }
}

/// Out of descriptors or memory: everybody waits a moment, nobody spins (accept(2)).
async fn pause_after(error: &io::Error, shared: &Shared) {
    shared.metrics.accept_failed();
    let kind = error.kind();
    if kind != io::ErrorKind::ConnectionAborted && kind != io::ErrorKind::Interrupted {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn arrive(
    stream: TcpStream,
    source: SocketAddr,
    listener: &Name,
    shared: &Arc<Shared>,
    desks: &[Desk],
) {
    let Ok(to_address) = stream.local_addr() else { return };
    meet(stream, (source, to_address), listener, shared, desks).await;
}

/// Judges who came from `source` to `to_address`, and hands on whoever may go on.
pub(super) async fn meet(
    stream: TcpStream,
    (source, to_address): (SocketAddr, SocketAddr),
    listener: &Name,
    shared: &Arc<Shared>,
    desks: &[Desk],
) {
    let snapshot = shared.snapshot.load();
    let flow = Flow::arrival(clock::now(), source.ip(), to_address, Some(listener.clone()));
    let verdict = snapshot.engine.decide(&flow);
    let admission = shared.census.admit(source.ip(), snapshot.limits());
    match (verdict, admission) {
        (Verdict::Deny(denied), _) => refuse(shared, &flow, source, denied).await,
        (Verdict::Allow(_) | Verdict::NotYet(_), None) => {
            refuse(shared, &flow, source, Denied::plain(Reason::Limit, Stage::Accept)).await;
        }
        (Verdict::Allow(_) | Verdict::NotYet(_), Some(admission)) => {
            let listener = listener.clone();
            hand_over(Arrival { stream, source, to_address, listener, admission }, desks).await;
        }
    }
}

/// Records who was turned away; the socket is closed by whoever holds it, without a byte.
async fn refuse(shared: &Shared, flow: &Flow, source: SocketAddr, denied: Denied) {
    shared.metrics.denied(denied.reason, denied.stage);
    let snapshot = shared.snapshot.load();
    let Some(listener) = flow.listener.clone() else { return };
    let client = ClientFacts {
        source,
        to_address: flow.to_address,
        listener,
        system: snapshot.engine.system_of(source.ip()).cloned(),
        server_name: None,
        tls: None,
        identities: None,
        not_after: None,
    };
    let body = Body::Refused {
        client: Some(Box::new(client)),
        request: None,
        endpoint: None,
        verdict: Verdict::Deny(denied),
        detail: None,
    };
    let entry = Entry { at: flow.at, policy: snapshot.digest, connection: None, body };
    // Nothing was let through, so nothing depends on whether this could be kept; the ledger counts a loss.
    let _kept = shared.ledger.append_limited(source.ip(), &entry).await;
}

/// To the worker with the fewest; a full desk holds the acceptor back rather than losing anybody.
async fn hand_over(arrival: Arrival, desks: &[Desk]) {
    let Some(desk) = desks.iter().min_by_key(|desk| desk.load.load(Ordering::Relaxed)) else {
        return;
    };
    desk.load.fetch_add(1, Ordering::Relaxed);
    if desk.arrivals.send(arrival).await.is_err() {
        desk.load.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::Census;
    use crate::appliance::Limits;

    #[test]
    fn a_place_is_given_back_and_no_source_takes_them_all() {
        let limits = Limits { connections: 3, connections_per_source: 2, ..Limits::default() };
        let census = Arc::new(Census::default());
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = census.admit(one, &limits);
        let second = census.admit(one, &limits);
        assert!(first.is_some() && second.is_some());
        assert!(census.admit(one, &limits).is_none(), "the bound per source");
        let third = census.admit(two, &limits);
        assert!(third.is_some());
        assert!(census.admit(two, &limits).is_none(), "the bound in all");
        drop(second);
        assert_eq!(census.count(), 2);
        assert!(census.admit(one, &limits).is_some(), "the place was given back");
    }
}
