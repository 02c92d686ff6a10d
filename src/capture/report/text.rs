//! The outcome for people: groups, the worst first; the ledger; how much was covered; one last line. Wide (Japanese) text
//! stands last in a row, so that columns align.

use std::fmt::Write as _;
use std::path::Path;

use super::group::{Group, Key, Party, Rank, Says, masked_name};
use super::{Outcome, json, local, protocol_code};
use crate::capture::judge::{Judge, Judged};
use crate::capture::reconcile::{Reconciled, Unrecorded, Unseen};
use crate::capture::{Connection, Coverage, FileCoverage, FileFault};
use crate::policy::model::{Model, Zone};

/// The most lines of one section; the rest is counted.
const ROWS_MAX: usize = 40;

/// The most examples of the comparison with the ledger.
const EXAMPLES_MAX: usize = 10;

/// One connection on one line.
pub(super) fn flow(judge: &Judge, connection: &Connection, judged: &Judged) -> String {
    let zone = judge.engine().model().timezone;
    let says = judged.answer.reason().map_or_else(|| judged.answer.code(), |reason| reason.code());
    let inferred = if connection.inferred { " (inferred)" } else { "" };
    let name = masked_name(judge, connection).map(|name| format!(" {name}")).unwrap_or_default();
    format!(
        "{:<20} {} {:<5} {} > {}{name}  {}/{} bytes  {}  {}:{}{inferred}",
        says,
        local(connection.at, zone),
        protocol_code(connection.protocol),
        connection.initiator,
        connection.responder,
        connection.bytes_to_responder,
        connection.bytes_to_initiator,
        connection.layers,
        short(&connection.file),
        connection.first_packet,
    )
}

/// The whole outcome.
pub(super) fn render(outcome: &Outcome, model: &Model, colour: bool) -> String {
    let mut text = String::new();
    groups(&mut text, outcome, model, colour);
    if let Some(reconciled) = &outcome.reconciled {
        ledger(&mut text, reconciled, model.timezone);
    }
    coverage(&mut text, &outcome.coverage);
    if outcome.tally.beside > 0 {
        let count = counted(outcome.tally.beside, "connection");
        let went = if outcome.tally.beside == 1 { "goes" } else { "go" };
        writeln!(text, "note: {count} between systems {went} by the appliance; `--ledger` tells what is unrecorded")
            .unwrap_or_default();
    }
    text + &last_line(outcome)
}

/// A table whose columns are as wide as their widest cell; the last is as it is.
struct Table {
    rows: Vec<(Vec<String>, Option<Rank>)>,
}

fn groups(text: &mut String, outcome: &Outcome, model: &Model, colour: bool) {
    let sorted = outcome.tally.groups.sorted();
    if sorted.is_empty() {
        return;
    }
    let head = ["connections", "verdict", "leg", "from", "to", "bytes", "first seen", "packet", ""];
    let mut table = Table { rows: vec![(head.map(str::to_owned).to_vec(), None)] };
    for (key, group) in sorted.iter().take(ROWS_MAX) {
        table.rows.push((row(key, group, model), rank(key.says)));
    }
    table.render(text, colour);
    if sorted.len() > ROWS_MAX {
        let rest: u64 = sorted.iter().skip(ROWS_MAX).map(|(_, group)| group.connections).sum();
        writeln!(
            text,
            "… and {} in {} more rows; `--flows` has all",
            counted(rest, "connection"),
            sorted.len() - ROWS_MAX
        )
        .unwrap_or_default();
    }
    text.push('\n');
}

const fn rank(says: Says) -> Option<Rank> {
    match says {
        Says::Deny(rank, _) => Some(rank),
        Says::NotYet | Says::Allow | Says::Outside(_) => None,
    }
}

