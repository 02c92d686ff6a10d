//! Live connections judged again: the law, a revocation list or the clock has changed. Decides nothing itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::clock;
use super::connection::{Connection, request_facts};
use super::snapshot::Snapshot;
use super::stream::Stream;
use super::upstream::UpstreamPeer;
use super::worker::Worker;
use crate::flow::{Flow, Paper, Peer, Revocation, Timestamp};
use crate::ledger::Body;
use crate::policy::Masked;
use crate::verdict::{Denied, Reason, Stage, Verdict};

/// Judges everything that `worker` carries. Cuts what is no longer allowed and nothing else; gives the
/// number of connections that were cut.
pub(super) fn again(worker: &Worker) -> usize {
    let today = Today::new(worker);
    let connections = worker.connections();
    let cut = connections.iter().filter(|connection| today.is_cut(connection)).count();
    worker.pool.judge(|key, dialled_as, peer| {
        let mut flow = dialled_as.clone();
        flow.at = today.now;
        flow.peer = Some(today.peer(peer));
        let snapshot = &today.snapshot;
        let refused = match snapshot.engine.decide(&flow) {
            // What was wrong with the client that it was dialled for is nothing against the connection.
            Verdict::Deny(denied) => denied.stage >= Stage::Dial,
            Verdict::Allow(_) | Verdict::NotYet(_) => false,
        };
        refused || !snapshot.has_leg(key.endpoint, &key.material)
    });
    cut
}

/// Judges once more what was allowed under `judged_by`, where the law was swapped while an upstream was being
/// reached: what is not registered yet is not seen by [`again`].
pub(super) fn late(
    connection: &Connection,
    judged_by: &Arc<Snapshot>,
    flow: &Flow,
) -> Option<Denied> {
    let snapshot = connection.worker.snapshot();
    if Arc::ptr_eq(&snapshot, judged_by) {
        return None;
    }
    let mut today = connection.flow(clock::now());
    today.request.clone_from(&flow.request);
    today.endpoint = flow.endpoint;
    match snapshot.engine.decide(&today) {
        Verdict::Allow(_) => None,
        Verdict::Deny(denied) => Some(denied),
        Verdict::NotYet(_) => Some(Denied::plain(Reason::Protocol, Stage::Dial)),
    }
}

/// Judges those connections whose certificate, or what is known of its revocation, has come to its end: moments that
/// the law knows nothing of.
pub(super) fn ended(worker: &Worker) {
    let today = Today::new(worker);
    let now = today.now;
    let mut connections = worker.connections();
    connections.retain(|connection| {
        // One that was never admitted is refused with its first request.
        let is_live = connection.opened().is_some() && connection.cut.reason().is_none();
        is_live && connection.presented().is_some_and(|presented| is_over(&presented.paper, now))
    });
    for connection in connections {
        let _recorded = today.is_cut(&connection);
    }
}

fn is_over(paper: &Paper, now: Timestamp) -> bool {
    match paper {
        Paper::Absent => false,
        Paper::Presented(certificate) => {
            let is_due = |until| until <= now;
            now > certificate.not_after
                || matches!(certificate.revocation, Revocation::Good { until } if is_due(until))
        }
    }
}

/// What everything is judged by in one go. An upstream's certificate is verified once, however many connections it has.
struct Today {
    snapshot: Arc<Snapshot>,
    now: Timestamp,
    peers: RefCell<Vec<(Arc<UpstreamPeer>, Peer)>>,
}

impl Today {
    fn new(worker: &Worker) -> Self {
        Self { snapshot: worker.snapshot(), now: clock::now(), peers: RefCell::default() }
    }

    /// What an upstream is under the trust of today.
    fn peer(&self, peer: &Arc<UpstreamPeer>) -> Peer {
        let mut peers = self.peers.borrow_mut();
        if let Some((_, known)) = peers.iter().find(|(same, _)| same == peer) {
            return known.clone();
        }
        let known = self.snapshot.peer(peer, self.now);
        peers.push((Arc::clone(peer), known.clone()));
        known
    }

    fn is_cut(&self, connection: &Rc<Connection>) -> bool {
        // One that was never admitted is refused with its first request, whatever the law says now.
        if connection.cut.reason().is_some() || connection.opened().is_none() {
            return false;
        }
        self.look_at_papers_again(connection);
        let mut flow = connection.flow(self.now);
        flow.peer = connection.relayed_peer().map(|peer| self.peer(peer));
        let denied = match self.snapshot.engine.decide(&flow) {
            Verdict::Deny(denied) => Some(denied),
            // A relay has no request that could still decide it: its rule speaks `https` now.
            Verdict::NotYet(_) if flow.endpoint.is_some() => {
                Some(Denied::plain(Reason::Protocol, Stage::Dial))
            }
            Verdict::NotYet(_) | Verdict::Allow(_) => None,
        };
        if let Some(denied) = denied {
            let reason = denied.reason;
            record(connection, denied, None);
            connection.cut(reason);
            return true;
        }
        let streams: Vec<Rc<Stream>> = connection.streams.borrow().clone();
        for stream in streams {
            self.judge_stream(connection, &stream);
        }
        false
    }

    /// The same certificate under the trust of today: its chain and its revocation may read otherwise.
    fn look_at_papers_again(&self, connection: &Connection) {
        let Some(presented) = connection.presented() else { return };
        if let Some(tls) = self.snapshot.listener(&connection.listener) {
            let papers = &connection.worker.papers;
            connection.set_presented(papers.present(&presented.chain, &tls.clients, self.now));
        }
    }

    fn judge_stream(&self, connection: &Rc<Connection>, stream: &Stream) {
        let mut flow = connection.flow(self.now);
        {
            let known = stream.flow.borrow();
            flow.request.clone_from(&known.request);
            flow.endpoint = known.endpoint;
        }
        flow.peer = stream.peer.as_ref().map(|peer| self.peer(peer));
        let verdict = self.snapshot.engine.decide(&flow);
        stream.flow.replace(flow);
        if let Verdict::Deny(denied) = verdict {
            let reason = denied.reason;
            record(connection, denied, Some(stream));
            stream.cut.throw(reason);
        }
    }
}

fn record(connection: &Rc<Connection>, denied: Denied, stream: Option<&Stream>) {
    let worker = &connection.worker;
    worker.shared.metrics.denied(denied.reason, denied.stage);
    let snapshot = worker.snapshot();
    let hello = connection.hello();
    let flow = stream.map(|stream| stream.flow.borrow());
    let request = flow.as_ref().and_then(|flow| flow.request.as_ref());
    let is_opened = connection.opened().is_some();
    connection.note(Body::Refused {
        client: (!is_opened).then(|| connection.client_facts(&snapshot)),
        request: request.map(|request| request_facts(&snapshot, hello.as_deref(), request)),
        endpoint: flow.as_ref().and_then(|flow| flow.endpoint),
        verdict: Verdict::Deny(denied),
        detail: Some(Masked::own("it was live when the law changed")),
    });
}
