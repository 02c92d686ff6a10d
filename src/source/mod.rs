//! The only reader of law directories, certificates and revocation lists; and the archive of accepted laws.
//!
//! Files may change while they are read. Everything is therefore read twice, after the youngest file has come to
//! rest, and only what was the same both times is believed; a mixture is a fault, and the old law stays.
//! Nothing here watches anything: who reloads, and when, is for the service to say.

mod archive;
mod desk;
mod law;
mod material;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use archive::Archive;
pub use law::{Pin, check_pin, digest, guardrails, load_law};

use desk::Desk;

use crate::appliance::{self, Appliance};
use crate::flow::Name;
use crate::ledger::PolicyDigest;
use crate::policy::{self, Law};
use crate::tls::{Credential, TrustStore};
use crate::yaml::{Fault, Faults, SourceFile};

/// How often a reading is begun anew because files changed under it.
const TRIES: u32 = 8;
/// The pause before a reading is begun anew.
const PAUSE: Duration = Duration::from_millis(25);

/// Everything a snapshot is built from, read in one go.
#[derive(Debug)]
pub struct Loaded {
    /// The box.
    pub appliance: Appliance,
    /// The law.
    pub law: Law,
    /// The law's trust, parsed.
    pub trust: BTreeMap<Name, TrustStore>,
    /// The box's certificates, parsed.
    pub certificates: BTreeMap<Name, Credential>,
    /// SHA-256 over names and bytes of the law's files.
    pub digest: PolicyDigest,
    /// SHA-256 of the file in which the council's sections stand.
    pub guardrails: [u8; 32],
    /// The box file (first), the law's files and the public certificate files, as read: what the archive keeps.
    pub files: Vec<SourceFile>,
}

/// Reads box and law from disk. Blocks, at most about a second; what somebody should look at is added to the law's warnings.
///
/// # Errors
/// Every fault in one go.
pub fn load(box_file: &Path) -> Result<Loaded, Faults> {
    settled(|desk| understand(desk, box_file))
}

/// The trust of a law, as far as its files can be read here: for the desk, which may lack some.
pub fn trust(model: &policy::Model) -> BTreeMap<Name, TrustStore> {
    let read = |desk: &mut Desk| Ok(material::trust(desk, &model.trust, &mut Faults::new()));
    settled(read).unwrap_or_default()
}

/// What judging needs where nothing is served: no key of the box is read.
#[derive(Debug)]
pub struct ToJudge {
    /// The box, where there is one.
    pub appliance: Option<Appliance>,
    /// The law.
    pub law: Law,
    /// The law's trust, as far as its files are there.
    pub trust: BTreeMap<Name, TrustStore>,
    /// SHA-256 over names and bytes of the law's files.
    pub digest: PolicyDigest,
}

/// Reads box and law from disk, to judge by them only.
///
/// # Errors
/// Every fault of box and law in one go.
pub fn load_to_judge(box_file: &Path) -> Result<ToJudge, Faults> {
    settled(|desk| {
        let file = law::box_file(desk, box_file)?;
        let appliance = appliance::understand(&file)?;
        let files = law::files(desk, &appliance.policies, &file)?;
        to_judge(desk, &files, Some(appliance))
    })
}

/// Reads a law alone, to judge by it at the desk.
///
/// # Errors
/// Every fault of the law in one go.
pub fn load_law_to_judge(directory: &Path) -> Result<ToJudge, Faults> {
    let files = load_law(directory)?;
    settled(|desk| to_judge(desk, &files, None))
}

fn to_judge(
    desk: &mut Desk,
    files: &[SourceFile],
    appliance: Option<Appliance>,
) -> Result<ToJudge, Faults> {
    let law = policy::understand(files, appliance.as_ref())?;
    // A certificate whose trust is not at hand leaves a flow undecided, which is said where it happens.
    let trust = material::trust(desk, &law.engine.model().trust, &mut Faults::new());
    Ok(ToJudge { appliance, law, trust, digest: digest(files) })
}

/// Reads box and law without certificates and lists, for what needs only their texts.
///
/// # Errors
/// Every fault in one go.
pub fn load_texts(box_file: &Path) -> Result<(Appliance, Law), Faults> {
    settled(|desk| {
        let file = law::box_file(desk, box_file)?;
        let appliance = appliance::understand(&file)?;
        let files = law::files(desk, &appliance.policies, &file)?;
        let files = law::with_geography(desk, files);
        let law = policy::understand(&files, Some(&appliance))?;
        Ok((appliance, law))
    })
}

/// As [`load`], where the council's file has to be the pinned one.
///
/// # Errors
/// Every fault in one go; another council's file is one.
pub fn load_pinned(box_file: &Path, pin: Option<&Pin>) -> Result<Loaded, Faults> {
    load(box_file).and_then(|loaded| pinned(loaded, pin))
}

