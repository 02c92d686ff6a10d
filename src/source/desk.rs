//! Where files are laid out for one reading: from disk, or out of the archive. Every file once, bounded, remembered.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::yaml::SourceFile;

/// The most bytes that one file may have.
pub(super) const FILE_MAX: u64 = 8 << 20;
/// The same of a geography file: the statistics of all registries together have some 30 MiB.
const LARGE_MAX: u64 = 48 << 20;
/// The most bytes that one reading takes in.
const TOTAL_MAX: u64 = 64 << 20;
/// The most entries that a law's directory may have.
pub(super) const ENTRIES_MAX: usize = 1000;
/// A file that was written to more recently may be half written.
const REST: Duration = Duration::from_millis(50);

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not there.
    Missing,
    /// It is there, but not for us.
    Denied,
    /// It is a folder, a pipe or a device.
    NotAFile,
    /// It has more bytes than are read of such a file, or all files together more than [`TOTAL_MAX`].
    TooLarge,
    /// Anything else.
    Other(io::ErrorKind),
}

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    bytes: Arc<[u8]>,
    /// Whether anybody on this machine may read it.
    open: bool,
    /// How long ago it was written to, as far as the clock can tell.
    age: Option<Duration>,
}

/// One reading.
#[derive(Debug)]
pub(super) struct Desk {
    /// Files that are taken from here and not from disk, by their original path.
    archived: Option<BTreeMap<PathBuf, Arc<[u8]>>>,
    seen: BTreeMap<PathBuf, Result<Seen, Unreadable>>,
    /// How much was read of each at most.
    bounds: BTreeMap<PathBuf, u64>,
    listed: BTreeMap<PathBuf, Result<Vec<String>, Unreadable>>,
    public: BTreeMap<PathBuf, Arc<[u8]>>,
    total: u64,
}

impl Desk {
    /// Everything comes from disk.
    pub(super) const fn disk() -> Self {
        Self::with(None)
    }

    /// What the archive has comes from there, anything else from disk.
    pub(super) const fn archived(files: BTreeMap<PathBuf, Arc<[u8]>>) -> Self {
        Self::with(Some(files))
    }

    const fn with(archived: Option<BTreeMap<PathBuf, Arc<[u8]>>>) -> Self {
        Self {
            archived,
            seen: BTreeMap::new(),
            bounds: BTreeMap::new(),
            listed: BTreeMap::new(),
            public: BTreeMap::new(),
            total: 0,
        }
    }

    /// Whether the archive is read.
    pub(super) const fn is_archived(&self) -> bool {
        self.archived.is_some()
    }

    /// A file.
    pub(super) fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, Unreadable> {
        match self.archived.as_ref().and_then(|files| files.get(path)) {
            Some(bytes) => Ok(Arc::clone(bytes)),
            None => self.read_disk(path),
        }
    }

    /// A file that may be large.
    pub(super) fn read_large(&mut self, path: &Path) -> Result<Arc<[u8]>, Unreadable> {
        match self.archived.as_ref().and_then(|files| files.get(path)) {
            Some(bytes) => Ok(Arc::clone(bytes)),
            None => self.read_bounded(path, LARGE_MAX),
        }
    }

    /// A file, from disk also where the archive has one of that name.
    pub(super) fn read_disk(&mut self, path: &Path) -> Result<Arc<[u8]>, Unreadable> {
        self.read_bounded(path, FILE_MAX)
    }

    fn read_bounded(&mut self, path: &Path, most: u64) -> Result<Arc<[u8]>, Unreadable> {
        if !self.seen.contains_key(path) {
            let found = look(path, most).and_then(|seen| self.counted(seen));
            self.seen.insert(path.to_owned(), found);
            self.bounds.insert(path.to_owned(), most);
        }
        let seen = self.seen.get(path).map_or(Err(Unreadable::Missing), Clone::clone);
        seen.map(|seen| seen.bytes)
    }

    /// Says that these bytes of a file may be archived and shown.
    pub(super) fn publish(&mut self, path: &Path, bytes: &Arc<[u8]>) {
        self.public.insert(path.to_owned(), Arc::clone(bytes));
    }

    /// The public files so far.
    pub(super) fn public(&self) -> Vec<SourceFile> {
        self.public
            .iter()
            .map(|(path, bytes)| SourceFile { name: shown(path), bytes: Arc::clone(bytes) })
            .collect()
    }

    /// Whether anybody on this machine may read a file that was read from disk.
    pub(super) fn is_open(&self, path: &Path) -> bool {
        matches!(self.seen.get(path), Some(Ok(seen)) if seen.open)
    }

    /// The names in a folder, sorted; one that is no UTF-8 with its odd bytes replaced.
    pub(super) fn list(&mut self, folder: &Path) -> Result<Vec<String>, Unreadable> {
        if let Some(files) = &self.archived {
            let inside = files.keys().filter(|path| path.parent() == Some(folder));
            return Ok(inside.filter_map(|path| name_of(path)).collect());
        }
        let names = list(folder);
        self.listed.insert(folder.to_owned(), names.clone());
        names
    }

    /// Waits until the youngest file has come to rest, and reads everything again: is it the same?
    pub(super) fn is_unchanged(&self) -> bool {
        let ages = self.seen.values().filter_map(|seen| seen.as_ref().ok()?.age);
        if let Some(missing) = ages.min().and_then(|youngest| REST.checked_sub(youngest)) {
            std::thread::sleep(missing);
        }
        let listed = self.listed.iter().all(|(folder, names)| list(folder) == *names);
        let bound = |path: &PathBuf| self.bounds.get(path).copied().unwrap_or(FILE_MAX);
        listed && self.seen.iter().all(|(path, before)| same(before, &look(path, bound(path))))
    }

