//! `sekisho ledger verify`: whether a ledger is what it was, for people and for programs.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::prometheus::{self, Question};
use super::proof::key_of;
use super::{Trouble, Which, redecide};
use crate::cli::{Format, show};
use crate::ledger::note::{VerifierKey, encode};
use crate::ledger::verify::{
    Damage, Doubt, Findings, Harm, Outcome, Place, Progress, Witness, held_in, verify,
};

const FORMAT: &str = "sekisho.ledger.verify/1";

/// Proves that a ledger is what it was, or names the first damaged place. Needs its directory and the public key.
///
/// What is changed together with every checkpoint, by somebody who has the signing key, only a head that is kept
/// elsewhere shows: `--against`, `--prometheus`.
///
/// Exit codes: 0 intact; 1 altered, or a law that says otherwise; 2 cannot be read; 3 incomplete: it cannot be told.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The public key `name+hash+base64`, or a file of it; the box's where it is left out
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A head that was kept elsewhere: a file of signed checkpoints, or `SIZE:ROOT` as a report prints it
    #[arg(long, value_name = "FILE|SIZE:ROOT")]
    against: Vec<String>,
    /// A Prometheus that scrapes this box: its samples are a second witness
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// The box, by its label `instance`, where that Prometheus scrapes several
    #[arg(long, value_name = "LABEL", requires = "prometheus")]
    instance: Option<String>,
    /// How far back Prometheus is asked
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = range, requires = "prometheus")]
    range: String,
    /// Ask the law of its time, as the box has archived it, about every entry again, and list what differs
    #[arg(long)]
    re_decide: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn range(text: &str) -> Result<String, String> {
    let fits =
        text.ends_with(['m', 'h', 'd', 'w']) && text.bytes().all(|c| c.is_ascii_alphanumeric());
    fits.then(|| text.to_owned()).ok_or_else(|| "a duration such as `1d` is due".to_owned())
}

/// Verifies.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let directory = arguments.which.directory()?;
    let key = key_of(arguments.key.as_deref(), &arguments.which.config)?;
    let witnesses = witnesses(arguments, &key)?;
    let bar = Bar::new();
    let found = verify((&directory, &key), &witnesses, &mut |progress| bar.show(progress));
    bar.end();
    let found = found.map_err(|error| format!("cannot read the ledger: {error}"))?;
    let again = if arguments.re_decide {
        Some(redecide::run(&directory, &arguments.which.config.read()?)?)
    } else {
        None
    };
    let again = again.as_ref();
    show(&match arguments.format {
        Format::Text => [text(&found, &key, witnesses.len())]
            .into_iter()
            .chain(again.map(redecide::text))
            .collect::<Vec<_>>()
            .join("\n"),
        Format::Json => {
            let mut value = json(&found, &key);
            if let (Some(object), Some(again)) = (value.as_object_mut(), again) {
                object.insert("re_decided".to_owned(), redecide::json(again));
            }
            format!("{value:#}")
        }
    });
    let differs = again.is_some_and(|again| again.differing > 0);
    let is_untold = again.is_some_and(redecide::is_incomplete);
    Ok(ExitCode::from(match found.outcome() {
        Outcome::Altered => 1,
        Outcome::Intact | Outcome::Incomplete if differs => 1,
        Outcome::Incomplete => 3,
        Outcome::Intact if is_untold => 3,
        Outcome::Intact => 0,
    }))
}

fn witnesses(arguments: &Arguments, key: &VerifierKey) -> Result<Vec<Witness>, Trouble> {
    let mut witnesses = Vec::new();
    for against in &arguments.against {
        match Witness::of_text(against) {
            Some(witness) => witnesses.push(witness),
            None => witnesses.extend(of_file(against, key)?),
        }
    }
    if let Some(url) = &arguments.prometheus {
        let instance = arguments.instance.as_deref();
        witnesses.extend(prometheus::witnesses(Question {
            url,
            instance,
            range: &arguments.range,
        })?);
    }
    Ok(witnesses)
}

fn of_file(path: &str, key: &VerifierKey) -> Result<Vec<Witness>, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!("`{path}` is no `SIZE:ROOT` and no file that can be read: {error}")
    })?;
    if let Some(witness) = Witness::of_text(&text) {
        return Ok(vec![witness]);
    }
    held_in(Path::new(path), key)
        .map_err(|error| format!("cannot read `{path}`: {error}"))?
        .map_err(|error| format!("the checkpoint in `{path}` is not believed: {error}"))
}

fn text(found: &Findings, key: &VerifierKey, witnesses: usize) -> String {
    let mut lines: Vec<String> = found.damage.iter().map(damaged).collect();
    lines.extend(found.doubts.iter().map(|doubt| format!("cannot be told: {}", doubt.english())));
    if found.outcome() == Outcome::Intact {
        let heads = if witnesses > 0 {
            format!(" and {witnesses} heads held elsewhere")
        } else {
            String::new()
        };
        lines.push(format!(
            "intact: entries 1 to {}, as {} signed checkpoints say{heads}",
            found.signed, found.checkpoints
        ));
    } else if found.signed > 0 {
        lines.push(format!("entries 1 to {} are as they were signed", found.signed));
    }
    let unsigned = found.unsigned();
    if unsigned > 0 || found.torn {
        let torn = if found.torn { ", and a line that is not whole" } else { "" };
        lines.push(format!("unsigned tail, {unsigned} entries{torn}"));
    }
    if found.pruned > 0 {
        lines.push(format!(
            "entries 1 to {} are gone in their time; the tree covers them",
            found.pruned
        ));
    }
    if found.gaps > 0 {
        lines.push(format!("gap entries: {} (`sekisho ledger show` has them)", found.gaps));
    }
    lines.extend(
        found.root.map(|root| format!("keep elsewhere: {}:{}", found.signed, encode(&root.0))),
    );
    lines.push(format!("key: {key}"));
    lines.join("\n")
}

