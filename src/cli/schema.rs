//! `sekisho schema`: the files' format as JSON Schema, for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::show;
use crate::appliance;
use crate::policy;

/// Which file.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whose schema
    #[arg(value_enum, default_value = "law")]
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// A file of the law
    Law,
    /// The box file
    Box,
}

/// Prints it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let schema = match arguments.of {
        Of::Law => policy::schema(),
        Of::Box => appliance::schema(),
    };
    show(&format!("{schema:#}"));
    ExitCode::SUCCESS
}
