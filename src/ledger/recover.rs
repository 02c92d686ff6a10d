//! What a start finds on disk: where the numbering goes on, which boot this is, and what was lost. A torn last
//! line is cut and recorded; damage before the end is never passed over.
//!
//! The lines that record it are on disk before anything is cut, so that a crash in between loses nothing. What the
//! checkpoints promise is kept or found broken by `resume`.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::entry::Body;
use super::line;
use super::resume;
use super::segment::{Directory, Stored};
use super::settings::{LedgerError, Settings};
use super::signer::Signer;
use super::writer::Segment;
use crate::appliance::WhenUnwritable;
use crate::flow::Timestamp;
use crate::policy::Masked;

const TORN: &str = "torn line";
const UNCLEAN: &str = "unclean stop";
const STEPPED: &str = "clock step";
/// A start that lies this much after the last entry does not remove what is old: the clock may be wrong.
const PAUSE_MAX: Duration = Duration::from_hours(24 * 31);

/// Where the ledger goes on.
pub(super) struct Recovered {
    /// This start's number.
    pub(super) boot: u64,
    /// The number of the next entry.
    pub(super) next: u64,
    /// The segment it goes into.
    pub(super) segment: Segment,
    /// The tree so far, and who signs it.
    pub(super) signer: Signer,
    /// Where an earlier ledger was set aside.
    pub(super) aside: Option<PathBuf>,
    /// Whether the time of the start is near enough to the last entry to remove what is old.
    pub(super) prunes: bool,
}

/// What was found in the newest segments.
#[derive(Debug, Default)]
struct Found {
    last: Option<Last>,
    /// What the newest segment is named by.
    newest: Option<u64>,
    /// The unfinished end of a segment: the file, its whole lines, what is behind them in bytes.
    torn: Option<(PathBuf, u64, u64)>,
    /// The end of an earlier segment, which the segment after it has recorded already.
    recorded: Option<(PathBuf, u64)>,
    damaged: Option<(PathBuf, u64)>,
}

/// The last whole line.
#[derive(Debug, Clone)]
struct Last {
    seq: u64,
    boot: u64,
    at: Option<Timestamp>,
    stop: bool,
}

/// The members of a line that a start looks at.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    seq: u64,
    boot: u64,
    at: &'a str,
    kind: &'a str,
    #[serde(default, borrow)]
    facts: Facts<'a>,
}

#[derive(Debug, Default, Deserialize)]
struct Facts<'a> {
    #[serde(default, borrow)]
    cause: Option<std::borrow::Cow<'a, str>>,
}

/// One segment, line by line.
#[derive(Debug, Default)]
struct Scan {
    /// Bytes of whole lines in order.
    whole: u64,
    last: Option<Last>,
    /// Whether its first line records a torn one.
    records_torn: bool,
    /// Bytes after the whole lines.
    rest: u64,
    /// The first line that is damaged, from 1, where whole ones follow it.
    damaged: Option<u64>,
}

/// Looks at the directory, records what was lost, and begins the segment of this start.
pub(super) fn recover(
    directory: &Directory,
    settings: &Settings,
) -> Result<Recovered, LedgerError> {
    let mut found = find(directory)?;
    let boot = next_boot(directory, found.last.as_ref().map_or(0, |last| last.boot))?;
    let mut gaps = found.gaps(settings.started);
    let mut aside = None;
    let prunes = found.is_recent(settings.started);
    let mut signer = match continued(directory, settings, &mut found) {
        Ok(signer) => signer,
        Err(error) => {
            let (path, gap) = set_aside(directory, (settings, boot), &found, error)?;
            (aside, gaps, found) = (Some(path), vec![gap], Found::default());
            resume::begin(directory, settings)?
        }
    };
    let next = found.end() + 1;
    let lines = begin(directory, (next, boot, settings.started), &gaps)?;
    found.cut()?;
    signer.tree.append(&lines);
    let path = directory.segment(next);
    let sink = Directory::reopen(&path).map_err(LedgerError::io("open", path))?;
    let day = (!lines.is_empty()).then(|| settings.started.as_seconds().div_euclid(86_400));
    let segment = Segment { length: lines.len() as u64, day, ..Segment::new(sink) };
    Ok(Recovered { boot, next: next + gaps.len() as u64, segment, signer, aside, prunes })
}

