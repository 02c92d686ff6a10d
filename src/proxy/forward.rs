//! A judged request on its way upstream and back: route, entry, permit, send; once more where that is safe.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method as HttpMethod, StatusCode, Version, response};
use tokio::time::Instant;

use super::body::{ClientBody, RequestBody, ResponseBody};
use super::connection::{Connection, request_facts};
use super::exchange::Exchange;
use super::header::{self, Hop};
use super::http::{Aborted, Answer, Stopped};
use super::permit::RequestPermit;
use super::pool::{Checkout, SendError};
use super::route::{Blocked, Pooled, Switching, route};
use super::snapshot::Snapshot;
use super::stream::Registered;
use super::switch::{Leg, Prefixed, Switched};
use super::upward::Upward;
use super::{clock, judge};
use crate::flow::{Flow, Request, Timestamp};
use crate::ledger::Body;
use crate::metrics::RuleMetrics;
use crate::policy::Masked;
use crate::verdict::{Allowed, Denied, Reason, Stage, Verdict};

/// One judged request.
#[derive(Debug)]
pub(super) struct Work<'a> {
    /// Who asks.
    pub(super) connection: &'a Rc<Connection>,
    /// The law it is judged by, from its first byte to its last.
    pub(super) snapshot: &'a Arc<Snapshot>,
    /// What the law looks at.
    pub(super) judged: &'a Request,
    /// When it came.
    pub(super) began: Instant,
}

/// An allowed attempt: the endpoint is judged, the permit is claimed.
struct Passage<'a> {
    work: &'a Work<'a>,
    allowed: Allowed,
    metrics: Arc<RuleMetrics>,
    registered: Registered,
    checkout: Checkout,
}

/// Why an attempt did not lead to an answer of the upstream.
enum Setback {
    /// This box answers.
    Stopped(Stopped),
    /// Nobody answers.
    Aborted(Aborted),
    /// The connection died before it took or answered anything: safe to try on another one.
    Again(Box<Again>),
}

/// A request that can be tried again.
struct Again {
    parts: Box<Parts>,
    body: Option<ClientBody>,
    /// Whether its fields are already those of the next hop.
    is_prepared: bool,
}

/// What came of sending.
enum Sent {
    Head(Box<response::Parts>),
    Failed(SendError),
    TimedOut,
    Cut(Reason),
}

