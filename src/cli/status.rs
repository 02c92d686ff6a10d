//! `sekisho status`: what the daemon says of itself.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::call::Daemon;
use super::{Format, NOT_RUN, complain, show};
use crate::service::Report;

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
    let answer = match arguments.daemon.call("status", PATIENCE) {
        Ok(answer) => answer,
        Err(code) => return code,
    };
    match (answer.status, arguments.format) {
        (Some(report), Format::Text) => show(report.text().trim_end()),
        (Some(report), Format::Json) => show(&json(&report)),
        (None, _) => {
            complain(answer.message.as_deref().unwrap_or("the daemon gave an answer without a report"));
            return ExitCode::from(NOT_RUN);
        }
    }
    ExitCode::SUCCESS
}

fn json(report: &Report) -> String {
    // A report holds texts and numbers only, which always have a JSON form.
    serde_json::to_string_pretty(report).unwrap_or_default()
}
