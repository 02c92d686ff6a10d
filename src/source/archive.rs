//! The archive of accepted laws: law, box file and public certificate files by the law's digest. Never a key.
//!
//! `STATE/laws/DIGEST/EDITION/` holds `box.yaml`, `law/`, `public/` and `manifest.json` (where each file came from, and
//! its SHA-256). One law can have several editions, since box and revocation lists change under it; the newest is kept.
//! `STATE/laws/last` names the edition that was accepted last. A folder is written aside, synced and renamed, and `last`
//! is replaced in the same way: a crash leaves the old archive or the new one. The ledger refers to digests, and whoever
//! reads an old entry wants its law, so the newest 256 laws stay; older ones go, but never the last.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest as hash};
use serde::{Deserialize, Serialize};

use super::desk::{Desk, name_of};
use super::{Loaded, digest, understand};
use crate::ledger::PolicyDigest;
use crate::policy;
use crate::yaml::{Fault, Faults, SourceFile};

/// The most laws that are kept.
const LAWS_MAX: usize = 256;
const FORMAT: &str = "sekisho.archive/1";

/// Accepted laws under a state directory.
#[derive(Debug, Clone)]
pub struct Archive {
    laws: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: String,
    digest: String,
    files: Vec<Kept>,
}

/// One archived file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    role: Role,
    /// Where it came from.
    path: String,
    /// Where it is, inside the edition.
    file: String,
    sha256: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Box,
    Law,
    Public,
}

/// An edition as read back.
struct Edition {
    box_file: PathBuf,
    files: BTreeMap<PathBuf, Arc<[u8]>>,
}

impl Archive {
    /// The archive under a state directory; nothing is made until something is kept.
    pub fn open(state: &Path) -> Self {
        Self { laws: state.join("laws") }
    }

    /// Archives an accepted law and marks it as the last one. Blocks until it is on disk.
    ///
    /// # Errors
    /// Where it cannot be written; what was archived before is then as it was.
    pub fn keep(&self, loaded: &Loaded) -> io::Result<()> {
        self.keep_files(&loaded.appliance.policies, loaded.digest, &loaded.files)
    }

    /// The digest of the law that was accepted last, where there is one.
    pub fn last_accepted(&self) -> Option<PolicyDigest> {
        let (digest, _) = self.last()?;
        unhex(&digest).map(PolicyDigest)
    }

    /// The law that was accepted last, with its box file and certificates; keys are read from disk, where they always
    /// were. A revocation list on disk is read beside the archived one, a renewed certificate instead of it.
    ///
    /// # Errors
    /// Where there is none, it is damaged, or keys no longer fit it.
    pub fn load_last(&self) -> Result<Loaded, Faults> {
        let (digest, edition) = self.last().ok_or_else(|| fault("no law was ever accepted"))?;
        let edition = self.read(&digest, &edition).map_err(|error| fault(&error.to_string()))?;
        understand(&mut Desk::archived(edition.files), &edition.box_file)
    }

    /// The files of an archived law, for whoever reads an old ledger entry.
    ///
    /// # Errors
    /// Where there is none of that digest, or it is damaged.
    pub fn law(&self, digest: PolicyDigest) -> io::Result<Vec<SourceFile>> {
        let digest = hex(&digest.0);
        let editions = names(&self.laws.join(&digest))?;
        let [edition, ..] = editions.as_slice() else { return Err(damaged("it has no edition")) };
        let (manifest, files) = self.read_manifest(&digest, edition)?;
        let file = |(kept, bytes): (&Kept, &Arc<[u8]>)| SourceFile {
            name: Arc::from(&*kept.path),
            bytes: Arc::clone(bytes),
        };
        let all = || manifest.files.iter().zip(&files);
        let mut law: Vec<_> = all().filter(|(kept, _)| kept.role == Role::Law).map(file).collect();
        let geography = policy::geography_file(&law);
        let named = |kept: &Kept| geography.as_deref() == Some(Path::new(&kept.path));
        law.extend(all().filter(|(kept, _)| named(kept)).map(file));
        Ok(law)
    }