fn row(key: &Key, group: &Group, model: &Model) -> Vec<String> {
    let port = key.port.map(|port| format!(":{port}")).unwrap_or_default();
    let inferred =
        if group.inferred > 0 { format!(" ({} inferred)", group.inferred) } else { String::new() };
    vec![
        format!("{:>11}", group.connections),
        key.says.code().to_owned(),
        key.leg.code().to_owned(),
        key.from.to_string(),
        format!("{}{port} {}", key.to, protocol_code(key.protocol)),
        group.bytes.to_string(),
        local(group.at, model.timezone),
        format!("{}:{}", short(&group.file), group.packet),
        format!("{}{inferred}", words(key, group, model)),
    ]
}

/// What is said in Japanese: the clause of the guardrail, whose connection it is.
fn words(key: &Key, group: &Group, model: &Model) -> String {
    let title = |party: &Party| match party {
        Party::System(name) => model.systems.get(name).and_then(|system| system.title.clone()),
        Party::Named(_) | Party::Address(_) | Party::Appliance | Party::Various => None,
    };
    let guardrail = group.broken.as_ref().map(|(name, clause)| match clause {
        Some(clause) => format!("{name} {clause}"),
        None => (*name).to_owned(),
    });
    let parts = [guardrail, title(&key.from).or_else(|| title(&key.to))];
    parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

impl Table {
    fn render(&self, text: &mut String, colour: bool) {
        let columns = self.rows.iter().map(|(cells, _)| cells.len()).max().unwrap_or(0);
        let wide = |column: usize| {
            let cells = self.rows.iter().filter_map(move |(cells, _)| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.saturating_sub(1)).map(wide).chain([0]).collect();
        for (cells, rank) in &self.rows {
            let line: Vec<_> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let line = line.join("  ");
            let line = line.trim_end();
            let bold = colour && matches!(rank, Some(Rank::Reverse | Rank::Guarded));
            let red = colour && rank.is_some();
            let painted = match (bold, red) {
                (true, _) => format!("\u{1b}[1;31m{line}\u{1b}[0m"),
                (false, true) => format!("\u{1b}[31m{line}\u{1b}[0m"),
                (false, false) => line.to_owned(),
            };
            writeln!(text, "{painted}").unwrap_or_default();
        }
    }
}

fn ledger(text: &mut String, found: &Reconciled, zone: Zone) {
    let Reconciled { entries, matched, recorded, .. } = *found;
    writeln!(
        text,
        "ledger: {} of this time, {matched} with their packets; {recorded} of {} that are due are recorded",
        counted_as(entries, "entry", "entries"),
        counted(recorded + found.bypassed, "connection"),
    )
    .unwrap_or_default();
    for (count, what) in [
        (found.elsewhere, "entries speak of a leg that this capture does not show"),
        (found.gaps, "gap entries: the ledger itself lost something"),
        (found.damaged, "lines of the ledger could not be read"),
        (
            found.pruned,
            "segments of the ledger are gone in their time, and the capture reaches back to them",
        ),
        (found.beyond, "connections were too many to be compared"),
    ] {
        if count > 0 {
            writeln!(text, "  {count} {what}").unwrap_or_default();
        }
    }
    if found.bypassed > 0 {
        writeln!(text, "  on the wire without an entry (bypass): {}", found.bypassed)
            .unwrap_or_default();
        found.bypasses.iter().take(EXAMPLES_MAX).for_each(|it| bypass(text, it, zone));
    }
    if found.unseen > 0 {
        writeln!(text, "  entries without packets: {}", found.unseen).unwrap_or_default();
        found.missing.iter().take(EXAMPLES_MAX).for_each(|it| missing(text, it, zone));
    }
    text.push('\n');
}

fn bypass(text: &mut String, it: &Unrecorded, zone: Zone) {
    let (at, protocol, leg) = (local(it.at, zone), protocol_code(it.protocol), it.leg.code());
    let Unrecorded { initiator, responder, packet, .. } = it;
    writeln!(
        text,
        "    {at}  {leg:<8}  {initiator} > {responder} {protocol}  {}:{packet}",
        short(&it.file)
    )
    .unwrap_or_default();
}

fn missing(text: &mut String, it: &Unseen, zone: Zone) {
    let (at, leg) = (local(it.at, zone), it.leg.code());
    let Unseen { initiator, responder, boot, seq, .. } = it;
    writeln!(text, "    {at}  {leg:<8}  {initiator} > {responder}  #{boot}-{seq}")
        .unwrap_or_default();
}

fn coverage(text: &mut String, coverage: &Coverage) {
    let outside: u64 = coverage.files.iter().map(FileCoverage::outside).sum();
    writeln!(
        text,
        "coverage: {} in {}: {} judged, {} outside the law{}, {} unjudged{}",
        counted(coverage.packets(), "packet"),
        counted_as(coverage.files.len() as u64, "file", "files"),
        coverage.judged(),
        outside,
        listed(json::summed(coverage.files.iter().map(|file| file.outside.clone()))),
        coverage.unjudged(),
        listed(json::summed(coverage.files.iter().map(json::unjudged))),
    )
    .unwrap_or_default();
    for (count, what) in [
        (
            coverage.gaps,
            format!("holes in streams, {} bytes that were never captured", coverage.gap_bytes),
        ),
        (coverage.cut_short, "connections handed on early: the table was full".to_owned()),
        (coverage.skipped_bytes, "bytes of streams not looked into: a buffer was full".to_owned()),
    ] {
        if count > 0 {
            writeln!(text, "  {count} {what}").unwrap_or_default();
        }
    }
    coverage.files.iter().for_each(|file| flaws(text, file));
}

/// What a file lacks, each on a line.
fn flaws(text: &mut String, file: &FileCoverage) {
    let fault = file.fault.as_ref().map(FileFault::as_str);
    let drops = file.drops.unwrap_or(0);
    let said = [
        fault.map(|fault| format!("reading ended early: {fault}")),
        (file.tail_bytes > 0)
            .then(|| format!("{} bytes at its end are no whole record", file.tail_bytes)),
        (drops > 0).then(|| format!("{} lost by the capturing program", counted(drops, "packet"))),
        (file.shortened > 0)
            .then(|| format!("{} captured only in part", counted(file.shortened, "packet"))),
        (file.clock_steps > 0).then(|| format!("its clock went back {} times", file.clock_steps)),
    ];
    for what in said.into_iter().flatten() {
        writeln!(text, "  {}: {what}", short(&file.file)).unwrap_or_default();
    }
}

fn last_line(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let violations = counted(outcome.violations(), "violation");
    let rest = format!(
        "{} judged: {} allowed, {} not yet, {} outside the law",
        counted(tally.connections, "connection"),
        tally.allowed,
        tally.not_yet,
        tally.outside.values().sum::<u64>(),
    );
    let policy =
        outcome.policy.as_ref().map(|digest| format!("; policy {digest}")).unwrap_or_default();
    match (outcome.violations(), outcome.is_complete()) {
        (0, true) => format!("clean: {rest}{policy}"),
        (0, false) => format!("incomplete: no violation in what could be seen; {rest}{policy}"),
        (_, true) => format!("{violations}; {rest}{policy}"),
        (_, false) => format!("{violations}, and incomplete; {rest}{policy}"),
    }
}

fn listed(counts: std::collections::BTreeMap<&'static str, u64>) -> String {
    let all: Vec<_> =
        counts.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{what} {n}")).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// The file's own name, without what a terminal could take for a command.
fn short(file: &str) -> String {
    let name =
        Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    let plain = |c: char| !c.is_control() && !is_direction(c);
    name.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}

/// Whether it turns the direction of the text behind it (UAX #9 §2).
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn counted(number: u64, what: &str) -> String {
    counted_as(number, what, &format!("{what}s"))
}

fn counted_as(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
