//! `sekisho explain`: what the law says of one flow, why, and the smallest edit that would change the answer.

mod asked;
mod entry;
pub(super) mod json;
mod text;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use super::law::{Which, Written};
use super::{Format, NOT_RUN, complain, show};
use crate::flow::Timestamp;
use crate::policy::explain::{self, Asked, Explanation, Proposal};
use crate::verdict::Verdict;

/// Explains what the law says of a flow. Facts that are not given take the most favourable value, as in scenarios.
///
/// Exit codes: 0 it may pass, or nothing refuses it so far; 1 it is refused; 2 the question could not be answered.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    facts: asked::Facts,
    #[command(flatten)]
    entry: entry::Reference,
    /// The moment that is asked about (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write only the edit, as `patch -p0` takes it (`patch -p1 -d /` where the law is named from the root)
    #[arg(long, conflicts_with = "format")]
    patch: bool,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Everything that is told.
struct Told<'a> {
    law: &'a Written,
    at: Timestamp,
    explanation: Explanation,
    proposal: Proposal,
    /// The edit as a unified diff.
    diff: String,
    past: Option<Past>,
    notes: Vec<String>,
}

/// What an entry of the ledger adds.
struct Past {
    found: entry::Found,
    /// What the law on disk says of the same today.
    today: Verdict,
    /// Whether that is the law that judged it; `None` where that one is not at hand.
    same_law: Option<bool>,
}

impl<'a> Told<'a> {
    fn of(law: &'a Written, asked: &Asked, at: Timestamp, notes: Vec<String>) -> Self {
        let explanation = explain::explain(&law.engine, asked, at);
        let proposal =
            explain::propose(&law.files, law.appliance.as_ref(), &law.engine, (asked, at));
        let diff = explain::unified(&law.files, &proposal.hunks);
        Self { law, at, explanation, proposal, diff, past: None, notes }
    }

    fn render(self, arguments: &Arguments) -> String {
        if arguments.patch {
            return self.diff;
        }
        match arguments.format {
            Format::Text => text::render(&self),
            Format::Json => format!("{:#}", json::render(&self)),
        }
    }
}

/// Explains; exit code 0 allow, 1 deny, 2 could not run.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match explained(arguments) {
        Ok((text, refused)) => {
            // A patch has line ends of its own, and may be none.
            if !text.is_empty() {
                show(text.trim_end_matches('\n'));
            }
            ExitCode::from(u8::from(refused))
        }
        Err(message) => {
            complain(&message);
            ExitCode::from(NOT_RUN)
        }
    }
}

/// The text, and whether the flow is refused.
fn explained(arguments: &Arguments) -> Result<(String, bool), String> {
    let law = arguments.which.read().map_err(|faults| faults.render(false))?;
    if arguments.entry.is_asked() {
        return recorded(arguments, &law);
    }
    let at = arguments.at.unwrap_or_else(now);
    let (asked, mut notes) = arguments.facts.read(&law, at)?;
    notes.extend(unkept(&law));
    Ok(told(Told::of(&law, &asked, at, notes), arguments))
}

/// That such a law is not put in force.
fn unkept(law: &Written) -> Option<String> {
    let failing = law.failing.errors();
    (failing > 0).then(|| {
        format!("{failing} of its scenarios do not hold: `sekisho check` shows them, and no box takes it")
    })
}

fn told(told: Told<'_>, arguments: &Arguments) -> (String, bool) {
    let refused = matches!(told.explanation.verdict, Verdict::Deny(_));
    (told.render(arguments), refused)
}

/// An entry of the ledger: the road by the law then, the edit of the law now.
fn recorded(arguments: &Arguments, law: &Written) -> Result<(String, bool), String> {
    let found = arguments.entry.find(law)?;
    let mut notes: Vec<_> = unkept(law).into_iter().collect();
    let then = found
        .law_then(law)
        .map_err(|why| notes.push(format!("{why}; judged by the law on disk")))
        .ok();
    let judge = then.as_ref().unwrap_or(law);
    let (asked, at) = (found.asked(judge), found.record.at);
    let explanation = explain::explain(&judge.engine, &asked, at);
    if found.recorded() != explanation.verdict.reason() {
        notes.push(format!("the ledger says `{}`", found.said()));
    }
    if found.masked {
        notes.push("what was masked may be something that a law names".to_owned());
    }
    let current = found.asked(law);
    let today = current.verdict(&law.engine, now());
    let proposal =
        explain::propose(&law.files, law.appliance.as_ref(), &law.engine, (&current, now()));
    let same_law = then.as_ref().map(|then| then.digest == law.digest);
    let past = Some(Past { found, today, same_law });
    let diff = explain::unified(&law.files, &proposal.hunks);
    Ok(told(Told { law: judge, at, explanation, proposal, diff, past, notes }, arguments))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge: the one reading of the clock of this command"
)]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[cfg(test)]
mod tests;
