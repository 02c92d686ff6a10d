//! The law's directory and the box file: which files are read, in which order, and the digest that names a law.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest as hash};

use super::desk::{Desk, Unreadable, name_of, shown};
use super::settled;
use crate::ledger::PolicyDigest;
use crate::policy::{self, Law};
use crate::yaml::{Fault, Faults, Place, SourceFile};

/// Reads a law alone, for the desk: `*.yaml` of a directory in name order; hidden files and folders are not looked at.
///
/// # Errors
/// Where the directory or a file cannot be read, or there is no law in it.
pub fn load_law(directory: &Path) -> Result<Vec<SourceFile>, Faults> {
    settled(|desk| read(desk, directory, None).map(|files| with_geography(desk, files)))
}

/// The law's files with the geography file that they name, where it can be read; where it cannot, whoever understands
/// the law says so at the place that names it.
pub(super) fn with_geography(desk: &mut Desk, mut files: Vec<SourceFile>) -> Vec<SourceFile> {
    let named = policy::geography_file(&files);
    files.extend(named.and_then(|path| {
        let bytes = desk.read_large(&path).ok()?;
        Some(SourceFile { name: shown(&path), bytes })
    }));
    files
}

/// The SHA-256 of the file in which the council's sections stand: what can be pinned.
pub fn guardrails(law: &Law, files: &[SourceFile]) -> Option<[u8; 32]> {
    let home = &law.engine.model().interconnection.place.file;
    let file = files.iter().find(|file| file.name == *home)?;
    let mut digest = [0; 32];
    digest.copy_from_slice(hash(&SHA256, &file.bytes).as_ref());
    Some(digest)
}

/// Whether the council's file is the pinned one.
///
/// # Errors
/// A fault at that file, where it is another.
pub fn check_pin(law: &Law, files: &[SourceFile], pin: Option<&Pin>) -> Result<(), Faults> {
    let Some(Pin(due)) = pin else { return Ok(()) };
    if guardrails(law, files).as_ref() == Some(due) {
        return Ok(());
    }
    let place = Place::file(&law.engine.model().interconnection.place.file);
    let message = "the council's file is not the one whose SHA-256 is pinned";
    let remedy = "put the approved file back, or pin the new one after the council's decision";
    Err(Fault::error("guardrails_pinned", &place, message).remedy(remedy).into())
}

/// The SHA-256 that the council's file must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Takes `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// What is due instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digest = text.strip_prefix("sha256:").and_then(policy::digest);
        let due = "a pin is `sha256:` and the 64 hexadecimal digits that `sha256sum` writes";
        digest.map(Self).ok_or_else(|| due.to_owned())
    }
}

/// The digest of a law: SHA-256 over its own files in name order, of each the name without its folder and the bytes, both
/// preceded by their length in 8 bytes, big-endian. The same law in two folders has the same digest. The geography file is
/// pinned by the law itself.
pub fn digest(files: &[SourceFile]) -> PolicyDigest {
    let mut named: Vec<_> = files
        .iter()
        .filter(|file| file.is_law())
        .map(|file| (name_of(Path::new(&*file.name)).unwrap_or_default(), &file.bytes))
        .collect();
    named.sort();
    let mut context = Context::new(&SHA256);
    for (name, bytes) in named {
        for part in [name.as_bytes(), bytes] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    PolicyDigest(digest)
}

/// The box file.
pub(super) fn box_file(desk: &mut Desk, path: &Path) -> Result<SourceFile, Faults> {
    let bytes = desk.read(path).map_err(|error| {
        let (code, message) = error.said(path);
        Faults(vec![Fault::nowhere(code, message).remedy("name the box file with `-c FILE`")])
    })?;
    Ok(SourceFile { name: shown(path), bytes })
}

/// The law's files as the box names them.
pub(super) fn files(
    desk: &mut Desk,
    directory: &Path,
    box_file: &SourceFile,
) -> Result<Vec<SourceFile>, Faults> {
    read(desk, directory, Some(&Place::file(&box_file.name)))
}

fn read(
    desk: &mut Desk,
    directory: &Path,
    place: Option<&Place>,
) -> Result<Vec<SourceFile>, Faults> {
    let names = desk.list(directory).map_err(|error| fault(&error, directory, place))?;
    let mut faults = Faults::new();
    let mut files = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        let path = directory.join(name);
        match extension(name) {
            Some("yaml") => match desk.read(&path) {
                Ok(bytes) => files.push(SourceFile { name: shown(&path), bytes }),
                // A folder that is called so.
                Err(Unreadable::NotAFile) if path.is_dir() => {}
                Err(error) => faults.extend(fault(&error, &path, None)),
            },
            Some("yml" | "YAML" | "YML") => faults.push(misnamed(&path)),
            Some(_) | None => {}
        }
    }
    if files.is_empty() && faults.is_empty() {
        faults.push(at(
            place,
            "law_missing",
            format!("there is no `*.yaml` in `{}`", directory.display()),
        ));
    }
    if faults.is_empty() { Ok(files) } else { Err(faults) }
}

