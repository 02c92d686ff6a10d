//! Hunks as the text that `patch` takes: a unified diff with three lines around each change. What differs is found
//! elsewhere.

use std::fmt::Write;

use super::patch::Hunk;
use crate::yaml::SourceFile;

/// Lines shown around a change, as `diff -u` has them.
const CONTEXT: usize = 3;

/// The hunks of `before` as a unified diff; the line ends are those of the file. Empty where there are none.
pub fn unified(before: &[SourceFile], hunks: &[Hunk]) -> String {
    let mut text = String::new();
    for file in before {
        let mine: Vec<&Hunk> = hunks.iter().filter(|hunk| hunk.file == file.name).collect();
        if !mine.is_empty() {
            write!(text, "--- {0}\n+++ {0}\n", file.name).unwrap_or_default();
            one_file(&mut text, &String::from_utf8_lossy(&file.bytes), &mine);
        }
    }
    text
}

fn one_file(text: &mut String, before: &str, hunks: &[&Hunk]) {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let end = if before.contains("\r\n") { "\r\n" } else { "\n" };
    let mut grown: isize = 0;
    for group in hunks.chunk_by(|before, after| first(after) - last(before) <= 2 * CONTEXT) {
        grown += Group { lines: &lines, end, hunks: group }.write(text, grown);
    }
}

/// The index of the first line that goes, or before which something comes.
const fn first(hunk: &Hunk) -> usize {
    hunk.line.saturating_sub(1)
}

/// The index behind the last line that goes.
const fn last(hunk: &Hunk) -> usize {
    first(hunk) + hunk.removed.len()
}

/// Changes so near to each other that they share their surroundings.
struct Group<'a> {
    lines: &'a [&'a str],
    end: &'a str,
    hunks: &'a [&'a Hunk],
}

impl Group<'_> {
    /// Writes it behind changes that made the file longer by `grown` lines; by how many this one does.
    fn write(&self, text: &mut String, grown: isize) -> isize {
        let from = self.hunks.first().map_or(0, |hunk| first(hunk).saturating_sub(CONTEXT));
        let changed = self.hunks.last().map_or(0, |hunk| last(hunk));
        let to = (changed + CONTEXT).min(self.lines.len());
        let added: usize = self.hunks.iter().map(|hunk| hunk.added.len()).sum();
        let removed: usize = self.hunks.iter().map(|hunk| hunk.removed.len()).sum();
        let (old, new) = (to - from, to - from + added - removed);
        let (start, growth) = (from.cast_signed(), added.cast_signed() - removed.cast_signed());
        let position = |length: usize, at: isize| if length == 0 { at } else { at + 1 };
        let (minus, plus) = (position(old, start), position(new, start + grown));
        writeln!(text, "@@ -{minus},{old} +{plus},{new} @@").unwrap_or_default();
        let mut at = from;
        for hunk in self.hunks {
            self.kept(text, ' ', at..first(hunk));
            self.kept(text, '-', first(hunk)..last(hunk));
            self.added(text, hunk);
            at = last(hunk);
        }
        self.kept(text, ' ', at..to);
        growth
    }

    fn kept(&self, text: &mut String, sign: char, lines: std::ops::Range<usize>) {
        for line in self.lines.get(lines).unwrap_or_default() {
            text.push(sign);
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str(UNENDED);
            }
        }
    }

    fn added(&self, text: &mut String, hunk: &Hunk) {
        let unended = self.lines.last().is_some_and(|line| !line.ends_with('\n'));
        let at_the_end = unended && last(hunk) == self.lines.len();
        for (index, line) in hunk.added.iter().enumerate() {
            text.push('+');
            text.push_str(line);
            let is_last = at_the_end && index + 1 == hunk.added.len();
            text.push_str(if is_last { UNENDED } else { self.end });
        }
    }
}

/// Says that the line before has no end.
const UNENDED: &str = "\n\\ No newline at end of file\n";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::unified;
    use crate::policy::explain::hunks;
    use crate::yaml::SourceFile;

    fn shown(old: &str, new: &str) -> String {
        let file =
            |text: &str| [SourceFile { name: Arc::from("a.yaml"), bytes: text.as_bytes().into() }];
        unified(&file(old), &hunks(&file(old), &file(new)))
    }

    #[test]
    fn changes_far_from_each_other_stand_apart() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let new = old.replace("2\n3\n", "2\nx\n3\n").replace("11\n", "y\n");
        assert_eq!(
            shown(old, &new),
            "--- a.yaml\n+++ a.yaml\n@@ -1,5 +1,6 @@\n 1\n 2\n+x\n 3\n 4\n 5\n@@ -8,5 +9,5 @@\n 8\n 9\n 10\n-11\n+y\n 12\n"
        );
        let near = old.replace("2\n3\n", "2\n").replace("6\n", "y\n");
        assert_eq!(
            shown(old, &near),
            "--- a.yaml\n+++ a.yaml\n@@ -1,9 +1,8 @@\n 1\n 2\n-3\n 4\n 5\n-6\n+y\n 7\n 8\n 9\n"
        );
    }

    #[test]
    fn changes_whose_surroundings_touch_stand_together() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let groups = |new: &str| shown(old, new).matches("@@ -").count();
        assert_eq!(groups(&old.replace("2\n3\n", "x\n3\n").replace("9\n", "y\n")), 1);
        assert_eq!(groups(&old.replace("2\n3\n", "x\n3\n").replace("10\n", "y\n")), 2);
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        assert_eq!(
            shown("a\r\nb\r\n", "a\r\nc\r\n"),
            "--- a.yaml\n+++ a.yaml\n@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n"
        );
        assert_eq!(
            shown("a\nb", "a\nc"),
            "--- a.yaml\n+++ a.yaml\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n"
        );
        assert_eq!(shown("a\n", "a\n"), "");
    }
}
