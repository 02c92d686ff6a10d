//! From an admitted flow to an upstream connection: every candidate address is judged, then dialled or taken
//! from the pool. Failover goes along judged endpoints only.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::permit::DialPermit;
use super::pool::{Checkout, Dialling, Key};
use super::slot::Slot;
use super::snapshot::{Snapshot, UpstreamLeg};
use super::upstream::{self, Bound, Dialled, UpstreamError};
use super::{clock, judge};
use crate::flow::{Flow, Peer};
use crate::ledger::Body;
use crate::metrics::Leg;
use crate::policy::Masked;
use crate::verdict::{Allowed, Denied, Reason, Stage, Verdict};

/// Dials of one endpoint from ports that turn out to be taken for it, before the line counts as full.
const PORTS_TRIED: usize = 8;

/// Why there is no upstream connection.
#[derive(Debug)]
pub(super) enum Blocked {
    /// The law says no, or a bound of this box does.
    Denied(Denied),
    /// The law says yes, but it did not work out.
    Failed(Reason, Stage),
    /// The ledger cannot be written.
    Unwritable,
}

/// What the allowed endpoint is reached by.
pub(super) trait Reach {
    /// The connection in the form that the protocol uses.
    type Reached;

    /// Reaches the judged endpoint of `flow`.
    async fn reach(&self, dial: Dial<'_>) -> Result<Self::Reached, Blocked>;
}

/// Everything a dial needs; made only for an allowed flow.
#[derive(Debug)]
pub(super) struct Dial<'a> {
    connection: &'a Rc<Connection>,
    snapshot: &'a Arc<Snapshot>,
    leg: &'a Arc<UpstreamLeg>,
    flow: &'a Flow,
    allowed: &'a Allowed,
}

/// `https`: through the pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pooled;

/// A switch of protocols: an HTTP/1.1 connection that nobody used before and nobody uses after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switching;

/// `tls`: a connection of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh;

/// Finds the first endpoint that the law allows and that can be reached. `flow` is left with that endpoint.
///
/// # Errors
/// [`Blocked`]; where the law bars an endpoint while the permitted ones are dead, with its reason.
pub(super) async fn route<R: Reach>(
    connection: &Rc<Connection>,
    snapshot: &Arc<Snapshot>,
    flow: &mut Flow,
    reach: &R,
) -> Result<(R::Reached, Allowed), Blocked> {
    let Some(leg) = destination(snapshot, flow) else { return Err(nowhere(snapshot, flow)) };
    let leg = Arc::clone(leg);
    let mut blocked = None;
    for endpoint in preferred(connection, &leg).iter().copied() {
        flow.endpoint = Some(endpoint);
        match snapshot.engine.decide(flow) {
            Verdict::Allow(allowed) => {
                let dial = Dial { connection, snapshot, leg: &leg, flow, allowed: &allowed };
                match reach.reach(dial).await {
                    Ok(reached) => return Ok((reached, allowed)),
                    Err(Blocked::Failed(Reason::UpstreamUnreachable, stage)) => {
                        blocked.get_or_insert(Blocked::Failed(Reason::UpstreamUnreachable, stage));
                    }
                    Err(other) => return Err(other),
                }
            }
            Verdict::Deny(denied) if denied.stage < Stage::Dial => {
                return Err(Blocked::Denied(denied));
            }
            // The law's own word weighs more than a dead endpoint, whichever came first.
            Verdict::Deny(denied) => match blocked {
                Some(Blocked::Denied(_)) => {}
                Some(Blocked::Failed(..) | Blocked::Unwritable) | None => {
                    blocked = Some(Blocked::Denied(denied));
                }
            },
            Verdict::NotYet(_) => {
                return Err(Blocked::Denied(Denied::plain(Reason::NoRule, Stage::Dial)));
            }
        }
    }
    flow.endpoint = None;
    Err(blocked.unwrap_or(Blocked::Failed(Reason::UpstreamUnreachable, Stage::Dial)))
}

fn destination<'a>(snapshot: &'a Snapshot, flow: &Flow) -> Option<&'a Arc<UpstreamLeg>> {
    snapshot.upstream(flow.hello.as_ref()?.host()?)
}

/// There is nowhere to go: the law says why.
fn nowhere(snapshot: &Snapshot, flow: &Flow) -> Blocked {
    Blocked::Denied(match snapshot.engine.decide(flow) {
        Verdict::Deny(denied) => denied,
        Verdict::Allow(_) | Verdict::NotYet(_) => {
            Denied::plain(Reason::UnknownDestination, Stage::Hello)
        }
    })
}