/// The signer of the ledger that was found, where it can be continued.
fn continued(
    directory: &Directory,
    settings: &Settings,
    found: &mut Found,
) -> Result<Signer, LedgerError> {
    match found.damaged.take() {
        Some((path, line)) => Err(LedgerError::Damaged { path, line }),
        None => resume::resume(directory, settings, found.end()),
    }
}

/// Under `continue`, what cannot be continued is kept as evidence where no writer touches it again; gives where,
/// and the first entry of the new ledger.
fn set_aside(
    directory: &Directory,
    (settings, boot): (&Settings, u64),
    found: &Found,
    error: LedgerError,
) -> Result<(PathBuf, Body), LedgerError> {
    let Some(cause) = error.damage() else { return Err(error) };
    if settings.when_unwritable == WhenUnwritable::Refuse {
        return Err(error);
    }
    let aside = directory.quarantine(boot, &settings.state);
    let aside = aside.map_err(LedgerError::io("set aside the segments of", directory.path()))?;
    tracing::error!(%error, aside = %aside.display(), "the ledger is set aside, a new one begins");
    Ok((aside, gap(cause, found.last.as_ref().and_then(|last| last.at), None)))
}

/// Grows by one at every start, and is on disk before any entry has it: a reference is never used twice, also
/// where a crash has lost every entry of a boot.
fn next_boot(directory: &Directory, recorded: u64) -> Result<u64, LedgerError> {
    let name = directory.path().join("boot");
    let written = match fs::read_to_string(&name) {
        Ok(text) => text
            .trim()
            .parse::<u64>()
            .map_err(|_no_number| LedgerError::Damaged { path: name.clone(), line: 1 })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(LedgerError::io("read", name)(error)),
    };
    let boot = written.max(recorded) + 1;
    directory
        .replace(&name, format!("{boot}\n").as_bytes())
        .map_err(LedgerError::io("write", name))?;
    Ok(boot)
}

/// Writes the segment of this start, whole or not at all, with what is to be recorded of the last one.
fn begin(
    directory: &Directory,
    (next, boot, started): (u64, u64, Timestamp),
    gaps: &[Body],
) -> Result<Vec<u8>, LedgerError> {
    let mut lines = Vec::new();
    for (seq, body) in (next..).zip(gaps) {
        let mut rendered = Vec::new();
        line::render_parts(&mut rendered, (started, None, None), body);
        line::number(&mut lines, seq, boot, &rendered);
        tracing::warn!(seq, gap = ?body, "the ledger has a gap");
    }
    let name = directory.segment(next);
    directory.replace(&name, &lines).map_err(LedgerError::io("write", name))?;
    Ok(lines)
}

fn gap(cause: &'static str, since: Option<Timestamp>, cut: Option<u64>) -> Body {
    Body::Gap { lost: None, since, cut, cause: Masked::own(cause) }
}

/// The clock stands before an entry that is there already, or has jumped; nothing is lost by it.
pub(super) fn stepped(since: Timestamp) -> Body {
    Body::Gap { lost: Some(0), since: Some(since), cut: None, cause: Masked::own(STEPPED) }
}

/// Looks at the newest segment that has lines, at the empty ones after it, and at the joint before it. What stands
/// before a compressed segment is closed and held together by the tree: an older one may still have its lines.
fn find(directory: &Directory) -> Result<Found, LedgerError> {
    let segments = directory.stored().map_err(LedgerError::io("list", directory.path()))?;
    let mut found = Found::default();
    let mut newer: Option<(u64, bool)> = None;
    for Stored { first, path, .. } in segments.into_iter().rev().take_while(|it| !it.packed) {
        let bytes = fs::read(&path).map_err(LedgerError::io("read", &path))?;
        let scan = scan(&bytes, first);
        let end = scan.last.as_ref().map_or(first, |last| last.seq + 1);
        if newer.is_some_and(|(after, _)| end != after) {
            found.damaged = Some((path.clone(), 1));
        }
        found.newest.get_or_insert(first);
        found.note(&path, &scan, newer.is_some_and(|(_, records_torn)| records_torn));
        if found.damaged.is_some() || (newer.is_some() && scan.last.is_some()) {
            break;
        }
        newer = Some((first, scan.records_torn));
    }
    Ok(found)
}

impl Found {
    fn note(&mut self, path: &Path, scan: &Scan, recorded: bool) {
        if let Some(line) = scan.damaged {
            self.damaged = Some((path.to_owned(), line));
        }
        if scan.rest > 0 && recorded {
            self.recorded = Some((path.to_owned(), scan.whole));
        } else if scan.rest > 0 {
            self.torn = Some((path.to_owned(), scan.whole, scan.rest));
        }
        if self.last.is_none() {
            self.last.clone_from(&scan.last);
        }
    }

