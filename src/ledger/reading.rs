//! The ledger's lines as they lie on disk, segment by segment, in bounded memory. Reads beside a running writer:
//! nothing here locks, writes, or understands a line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::path::{Path, PathBuf};

use memchr::memchr;

use super::subtree::Subtrees;
use super::tree::Range;

/// A line that is longer is cut there: nobody wrote it, and whoever planted it shall not fill the memory.
const LINE_MAX: usize = 16 << 20;
const BUFFER: usize = 256 << 10;

/// Entries that lie beside each other in one file, or what is left of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// The number of its first entry.
    pub first: u64,
    /// How it lies there.
    pub form: Form,
    /// The file.
    pub path: PathBuf,
}

/// How a segment lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Lines.
    Plain,
    /// Lines, compressed by zstd.
    Compressed,
    /// The lines are gone in their time; the hashes of their subtrees are kept.
    Pruned,
}

impl Form {
    const ALL: [Self; 3] = [Self::Plain, Self::Compressed, Self::Pruned];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => ".jsonl",
            Self::Compressed => ".jsonl.zst",
            Self::Pruned => ".tree",
        }
    }
}

/// What a directory has, in the order of the numbers. Where a segment is there in two forms, since it is just
/// being compressed or pruned, the one that says more is taken.
///
/// # Errors
/// The directory cannot be read.
pub fn stretches(directory: &Path) -> io::Result<Vec<Stretch>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if let Some((first, form)) = path.file_name().and_then(|name| named(name.to_str()?)) {
            found.push(Stretch { first, form, path });
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|stretch| stretch.first);
    Ok(found)
}

fn named(name: &str) -> Option<(u64, Form)> {
    Form::ALL.into_iter().find_map(|form| {
        let digits = name.strip_suffix(form.suffix())?;
        let plain = digits.len() >= 12 && digits.bytes().all(|c| c.is_ascii_digit());
        plain.then(|| digits.parse().ok().map(|first| (first, form)))?
    })
}

impl Stretch {
    /// Its lines. A segment that was compressed since the directory was listed is read in its new form; a pruned
    /// one has no lines.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn lines(&self) -> io::Result<Lines> {
        let source: Box<dyn BufRead> = match self.form {
            Form::Plain => match File::open(&self.path) {
                Ok(file) => buffered(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    decompressed(&self.path.with_extension("jsonl.zst"))?
                }
                Err(error) => return Err(error),
            },
            Form::Compressed => decompressed(&self.path)?,
            Form::Pruned => Box::new(io::empty()),
        };
        Ok(Lines { source, number: 0, used: 0, long: Vec::new() })
    }

    /// The file that keeps the hashes of its subtrees, whatever its own form is.
    #[must_use]
    pub fn tree(&self) -> Self {
        let name = format!("{:012}{}", self.first, Form::Pruned.suffix());
        Self { first: self.first, form: Form::Pruned, path: self.path.with_file_name(name) }
    }

    /// The hashes that are kept of its entries; `None` where the file is none of its kind, or of another segment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn range(&self) -> io::Result<Option<Range>> {
        let text = fs::read_to_string(&self.path)?;
        let subtrees = Subtrees::parse(&text).filter(|subtrees| subtrees.first() == self.first);
        Ok(subtrees.map(|subtrees| subtrees.within))
    }

    /// Its file's name, for people.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Bytes on disk; 0 where it is gone.
    pub fn size(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |about| about.len())
    }
}

/// Whether a file could be read and is not what its name says.
pub fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

fn buffered(source: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(BUFFER, source))
}

fn decompressed(path: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(buffered(Unpacked(zstd::Decoder::new(File::open(path)?)?)))
}

/// Says of whatever cannot be decompressed that it is damaged.
struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// The lines of one file.
pub struct Lines {
    source: Box<dyn BufRead>,
    number: u64,
    /// Bytes of the buffer that the last line was.
    used: usize,
    /// A line that does not lie in the buffer in one piece.
    long: Vec<u8>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}

/// One line.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its bytes, without the line break.
    pub bytes: &'a [u8],
    /// Whether there was a line break; only the last one can be without.
    pub whole: bool,
    /// Which line of its file, from 1.
    pub number: u64,
}

impl Lines {
    /// The next one; where there is none, there may be one later.
    ///
    /// # Errors
    /// The file cannot be read, or is not what its name says.
    #[expect(clippy::should_implement_trait, reason = "a line is borrowed, a failure ends it")]
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.source.consume(mem::take(&mut self.used));
        let Some(end) = memchr(b'\n', self.source.fill_buf()?) else { return self.next_long() };
        self.used = end + 1;
        self.number += 1;
        // What was just looked at still lies in the buffer.
        let bytes = self.source.fill_buf()?.get(..end).unwrap_or_default();
        Ok(Some(Line { bytes, whole: true, number: self.number }))
    }

    fn next_long(&mut self) -> io::Result<Option<Line<'_>>> {
        self.long.clear();
        let mut whole = false;
        while !whole {
            let piece = self.source.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            let end = memchr(b'\n', piece);
            whole = end.is_some();
            let length = end.unwrap_or(piece.len());
            let room = LINE_MAX.saturating_sub(self.long.len()).min(length);
            self.long.extend_from_slice(piece.get(..room).unwrap_or_default());
            self.source.consume(length + usize::from(whole));
        }
        if self.long.is_empty() && !whole {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(Line { bytes: &self.long, whole, number: self.number }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Form, stretches};

    #[test]
    fn a_segment_is_taken_in_the_form_that_says_most() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "000000000001.tree",
            "000000000011.jsonl.zst",
            "000000000011.tree",
            "000000000021.jsonl",
            "000000000021.jsonl.zst",
            "000000000021.leaves",
            "checkpoints",
            "21.jsonl",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = stretches(folder.path()).unwrap();
        let found: Vec<_> = found.iter().map(|stretch| (stretch.first, stretch.form)).collect();
        assert_eq!(found, [(1, Form::Pruned), (11, Form::Compressed), (21, Form::Plain)]);
    }

    #[test]
    fn lines_come_whole_whatever_their_length_and_the_last_one_may_be_torn() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(super::BUFFER + 7);
        let path = folder.path().join("000000000001.jsonl");
        fs::write(&path, format!("a\n\n{long}\n{long}\nb\ntorn")).unwrap();
        let [stretch] = &stretches(folder.path()).unwrap()[..] else { panic!("one segment") };
        let mut lines = stretch.lines().unwrap();
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push((line.bytes.len(), line.whole, line.number));
        }
        let length = long.len();
        assert_eq!(
            seen,
            [
                (1, true, 1),
                (0, true, 2),
                (length, true, 3),
                (length, true, 4),
                (1, true, 5),
                (4, false, 6)
            ]
        );
    }

    #[test]
    fn a_segment_that_is_compressed_meanwhile_is_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000000000001.jsonl");
        fs::write(&path, "a\nb\n").unwrap();
        let found = stretches(folder.path()).unwrap();
        let packed = zstd::encode_all(fs::File::open(&path).unwrap(), 0).unwrap();
        fs::write(folder.path().join("000000000001.jsonl.zst"), packed).unwrap();
        fs::remove_file(path).unwrap();
        let mut lines = found[0].lines().unwrap();
        let mut count = 0;
        while let Some(line) = lines.next().unwrap() {
            assert!(line.whole);
            count += 1;
        }
        assert_eq!(count, 2);
    }
}