/// What was read, where its council's file is the pinned one.
///
/// # Errors
/// Where it is another.
pub fn pinned(loaded: Loaded, pin: Option<&Pin>) -> Result<Loaded, Faults> {
    check_pin(&loaded.law, &loaded.files, pin).map(|()| loaded)
}

/// Reads until two readings agree.
fn settled<T>(read: impl Fn(&mut Desk) -> Result<T, Faults>) -> Result<T, Faults> {
    for _ in 0..TRIES {
        let mut desk = Desk::disk();
        let outcome = read(&mut desk);
        if desk.is_unchanged() {
            return outcome;
        }
        std::thread::sleep(PAUSE);
    }
    let message = "the files kept changing while they were read";
    let fault = Fault::nowhere("files_changing", message);
    Err(Faults(vec![fault.remedy("try again when whoever writes them is done")]))
}

/// Box, law and certificates as the desk has them.
fn understand(desk: &mut Desk, box_file: &Path) -> Result<Loaded, Faults> {
    let file = law::box_file(desk, box_file)?;
    let appliance = appliance::understand(&file)?;
    let mut faults = Faults::new();
    let certificates = material::certificates(desk, &appliance.certificates, &mut faults);
    let files = law::files(desk, &appliance.policies, &file);
    let law = files.and_then(|files| {
        let digest = digest(&files);
        let files = law::with_geography(desk, files);
        policy::understand(&files, Some(&appliance)).map(|law| (law, files, digest))
    });
    let (mut law, files, digest) = match law {
        Ok(read) => read,
        Err(more) => {
            faults.extend(more);
            return Err(faults.sorted());
        }
    };
    let trust = material::trust(desk, &law.engine.model().trust, &mut faults);
    if !faults.is_sound() {
        return Err(faults.sorted());
    }
    law.warnings.extend(faults);
    let guardrails = guardrails(&law, &files).unwrap_or_default();
    let files = [vec![file], files, desk.public()].concat();
    Ok(Loaded { appliance, law, trust, certificates, digest, guardrails, files })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Archive, Loaded, Pin, load, load_pinned, pinned};
    use crate::flow::Revocation;
    use crate::ledger::PolicyDigest;
    use crate::tls::fixture::{Authority, San, now};
    use crate::yaml::Faults;

    /// The box and the law of `policies/tokyo` in a folder of their own, with certificates made on the spot.
    struct Desk {
        folder: tempfile::TempDir,
        union: Authority,
    }

    impl Desk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
            let desk = Self { folder, union: Authority::new("union-ca") };
            fs::create_dir(desk.at("tokyo")).unwrap();
            fs::create_dir(desk.at("certs")).unwrap();
            for file in fs::read_dir(from.join("tokyo")).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), desk.at("tokyo").join(file.file_name())).unwrap();
            }
            fs::copy(from.join("tokyo.appliance.yaml"), desk.at("box.yaml")).unwrap();
            let center = Authority::new("center-ca");
            for (name, authority) in [("union", &desk.union), ("center", &center)] {
                let leaf = authority.leaf(&[San::Dns("edge.union.example")]);
                desk.write(&format!("certs/{name}-ca.pem"), &authority.pem());
                desk.write(&format!("certs/{name}-facing.pem"), &leaf.chain_pem());
                desk.write(&format!("certs/{name}-facing.key"), &leaf.key_pem());
            }
            fs::write(desk.at("certs/center-ca.crl"), center.list(&[], 3)).unwrap();
            desk.revoke(&[]);
            desk
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.at(name), text).unwrap();
        }

        fn revoke(&self, serials: &[u8]) {
            fs::write(self.at("certs/union-ca.crl"), self.union.list(serials, 3)).unwrap();
        }

        fn load(&self) -> Result<Loaded, Faults> {
            load(&self.at("box.yaml"))
        }

        /// What a certificate of the union comes to under `loaded`.
        fn revocation(&self, loaded: &Loaded) -> Revocation {
            let trust = &loaded.trust["union-ca"];
            trust.certificate(&self.union.leaf(&[]).chain(), now()).revocation
        }
    }

    fn codes(faults: &Faults) -> Vec<&'static str> {
        faults.0.iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn box_law_and_certificates_are_read_in_one_go() {
        let desk = Desk::new();
        let loaded = desk.load().unwrap();
        assert_eq!((loaded.trust.len(), loaded.certificates.len()), (2, 2));
        assert!(matches!(desk.revocation(&loaded), Revocation::Good { .. }));
        let law = super::load_law(&desk.at("tokyo")).unwrap();
        assert_eq!(loaded.digest, super::digest(&law));
        assert_eq!(&*loaded.files[0].name, desk.at("box.yaml").to_str().unwrap());
        let keys = loaded.files.iter().filter(|file| file.name.ends_with(".key"));
        assert_eq!(keys.count(), 0);
        assert!(codes(&loaded.law.warnings).contains(&"key_readable"));
    }

    #[test]
    fn another_councils_file_than_the_pinned_one_is_never_taken() {
        let desk = Desk::new();
        let loaded = desk.load().unwrap();
        let digits = PolicyDigest(loaded.guardrails);
        let pin = Pin::parse(&format!("sha256:{digits}")).unwrap();
        assert!(load_pinned(&desk.at("box.yaml"), Some(&pin)).is_ok());
        // A comment is a change, too: what was approved is the file.
        let council = fs::read_to_string(desk.at("tokyo/00-council.yaml")).unwrap();
        desk.write("tokyo/00-council.yaml", &format!("{council}# \n"));
        let faults = load_pinned(&desk.at("box.yaml"), Some(&pin)).unwrap_err();
        assert_eq!(codes(&faults), ["guardrails_pinned"]);
        assert!(desk.load().is_ok());
        // Under the pin the archive's copy is asked the same.
        let archive = Archive::open(&desk.at("state"));
        archive.keep(&desk.load().unwrap()).unwrap();
        let archived = archive.load_last().and_then(|loaded| pinned(loaded, Some(&pin)));
        assert_eq!(codes(&archived.unwrap_err()), ["guardrails_pinned"]);
    }

    #[test]
    fn a_geography_file_is_read_archived_and_its_swap_is_a_fault() {
        let desk = Desk::new();
        fs::create_dir(desk.at("geography")).unwrap();
        let text = "# Date: 2026-02-01\n8.8.8.0/24 JP\n";
        desk.write("geography/list.txt", text);
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let sum = PolicyDigest(sum.as_ref().try_into().unwrap());
        let law = format!(
            "version: 1\ngeography: {{ file: ../geography/list.txt, sha256: \"{sum}\", age_max: 90d }}\n"
        );
        desk.write("tokyo/40-geography.yaml", &law);
        let loaded = desk.load().unwrap();
        assert!(loaded.law.engine.model().geography.is_some());
        let files = super::load_law(&desk.at("tokyo")).unwrap();
        assert_eq!(super::digest(&files), loaded.digest);
        let archive = Archive::open(&desk.at("state"));
        archive.keep(&loaded).unwrap();
        desk.write("geography/list.txt", &text.replace("JP", "AU"));
        assert_eq!(codes(&desk.load().unwrap_err())[0], "geography_digest");
        assert!(archive.load_last().unwrap().law.engine.model().geography.is_some());
        let files = archive.law(loaded.digest).unwrap();
        assert!(files.iter().any(|file| file.name.ends_with("list.txt")));
        fs::remove_file(desk.at("geography/list.txt")).unwrap();
        assert_eq!(codes(&desk.load().unwrap_err())[0], "file_missing");
    }

    #[test]
    fn mistakes_of_law_and_certificates_are_told_together() {
        let desk = Desk::new();
        desk.write("tokyo/90-more.yaml", "version: 1\nnonsense: true\n");
        fs::remove_file(desk.at("certs/union-facing.key")).unwrap();
        let faults = desk.load().unwrap_err();
        assert!(codes(&faults).contains(&"file_missing"), "{faults:?}");
        assert!(faults.errors() > 1, "{faults:?}");
    }

    #[test]
    fn a_faulty_law_on_disk_leaves_the_last_accepted_one_with_todays_keys_and_lists() {
        let desk = Desk::new();
        let archive = Archive::open(&desk.at("state"));
        let accepted = desk.load().unwrap();
        archive.keep(&accepted).unwrap();
        desk.write("tokyo/10-systems.yaml", "version: 1\nsystems: [nonsense]\n");
        desk.write("certs/center-ca.pem", "nonsense");
        desk.revoke(&[7]);
        assert!(desk.load().is_err());
        assert_eq!(archive.last_accepted(), Some(accepted.digest));
        let last = archive.load_last().unwrap();
        assert_eq!(last.digest, accepted.digest);
        assert_eq!((last.trust.len(), last.certificates.len()), (2, 2));
        assert_eq!(desk.revocation(&last), Revocation::Revoked);
        // Keys are never in the archive: without them there is nothing to serve with.
        fs::remove_file(desk.at("certs/union-facing.key")).unwrap();
        assert!(codes(&archive.load_last().unwrap_err()).contains(&"file_missing"));
        let stored = walk(&desk.at("state"));
        assert!(stored.iter().all(|file| !fs::read_to_string(file).unwrap().contains("PRIVATE")));
    }

    #[test]
    fn the_box_file_may_be_what_is_faulty() {
        let desk = Desk::new();
        let archive = Archive::open(&desk.at("state"));
        archive.keep(&desk.load().unwrap()).unwrap();
        desk.write("box.yaml", "version: 1\n");
        assert!(desk.load().is_err());
        assert!(archive.load_last().is_ok());
    }

    fn walk(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }
}