    fn keep_files(&self, law: &Path, digest: PolicyDigest, files: &[SourceFile]) -> io::Result<()> {
        let digest = hex(&digest.0);
        let manifest = manifest(law, &digest, files);
        let text = serde_json::to_vec_pretty(&manifest)?;
        let edition = hex(&sha256(&text)).chars().take(16).collect::<String>();
        folder(&self.laws)?;
        self.sweep()?;
        let new = self.laws.join(format!(".new-{digest}"));
        write_edition(&new, &manifest, &text, files)?;
        let home = self.laws.join(&digest);
        folder(&home)?;
        place(&new, &home.join(&edition))?;
        sync(&self.laws)?;
        self.mark(&digest, &edition)?;
        self.forget(&digest, &edition)
    }

    /// Names the last accepted edition, in one step.
    fn mark(&self, digest: &str, edition: &str) -> io::Result<()> {
        let new = self.laws.join(".new-last");
        write(&new, format!("{digest}/{edition}\n").as_bytes())?;
        fs::rename(&new, self.laws.join("last"))?;
        sync(&self.laws)
    }

    fn last(&self) -> Option<(String, String)> {
        let text = fs::read_to_string(self.laws.join("last")).ok()?;
        let (digest, edition) = text.trim_end().split_once('/')?;
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_hexdigit());
        (plain(digest) && plain(edition)).then(|| (digest.to_owned(), edition.to_owned()))
    }

    /// Removes older editions of the law just kept, and the oldest laws beyond the bound.
    fn forget(&self, digest: &str, edition: &str) -> io::Result<()> {
        let home = self.laws.join(digest);
        for other in names(&home)?.iter().filter(|other| *other != edition) {
            fs::remove_dir_all(home.join(other))?;
        }
        let laws = names(&self.laws)?.into_iter().filter(|name| name.len() == 64 && name != digest);
        let age = |name: &String| {
            fs::metadata(self.laws.join(name)).and_then(|about| about.modified()).ok()
        };
        let mut laws: Vec<_> = laws.map(|name| (Reverse(age(&name)), name)).collect();
        laws.sort();
        for (_, name) in laws.iter().skip(LAWS_MAX - 1) {
            fs::remove_dir_all(self.laws.join(name))?;
        }
        Ok(())
    }

    /// Removes what a crash left half written.
    fn sweep(&self) -> io::Result<()> {
        for name in entries(&self.laws)?.1 {
            let path = self.laws.join(name);
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(())
    }

    fn read(&self, digest_name: &str, edition: &str) -> io::Result<Edition> {
        let (manifest, files) = self.read_manifest(digest_name, edition)?;
        let first = manifest.files.first().filter(|kept| kept.role == Role::Box);
        let box_file = first.ok_or_else(|| damaged("it has no box file"))?.path.clone().into();
        let paths = manifest.files.into_iter().map(|kept| PathBuf::from(kept.path));
        Ok(Edition { box_file, files: paths.zip(files).collect() })
    }

    /// The manifest of an edition and the bytes of its files, all of them as they were archived.
    fn read_manifest(&self, name: &str, edition: &str) -> io::Result<(Manifest, Vec<Arc<[u8]>>)> {
        let home = self.laws.join(name).join(edition);
        let manifest: Manifest = serde_json::from_slice(&fs::read(home.join("manifest.json"))?)?;
        if manifest.format != FORMAT {
            return Err(damaged("it was written by another version"));
        }
        let mut files: Vec<Arc<[u8]>> = Vec::new();
        for kept in &manifest.files {
            files.push(read_kept(&home, kept)?);
        }
        let law = manifest.files.iter().zip(&files).filter(|(kept, _)| kept.role == Role::Law);
        let law: Vec<_> = law
            .map(|(kept, bytes)| SourceFile {
                name: Arc::from(&*kept.path),
                bytes: Arc::clone(bytes),
            })
            .collect();
        if hex(&digest(&law).0) == name {
            Ok((manifest, files))
        } else {
            Err(damaged("it is not the law it is named after"))
        }
    }
}

fn read_kept(home: &Path, kept: &Kept) -> io::Result<Arc<[u8]>> {
    let plain = |part: &str| !part.is_empty() && part != ".." && part != ".";
    if !kept.file.split('/').all(plain) {
        return Err(damaged("a file lies outside of it"));
    }
    let bytes = fs::read(home.join(&kept.file))?;
    if hex(&sha256(&bytes)) == kept.sha256 { Ok(bytes.into()) } else { Err(damaged(&kept.file)) }
}

