//! Trust and certificates: the files that box and law name, read and parsed, each mistake where the path is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::desk::Desk;
use crate::appliance::CertificateFiles;
use crate::flow::Name;
use crate::policy::model::{RevocationLists, Trust};
use crate::tls::{Credential, MaterialError, TrustStore};
use crate::yaml::{Fault, Faults, Place};

/// Every trust of the law.
pub(super) fn trust(
    desk: &mut Desk,
    trust: &BTreeMap<Name, Trust>,
    faults: &mut Faults,
) -> BTreeMap<Name, TrustStore> {
    let mut stores = BTreeMap::new();
    for (name, trust) in trust {
        match store(desk, trust) {
            Ok(store) => drop(stores.insert(name.clone(), store)),
            Err(more) => faults.extend(more),
        }
    }
    stores
}

/// Every certificate of the box; a key that anybody may read is a warning.
pub(super) fn certificates(
    desk: &mut Desk,
    certificates: &BTreeMap<Name, CertificateFiles>,
    faults: &mut Faults,
) -> BTreeMap<Name, Credential> {
    let mut credentials = BTreeMap::new();
    for (name, files) in certificates {
        match credential(desk, files) {
            Ok(credential) => drop(credentials.insert(name.clone(), credential)),
            Err(more) => faults.extend(more),
        }
        if desk.is_open(&files.key) {
            faults.push(open_key(files));
        }
    }
    credentials
}

fn store(desk: &mut Desk, trust: &Trust) -> Result<TrustStore, Faults> {
    let roots = public(desk, &trust.roots, &trust.place);
    // What is wrong with the roots is asked first, alone, so that each fault names its own file.
    let checked = roots.and_then(|roots| {
        let parsed = TrustStore::parse(&roots, None);
        parsed.map(|_| roots).map_err(|error| unusable(&trust.roots, &error, &trust.place))
    });
    match &trust.revocation {
        RevocationLists::NotKept(_) => {
            let parsed = TrustStore::parse(&checked?, None);
            parsed.map_err(|error| unusable(&trust.roots, &error, &trust.place))
        }
        RevocationLists::Lists(paths) => with_lists(desk, trust, checked, paths),
    }
}

fn with_lists(
    desk: &mut Desk,
    trust: &Trust,
    roots: Result<Arc<[u8]>, Faults>,
    paths: &[PathBuf],
) -> Result<TrustStore, Faults> {
    let mut faults = Faults::new();
    let mut lists = Vec::new();
    for path in paths {
        let list =
            public(desk, path, &trust.place).and_then(|list| sound(&list, path, trust, &roots));
        match list {
            Ok(list) => lists.push(list),
            Err(more) => faults.extend(more),
        }
        lists.extend(fresher(desk, path, &roots));
    }
    match roots {
        Ok(roots) if faults.is_empty() => TrustStore::parse(&roots, Some(&lists))
            .map_err(|error| unusable(&trust.roots, &error, &trust.place)),
        Ok(_) => Err(faults),
        Err(mut all) => {
            all.extend(faults);
            Err(all)
        }
    }
}

/// A list that can be read; where the roots cannot, that is not told.
fn sound(
    list: &[u8],
    path: &Path,
    trust: &Trust,
    roots: &Result<Arc<[u8]>, Faults>,
) -> Result<Vec<u8>, Faults> {
    let list = list.to_vec();
    let Ok(roots) = roots else { return Ok(list) };
    match TrustStore::parse(roots, Some(std::slice::from_ref(&list))) {
        Ok(_) => Ok(list),
        Err(error) => Err(unusable(path, &error, &trust.place)),
    }
}

/// Under an archived law the list that lies on disk today is read beside the archived one: a revocation is never forgotten.
fn fresher(desk: &mut Desk, path: &Path, roots: &Result<Arc<[u8]>, Faults>) -> Option<Vec<u8>> {
    if !desk.is_archived() {
        return None;
    }
    let list = desk.read_disk(path).ok()?.to_vec();
    TrustStore::parse(roots.as_ref().ok()?, Some(std::slice::from_ref(&list))).ok()?;
    Some(list)
}

fn credential(desk: &mut Desk, files: &CertificateFiles) -> Result<Credential, Faults> {
    let chain = read(desk, &files.chain, &files.place);
    // Never from the archive: a key is never there.
    let key = desk.read_disk(&files.key).map_err(|error| {
        let (code, message) = error.said(&files.key);
        Faults(vec![Fault::error(code, &files.place, message)])
    });
    let (chain, key) = both(chain, key)?;
    match Credential::parse(&chain, &key) {
        Ok(credential) => {
            desk.publish(&files.chain, &public_part(&chain));
            Ok(credential)
        }
        Err(error) => {
            renewed(desk, files, &key).ok_or_else(|| unusable(&files.chain, &error, &files.place))
        }
    }
}

