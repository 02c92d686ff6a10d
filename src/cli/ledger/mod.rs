//! `sekisho ledger …`: what the sub-commands share, which ledger and which key. Each has its own file.

mod key;
mod prometheus;
mod proof;
mod redecide;
mod seal;
mod show;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Config, NOT_RUN, complain};
use crate::appliance::{self, Appliance};
use crate::ledger::note::VerifierKey;
use crate::yaml::SourceFile;

/// What is done with it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prove that a ledger is what it was, or name the first damaged place
    Verify(verify::Arguments),
    /// Show entries
    Show(show::Arguments),
    /// Write one entry with the proof that it is in the ledger
    Prove(proof::Arguments),
    /// Check such a proof; needs nothing but the public key
    VerifyProof(proof::Check),
    /// Show the public key that checkpoints are verified with
    Key(key::Arguments),
    /// End this box's ledger: a final checkpoint, and the signing key is destroyed
    Seal(seal::Arguments),
}

/// Runs it; 2 where it could not run.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let outcome = match &arguments.what {
        What::Verify(arguments) => verify::run(arguments),
        What::Show(arguments) => show::run(arguments),
        What::Prove(arguments) => proof::run(arguments),
        What::VerifyProof(arguments) => proof::check(arguments),
        What::Key(arguments) => key::run(arguments),
        What::Seal(arguments) => seal::run(arguments),
    };
    outcome.unwrap_or_else(|text| {
        complain(&text);
        ExitCode::from(NOT_RUN)
    })
}

/// Why something could not run, for people.
pub(super) type Trouble = String;

/// Which ledger.
#[derive(Debug, Args)]
struct Which {
    /// The ledger's directory; that of the box file where it is left out
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
}

impl Which {
    /// The directory, which must be there.
    fn directory(&self) -> Result<PathBuf, Trouble> {
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => self.config.read()?.ledger.directory,
        };
        let is_there = directory.is_dir();
        is_there
            .then(|| directory.clone())
            .ok_or_else(|| format!("there is no ledger directory `{}`", directory.display()))
    }
}

impl Config {
    /// The box.
    pub(super) fn read(&self) -> Result<Appliance, Trouble> {
        let bytes = fs::read(&self.file).map_err(|error| {
            format!("cannot read the box file `{}`: {error}", self.file.display())
        })?;
        let name = self.file.display().to_string().into();
        appliance::understand(&SourceFile { name, bytes: bytes.into() })
            .map_err(|faults| faults.render(false))
    }
}

/// A key as it is given: the text itself or a file that holds it.
pub(super) fn given_key(text: &str) -> Result<VerifierKey, Trouble> {
    let path = Path::new(text);
    let text = if path.is_file() {
        fs::read_to_string(path).map_err(|error| format!("cannot read `{text}`: {error}"))?
    } else {
        text.to_owned()
    };
    VerifierKey::parse(text.trim()).map_err(|error| {
        format!("`{}` is no public key `name+hash+base64`, nor a file of one: {error}", text.trim())
    })
}