fn manifest(law: &Path, digest: &str, files: &[SourceFile]) -> Manifest {
    let kept = files.iter().enumerate().map(|(index, file)| kept(law, index, file));
    Manifest { format: FORMAT.to_owned(), digest: digest.to_owned(), files: kept.collect() }
}

/// What a file is, and where it goes. The box file comes first; what lies in the law's directory is law.
fn kept(law: &Path, index: usize, file: &SourceFile) -> Kept {
    let path = Path::new(&*file.name);
    let name = name_of(path).unwrap_or_default();
    let is_law = path.parent() == Some(law) && path.extension().is_some_and(|ext| ext == "yaml");
    let (role, place) = match index {
        0 => (Role::Box, "box.yaml".to_owned()),
        _ if is_law => (Role::Law, format!("law/{name}")),
        // Two folders may have files of one name.
        _ => (Role::Public, format!("public/{index:04}-{name}")),
    };
    Kept { role, path: file.name.to_string(), file: place, sha256: hex(&sha256(&file.bytes)) }
}

fn write_edition(
    new: &Path,
    manifest: &Manifest,
    text: &[u8],
    files: &[SourceFile],
) -> io::Result<()> {
    let folders = [new.to_owned(), new.join("law"), new.join("public")];
    folders.iter().try_for_each(|path| folder(path))?;
    for (kept, file) in manifest.files.iter().zip(files) {
        write(&new.join(&kept.file), &file.bytes)?;
    }
    write(&new.join("manifest.json"), text)?;
    folders.iter().rev().try_for_each(|path| sync(path))
}

/// Puts a finished folder where it belongs; one that is there already has the same content.
fn place(new: &Path, home: &Path) -> io::Result<()> {
    if home.is_dir() {
        fs::remove_dir_all(new)?;
    } else {
        fs::rename(new, home)?;
    }
    let law = home.parent().unwrap_or(home);
    // The age of a law is that of its folder; accepted again, it is young again.
    let mark = law.join(".new-mark");
    write(&mark, b"")?;
    fs::remove_file(mark)?;
    sync(law)
}

fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The names in a folder, those of half-written things left out.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let (whole, _) = entries(folder)?;
    Ok(whole)
}

/// The names in a folder: of what is whole, and of what was being written.
fn entries(folder: &Path) -> io::Result<(Vec<String>, Vec<String>)> {
    let names: Vec<String> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    Ok(names.into_iter().partition(|name| !name.starts_with(".new-")))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    hash(&SHA256, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Option<Vec<u8>> = text.chars().map(digit).collect();
    let digits = digits?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| (high << 4) | low).collect::<Vec<_>>().try_into().ok()
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archived law is damaged: {what}"))
}