/// Under an archived law: the pair as it lies on disk today, where it was renewed since.
fn renewed(desk: &mut Desk, files: &CertificateFiles, key: &[u8]) -> Option<Credential> {
    if !desk.is_archived() {
        return None;
    }
    let chain = desk.read_disk(&files.chain).ok()?;
    let credential = Credential::parse(&chain, key).ok()?;
    desk.publish(&files.chain, &public_part(&chain));
    Some(credential)
}

/// A chain without the private key that some keep in the same file.
fn public_part(chain: &Arc<[u8]>) -> Arc<[u8]> {
    if memchr::memmem::find(chain, b"PRIVATE KEY").is_none() {
        return Arc::clone(chain);
    }
    let mut inside = false;
    let mut kept = Vec::new();
    for line in chain.split_inclusive(|byte| *byte == b'\n') {
        inside |= line.starts_with(b"-----BEGIN CERTIFICATE-----");
        if inside {
            kept.extend_from_slice(line);
        }
        inside &= !line.starts_with(b"-----END ");
    }
    kept.into()
}

fn public(desk: &mut Desk, path: &Path, place: &Place) -> Result<Arc<[u8]>, Faults> {
    let bytes = read(desk, path, place)?;
    desk.publish(path, &public_part(&bytes));
    Ok(bytes)
}

fn read(desk: &mut Desk, path: &Path, place: &Place) -> Result<Arc<[u8]>, Faults> {
    desk.read(path).map_err(|error| {
        let (code, message) = error.said(path);
        Faults(vec![Fault::error(code, place, message)])
    })
}

fn both<A, B>(a: Result<A, Faults>, b: Result<B, Faults>) -> Result<(A, B), Faults> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Ok(_)) => Err(a),
        (Ok(_), Err(b)) => Err(b),
        (Err(mut a), Err(b)) => {
            a.extend(b);
            Err(a)
        }
    }
}

fn unusable(path: &Path, error: &MaterialError, place: &Place) -> Faults {
    let message = format!("`{}` cannot be used: {error}", path.display());
    Faults(vec![Fault::error("certificate_unusable", place, message)])
}

