//! The ledger's files: segments, the lock that keeps a second writer out, free space. Not what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::Errno;

use super::checkpoints;
use super::file;
use super::hint::{self, Hints};
use super::key;
use super::settings::LedgerError;
use super::subtree::Subtrees;

/// Where lines go. The writer owns it; tests put a failing one in its place.
pub(super) trait Sink: Send {
    /// Puts all of `bytes` behind what is there; after an error some of them may be.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything written is on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes it `length` bytes long again, on disk.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// Where segments are made.
pub(super) trait Store: Send {
    /// A new, empty segment whose first line will have this number.
    fn begin(&mut self, first: u64) -> io::Result<Box<dyn Sink>>;
    /// Keeps the subtrees of a segment that ends; to do it again changes nothing.
    fn end(&mut self, subtrees: &Subtrees) -> io::Result<()>;
    /// Keeps hints to the lines of the segment that begins with `first`; where that fails, nothing else does.
    fn hint(&mut self, _first: u64, _hints: &[u8]) {}
    /// Bytes that may still be written.
    fn free(&self) -> io::Result<u64>;
}

/// A directory of segments that this process alone writes.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    hints: Hints,
    /// Holds the lock until the writer ends.
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is not there, and keeps every other writer out.
    pub(super) fn lock(path: &Path) -> Result<Self, LedgerError> {
        file::make_directory(path).map_err(LedgerError::io("make", path))?;
        let name = path.join("lock");
        let lock = options().create(true).open(&name).map_err(LedgerError::io("open", &name))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), hints: Hints::default(), _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(LedgerError::Busy { directory: path.to_owned() }),
            Err(error) => Err(LedgerError::io("lock", name)(error.into())),
        }
    }

    /// The segment that begins with `first`.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:012}.jsonl"))
    }

    /// The subtrees of the segment that begins with `first`.
    pub(super) fn tree(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:012}.tree"))
    }

    /// The `.tree` files by first number, in order.
    pub(super) fn trees(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        named(&self.path, ".tree")
    }

    /// The segments that have their lines, compressed or not, in order.
    pub(super) fn stored(&self) -> io::Result<Vec<Stored>> {
        Self::stored_in(&self.path)
    }

    /// As [`Directory::stored`], for whoever does not write.
    pub(super) fn stored_in(path: &Path) -> io::Result<Vec<Stored>> {
        let stored = |packed| move |(first, path)| Stored { first, path, packed };
        let packed = named(path, ".jsonl.zst")?.into_iter().map(stored(true));
        let plain = named(path, ".jsonl")?.into_iter().map(stored(false));
        let mut all: Vec<Stored> = plain.chain(packed).collect();
        all.sort_by_key(|segment| (segment.first, segment.packed));
        // A compressed one beside its lines was not finished.
        all.dedup_by_key(|segment| segment.first);
        Ok(all)
    }

    /// Puts `content` in the place of the file `name`, whole or not at all, and on disk.
    pub(super) fn replace(&self, name: &Path, content: &[u8]) -> io::Result<()> {
        debug_assert_eq!(name.parent(), Some(self.path.as_path()));
        file::replace(name, 0o640, content)
    }

    /// Sets segments, subtrees and checkpoints aside, where no writer touches them again.
    pub(super) fn quarantine(&self, boot: u64, state: &Path) -> io::Result<PathBuf> {
        let aside = self.path.join(format!("quarantine-{boot}"));
        fs::create_dir(&aside)?;
        let all =
            [".jsonl", ".jsonl.zst", ".tree", hint::SUFFIX].map(|suffix| named(&self.path, suffix));
        for files in all {
            for (_, path) in files? {
                move_into(&aside, &path)?;
            }
        }
        let checkpoints = self.path.join(checkpoints::NAME);
        if checkpoints.exists() {
            move_into(&aside, &checkpoints)?;
        }
        // With the public key and the copy of the head, so that it can still be verified.
        for name in [key::PUBLIC, key::HEAD] {
            if let Some(text) = file::read(&state.join(name))? {
                file::replace(&aside.join(name), 0o640, text.as_bytes())?;
            }
        }
        file::sync_directory(&aside)?;
        self.sync()?;
        Ok(aside)
    }

    /// Opens a segment that was begun.
    pub(super) fn reopen(path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn sync(&self) -> io::Result<()> {
        file::sync_directory(&self.path)
    }
}

/// A segment that has its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The number of its first entry.
    pub(super) first: u64,
    /// The file.
    pub(super) path: PathBuf,
    /// Whether it is compressed.
    pub(super) packed: bool,
}

impl Store for Directory {
    fn begin(&mut self, first: u64) -> io::Result<Box<dyn Sink>> {
        let name = self.segment(first);
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(name)?;
        // An empty one was left by an attempt that failed; lines with these numbers would be a fork.
        if file.metadata()?.len() > 0 {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.sync()?;
        Ok(Box::new(file))
    }

    fn end(&mut self, subtrees: &Subtrees) -> io::Result<()> {
        self.replace(&self.tree(subtrees.first()), subtrees.to_string().as_bytes())
    }

    fn hint(&mut self, first: u64, hints: &[u8]) {
        self.hints.append((&self.path, first), hints);
    }

    fn free(&self) -> io::Result<u64> {
        let space = statvfs(&self.path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

impl Sink for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()?;
        // A file that was deleted still takes what is written, and loses it.
        if self.metadata()?.nlink() == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o640);
    options
}

/// The files that are named by the number of an entry and this suffix, in order.
fn named(directory: &Path, suffix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory)? {
        let file = file?;
        if let Some(first) = file.file_name().to_str().and_then(|name| number(name, suffix)) {
            found.push((first, file.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn move_into(aside: &Path, path: &Path) -> io::Result<()> {
    path.file_name().map_or(Ok(()), |name| fs::rename(path, aside.join(name)))
}

fn number(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let plain = digits.len() >= 12 && digits.bytes().all(|c| c.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}
