//! `sekisho run`: the daemon. Sets up what belongs to the process (log, signals, service manager) and hands over.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use clap::Args;

use super::{Config, NOT_RUN, colour, complain};
use crate::service::{self, Inherited, Options, Supervisor, log};
use crate::source::Pin;

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP reads law and certificates again.
///
/// Exit codes: 0 stopped in order; 1 could not start or go on, starting again may help; 2 law or box are faulty and
/// none was ever accepted, or the ledger is damaged.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,

    /// The SHA-256 that the council's file must have: `sha256:…`; another one is never put in force
    #[arg(long, value_name = "DIGEST", value_parser = Pin::parse)]
    guardrails: Option<Pin>,

    /// Worker threads of the data path; one per core where not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match options(arguments).and_then(|options| service::run(options).map_err(Failure::Service)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Service(error)) => {
            complain(&said(&error));
            error.exit_code()
        }
        Err(Failure::Process(message)) => {
            complain(&message);
            ExitCode::from(NOT_RUN)
        }
    }
}

/// Why the service ended; faults as `check` shows them.
fn said(error: &service::Error) -> String {
    match error {
        service::Error::Faulty(faults) => {
            let faults = faults.render(colour() && stderr().is_terminal());
            format!("not started: the law is not sound, and none was ever accepted\n\n{faults}")
        }
        service::Error::Ledger(_)
        | service::Error::Bind { .. }
        | service::Error::Io { .. }
        | service::Error::Died { .. } => error.to_string(),
    }
}

enum Failure {
    /// Before the service began.
    Process(String),
    /// It could not start, or not go on.
    Service(service::Error),
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    let process = |error: &dyn std::fmt::Display| Failure::Process(error.to_string());
    log::init(colour()).map_err(|error| process(&error))?;
    let mut options = Options::new(&arguments.config.file);
    options.supervisor = Supervisor::from_environment().map_err(|error| process(&error))?;
    options.inherited = Inherited::from_environment().map_err(|error| process(&error))?;
    options.signals = true;
    options.guardrails.clone_from(&arguments.guardrails);
    options.workers = arguments.workers.map_or(options.workers, usize::from);
    Ok(options)
}
