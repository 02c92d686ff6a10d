//! `sekisho status`: what the daemon says of itself.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::call::Daemon;
use super::{Format, NOT_RUN, show};
use crate::service::Report;
use crate::service::control::Answer;

const PATIENCE: Duration = Duration::from_secs(15);

/// Shows the law in force, the last reload, connections, ledger, endpoints and what ends soon.
///
/// Exit codes: 0 shown; 2 no daemon answers.
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
    let field = |answer: &mut Answer| answer.status.take();
    let report = match arguments.daemon.ask("status", PATIENCE, field, NOT_RUN) {
        Ok(report) => report,
        Err(code) => return code,
    };
    match arguments.format {
        Format::Text => show(report.text().trim_end()),
        Format::Json => show(&json(&report)),
    }
    ExitCode::SUCCESS
}

fn json(report: &Report) -> String {
    // A report holds texts and numbers only, which always have a JSON form.
    serde_json::to_string_pretty(report).unwrap_or_default()
}
