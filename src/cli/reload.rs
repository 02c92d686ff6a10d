//! `sekisho reload`: asks the daemon to read box, law and certificates again, waits, shows the outcome.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::call::Daemon;
use super::show;
use crate::service::Reloaded;
use crate::service::control::Answer;

/// Longer than any reload: reading a law and judging every connection again is a matter of seconds.
const PATIENCE: Duration = Duration::from_mins(5);

/// Puts the law on disk in force, or says what is wrong with it; the old one then stays.
///
/// Exit codes: 0 in force; 1 refused; 2 no daemon answers.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    daemon: Daemon,
}

/// Asks and shows.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let field = |answer: &mut Answer| answer.reload.take();
    let reloaded = match arguments.daemon.ask("reload", PATIENCE, field, 1) {
        Ok(reloaded) => reloaded,
        Err(code) => return code,
    };
    if !reloaded.faults.is_empty() {
        show(&format!("{}\n", reloaded.faults.trim_end()));
    }
    show(&reloaded.sentence());
    code(&reloaded)
}

fn code(reloaded: &Reloaded) -> ExitCode {
    if reloaded.is_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
