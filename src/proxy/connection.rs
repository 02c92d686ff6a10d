//! One client connection: the facts known so far, what it has carried, and how it is recorded.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;

use super::accept::{Admission, Arrival};
use super::clock;
use super::cut::Cut;
use super::ended::Ended;
pub(super) use super::facts::request_facts;
use super::header::Way;
use super::paper::Presented;
use super::patience::Patience;
use super::permit::Opened;
use super::snapshot::Snapshot;
use super::stream::Stream;
use super::switch::Switched;
use super::upstream::UpstreamPeer;
use super::worker::Worker;
use crate::flow::{Flow, Hello, Host, Name, Paper, Request, ServerName, Timestamp};
use crate::ledger::{Body, ClientFacts, ConnectionId, Entry};
use crate::metrics::{Outcome, RuleMetrics};
use crate::policy::Masked;
use crate::verdict::{Denied, Reason, Verdict};

/// One client connection, from its arrival at a worker to its last byte.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its number in this boot.
    pub(super) id: ConnectionId,
    /// Where it comes from.
    pub(super) source: SocketAddr,
    /// Where it was opened to.
    pub(super) to_address: SocketAddr,
    /// The listener that took it.
    pub(super) listener: Name,
    /// The worker that carries it.
    pub(super) worker: Rc<Worker>,
    /// Ends the whole connection.
    pub(super) cut: Cut,
    /// Asks it to end after what is in flight.
    pub(super) drain: Cut,
    /// The exchanges in flight.
    pub(super) streams: RefCell<Vec<Rc<Stream>>>,
    facts: RefCell<Facts>,
    opened: OnceCell<Opened>,
    rule: OnceCell<(Name, Arc<RuleMetrics>)>,
    switched: RefCell<Option<Switched>>,
    relayed_to: OnceCell<(SocketAddr, Arc<UpstreamPeer>)>,
    way: RefCell<Option<Rc<Way>>>,
    patience: RefCell<Option<Patience>>,
    began: Instant,
    to_upstream: Cell<u64>,
    to_client: Cell<u64>,
    outcomes: RefCell<BTreeMap<u16, u64>>,
    abandoned: Cell<u64>,
    touched: Cell<Instant>,
    was_denied: Cell<bool>,
    _admission: Admission,
}

/// What the handshake showed.
#[derive(Debug, Default)]
struct Facts {
    hello: Option<Arc<Hello>>,
    presented: Option<Arc<Presented>>,
}

impl Connection {
    pub(super) fn new(worker: &Rc<Worker>, arrival: Arrival) -> (Rc<Self>, std::net::TcpStream) {
        let connection = Self {
            id: worker.shared.ledger.next_connection(),
            source: arrival.source,
            to_address: arrival.to_address,
            listener: arrival.listener,
            worker: Rc::clone(worker),
            cut: Cut::default(),
            drain: Cut::default(),
            streams: RefCell::default(),
            facts: RefCell::default(),
            opened: OnceCell::new(),
            rule: OnceCell::new(),
            switched: RefCell::default(),
            relayed_to: OnceCell::new(),
            way: RefCell::default(),
            patience: RefCell::default(),
            began: clock::woken(),
            to_upstream: Cell::new(0),
            to_client: Cell::new(0),
            outcomes: RefCell::default(),
            abandoned: Cell::new(0),
            touched: Cell::new(clock::woken()),
            was_denied: Cell::new(false),
            _admission: arrival.admission,
        };
        (Rc::new(connection), arrival.stream)
    }

    /// The facts of the connection as a flow at `now`.
    pub(super) fn flow(&self, now: Timestamp) -> Flow {
        let facts = self.facts.borrow();
        let mut flow =
            Flow::arrival(now, self.source.ip(), self.to_address, Some(self.listener.clone()));
        flow.hello.clone_from(&facts.hello);
        flow.paper = facts.presented.as_ref().map(|presented| Arc::clone(&presented.paper));
        flow.endpoint = self.relayed_to.get().map(|(endpoint, _)| *endpoint);
        flow
    }

    pub(super) fn set_hello(&self, hello: Hello) {
        self.facts.borrow_mut().hello = Some(Arc::new(hello));
    }

    pub(super) fn set_presented(&self, presented: Arc<Presented>) {
        self.facts.borrow_mut().presented = Some(presented);
    }

    pub(super) fn presented(&self) -> Option<Arc<Presented>> {
        self.facts.borrow().presented.clone()
    }

