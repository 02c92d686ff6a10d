//! One HTTP request: its facts, the judgement, the entry, the permit, the forwarding. The same for HTTP/1.1 and
//! HTTP/2 on either side, and for the first request on a connection as for the hundredth.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{Method as HttpMethod, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::{Patience, RequestBody, ResponseBody};
use super::connection::{Connection, Upward, request_facts};
use super::exchange::Exchange;
use super::permit::RequestPermit;
use super::pool::{Checkout, SendError};
use super::refusal::Refusal;
use super::route::{Blocked, Pooled, route};
use super::snapshot::Snapshot;
use super::stream::{Registered, Stream};
use super::wire::Answer;
use super::{clock, facts, header};
use crate::flow::{Flow, Request};
use crate::ledger::Body;
use crate::metrics::RuleMetrics;
use crate::policy::Masked;
use crate::verdict::{Allowed, Denied, Reason, Stage, Verdict};

/// The exchange was cut: there is no answer, the stream is reset or the connection closed.
#[derive(Debug)]
pub(super) struct Aborted(pub(super) Reason);

/// What comes of one attempt to forward.
enum Attempt {
    Answered(http::Response<ResponseBody>),
    /// The pooled connection died before it took or answered anything: once more, on another one.
    Again(Parts, Option<Incoming>),
}

/// A request that is answered by this box itself.
#[derive(Debug)]
struct Stopped {
    denied: Denied,
    status: u16,
    detail: Option<&'static str>,
}

/// Answers one request.
///
/// # Errors
/// [`Aborted`] where it was cut under way.
pub(super) async fn serve(
    connection: Rc<Connection>,
    answer: Option<Answer>,
    request: http::Request<Incoming>,
) -> Result<http::Response<ResponseBody>, Aborted> {
    let began = Instant::now();
    connection.touch();
    let snapshot = connection.worker.snapshot();
    let is_http1 = answer.is_some();
    let (parts, body) = request.into_parts();
    let judged = match facts::request(&parts, connection.to_address.port()) {
        Ok(judged) => judged,
        Err(malformed) => {
            let stopped = Stopped::malformed(malformed);
            return Ok(refuse(&connection, &snapshot, stopped, None, answer).await);
        }
    };
    let has_body = !body.is_end_stream();
    let work = Work { connection: &connection, snapshot: &snapshot, judged: &judged, began };
    let mut response = match work.forward(parts, has_body.then_some(body)).await {
        Ok(Ok(response)) => response,
        Ok(Err(stopped)) => return Ok(refuse(&connection, &snapshot, stopped, Some(&judged), answer).await),
        Err(aborted) => return Err(aborted),
    };
    header::response(&mut response, snapshot.appliance.name.as_str(), is_http1);
    response.body_mut().keep(answer);
    Ok(response)
}

/// Records a refusal and makes its answer.
async fn refuse(
    connection: &Rc<Connection>,
    snapshot: &Snapshot,
    stopped: Stopped,
    request: Option<&Request>,
    answer: Option<Answer>,
) -> http::Response<ResponseBody> {
    let Stopped { denied, status, detail } = stopped;
    let reason = denied.reason;
    let reference = connection.refuse(snapshot, denied, request, detail).await;
    connection.count_outcome(status);
    let refusal = Refusal { reason, status, reference };
    let mut response = refusal.response(answer.is_some()).map(ResponseBody::own);
    response.body_mut().keep(answer);
    response
}

impl Stopped {
    const fn malformed(detail: &'static str) -> Self {
        let denied = Denied::plain(Reason::MalformedRequest, Stage::Request);
        Self { status: denied.reason.status(), denied, detail: Some(detail) }
    }

    const fn denied(denied: Denied) -> Self {
        Self { status: denied.reason.status(), denied, detail: None }
    }

    const fn upstream(reason: Reason, stage: Stage) -> Self {
        Self { status: reason.upstream_status(), denied: Denied::plain(reason, stage), detail: None }
    }
}

impl From<Blocked> for Stopped {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::Denied(denied) => Self::denied(denied),
            Blocked::Failed(reason, stage) => Self::upstream(reason, stage),
            Blocked::Unwritable => Self::denied(Denied::plain(Reason::LedgerUnwritable, Stage::Request)),
        }
    }
}

