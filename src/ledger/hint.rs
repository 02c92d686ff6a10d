//! The `.leaves` file beside a segment: the first eight bytes of every line's leaf hash, in order. A hint that lets
//! `verify` name a damaged line; no evidence, so it is not synced, and where it cannot be written nothing else suffers.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::tree::Hash;

/// What the file's name ends with.
pub(super) const SUFFIX: &str = ".leaves";

/// Of one leaf.
pub(super) type Hint = [u8; 8];

/// The hint of a leaf.
pub(super) fn of(leaf: Hash) -> Hint {
    leaf.0.first_chunk().copied().unwrap_or_default()
}

/// The file of the segment that is written.
#[derive(Debug, Default)]
pub(super) struct Hints {
    first: u64,
    file: Option<File>,
}

/// Where the hints of the segment that begins with `first` are.
pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:012}{SUFFIX}"))
}

impl Hints {
    /// Puts hints behind those of the segment that begins with `first`. After a failure there are none up to the
    /// next segment, since a hint in the wrong place would accuse a line that is whole.
    pub(super) fn append(&mut self, (directory, first): (&Path, u64), hints: &[u8]) {
        let written = self.turn(directory, first).and_then(|()| match &mut self.file {
            Some(file) => file.write_all(hints),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::warn!(%error, first, "hints to the lines of a segment cannot be written; a damaged line will be named less exactly");
            self.file = None;
        }
    }

    fn turn(&mut self, directory: &Path, first: u64) -> io::Result<()> {
        if self.first != first {
            self.first = first;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o640);
            self.file = Some(options.open(path(directory, first))?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Hints, path};

    #[test]
    fn hints_lie_in_the_order_of_the_lines_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut hints = Hints::default();
        let written = |first| std::fs::read(path(folder.path(), first)).unwrap();
        hints.append((folder.path(), 1), b"12345678");
        hints.append((folder.path(), 1), b"abcdefgh");
        hints.append((folder.path(), 3), b"ABCDEFGH");
        assert_eq!((written(1), written(3)), (b"12345678abcdefgh".to_vec(), b"ABCDEFGH".to_vec()));
        let gone = folder.path().join("gone");
        hints.append((&gone, 4), b"--------");
        hints.append((folder.path(), 4), b"++++++++");
        assert!(
            !path(folder.path(), 4).exists(),
            "what follows a hint that is missing is left out"
        );
        hints.append((folder.path(), 5), b"xxxxxxxx");
        assert_eq!(written(5), b"xxxxxxxx");
    }
}
