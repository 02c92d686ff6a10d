//! Live connections judged again: the law, a revocation list or the clock has changed. Decides nothing itself.

use std::rc::Rc;
use std::sync::Arc;

use super::clock;
use super::connection::{Connection, request_facts};
use super::snapshot::Snapshot;
use super::stream::Stream;
use super::worker::Worker;
use crate::flow::{Flow, Paper, Revocation, Timestamp};
use crate::ledger::Body;
use crate::policy::Masked;
use crate::verdict::{Denied, Reason, Stage, Verdict};

/// Judges everything that `worker` carries. Cuts what is no longer allowed and nothing else; gives the
/// number of connections that were cut.
pub(super) fn again(worker: &Worker) -> usize {
    let (now, snapshot) = (clock::now(), worker.snapshot());
    let connections = worker.connections();
    let cut = connections.iter().filter(|connection| is_cut(connection, &snapshot, now)).count();
    worker.pool.judge(|key, dialled_as| {
        let mut flow = dialled_as.clone();
        flow.at = now;
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
    let (now, snapshot) = (clock::now(), worker.snapshot());
    let mut connections = worker.connections();
    connections.retain(|connection| {
        // One that was never admitted is refused with its first request.
        let is_live = connection.opened().is_some() && connection.cut.reason().is_none();
        is_live && connection.presented().is_some_and(|presented| is_over(&presented.paper, now))
    });
    for connection in connections {
        let _recorded = is_cut(&connection, &snapshot, now);
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

fn is_cut(connection: &Rc<Connection>, snapshot: &Snapshot, now: Timestamp) -> bool {
    // One that was never admitted is refused with its first request, whatever the law says now.
    if connection.cut.reason().is_some() || connection.opened().is_none() {
        return false;
    }
    look_at_papers_again(connection, snapshot, now);
    let flow = connection.flow(now);
    let denied = match snapshot.engine.decide(&flow) {
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
        judge_stream(connection, &stream, snapshot, now);
    }
    false
}

/// The same certificate under the trust of today: its chain and its revocation may read otherwise.
fn look_at_papers_again(connection: &Connection, snapshot: &Snapshot, now: Timestamp) {
    let Some(presented) = connection.presented() else { return };
    if let Some(tls) = snapshot.listener(&connection.listener) {
        connection.set_presented(connection.worker.papers.present(
            &presented.chain,
            &tls.clients,
            now,
        ));
    }
}

fn judge_stream(connection: &Rc<Connection>, stream: &Stream, snapshot: &Snapshot, now: Timestamp) {
    let mut flow = connection.flow(now);
    {
        let known = stream.flow.borrow();
        flow.request.clone_from(&known.request);
        flow.endpoint = known.endpoint;
    }
    let verdict = snapshot.engine.decide(&flow);
    stream.flow.replace(flow);
    if let Verdict::Deny(denied) = verdict {
        let reason = denied.reason;
        record(connection, denied, Some(stream));
        stream.cut.throw(reason);
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
