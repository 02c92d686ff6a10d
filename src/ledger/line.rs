//! An entry as a line of the public format `sekisho.ledger/1`: `seq boot at kind connection policy stage
//! verdict reason rule facts`, what is absent left out. The format only ever grows.

use super::entry::{Body, ClientFacts, ConnectionId, Entry, PolicyDigest, RequestFacts};
use super::json::{Object, push_number};
use crate::flow::{Name, Timestamp, TlsVersion};
use crate::policy::Masked;
use crate::verdict::{Allowed, Near, Reason, Stage, Verdict};

/// The name of the format, written into every `start` entry.
pub(super) const FORMAT: &str = "sekisho.ledger/1";

/// The top-level members that say how something was judged.
#[derive(Default)]
struct Judgement<'a> {
    stage: Option<Stage>,
    verdict: Option<&'static str>,
    reason: Option<Reason>,
    rule: Option<&'a Name>,
}

/// Writes all of a line but its number: what can be done before the lock.
pub(super) fn render(out: &mut Vec<u8>, entry: &Entry) {
    render_parts(out, (entry.at, Some(entry.policy), entry.connection), &entry.body);
}

/// As [`render`], for an entry of the ledger itself, which may know of no law.
pub(super) fn render_parts(
    out: &mut Vec<u8>,
    (at, policy, connection): (Timestamp, Option<PolicyDigest>, Option<ConnectionId>),
    body: &Body,
) {
    let mut line = Object::new(out);
    line.time("at", at);
    line.text("kind", body.kind().code());
    if let Some(ConnectionId(number)) = connection {
        line.number("connection", number);
    }
    if let Some(PolicyDigest(digest)) = policy {
        line.hex("policy", &digest);
    }
    judgement(&mut line, &Judgement::of(body));
    line.object("facts", |object| facts(object, body));
}

/// The whole line: number, boot and what [`render`] made.
pub(super) fn number(out: &mut Vec<u8>, seq: u64, boot: u64, rendered: &[u8]) {
    out.extend_from_slice(b"{\"seq\":");
    push_number(out, seq);
    out.extend_from_slice(b",\"boot\":");
    push_number(out, boot);
    out.push(b',');
    out.extend_from_slice(rendered);
    out.extend_from_slice(b"}\n");
}

fn judgement(line: &mut Object<'_>, judgement: &Judgement<'_>) {
    line.optional("stage", judgement.stage.map(Stage::code));
    line.optional("verdict", judgement.verdict);
    line.optional("reason", judgement.reason.map(Reason::code));
    line.optional("rule", judgement.rule.map(Name::as_str));
}

impl<'a> Judgement<'a> {
    fn of(body: &'a Body) -> Self {
        match body {
            Body::Opened { verdict, .. }
            | Body::Dialled { verdict, .. }
            | Body::Request { verdict, .. }
            | Body::Refused { verdict, .. } => Self::by(verdict),
            Body::Failed { reason, stage, rule, .. } => Self {
                stage: Some(*stage),
                verdict: None,
                reason: Some(*reason),
                rule: rule.as_ref(),
            },
            Body::Summary { reason, .. } => Self { reason: *reason, ..Self::default() },
            Body::Start { .. }
            | Body::Stop { .. }
            | Body::Policy { .. }
            | Body::Closed { .. }
            | Body::Gap { .. }
            | Body::Operation { .. } => Self::default(),
        }
    }

    fn by(verdict: &'a Verdict) -> Self {
        let stage = match verdict {
            // Only a flow with an endpoint is allowed, and the endpoint is the fact of this stage.
            Verdict::Allow(_) => Stage::Dial,
            Verdict::Deny(denied) => denied.stage,
            Verdict::NotYet(not_yet) => not_yet.stage,
        };
        Self {
            stage: Some(stage),
            verdict: Some(verdict.code()),
            reason: verdict.reason(),
            rule: verdict.rule(),
        }
    }
}

fn facts(object: &mut Object<'_>, body: &Body) {
    match body {
        Body::Start { version, appliance } => {
            object.text("format", FORMAT);
            object.text("version", version);
            object.text("appliance", appliance.as_str());
        }
        Body::Stop { cause } => object.text("cause", cause.as_str()),
        Body::Policy { .. } => policy_facts(object, body),
        Body::Opened { facts, .. } => client(object, facts),
        Body::Dialled { system, endpoint, local, site, verdict } => {
            object.text("system", system.as_str());
            object.socket("endpoint", *endpoint);
            object.socket("local", *local);
            object.optional("site", site.as_ref().map(Name::as_str));
            would_deny(object, verdict);
        }
        Body::Request { facts, endpoint, verdict } => {
            request(object, facts);
            object.socket("endpoint", *endpoint);
            would_deny(object, verdict);
        }
        Body::Refused { .. } => refused(object, body),
        Body::Failed { endpoint, detail, .. } => {
            if let Some(endpoint) = endpoint {
                object.socket("endpoint", *endpoint);
            }
            object.optional("detail", detail.as_ref().map(Masked::as_str));
        }
        Body::Closed { .. } => closed(object, body),
        Body::Summary { .. } | Body::Gap { .. } => counted(object, body),
        Body::Operation { .. } => operation(object, body),
    }
}

