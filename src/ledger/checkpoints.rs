//! The file `checkpoints`: signed notes one behind the other, each followed by an empty line. Who believes them is
//! decided elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::file;
use super::writer::Segment;

/// The name of the file.
pub(super) const NAME: &str = "checkpoints";
/// The newest note is looked for in so many bytes at the end; one of ours has less than 300.
const TAIL: u64 = 64 << 10;
/// What ends a note and its signatures.
const END: &str = "\n\n";

/// Opens the file for appending, and gives the newest note that is whole. What is torn behind it is cut.
pub(super) fn open(directory: &Path) -> io::Result<(Segment, Option<String>)> {
    let path = directory.join(NAME);
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o640).open(&path)?;
    let (whole, newest) = newest(&mut file)?;
    if file.metadata()?.len() > whole {
        tracing::warn!(file = %path.display(), "a checkpoint that a crash has torn is cut");
        file.set_len(whole)?;
    }
    file.sync_all()?;
    file::sync_directory(directory)?;
    Ok((Segment { length: whole, ..Segment::new(Box::new(file)) }, newest))
}

/// How many bytes the whole notes have, and the last of them.
fn newest(file: &mut File) -> io::Result<(u64, Option<String>)> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    // Where the tail begins within a character, only the first note of it suffers.
    let end = start + whole(&tail) as u64;
    let notes = String::from_utf8_lossy(tail.get(..whole(&tail)).unwrap_or_default()).into_owned();
    Ok((end, last(&notes)))
}

/// Bytes up to the end of the last signature that is followed by an empty line.
fn whole(bytes: &[u8]) -> usize {
    let ends = memchr::memmem::rfind_iter(bytes, END.as_bytes());
    let is_signed = |end: &usize| {
        let before = bytes.get(..*end).unwrap_or_default();
        let line = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        before.get(line..).is_some_and(|line| line.starts_with("\u{2014} ".as_bytes()))
    };
    ends.filter(is_signed).map(|end| end + END.len()).next().unwrap_or(0)
}

/// The last note of whole ones.
fn last(notes: &str) -> Option<String> {
    let notes = notes.strip_suffix(END)?;
    let (rest, signatures) = notes.rsplit_once(END)?;
    let text = rest.rsplit_once(END).map_or(rest, |(_, text)| text);
    Some(format!("{text}{END}{signatures}\n"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{NAME, open};
    use crate::ledger::note::{Checkpoint, SigningKey};
    use crate::ledger::tree::Hash;

    fn note(size: u64) -> String {
        let key = SigningKey::parse(
            "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
        );
        let origin = "PeterNeumann".to_owned();
        Checkpoint { origin, size, root: Hash([7; 32]) }.sign(&key.unwrap())
    }

    fn newest(content: &[u8]) -> (Option<String>, String) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(NAME), content).unwrap();
        let (_, newest) = open(directory.path()).unwrap();
        (newest, fs::read_to_string(directory.path().join(NAME)).unwrap())
    }

    #[test]
    fn the_newest_whole_note_is_found_wherever_the_file_is_torn() {
        let (first, second) = (format!("{}\n", note(1)), format!("{}\n", note(2)));
        let content = format!("{first}{second}");
        for length in 0..=content.len() {
            let (found, left) = newest(&content.as_bytes()[..length]);
            let expected = if length < first.len() {
                (None, String::new())
            } else if length < content.len() {
                (Some(note(1)), first.clone())
            } else {
                (Some(note(2)), content.clone())
            };
            assert_eq!((found, left), expected, "{length}");
        }
    }

    #[test]
    fn a_long_file_is_read_at_its_end_only() {
        let notes: Vec<_> = (0..2000).map(|size| note(size) + "\n").collect();
        let content = notes.concat();
        assert!(content.len() > 200_000);
        assert_eq!(newest(content.as_bytes()), (Some(note(1999)), content));
    }

    #[test]
    fn what_is_appended_is_the_newest_next_time() {
        let directory = tempfile::tempdir().unwrap();
        for size in 1..4 {
            let (mut segment, newest) = open(directory.path()).unwrap();
            assert_eq!(newest, (size > 1).then(|| note(size - 1)));
            segment.append(format!("{}\n", note(size)).as_bytes(), 0).unwrap();
        }
    }
}
