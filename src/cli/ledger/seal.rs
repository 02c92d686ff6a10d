//! `sekisho ledger seal`: the end of a box's life.

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use super::Trouble;
use crate::cli::{Config, NOT_RUN, complain, show};
use crate::flow::Timestamp;
use crate::ledger::note::encode;
use crate::ledger::seal::{Sealing, seal};
use crate::ledger::{PolicyDigest, Settings};
use crate::source::Archive;

/// Records the disposal, signs a final checkpoint and destroys the signing key. There is no way back: this box writes
/// no more into this ledger, which can still be verified and shown. Stop the service first.
///
/// Exit codes: 0 sealed; 2 not: the text says how far it came.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// The box's name, as the box file has it: so that no other box's ledger is sealed by mistake
    #[arg(long, value_name = "NAME")]
    confirm: String,
}

/// Seals.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge: the one reading of the clock of this command"
)]
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let appliance = arguments.config.read()?;
    if arguments.confirm != appliance.name.as_str() {
        return Err(format!("this box is `{}`, not `{}`", appliance.name, arguments.confirm));
    }
    let at = Timestamp::from(SystemTime::now());
    // A box that never accepted a law has the digest of nothing.
    let policy = Archive::open(&appliance.state).last_accepted().unwrap_or(PolicyDigest([0; 32]));
    let uid = rustix::process::getuid().as_raw();
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let settings = Settings::new(&appliance, at);
    match runtime.block_on(seal(settings, Sealing { at, policy, uid, pid })) {
        Ok(last) => {
            let root = encode(&last.root.0);
            show(&format!(
                "sealed: {} entries, signing key destroyed\nkeep elsewhere: {}:{root}\norigin: {}",
                last.size, last.size, last.origin
            ));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            complain(&error.to_string());
            Ok(ExitCode::from(NOT_RUN))
        }
    }
}
