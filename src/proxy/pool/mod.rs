//! A worker's pool of upstream connections: keyed by endpoint and TLS material, so that a connection is used
//! again only under the trust, certificate and names it was made with. Never decides who may pass.

mod checkout;
mod placed;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
// Keys are endpoints of the law: no client can make them collide.
use rustc_hash::FxHashMap as HashMap;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

pub(in crate::proxy) use checkout::{BrokeOff, Checkout, SendError};

use checkout::{Lent, Use};
use placed::Placed;

use crate::flow::{Alpn, Flow};
use crate::proxy::body::RequestBody;
use crate::proxy::clock;
use crate::proxy::single::Single;
use crate::proxy::slot::{Places, Slot, Slots};
use crate::proxy::socket::Socket;
use crate::proxy::upstream::{Dialled, UpstreamPeer};

/// Requests at a time on one HTTP/2 upstream connection; beyond it another one is dialled. The usual
/// `SETTINGS_MAX_CONCURRENT_STREAMS` of servers (RFC 9113 §6.5.2 recommends no smaller one).
const STREAMS_MAX: usize = 100;

/// What one stream of an HTTP/2 upstream may send before it is read.
const STREAM_WINDOW: u32 = 512 << 10;

/// How long an endpoint that could not be reached goes behind the others.
const SHUNNED: Duration = Duration::from_secs(5);

/// What must be equal for a connection to be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::proxy) struct Key {
    /// The judged address.
    pub(in crate::proxy) endpoint: SocketAddr,
    /// The digest of the upstream's TLS material.
    pub(in crate::proxy) material: [u8; 32],
}

/// The upstream connections of one worker.
#[derive(Debug)]
pub(in crate::proxy) struct Pool {
    slots: Arc<Slots>,
    entries: RefCell<HashMap<Key, Entry>>,
    failed: RefCell<HashMap<SocketAddr, Instant>>,
}

#[derive(Debug)]
struct Entry {
    places: Arc<Places>,
    idle: Vec<Idle>,
    shared: Vec<Rc<Multiplexed>>,
    speaks: Option<Alpn>,
    dialling: bool,
    waiting: usize,
    arrived: Rc<Notify>,
}

/// An HTTP/1.1 connection that nobody uses.
#[derive(Debug)]
struct Idle {
    connection: Box<Http1>,
    since: Instant,
}

/// An upstream leg with its place.
type UpstreamStream = Placed<TlsStream<Socket>>;

/// An HTTP/1.1 connection: one exchange at a time. Kept in a box: every exchange takes it out of the pool and back.
#[derive(Debug)]
struct Http1 {
    single: Single<UpstreamStream, RequestBody>,
    leg: Leg,
}

/// An HTTP/2 connection: many exchanges at a time.
#[derive(Debug)]
struct Multiplexed {
    sender: http2::SendRequest<RequestBody>,
    leg: Leg,
    _driver: Driver,
    streams: Cell<usize>,
    since: Cell<Instant>,
}

/// What a connection was dialled as, and who answered.
#[derive(Debug)]
struct Leg {
    dialled_as: Flow,
    peer: Arc<UpstreamPeer>,
}

/// The task that runs a connection; it ends with its owner.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A worker's right to dial for a key while others wait for what comes of it.
#[derive(Debug)]
pub(in crate::proxy) struct Dialling {
    pool: Rc<Pool>,
    key: Key,
}

/// Spawns onto the worker's own thread: nothing on the data path crosses threads.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(spawn_local(future));
    }
}

impl Pool {
    pub(in crate::proxy) fn new(slots: Arc<Slots>) -> Self {
        Self { slots, entries: RefCell::default(), failed: RefCell::default() }
    }

    fn entry(&self, key: Key) -> Entry {
        Entry {
            places: self.slots.places(key.endpoint),
            idle: Vec::new(),
            shared: Vec::new(),
            speaks: None,
            dialling: false,
            waiting: 0,
            arrived: Rc::default(),
        }
    }

    /// Waits until this worker gets a connection for `key` back, or a dial that is under way has ended.
    pub(in crate::proxy) async fn arrival(&self, key: Key) {
        let waiting = Waiting::new(self, key);
        waiting.arrived.notified().await;
    }