/// The endpoints in the law's order, those that were dead a moment ago behind the others.
fn preferred<'a>(connection: &Connection, leg: &'a UpstreamLeg) -> Cow<'a, [SocketAddr]> {
    let pool = &connection.worker.pool;
    let mut endpoints = Cow::from(&leg.endpoints);
    if endpoints.iter().any(|endpoint| pool.is_shunned(*endpoint)) {
        endpoints.to_mut().sort_by_key(|endpoint| pool.is_shunned(*endpoint));
    }
    endpoints
}

impl Reach for Pooled {
    type Reached = Checkout;

    async fn reach(&self, dial: Dial<'_>) -> Result<Checkout, Blocked> {
        let worker = &dial.connection.worker;
        let key = dial.key();
        let deadline = clock::woken() + dial.snapshot.limits().connect_timeout;
        loop {
            if let Some(checkout) = worker.pool.take(key) {
                return Ok(checkout);
            }
            let Some(dialling) = worker.pool.begin_dial(key) else {
                let arrived = timeout_at(deadline, worker.pool.arrival(key)).await.is_ok();
                // The dial that was waited for has failed, or is failing: the next endpoint, not a refusal.
                if !arrived || worker.pool.is_shunned(key.endpoint) {
                    return Err(Blocked::Failed(Reason::UpstreamUnreachable, Stage::Dial));
                }
                continue;
            };
            if let Some(slot) = dial.slot() {
                return Box::pin(dial.pooled(slot, dialling)).await;
            }
            drop(dialling);
            dial.wait_for_place(deadline).await?;
        }
    }
}

impl Reach for Fresh {
    type Reached = (Dialled, Slot);

    async fn reach(&self, dial: Dial<'_>) -> Result<(Dialled, Slot), Blocked> {
        let deadline = clock::woken() + dial.snapshot.limits().connect_timeout;
        loop {
            if let Some(slot) = dial.slot() {
                return Ok((Box::pin(dial.dial(&dial.leg.plain)).await?, slot));
            }
            dial.wait_for_place(deadline).await?;
        }
    }
}

impl Reach for Switching {
    type Reached = Checkout;

    async fn reach(&self, dial: Dial<'_>) -> Result<Checkout, Blocked> {
        let deadline = clock::woken() + dial.snapshot.limits().connect_timeout;
        loop {
            if let Some(slot) = dial.slot() {
                let dialled = Box::pin(dial.dial(&dial.leg.http1)).await?;
                let pool = &dial.connection.worker.pool;
                return Ok(pool.lend_once(dial.key(), dialled, slot, dial.flow.clone()));
            }
            dial.wait_for_place(deadline).await?;
        }
    }
}

/// All places are taken.
const fn full() -> Blocked {
    Blocked::Denied(Denied::plain(Reason::Limit, Stage::Dial))
}

