//! One HTTP request: its facts, the judgement, the entry, the permit, the forwarding. The same for HTTP/1.1 and
//! HTTP/2 on either side, and for the first request on a connection as for the hundredth.

use std::rc::Rc;

use http::header::UPGRADE;
use http::{Response, StatusCode, Version, request, response};

use super::body::{ClientBody, ResponseBody};
use super::connection::Connection;
use super::ended::Ended;
use super::forward::Work;
use super::refusal::{Refusal, Side};
use super::route::Blocked;
use super::snapshot::Snapshot;
use super::{clock, facts, header};
use crate::flow::{Hello, Request};
use crate::verdict::{Denied, Reason, Stage};

/// An answer on its way to the client. Its head is in a box: it is handed on many times before it leaves.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status and fields.
    pub(super) head: Box<response::Parts>,
    /// What stands behind them.
    pub(super) body: ResponseBody,
}

impl Answer {
    /// As hyper takes it.
    pub(super) fn into_response(self) -> Response<ResponseBody> {
        Response::from_parts(*self.head, self.body)
    }
}

/// The exchange was cut: there is no answer, the stream is reset or the connection closed.
#[derive(Debug)]
pub(super) struct Aborted(pub(super) Reason);

/// A request that is answered by this box itself.
#[derive(Debug)]
pub(super) struct Stopped {
    denied: Denied,
    side: Side,
    detail: Option<&'static str>,
}

/// Answers one request.
///
/// # Errors
/// [`Aborted`] where it was cut under way.
pub(super) async fn serve(
    connection: Rc<Connection>,
    head: Box<request::Parts>,
    body: Option<ClientBody>,
) -> Result<Answer, Aborted> {
    let unanswered = Unanswered(Some(Rc::clone(&connection)));
    let answered = answer_to(&connection, head, body).await;
    unanswered.settle();
    answered
}

/// A request that the client may leave before it is answered: on HTTP/2 it resets the stream, and the work for it is
/// dropped where it stands.
struct Unanswered(Option<Rc<Connection>>);

impl Unanswered {
    fn settle(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.count_abandoned();
        }
    }
}

async fn answer_to(
    connection: &Rc<Connection>,
    head: Box<request::Parts>,
    body: Option<ClientBody>,
) -> Result<Answer, Aborted> {
    let began = clock::woken();
    connection.touch();
    let snapshot = connection.worker.snapshot();
    let version = head.version;
    if version == Version::HTTP_2 && head_size(&head) > snapshot.limits().header_size {
        return Ok(refuse(connection, &snapshot, Stopped::too_large(), None, version).await);
    }
    let hello = connection.hello();
    let expected = hello.as_deref().and_then(Hello::host);
    let judged = match facts::request(&head, connection.to_address.port(), expected) {
        Ok(judged) => judged,
        Err(malformed) => {
            let stopped = Stopped::malformed(malformed);
            return Ok(refuse(connection, &snapshot, stopped, None, version).await);
        }
    };
    let work = Work { connection, snapshot: &snapshot, judged: &judged, began };
    let mut answer = match work.forward(head, body).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(stopped)) => {
            return Ok(refuse(connection, &snapshot, stopped, Some(&judged), version).await);
        }
        Err(aborted) => return Err(aborted),
    };
    let response::Parts { status, headers, version: spoken, .. } = answer.head.as_mut();
    let switched = *status == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = headers.get(UPGRADE).filter(|_| switched).cloned();
    header::backward(headers, *spoken, &snapshot.via);
    if let Some(protocol) = protocol {
        header::switch(headers, protocol);
    }
    *spoken = version;
    Ok(answer)
}

/// The size of a head as RFC 9113 §6.5.2 counts it.
fn head_size(parts: &request::Parts) -> usize {
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    let authority = parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    fields.sum::<usize>() + authority + path
}

/// Records a refusal and makes its answer.
async fn refuse(
    connection: &Rc<Connection>,
    snapshot: &Snapshot,
    stopped: Stopped,
    request: Option<&Request>,
    version: Version,
) -> Answer {
    let Stopped { denied, side, detail } = stopped;
    let reason = denied.reason;
    let reference = connection.refuse(snapshot, denied, request, detail).await;
    if connection.opened().is_none() {
        // It was not admitted, and never will be: a new connection is judged anew.
        connection.drain.throw(Reason::Draining);
    }
    let refusal = Refusal { reason, side, reference };
    connection.count_outcome(refusal.status().as_u16());
    let (head, body) = refusal.response(version).into_parts();
    Answer { head: Box::new(head), body: ResponseBody::own(body) }
}

/// Records a refusal that no request was there for and nobody can be answered.
pub(super) async fn turn_away(
    connection: &Connection,
    reason: Reason,
    detail: &'static str,
) -> Ended {
    let snapshot = connection.worker.snapshot();
    let denied = Denied::plain(reason, Stage::Request);
    let _reference = connection.refuse(&snapshot, denied, None, Some(detail)).await;
    Ended::Refused
}

impl Stopped {
    pub(super) const fn malformed(detail: &'static str) -> Self {
        let denied = Denied::plain(Reason::MalformedRequest, Stage::Request);
        Self { denied, side: Side::Client, detail: Some(detail) }
    }

    const fn too_large() -> Self {
        let denied = Denied::plain(Reason::Limit, Stage::Request);
        Self { denied, side: Side::Head, detail: Some("the head is too large") }
    }

    pub(super) const fn denied(denied: Denied) -> Self {
        Self { denied, side: Side::Client, detail: None }
    }

    pub(super) const fn upstream(reason: Reason, stage: Stage) -> Self {
        Self { denied: Denied::plain(reason, stage), side: Side::Upstream, detail: None }
    }
}

impl Stopped {
    /// The status it is answered with.
    pub(super) fn status(&self) -> StatusCode {
        Refusal { reason: self.denied.reason, side: self.side, reference: None }.status()
    }
}

impl From<Blocked> for Stopped {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::Denied(denied) => Self::denied(denied),
            Blocked::Failed(reason, stage) => Self::upstream(reason, stage),
            Blocked::Unwritable => {
                Self::denied(Denied::plain(Reason::LedgerUnwritable, Stage::Request))
            }
        }
    }
}

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.code())
    }
}

impl std::error::Error for Aborted {}
