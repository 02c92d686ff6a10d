//! Files that are there whole or not at all, also after a crash. What is in them is not known here.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Puts `content` in the place of the file `name`, whole or not at all, and on disk.
pub(super) fn replace(name: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let (draft, mut file) = draft(name, mode)?;
    file.write_all(content)?;
    settle(&file, &draft, name)
}

/// A new file beside `name`, in which it can be prepared.
pub(super) fn draft(name: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut draft = name.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    // One that a crash has left may have other permissions.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => (),
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    Ok((draft, file))
}

/// Gives what is prepared in `draft` its name.
pub(super) fn settle(file: &File, draft: &Path, name: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(draft, name)?;
    sync_parent(name)
}

/// A file is only there, or gone, after a crash once its directory is synced.
pub(super) fn sync_parent(name: &Path) -> io::Result<()> {
    name.parent().map_or(Ok(()), sync_directory)
}

/// As [`sync_parent`], for the directory itself.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory where it is not there.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(path)
}

/// The text of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
