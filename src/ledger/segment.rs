//! The ledger's files: segments, the lock that keeps a second writer out, free space. Not what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::Errno;

use super::settings::LedgerError;

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
    /// Bytes that may still be written.
    fn free(&self) -> io::Result<u64>;
}

/// A directory of segments that this process alone writes.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Holds the lock until the writer ends.
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is not there, and keeps every other writer out.
    pub(super) fn lock(path: &Path) -> Result<Self, LedgerError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(path)
            .map_err(LedgerError::io("make", path))?;
        let name = path.join("lock");
        let lock = options().create(true).open(&name).map_err(LedgerError::io("open", &name))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(LedgerError::Busy { directory: path.to_owned() }),
            Err(error) => Err(LedgerError::io("lock", name)(error.into())),
        }
    }

    /// The segment that begins with `first`.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:012}.jsonl"))
    }

    /// The segments by first number, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            if let Some(first) = file.file_name().to_str().and_then(first_number) {
                found.push((first, file.path()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Puts `content` in the place of the file `name`, whole or not at all, and on disk.
    pub(super) fn replace(&self, name: &Path, content: &[u8]) -> io::Result<()> {
        let draft = self.path.join("draft");
        let mut file = options().create(true).truncate(true).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, name)?;
        self.sync()
    }

    /// Sets every segment and checkpoint aside, where no writer touches them again.
    pub(super) fn quarantine(&self, boot: u64) -> io::Result<PathBuf> {
        let aside = self.path.join(format!("quarantine-{boot}"));
        fs::create_dir(&aside)?;
        for (_, path) in self.segments()? {
            if let Some(name) = path.file_name() {
                fs::rename(&path, aside.join(name))?;
            }
        }
        File::open(&aside)?.sync_all()?;
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

    /// A new file is only there after a crash once its directory is synced.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
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

fn first_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    let plain = digits.len() >= 12 && digits.bytes().all(|c| c.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}