    fn counted(&mut self, seen: Seen) -> Result<Seen, Unreadable> {
        self.total = self.total.saturating_add(seen.bytes.len() as u64);
        if self.total > TOTAL_MAX { Err(Unreadable::TooLarge) } else { Ok(seen) }
    }
}

/// A path as it is shown, and as paths inside the file are joined with it.
pub(super) fn shown(path: &Path) -> Arc<str> {
    Arc::from(path.to_string_lossy())
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn same(before: &Result<Seen, Unreadable>, now: &Result<Seen, Unreadable>) -> bool {
    match (before, now) {
        (Ok(before), Ok(now)) => before.bytes == now.bytes,
        // It was too much in all; that the file itself can be read is no news.
        (Err(Unreadable::TooLarge), Ok(_)) => true,
        (Err(before), Err(now)) => before == now,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

fn look(path: &Path, most: u64) -> Result<Seen, Unreadable> {
    // Opening a pipe would wait for its writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let age = about.modified().ok().and_then(|written| written.elapsed().ok());
    Ok(Seen { bytes: contents(file, most)?, open: about.permissions().mode() & 0o007 != 0, age })
}

fn contents(file: File, most: u64) -> Result<Arc<[u8]>, Unreadable> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most { Err(Unreadable::TooLarge) } else { Ok(bytes.into()) }
}

fn list(folder: &Path) -> Result<Vec<String>, Unreadable> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
        if names.len() > ENTRIES_MAX {
            return Err(Unreadable::TooLarge);
        }
    }
    names.sort();
    Ok(names)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
#[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are an open set")]
fn unreadable(error: io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        io::ErrorKind::PermissionDenied => Unreadable::Denied,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Unreadable::NotAFile,
        other => Unreadable::Other(other),
    }
}

impl Unreadable {
    /// What to say of a file or folder, and the code of the fault.
    pub(super) fn said(&self, path: &Path) -> (&'static str, String) {
        let path = path.display();
        match self {
            Self::Missing => ("file_missing", format!("`{path}` is not there")),
            Self::Denied => ("file_unreadable", format!("`{path}` may not be read")),
            Self::NotAFile => (
                "file_unreadable",
                format!("`{path}` is not what it should be, a plain file or a folder"),
            ),
            Self::TooLarge => {
                let (file, total) = (FILE_MAX >> 20, TOTAL_MAX >> 20);
                let bounds = format!(
                    "at most {file} MiB a file, {total} MiB and {ENTRIES_MAX} files in all"
                );
                ("file_too_large", format!("`{path}` is too much: {bounds}"))
            }
            Self::Other(kind) => ("file_unreadable", format!("`{path}` cannot be read: {kind}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::{Desk, FILE_MAX, Unreadable};

    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);

    #[test]
    fn a_file_that_changes_after_it_was_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "one").unwrap();
        let changes: [Change<'_>; 5] = [
            ("rewritten", Box::new(|| fs::write(&a, "two").unwrap())),
            ("gone", Box::new(|| fs::remove_file(&a).unwrap())),
            ("come", Box::new(|| fs::write(&b, "new").unwrap())),
            (
                "swapped",
                Box::new(|| {
                    fs::write(folder.path().join("c"), "swap").unwrap();
                    fs::rename(folder.path().join("c"), &a).unwrap();
                }),
            ),
            ("another in the folder", Box::new(|| fs::write(folder.path().join("z"), "").unwrap())),
        ];
        for (what, change) in changes {
            fs::write(&a, "one").unwrap();
            let _gone = fs::remove_file(&b);
            let mut desk = Desk::disk();
            desk.read(&a).unwrap();
            assert_eq!(desk.read(&b), Err(Unreadable::Missing));
            desk.list(folder.path()).unwrap();
            assert!(desk.is_unchanged(), "{what}");
            change();
            assert!(!desk.is_unchanged(), "{what}");
        }
    }

    #[test]
    fn what_is_no_plain_file_of_a_bearable_size_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        let large = folder.path().join("large");
        fs::File::create(&large).unwrap().set_len(FILE_MAX + 1).unwrap();
        let mut desk = Desk::disk();
        assert_eq!(desk.read(&pipe), Err(Unreadable::NotAFile));
        assert_eq!(desk.read(folder.path()), Err(Unreadable::NotAFile));
        assert_eq!(desk.read(&large), Err(Unreadable::TooLarge));
        for number in 0..9 {
            let path = folder.path().join(format!("f{number}"));
            fs::File::create(&path).unwrap().set_len(FILE_MAX).unwrap();
            let read = desk.read(&path);
            assert_eq!(read.is_ok(), number < 8, "{number}");
        }
        assert!(desk.is_unchanged());
    }

    #[test]
    fn the_archive_comes_before_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, key) = (folder.path().join("kept"), folder.path().join("key"));
        fs::write(&kept, "disk").unwrap();
        fs::write(&key, "key").unwrap();
        let archive: [(PathBuf, Arc<[u8]>); 1] = [(kept.clone(), b"archive".to_vec().into())];
        let mut desk = Desk::archived(archive.into_iter().collect());
        assert_eq!(&*desk.read(&kept).unwrap(), b"archive");
        assert_eq!(&*desk.read_disk(&kept).unwrap(), b"disk");
        assert_eq!(&*desk.read(&key).unwrap(), b"key");
        assert_eq!(desk.list(folder.path()), Ok(vec!["kept".to_owned()]));
    }
}