impl Dial<'_> {
    fn key(&self) -> Key {
        Key { endpoint: self.allowed.endpoint, material: self.leg.material }
    }

    fn slot(&self) -> Option<Slot> {
        let slots = &self.connection.worker.shared.slots;
        slots.take(&self.leg.system, self.allowed.endpoint, self.leg.connections)
    }

    async fn wait_for_place(&self, deadline: Instant) -> Result<(), Blocked> {
        let worker = &self.connection.worker;
        let queued = worker.shared.slots.queue(self.allowed.endpoint);
        worker.shared.ask_for_place();
        tokio::select! {
            () = queued.freed() => Ok(()),
            () = worker.pool.arrival(self.key()) => Ok(()),
            () = tokio::time::sleep_until(deadline) => Err(full()),
        }
    }

    async fn pooled(&self, slot: Slot, dialling: Dialling) -> Result<Checkout, Blocked> {
        let dialled = self.dial(&self.leg.https).await?;
        let pool = &self.connection.worker.pool;
        let adopted = pool.adopt(self.key(), dialled, slot, self.flow.clone()).await;
        drop(dialling);
        adopted.map_err(|_broken| Blocked::Failed(Reason::UpstreamFailed, Stage::Peer))
    }

    /// Dials from one local port after the other until it has one that is free for this endpoint.
    async fn dial(&self, config: &Arc<ClientConfig>) -> Result<Dialled, Blocked> {
        for tried in 0..PORTS_TRIED {
            // Where the usual ones are taken again and again, those that are left to others are needed.
            let spare = tried >= PORTS_TRIED / 2;
            if let Some(dialled) = self.dial_from_next(config, spare).await? {
                return Ok(dialled);
            }
        }
        Err(self.failed(&UpstreamError::Line(io::ErrorKind::AddrInUse.into())))
    }

    /// Bind, record, claim, dial, verify: in this order and in no other. `None` where the local port was taken.
    async fn dial_from_next(
        &self,
        config: &Arc<ClientConfig>,
        spare: bool,
    ) -> Result<Option<Dialled>, Blocked> {
        let bound = self.bind(spare).map_err(|error| self.failed(&error))?;
        let permit = self.permit(&bound).await?;
        if let Some(denied) = judge::late(self.connection, self.snapshot, self.flow) {
            return Err(Blocked::Denied(denied));
        }
        let patience = self.snapshot.limits().connect_timeout;
        match upstream::open(permit, bound, self.leg, config, patience).await {
            Ok(dialled) => {
                self.reached(&dialled);
                self.check_peer(dialled).map(Some)
            }
            Err(taken @ UpstreamError::Port) => {
                // In its place: before the entry of the next dial.
                let failure = self.failure(&taken, Stage::Dial);
                let failure = self.connection.entry(self.snapshot, failure);
                let kept = self.connection.worker.shared.ledger.append(&failure).await;
                kept.map(|_receipt| None).map_err(|_refused| Blocked::Unwritable)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn bind(&self, spare: bool) -> Result<Bound, UpstreamError> {
        let keepalive = self.snapshot.limits().tcp_keepalive;
        let shared = &self.connection.worker.shared;
        let from = (&self.leg.line, &shared.ports, spare);
        let bound = Bound::new(from, self.allowed.endpoint, keepalive);
        shared.metrics.line(&self.leg.line_name, bound.is_ok());
        bound.map_err(UpstreamError::Line)
    }

    async fn permit(&self, bound: &Bound) -> Result<DialPermit, Blocked> {
        let body = Body::Dialled {
            system: self.leg.system.clone(),
            endpoint: self.allowed.endpoint,
            local: bound.local(),
            site: self.snapshot.engine.site_of(self.allowed.endpoint).cloned(),
            verdict: Verdict::Allow(self.allowed.clone()),
        };
        let opened = self.connection.opened().ok_or(Blocked::Unwritable)?;
        let ledger = &self.connection.worker.shared.ledger;
        let queued = ledger.append(&self.connection.entry(self.snapshot, body)).await;
        let receipt = queued.map_err(|_refused| Blocked::Unwritable)?;
        let synced = ledger.sync(receipt).await;
        let receipt = synced.map_err(|_refused| Blocked::Unwritable)?;
        DialPermit::claim(receipt, opened).map_err(|_ours| Blocked::Unwritable)
    }

    fn reached(&self, dialled: &Dialled) {
        let worker = &self.connection.worker;
        worker.pool.trust_again(self.allowed.endpoint);
        if let Some(site) = self.snapshot.engine.site_of(self.allowed.endpoint) {
            let round_trip = Some(dialled.round_trip);
            worker.shared.metrics.dialled(
                &self.leg.system,
                self.allowed.endpoint,
                site,
                round_trip,
            );
        }
    }

    /// The upstream's identity is one more fact; the law has the last word on it.
    fn check_peer(&self, dialled: Dialled) -> Result<Dialled, Blocked> {
        let mut flow = self.flow.clone();
        flow.peer = Some(Peer::Verified(dialled.peer.identities.clone()));
        match self.snapshot.engine.decide(&flow) {
            Verdict::Allow(_) => Ok(dialled),
            Verdict::Deny(denied) => {
                let error =
                    UpstreamError::Handshake(denied.reason, "not an identity of the system");
                Err(self.failed(&error))
            }
            Verdict::NotYet(_) => Err(Blocked::Failed(Reason::UpstreamIdentity, Stage::Peer)),
        }
    }

    fn failed(&self, error: &UpstreamError) -> Blocked {
        let worker = &self.connection.worker;
        let endpoint = self.allowed.endpoint;
        let stage = match error {
            UpstreamError::Line(_)
            | UpstreamError::Port
            | UpstreamError::Unreachable(_)
            | UpstreamError::TimedOut => Stage::Dial,
            UpstreamError::Handshake(reason, _) => {
                worker.shared.metrics.handshake_failed(Leg::Upstream, *reason);
                Stage::Peer
            }
        };
        if let Some(site) = self.snapshot.engine.site_of(endpoint) {
            worker.shared.metrics.dialled(&self.leg.system, endpoint, site, None);
        }
        // To go around a stranger from the next request on would be a failover all the same.
        if error.permits_failover() {
            worker.pool.shun(endpoint);
        }
        self.connection.note(self.failure(error, stage));
        let reason =
            if error.permits_failover() { Reason::UpstreamUnreachable } else { error.reason() };
        Blocked::Failed(reason, stage)
    }

    /// The entry that every dial has that came to nothing.
    fn failure(&self, error: &UpstreamError, stage: Stage) -> Body {
        Body::Failed {
            reason: error.reason(),
            stage,
            rule: Some(self.allowed.rule.clone()),
            endpoint: Some(self.allowed.endpoint),
            detail: Some(Masked::own(error.detail())),
        }
    }
}
