//! Files as read, and stretches of text in them that carry their own line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file of the law or the box, as read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The name shown to people, e.g. `policies/20-rules.yaml`. Paths in the file are relative to its folder.
    pub name: Arc<str>,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// A stretch of text in a file. Carries the text of its line, so that it can be shown anywhere. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's shown name.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In characters; 0 points at a place without a text.
    pub length: u32,
    /// The whole line, without its end.
    pub text: Arc<str>,
}

impl SourceFile {
    /// The most bytes that are read of one file; whoever reads it from a disk can stop one byte later.
    pub const BYTES_MAX: usize = 4 << 20;

    /// Whether it is one of the law's own files, and not a file that the law names.
    pub fn is_law(&self) -> bool {
        Path::new(&*self.name).extension().is_some_and(|extension| extension == "yaml")
    }
}

impl Place {
    /// The beginning of a file of which no line can be shown.
    pub fn file(name: &Arc<str>) -> Self {
        Self { file: Arc::clone(name), line: 1, column: 1, length: 0, text: Arc::from("") }
    }
}

/// A path of the file that `place` is in: relative ones are joined with its folder, without looking at the disk.
pub(crate) fn joined(place: &Place, path: &str) -> PathBuf {
    Path::new(&*place.file).parent().map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
}

/// The lines of one file, each shared by all places on it.
#[derive(Debug)]
pub(super) struct Lines {
    file: Arc<str>,
    lines: Vec<Arc<str>>,
}

impl Lines {
    /// Cuts at LF, CR LF and CR, as YAML does (YAML 1.2.2 §5.4).
    pub(super) fn of(file: &Arc<str>, text: &str) -> Self {
        let unix = text.replace("\r\n", "\n").replace('\r', "\n");
        Self { file: Arc::clone(file), lines: unix.split('\n').map(Arc::from).collect() }
    }

    /// The number and length of the longest line, in characters.
    pub(super) fn longest(&self) -> (usize, usize) {
        let lengths = self.lines.iter().map(|line| line.chars().count()).enumerate();
        lengths
            .max_by_key(|(_, length)| *length)
            .map_or((1, 0), |(index, length)| (index + 1, length))
    }

    /// A whole line.
    pub(super) fn number(&self, line: usize) -> Place {
        self.place((line, 1), (line + 1, 1))
    }

    /// Behind the last character.
    pub(super) fn end(&self) -> Place {
        let last = self.lines.last().map_or(0, |line| line.chars().count());
        let at = (self.lines.len().max(1), last + 1);
        self.place(at, at)
    }

    /// The character that follows `before`, the beginning of the file.
    pub(super) fn place_after(&self, before: &str) -> Place {
        let end = Self::of(&self.file, before).end();
        let at = (end.line as usize, end.column as usize);
        self.place(at, (at.0, at.1 + 1))
    }

    /// From line and column (both from 1) to `end` in the same terms; what goes beyond the line is cut off.
    pub(super) fn place(&self, (line, column): (usize, usize), end: (usize, usize)) -> Place {
        let text = self.lines.get(line.saturating_sub(1)).map_or_else(|| Arc::from(""), Arc::clone);
        let rest = text.trim_end().chars().count().saturating_sub(column.saturating_sub(1));
        let wanted = if end.0 > line { rest } else { end.1.saturating_sub(column) };
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(&self.file),
            line: narrow(line),
            column: narrow(column),
            length: narrow(wanted.min(rest)),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::{Lines, Place, joined};

    #[test]
    fn a_place_counts_characters_and_ends_with_its_line() {
        let lines = Lines::of(&Arc::from("a.yaml"), "title: 中間\r\nkey: value  \r\n");
        let place = lines.place((1, 8), (1, 10));
        assert_eq!((&*place.text, place.column, place.length), ("title: 中間", 8, 2));
        assert_eq!(lines.place((2, 1), (3, 1)).length, 10);
        assert_eq!(lines.place((99, 1), (99, 5)).length, 0);
    }

    #[test]
    fn a_path_is_relative_to_the_file_that_has_it() {
        let place = |name: &str| Place::file(&Arc::from(name));
        assert_eq!(
            joined(&place("policies/10.yaml"), "../certs/a.pem"),
            PathBuf::from("policies/../certs/a.pem")
        );
        assert_eq!(joined(&place("10.yaml"), "a.pem"), PathBuf::from("a.pem"));
        assert_eq!(joined(&place("policies/10.yaml"), "/etc/a.pem"), PathBuf::from("/etc/a.pem"));
    }
}