/// Why it would be refused, where it passes only because its rule observes.
fn would_deny(object: &mut Object<'_>, verdict: &Verdict) {
    if let Verdict::Allow(Allowed { would_deny: Some(reason), .. }) = verdict {
        object.text("would_deny", reason.code());
    }
}

fn policy_facts(object: &mut Object<'_>, body: &Body) {
    let Body::Policy { accepted, offered, was, changes, origin, faults, first } = body else {
        return;
    };
    object.flag("accepted", *accepted);
    if let Some(PolicyDigest(digest)) = offered {
        object.hex("offered", digest);
    }
    if let Some(PolicyDigest(digest)) = was {
        object.hex("was", digest);
    }
    if !changes.is_empty() {
        object.texts("changes", changes.iter().map(Masked::as_str));
    }
    object.text("origin", origin.as_str());
    object.number("faults", u64::from(*faults));
    if !first.is_empty() {
        object.texts("first", first.iter().map(Masked::as_str));
    }
}

fn client(object: &mut Object<'_>, facts: &ClientFacts) {
    object.socket("source", facts.source);
    object.socket("to_address", facts.to_address);
    object.text("listener", facts.listener.as_str());
    object.optional("system", facts.system.as_ref().map(Name::as_str));
    object.optional("server_name", facts.server_name.as_ref().map(Masked::as_str));
    object.optional("tls", facts.tls.map(TlsVersion::as_str));
    if let Some(identities) = &facts.identities {
        object.texts("identities", identities.iter().map(Masked::as_str));
    }
    if let Some(not_after) = facts.not_after {
        object.time("not_after", not_after);
    }
}

fn request(object: &mut Object<'_>, facts: &RequestFacts) {
    object.text("method", facts.method.as_str());
    object.optional("host", facts.host.as_ref().map(Masked::as_str));
    object.text("path", facts.path.as_str());
}

fn refused(object: &mut Object<'_>, body: &Body) {
    let Body::Refused { client: from, request: asked, endpoint, verdict, detail } = body else {
        return;
    };
    if let Some(from) = from {
        client(object, from);
    }
    if let Some(asked) = asked {
        request(object, asked);
    }
    if let Some(endpoint) = endpoint {
        object.socket("endpoint", *endpoint);
    }
    object.optional("detail", detail.as_ref().map(Masked::as_str));
    if let Verdict::Deny(denied) = verdict
        && !denied.nearest.is_empty()
    {
        object.objects("nearest", &denied.nearest, near);
    }
}

fn near(object: &mut Object<'_>, near: &Near) {
    object.text("rule", near.rule.as_str());
    object.texts("stopped_by", near.stopped_by.iter().map(|reason| reason.code()));
}

fn closed(object: &mut Object<'_>, body: &Body) {
    let Body::Closed { to_upstream, to_client, duration, how, outcomes } = body else { return };
    object.number("to_upstream", *to_upstream);
    object.number("to_client", *to_client);
    object.seconds("duration", *duration);
    object.text("how", how.as_str());
    object.object("outcomes", |table| {
        for (code, count) in outcomes {
            table.numbered(u64::from(*code), *count);
        }
    });
}

fn counted(object: &mut Object<'_>, body: &Body) {
    if let Body::Summary { source, count, since, .. } = body {
        if let Some(source) = source {
            object.address("source", *source);
        }
        object.number("count", *count);
        object.time("since", *since);
    }
    if let Body::Gap { lost, since, cut, cause } = body {
        if let Some(lost) = lost {
            object.number("lost", *lost);
        }
        if let Some(since) = since {
            object.time("since", *since);
        }
        if let Some(cut) = cut {
            object.number("cut", *cut);
        }
        object.text("cause", cause.as_str());
    }
}

fn operation(object: &mut Object<'_>, body: &Body) {
    let Body::Operation { call, uid, pid, outcome, detail } = body else { return };
    object.text("call", call.as_str());
    if let Some(uid) = uid {
        object.number("uid", u64::from(*uid));
    }
    if let Some(pid) = pid {
        object.signed("pid", i64::from(*pid));
    }
    object.text("outcome", outcome.as_str());
    if !detail.is_empty() {
        object.texts("detail", detail.iter().map(Masked::as_str));
    }
}
