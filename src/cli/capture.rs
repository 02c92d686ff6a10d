//! `sekisho capture`: recorded traffic by the same law, and how much of it could be judged.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use super::{Config, Format, NOT_RUN, colour, complain, show};
use crate::capture::judge::{Judge, Own};
use crate::capture::learn::Learned;
use crate::capture::reconcile::Witness;
use crate::capture::report::{Outcome, Shown, Survey, write_textfile};
use crate::capture::{self, Bounds, Input};
use crate::flow::Timestamp;
use crate::source::{self, ToJudge};
use crate::yaml::Faults;

/// Something was refused by the law, or went by the ledger.
const VIOLATIONS: u8 = 1;
/// Nothing was found, and something was not seen.
const INCOMPLETE: u8 = 3;
/// How often the progress is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// What is judged, by what law.
///
/// Each connection is judged for the time of its packets. Exit codes: 0 clean; 1 violations; 2 could not run;
/// 3 incomplete: no violation was found, and not everything could be judged.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// A law alone, without a box
    #[arg(short = 'p', long = "policies", value_name = "DIR", conflicts_with = "file")]
    policies: Option<PathBuf>,
    /// An address of the appliance, where no box file says it; may be given several times
    #[arg(long, value_name = "ADDR", requires = "policies", conflicts_with = "file")]
    appliance: Vec<IpAddr>,
    /// Compare with the ledger in this directory
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// Show every connection
    #[arg(long)]
    flows: bool,
    /// Propose rules, as YAML, for traffic that no rule covers
    #[arg(long, conflicts_with_all = ["flows", "format"])]
    learn: bool,
    /// How the result is written; `json` always has every connection
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also write the outcome as metrics, for the textfile collector of `node_exporter`
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Captures, pcap or pcapng, also compressed; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    captures: Vec<String>,
}

/// Judges them.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = law(arguments)
        .map_err(|faults| faults.render(false))
        .and_then(|law| judge(arguments, law));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            complain(&why);
            ExitCode::from(NOT_RUN)
        }
    }
}

fn law(arguments: &Arguments) -> Result<ToJudge, Faults> {
    match &arguments.policies {
        Some(directory) => source::load_law_to_judge(directory),
        None => source::load_to_judge(&arguments.config.file),
    }
}

fn judge(arguments: &Arguments, law: ToJudge) -> Result<u8, String> {
    if let Some(ledger) = &arguments.ledger {
        fs::read_dir(ledger).map_err(|error| no_ledger(ledger, &error))?;
    }
    let own = law.appliance.as_ref().map_or_else(|| Own::of_addresses(&arguments.appliance), Own::of_box);
    if own.is_unknown() {
        complain("no `--appliance` is named: every connection is judged as one that goes by it");
    }
    let digest = format!("{:.8}", law.digest);
    let judge = Judge::new(law.law.engine.model(), own, law.trust);
    let (outcome, learned) = survey(arguments, &judge, digest)?;
    if let Some(path) = &arguments.textfile {
        let failed = |error| format!("cannot write `{}`: {error}", path.display());
        write_textfile(&outcome, now(), path).map_err(failed)?;
    }
    let model = judge.engine().model();
    match (learned, arguments.format) {
        (Some(learned), _) => show(&learned.propose(&judge)),
        (None, Format::Json) => show(&outcome.json()),
        (None, Format::Text) => show(&outcome.text(model, colour())),
    }
    Ok(code(&outcome))
}

