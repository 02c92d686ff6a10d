//! `sekisho diff OLD NEW`: what becomes allowed, what refused, what passes by another rule, and what else is other.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::explain::json::flow;
use super::law::{Written, box_file};
use super::replay::{Replayed, replay};
use super::{Config, Format, NOT_RUN, complain, show};
use crate::appliance::Appliance;
use crate::ledger::PolicyDigest;
use crate::policy::compare::{Change, Difference, Effect, Sentence, Turn, compare};
use crate::service::control;
use crate::source::{self, Archive};
use crate::verdict::Reason;
use crate::yaml::{Fault, SourceFile};

/// How long the daemon has to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most sentences of one kind that are shown.
const SHOWN_MAX: usize = 60;

/// Compares two laws by what they answer, not by their text.
///
/// Exit codes: 0 every flow is answered alike and nothing else is other; 1 they differ; 2 a law could not be read or is
/// not sound.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// A law's directory, a box file, or `running`: the law in force on this box
    #[arg(value_name = "OLD")]
    old: String,
    /// As OLD
    #[arg(value_name = "NEW")]
    new: String,
    /// A ledger's directory: which recorded traffic would be treated otherwise
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Compares; exit code 0 same, 1 differs, 2 could not run.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match compared(arguments) {
        Ok((text, differs)) => {
            show(text.trim_end());
            ExitCode::from(u8::from(differs))
        }
        Err(message) => {
            complain(&message);
            ExitCode::from(NOT_RUN)
        }
    }
}

/// A law as it was found.
struct Found {
    files: Vec<SourceFile>,
    appliance: Option<Appliance>,
}

/// Two laws and what they answer differently.
struct Compared {
    old: Written,
    new: Written,
    difference: Difference,
    replayed: Option<Replayed>,
}

fn compared(arguments: &Arguments) -> Result<(String, bool), String> {
    let (old, new) = (arguments.find(&arguments.old)?, arguments.find(&arguments.new)?);
    // A law alone is judged on the box that the other one has, so that only the laws differ.
    let spare = old.appliance.clone().or_else(|| new.appliance.clone());
    let read = |found: Found, text: &str| {
        let law = Written::of(found.files, found.appliance.or_else(|| spare.clone()));
        law.map_err(|faults| format!("`{text}` is not sound\n{}", faults.render(false)))
    };
    let (old, new) = (read(old, &arguments.old)?, read(new, &arguments.new)?);
    let difference = compare(&old.engine, &new.engine).map_err(|error| error.to_string())?;
    let replayed =
        arguments.ledger.as_deref().map(|ledger| replay(ledger, (&old, &new), &difference));
    let compared = Compared { old, new, difference, replayed: replayed.transpose()? };
    let text = match arguments.format {
        Format::Text => compared.text(),
        Format::Json => format!("{:#}", compared.json()),
    };
    Ok((text, !compared.difference.is_empty()))
}

impl Arguments {
    fn find(&self, text: &str) -> Result<Found, String> {
        let path = Path::new(text);
        if text == "running" {
            return self.running();
        }
        if path.is_dir() {
            let files = source::load_law(path).map_err(|faults| faults.render(false))?;
            return Ok(Found { files, appliance: None });
        }
        let appliance = box_file(path).map_err(|faults| faults.render(false))?;
        let files = source::load_law(&appliance.policies).map_err(|faults| faults.render(false))?;
        Ok(Found { files, appliance: Some(appliance) })
    }

    /// The law in force: what the daemon says, out of the archive.
    fn running(&self) -> Result<Found, String> {
        let appliance = box_file(&self.config.file).map_err(|faults| faults.render(false))?;
        let archive = Archive::open(&appliance.state);
        let digest = in_force(&appliance.control).or_else(|error| {
            let last = archive.last_accepted().ok_or(error)?;
            complain(&format!(
                "no daemon answers; `running` is the law that was accepted last, {last:.8}"
            ));
            Ok::<_, String>(last)
        })?;
        let files = archive.law(digest);
        let files =
            files.map_err(|error| format!("law {digest:.8} is not in the archive: {error}"))?;
        Ok(Found { files, appliance: Some(appliance) })
    }
}

/// The digest of the law that the daemon behind this socket has in force.
fn in_force(control: &Path) -> Result<PolicyDigest, String> {
    let answer = control::call(&PathBuf::from(control), "status", PATIENCE);
    let answer = answer.map_err(|error| error.to_string())?;
    let report =
        answer.status.ok_or_else(|| "the daemon gave an answer without a report".to_owned())?;
    PolicyDigest::parse(&report.policy.digest).ok_or_else(|| "the daemon named no law".to_owned())
}