    /// The last entry, 0 where there is none.
    fn end(&self) -> u64 {
        let empty = || self.newest.map_or(0, |first| first - 1);
        self.last.as_ref().map_or_else(empty, |last| last.seq)
    }

    fn is_recent(&self, started: Timestamp) -> bool {
        let last = self.last.as_ref().and_then(|last| last.at);
        last.is_none_or(|last| started.since(last) <= PAUSE_MAX)
    }

    fn gaps(&self, started: Timestamp) -> Vec<Body> {
        let since = self.last.as_ref().and_then(|last| last.at);
        let torn = self.torn.as_ref().map(|(.., rest)| gap(TORN, since, Some(*rest)));
        let stopped = self.last.as_ref().is_none_or(|last| last.stop) && torn.is_none();
        let unclean = (!stopped).then(|| gap(UNCLEAN, since, None));
        let back = since.filter(|since| *since > started).map(stepped);
        torn.into_iter().chain(unclean).chain(back).collect()
    }

    /// Cuts what is recorded by now. A segment without a whole line was replaced by the new one of its name.
    fn cut(self) -> Result<(), LedgerError> {
        let torn = self.torn.map(|(path, whole, _)| (path, whole));
        for (path, whole) in torn.into_iter().chain(self.recorded).filter(|(_, whole)| *whole > 0) {
            let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
                file.set_len(whole)?;
                file.sync_all()
            });
            cut.map_err(LedgerError::io("cut the torn line of", path))?;
        }
        Ok(())
    }
}

fn scan(bytes: &[u8], first: u64) -> Scan {
    let mut scan = Scan::default();
    let mut seq = first;
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        match parse(text) {
            Some(line) if line.seq == seq && scan.rest == 0 => {
                scan.records_torn |= seq == first && line.facts.cause.as_deref() == Some(TORN);
                scan.last = Some(Last::of(&line));
                scan.whole += text.len() as u64;
                seq += 1;
            }
            // A whole line behind a damaged one, or with a number that is not its own: not what a crash leaves.
            Some(_) => {
                scan.damaged = Some(seq - first + 1);
                return scan;
            }
            None => scan.rest += text.len() as u64,
        }
    }
    scan
}

/// A line that is whole: one object, ended by a line break.
fn parse(text: &[u8]) -> Option<Line<'_>> {
    serde_json::from_slice(text.strip_suffix(b"\n")?).ok()
}

impl Last {
    fn of(line: &Line<'_>) -> Self {
        Self {
            seq: line.seq,
            boot: line.boot,
            at: Timestamp::parse(line.at).ok(),
            stop: line.kind == "stop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scan;

    const LINES: &str = "{\"seq\":7,\"boot\":2,\"at\":\"2026-11-22T02:14:07.000000Z\",\"kind\":\"policy\",\"facts\":{\"origin\":\"{\\\"\"}}\n\
        {\"seq\":8,\"boot\":2,\"at\":\"2026-11-22T02:14:08.000000Z\",\"kind\":\"stop\",\"facts\":{\"cause\":\"signal\"}}\n";

    #[test]
    fn a_segment_cut_at_any_byte_keeps_its_whole_lines_and_only_those() {
        let ends: Vec<usize> = LINES.match_indices('\n').map(|(index, _)| index + 1).collect();
        for length in 0..=LINES.len() {
            let scan = scan(&LINES.as_bytes()[..length], 7);
            let whole = ends.iter().rev().find(|end| **end <= length).copied().unwrap_or(0);
            assert_eq!(
                (scan.whole, scan.rest),
                (whole as u64, (length - whole) as u64),
                "{length}"
            );
            assert_eq!(
                scan.last.map(|last| (last.seq, last.stop)),
                match whole {
                    0 => None,
                    end if end == ends[0] => Some((7, false)),
                    _ => Some((8, true)),
                }
            );
            assert_eq!(scan.damaged, None, "{length}");
        }
    }

    #[test]
    fn a_segment_with_any_other_first_number_is_damaged() {
        assert_eq!(scan(LINES.as_bytes(), 8).damaged, Some(1));
        assert_eq!(scan(LINES.as_bytes(), 7).damaged, None);
    }
}
