//! The lab's directory: law, box file, certificates, ledger, state. Made for one run, or where somebody wants to look
//! at it afterwards; nothing in here is sent anywhere.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::ground::Ground;

/// The law of the lab, file by file.
const LAW: [(&str, &str); 4] = [
    ("00-council.yaml", include_str!("../../policies/lab/00-council.yaml")),
    ("10-systems.yaml", include_str!("../../policies/lab/10-systems.yaml")),
    ("20-rules.yaml", include_str!("../../policies/lab/20-rules.yaml")),
    ("30-scenarios.yaml", include_str!("../../policies/lab/30-scenarios.yaml")),
];

/// The box of the lab.
const APPLIANCE: &str = include_str!("appliance.yaml");

/// A directory with everything a box needs but the certificates.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// One that is removed with everything in it when it is dropped.
    ///
    /// # Errors
    /// What the file system says.
    pub fn temporary() -> io::Result<Self> {
        let place = std::env::temp_dir();
        for number in 0..u32::MAX {
            let path = place.join(format!("sekisho-lab-{}-{number}", std::process::id()));
            match make(&path) {
                Ok(()) => return Ok(Self { path, is_kept: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// One that somebody named and that stays.
    ///
    /// # Errors
    /// Where it cannot be made, or already holds something.
    pub fn kept(path: &Path) -> io::Result<Self> {
        if path.exists() {
            if fs::read_dir(path)?.next().is_some() {
                let said = format!("`{}` is not empty", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, said));
            }
        } else {
            make(path)?;
        }
        Ok(Self { path: fs::canonicalize(path)?, is_kept: true })
    }

    /// Writes law and box as they read on `ground`, with the HTTP port at `admin`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn furnish(&self, ground: &Ground, admin: std::net::SocketAddr) -> io::Result<()> {
        for folder in [self.law(), self.certificates(), self.path.join("state")] {
            make(&folder)?;
        }
        for (name, text) in LAW {
            fs::write(self.law().join(name), ground.rewrite(text))?;
        }
        let text = ground.rewrite(APPLIANCE).replace("127.0.0.1:9617", &admin.to_string());
        fs::write(self.box_file(), text)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The law's directory.
    pub fn law(&self) -> PathBuf {
        self.path.join("policies")
    }

    /// The directory of the certificates.
    pub fn certificates(&self) -> PathBuf {
        self.path.join("certs")
    }

    /// The box file.
    pub fn box_file(&self) -> PathBuf {
        self.path.join("appliance.yaml")
    }

    /// The ledger's directory.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger")
    }

    /// Replaces `from` by `to` in a file of the directory, in one step as an editor does it. Gives what was there.
    ///
    /// # Errors
    /// Where the file cannot be read or written, or does not hold `from`.
    pub fn edit(&self, file: &str, from: &str, to: &str) -> io::Result<String> {
        let before = fs::read_to_string(self.path.join(file))?;
        if !before.contains(from) {
            let said = format!("`{file}` does not hold `{from}`");
            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
        }
        self.write(file, &before.replace(from, to))?;
        Ok(before)
    }

    /// Writes a file of the directory in one step: nobody ever reads half of it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let (path, new) = (self.path.join(file), self.path.join(format!("{file}.new")));
        fs::write(&new, text)?;
        fs::rename(new, path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed lies in the folder for temporary files, which is cleared by others too.
            let _removed = fs::remove_dir_all(&self.path);
        }
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Folder;

    #[test]
    fn a_temporary_folder_is_gone_with_its_owner_and_an_edit_gives_back_what_was_there() {
        let folder = Folder::temporary().unwrap();
        let path = folder.path().to_owned();
        folder.write("a.yaml", "since: 2020").unwrap();
        assert_eq!(folder.edit("a.yaml", "2020", "2099").unwrap(), "since: 2020");
        assert_eq!(fs::read_to_string(path.join("a.yaml")).unwrap(), "since: 2099");
        assert!(folder.edit("a.yaml", "2020", "2021").is_err(), "nothing to replace");
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_holds_something_is_not_taken() {
        let place = Folder::temporary().unwrap();
        place.write("letter", "dear").unwrap();
        assert!(Folder::kept(place.path()).is_err());
        let path = place.path().join("new");
        drop(Folder::kept(&path).unwrap());
        assert!(path.exists(), "it stays");
    }
}
