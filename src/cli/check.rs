//! `sekisho check`: faults, proofs, warnings and scenarios of a law, with its box or alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::{Config, Format, NOT_RUN, colour, complain, show};
use crate::flow::{Name, Timestamp};
use crate::policy::{self, Expected, Law};
use crate::source;
use crate::yaml::Faults;

/// What is checked.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// A law alone, without a box
    #[arg(short = 'p', long = "policies", value_name = "DIR", conflicts_with = "file")]
    policies: Option<PathBuf>,
    /// The moment for which endings are warned of (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

/// Checks; exit code 0 sound, 1 not sound, 2 could not be read.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let now = arguments.at.unwrap_or_else(now);
    let outcome = match &arguments.policies {
        Some(directory) => law(directory, now),
        None => boxed(&arguments.config.file, now),
    };
    match outcome {
        Ok(outcome) => {
            show(&outcome.render(arguments.format));
            ExitCode::from(u8::from(!outcome.faults.is_sound()))
        }
        Err(faults) => {
            complain(&faults.render(false));
            ExitCode::from(NOT_RUN)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the edge: the one reading of the clock of this command")]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// What a check found.
struct Outcome {
    faults: Faults,
    /// What was counted of a sound law.
    summary: Option<Summary>,
    /// What a law without a box expects of one.
    expected: Option<Expected>,
}

#[derive(Serialize)]
struct Summary {
    rules: usize,
    scenarios: usize,
    policy: Option<String>,
}

/// A law at the desk.
fn law(directory: &Path, now: Timestamp) -> Result<Outcome, Faults> {
    let files = source::load_law(directory)?;
    Ok(match policy::understand(&files, None) {
        Ok(law) => Outcome { expected: Some(Expected::of(law.engine.model())), ..sound(&law, None, now) },
        Err(faults) => Outcome { faults, summary: None, expected: None },
    })
}

/// A box and its law.
fn boxed(file: &Path, now: Timestamp) -> Result<Outcome, Faults> {
    match source::load(file) {
        Ok(loaded) => Ok(sound(&loaded.law, Some(shortened(&loaded.digest.0)), now)),
        Err(faults) if could_not_run(&faults) => Err(faults),
        Err(faults) => Ok(Outcome { faults, summary: None, expected: None }),
    }
}

/// The first eight digits, as people compare them.
fn shortened(digest: &[u8]) -> String {
    digest.iter().take(4).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Whether there was nothing to judge: faults that are at no place in any file.
fn could_not_run(faults: &Faults) -> bool {
    faults.0.iter().all(|fault| fault.places.is_empty())
}

fn sound(law: &Law, policy: Option<String>, now: Timestamp) -> Outcome {
    let model = law.engine.model();
    let mut faults = law.warnings.clone();
    faults.extend(policy::ending(model, now));
    let summary = Summary { rules: model.rules.len(), scenarios: law.scenarios, policy };
    Outcome { faults: faults.sorted(), summary: Some(summary), expected: None }
}

impl Outcome {
    fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(colour()),
            Format::Json => self.json(),
        }
    }

    fn text(&self, colour: bool) -> String {
        let mut text = self.faults.render(colour);
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        for (kind, names) in self.expected.iter().flat_map(listed) {
            writeln!(text, "the box must have {kind} {}", names.join(" ")).unwrap_or_default();
        }
        text + &self.last_line()
    }

    fn last_line(&self) -> String {
        let warnings = counted(self.faults.warnings(), "warning");
        let Some(summary) = &self.summary else {
            return format!("not sound: {}, {warnings}", counted(self.faults.errors(), "error"));
        };
        let (rules, scenarios) = (counted(summary.rules, "rule"), counted(summary.scenarios, "scenario"));
        let policy = summary.policy.iter().map(|digest| format!("; policy {digest}")).collect::<String>();
        format!("sound: {warnings}; {rules}; {scenarios} held{policy}")
    }

    fn json(&self) -> String {
        let mut value = serde_json::to_value(&self.faults).unwrap_or_default();
        if let (Some(object), Some(summary)) = (value.as_object_mut(), &self.summary) {
            object.insert("summary".to_owned(), serde_json::to_value(summary).unwrap_or_default());
        }
        if let (Some(object), Some(expected)) = (value.as_object_mut(), &self.expected) {
            let names = listed(expected).map(|(kind, names)| (kind.to_owned(), names.into()));
            object.insert("expected".to_owned(), serde_json::Value::Object(names.collect()));
        }
        format!("{value:#}")
    }
}

/// The names that are expected, by kind; kinds without any are left out.
fn listed(expected: &Expected) -> impl Iterator<Item = (&'static str, Vec<String>)> {
    let kinds = [
        ("lines", &expected.lines),
        ("certificates", &expected.certificates),
        ("listeners", &expected.listeners),
    ];
    let some = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    some.map(|(kind, names)| (kind, names.iter().map(Name::to_string).collect()))
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