/// One request on its way.
struct Work<'a> {
    connection: &'a Rc<Connection>,
    snapshot: &'a Arc<Snapshot>,
    judged: &'a Request,
    began: Instant,
}

type Forwarded = Result<Result<http::Response<ResponseBody>, Stopped>, Aborted>;

impl Work<'_> {
    /// Forwards it; once more where that is safe.
    async fn forward(&self, parts: Parts, body: Option<Incoming>) -> Forwarded {
        let mut next = (parts, body);
        for is_last in [false, true] {
            match self.attempt(next.0, next.1, is_last).await? {
                Ok(Attempt::Answered(response)) => return Ok(Ok(response)),
                Ok(Attempt::Again(parts, body)) => next = (parts, body),
                Err(stopped) => return Ok(Err(stopped)),
            }
        }
        Ok(Err(Stopped::upstream(Reason::UpstreamFailed, Stage::Peer)))
    }

    async fn attempt(
        &self,
        parts: Parts,
        body: Option<Incoming>,
        is_last: bool,
    ) -> Result<Result<Attempt, Stopped>, Aborted> {
        let mut flow = self.flow();
        let (mut checkout, allowed) = match route(self.connection, self.snapshot, &mut flow, &Pooled).await {
            Ok(routed) => routed,
            Err(blocked) => return Ok(Err(blocked.into())),
        };
        let metrics = self.count(&allowed);
        let permit = match self.permit(&allowed).await {
            Ok(permit) => permit,
            Err(blocked) => {
                checkout.give_back();
                return Ok(Err(blocked.into()));
            }
        };
        let registered = Registered::new(self.connection, flow);
        let spare = may_repeat(&parts, body.is_none(), &checkout, is_last).then(|| parts.clone());
        let outgoing = self.outgoing(parts, body, registered.stream(), &metrics, checkout.is_http2());
        let sent = self.send(&mut checkout, permit, outgoing, registered.stream(), &allowed).await;
        let response = match sent {
            Sent::Head(response) => response,
            Sent::Failed(error) => return Ok(self.failed(*error, spare, is_last, registered.stream(), &allowed)),
            Sent::Stopped(reason) => return self.cut_under_way(reason).map(Err),
        };
        let (head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Err(Stopped::upstream(Reason::UpstreamFailed, Stage::Peer)));
        }
        let limit = self.snapshot.response_timeout(&allowed.rule);
        let exchange = Exchange::new(registered, checkout, (allowed.rule, metrics), head.status.as_u16(), self.began);
        let body = ResponseBody::relayed(incoming, exchange, limit);
        Ok(Ok(Attempt::Answered(http::Response::from_parts(head, body))))
    }

    fn flow(&self) -> Flow {
        let mut flow = self.connection.flow(clock::now());
        flow.request = Some(self.judged.clone());
        flow
    }

    fn count(&self, allowed: &Allowed) -> Arc<RuleMetrics> {
        let (rule, metrics) = self.connection.passes_by(&allowed.rule, &allowed.system);
        let metrics = if *rule == allowed.rule {
            Arc::clone(metrics)
        } else {
            self.connection.worker.rule(&allowed.rule, &allowed.system)
        };
        metrics.matched(clock::now().as_seconds_f64());
        metrics
    }

    /// The entry first, the permit from its receipt.
    async fn permit(&self, allowed: &Allowed) -> Result<RequestPermit, Blocked> {
        let body = Body::Request {
            facts: request_facts(self.snapshot, self.connection.hello().as_deref(), self.judged),
            endpoint: allowed.endpoint,
            verdict: Verdict::Allow(allowed.clone()),
        };
        let opened = self.connection.opened().ok_or(Blocked::Unwritable)?;
        let kept = self.connection.append(self.snapshot, body).await;
        let receipt = kept.map_err(|_refused| Blocked::Unwritable)?;
        RequestPermit::claim(receipt, opened).map_err(|_ours| Blocked::Unwritable)
    }

    /// What is sent: the judged path, the judged host, our own `Via` and `Forwarded`.
    fn outgoing(
        &self,
        mut parts: Parts,
        body: Option<Incoming>,
        stream: &Rc<Stream>,
        metrics: &Arc<RuleMetrics>,
        is_http2: bool,
    ) -> http::Request<RequestBody> {
        let name = self.snapshot.appliance.name.as_str();
        header::request(&mut parts, self.judged, self.connection.source.ip(), name, is_http2);
        let sent = Rc::new(Upward::new(self.connection, metrics));
        let limit = self.snapshot.limits().request_body_timeout;
        let body = match body {
            Some(incoming) => RequestBody::new(incoming, Rc::clone(stream), sent, limit),
            None => RequestBody::none(Rc::clone(stream), sent),
        };
        http::Request::from_parts(parts, body)
    }

    async fn send(
        &self,
        checkout: &mut Checkout,
        permit: RequestPermit,
        request: http::Request<RequestBody>,
        stream: &Rc<Stream>,
        allowed: &Allowed,
    ) -> Sent {
        let mut patience = Patience::new(self.snapshot.response_timeout(&allowed.rule));
        let sending = std::pin::pin!(checkout.send(permit, request));
        tokio::select! {
            biased;
            sent = sending => match (sent, stream.cut.reason()) {
                (Ok(response), _) => Sent::Head(response),
                // The request's own body broke the exchange: the client is to blame, not the upstream.
                (Err(_), Some(reason)) => Sent::Stopped(reason),
                (Err(error), None) => Sent::Failed(Box::new(error)),
            },
            reason = stream.cut.thrown() => Sent::Stopped(reason),
            () = patience.elapsed(|| stream.progress()) => {
                self.note_failed(Reason::Timeout, allowed, "no response in time");
                Sent::Failed(Box::new(SendError { unsent: None, before_response: false, timed_out: true }))
            }
        }
    }

    fn failed(
        &self,
        error: SendError,
        spare: Option<Parts>,
        is_last: bool,
        stream: &Stream,
        allowed: &Allowed,
    ) -> Result<Attempt, Stopped> {
        if error.timed_out {
            return Err(Stopped::upstream(Reason::Timeout, Stage::Peer));
        }
        let endpoint = stream.flow.borrow().endpoint;
        if let (Some(unsent), false) = (error.unsent, is_last) {
            let (parts, body) = unsent.into_parts();
            if let Some(body) = body.into_unread() {
                return Ok(Attempt::Again(parts, body));
            }
        }
        if let (Some(parts), true) = (spare, error.before_response) {
            return Ok(Attempt::Again(parts, None));
        }
        if let Some(endpoint) = endpoint {
            self.connection.worker.pool.shun(endpoint);
        }
        self.note_failed(Reason::UpstreamFailed, allowed, "the upstream broke off before its response");
        Err(Stopped::upstream(Reason::UpstreamFailed, Stage::Peer))
    }

    /// The client's own fault is answered; what the law cuts is not.
    fn cut_under_way(&self, reason: Reason) -> Result<Stopped, Aborted> {
        match reason {
            Reason::Timeout | Reason::MalformedRequest if self.connection.cut.reason().is_none() => {
                Ok(Stopped::denied(Denied::plain(reason, Stage::Request)))
            }
            _ => Err(Aborted(reason)),
        }
    }

    fn note_failed(&self, reason: Reason, allowed: &Allowed, detail: &'static str) {
        self.connection.note(Body::Failed {
            reason,
            stage: Stage::Peer,
            rule: Some(allowed.rule.clone()),
            endpoint: Some(allowed.endpoint),
            detail: Some(Masked::own(detail)),
        });
    }
}

enum Sent {
    Head(http::Response<Incoming>),
    Failed(Box<SendError>),
    Stopped(Reason),
}

/// Only a request without a body, with an idempotent method, on a connection that served before, and only
/// once (RFC 9110 §9.2.2, §9.2.1).
fn may_repeat(parts: &Parts, is_empty: bool, checkout: &Checkout, is_last: bool) -> bool {
    let idempotent = matches!(
        parts.method,
        HttpMethod::GET | HttpMethod::HEAD | HttpMethod::OPTIONS | HttpMethod::TRACE | HttpMethod::PUT | HttpMethod::DELETE
    );
    is_empty && idempotent && !is_last && checkout.is_pooled()
}

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.code())
    }
}

impl std::error::Error for Aborted {}