fn survey(
    arguments: &Arguments,
    judge: &Judge,
    digest: String,
) -> Result<(Outcome, Option<Learned>), String> {
    let inputs: Vec<_> = arguments.captures.iter().map(|word| Input::new(word)).collect();
    let mut progress = Progress::new(&inputs);
    let mut tell = |bytes, packets| progress.tell(bytes, packets);
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout());
    let mut survey = Survey::new(judge, shown(arguments), &mut out, &mut tell);
    survey.witness = arguments.ledger.as_ref().map(|_| Witness::default());
    survey.learned = arguments.learn.then(Learned::default);
    let coverage = capture::read(&inputs, &Bounds::default(), &mut survey);
    let Survey { tally, witness, learned, failed, .. } = survey;
    progress.end();
    let coverage = coverage.map_err(|error| error.to_string())?;
    written(failed.map_or_else(|| out.flush(), Err))?;
    let compared = witness.zip(arguments.ledger.as_ref()).map(|(witness, ledger)| {
        witness.compare(ledger).map_err(|error| no_ledger(ledger, &error))
    });
    let reconciled = compared.transpose()?;
    Ok((Outcome { coverage, tally, reconciled, policy: Some(digest) }, learned))
}

const fn shown(arguments: &Arguments) -> Shown {
    match (arguments.format, arguments.flows) {
        (Format::Json, _) => Shown::Json,
        (Format::Text, true) => Shown::Text,
        (Format::Text, false) => Shown::Nothing,
    }
}

/// A reader that went away (`| head`) is no mistake of ours; a full disk is.
fn written(outcome: io::Result<()>) -> Result<(), String> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write the result: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn code(outcome: &Outcome) -> u8 {
    match (outcome.violations(), outcome.is_complete()) {
        (0, true) => 0,
        (0, false) => INCOMPLETE,
        (_, _) => VIOLATIONS,
    }
}

fn no_ledger(directory: &Path, error: &io::Error) -> String {
    format!("cannot read the ledger in `{}`: {error}", directory.display())
}

#[expect(clippy::disallowed_methods, reason = "this is the edge: the one reading of the clock of this command")]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// How far the reading is, on a terminal.
struct Progress {
    began: Instant,
    drawn: Option<Instant>,
    /// Bytes of all files; `None` where one has no size.
    total: Option<u64>,
    is_shown: bool,
}

impl Progress {
    fn new(inputs: &[Input]) -> Self {
        let size = |input: &Input| match input {
            Input::Path(path) => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|it| it.len()),
            Input::Stdin => None,
        };
        let total = inputs.iter().map(size).sum();
        Self { began: Instant::now(), drawn: None, total, is_shown: io::stderr().is_terminal() }
    }

    fn tell(&mut self, bytes: u64, packets: u64) {
        let early = self.drawn.is_some_and(|drawn| drawn.elapsed() < DRAWN_EVERY);
        if !self.is_shown || early {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = line(bytes, packets, self.total, self.began.elapsed());
        drop(write!(io::stderr(), "\r{line}\u{1b}[K"));
    }

    /// Leaves the line to whatever comes next.
    fn end(&self) {
        if self.drawn.is_some() {
            drop(write!(io::stderr(), "\r\u{1b}[K"));
        }
    }
}

/// `[#####               ]  26 %  1.2 GB/s  4.1 M packets`
fn line(bytes: u64, packets: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    let (rate, packets) = (scaled(rate), scaled(u128::from(packets)));
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = (bytes.min(total).saturating_mul(100) / total).min(100);
            let filled = usize::try_from(percent / 5).unwrap_or(0);
            format!("[{:<20}] {percent:>3} %  {rate}B/s  {packets} packets", "#".repeat(filled))
        }
        None => format!("{}B  {rate}B/s  {packets} packets", scaled(u128::from(bytes))),
    }
}

/// With one decimal and a decimal prefix: `1.2 G`.
fn scaled(number: u128) -> String {
    let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", number / size, number % size * 10 / size),
        None => format!("{number} "),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::line;

    #[test]
    fn the_progress_says_how_far_how_fast_and_how_much() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line(260_000_000, 4_100_000, Some(1_000_000_000), second),
            "[#####               ]  26 %  260.0 MB/s  4.1 M packets"
        );
        assert_eq!(line(1_500, 7, None, second), "1.5 kB  1.5 kB/s  7  packets");
        assert_eq!(line(9, 1, Some(0), Duration::ZERO), "9 B  9.0 kB/s  1  packets");
    }
}