    /// A connection that can take one more exchange now.
    pub(in crate::proxy) fn take(self: &Rc<Self>, key: Key) -> Option<Checkout> {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.get_mut(&key)?;
        entry.shared.retain(|shared| !shared.sender.is_closed());
        if let Some(shared) = entry.shared.iter().find(|shared| shared.streams.get() < STREAMS_MAX)
        {
            shared.streams.set(shared.streams.get() + 1);
            return Some(self.lend(key, Lent::shared(shared), Use::Again));
        }
        while let Some(idle) = entry.idle.pop() {
            if idle.connection.single.is_quiet() {
                return Some(self.lend(key, Lent::Single(idle.connection), Use::Again));
            }
        }
        None
    }

    fn lend(self: &Rc<Self>, key: Key, lent: Lent, used: Use) -> Checkout {
        Checkout { pool: Rc::clone(self), key, lent, used }
    }

    /// Lends a fresh HTTP/1.1 connection that does not come back: its request may switch protocols.
    pub(in crate::proxy) fn lend_once(
        self: &Rc<Self>,
        key: Key,
        dialled: Dialled,
        slot: Slot,
        flow: Flow,
    ) -> Checkout {
        self.lend(key, Lent::Single(http1(dialled, slot, flow)), Use::Once)
    }

    /// Asks to dial. While it is not known to speak HTTP/1.1, only one at a time dials: an HTTP/2 connection
    /// will serve everybody who waits.
    /// `None`: wait for [`Pool::arrival`], then look again.
    pub(in crate::proxy) fn begin_dial(self: &Rc<Self>, key: Key) -> Option<Dialling> {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.entry(key).or_insert_with(|| self.entry(key));
        if entry.dialling && entry.speaks != Some(Alpn::Http11) {
            return None;
        }
        entry.dialling = true;
        Some(Dialling { pool: Rc::clone(self), key })
    }

    /// Takes up a fresh connection and lends it at once.
    ///
    /// # Errors
    /// Where the HTTP/2 preface or settings could not be written.
    pub(in crate::proxy) async fn adopt(
        self: &Rc<Self>,
        key: Key,
        dialled: Dialled,
        slot: Slot,
        flow: Flow,
    ) -> hyper::Result<Checkout> {
        let speaks = dialled.alpn.unwrap_or(Alpn::Http11);
        let lent = match speaks {
            Alpn::Http11 => Lent::Single(http1(dialled, slot, flow)),
            Alpn::H2 => Lent::shared(&Rc::new(http2(dialled, slot, flow).await?)),
        };
        let mut entries = self.entries.borrow_mut();
        let entry = entries.entry(key).or_insert_with(|| self.entry(key));
        entry.speaks = Some(speaks);
        if let Lent::Shared { connection, .. } = &lent {
            entry.shared.push(Rc::clone(connection));
        }
        drop(entries);
        Ok(self.lend(key, lent, Use::First))
    }

    /// Ends what has been idle for longer than `patience`, is broken, or sits on a place that somebody waits for.
    pub(in crate::proxy) fn sweep(&self, patience: Duration) {
        let now = Instant::now();
        let fresh = |since: Instant| now.duration_since(since) < patience;
        self.entries.borrow_mut().retain(|_, entry| {
            let wanted = entry.places.is_wanted();
            entry.idle.iter().for_each(|idle| idle.connection.single.shrink());
            entry
                .idle
                .retain(|idle| !wanted && fresh(idle.since) && idle.connection.single.is_quiet());
            entry.shared.retain(|shared| {
                let idle = shared.streams.get() == 0;
                !shared.sender.is_closed() && !(idle && (wanted || !fresh(shared.since.get())))
            });
            !(entry.idle.is_empty()
                && entry.shared.is_empty()
                && !entry.dialling
                && entry.waiting == 0)
        });
        self.failed.borrow_mut().retain(|_, when| now.duration_since(*when) < SHUNNED);
    }