fn fault(message: &str) -> Faults {
    Faults(vec![Fault::nowhere(
        "archive",
        format!("the last accepted law cannot be used: {message}"),
    )])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Archive, LAWS_MAX, PolicyDigest, SourceFile, digest};

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.into(), bytes: text.as_bytes().into() }
    }

    /// A box, a law of two files and a certificate whose texts hold `what`.
    fn files(what: &str, certificate: &str) -> Vec<SourceFile> {
        vec![
            file("/etc/s/appliance.yaml", "box"),
            file("/etc/s/policies/10.yaml", what),
            file("/etc/s/policies/20.yaml", "b"),
            file("/etc/s/policies/../certs/ca.pem", certificate),
        ]
    }

    fn keep(archive: &Archive, what: &str, certificate: &str) -> PolicyDigest {
        let files = files(what, certificate);
        let digest = digest(&files[1..3]);
        archive.keep_files(Path::new("/etc/s/policies"), digest, &files).unwrap();
        digest
    }

    fn last(archive: &Archive) -> super::Edition {
        let (digest, edition) = archive.last().unwrap();
        archive.read(&digest, &edition).unwrap()
    }

    fn laws(state: &Path) -> usize {
        super::names(&state.join("laws")).unwrap().len() - 1
    }

    #[test]
    fn what_was_accepted_comes_back_byte_by_byte_under_its_old_paths() {
        let state = tempfile::tempdir().unwrap();
        let archive = Archive::open(state.path());
        assert_eq!(archive.last_accepted(), None);
        let digest = keep(&archive, "a", "pem");
        let again = Archive::open(state.path());
        assert_eq!(again.last_accepted(), Some(digest));
        let edition = last(&again);
        assert_eq!(edition.box_file, PathBuf::from("/etc/s/appliance.yaml"));
        for file in files("a", "pem") {
            assert_eq!(edition.files[Path::new(&*file.name)], file.bytes, "{}", file.name);
        }
        let law = again.law(digest).unwrap();
        assert_eq!(super::digest(&law), digest);
        assert!(state.path().join("laws").join(super::hex(&digest.0)).is_dir());
    }

    #[test]
    fn the_same_law_with_a_new_certificate_is_a_new_edition() {
        let state = tempfile::tempdir().unwrap();
        let archive = Archive::open(state.path());
        let old = keep(&archive, "a", "old");
        assert_eq!(keep(&archive, "a", "new"), old);
        assert_eq!(keep(&archive, "a", "new"), old);
        let pem = Path::new("/etc/s/policies/../certs/ca.pem");
        assert_eq!(&*last(&archive).files[pem], b"new");
        assert_eq!(laws(state.path()), 1);
        let home = state.path().join("laws").join(super::hex(&old.0));
        assert_eq!(fs::read_dir(home).unwrap().count(), 1);
    }

    #[test]
    fn the_oldest_laws_go_and_the_last_never_does() {
        let state = tempfile::tempdir().unwrap();
        let archive = Archive::open(state.path());
        let first = keep(&archive, "first", "");
        for number in 0..LAWS_MAX {
            keep(&archive, &number.to_string(), "");
        }
        assert_eq!(laws(state.path()), LAWS_MAX);
        assert!(archive.law(first).is_err());
        // Accepted again, an old law is the youngest.
        let again = keep(&archive, "0", "");
        keep(&archive, "another", "");
        assert_eq!(laws(state.path()), LAWS_MAX);
        assert!(archive.law(again).is_ok());
    }

    #[test]
    fn whatever_was_changed_in_it_is_noticed() {
        let state = tempfile::tempdir().unwrap();
        let archive = Archive::open(state.path());
        let digest = keep(&archive, "a", "pem");
        let (name, edition) = archive.last().unwrap();
        let home = state.path().join("laws").join(&name).join(edition);
        for file in ["box.yaml", "law/10.yaml", "law/20.yaml", "public/0003-ca.pem"] {
            let path = home.join(file);
            let before = fs::read(&path).unwrap();
            fs::write(&path, "changed").unwrap();
            let error = archive.law(digest).unwrap_err().to_string();
            assert_eq!(error, format!("the archived law is damaged: {file}"));
            fs::write(&path, before).unwrap();
        }
        let manifest = home.join("manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        for (from, to, why) in [
            ("law/10.yaml", "law/../../../../x", "a file lies outside of it"),
            ("\"law\"", "\"public\"", "it is not the law it is named after"),
            ("sekisho.archive/1", "sekisho.archive/9", "it was written by another version"),
        ] {
            fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
            let error = archive.law(digest).unwrap_err().to_string();
            assert!(error.ends_with(why), "{error}");
        }
    }

    #[test]
    fn a_crash_in_the_middle_leaves_the_law_before_it() {
        let state = tempfile::tempdir().unwrap();
        let archive = Archive::open(state.path());
        let digest = keep(&archive, "a", "pem");
        let half = state.path().join("laws/.new-half");
        fs::create_dir(&half).unwrap();
        fs::write(state.path().join("laws/.new-last"), "half").unwrap();
        assert_eq!(archive.last_accepted(), Some(digest));
        keep(&archive, "b", "pem");
        assert!(!half.exists());
        for torn in ["", "nonsense", "../../etc/passwd"] {
            fs::write(state.path().join("laws/last"), torn).unwrap();
            assert_eq!(archive.last_accepted(), None, "{torn:?}");
            let faults = archive.load_last().unwrap_err();
            assert_eq!(faults.0[0].code, "archive");
        }
    }
}