    pub(super) fn hello(&self) -> Option<Arc<Hello>> {
        self.facts.borrow().hello.clone()
    }

    /// The answer under way is its last: then it is a relay to what the request switched to.
    pub(super) fn switch_to(&self, switched: Switched) {
        self.switched.replace(Some(switched));
    }

    /// What it switches to, taken once.
    pub(super) fn take_switched(&self) -> Option<Switched> {
        self.switched.take()
    }

    /// What upstreams are told of it as requests to `host` come; the same for one after the other.
    pub(super) fn way(&self, host: &Host) -> Option<Rc<Way>> {
        let mut way = self.way.borrow_mut();
        if way.as_ref().is_none_or(|known| known.host != *host) {
            *way = Way::new(self.source.ip(), host.clone()).map(Rc::new);
        }
        way.clone()
    }

    /// A timer for the wait for an answer: the one of the wait before, where no other exchange has it.
    pub(super) fn patience(&self, limit: Duration) -> Patience {
        self.patience.take().map_or_else(|| Patience::new(limit), |known| known.renewed(limit))
    }

    /// The wait is over, another may follow.
    pub(super) fn keep_patience(&self, patience: Patience) {
        self.patience.replace(Some(patience));
    }

    /// No wait follows soon: the timer is given up.
    pub(super) fn drop_patience(&self) {
        self.patience.take();
    }

    /// From now on it is a relay to this judged address.
    pub(super) fn relay_to(&self, endpoint: SocketAddr, peer: &Arc<UpstreamPeer>) {
        let _first = self.relayed_to.set((endpoint, Arc::clone(peer)));
    }

    /// Who is at the other end of a relay.
    pub(super) fn relayed_peer(&self) -> Option<&Arc<UpstreamPeer>> {
        self.relayed_to.get().map(|(_, peer)| peer)
    }

    /// Keeps the proof that its *opened* entry is on disk.
    pub(super) fn set_opened(&self, opened: Opened) {
        let _first = self.opened.set(opened);
    }

    /// The proof that its *opened* entry is on disk.
    pub(super) fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// The first rule it passed by is the one it is counted under.
    pub(super) fn passes_by(&self, rule: &Name, system: &Name) -> &(Name, Arc<RuleMetrics>) {
        self.rule.get_or_init(|| {
            let metrics = self.worker.rule(rule, system);
            metrics.opened(clock::now().as_seconds_f64());
            (rule.clone(), metrics)
        })
    }

    /// The rule it is counted under.
    pub(super) fn rule(&self) -> Option<&Name> {
        self.rule.get().map(|(rule, _)| rule)
    }

    pub(super) fn count_to_client(&self, bytes: u64) {
        self.to_client.set(self.to_client.get() + bytes);
    }

    pub(super) fn count_to_upstream(&self, bytes: u64) {
        self.to_upstream.set(self.to_upstream.get() + bytes);
    }

    pub(super) fn count_outcome(&self, code: u16) {
        *self.outcomes.borrow_mut().entry(code).or_insert(0) += 1;
    }

    /// The client left an exchange unfinished. On HTTP/2 that is cheap for it and dear for us
    /// (CVE-2023-44487): more than a few, and more than it finishes, end the connection.
    pub(super) fn count_abandoned(&self) {
        let abandoned = self.abandoned.get() + 1;
        self.abandoned.set(abandoned);
        if abandoned > 100 && abandoned > self.answered() / 2 {
            self.cut(Reason::Limit);
        }
    }

    /// Exchanges that had an answer.
    pub(super) fn answered(&self) -> u64 {
        self.outcomes.borrow().values().sum()
    }

    /// Plaintext bytes of answers so far.
    pub(super) fn bytes_to_client(&self) -> u64 {
        self.to_client.get()
    }

    /// Ends it and everything on it.
    pub(super) fn cut(&self, reason: Reason) {
        self.cut.throw(reason);
        for stream in self.streams.borrow().iter() {
            stream.cut.throw(reason);
        }
    }

    /// Something was asked or answered on it.
    pub(super) fn touch(&self) {
        self.touched.set(clock::woken());
    }