    /// Drops the idle connections that `is_refused` says of: the law has changed.
    #[expect(
        clippy::iter_over_hash_type,
        reason = "each is judged by itself, order does not matter"
    )]
    pub(in crate::proxy) fn judge(
        &self,
        is_refused: impl Fn(Key, &Flow, &Arc<UpstreamPeer>) -> bool,
    ) {
        for (key, entry) in self.entries.borrow_mut().iter_mut() {
            entry.idle.retain(|idle| {
                !is_refused(*key, &idle.connection.leg.dialled_as, &idle.connection.leg.peer)
            });
            // A shared one that is in use ends with its last stream: streams are judged one by one.
            entry
                .shared
                .retain(|shared| !is_refused(*key, &shared.leg.dialled_as, &shared.leg.peer));
        }
    }

    /// Remembers that an endpoint could not be reached.
    pub(in crate::proxy) fn shun(&self, endpoint: SocketAddr) {
        self.failed.borrow_mut().insert(endpoint, Instant::now());
    }

    /// It was reached after all.
    pub(in crate::proxy) fn trust_again(&self, endpoint: SocketAddr) {
        self.failed.borrow_mut().remove(&endpoint);
    }

    /// Whether it could not be reached a moment ago.
    pub(in crate::proxy) fn is_shunned(&self, endpoint: SocketAddr) -> bool {
        let failed = self.failed.borrow();
        failed.get(&endpoint).is_some_and(|when| when.elapsed() < SHUNNED)
    }

    /// A stream of a shared connection has ended: whoever waits may have it.
    fn release(&self, key: Key, shared: &Multiplexed) {
        shared.streams.set(shared.streams.get().saturating_sub(1));
        shared.since.set(clock::woken());
        if let Some(entry) = self.entries.borrow().get(&key) {
            entry.arrived.notify_one();
        }
    }

    fn give_back(&self, key: Key, connection: Box<Http1>) {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.entry(key).or_insert_with(|| self.entry(key));
        if entry.waiting > 0 || !entry.places.is_wanted() {
            entry.idle.push(Idle { connection, since: clock::woken() });
            entry.arrived.notify_one();
        }
        // Else another worker waits for the place: the connection ends here and frees it.
    }
}

/// Somebody of this worker waits for a connection.
struct Waiting<'a> {
    pool: &'a Pool,
    key: Key,
    arrived: Rc<Notify>,
}

impl<'a> Waiting<'a> {
    fn new(pool: &'a Pool, key: Key) -> Self {
        let mut entries = pool.entries.borrow_mut();
        let entry = entries.entry(key).or_insert_with(|| pool.entry(key));
        entry.waiting += 1;
        Self { pool, key, arrived: Rc::clone(&entry.arrived) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.pool.entries.borrow_mut().get_mut(&self.key) {
            entry.waiting = entry.waiting.saturating_sub(1);
        }
    }
}

fn http1(dialled: Dialled, slot: Slot, flow: Flow) -> Box<Http1> {
    let leg = Leg { dialled_as: flow, peer: dialled.peer };
    let single = Single::new(Placed { stream: dialled.stream, _slot: slot });
    Box::new(Http1 { single, leg })
}

async fn http2(dialled: Dialled, slot: Slot, flow: Flow) -> hyper::Result<Multiplexed> {
    let leg = Leg { dialled_as: flow, peer: dialled.peer };
    let io = TokioIo::new(Placed { stream: dialled.stream, _slot: slot });
    let (sender, connection) = http2_builder().handshake(io).await?;
    Ok(Multiplexed {
        sender,
        leg,
        _driver: drive(connection),
        streams: Cell::new(1),
        since: Cell::new(clock::woken()),
    })
}

fn http2_builder() -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        // One client that does not read must not hold up the others who share the connection.
        .initial_connection_window_size(STREAM_WINDOW * 100)
        .max_send_buf_size(256 << 10)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Runs the connection on the worker until it ends.
fn drive<F>(connection: F) -> Driver
where
    F: Future<Output = hyper::Result<()>> + 'static,
{
    // How it ended is seen by the exchange that was on it, if there was one.
    Driver(spawn_local(async move { drop(connection.await) }).abort_handle())
}

impl Drop for Dialling {
    fn drop(&mut self) {
        if let Some(entry) = self.pool.entries.borrow_mut().get_mut(&self.key) {
            entry.dialling = false;
            entry.arrived.notify_waiters();
        }
    }
}
