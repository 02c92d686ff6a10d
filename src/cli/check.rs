//! `sekisho check`: faults, proofs, warnings and scenarios of a law, with its box or alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::{Config, Format, NOT_RUN, colour, complain, show};
use crate::flow::{Name, Timestamp};
use crate::policy::model::{RevocationLists, Trust};
use crate::policy::{self, Expected, Law, Model};
use crate::source::{self, Pin};
use crate::yaml::{Fault, Faults, Severity};

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
    /// The SHA-256 that the council's file must have: `sha256:…`
    #[arg(long, value_name = "DIGEST", value_parser = Pin::parse)]
    guardrails: Option<Pin>,
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
        Some(directory) => law(directory, arguments.guardrails.as_ref(), now),
        None => boxed(&arguments.config.file, arguments.guardrails.as_ref(), now),
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
    /// SHA-256 of the council's file, as `--guardrails` wants it.
    guardrails: Option<String>,
}

/// A law at the desk.
fn law(directory: &Path, pin: Option<&Pin>, now: Timestamp) -> Result<Outcome, Faults> {
    let files = source::load_law(directory)?;
    let understood = policy::understand(&files, None)
        .and_then(|law| source::check_pin(&law, &files, pin).map(|()| law));
    Ok(match understood {
        Ok(law) => desk(&law, source::guardrails(&law, &files), now),
        Err(faults) => Outcome { faults, summary: None, expected: None },
    })
}

/// A sound law without a box: what it expects of one, and which files are not there yet.
fn desk(law: &Law, guardrails: Option<[u8; 32]>, now: Timestamp) -> Outcome {
    let model = law.engine.model();
    let guardrails = guardrails.map(|digest| hex(&digest));
    let mut outcome = sound(law, (None, guardrails), now);
    outcome.faults.extend(missing_files(model));
    Outcome { faults: outcome.faults.sorted(), expected: Some(Expected::of(model)), ..outcome }
}

fn missing_files(model: &Model) -> Faults {
    let files = |trust: &Trust| match &trust.revocation {
        RevocationLists::Lists(lists) => [std::slice::from_ref(&trust.roots), lists].concat(),
        RevocationLists::NotKept(_) => vec![trust.roots.clone()],
    };
    let all = model.trust.values().flat_map(|trust| files(trust).into_iter().map(move |file| (trust, file)));
    let missing = all.filter(|(_, file)| !file.exists());
    Faults(missing.map(|(trust, file)| {
        Fault::warning("file_missing", &trust.place, format!("`{}` is not there", file.display()))
    }).collect())
}

/// A box and its law.
fn boxed(file: &Path, pin: Option<&Pin>, now: Timestamp) -> Result<Outcome, Faults> {
    match source::load_pinned(file, pin) {
        Ok(loaded) => {
            let digests = (Some(shortened(&loaded.digest.0)), Some(hex(&loaded.guardrails)));
            let mut outcome = sound(&loaded.law, digests, now);
            let unserved = policy::unserved(loaded.law.engine.model(), &loaded.appliance);
            outcome.faults.extend(as_warnings(unserved));
            Ok(Outcome { faults: outcome.faults.sorted(), ..outcome })
        }
        Err(faults) if could_not_run(&faults) => Err(faults),
        Err(faults) => Ok(Outcome { faults, summary: None, expected: None }),
    }
}

/// What this version's `run` would refuse is no mistake of the law.
fn as_warnings(faults: Faults) -> Faults {
    let warning = |fault| Fault { severity: Severity::Warning, ..fault };
    Faults(faults.0.into_iter().map(warning).collect())
}

/// The first eight digits, as people compare them.
fn shortened(digest: &[u8]) -> String {
    hex(digest).chars().take(8).collect()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Whether there was nothing to judge: faults that are at no place in any file.
fn could_not_run(faults: &Faults) -> bool {
    faults.0.iter().all(|fault| fault.places.is_empty())
}

fn sound(
    law: &Law,
    (policy, guardrails): (Option<String>, Option<String>),
    now: Timestamp,
) -> Outcome {
    let model = law.engine.model();
    let mut faults = law.warnings.clone();
    faults.extend(policy::ending(model, now));
    let (rules, scenarios) = (model.rules.len(), law.scenarios);
    let summary = Summary { rules, scenarios, policy, guardrails };
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
        let policy = summary.policy.as_ref().map(|digest| format!("; policy {digest}")).unwrap_or_default();
        let guardrails = summary.guardrails.as_ref();
        let guardrails = guardrails.map(|it| format!("\nguardrails sha256:{it}")).unwrap_or_default();
        format!("sound: {warnings}; {rules}; {scenarios} held{policy}{guardrails}")
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Format, hex, law};
    use crate::flow::Timestamp;
    use crate::source::Pin;

    fn checked(directory: &Path, format: Format) -> (bool, String) {
        let now = Timestamp::parse("2026-11-22T12:00:00+09:00").unwrap();
        let outcome = law(directory, None, now).unwrap();
        (outcome.faults.is_sound(), outcome.render(format))
    }

    #[test]
    fn a_law_at_the_desk_says_what_its_box_must_have() {
        let (sound, text) = checked(Path::new("policies/tokyo"), Format::Text);
        assert!(sound, "{text}");
        let end = "the box must have lines ip-vpn\n\
                   the box must have certificates center-facing\n\
                   the box must have listeners union-lan\n";
        let (_, last) = text.split_once(end).unwrap();
        assert!(last.starts_with("sound: "), "{last}");
        let (counts, guardrails) = last.split_once('\n').unwrap();
        assert!(counts.ends_with("2 rules; 29 scenarios held"), "{last}");
        assert!(guardrails.starts_with("guardrails sha256:"), "{last}");
        assert!(text.contains("`policies/tokyo/../certs/union-ca.crl` is not there"));
        assert!(text.contains("warning[ends_soon]: document `iso27017` ends 2027-01-05 (44 days)"));
    }

    #[test]
    fn another_councils_file_than_the_pinned_one_is_not_sound() {
        let now = Timestamp::parse("2026-11-22T12:00:00+09:00").unwrap();
        let judged = |pin: &str| {
            let pin = Pin::parse(pin).unwrap();
            law(Path::new("policies/tokyo"), Some(&pin), now).unwrap().faults
        };
        let bytes = std::fs::read("policies/tokyo/00-council.yaml").unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        assert!(judged(&format!("sha256:{}", hex(digest.as_ref()))).is_sound());
        let faults = judged(&format!("sha256:{}", "0".repeat(64)));
        assert_eq!(faults.0[0].code, "guardrails_pinned");
        assert_eq!(&*faults.0[0].places[0].0.file, "policies/tokyo/00-council.yaml");
    }

    #[test]
    fn a_faulty_law_is_not_sound_in_both_formats() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.yaml"), "version: 1\nrule: {}\n").unwrap();
        let (sound, text) = checked(directory.path(), Format::Text);
        assert!(!sound);
        assert!(text.ends_with("\n\nnot sound: 9 errors, 0 warnings"), "{text}");
        let (_, json) = checked(directory.path(), Format::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["format"], &json["sound"]), (&"sekisho.check/1".into(), &false.into()));
        assert_eq!(json["faults"].as_array().unwrap().len(), 9);
    }

    #[test]
    fn a_directory_that_is_not_there_could_not_be_checked() {
        let faults = law(Path::new("policies/nowhere"), None, Timestamp::from_seconds(0)).err().unwrap();
        assert_eq!(faults.0[0].code, "file_missing");
    }
}