impl Compared {
    fn text(&self) -> String {
        let mut text = String::new();
        let sentences = self.difference.sentences();
        for (turn, title) in TURNS {
            let lines: Vec<_> = sentences.iter().filter(|it| it.turn == turn).map(told).collect();
            section(&mut text, title, &lines);
        }
        let guardrails: Vec<_> = self.difference.guardrails().iter().map(changed).collect();
        section(&mut text, "guardrails: the council's word", &guardrails);
        let settings: Vec<_> = self.difference.settings().iter().map(changed).collect();
        section(&mut text, "also other", &settings);
        let names = self.difference.renames();
        let renamed = names
            .systems
            .iter()
            .chain(&names.rules)
            .map(|(old, new)| format!("`{old}` is `{new}` now"));
        section(&mut text, "another name, no change", &renamed.collect::<Vec<_>>());
        let recorded = self.replayed.as_ref().map(Replayed::lines).unwrap_or_default();
        section(&mut text, "recorded traffic that would be treated otherwise", &recorded);
        section(&mut text, "scenarios of the new law to be changed with it", &self.promises());
        text + &self.last_line(sentences.len())
    }

    fn last_line(&self, sentences: usize) -> String {
        let digests = format!("policy {:.8} → {:.8}", self.old.digest, self.new.digest);
        if self.difference.is_empty() {
            return format!("no difference: every flow is answered alike; {digests}");
        }
        let (guardrails, settings) =
            (self.difference.guardrails().len(), self.difference.settings().len());
        format!(
            "differs: {sentences} in answers, {guardrails} in guardrails, {settings} besides; {digests}"
        )
    }

    /// The scenarios of the new law that do not hold: before they do, it is not put in force.
    fn promises(&self) -> Vec<String> {
        let told = |fault: &Fault| {
            let place = fault.places.first();
            let place = place.map(|(place, _)| format!("{}:{}: ", place.file, place.line));
            format!("{}{}", place.unwrap_or_default(), fault.message)
        };
        self.new.failing.0.iter().map(told).collect()
    }

    fn json(&self) -> Value {
        let renames = self.difference.renames();
        let names = |names: &std::collections::BTreeMap<_, _>| {
            names
                .iter()
                .map(|(old, new): (&crate::flow::Name, &crate::flow::Name)| {
                    (old.to_string(), Value::from(new.to_string()))
                })
                .collect::<serde_json::Map<_, _>>()
        };
        json!({
            "format": "sekisho.diff/1",
            "same": self.difference.is_empty(),
            "old": self.old.digest.to_string(),
            "new": self.new.digest.to_string(),
            "changes": self.difference.sentences().iter().map(sentence).collect::<Vec<_>>(),
            "guardrails": self.difference.guardrails().iter().map(change).collect::<Vec<_>>(),
            "settings": self.difference.settings().iter().map(change).collect::<Vec<_>>(),
            "ledger": self.replayed.as_ref().map(Replayed::json),
            "scenarios": self.promises(),
            "renames": { "systems": names(&renames.systems), "rules": names(&renames.rules) },
        })
    }
}

/// What becomes of flows, in the order in which it is told.
const TURNS: [(Turn, &str); 4] = [
    (Turn::Allowed, "becomes allowed"),
    (Turn::Refused, "becomes refused"),
    (Turn::OtherRule, "passes otherwise"),
    (Turn::Undecided, "is let in or turned away at another stage; nothing of it passes"),
];

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    writeln!(text, "{title}").unwrap_or_default();
    for line in lines.iter().take(SHOWN_MAX) {
        writeln!(text, "  {line}").unwrap_or_default();
    }
    if let Some(more) = lines.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        writeln!(text, "  and {more} more; `--format json` has them all").unwrap_or_default();
    }
    text.push('\n');
}

