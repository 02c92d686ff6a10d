//! `sekisho ledger prove` and `verify-proof`: one entry that stands for itself.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Trouble, Which, given_key, key};
use crate::cli::{Config, Format, complain, show};
use crate::ledger::Record;
use crate::ledger::note::VerifierKey;
use crate::ledger::prove::{self, ProofError, Proven};

/// Writes one entry with its inclusion proof and the newest checkpoint (C2SP `tlog-proof`).
///
/// Exit codes: 0 written; 1 the ledger is not what was signed; 2 cannot be read; 3 no checkpoint covers it yet, or
/// it is gone in its time.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The entry's number, or its reference `BOOT-SEQ`
    #[arg(value_name = "SEQ", value_parser = seq)]
    seq: u64,
    #[command(flatten)]
    which: Which,
    /// The public key, or a file of it; the box's where it is left out
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Where it is written; to standard output where it is left out
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
}

fn seq(text: &str) -> Result<u64, String> {
    let (_, seq) = text.rsplit_once('-').unwrap_or(("", text));
    seq.parse().map_err(|_no_number| "a number such as `48213` or `17-48213` is due".to_owned())
}

/// Writes it.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let directory = arguments.which.directory()?;
    let key = key_of(arguments.key.as_deref(), &arguments.which.config)?;
    let proof = match prove::prove(&directory, &key, arguments.seq) {
        Ok(proof) => proof,
        Err(error) => return refused(&error),
    };
    match &arguments.output {
        Some(path) => fs::write(path, proof)
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?,
        None => show(proof.trim_end_matches('\n')),
    }
    Ok(ExitCode::SUCCESS)
}

fn refused(error: &ProofError) -> Result<ExitCode, Trouble> {
    let code = match error {
        ProofError::Io(_) => return Err(error.to_string()),
        ProofError::Unsigned(_) | ProofError::Pruned => 3,
        ProofError::Damaged | ProofError::Malformed | ProofError::Note(_) | ProofError::Wrong => 1,
    };
    complain(&error.to_string());
    Ok(ExitCode::from(code))
}

/// The key that is given, else the box's.
pub(super) fn key_of(given: Option<&str>, config: &Config) -> Result<VerifierKey, Trouble> {
    match given {
        Some(text) => given_key(text),
        None => key::of_box(&config.read()?),
    }
}

/// Checks a proof by the public key alone, and shows the entry.
///
/// Exit codes: 0 the entry is in the ledger; 1 it is not, or the proof is not signed by the key; 2 cannot be read.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The proof
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key, or a file of it
    #[arg(long, value_name = "KEY")]
    key: String,
    /// How the entry is shown
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Checks it.
pub(super) fn check(arguments: &Check) -> Result<ExitCode, Trouble> {
    let path = arguments.file.display();
    let proof = fs::read_to_string(&arguments.file)
        .map_err(|error| format!("cannot read `{path}`: {error}"))?;
    match prove::check(&proof, &given_key(&arguments.key)?) {
        Ok(proven) => {
            show(&shown(&proven, arguments.format));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refused(&error),
    }
}

fn shown(proven: &Proven, format: Format) -> String {
    let line = String::from_utf8_lossy(&proven.line);
    let record = Record::parse(&proven.line);
    let size = proven.checkpoint.size;
    match (format, record) {
        (Format::Json, _) => line.into_owned(),
        (Format::Text, Some(record)) => {
            let origin = &proven.checkpoint.origin;
            format!("{record}\nproven: entry {} of the {size} signed by `{origin}`", proven.seq)
        }
        (Format::Text, None) => format!("{}\nproven: entry {}", line.escape_debug(), proven.seq),
    }
}

#[cfg(test)]
mod tests {
    use super::seq;

    #[test]
    fn an_entry_is_named_by_its_number_or_its_reference() {
        assert_eq!((seq("48213"), seq("17-48213")), (Ok(48213), Ok(48213)));
        assert!(seq("x").is_err());
    }
}
