//! What was claimed of the tree: the signed notes of the `checkpoints` file, one by one, and what outsiders hold.
//! Whether a claim fits the lines is for `walk` to say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::ledger::note::{Checkpoint, NoteError, VerifierKey};
use crate::ledger::tree::Hash;

/// What a signature line begins with: an em dash and a space (C2SP `signed-note`).
const DASH: &[u8] = "\u{2014} ".as_bytes();
/// A note that is longer is none of ours.
const NOTE_MAX: usize = 64 << 10;

/// The notes of a `checkpoints` file as it was when it was opened: what a running writer adds meanwhile speaks of
/// lines that nobody has listed.
pub(in crate::ledger) struct Notes {
    source: Option<io::Take<BufReader<File>>>,
    /// A line that was read to find the end of the note before it.
    ahead: Vec<u8>,
    line: u64,
}

/// One note, by its text and where it begins.
pub(in crate::ledger) struct Found {
    pub(in crate::ledger) text: String,
    /// Its first line in the file, from 1.
    pub(in crate::ledger) line: u64,
    /// Whether its last line is there in full.
    pub(in crate::ledger) whole: bool,
}

impl Notes {
    /// Of a directory; none where the file is not there.
    pub(in crate::ledger) fn open(directory: &Path) -> io::Result<Self> {
        Self::of(&directory.join("checkpoints"))
    }

    fn of(path: &Path) -> io::Result<Self> {
        let source = match File::open(path) {
            Ok(file) => {
                let length = file.metadata()?.len();
                Some(BufReader::new(file).take(length))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { source, ahead: Vec::new(), line: 0 })
    }

    /// The next one: everything up to the first line that is no signature after lines that are; the empty line
    /// after it belongs to none.
    pub(in crate::ledger) fn next(&mut self) -> io::Result<Option<Found>> {
        let mut note = std::mem::take(&mut self.ahead);
        let mut begin = if note.is_empty() { self.line + 1 } else { self.line };
        if note == b"\n" {
            note.clear();
            begin += 1;
        }
        let mut is_signed = false;
        loop {
            let mut line = Vec::new();
            self.read(&mut line)?;
            if note.is_empty() && line == b"\n" {
                begin += 1;
                continue;
            }
            let is_signature = line.starts_with(DASH);
            if line.is_empty() || (is_signed && !is_signature) || note.len() > NOTE_MAX {
                self.ahead = line;
                break;
            }
            is_signed |= is_signature;
            note.extend_from_slice(&line);
        }
        if note.is_empty() {
            return Ok(None);
        }
        let whole = is_signed && note.ends_with(b"\n");
        let text = String::from_utf8_lossy(&note).into_owned();
        Ok(Some(Found { text, line: begin, whole }))
    }

    fn read(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let room = NOTE_MAX as u64;
        let read = source.by_ref().take(room).read_until(b'\n', line)?;
        self.line += u64::from(read > 0);
        Ok(())
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&self) -> bool {
        self.ahead.is_empty()
    }
}

/// A head of the tree that somebody outside holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Who or what, for people.
    pub name: String,
    /// How many entries.
    pub size: u64,
    /// The root, as much of it as is held.
    pub root: Held,
}

/// The signed checkpoints in a file that was kept elsewhere: one, or a copy of a whole `checkpoints` file.
///
/// # Errors
/// It cannot be read; inside, that a note in it is none, or not signed by `key`.
pub fn held_in(path: &Path, key: &VerifierKey) -> io::Result<Result<Vec<Witness>, NoteError>> {
    let name = path.display().to_string();
    let mut notes = Notes::of(path)?;
    let mut held = Vec::new();
    while let Some(found) = notes.next()? {
        match Witness::of_note(name.clone(), &found.text, key) {
            Ok(witness) => held.push(witness),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(held))
}

/// A root hash in the hands of an outsider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// All of it.
    Whole(Hash),
    /// Its first 18 bytes, as the metrics export it.
    Start([u8; 18]),
}

impl Held {
    /// Whether `root` is it, as far as can be told.
    pub fn fits(self, root: Hash) -> bool {
        match self {
            Self::Whole(hash) => hash == root,
            Self::Start(start) => root.0.starts_with(&start),
        }
    }
}

impl Witness {
    /// From a signed note.
    ///
    /// # Errors
    /// [`NoteError`]: it is none, or not signed by `key`.
    pub fn of_note(name: String, note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let Checkpoint { size, root, .. } = Checkpoint::open(note, key)?;
        Ok(Self { name, size, root: Held::Whole(root) })
    }

    /// From `SIZE:ROOT` as a report prints it; the root in base64 or in hexadecimal digits.
    pub fn of_text(text: &str) -> Option<Self> {
        let (size, root) = text.trim().split_once(':')?;
        let bytes = unhex(root).or_else(|| crate::ledger::note::decode(root))?;
        let root = Held::Whole(Hash(bytes.try_into().ok()?));
        Some(Self { name: text.trim().to_owned(), size: size.parse().ok()?, root })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(
        digits.chunks_exact(2).filter_map(|pair| Some(pair.first()? << 4 | pair.last()?)).collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Held, Notes, Witness};
    use crate::ledger::tree::Hash;

    #[test]
    fn notes_are_told_apart_by_the_text_after_a_signature() {
        let folder = tempfile::tempdir().unwrap();
        let text = "o\n1\nr\n\n\u{2014} a x\n\u{2014} b y\n\no\n2\nr\n\n\u{2014} a z\n\no\n3\n";
        fs::write(folder.path().join("checkpoints"), text).unwrap();
        let mut notes = Notes::open(folder.path()).unwrap();
        let mut seen = Vec::new();
        while let Some(found) = notes.next().unwrap() {
            seen.push((found.text.lines().count(), found.line, found.whole, notes.is_over()));
        }
        assert_eq!(seen, [(6, 1, true, false), (5, 8, true, false), (2, 14, false, true)]);
        fs::remove_file(folder.path().join("checkpoints")).unwrap();
        assert!(Notes::open(folder.path()).unwrap().next().unwrap().is_none());
    }

    #[test]
    fn a_root_is_taken_as_reports_and_checkpoints_write_it() {
        let root = Hash([0xab; 32]);
        for text in
            [format!("7:{root:?}"), format!(" 7:{}\n", crate::ledger::note::encode(&root.0))]
        {
            let witness = Witness::of_text(&text).unwrap();
            assert_eq!((witness.size, witness.root), (7, Held::Whole(root)));
        }
        for text in ["7", "7:", "x:ab", "7:abab"] {
            assert_eq!(Witness::of_text(text), None, "{text}");
        }
    }
}
