//! Which entries somebody wants to see, and the lines of a ledger one after the other, also while it grows. How
//! they are shown is not known here.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use super::reading::{Lines, stretches};
use super::record::Record;
use crate::flow::Timestamp;

/// As many connections are remembered by the system that opened them; the oldest are forgotten.
const REMEMBERED_MAX: usize = 1 << 20;

/// What an entry must have to be shown; what is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The moment before which it must lie.
    pub to: Option<Timestamp>,
    /// The rule it names.
    pub rule: Option<String>,
    /// The system that it, or an earlier entry of its connection, names.
    pub system: Option<String>,
    /// The reason it gives.
    pub reason: Option<String>,
    /// The connection it speaks of, by boot and number; in any boot where that is `None`.
    pub connection: Option<(Option<u64>, u64)>,
    /// The entry itself, by boot and number.
    pub entry: Option<(u64, u64)>,
}

/// Chooses while entries go by in order.
#[derive(Debug)]
pub struct Chooser {
    selection: Selection,
    /// Open connections of the system that is asked for.
    of_system: BTreeSet<(u64, u64)>,
}

impl Chooser {
    /// For a selection.
    pub const fn new(selection: Selection) -> Self {
        Self { selection, of_system: BTreeSet::new() }
    }

    /// Whether the next entry is one of them.
    pub fn takes(&mut self, record: &Record) -> bool {
        let Selection { from, to, rule, reason, connection, entry, system: _ } = &self.selection;
        let named = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        let is_of_connection = connection.is_none_or(|(boot, number)| {
            record.connection == Some(number) && boot.is_none_or(|boot| boot == record.boot)
        });
        let plain = from.is_none_or(|from| record.at >= from)
            && to.is_none_or(|to| record.at < to)
            && named(rule, &record.rule)
            && named(reason, &record.reason)
            && entry.is_none_or(|entry| entry == (record.boot, record.seq))
            && is_of_connection;
        self.is_of_system(record) && plain
    }

    /// Looks at every entry, also one that is not shown: a connection is known by its first.
    fn is_of_system(&mut self, record: &Record) -> bool {
        let Some(system) = &self.selection.system else { return true };
        let names = record.fact("system") == Some(system);
        let Some(connection) = record.connection() else { return names };
        if names {
            self.of_system.insert(connection);
            if self.of_system.len() > REMEMBERED_MAX {
                self.of_system.pop_first();
            }
        }
        let known = self.of_system.contains(&connection);
        if record.kind == "closed" {
            self.of_system.remove(&connection);
        }
        known
    }
}

/// The whole lines of a directory, over the ends of segments.
#[derive(Debug)]
pub struct Feed {
    directory: PathBuf,
    /// The segment that is read, by its first number.
    first: Option<u64>,
    lines: Option<Lines>,
    /// The segment after it: it has no more lines than it has now.
    next: Option<(u64, Lines)>,
    /// The beginning of a line that is being written.
    begun: Vec<u8>,
}

impl Feed {
    /// Begins with the oldest line.
    pub fn new(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self { directory, first: None, lines: None, next: None, begun: Vec::new() }
    }

