//! An entry of the ledger: judged by the law then and the law now, how often the same happened, and what passed last.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::law::Written;
use crate::cli::recorded::{agreed, each, policy};
use crate::flow::{Flow, Timestamp};
use crate::ledger::Record;
use crate::policy::explain::Asked;
use crate::source::Archive;
use crate::verdict::Reason;

/// Which entry, and where.
#[derive(Debug, Args)]
pub(super) struct Reference {
    /// An entry of the ledger, `BOOT-SEQ` or `SEQ`, instead of facts
    #[arg(long, value_name = "SEQ", conflicts_with_all = [
        "from", "identity", "certificate", "to", "server_name", "host", "method", "path", "endpoint", "tls",
        "to_address", "listener", "at", "upgrade", "declared",
    ])]
    entry: Option<String>,
    /// The ledger's directory, where it is not the box's
    #[arg(long, value_name = "DIR", requires = "entry")]
    ledger: Option<PathBuf>,
}

/// What the ledger has.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) record: Record,
    flow: Flow,
    pub(super) masked: bool,
    pub(super) repeats: Repeats,
}

/// How often the same was refused since it was last let pass.
#[derive(Debug, Default, Clone)]
pub(super) struct Repeats {
    /// How often, this time included, also in summaries.
    pub(super) count: u64,
    /// Since when.
    pub(super) first: Option<Timestamp>,
    /// What passed last before it between the same two.
    pub(super) allowed: Option<(Timestamp, String)>,
}

impl Reference {
    /// Whether an entry is asked about.
    pub(super) const fn is_asked(&self) -> bool {
        self.entry.is_some()
    }

    /// Looks it up.
    pub(super) fn find(&self, law: &Written) -> Result<Found, String> {
        let own = law.appliance.as_ref().map(|appliance| appliance.ledger.directory.clone());
        let directory = self.ledger.clone().or(own);
        let directory =
            directory.ok_or("name the ledger with `--ledger DIR`, or a box file with `-c FILE`")?;
        let text = self.entry.as_deref().unwrap_or_default();
        let reference = parse(text)
            .ok_or_else(|| format!("`{text}` is no entry; write `BOOT-SEQ` or `SEQ`"))?;
        look(&directory, reference)
    }
}

impl Found {
    /// The question that the entry was.
    pub(super) fn asked(&self, law: &Written) -> Asked {
        Asked { recorded: Some(agreed(&law.engine, &self.flow)), ..Asked::default() }
    }

    /// The law that it was judged by, out of the archive of the box.
    pub(super) fn law_then(&self, now: &Written) -> Result<Written, String> {
        let digest = policy(&self.record).ok_or("the entry names no law")?;
        let state = now.appliance.as_ref().map(|appliance| &appliance.state);
        let state = state.ok_or("without a box there is no archive of laws")?;
        let files = Archive::open(state).law(digest);
        let files =
            files.map_err(|error| format!("law {digest:.8} is not in the archive: {error}"))?;
        // The box may have changed since; the law is what it was.
        Written::of(files.clone(), now.appliance.clone())
            .or_else(|_disagreeing| Written::of(files, None))
            .map_err(|_faults| format!("law {digest:.8} is not understood by this version"))
    }

    /// What is recorded, in one word.
    pub(super) fn said(&self) -> String {
        let record = &self.record;
        record.reason.clone().or_else(|| record.verdict.clone()).unwrap_or_default()
    }

    /// The reason that is recorded.
    pub(super) fn recorded(&self) -> Option<Reason> {
        self.record.reason.as_deref().and_then(Reason::from_code)
    }
}

/// `17-48213` or `48213`.
fn parse(text: &str) -> Option<(Option<u64>, u64)> {
    match text.split_once('-') {
        Some((boot, seq)) => Some((Some(boot.parse().ok()?), seq.parse().ok()?)),
        None => Some((None, text.parse().ok()?)),
    }
}

fn look(directory: &Path, (boot, seq): (Option<u64>, u64)) -> Result<Found, String> {
    let unreadable = |error: std::io::Error| format!("ledger `{}`: {error}", directory.display());
    let (mut found, mut other) = (None, None);
    each(directory, |record, recalled| {
        if record.seq == seq && boot.is_none_or(|boot| boot == record.boot) {
            match recalled {
                Some(recalled) => found = Some((record.clone(), recalled)),
                None => other = Some(why_not(record)),
            }
        }
    })
    .map_err(unreadable)?;
    let Some((record, recalled)) = found else {
        return Err(match other {
            Some(why) => format!("entry {seq} {why}"),
            None => format!("entry {seq} is not in `{}`", directory.display()),
        });
    };
    let masked = recalled.masked_path || recalled.masked_name;
    let mut repeats = Repeats::default();
    each(directory, |other, theirs| {
        if let Some(theirs) = theirs.filter(|theirs| is_between(&theirs.flow, &recalled.flow)) {
            repeats.note(&record, other, &theirs.flow);
        }
    })
    .map_err(unreadable)?;
    Ok(Found { record, flow: recalled.flow, masked, repeats })
}

fn why_not(record: &Record) -> String {
    if record.selftest {
        "was left by a self-test, between stand-ins".to_owned()
    } else {
        format!("is of kind `{}`: no flow was judged", record.kind)
    }
}

/// Whether two flows go between the same two.
fn is_between(a: &Flow, b: &Flow) -> bool {
    let name = |flow: &Flow| flow.hello.as_ref().map(|hello| hello.server_name.clone());
    a.source == b.source && name(a) == name(b)
}

impl Repeats {
    fn note(&mut self, asked: &Record, other: &Record, flow: &Flow) {
        let allows = other.verdict.as_deref() == Some("allow");
        if allows && other.seq < asked.seq {
            *self = Self { allowed: Some((other.at, other.reference())), ..Self::default() };
        } else if !allows && other.reason.is_some() && other.reason == asked.reason {
            self.count += 1;
            self.first = self.first.or(Some(flow.at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_entry_is_named_with_or_without_its_boot() {
        assert_eq!(parse("17-48213"), Some((Some(17), 48213)));
        assert_eq!(parse("48213"), Some((None, 48213)));
        assert_eq!([parse("17-"), parse("x"), parse("")], [None; 3]);
    }
}
