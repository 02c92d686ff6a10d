//! An explanation for programs: `sekisho.explain/1`. The format only ever grows.

use serde_json::{Value, json};

use super::text::guardrail;
use super::{Past, Told};
use crate::flow::{Flow, Paper, ServerName};
use crate::policy::explain::{Candidate, Hunk, Proposal, Proven, Step};
use crate::verdict::Verdict;

/// The whole of it.
pub(super) fn render(told: &Told<'_>) -> Value {
    let explanation = &told.explanation;
    let gates = explanation.gates.iter().filter_map(|(_, reason)| guardrail(*reason));
    let road = explanation.road.iter().map(step_of);
    let mut value = json!({
        "format": "sekisho.explain/1",
        "at": told.at.to_string(),
        "policy": told.law.digest.to_string(),
        "source": explanation.source.as_ref().map(ToString::to_string),
        "destination": explanation.destination.as_ref().map(ToString::to_string),
        "flow": flow(&explanation.flow),
        "road": road.collect::<Vec<_>>(),
        "rules": explanation.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "other_rules": explanation.others,
        "guardrails_violated": gates.collect::<Vec<_>>(),
        "edit": edit(&told.proposal),
        "diff": told.diff,
        "notes": told.notes,
    });
    if let (Some(past), Some(whole)) = (&told.past, value.as_object_mut()) {
        whole.insert("entry".to_owned(), entry(past));
    }
    if let (Some(whole), Value::Object(judged)) =
        (value.as_object_mut(), verdict(&explanation.verdict))
    {
        whole.extend(judged);
    }
    value
}

fn entry(past: &Past) -> Value {
    let repeats = &past.found.repeats;
    json!({
        "reference": past.found.record.reference(),
        "recorded": past.found.said(),
        "masked": past.found.masked,
        "same_law": past.same_law,
        "today": verdict(&past.today),
        "seen": repeats.count,
        "since": repeats.first.map(|at| at.to_string()),
        "last_allowed": repeats.allowed.as_ref().map(|(_, reference)| reference),
    })
}

/// `verdict stage reason rule`, what is absent left out.
pub(super) fn verdict(verdict: &Verdict) -> Value {
    let rule = verdict.rule().map(ToString::to_string);
    match verdict {
        Verdict::Allow(allowed) => json!({
            "verdict": verdict.code(), "rule": rule, "endpoint": allowed.endpoint.to_string(),
        }),
        Verdict::Deny(denied) => json!({
            "verdict": verdict.code(), "stage": denied.stage.code(), "reason": denied.reason.code(), "rule": rule,
        }),
        Verdict::NotYet(not_yet) => json!({
            "verdict": verdict.code(), "stage": not_yet.stage.code(), "rule": rule,
        }),
    }
}

/// The facts of a flow.
pub(in crate::cli) fn flow(flow: &Flow) -> Value {
    let identities = match flow.paper.as_deref() {
        None => None,
        Some(Paper::Absent) => Some(Vec::new()),
        Some(Paper::Presented(it)) => Some(it.identities.iter().map(ToString::to_string).collect()),
    };
    let server_name = flow.hello.as_ref().and_then(|hello| match &hello.server_name {
        ServerName::Name(host) => Some(host.to_string()),
        ServerName::Missing | ServerName::Unusable => None,
    });
    json!({
        "from": flow.source.to_string(),
        "to_address": flow.to_address.to_string(),
        "listener": flow.listener.as_ref().map(ToString::to_string),
        "server_name": server_name,
        "tls": flow.hello.as_ref().map(|hello| hello.version.as_str()),
        "identities": identities,
        "method": flow.request.as_ref().map(|request| request.method.as_str()),
        "path": flow.request.as_ref().map(|request| request.path.as_str()),
        "endpoint": flow.endpoint.map(|endpoint| endpoint.to_string()),
    })
}

fn step_of(step: &Step) -> Value {
    let reason = step.verdict.reason().map(crate::verdict::Reason::code);
    json!({ "stage": step.stage.code(), "verdict": step.verdict.code(), "reason": reason })
}

fn candidate(it: &Candidate) -> Value {
    json!({ "rule": it.rule.as_str(), "fits": it.fits, "stopped_by": it.stopped_by })
}

fn edit(proposal: &Proposal) -> Value {
    let patch: Vec<_> = proposal.hunks.iter().map(hunk).collect();
    match &proposal.proven {
        Proven::Permitted { verdict, approval, scenarios } => json!({
            "status": "permitted", "patch": patch, "verdict": verdict.code(),
            "approval": approval.as_ref().map(ToString::to_string),
            "scenarios": scenarios.0.iter().map(|fault| fault.message.clone()).collect::<Vec<_>>(),
        }),
        Proven::Forbidden { faults } => {
            json!({ "status": "forbidden", "patch": patch, "faults": faults.0 })
        }
        Proven::Council { what, place, clause } => json!({
            "status": "council", "what": what, "clause": clause,
            "file": place.as_ref().map(|place| place.file.to_string()),
            "line": place.as_ref().map(|place| place.line),
        }),
        Proven::Nothing { why } => json!({ "status": "none", "why": why }),
    }
}

fn hunk(hunk: &Hunk) -> Value {
    json!({ "file": &*hunk.file, "line": hunk.line, "removed": hunk.removed, "added": hunk.added })
}
