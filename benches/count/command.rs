//! What can be asked for on the command line. The setting is the one of `benches/edge`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::argument::{Setting, Upstream};
use crate::case::Case;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "count",
    about = "counts instructions and compares them with the baseline; exit code 1 where one is worse by more than 5 %",
    args_conflicts_with_subcommands = true
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) helper: Option<Helper>,
    /// Only these cases.
    #[arg(value_enum)]
    pub(crate) cases: Vec<Case>,
    /// Writes what was counted as the new baseline.
    #[arg(long)]
    pub(crate) write: bool,
    /// Shows the functions that cost most instead of comparing.
    #[arg(long)]
    pub(crate) profile: bool,
    /// Shows instead how the cost of a request grows with rules, prefixes and connections, and draws it into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) scale: Option<PathBuf>,
    /// Shows instead the processor time of a request with one worker and with two.
    #[arg(long)]
    pub(crate) workers: bool,
    /// Writes instead the linker's script that lays the functions of a request side by side.
    #[arg(long)]
    pub(crate) layout: bool,
    /// Where that script is.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/layout/request.ld"))]
    pub(crate) script: PathBuf,
    /// How many functions a profile lists.
    #[arg(long, default_value_t = 40)]
    pub(crate) top: usize,
    /// How often each case is counted.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// The committed counts.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/count/baseline.json"))]
    pub(crate) baseline: PathBuf,
    #[command(flatten)]
    pub(crate) setting: Setting,
    /// What `cargo bench` adds to every bench.
    #[arg(long = "bench", hide = true, global = true)]
    _bench: bool,
}

/// The helpers that run as processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Helper {
    #[command(hide = true)]
    Upstream(Upstream),
    #[command(hide = true)]
    Inside(Inside),
}

/// Work that needs no proxy: done once for each line of standard input.
#[derive(Debug, Args)]
pub(crate) struct Inside {
    /// What is done.
    #[arg(value_enum)]
    pub(crate) case: Case,
    /// The box file.
    #[arg(long)]
    pub(crate) appliance: PathBuf,
}

impl Arguments {
    /// The cases that were asked for; all where none was named.
    pub(crate) fn cases(&self) -> Vec<Case> {
        if self.cases.is_empty() { Case::ALL.to_vec() } else { self.cases.clone() }
    }
}