fn told(it: &Sentence) -> String {
    let rules = match &it.rules {
        (None, Some(new)) => format!("by `{new}`"),
        (Some(old), None) => format!("was by `{old}`"),
        (Some(old), Some(new)) if old == new => format!("by `{new}` as before, enforced otherwise"),
        (Some(old), Some(new)) => format!("by `{new}`, was by `{old}`"),
        (None, None) => String::new(),
    };
    let reason = it.reason.map(|reason| match it.turn {
        Turn::Refused => format!("now `{reason}`"),
        Turn::Allowed | Turn::OtherRule | Turn::Undecided => format!("was `{reason}`"),
    });
    let ends = format!("{} → {}", it.from.join(", "), it.to);
    let parts = [
        vec![ends, it.asks.clone()],
        it.only.clone(),
        vec![it.when.clone(), rules, reason.unwrap_or_default()],
    ];
    parts.concat().into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

fn changed(it: &Change) -> String {
    let effect = match it.effect {
        Effect::Wider => "  WIDER",
        Effect::Tighter => "  tighter",
        Effect::Neither => "",
    };
    format!("{}: {}{effect}", it.subject, it.text)
}

fn sentence(it: &Sentence) -> Value {
    json!({
        "turn": it.turn.code(),
        "from": it.from,
        "to": it.to,
        "asks": it.asks,
        "only": it.only,
        "when": it.when,
        "old_rule": it.rules.0.as_ref().map(ToString::to_string),
        "new_rule": it.rules.1.as_ref().map(ToString::to_string),
        "reason": it.reason.map(Reason::code),
        "example": flow(&it.example),
    })
}

fn change(it: &Change) -> Value {
    json!({ "subject": it.subject, "text": it.text, "effect": it.effect.code() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::Parser;

    use super::{Arguments, compared};

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// The shipped law, and a copy with an edit.
    fn diff(file: &str, old: &str, new: &str, more: &[&str]) -> Result<(String, bool), String> {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir("policies/tokyo").unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        fs::remove_file(folder.path().join("30-scenarios.yaml")).unwrap();
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old}");
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
        run(&["policies/tokyo", folder.path().to_str().unwrap()], more)
    }

    fn run(laws: &[&str], more: &[&str]) -> Result<(String, bool), String> {
        let line = ["diff"].iter().chain(laws).chain(more);
        compared(&Typed::try_parse_from(line).unwrap().arguments)
    }

    /// One change of the manual: its title, the files' patches, and what is said of it.
    struct Written {
        title: String,
        patches: Vec<(String, String, String)>,
        added: usize,
        said: String,
    }

    fn written(section: &str) -> Written {
        let title = section.lines().next().unwrap().to_owned();
        let block = |kind: &str| {
            let (_, rest) = section.split_once(&format!("```{kind}\n")).unwrap_or(("", ""));
            rest.split_once("```").map_or("", |(block, _)| block).to_owned()
        };
        let mut patches: Vec<(String, String, String)> = Vec::new();
        for line in block("diff").lines() {
            if let Some(file) = line.strip_prefix("--- ") {
                patches.push((file.to_owned(), String::new(), String::new()));
                continue;
            }
            let (_, old, new) = patches.last_mut().unwrap();
            let (sign, text) = line.split_at(1);
            if sign != "+" {
                old.extend([text, "\n"]);
            }
            if sign != "-" {
                new.extend([text, "\n"]);
            }
        }
        let added = block("diff").lines().filter(|line| line.starts_with('+')).count();
        Written { title, patches, added, said: block("text") }
    }

    /// The shipped law with the patches of a change, without its scenarios, which promise the old answers.
    fn patched(change: &Written) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir("policies/tokyo").unwrap() {
            let path = entry.unwrap().path();
            let mut text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            for (_, old, new) in change.patches.iter().filter(|(file, ..)| *file == name) {
                assert!(text.contains(old.as_str()), "{}: {name} has no\n{old}", change.title);
                text = text.replacen(old.as_str(), new, 1);
            }
            if !name.starts_with("30-") {
                fs::write(folder.path().join(name), text).unwrap();
            }
        }
        folder
    }

    #[test]
    fn the_ten_changes_of_the_manual_are_said_as_they_are_written() {
        let manual = fs::read_to_string("docs/changes.md").unwrap();
        let changes: Vec<_> = manual.split("\n### ").skip(1).map(written).collect();
        assert_eq!(changes.len(), 10);
        let mut wrong = String::new();
        for change in &changes {
            assert!(change.added <= 5, "{}", change.title);
            let folder = patched(change);
            let (text, differs) =
                run(&["policies/tokyo", folder.path().to_str().unwrap()], &[]).unwrap();
            // The last line has digests, which change with every edit of the shipped law.
            let said = text.lines().filter(|line| !line.starts_with("differs: "));
            let said = said.collect::<Vec<_>>().join("\n");
            if !differs || said.trim_end() != change.said.trim_end() {
                wrong.extend(["### ", &change.title, "\n", &said, "\n"]);
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn a_law_does_not_differ_from_itself() {
        let (text, differs) = run(&["policies/tokyo", "policies/tokyo"], &[]).unwrap();
        assert!(
            !differs && text.starts_with("no difference: every flow is answered alike; policy "),
            "{text}"
        );
        assert!(Path::new("policies/tokyo").is_dir());
    }

    #[test]
    fn a_change_is_told_in_words_and_for_programs() {
        let edit =
            ("20-rules.yaml", "paths: [\"/exchange/**\"]", "paths: [\"/exchange/**\", /report]");
        let (text, differs) = diff(edit.0, edit.1, edit.2, &[]).unwrap();
        assert!(differs);
        let due = "becomes allowed\n  existing-system → intermediate-server  GET POST PUT /report  by `register`  was `path`\n\ndiffers: 1 in answers, 0 in guardrails, 0 besides; policy ";
        assert!(text.starts_with(due), "{text}");
        let (text, _) = diff(edit.0, edit.1, edit.2, &["--format", "json"]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["format"], &value["same"]), (&"sekisho.diff/1".into(), &false.into()));
        assert_eq!(value["changes"][0]["turn"], "allowed");
        assert_eq!(value["changes"][0]["example"]["path"], "/report");
    }

    #[test]
    fn scenarios_that_expect_the_old_answer_are_listed_and_keep_nothing_from_being_compared() {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir("policies/tokyo").unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("[GET, POST, PUT]", "[GET, POST, PUT, DELETE]");
            fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
        }
        let (text, _) = run(&["policies/tokyo", folder.path().to_str().unwrap()], &[]).unwrap();
        let due = "becomes allowed\n  existing-system → intermediate-server  DELETE /exchange/**  by `register`  was `method`\n";
        assert!(text.starts_with(due), "{text}");
        let (_, promises) =
            text.split_once("scenarios of the new law to be changed with it\n").unwrap();
        assert!(
            promises.contains("scenario `nothing is deleted` expects deny `method`"),
            "{promises}"
        );
    }

    #[test]
    fn a_wider_guardrail_stands_in_a_section_of_its_own() {
        let (text, _) =
            diff("00-council.yaml", "tls: [\"1.3\"]", "tls: [\"1.2\", \"1.3\"]", &[]).unwrap();
        assert!(text.contains("guardrails: the council's word\n  guardrail `encryption`: names `TLS 1.2` too  WIDER\n"), "{text}");
        assert!(text.contains("over TLS 1.2"), "{text}");
    }

    /// A ledger with one request each for `/exchange/upload` and for something that was masked.
    fn ledger() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let opened = r#"{"seq":1,"boot":2,"at":"2026-11-22T02:00:00Z","kind":"opened","connection":1,"facts":{"source":"10.13.10.5:40001","to_address":"10.13.0.1:8443","listener":"union-lan","server_name":"chukan.center.example","tls":"1.3","identities":["dns:kizon.union.example"]}}"#;
        let request = |seq: u64, path: &str| {
            format!(
                r#"{{"seq":{seq},"boot":2,"at":"2026-11-22T02:00:01Z","kind":"request","connection":1,"verdict":"allow","rule":"register","facts":{{"method":"GET","path":"{path}","endpoint":"10.200.1.10:443"}}}}"#
            )
        };
        let lines = [
            opened.to_owned(),
            request(2, "/exchange/a/b"),
            request(3, "/exchange/*"),
            request(4, "/exchange/a/b"),
            // A self-test passes between stand-ins: it is no traffic.
            request(5, "/exchange/a/b").replace("\"kind\"", "\"selftest\":true,\"kind\""),
        ];
        fs::write(folder.path().join("000000000001.jsonl"), lines.join("\n") + "\n").unwrap();
        folder
    }

    #[test]
    fn recorded_traffic_is_treated_otherwise_or_cannot_be_told() {
        let folder = ledger();
        let more = ["--ledger", folder.path().to_str().unwrap()];
        let (text, _) = diff(
            "20-rules.yaml",
            "paths: [\"/exchange/**\"]",
            "paths: [\"/exchange/upload\"]",
            &more,
        )
        .unwrap();
        let due = "  2×  existing-system → chukan.center.example  GET /exchange/a/b  allowed by `register` → `path`  (last 2-4)\n  1×  existing-system → chukan.center.example  GET /exchange/*  cannot tell, it was masked: ";
        assert!(text.contains(due), "{text}");
        assert!(text.contains("\n  of 4 judged entries, "), "{text}");
        let (text, _) =
            diff("20-rules.yaml", "methods: [GET, POST, PUT]", "methods: [GET, POST]", &more)
                .unwrap();
        assert!(
            text.contains(
                "recorded traffic that would be treated otherwise\n  none of 4 judged entries"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_unsound_law_and_a_missing_one_cannot_be_compared() {
        let error = diff("20-rules.yaml", "from: [existing-system]", "from: [existing-sytem]", &[])
            .unwrap_err();
        assert!(
            error.contains("is not sound") && error.contains("did you mean `existing-system`?"),
            "{error}"
        );
        let error = run(&["policies/tokyo", "policies/nowhere"], &[]).unwrap_err();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