impl Work<'_> {
    /// Forwards it.
    ///
    /// # Errors
    /// Outer: it was cut and is not answered. Inner: this box answers it.
    pub(super) async fn forward(
        &self,
        parts: Box<Parts>,
        body: Option<ClientBody>,
    ) -> Result<Result<Answer, Stopped>, Aborted> {
        let mut next = Again { parts, body, is_prepared: false };
        for is_last in [false, true] {
            match self.attempt(next, is_last).await {
                Ok(response) => return Ok(Ok(response)),
                Err(Setback::Stopped(stopped)) => return Ok(Err(stopped)),
                Err(Setback::Aborted(aborted)) => return Err(aborted),
                Err(Setback::Again(again)) => next = *again,
            }
        }
        Ok(Err(Stopped::upstream(Reason::UpstreamFailed, Stage::Peer)))
    }

    async fn attempt(&self, again: Again, is_last: bool) -> Result<Answer, Setback> {
        let Again { mut parts, body, is_prepared } = again;
        let protocol = self.protocol(&parts).map_err(Setback::Stopped)?;
        let (mut passage, permit) =
            self.pass().await.map_err(|blocked| Setback::Stopped(blocked.into()))?;
        let may_repeat = passage.may_repeat(&parts, body.as_ref());
        if let Err(stopped) = passage.prepare(&mut parts, is_prepared) {
            passage.checkout.give_back();
            return Err(Setback::Stopped(stopped));
        }
        if let Some(protocol) = protocol {
            header::switch(&mut parts.headers, protocol);
        }
        if body.is_some() {
            header::frame(&mut parts);
        }
        let body = passage.body(body);
        match passage.send(permit, &parts, body).await {
            Sent::Head(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                passage.switch(head)
            }
            Sent::Head(head) => Ok(passage.answer(head)),
            Sent::Failed(error) if is_last => Err(passage.failed(error, None)),
            Sent::Failed(error) => Err(passage.failed(error, Some((parts, may_repeat)))),
            Sent::TimedOut => Err(passage.timed_out()),
            Sent::Cut(reason) => Err(self.cut(reason)),
        }
    }

    /// Judged, recorded, permitted; with a connection to send on.
    async fn pass(&self) -> Result<(Passage<'_>, RequestPermit), Blocked> {
        let mut flow = self.flow();
        let (checkout, allowed) = self.reach(&mut flow).await?;
        // From here on a new law sees it; what was swapped while it was routed is looked at once.
        let at = flow.at;
        let registered = Registered::new(self.connection, flow, checkout.peer());
        let denied =
            judge::late(self.connection, self.snapshot, &registered.stream().flow.borrow());
        if let Some(denied) = denied {
            checkout.give_back();
            return Err(Blocked::Denied(denied));
        }
        let metrics = self.count(&allowed, at);
        match self.permit(&allowed).await {
            Ok(permit) => {
                Ok((Passage { work: self, allowed, metrics, registered, checkout }, permit))
            }
            Err(blocked) => {
                checkout.give_back();
                Err(blocked)
            }
        }
    }

    /// From the pool; where another protocol is asked for, on a connection of its own.
    async fn reach(&self, flow: &mut Flow) -> Result<(Checkout, Allowed), Blocked> {
        if self.judged.upgrade {
            Box::pin(route(self.connection, self.snapshot, flow, &Switching)).await
        } else {
            route(self.connection, self.snapshot, flow, &Pooled).await
        }
    }

    /// What it asks to switch to. Another HTTP would carry requests that nobody judges.
    fn protocol(&self, parts: &Parts) -> Result<Option<HeaderValue>, Stopped> {
        if !self.judged.upgrade {
            return Ok(None);
        }
        let asked = header::asked_protocol(&parts.headers);
        asked.map(Some).map_err(Stopped::malformed)
    }

    fn flow(&self) -> Flow {
        let mut flow = self.connection.flow(clock::now());
        flow.request = Some(self.judged.clone());
        flow
    }

    fn count(&self, allowed: &Allowed, at: Timestamp) -> Arc<RuleMetrics> {
        let (rule, metrics) = self.connection.passes_by(&allowed.rule, &allowed.system);
        let metrics = if *rule == allowed.rule {
            Arc::clone(metrics)
        } else {
            self.connection.worker.rule(&allowed.rule, &allowed.system)
        };
        metrics.matched(at.as_seconds_f64());
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
        let ledger = &self.connection.worker.shared.ledger;
        let kept = ledger.append(&self.connection.entry(self.snapshot, body)).await;
        let receipt = kept.map_err(|_refused| Blocked::Unwritable)?;
        if let Some(reason) = allowed.would_deny {
            self.connection.worker.shared.metrics.would_deny(&allowed.rule, reason);
        }
        RequestPermit::claim(receipt, opened).map_err(|_ours| Blocked::Unwritable)
    }

    /// The client's own fault is answered; what the law cuts is not.
    fn cut(&self, reason: Reason) -> Setback {
        let clients_fault = matches!(reason, Reason::Timeout | Reason::MalformedRequest);
        if clients_fault && self.connection.cut.reason().is_none() {
            Setback::Stopped(Stopped::denied(Denied::plain(reason, Stage::Request)))
        } else {
            Setback::Aborted(Aborted(reason))
        }
    }
}

