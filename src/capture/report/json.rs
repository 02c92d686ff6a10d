//! The lines for programs: `sekisho.capture/1`, one object a line; it only ever grows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::group::masked_name;
use super::{Outcome, protocol_code};
use crate::capture::judge::{Answer, Judge, Judged, Leg};
use crate::capture::reconcile::{Reconciled, Unrecorded, Unseen};
use crate::capture::{Connection, FileCoverage, FileFault, State};
use crate::flow::Name;
use crate::verdict::Reason;

const FORMAT: &str = "sekisho.capture/1";

#[derive(Serialize)]
struct Flow<'a> {
    kind: &'static str,
    file: &'a str,
    protocol: String,
    initiator: SocketAddr,
    responder: SocketAddr,
    inferred: bool,
    layers: &'a str,
    server_name: Option<String>,
    bytes_to_responder: u64,
    bytes_to_initiator: u64,
    first_packet: u64,
    at: String,
    verdict: &'static str,
    reason: Option<&'static str>,
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outside: Option<&'static str>,
    leg: &'static str,
    state: &'static str,
    packets: u64,
    ended: String,
    one_sided: bool,
    format: &'static str,
}

#[derive(Serialize)]
struct Refused<'a> {
    kind: &'static str,
    file: &'a str,
    protocol: String,
    initiator: SocketAddr,
    responder: SocketAddr,
    inferred: bool,
    packet: u64,
    at: String,
    violation: &'static str,
    reason: Option<&'static str>,
    rule: Option<&'a str>,
    guardrail: Option<&'static str>,
    clause: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    server_name: Option<String>,
    leg: &'static str,
    state: &'static str,
    first_packet: u64,
    format: &'static str,
}

#[derive(Serialize)]
struct Bypass<'a> {
    kind: &'static str,
    file: &'a str,
    protocol: String,
    initiator: SocketAddr,
    responder: SocketAddr,
    packet: u64,
    at: String,
    violation: &'static str,
    reason: Option<&'static str>,
    leg: &'static str,
    format: &'static str,
}

#[derive(Serialize)]
struct Covered<'a> {
    kind: &'static str,
    clean: bool,
    complete: bool,
    violations: u64,
    packets: u64,
    judged: u64,
    unjudged: BTreeMap<&'static str, u64>,
    outside: BTreeMap<&'static str, u64>,
    connections: u64,
    verdicts: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    inferred: u64,
    gaps: u64,
    gap_bytes: u64,
    skipped_bytes: u64,
    cut_short: u64,
    drops: Option<u64>,
    clock_steps: u64,
    tail_bytes: u64,
    files: Vec<Input<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<Ledger>,
    policy: Option<&'a str>,
    format: &'static str,
}

#[derive(Serialize)]
struct Input<'a> {
    file: &'a str,
    packets: u64,
    judged: u64,
    shortened: u64,
    outside: &'a BTreeMap<&'static str, u64>,
    unjudged: BTreeMap<&'static str, u64>,
    drops: Option<u64>,
    clock_steps: u64,
    tail_bytes: u64,
    fault: Option<&'static str>,
    first: Option<String>,
    last: Option<String>,
}

#[derive(Serialize)]
struct Ledger {
    entries: u64,
    matched: u64,
    recorded: u64,
    bypassed: u64,
    unseen: u64,
    elsewhere: u64,
    gaps: u64,
    damaged: u64,
    pruned: u64,
    not_compared: u64,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Missing {
    entry: String,
    at: String,
    leg: &'static str,
    initiator: SocketAddr,
    responder: SocketAddr,
}

/// One connection, and where the law refuses it the violation.
pub(super) fn connection(judge: &Judge, connection: &Connection, judged: &Judged) -> String {
    let mut line = written(&flow(judge, connection, judged));
    if judged.answer.reason().is_some() {
        line.push('\n');
        line.push_str(&written(&violation(judge, connection, judged)));
    }
    line
}

/// The last lines: what went by the ledger, then how much was covered.
pub(super) fn ending(outcome: &Outcome) -> String {
    let bypasses = outcome.reconciled.iter().flat_map(|reconciled| &reconciled.bypasses);
    let mut lines: Vec<String> = bypasses.map(|it| written(&bypass(it))).collect();
    lines.push(written(&covered(outcome)));
    lines.join("\n")
}

fn written<T: Serialize>(line: &T) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

fn flow<'a>(judge: &Judge, connection: &'a Connection, judged: &'a Judged) -> Flow<'a> {
    let outside = match &judged.answer {
        Answer::Outside(kind) => Some(kind.code()),
        Answer::Law(_) => None,
    };
    Flow {
        kind: "flow",
        file: &connection.file,
        protocol: protocol_code(connection.protocol),
        initiator: connection.initiator,
        responder: connection.responder,
        inferred: connection.inferred,
        layers: &connection.layers,
        server_name: masked_name(judge, connection).map(|name| name.to_string()),
        bytes_to_responder: connection.bytes_to_responder,
        bytes_to_initiator: connection.bytes_to_initiator,
        first_packet: connection.first_packet,
        at: connection.at.to_string(),
        verdict: judged.answer.code(),
        reason: judged.answer.reason().map(Reason::code),
        rule: judged.answer.rule().map(Name::as_str),
        outside,
        leg: judged.leg.code(),
        state: state_code(connection.state),
        packets: connection.packets,
        ended: connection.ended.to_string(),
        one_sided: connection.one_sided,
        format: FORMAT,
    }
}

fn violation<'a>(judge: &'a Judge, connection: &'a Connection, judged: &'a Judged) -> Refused<'a> {
    let reason = judged.answer.reason();
    let broken = reason.and_then(|reason| judge.broken(connection, reason));
    let system = |end: SocketAddr| judge.engine().system_of(end.ip()).map(Name::as_str);
    Refused {
        kind: "violation",
        file: &connection.file,
        protocol: protocol_code(connection.protocol),
        initiator: connection.initiator,
        responder: connection.responder,
        inferred: connection.inferred,
        packet: judged.packet,
        at: judged.at.to_string(),
        violation: "law",
        reason: reason.map(Reason::code),
        rule: judged.answer.rule().map(Name::as_str),
        guardrail: broken.map(|broken| broken.guardrail),
        clause: broken.and_then(|broken| broken.clause),
        from: system(connection.initiator),
        to: system(connection.responder),
        server_name: masked_name(judge, connection).map(|name| name.to_string()),
        leg: judged.leg.code(),
        state: state_code(connection.state),
        first_packet: connection.first_packet,
        format: FORMAT,
    }
}

