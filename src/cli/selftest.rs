//! `sekisho selftest`: asks the daemon to try its guardrails, waits, shows what operated.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::call::Daemon;
use super::{Format, show};
use crate::service::SelfTested;
use crate::service::control::Answer;

/// Longer than any self-test: the daemon ends one that takes longer than a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// Tries the guardrails of the law in force on the data path's own code, between stand-ins on this machine. Nothing is
/// sent to a real endpoint; each result is an entry of the ledger.
///
/// Exit codes: 0 every control operated; 1 one did not, or it could not be tried; 2 no daemon answers.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    daemon: Daemon,

    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Asks and shows.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let field = |answer: &mut Answer| answer.selftest.take();
    let tested = match arguments.daemon.ask("selftest", PATIENCE, field, 1) {
        Ok(tested) => tested,
        Err(code) => return code,
    };
    match arguments.format {
        Format::Text => show(&tested.text()),
        Format::Json => show(&json(&tested)),
    }
    if tested.is_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// With its format in front; a self-test holds texts and numbers only, which always have a JSON form.
fn json(tested: &SelfTested) -> String {
    #[derive(serde::Serialize)]
    struct Document<'a> {
        format: &'static str,
        passed: bool,
        #[serde(flatten)]
        tested: &'a SelfTested,
    }
    let passed = tested.is_passed();
    let document = Document { format: "sekisho.selftest/1", passed, tested };
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