impl Passage<'_> {
    /// Only a request without a body, with an idempotent method, on a connection that served before (RFC 9110
    /// §9.2.2).
    fn may_repeat(&self, parts: &Parts, body: Option<&ClientBody>) -> bool {
        let idempotent = matches!(
            parts.method,
            HttpMethod::GET
                | HttpMethod::HEAD
                | HttpMethod::OPTIONS
                | HttpMethod::TRACE
                | HttpMethod::PUT
                | HttpMethod::DELETE
        );
        body.is_none() && idempotent && self.checkout.is_pooled()
    }

    /// The fields, the target and the version of the next hop.
    fn prepare(&self, parts: &mut Parts, is_prepared: bool) -> Result<(), Stopped> {
        let judged = self.work.judged;
        let mismatch = || Stopped::denied(Denied::plain(Reason::HostMismatch, Stage::Request));
        let way = self.work.connection.way(judged.host.as_ref().ok_or_else(mismatch)?);
        let hop = Hop {
            via: &self.work.snapshot.via,
            way: way.as_deref().ok_or_else(mismatch)?,
            version: if self.checkout.is_http2() { Version::HTTP_2 } else { Version::HTTP_11 },
        };
        let made = if is_prepared {
            header::aim(parts, &judged.path, &hop)
        } else {
            header::forward(parts, &judged.path, &hop)
        };
        made.map_err(|_target| Stopped::malformed("path and query do not make a target"))
    }

    fn body(&self, body: Option<ClientBody>) -> RequestBody {
        let sent = Rc::new(Upward::new(self.work.connection, &self.metrics));
        let stream = Rc::clone(self.registered.stream());
        let limit = self.work.snapshot.limits().request_body_timeout;
        RequestBody::new(body, stream, sent, limit)
    }

    async fn send(&mut self, permit: RequestPermit, head: &Parts, body: RequestBody) -> Sent {
        let connection = self.work.connection;
        let limit = self.work.snapshot.response_timeout(&self.allowed.rule);
        let mut patience = connection.patience(limit);
        let stream = Rc::clone(self.registered.stream());
        let sending = std::pin::pin!(self.checkout.send(permit, head, body));
        let sent = tokio::select! {
            biased;
            sent = sending => match (sent, stream.cut.reason()) {
                (Ok(head), _) => Sent::Head(head),
                // The request's own body broke the exchange: the client is to blame, not the upstream.
                (Err(_), Some(reason)) => Sent::Cut(reason),
                (Err(error), None) => Sent::Failed(error),
            },
            reason = stream.cut.thrown() => Sent::Cut(reason),
            () = patience.elapsed(|| stream.progress()) => Sent::TimedOut,
        };
        connection.keep_patience(patience);
        sent
    }

    fn answer(self, head: Box<response::Parts>) -> Answer {
        let limit = self.work.snapshot.response_timeout(&self.allowed.rule);
        let (code, began) = (head.status.as_u16(), self.work.began);
        let exchange = Exchange::new(
            self.registered,
            self.checkout,
            (self.allowed.rule, self.metrics),
            code,
            began,
        );
        Answer { head, body: ResponseBody::relayed(exchange, limit) }
    }

    /// The upstream takes the other protocol: after this answer bytes go both ways.
    fn switch(mut self, head: Box<response::Parts>) -> Result<Answer, Setback> {
        if !(self.work.judged.upgrade && self.registered.stream().is_sent.get()) {
            return Err(
                self.stopped(Reason::UpstreamFailed, "the upstream switched protocols unasked")
            );
        }
        let Some((first, stream)) = self.checkout.switched() else {
            return Err(self.stopped(Reason::UpstreamFailed, "the upstream broke off its switch"));
        };
        let code = head.status.as_u16();
        self.metrics.request(code, clock::woken().duration_since(self.work.began));
        self.work.connection.count_outcome(code);
        let stream: Box<dyn Leg> = Box::new(stream);
        let upstream = Prefixed::new(first, stream);
        let idle = self.work.snapshot.idle_timeout(Some(&self.allowed.rule));
        let switched = Switched::new(upstream, self.registered, self.metrics, idle);
        self.work.connection.switch_to(switched);
        Ok(Answer { head, body: ResponseBody::own(Bytes::new()) })
    }

    /// `again`: the head, where there is another attempt, and whether it may go twice.
    fn failed(self, error: SendError, again: Option<(Box<Parts>, bool)>) -> Setback {
        if let Some((parts, may_repeat)) = again {
            let unread = error.unsent.filter(|body| body.is_unread());
            if let Some(body) = unread {
                let body = body.into_incoming();
                return Setback::Again(Box::new(Again { parts, body, is_prepared: true }));
            }
            if may_repeat && error.before_response {
                return Setback::Again(Box::new(Again { parts, body: None, is_prepared: true }));
            }
        }
        self.stopped(Reason::UpstreamFailed, "the upstream broke off before its response")
    }

    fn timed_out(self) -> Setback {
        self.stopped(Reason::Timeout, "no response in time")
    }

    fn stopped(self, reason: Reason, detail: &'static str) -> Setback {
        self.work.connection.note(Body::Failed {
            reason,
            stage: Stage::Peer,
            rule: Some(self.allowed.rule.clone()),
            endpoint: Some(self.allowed.endpoint),
            detail: Some(Masked::own(detail)),
        });
        let stopped = Stopped::upstream(reason, Stage::Peer);
        self.metrics
            .request(stopped.status().as_u16(), clock::woken().duration_since(self.work.began));
        Setback::Stopped(stopped)
    }
}