    /// The next line, without its line break; `None` where there is none yet.
    ///
    /// # Errors
    /// Directory or file cannot be read.
    #[expect(
        clippy::should_implement_trait,
        reason = "there may be a line later, an iterator would be over"
    )]
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(line) = self.line()? {
                return Ok(Some(line));
            }
            if let Some((first, lines)) = self.next.take() {
                (self.first, self.lines) = (Some(first), Some(lines));
                // What was left is a torn line, which the start after it recorded.
                self.begun.clear();
            } else if !self.look()? {
                return Ok(None);
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(lines) = &mut self.lines else { return Ok(None) };
        while let Some(line) = lines.next()? {
            self.begun.extend_from_slice(line.bytes);
            if line.whole {
                return Ok(Some(mem::take(&mut self.begun)));
            }
        }
        Ok(None)
    }

    /// Whether there is a segment after this one.
    fn look(&mut self) -> io::Result<bool> {
        let first = self.first;
        let after = stretches(&self.directory)?
            .into_iter()
            .find(|stretch| first.is_none_or(|first| stretch.first > first));
        self.next = match after {
            Some(stretch) => Some((stretch.first, stretch.lines()?)),
            None => None,
        };
        Ok(self.next.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::{Chooser, Feed, Selection};
    use crate::flow::Timestamp;
    use crate::ledger::Record;

    const LINES: &[&str] = &[
        r#"{"seq":1,"boot":1,"at":"2026-11-22T02:00:00Z","kind":"start","facts":{}}"#,
        r#"{"seq":2,"boot":1,"at":"2026-11-22T02:00:01Z","kind":"opened","connection":1,"facts":{"system":"existing-system"}}"#,
        r#"{"seq":3,"boot":1,"at":"2026-11-22T02:00:02Z","kind":"request","connection":1,"rule":"register","facts":{}}"#,
        r#"{"seq":4,"boot":1,"at":"2026-11-22T02:00:03Z","kind":"refused","connection":2,"reason":"reverse_access","facts":{"system":"online-eligibility"}}"#,
        r#"{"seq":5,"boot":1,"at":"2026-11-22T02:00:04Z","kind":"closed","connection":1,"facts":{}}"#,
        r#"{"seq":6,"boot":2,"at":"2026-11-22T02:00:05Z","kind":"refused","connection":1,"reason":"method","facts":{}}"#,
    ];

    fn check(change: impl FnOnce(&mut Selection), expected: &[u64]) {
        let mut selection = Selection::default();
        change(&mut selection);
        let mut chooser = Chooser::new(selection);
        let records = LINES.iter().map(|line| Record::parse(line.as_bytes()).unwrap());
        let chosen: Vec<_> =
            records.filter(|record| chooser.takes(record)).map(|record| record.seq).collect();
        assert_eq!(chosen, expected);
    }

    #[test]
    fn entries_are_chosen_by_time_rule_reason_connection_and_number() {
        let at = |text| Some(Timestamp::parse(text).unwrap());
        check(|_| {}, &[1, 2, 3, 4, 5, 6]);
        check(|asked| asked.from = at("2026-11-22T11:00:04+09:00"), &[5, 6]);
        check(|asked| asked.to = at("2026-11-22T02:00:01Z"), &[1]);
        check(|asked| asked.rule = Some("register".into()), &[3]);
        check(|asked| asked.reason = Some("method".into()), &[6]);
        check(|asked| asked.connection = Some((Some(1), 1)), &[2, 3, 5]);
        check(|asked| asked.connection = Some((None, 1)), &[2, 3, 5, 6]);
        check(|asked| asked.entry = Some((1, 4)), &[4]);
        check(|asked| asked.entry = Some((2, 4)), &[]);
    }

    #[test]
    fn a_connection_belongs_to_the_system_that_opened_it_until_it_closes() {
        check(|asked| asked.system = Some("existing-system".into()), &[2, 3, 5]);
        check(|asked| asked.system = Some("online-eligibility".into()), &[4]);
    }

    #[test]
    fn lines_are_followed_as_they_are_written_and_over_the_end_of_a_segment() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let append = |name: &str, text: &str| {
            let mut file = OpenOptions::new().append(true).create(true).open(at(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let mut feed = Feed::new(folder.path());
        let mut check = |expected: Option<&str>| {
            let line = feed.next().unwrap().map(|line| String::from_utf8(line).unwrap());
            assert_eq!(line.as_deref(), expected);
        };
        check(None);
        append("000000000001.jsonl", "one\ntw");
        check(Some("one"));
        check(None);
        append("000000000001.jsonl", "o\nthree\n");
        check(Some("two"));
        append("000000000004.jsonl", "four\n");
        check(Some("three"));
        fs::remove_file(at("000000000001.jsonl")).unwrap();
        check(Some("four"));
        check(None);
        append("000000000004.jsonl", "torn");
        check(None);
        append("000000000005.jsonl", "five\n");
        check(Some("five"));
    }
}