/// What was done, first damaged place first.
fn damaged(damage: &Damage) -> String {
    let Damage { harm, seq, last, since, exact, place } = damage;
    match harm {
        Harm::Forked if place.line == 0 => format!(
            "forked: between entries {since} and {last} this is another history than `{}` has seen",
            place.file
        ),
        Harm::RolledBack if place.line == 0 => format!(
            "rolled_back: `{}` has seen {last} entries; entries {seq} to {last} are not there",
            place.file
        ),
        Harm::Forked | Harm::RolledBack | Harm::ForeignKey => told(*harm, place),
        Harm::Altered if place.file == "checkpoints" => told(*harm, place),
        Harm::CutTail => format!("{harm}: entries {seq} to {last} are not there, at {place}"),
        Harm::Altered | Harm::Removed | Harm::Inserted | Harm::Reordered if *exact => {
            format!("{harm}: entry {seq}, at {place}")
        }
        Harm::Altered | Harm::Removed | Harm::Inserted | Harm::Reordered => {
            format!("{harm}: an entry between {since} and {last}, the first sign of it at {place}")
        }
    }
}

fn told(harm: Harm, place: &Place) -> String {
    format!("{harm}: checkpoint at {place}")
}

fn json(found: &Findings, key: &VerifierKey) -> Value {
    let outcome = match found.outcome() {
        Outcome::Intact => "intact",
        Outcome::Altered => "altered",
        Outcome::Incomplete => "incomplete",
    };
    let damage = found.damage.iter().map(|damage| {
        let Damage { harm, seq, last, since, exact, place } = damage;
        json!({
            "kind": harm.code(), "entry": seq, "last": last, "since": since, "exact": exact,
            "file": place.file, "line": place.line,
        })
    });
    json!({
        "format": FORMAT,
        "outcome": outcome,
        "entries": found.entries,
        "signed": found.signed,
        "root": found.root.map(|root| encode(&root.0)),
        "unsigned": found.unsigned(),
        "pruned": found.pruned,
        "checkpoints": found.checkpoints,
        "checkpoints_unkept": found.unkept,
        "witnesses": found.witnesses,
        "torn": found.torn,
        "gaps": found.gaps,
        "damage": damage.collect::<Vec<_>>(),
        "doubts": found.doubts.iter().copied().map(Doubt::code).collect::<Vec<_>>(),
        "key": key.to_string(),
    })
}

/// A line on a terminal that says how far it has come.
struct Bar {
    is_shown: bool,
}

impl Bar {
    fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    fn show(&self, Progress { done, of, entries }: Progress) {
        if !self.is_shown || of == 0 {
            return;
        }
        let tenth = usize::try_from(done.min(of).saturating_mul(30) / of).unwrap_or(0);
        let (full, rest) = ("#".repeat(tenth), ".".repeat(30 - tenth));
        drop(write!(io::stderr(), "\r[{full}{rest}] {entries} entries"));
    }

    fn end(&self) {
        if self.is_shown {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{damaged, json, text};
    use crate::ledger::note::SigningKey;
    use crate::ledger::tree::Hash;
    use crate::ledger::verify::{Damage, Findings, Harm, Place};

    fn damage(harm: Harm, exact: bool, file: &str, line: u64) -> Damage {
        let place = Place { file: file.into(), line };
        Damage { harm, seq: 50, last: 60, since: 41, exact, place }
    }

    #[test]
    fn damage_is_told_in_one_sentence() {
        let check = |damage: &Damage, expected| assert_eq!(damaged(damage), expected);
        check(&damage(Harm::Altered, true, "1.jsonl", 20), "altered: entry 50, at 1.jsonl:20");
        check(
            &damage(Harm::Altered, false, "1.jsonl", 11),
            "altered: an entry between 41 and 60, the first sign of it at 1.jsonl:11",
        );
        check(
            &damage(Harm::CutTail, true, "1.jsonl", 20),
            "cut_tail: entries 50 to 60 are not there, at 1.jsonl:20",
        );
        check(
            &damage(Harm::ForeignKey, true, "checkpoints", 6),
            "foreign_key: checkpoint at checkpoints:6",
        );
        check(
            &damage(Harm::Altered, true, "checkpoints", 6),
            "altered: checkpoint at checkpoints:6",
        );
        check(
            &damage(Harm::RolledBack, true, "old.txt", 0),
            "rolled_back: `old.txt` has seen 60 entries; entries 50 to 60 are not there",
        );
        check(
            &damage(Harm::Forked, false, "old.txt", 0),
            "forked: between entries 41 and 60 this is another history than `old.txt` has seen",
        );
    }

    #[test]
    fn an_intact_ledger_says_what_to_keep() {
        let key = SigningKey::generate("edge").unwrap();
        let found = Findings {
            entries: 100,
            signed: 90,
            root: Some(Hash([0; 32])),
            checkpoints: 9,
            gaps: 1,
            ..Findings::default()
        };
        let expected = format!(
            "intact: entries 1 to 90, as 9 signed checkpoints say\nunsigned tail, 10 entries\n\
             gap entries: 1 (`sekisho ledger show` has them)\nkeep elsewhere: 90:{}=\nkey: {}",
            "A".repeat(43),
            key.verifier()
        );
        assert_eq!(text(&found, key.verifier(), 0), expected);
        let value = json(&found, key.verifier());
        assert_eq!(
            (&value["format"], &value["outcome"], &value["unsigned"]),
            (&"sekisho.ledger.verify/1".into(), &"intact".into(), &10.into())
        );
    }
}
