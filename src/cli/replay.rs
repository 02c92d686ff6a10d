//! Recorded traffic under two laws: which of it would be treated otherwise. What was masked is tried as everything that
//! it may have been; where that makes a difference, nobody can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::law::Written;
use super::recorded::{agreed, each, policy};
use crate::flow::{Flow, Path as RequestPath, Request, ServerName, Timestamp};
use crate::ledger::Record;
use crate::ledger::recall::Recalled;
use crate::policy::Model;
use crate::policy::compare::Difference;
use crate::policy::model::SegmentPattern;
use crate::verdict::Verdict;

/// The most readings of a masked path that are tried.
const READINGS_MAX: usize = 256;
/// The most kinds of traffic that are told apart.
const KINDS_MAX: usize = 10_000;

/// What recorded traffic comes to.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// The judged entries that were looked at, and the time from the first to the last.
    entries: u64,
    span: Option<(Timestamp, Timestamp)>,
    unread: u64,
    /// Traffic that would be treated otherwise, and traffic of which it cannot be told.
    other: BTreeMap<Kind, Count>,
    untold: BTreeMap<Kind, Count>,
    /// Entries beyond the kinds that are told apart.
    beyond: u64,
}

/// Traffic that is told as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    from: String,
    to: String,
    asks: String,
    becomes: String,
}

/// How often, and the last entry.
#[derive(Debug, Default)]
struct Count {
    times: u64,
    last: String,
}

/// Asks both laws about everything in a ledger.
pub(super) fn replay(
    directory: &Path,
    (old, new): (&Written, &Written),
    difference: &Difference,
) -> Result<Replayed, String> {
    let mut replayed = Replayed::default();
    let trial = Trial { old, new, difference };
    let unread = each(directory, |record, recalled| {
        if let Some(recalled) = recalled {
            replayed.take(record, &recalled, &trial);
        }
    });
    replayed.unread =
        unread.map_err(|error| format!("ledger `{}`: {error}", directory.display()))?;
    Ok(replayed)
}

/// Two laws before recorded traffic.
struct Trial<'a> {
    old: &'a Written,
    new: &'a Written,
    difference: &'a Difference,
}

impl Trial<'_> {
    /// Whether the laws differ about it; `None` where it depends on what was masked.
    fn differs(&self, record: &Record, recalled: &Recalled) -> Option<bool> {
        // Of names that both laws could know nothing is left but their length.
        if recalled.masked_name
            && [self.old, self.new].iter().any(|law| has_long_names(law.engine.model()))
        {
            return None;
        }
        let readings = self.readings(record, recalled)?;
        let answers: BTreeSet<bool> = readings.iter().map(|flow| self.contains(flow)).collect();
        match (answers.contains(&true), answers.contains(&false)) {
            (true, true) => None,
            (differs, _) => Some(differs),
        }
    }

    /// A law agrees on an application protocol, and two laws may on two.
    fn contains(&self, flow: &Flow) -> bool {
        let under = |law: &Written| self.difference.contains(&agreed(&law.engine, flow));
        under(self.old) || under(self.new)
    }

    /// What the flow may have been; `None` where that is too much.
    fn readings(&self, record: &Record, recalled: &Recalled) -> Option<Vec<Flow>> {
        let Some(request) = recalled.flow.request.as_ref().filter(|_| recalled.masked_path) else {
            return Some(vec![recalled.flow.clone()]);
        };
        let known = self.literals_then(record);
        let mut texts = vec![String::new()];
        for (depth, segment) in request.path.segments().enumerate() {
            let mut choices = BTreeSet::from([segment.to_owned()]);
            if segment == "*" {
                let models = [self.old, self.new].map(|law| law.engine.model());
                choices.extend(
                    models
                        .iter()
                        .flat_map(|model| literals(model, Some(depth)))
                        .filter(|it| !known.contains(it)),
                );
            }
            texts = texts
                .iter()
                .flat_map(|text| choices.iter().map(move |choice| format!("{text}/{choice}")))
                .collect();
            if texts.len() > READINGS_MAX {
                return None;
            }
        }
        let paths = texts.iter().filter_map(|text| RequestPath::parse(text).ok());
        let with = |path| Flow {
            request: Some(Request { path, ..request.clone() }),
            ..recalled.flow.clone()
        };
        Some(paths.map(with).collect())
    }

    /// The literals of the law that masked the path: none of them is behind a `*`.
    fn literals_then(&self, record: &Record) -> BTreeSet<String> {
        let then = policy(record);
        let law = [self.old, self.new].into_iter().find(|law| Some(law.digest) == then);
        law.map(|law| literals(law.engine.model(), None)).unwrap_or_default()
    }

    fn kind(&self, recalled: &Recalled) -> Kind {
        let flow = &recalled.flow;
        let system = self
            .new
            .engine
            .system_of(flow.source)
            .or_else(|| self.old.engine.system_of(flow.source));
        let asked = flow.hello.as_ref().map(|hello| match &hello.server_name {
            ServerName::Name(host) => host.to_string(),
            ServerName::Missing | ServerName::Unusable => "?".to_owned(),
        });
        let asks = flow.request.as_ref().map(|it| format!("{} {}", it.method, it.path));
        let [was, is] =
            [self.old, self.new].map(|law| law.engine.decide(&agreed(&law.engine, flow)));
        Kind {
            from: system.map_or_else(|| flow.source.to_string(), ToString::to_string),
            to: asked.unwrap_or_else(|| flow.to_address.to_string()),
            asks: asks.unwrap_or_default(),
            becomes: format!("{} → {}", answer(&was), answer(&is)),
        }
    }
}