    /// Since when nothing was asked or answered; `None` while an exchange is in flight.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (!self.is_busy()).then(|| self.touched.get())
    }

    /// Whether something was refused on it.
    pub(super) fn was_denied(&self) -> bool {
        self.was_denied.get()
    }

    /// Whether an exchange is in flight.
    pub(super) fn is_busy(&self) -> bool {
        !self.streams.borrow().is_empty()
    }

    /// Puts an entry into the ledger that nobody waits for.
    pub(super) fn note(&self, body: Body) {
        let ledger = self.worker.shared.ledger.clone();
        let entry = self.entry(&self.worker.snapshot(), body);
        let noting = self.worker.begin_note();
        drop(spawn_local(async move {
            // An unwritable ledger counts what it loses and refuses what comes next.
            let _kept = ledger.append(&entry).await;
            drop(noting);
        }));
    }

    /// An entry of this connection, as of now.
    pub(super) fn entry(&self, snapshot: &Snapshot, body: Body) -> Entry {
        Entry { at: clock::now(), policy: snapshot.digest, connection: Some(self.id), body }
    }

    /// Records and counts a refusal; gives the reference to show, where it got an entry of its own.
    pub(super) async fn refuse(
        &self,
        snapshot: &Snapshot,
        denied: Denied,
        request: Option<&Request>,
        detail: Option<&'static str>,
    ) -> Option<String> {
        // What an upstream could not do is a failure, not a denial.
        self.was_denied.set(self.was_denied.get() || !is_upstreams(denied.reason));
        self.worker.shared.metrics.denied(denied.reason, denied.stage);
        let is_opened = self.opened.get().is_some();
        let body = Body::Refused {
            client: (!is_opened).then(|| self.client_facts(snapshot)),
            request: request
                .map(|request| request_facts(snapshot, self.hello().as_deref(), request)),
            endpoint: None,
            verdict: Verdict::Deny(denied),
            detail: detail.map(Masked::own),
        };
        let entry = self.entry(snapshot, body);
        let ledger = &self.worker.shared.ledger;
        let receipt = if is_opened {
            ledger.append(&entry).await.ok()
        } else {
            ledger.append_limited(self.source.ip(), &entry).await.ok().flatten()
        };
        receipt.map(|receipt| receipt.reference())
    }

    /// What the ledger says of the client.
    pub(super) fn client_facts(&self, snapshot: &Snapshot) -> Box<ClientFacts> {
        let facts = self.facts.borrow();
        let engine = &snapshot.engine;
        let certificate =
            facts.presented.as_ref().map(|presented| match presented.paper.as_ref() {
                Paper::Absent => (Vec::new(), None),
                Paper::Presented(certificate) => {
                    let names = certificate
                        .identities
                        .iter()
                        .map(|identity| engine.mask_identity(identity));
                    (names.collect(), Some(certificate.not_after))
                }
            });
        let (identities, not_after) =
            certificate.map_or((None, None), |(names, end)| (Some(names), end));
        Box::new(ClientFacts {
            source: self.source,
            to_address: self.to_address,
            listener: self.listener.clone(),
            system: engine.system_of(self.source.ip()).cloned(),
            server_name: facts.hello.as_ref().and_then(|hello| match &hello.server_name {
                ServerName::Name(host) => Some(engine.mask_host(host.as_str())),
                ServerName::Missing | ServerName::Unusable => None,
            }),
            tls: facts.hello.as_ref().map(|hello| hello.version),
            identities,
            not_after,
        })
    }

    /// Records how it ended, where it was opened at all.
    pub(super) async fn close(&self, ended: Ended) {
        let ended = self.cut.reason().map_or(ended, Ended::Cut);
        if let Ended::Cut(reason) = ended {
            self.worker.shared.metrics.connection_cut(reason);
        }
        let denied = self.was_denied.get() && ended.outcome() == Outcome::Completed;
        if let Some((_, metrics)) = self.rule.get() {
            metrics.closed(if denied { Outcome::Denied } else { ended.outcome() });
        }
        if self.opened.get().is_none() {
            return;
        }
        // The streams of an HTTP/2 connection end a moment after it, and are counted.
        for _turn in 0..64 {
            if self.is_busy() {
                tokio::task::yield_now().await;
            }
        }
        let body = Body::Closed {
            to_upstream: self.to_upstream.get(),
            to_client: self.to_client.get(),
            duration: self.age(),
            how: Masked::own(ended.text()),
            outcomes: self.outcomes.take(),
        };
        let snapshot = self.worker.snapshot();
        let _kept = self.worker.shared.ledger.append(&self.entry(&snapshot, body)).await;
    }

    /// How long it has been there.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Whether the upstream is to blame.
const fn is_upstreams(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UpstreamUnreachable | Reason::UpstreamIdentity | Reason::UpstreamFailed
    )
}