fn open_key(files: &CertificateFiles) -> Fault {
    let message = format!("everybody on this machine may read the key `{}`", files.key.display());
    Fault::warning("key_readable", &files.place, message)
        .remedy(format!("chmod o= {}", files.key.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::{Desk, certificates, public_part, trust};
    use crate::appliance::CertificateFiles;
    use crate::flow::{Name, Revocation};
    use crate::policy::model::{RevocationLists, Trust};
    use crate::tls::fixture::{Authority, Leaf, San, now};
    use crate::tls::{Credential, TrustStore};
    use crate::yaml::{Faults, Place};

    type Read<T> = (BTreeMap<Name, T>, Faults);

    fn name() -> Name {
        Name::parse("union-ca").unwrap()
    }

    fn place() -> Place {
        Place::file(&Arc::from("appliance.yaml"))
    }

    fn read_pair(desk: &mut Desk, folder: &Path) -> Read<Credential> {
        let (chain, key) = (folder.join("a.pem"), folder.join("a.key"));
        let files = CertificateFiles { chain, key, place: place() };
        let mut faults = Faults::new();
        let read = certificates(desk, &BTreeMap::from([(name(), files)]), &mut faults);
        (read, faults)
    }

    fn read_trust(desk: &mut Desk, folder: &Path, lists: Option<&[&str]>) -> Read<TrustStore> {
        let revocation = match lists {
            Some(lists) => {
                RevocationLists::Lists(lists.iter().map(|list| folder.join(list)).collect())
            }
            None => RevocationLists::NotKept("a test".to_owned()),
        };
        let model = Trust { roots: folder.join("ca.pem"), revocation, place: place() };
        let mut faults = Faults::new();
        let read = trust(desk, &BTreeMap::from([(name(), model)]), &mut faults);
        (read, faults)
    }

    fn write_pair(folder: &Path, chain: &Leaf, key: &Leaf) {
        fs::write(folder.join("a.pem"), chain.chain_pem()).unwrap();
        fs::write(folder.join("a.key"), key.key_pem()).unwrap();
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(folder.join("a.key"), mode).unwrap();
    }

    fn codes(faults: &Faults) -> Vec<&'static str> {
        faults.0.iter().map(|fault| fault.code).collect()
    }

    fn archived(files: &[(&Path, Vec<u8>)]) -> Desk {
        let files = files.iter().map(|(path, bytes)| (path.to_path_buf(), bytes.clone().into()));
        Desk::archived(files.collect::<BTreeMap<PathBuf, Arc<[u8]>>>())
    }

    #[test]
    fn a_pair_is_read_and_only_its_chain_is_public() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = Authority::new("union").leaf(&[San::Dns("edge.union.example")]);
        write_pair(folder.path(), &leaf, &leaf);
        let mut desk = Desk::disk();
        let (read, faults) = read_pair(&mut desk, folder.path());
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(read.len(), 1);
        let public: Vec<_> = desk.public().iter().map(|file| file.bytes.to_vec()).collect();
        assert_eq!(public, [leaf.chain_pem().into_bytes()]);
    }

    #[test]
    fn a_mismatched_pair_is_a_fault_where_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("union");
        write_pair(folder.path(), &authority.leaf(&[]), &authority.leaf(&[]));
        let (read, faults) = read_pair(&mut Desk::disk(), folder.path());
        assert!(read.is_empty());
        assert_eq!(codes(&faults), ["certificate_unusable"]);
        assert_eq!(faults.0[0].places[0].0, place());
        assert!(faults.0[0].message.contains("not the key of"), "{}", faults.0[0].message);
    }

    #[test]
    fn files_that_are_missing_are_all_named() {
        let folder = tempfile::tempdir().unwrap();
        let (_, faults) = read_pair(&mut Desk::disk(), folder.path());
        assert_eq!(codes(&faults), ["file_missing", "file_missing"]);
        let (_, faults) = read_trust(&mut Desk::disk(), folder.path(), Some(&["x.crl", "y.crl"]));
        assert_eq!(codes(&faults), ["file_missing"; 3]);
    }

    #[test]
    fn a_key_that_everybody_may_read_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = Authority::new("union").leaf(&[]);
        write_pair(folder.path(), &leaf, &leaf);
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.path().join("a.key"), mode).unwrap();
        let (read, faults) = read_pair(&mut Desk::disk(), folder.path());
        assert_eq!((read.len(), codes(&faults)), (1, vec!["key_readable"]));
        assert!(faults.is_sound());
    }

    #[test]
    fn a_key_kept_in_the_file_of_the_chain_is_not_made_public() {
        let leaf = Authority::new("union").leaf(&[]);
        let both: Arc<[u8]> =
            (leaf.key_pem() + &leaf.chain_pem() + &leaf.key_pem()).into_bytes().into();
        assert_eq!(&*public_part(&both), leaf.chain_pem().as_bytes());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), &both).unwrap();
        let mut desk = Desk::disk();
        let (_, faults) = read_trust(&mut desk, folder.path(), None);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(&*desk.public()[0].bytes, leaf.chain_pem().as_bytes());
    }

    #[test]
    fn a_list_that_cannot_be_read_is_named_itself() {
        let folder = tempfile::tempdir().unwrap();
        let root = Authority::new("union");
        fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
        fs::write(folder.path().join("good.crl"), root.list(&[], 3)).unwrap();
        fs::write(folder.path().join("bad.crl"), "garbage").unwrap();
        let lists = ["good.crl", "bad.crl"];
        let (read, faults) = read_trust(&mut Desk::disk(), folder.path(), Some(&lists));
        assert!(read.is_empty());
        assert_eq!(codes(&faults), ["certificate_unusable"]);
        assert!(faults.0[0].message.contains("bad.crl"), "{}", faults.0[0].message);
        let (read, faults) = read_trust(&mut Desk::disk(), folder.path(), Some(&lists[..1]));
        assert!(faults.is_empty());
        let facts = read[&name()].certificate(&root.leaf(&[]).chain(), now());
        assert!(matches!(facts.revocation, Revocation::Good { .. }));
    }

    #[test]
    fn an_archived_law_does_not_forget_what_was_revoked_since() {
        let folder = tempfile::tempdir().unwrap();
        let root = Authority::new("union");
        let (ca, crl) = (folder.path().join("ca.pem"), folder.path().join("ca.crl"));
        fs::write(&crl, root.list(&[7], 3)).unwrap();
        let kept = [(&*ca, root.pem().into_bytes()), (&*crl, root.list(&[], 3))];
        let (read, faults) = read_trust(&mut archived(&kept), folder.path(), Some(&["ca.crl"]));
        assert!(faults.is_empty(), "{faults:?}");
        let facts = read[&name()].certificate(&root.leaf(&[]).chain(), now());
        assert_eq!(facts.revocation, Revocation::Revoked);
        // Damaged on disk, the archived one still serves.
        fs::write(&crl, "garbage").unwrap();
        let (read, faults) = read_trust(&mut archived(&kept), folder.path(), Some(&["ca.crl"]));
        assert!(faults.is_empty(), "{faults:?}");
        let facts = read[&name()].certificate(&root.leaf(&[]).chain(), now());
        assert!(matches!(facts.revocation, Revocation::Good { .. }));
    }

    #[test]
    fn an_archived_law_takes_the_pair_that_fits_the_key_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("union");
        let (old, new) = (
            authority.leaf(&[San::Dns("old.example")]),
            authority.leaf(&[San::Dns("new.example")]),
        );
        let chain = folder.path().join("a.pem");
        let named = |credential: &Credential| credential.identities()[0].to_string();
        for (disk, expected) in [(&old, "dns:old.example"), (&new, "dns:new.example")] {
            write_pair(folder.path(), disk, disk);
            let mut desk = archived(&[(&*chain, old.chain_pem().into_bytes())]);
            let (read, faults) = read_pair(&mut desk, folder.path());
            assert!(faults.is_empty(), "{faults:?}");
            assert_eq!(named(&read[&name()]), expected);
        }
    }
}