fn answer(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(allowed) => format!("allowed by `{}`", allowed.rule),
        Verdict::Deny(denied) => format!("`{}`", denied.reason),
        Verdict::NotYet(_) => "let in".to_owned(),
    }
}

/// The literal segments of a law's patterns, at one depth or at any.
fn literals(model: &Model, depth: Option<usize>) -> BTreeSet<String> {
    let patterns =
        model.rules.values().filter_map(|rule| rule.http.as_ref()).flat_map(|http| &http.paths);
    let segments = patterns.flat_map(|pattern| pattern.segments.iter().enumerate());
    let here = segments.filter(|(at, _)| depth.is_none_or(|depth| depth == *at));
    here.filter_map(|(_, segment)| match segment {
        SegmentPattern::Literal(text) => Some(text.to_string()),
        SegmentPattern::Any => None,
    })
    .collect()
}

/// Whether a name of the law has as many digits as make them masked in names that are not.
fn has_long_names(model: &Model) -> bool {
    let many = |text: &str| text.chars().filter(char::is_ascii_digit).count() >= 8;
    let servers = |it: &crate::policy::model::System| {
        it.upstream.as_ref().is_some_and(|up| many(up.server_name.as_str()))
    };
    let mut systems = model.systems.values();
    systems
        .any(|it| servers(it) || it.identities.iter().any(|identity| many(&identity.to_string())))
}

impl Replayed {
    fn take(&mut self, record: &Record, recalled: &Recalled, trial: &Trial<'_>) {
        self.entries += 1;
        let first = self.span.map_or(record.at, |(first, _)| first.min(record.at));
        self.span = Some((first, self.span.map_or(record.at, |(_, last)| last.max(record.at))));
        let side = match trial.differs(record, recalled) {
            Some(false) => return,
            Some(true) => &mut self.other,
            None => &mut self.untold,
        };
        let kind = trial.kind(recalled);
        if side.len() >= KINDS_MAX && !side.contains_key(&kind) {
            self.beyond += 1;
            return;
        }
        let count = side.entry(kind).or_default();
        count.times += 1;
        count.last = record.reference();
    }

    /// Whether recorded traffic would be treated otherwise.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> =
            self.other.iter().map(|(kind, count)| line(kind, count, "")).collect();
        lines.extend(
            self.untold
                .iter()
                .map(|(kind, count)| line(kind, count, "cannot tell, it was masked: ")),
        );
        if self.beyond > 0 {
            lines.push(format!("{}× more of other kinds", self.beyond));
        }
        if self.unread > 0 {
            lines.push(format!("{} lines are no entries", self.unread));
        }
        let span =
            self.span.map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
        let none = if lines.is_empty() { "none " } else { "" };
        lines.push(format!("{none}of {} judged entries{span}", self.entries));
        lines
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let list = |side: &BTreeMap<Kind, Count>| {
            side.iter().map(|(kind, count)| json!({
                "from": kind.from, "to": kind.to, "asks": kind.asks, "becomes": kind.becomes,
                "times": count.times, "last": count.last,
            })).collect::<Vec<_>>()
        };
        json!({
            "entries": self.entries,
            "first": self.span.map(|(first, _)| first.to_string()),
            "last": self.span.map(|(_, last)| last.to_string()),
            "otherwise": list(&self.other),
            "cannot_tell": list(&self.untold),
            "beyond": self.beyond,
            "unread": self.unread,
        })
    }
}

fn line(kind: &Kind, count: &Count, note: &str) -> String {
    let asks = if kind.asks.is_empty() { String::new() } else { format!("  {}", kind.asks) };
    format!(
        "{}×  {} → {}{asks}  {note}{}  (last {})",
        count.times, kind.from, kind.to, kind.becomes, count.last
    )
}
