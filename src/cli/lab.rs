//! `sekisho lab`: the whole system on this machine, no root.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{NOT_RUN, complain};
use crate::lab::{self, Options};

/// How it is run.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// End when everything has been tried, instead of staying up with the status page
    #[arg(long)]
    once: bool,
    /// Where law, box, certificates and ledger are written and stay; must be empty or not there yet
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs it; exit code 0 all as expected, 1 not, 2 could not run.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let options = Options { once: arguments.once, directory: arguments.directory.clone() };
    match lab::run(&options, &mut io::stdout()) {
        Ok(as_expected) => ExitCode::from(u8::from(!as_expected)),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(NOT_RUN)
        }
    }
}
