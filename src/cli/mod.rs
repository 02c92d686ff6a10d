//! The command line: one file a sub-command, each with its `Args` and its `run`. The only place that prints.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Declares the sub-commands: a line each, named like its file.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident $file:ident)+) => {
        $(mod $file;)+

        #[derive(Debug, Subcommand)]
        enum Command { $($(#[$doc])* $name($file::Arguments),)+ }

        impl Command {
            fn run(self) -> ExitCode {
                match self { $(Self::$name(arguments) => $file::run(&arguments),)+ }
            }
        }
    };
}

mod call;
mod law;
mod moment;
mod recorded;
mod replay;

commands! {
    /// Judge recorded traffic by the law, and say how much could be judged
    Capture capture
    /// Check a law: faults, proofs, warnings, scenarios
    Check check
    /// Compare two laws by what they answer: what becomes allowed, what refused
    Diff diff
    /// Explain what the law says of one flow, and the smallest edit that would change it
    Explain explain
    /// Run the whole system on this machine, without root, and try it
    Lab lab
    /// Verify, show and prove what the audit ledger holds
    Ledger ledger
    /// Print the law as an nftables ruleset, for what never reaches the proxy
    Nft nft
    /// Explain a reason code, in Japanese and English
    Reason reason
    /// Run the daemon
    Run run
    /// Put the law on disk in force, and wait for the outcome
    Reload reload
    /// Write the council's report of a period, one HTML file
    Report report
    /// Print the format of the files as JSON Schema, for editors
    Schema schema
    /// Try the guardrails for real, and record that they operated
    Selftest selftest
    /// Show how the daemon stands
    Status status
}

/// A checkpoint for the line between a public insurance union and the national intermediate server.
#[derive(Debug, Parser)]
#[command(name = "sekisho", version, about)]
struct Root {
    #[command(subcommand)]
    command: Command,
}

/// Runs what the command line asks for. Exit code 2 is always "could not run".
pub fn main() -> ExitCode {
    Root::parse().command.run()
}

/// Could not run: what was asked for makes no sense or cannot be reached.
const NOT_RUN: u8 = 2;

/// The box file.
#[derive(Debug, Args)]
struct Config {
    /// The box file, which names the law
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "/etc/sekisho/appliance.yaml"
    )]
    file: PathBuf,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Whether results are coloured: on a terminal, unless `NO_COLOR` says no (<https://no-color.org>).
fn colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| value != OsStr::new(""));
    io::stdout().is_terminal() && !refused
}

/// Writes a result. A reader that went away (`| head`) is no mistake of ours.
fn show(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// Writes what is no result: why something could not be done.
fn complain(text: &str) {
    drop(writeln!(io::stderr(), "sekisho: {text}"));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Root;

    #[test]
    fn the_command_line_is_well_formed() {
        Root::command().debug_assert();
    }
}
