//! The committed counts, and whether today's are worse. A baseline is a text in the project, so that a change of it is
//! seen in review.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::command::Arguments;
use crate::counted::Kind;
use crate::figure::{Table, float};
use crate::measure::{self, Counted, Plan};
use crate::outcome::{BOUND, Outcome};
use crate::placed;

/// Rounds that are further above the best than this share do not carry a bound of 5 %.
const SPREAD: f64 = 0.02;

/// What was counted, and with what: another compiler makes other instructions.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// Versions by tool.
    tools: BTreeMap<String, String>,
    /// Counted instructions by unit, by case.
    counts: BTreeMap<String, u64>,
}

/// Counts what was asked for, compares or writes, and says whether nothing is worse.
///
/// # Errors
/// Where a case cannot be counted or the baseline cannot be read.
pub(crate) fn hold(arguments: &Arguments) -> io::Result<bool> {
    let mut baseline = read(&arguments.baseline)?;
    let tools = tools();
    println!(
        "{}",
        tools.iter().map(|(name, it)| format!("{name} {it}")).collect::<Vec<_>>().join(", ")
    );
    let mut table = Table::new(&[
        "case",
        "instructions",
        "baseline",
        "change",
        "spread",
        "left out",
        "outcome",
    ]);
    let mut worse = false;
    let mut apart = Vec::new();
    for case in arguments.cases() {
        let counted = measure::count(&arguments.setting, Plan::of(case, arguments.rounds))?;
        let then = baseline.counts.get(case.name()).copied();
        let outcome = Outcome::of(counted.each(Kind::Counted), then.map(float));
        worse |= outcome == Outcome::Worse;
        apart.extend((counted.spread() > SPREAD).then_some(case));
        table.row(cells(&counted, then, outcome));
        let _before =
            baseline.counts.insert(case.name().to_owned(), whole(counted.each(Kind::Counted)));
    }
    println!("{table}");
    let others = !baseline.tools.is_empty() && baseline.tools != tools;
    explain(&apart, worse, others);
    placed::check(arguments)?;
    if arguments.write {
        baseline.tools = tools;
        let text = serde_json::to_string_pretty(&baseline).map_err(io::Error::other)?;
        fs::write(&arguments.baseline, text + "\n")?;
        println!("written: {}", arguments.baseline.display());
    }
    Ok(arguments.write || !worse)
}

fn cells(counted: &Counted, then: Option<u64>, outcome: Outcome) -> Vec<String> {
    let now = counted.each(Kind::Counted);
    let left_out: f64 = [Kind::Cryptography, Kind::Chosen, Kind::Loader]
        .map(|kind| counted.each(kind))
        .iter()
        .sum();
    let change = |then: u64| format!("{:+.1} %", (now / float(then) - 1.0) * 100.0);
    vec![
        counted.case.title().to_owned(),
        format!("{now:.0}"),
        then.map_or_else(|| "none".to_owned(), |then| then.to_string()),
        then.map_or_else(String::new, change),
        format!("{:.1} %", counted.spread() * 100.0),
        format!("{left_out:.0}"),
        outcome.title().to_owned(),
    ]
}

fn explain(apart: &[Case], worse: bool, other_tools: bool) {
    for case in apart {
        println!(
            "notice: {}: the middle round is more than {:.0} % above the best",
            case.title(),
            SPREAD * 100.0
        );
    }
    if other_tools {
        println!("notice: the baseline was counted with other tools; part of a change is theirs");
    }
    if worse {
        println!(
            "worse by more than {:.0} %: `-- CASE --profile` shows where it goes",
            BOUND * 100.0
        );
    }
}

/// An empty one where there is none yet.
fn read(file: &Path) -> io::Result<Baseline> {
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Baseline::default()),
        Err(error) => Err(error),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count")]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

/// The versions of what makes and runs the instructions.
fn tools() -> BTreeMap<String, String> {
    let asked = [
        ("rustc", "rustc", "--version"),
        ("valgrind", "valgrind", "--version"),
        ("libc", "ldd", "--version"),
    ];
    let version = |program: &str, word: &str| {
        let said = Command::new(program).arg(word).output().ok()?;
        let line = String::from_utf8_lossy(&said.stdout).lines().next()?.to_owned();
        line.split([' ', '-'])
            .find(|part| part.starts_with(|first: char| first.is_ascii_digit()))
            .map(str::to_owned)
    };
    let entry = |(name, program, word): (&str, &str, &str)| {
        (name.to_owned(), version(program, word).unwrap_or_else(|| "unknown".to_owned()))
    };
    asked.into_iter().map(entry).collect()
}
