//! `sekisho nft`: the law as an nftables ruleset, for what never reaches the proxy.

use std::process::ExitCode;

use clap::Args;

use super::{Config, NOT_RUN, complain, show};
use crate::policy::nftables::{self, Kernel};
use crate::source;

/// Whose law, and what the kernel has to know besides.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// The user that the proxy runs as, a name or a number
    #[arg(long, value_name = "USER", default_value = "sekisho", value_parser = user)]
    user: String,
    /// An interface of the union's side on which only listeners are reachable; may be given several times
    #[arg(long = "union", value_name = "INTERFACE")]
    union: Vec<String>,
}

/// A name that needs no quotes in a ruleset.
fn user(text: &str) -> Result<String, String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if !text.is_empty() && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err("a user is letters, digits, `_` and `-`".to_owned())
}

/// Prints it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let kernel = Kernel { user: arguments.user.clone(), union: arguments.union.clone() };
    match source::load_texts(&arguments.config.file) {
        Ok((appliance, law)) => {
            show(nftables::ruleset(law.engine.model(), &appliance, &kernel).trim_end());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            complain(&faults.render(false));
            ExitCode::from(NOT_RUN)
        }
    }
}
