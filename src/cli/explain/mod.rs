//! `sekisho explain`: what the law says of one flow, why, and the smallest edit that would change the answer.

mod asked;
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
    /// The moment that is asked about (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
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
    notes: Vec<String>,
}

impl<'a> Told<'a> {
    fn of(law: &'a Written, asked: &Asked, at: Timestamp, notes: Vec<String>) -> Self {
        let explanation = explain::explain(&law.engine, asked, at);
        let proposal =
            explain::propose(&law.files, law.appliance.as_ref(), &law.engine, (asked, at));
        Self { law, at, explanation, proposal, notes }
    }

    fn render(&self, format: Format) -> String {
        match format {
            Format::Text => text::render(self),
            Format::Json => format!("{:#}", json::render(self)),
        }
    }
}

/// Explains; exit code 0 allow, 1 deny, 2 could not run.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match explained(arguments) {
        Ok((text, refused)) => {
            show(text.trim_end());
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
    let at = arguments.at.unwrap_or_else(now);
    let (asked, notes) = arguments.facts.read(&law, at)?;
    let told = Told::of(&law, &asked, at, notes);
    let refused = matches!(told.explanation.verdict, Verdict::Deny(_));
    Ok((told.render(arguments.format), refused))
}

#[expect(clippy::disallowed_methods, reason = "this is the edge: the one reading of the clock of this command")]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[cfg(test)]
mod tests;