fn extension(name: &str) -> Option<&str> {
    Path::new(name).extension()?.to_str()
}

/// A file that looks like law and is not read would be the worst of surprises.
fn misnamed(path: &Path) -> Fault {
    let place = Place::file(&shown(path));
    Fault::error("law_name", &place, "this file is not read: a law's files end in `.yaml`")
        .remedy("rename it, or hide it behind a leading dot")
}

fn fault(error: &Unreadable, path: &Path, place: Option<&Place>) -> Faults {
    let (code, message) = error.said(path);
    Faults(vec![at(place, code, message)])
}

fn at(place: Option<&Place>, code: &'static str, message: String) -> Fault {
    match place {
        Some(place) => Fault::error(code, place, message),
        None => Fault::nowhere(code, message),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Pin, SourceFile, digest, load_law};

    #[test]
    fn a_pin_is_a_digest_as_sha256sum_writes_it() {
        let digits = "ab".repeat(32);
        assert_eq!(Pin::parse(&format!("sha256:{digits}")), Ok(Pin([0xab; 32])));
        for wrong in ["", "sha256:", "sha256:ab", &digits, &format!("sha256:{}", "AB".repeat(32))] {
            assert!(Pin::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.into(), bytes: text.as_bytes().into() }
    }

    fn law(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn codes(folder: &std::path::Path) -> Vec<&'static str> {
        load_law(folder).unwrap_err().0.iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn yaml_files_are_read_in_name_order_and_nothing_else_is() {
        let folder = law(&[
            ("20-b.yaml", "b"),
            ("10-a.yaml", "a"),
            (".hidden.yaml", "h"),
            ("README.md", "r"),
        ]);
        fs::create_dir(folder.path().join("30-folder.yaml")).unwrap();
        std::os::unix::fs::symlink("10-a.yaml", folder.path().join("15-link.yaml")).unwrap();
        let files = load_law(folder.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|f| f.name.rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["10-a.yaml", "15-link.yaml", "20-b.yaml"]);
        assert_eq!(&*files[0].bytes, b"a");
    }

    #[test]
    fn a_law_that_is_not_there_or_would_be_overlooked_is_a_fault() {
        assert_eq!(codes(law(&[]).path()), ["law_missing"]);
        assert_eq!(codes(&law(&[]).path().join("nowhere")), ["file_missing"]);
        assert_eq!(codes(law(&[("10-a.yaml", "a"), ("20-b.yml", "b")]).path()), ["law_name"]);
        let dangling = law(&[("10-a.yaml", "a")]);
        std::os::unix::fs::symlink("gone", dangling.path().join("20-b.yaml")).unwrap();
        assert_eq!(codes(dangling.path()), ["file_missing"]);
    }

    #[test]
    fn a_pipe_that_is_called_like_a_law_is_a_fault_and_nobody_waits_for_its_writer() {
        let folder = law(&[("10-a.yaml", "a")]);
        let pipe = folder.path().join("20-b.yaml");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        assert_eq!(codes(folder.path()), ["file_unreadable"]);
    }

    #[test]
    fn the_digest_is_of_names_and_bytes_wherever_the_folder_is() {
        let one = [file("policies/10.yaml", "a"), file("policies/20.yaml", "b")];
        let moved = [file("/etc/p/20.yaml", "b"), file("/etc/p/10.yaml", "a")];
        assert_eq!(digest(&one), digest(&moved));
        for other in [
            [file("10.yaml", "a"), file("20.yaml", "c")],
            [file("10.yaml", "a"), file("21.yaml", "b")],
            [file("10.yaml", "ab"), file("20.yaml", "")],
            [file("10.yaml", "b"), file("20.yaml", "a")],
        ] {
            assert_ne!(digest(&one), digest(&other));
        }
        assert_ne!(digest(&one), digest(&one[..1]));
    }

    #[test]
    fn a_law_that_is_swapped_under_the_reader_is_never_a_mixture() {
        let home = tempfile::tempdir().unwrap();
        for version in ["one", "two"] {
            let folder = home.path().join(version);
            fs::create_dir(&folder).unwrap();
            for name in 0..50 {
                fs::write(folder.join(format!("{name:02}.yaml")), version).unwrap();
            }
        }
        let current = home.path().join("current");
        let swap = |version: &str| {
            let new = home.path().join("new");
            std::os::unix::fs::symlink(version, &new).unwrap();
            fs::rename(&new, &current).unwrap();
        };
        swap("one");
        let done = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for version in ["two", "one"].into_iter().cycle().take_while(|_| !done.load(order))
                {
                    swap(version);
                    std::thread::sleep(std::time::Duration::from_millis(7));
                }
            });
            for _ in 0..100 {
                let Ok(files) = load_law(&current) else { continue };
                assert_eq!(files.len(), 50);
                assert!(files.iter().all(|file| file.bytes == files[0].bytes), "a mixture");
            }
            done.store(true, order);
        });
    }
}
