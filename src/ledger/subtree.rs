//! The `.tree` file of a closed segment: the hashes that stand for its lines once they are pruned, and from which a
//! start goes on without reading them. Text; no file is opened here.

use std::fmt;
use std::str::Split;

use super::note::{decode, encode};
use super::tree::{Frontier, Hash, Range, Span};
use crate::flow::Timestamp;

const FORMAT: &str = "sekisho.tree/1";
const DAY: i64 = 86_400;

/// What a `.tree` file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtrees {
    /// The tree of all entries before the segment.
    pub before: Frontier,
    /// The complete subtrees of the segment's own entries.
    pub within: Range,
    /// The day of its last entry, counted from the epoch in UTC.
    pub until: i64,
}

impl Subtrees {
    /// The number of the segment's first entry.
    pub const fn first(&self) -> u64 {
        self.before.size() + 1
    }

    /// The number of its last entry.
    pub const fn last(&self) -> u64 {
        self.within.span().end
    }

    /// The tree up to its last entry.
    pub fn after(&self) -> Frontier {
        let mut after = self.before.clone();
        // `within` follows `before`: both are made and read together only.
        let _follows = after.extend(&self.within);
        after
    }

    /// Reads the text of a `.tree` file; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FORMAT {
            return None;
        }
        let (first, last) = lines.next()?.strip_prefix("entries ")?.split_once(' ')?;
        let span =
            Span { begin: first.parse::<u64>().ok()?.checked_sub(1)?, end: last.parse().ok()? };
        let until = day(lines.next()?.strip_prefix("until ")?)?;
        let before = Frontier::of(span.begin, hashes(&mut lines, "before ")?)?;
        let within = Range::of(span, hashes(&mut lines, "within ")?)?;
        let ends = lines.next().is_none() && span.begin < span.end;
        ends.then_some(Self { before, within, until })
    }
}

fn hashes(lines: &mut Split<'_, char>, label: &str) -> Option<Vec<Hash>> {
    // No span has more subtrees than this, so nothing large is read on a file's word.
    let count = lines.next()?.strip_prefix(label)?.parse().ok().filter(|count| *count <= 128)?;
    let hash = |line: &str| decode(line)?.try_into().ok().map(Hash);
    (0..count).map(|_| lines.next().and_then(hash)).collect()
}

fn day(date: &str) -> Option<i64> {
    let midnight = Timestamp::parse(&format!("{date}T00:00:00Z")).ok()?;
    Some(midnight.as_seconds().div_euclid(DAY))
}

impl fmt::Display for Subtrees {
    /// The text of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}\nentries {} {}", self.first(), self.last())?;
        let until = Timestamp::from_seconds(self.until.saturating_mul(DAY)).to_string();
        writeln!(f, "until {}", until.split('T').next().unwrap_or_default())?;
        for (label, hashes) in [("before", self.before.peaks()), ("within", self.within.nodes())] {
            writeln!(f, "{label} {}", hashes.len())?;
            hashes.iter().try_for_each(|hash| writeln!(f, "{}", encode(&hash.0)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Subtrees;
    use crate::ledger::tree::{Frontier, Range, leaf};

    fn subtrees(before: u64, count: u64) -> Subtrees {
        let mut frontier = Frontier::default();
        (0..before).for_each(|index| frontier.append(leaf(&index.to_be_bytes())));
        let mut within = Range::new(before);
        (before..before + count).for_each(|index| within.append(leaf(&index.to_be_bytes())));
        Subtrees { before: frontier, within, until: 20_779 }
    }

    #[test]
    fn what_is_written_is_read() {
        for (before, count) in [(0, 1), (0, 1000), (5, 1), (7, 200), (1000, 1000)] {
            let subtrees = subtrees(before, count);
            let text = subtrees.to_string();
            assert_eq!(Subtrees::parse(&text), Some(subtrees.clone()), "{text}");
            assert_eq!((subtrees.first(), subtrees.last()), (before + 1, before + count));
            assert_eq!(subtrees.after().size(), before + count);
        }
        assert!(
            subtrees(1, 2)
                .to_string()
                .starts_with("sekisho.tree/1\nentries 2 3\nuntil 2026-11-22\nbefore 1\n")
        );
    }

    #[test]
    fn a_line_more_or_less_or_another_count_is_no_tree_file() {
        let text = subtrees(7, 20).to_string();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        for gone in 0..lines.len() {
            let less: String = lines[..gone].iter().chain(&lines[gone + 1..]).copied().collect();
            assert_eq!(Subtrees::parse(&less), None, "without line {gone}");
        }
        assert_eq!(Subtrees::parse(&format!("{text}{}", lines[5])), None);
        assert_eq!(Subtrees::parse(&text.replace("entries 8 27", "entries 9 27")), None);
        assert_eq!(Subtrees::parse(text.trim_end()), None);
    }
}
