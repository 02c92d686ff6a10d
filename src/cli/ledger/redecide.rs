//! `sekisho ledger verify --re-decide`: recorded facts before the archived law of their time.

use std::path::Path;

use serde_json::{Value, json};

use super::Trouble;
use crate::appliance::Appliance;
use crate::ledger::show::Feed;
use crate::ledger::{PolicyDigest, Record};
use crate::policy;
use crate::report::redecide::{Redecided, Then};
use crate::source::Archive;

/// Asks about every entry.
pub(super) fn run(directory: &Path, appliance: &Appliance) -> Result<Redecided, Trouble> {
    let archive = Archive::open(&appliance.state);
    let mut redecided = Redecided::default();
    let mut feed = Feed::new(directory);
    let unreadable = |error: std::io::Error| format!("cannot read the ledger: {error}");
    while let Some(line) = feed.next().map_err(unreadable)? {
        if let Some(record) = Record::parse(&line) {
            redecided.ask(&record, |digest| law(&archive, appliance, digest));
        }
    }
    Ok(redecided)
}

/// A law of the archive, with the box of today where the two agree: its listeners are those of today then.
fn law(archive: &Archive, appliance: &Appliance, digest: PolicyDigest) -> Option<Then> {
    let files = archive.law(digest).ok()?;
    let boxed = policy::understand(&files, Some(appliance)).ok();
    let listeners = boxed.is_some();
    let law = boxed.or_else(|| policy::understand(&files, None).ok())?;
    Some(Then { engine: law.engine, listeners })
}

/// Whether something could not be asked again.
pub(super) fn is_incomplete(again: &Redecided) -> bool {
    again.untold > 0 || !again.lawless.is_empty()
}

/// For people.
pub(super) fn text(again: &Redecided) -> String {
    let Redecided { same, differing, untold, .. } = again;
    let mut lines: Vec<_> = again
        .listed
        .iter()
        .map(|entry| {
            format!(
                "differs: {} recorded `{}`, its law says `{}`",
                entry.reference, entry.recorded, entry.decided
            )
        })
        .collect();
    let more = differing.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} more that differ"));
    }
    lines.push(format!(
        "re-decided: {same} as recorded, {differing} differ, {untold} cannot be told"
    ));
    for (digest, count) in &again.lawless {
        lines.push(format!(
            "{count} entries name law {digest}, which is not in the archive or cannot be read"
        ));
    }
    lines.join("\n")
}

/// For programs.
pub(super) fn json(again: &Redecided) -> Value {
    let listed = again.listed.iter().map(|entry| {
        json!({"entry": entry.reference, "recorded": entry.recorded, "decided": entry.decided})
    });
    json!({
        "same": again.same,
        "differing": again.differing,
        "untold": again.untold,
        "without_law": again.lawless,
        "entries": listed.collect::<Vec<_>>(),
    })
}
