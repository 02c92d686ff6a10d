//! `sekisho ledger key`: the public half of the key that signs checkpoints.

use std::process::ExitCode;

use clap::Args;

use super::Trouble;
use crate::appliance::Appliance;
use crate::cli::{Config, show};
use crate::ledger;
use crate::ledger::note::VerifierKey;

/// Shows the public key, `name+hash+base64`. Keep it elsewhere: with it, and the ledger's directory, anybody can verify.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// Shows it.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    show(&of_box(&arguments.config.read()?)?.to_string());
    Ok(ExitCode::SUCCESS)
}

/// The box's own.
pub(super) fn of_box(appliance: &Appliance) -> Result<VerifierKey, Trouble> {
    ledger::verifier(&appliance.state).map_err(|error| error.to_string())
}
