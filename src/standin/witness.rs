//! What an upstream saw, counted on its own side: the ledger is held against it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, Method, Uri, Version};

/// The most peers and the most requests whose particulars are kept; later ones are only counted.
const KEPT_MAX: usize = 100_000;

/// The counters of one upstream. They go on over a restart.
#[derive(Debug, Default)]
pub struct Witness {
    accepted: AtomicU64,
    handshakes: AtomicU64,
    requests: AtomicU64,
    received: AtomicU64,
    peers: Mutex<Vec<SocketAddr>>,
    seen: Mutex<Vec<Seen>>,
}

/// The head of a request as the upstream received it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The target; with HTTP/2 its authority too.
    pub uri: Uri,
    /// The version it came in.
    pub version: Version,
    /// The fields.
    pub headers: HeaderMap,
}

impl Witness {
    /// TCP connections accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Who opened them.
    pub fn peers(&self) -> Vec<SocketAddr> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// TLS handshakes that came to an end.
    pub fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Requests whose head came in.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes received inside TLS: of bodies where HTTP is spoken, else all.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The heads of the requests, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn accept(&self, peer: SocketAddr) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        keep(&self.peers, peer);
    }

    pub(super) fn shake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request<B>(&self, request: &http::Request<B>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let seen = Seen {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        };
        keep(&self.seen, seen);
    }

    pub(super) fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn keep<T>(list: &Mutex<Vec<T>>, item: T) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if list.len() < KEPT_MAX {
        list.push(item);
    }
}