fn bypass(unrecorded: &Unrecorded) -> Bypass<'_> {
    Bypass {
        kind: "violation",
        file: &unrecorded.file,
        protocol: protocol_code(unrecorded.protocol),
        initiator: unrecorded.initiator,
        responder: unrecorded.responder,
        packet: unrecorded.packet,
        at: unrecorded.at.to_string(),
        violation: "bypass",
        reason: None,
        leg: Leg::code(unrecorded.leg),
        format: FORMAT,
    }
}

fn covered(outcome: &Outcome) -> Covered<'_> {
    let coverage = &outcome.coverage;
    let files = || coverage.files.iter();
    let drops: Vec<u64> = files().filter_map(|file| file.drops).collect();
    Covered {
        kind: "coverage",
        clean: outcome.is_clean(),
        complete: outcome.is_complete(),
        violations: outcome.violations(),
        packets: coverage.packets(),
        judged: coverage.judged(),
        unjudged: summed(files().map(unjudged)),
        outside: summed(files().map(|file| file.outside.clone())),
        connections: outcome.tally.connections,
        verdicts: outcome.tally.verdicts(),
        reasons: outcome.tally.reasons.iter().map(|(reason, n)| (reason.code(), *n)).collect(),
        inferred: outcome.tally.inferred,
        gaps: coverage.gaps,
        gap_bytes: coverage.gap_bytes,
        skipped_bytes: coverage.skipped_bytes,
        cut_short: coverage.cut_short,
        drops: (!drops.is_empty()).then(|| drops.iter().sum()),
        clock_steps: files().map(|file| file.clock_steps).sum(),
        tail_bytes: files().map(|file| file.tail_bytes).sum(),
        files: files().map(file).collect(),
        ledger: outcome.reconciled.as_ref().map(ledger),
        policy: outcome.policy.as_deref(),
        format: FORMAT,
    }
}

fn file(file: &FileCoverage) -> Input<'_> {
    Input {
        file: &file.file,
        packets: file.packets,
        judged: file.judged,
        shortened: file.shortened,
        outside: &file.outside,
        unjudged: unjudged(file),
        drops: file.drops,
        clock_steps: file.clock_steps,
        tail_bytes: file.tail_bytes,
        fault: file.fault.as_ref().map(FileFault::as_str),
        first: file.first.map(|at| at.to_string()),
        last: file.last.map(|at| at.to_string()),
    }
}

fn ledger(reconciled: &Reconciled) -> Ledger {
    let missing = |unseen: &Unseen| Missing {
        entry: format!("{}-{}", unseen.boot, unseen.seq),
        at: unseen.at.to_string(),
        leg: unseen.leg.code(),
        initiator: unseen.initiator,
        responder: unseen.responder,
    };
    Ledger {
        entries: reconciled.entries,
        matched: reconciled.matched,
        recorded: reconciled.recorded,
        bypassed: reconciled.bypassed,
        unseen: reconciled.unseen,
        elsewhere: reconciled.elsewhere,
        gaps: reconciled.gaps,
        damaged: reconciled.damaged,
        pruned: reconciled.pruned,
        not_compared: reconciled.beyond,
        missing: reconciled.missing.iter().map(missing).collect(),
    }
}

/// What of a file could not be judged, by reason.
pub(super) fn unjudged(file: &FileCoverage) -> BTreeMap<&'static str, u64> {
    file.unjudged.iter().map(|(reason, count)| (reason.as_str(), *count)).collect()
}

/// The sum of several tables of counts.
pub(super) fn summed(
    tables: impl Iterator<Item = BTreeMap<&'static str, u64>>,
) -> BTreeMap<&'static str, u64> {
    let mut sum = BTreeMap::new();
    for (key, count) in tables.flatten() {
        *sum.entry(key).or_default() += count;
    }
    sum
}

const fn state_code(state: State) -> &'static str {
    match state {
        State::Attempted => "attempted",
        State::Refused => "refused",
        State::Established => "established",
        State::Closed => "closed",
        State::Reset => "reset",
        State::Datagrams => "datagrams",
    }
}
