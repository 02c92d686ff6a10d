//! The roots and revocation lists of one `trust`, and what they make of a presented chain. Judges nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
    anchor_from_trusted_cert,
};

use super::MaterialError;
use super::peer::{self, Window};
use super::provider::provider;
use super::revocation::{self, List};
use crate::flow::{Certificate, Chain, Paper, Revocation, Timestamp};

/// Certificates of a presented chain that are looked at, the leaf included; webpki builds no longer paths.
const CHAIN_MAX: usize = 8;

/// The roots and revocation lists of one `trust`, parsed once. Cheap to clone.
#[derive(Clone)]
pub struct TrustStore {
    inner: Arc<Inner>,
}

struct Inner {
    anchors: Vec<TrustAnchor<'static>>,
    /// The dates of each anchor, in the same order.
    windows: Vec<Window>,
    /// The longest-lived first; `None` = no lists are kept.
    lists: Option<Vec<List>>,
    fingerprint: [u8; 32],
}

/// What a path to a root is worth.
struct Path {
    window: Window,
    revocation: Revocation,
}

/// One try at a path: at this time, for this use.
#[derive(Clone, Copy)]
struct Attempt<'p> {
    leaf: &'p EndEntityCert<'p>,
    intermediates: &'p [CertificateDer<'p>],
    time: UnixTime,
    usage: KeyUsage,
}

impl TrustStore {
    /// Takes PEM roots and revocation lists (PEM or DER, several in one file are fine); `None` = no lists are kept.
    ///
    /// # Errors
    /// [`MaterialError`] says what is wrong with which input.
    pub fn parse(roots: &[u8], lists: Option<&[Vec<u8>]>) -> Result<Self, MaterialError> {
        let roots = read_roots(roots)?;
        let fingerprint = fingerprint(&roots, lists);
        let windows = roots.iter().map(root_window).collect::<Result<_, _>>()?;
        let anchors = roots.iter().map(anchor).collect::<Result<_, _>>()?;
        let lists = lists.map(read_lists).transpose()?;
        Ok(Self { inner: Arc::new(Inner { anchors, windows, lists, fingerprint }) })
    }

    /// The facts of a presented client chain, leaf first: chain, dates, revocation, names. Judges nothing.
    pub fn certificate(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Certificate {
        self.facts(chain, now, KeyUsage::client_auth())
    }

    /// The same of a server's chain.
    pub fn server_certificate(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Certificate {
        self.facts(chain, now, KeyUsage::server_auth())
    }

    /// What a chain says of itself, as far as nobody has to be trusted for it: names and dates. Chain and revocation are
    /// taken as in order; `None` where there is no readable certificate.
    pub fn names_only(chain: &[CertificateDer<'_>]) -> Option<Certificate> {
        let certificate = chain.first()?;
        let leaf = peer::read(certificate).filter(|leaf| !leaf.doubtful)?;
        Some(Certificate {
            identities: leaf.identities,
            chain: Chain::Trusted,
            not_before: leaf.window.not_before,
            not_after: leaf.window.not_after,
            revocation: Revocation::NotKept,
            fingerprint: peer::sha256(certificate),
        })
    }

    /// The papers of a finished handshake, from `peer_certificates()`.
    pub fn paper(&self, chain: Option<&[CertificateDer<'_>]>, now: Timestamp) -> Paper {
        match chain {
            None | Some([]) => Paper::Absent,
            Some(chain) => Paper::Presented(self.certificate(chain, now)),
        }
    }

    /// The earliest `nextUpdate` of its lists.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.inner.lists.iter().flatten().map(|list| list.next_update).min()
    }

    /// When the first of its roots ends.
    pub fn not_after(&self) -> Timestamp {
        self.inner.windows.iter().map(|window| window.not_after).min().unwrap_or(Timestamp::MAX)
    }

    /// SHA-256 over roots and lists: equal where they are the same bytes in the same order.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.inner.fingerprint
    }

    fn facts(&self, chain: &[CertificateDer<'_>], now: Timestamp, usage: KeyUsage) -> Certificate {
        let Some((certificate, rest)) = chain.split_first() else { return nothing(&[]) };
        let Some(leaf) = peer::read(certificate) else { return nothing(certificate) };
        let intermediates = rest.get(..CHAIN_MAX - 1).unwrap_or(rest);
        let path = self.path(certificate, intermediates, now, usage).filter(|_| !leaf.doubtful);
        let (chain, window, revocation) = path
            .map_or((Chain::Untrusted, leaf.window, Revocation::Unknown), |path| {
                (Chain::Trusted, path.window, path.revocation)
            });
        Certificate {
            identities: leaf.identities,
            chain,
            not_before: window.not_before,
            not_after: window.not_after,
            revocation,
            fingerprint: peer::sha256(certificate),
        }
    }

    /// A path to a root that held at some time, if there is one.
    fn path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: Timestamp,
        usage: KeyUsage,
    ) -> Option<Path> {
        let leaf = EndEntityCert::try_from(leaf).ok()?;
        for time in moments(&leaf.der(), intermediates, now) {
            let attempt = Attempt { leaf: &leaf, intermediates, time, usage };
            match self.verify(&attempt, None) {
                Ok(path) => {
                    let revocation = self.revocation(&issuers(&path), |options| {
                        self.verify(&attempt, Some(options)).map(drop)
                    });
                    return Some(Path { window: self.window(&path)?, revocation });
                }
                Err(error) if outside_dates(&error) => {}
                Err(_untrusted) => return None,
            }
        }
        None
    }

    fn verify<'p>(
        &'p self,
        attempt: &Attempt<'p>,
        revocation: Option<RevocationOptions<'_>>,
    ) -> Result<VerifiedPath<'p>, webpki::Error> {
        let Attempt { leaf, intermediates, time, usage } = *attempt;
        let algorithms = provider().signature_verification_algorithms.all;
        let anchors = &self.inner.anchors;
        leaf.verify_for_usage(algorithms, anchors, intermediates, time, usage, revocation, None)
    }

    /// What the lists of the path's authorities say.
    fn revocation(
        &self,
        issuers: &[Vec<u8>],
        verify: impl Fn(RevocationOptions<'_>) -> Result<(), webpki::Error>,
    ) -> Revocation {
        let Some(lists) = &self.inner.lists else { return Revocation::NotKept };
        let concerned = |list: &&List| issuers.iter().any(|issuer| issuer == list.issuer());
        let lists: Vec<_> = lists.iter().filter(concerned).collect();
        revocation::status(&lists, |crls, unknown| verify(options(crls, unknown)?))
    }

    /// The time at which every certificate of the path, its root included, is valid.
    fn window(&self, path: &VerifiedPath<'_>) -> Option<Window> {
        let same = |anchor: &TrustAnchor<'_>| {
            let used = path.anchor();
            anchor.subject == used.subject
                && anchor.subject_public_key_info == used.subject_public_key_info
        };
        let roots = self.inner.anchors.iter().zip(&self.inner.windows);
        // The same authority may be listed twice, renewed: the longer-lived of the two counts.
        let root = roots.filter(|(anchor, _)| same(anchor)).map(|(_, window)| *window);
        let root = root.max_by_key(|window| window.not_after)?;
        let leaf = peer::window(&path.end_entity().der())?;
        path.intermediate_certificates().try_fold(leaf.narrowed(root), |window, certificate| {
            Some(window.narrowed(peer::window(&certificate.der())?))
        })
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("roots", &self.inner.anchors.len())
            .field("lists", &self.inner.lists.as_ref().map(Vec::len))
            .finish()
    }
}

/// What is said of bytes that are no certificate at all.
fn nothing(bytes: &[u8]) -> Certificate {
    Certificate {
        identities: Vec::new(),
        chain: Chain::Untrusted,
        not_before: Timestamp::MAX,
        not_after: Timestamp::MAX,
        revocation: Revocation::Unknown,
        fingerprint: peer::sha256(bytes),
    }
}

/// The times at which a path may hold: now, and the beginnings of the presented certificates. A path whose dates
/// overlap at all holds at the latest of its beginnings.
fn moments(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: Timestamp,
) -> Vec<UnixTime> {
    let beginnings = std::iter::once(leaf).chain(intermediates).filter_map(peer::window);
    let times = std::iter::once(now).chain(beginnings.map(|window| window.not_before));
    times
        .map(|time| u64::try_from(time.as_seconds()).unwrap_or(0))
        .map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
        .collect()
}

fn outside_dates(error: &webpki::Error) -> bool {
    matches!(error, webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. })
}

fn issuers(path: &VerifiedPath<'_>) -> Vec<Vec<u8>> {
    let above = path.intermediate_certificates().map(|certificate| certificate.issuer().to_vec());
    above.chain([path.end_entity().issuer().to_vec()]).collect()
}

/// Every certificate of the path, whatever the age of the list: its age is a fact of its own.
fn options<'a>(
    crls: &'a [&'a CertRevocationList<'a>],
    unknown: UnknownStatusPolicy,
) -> Result<RevocationOptions<'a>, webpki::Error> {
    let none = |_| webpki::Error::UnknownRevocationStatus;
    let options = RevocationOptionsBuilder::new(crls).map_err(none)?;
    Ok(options
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(unknown)
        .with_expiration_policy(ExpirationPolicy::Ignore)
        .build())
}

fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let roots = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| MaterialError(format!("this is not PEM: {error}")))?;
    if roots.is_empty() {
        return Err(MaterialError("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

fn anchor(root: &CertificateDer<'static>) -> Result<TrustAnchor<'static>, MaterialError> {
    anchor_from_trusted_cert(root)
        .map(|anchor| anchor.to_owned())
        .map_err(|error| MaterialError(format!("a root certificate cannot be read: {error}")))
}

fn root_window(root: &CertificateDer<'static>) -> Result<Window, MaterialError> {
    peer::window(root).ok_or_else(|| MaterialError("a root certificate cannot be read".to_owned()))
}

fn read_lists(files: &[Vec<u8>]) -> Result<Vec<List>, MaterialError> {
    let mut lists = Vec::new();
    for file in files {
        lists.append(&mut revocation::read(file)?);
    }
    lists.sort_by_key(|list| std::cmp::Reverse(list.next_update));
    Ok(lists)
}

fn fingerprint(roots: &[CertificateDer<'_>], lists: Option<&[Vec<u8>]>) -> [u8; 32] {
    let parts =
        roots.iter().map(AsRef::as_ref).chain(lists.iter().copied().flatten().map(Vec::as_slice));
    // Each part by its own hash, so that no two divisions of the same bytes are equal.
    let mut hashes: Vec<u8> = parts.flat_map(peer::sha256).collect();
    hashes.push(u8::from(lists.is_some()));
    peer::sha256(&hashes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
    use rustls_pki_types::CertificateDer;

    use super::TrustStore;
    use crate::flow::{Certificate, Chain, Paper, Revocation, Timestamp};
    use crate::tls::fixture::{Authority, Leaf, San, day, now};

    fn at(days: i64) -> Timestamp {
        Timestamp::from_seconds(day(days).unix_timestamp())
    }

    fn trust(roots: &[&Authority], lists: Option<&[Vec<u8>]>) -> TrustStore {
        let roots: String = roots.iter().map(|root| root.pem()).collect();
        TrustStore::parse(roots.as_bytes(), lists).unwrap()
    }

    fn facts(trust: &TrustStore, leaf: &Leaf) -> Certificate {
        trust.certificate(&leaf.chain(), now())
    }

    fn revocation(roots: &[&Authority], leaf: &Leaf, lists: &[Vec<u8>]) -> Revocation {
        facts(&trust(roots, Some(lists)), leaf).revocation
    }

    #[test]
    fn a_chain_to_a_root_is_trusted_and_its_dates_are_facts() {
        let root = Authority::new("union");
        let leaf = root.leaf(&[San::Dns("kizon.union.example")]);
        let facts = facts(&trust(&[&root], None), &leaf);
        assert_eq!(facts.chain, Chain::Trusted);
        assert_eq!((facts.not_before, facts.not_after), (at(-15), at(15)));
        assert_eq!(facts.revocation, Revocation::NotKept);
        assert_eq!(facts.identities.len(), 2);
    }

    #[test]
    fn expired_and_not_yet_valid_chains_are_trusted_all_the_same() {
        let root = Authority::new("union");
        let trust = trust(&[&root], Some(&[root.list(&[], 5)]));
        for (from, to) in [(-30, -20), (20, 30)] {
            let leaf = root.leaf_with(&[], |params| {
                (params.not_before, params.not_after) = (day(from), day(to));
            });
            let facts = facts(&trust, &leaf);
            assert_eq!(facts.chain, Chain::Trusted);
            assert_eq!((facts.not_before, facts.not_after), (at(from), at(to)));
            assert_eq!(facts.revocation, Revocation::Good { until: at(5) });
        }
    }

    #[test]
    fn the_narrowest_dates_of_the_path_count_the_root_included() {
        let root = Authority::with("union", day(-10), day(300));
        let leaf = root.intermediate("office", -100, 3).leaf(&[]);
        let facts = facts(&trust(&[&root], None), &leaf);
        assert_eq!(
            (facts.chain, facts.not_before, facts.not_after),
            (Chain::Trusted, at(-10), at(3))
        );
    }

    #[test]
    fn dates_that_never_met_are_no_path() {
        let root = Authority::new("union");
        let leaf = root.intermediate("office", -100, -50).leaf(&[]);
        assert_eq!(facts(&trust(&[&root], None), &leaf).chain, Chain::Untrusted);
    }

    #[test]
    fn a_stranger_a_wrong_usage_and_a_missing_intermediate_are_untrusted() {
        let root = Authority::new("union");
        let trust = trust(&[&root], None);
        // A rogue authority of the same name does not help.
        assert_eq!(facts(&trust, &Authority::new("union").leaf(&[])).chain, Chain::Untrusted);
        let server_only = root.leaf_with(&[], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        assert_eq!(facts(&trust, &server_only).chain, Chain::Untrusted);
        let below = root.intermediate("office", -20, 20).leaf(&[]);
        let alone = trust.certificate(std::slice::from_ref(&below.certificate), now());
        assert_eq!(alone.chain, Chain::Untrusted);
        assert_eq!(facts(&trust, &below).chain, Chain::Trusted);
    }

    #[test]
    fn a_doubtful_name_is_untrusted_and_yields_no_name() {
        let root = Authority::new("union");
        let leaf =
            root.leaf(&[San::Dns("kizon.union.example"), San::Dns("kizon.union.example\0.x")]);
        let facts = facts(&trust(&[&root], None), &leaf);
        assert_eq!((facts.chain, facts.identities.len()), (Chain::Untrusted, 1));
    }

    #[test]
    fn no_certificate_is_absent() {
        let trust = trust(&[&Authority::new("union")], None);
        assert_eq!(trust.paper(None, now()), Paper::Absent);
        assert_eq!(trust.paper(Some(&[]), now()), Paper::Absent);
    }

    #[test]
    fn a_list_says_good_revoked_or_nothing() {
        let root = Authority::new("union");
        let leaf = root.leaf(&[]);
        let roots: &[&Authority] = &[&root];
        let good = Revocation::Good { until: at(3) };
        assert_eq!(revocation(roots, &leaf, &[root.list(&[], 3)]), good);
        assert_eq!(revocation(roots, &leaf, &[root.list(&[7], 3)]), Revocation::Revoked);
        // The list of another authority, and one that a stranger signed in its name.
        for list in [Authority::new("other").list(&[], 3), Authority::new("union").list(&[], 3)] {
            assert_eq!(revocation(roots, &leaf, std::slice::from_ref(&list)), Revocation::Unknown);
            assert_eq!(revocation(roots, &leaf, &[list, root.list(&[], 3)]), good);
        }
        // A stranger cannot revoke in the name of the authority either.
        let forged = Authority::new("union").list(&[7], 3);
        assert_eq!(revocation(roots, &leaf, &[forged, root.list(&[], 3)]), good);
    }

    #[test]
    fn an_overdue_list_still_revokes_and_otherwise_shows_its_age() {
        let root = Authority::new("union");
        let leaf = root.leaf(&[]);
        let overdue = Revocation::Good { until: at(-1) };
        assert_eq!(revocation(&[&root], &leaf, &[root.list(&[], -1)]), overdue);
        assert_eq!(revocation(&[&root], &leaf, &[root.list(&[7], -1)]), Revocation::Revoked);
        // A newer one beside it makes the answer fresh; whatever either revokes is revoked, in any order.
        let (old, new) = (root.list(&[], -1), root.list(&[], 9));
        let fresh = Revocation::Good { until: at(9) };
        assert_eq!(revocation(&[&root], &leaf, &[old.clone(), new.clone()]), fresh);
        assert_eq!(revocation(&[&root], &leaf, &[new.clone(), old.clone()]), fresh);
        let revoking = root.list(&[7], -1);
        assert_eq!(revocation(&[&root], &leaf, &[new, revoking]), Revocation::Revoked);
        let revoking = root.list(&[7], 9);
        assert_eq!(revocation(&[&root], &leaf, &[old, revoking]), Revocation::Revoked);
    }

    #[test]
    fn every_certificate_of_the_path_needs_a_list() {
        let root = Authority::new("union");
        let office = root.intermediate("office", -100, 100);
        let leaf = office.leaf(&[]);
        let roots: &[&Authority] = &[&root];
        let (above, below) = (root.list(&[], 20), office.list(&[], 10));
        assert_eq!(revocation(roots, &leaf, std::slice::from_ref(&above)), Revocation::Unknown);
        assert_eq!(revocation(roots, &leaf, std::slice::from_ref(&below)), Revocation::Unknown);
        let in_one_file = [[above.clone(), below.clone()].concat()];
        let both = [above, below.clone()];
        for lists in [&both[..], &in_one_file[..]] {
            assert_eq!(revocation(roots, &leaf, lists), Revocation::Good { until: at(10) });
        }
        // Revoked beats unknown, at the leaf and above it.
        assert_eq!(revocation(roots, &leaf, &[office.list(&[7], 10)]), Revocation::Revoked);
        assert_eq!(revocation(roots, &leaf, &[root.list(&[9], 10), below]), Revocation::Revoked);
    }

    #[test]
    fn an_authority_that_may_not_sign_lists_says_nothing() {
        let root = Authority::new("union");
        let office = root.intermediate_with("office", -100, 100, |params| {
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        });
        let leaf = office.leaf(&[]);
        let lists = [root.list(&[], 20), office.forged_list(&[], 20)];
        assert_eq!(revocation(&[&root], &leaf, &lists), Revocation::Unknown);
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let root = Authority::new("union");
        let said = |roots: &str, lists: Option<&[Vec<u8>]>| {
            TrustStore::parse(roots.as_bytes(), lists).unwrap_err().to_string()
        };
        assert_eq!(said("", None), "there is no certificate in it");
        let no_list = said(&root.pem(), Some(&[root.pem().into_bytes()]));
        assert_eq!(no_list, "there is no revocation list in it");
        let garbage = said(&root.pem(), Some(&[b"garbage".to_vec()]));
        assert!(garbage.starts_with("this revocation list cannot be read"), "{garbage}");
    }

    #[test]
    fn the_first_list_due_and_the_material_can_be_told() {
        let root = Authority::new("union");
        let lists = [root.list(&[], 20), root.list(&[], 10)];
        let kept = trust(&[&root], Some(&lists));
        assert_eq!(kept.next_update(), Some(at(10)));
        assert_eq!(kept.not_after(), at(365));
        let pem = root.pem();
        let fingerprint = |lists| TrustStore::parse(pem.as_bytes(), lists).unwrap().fingerprint();
        assert_eq!(kept.fingerprint(), fingerprint(Some(&lists[..])));
        assert_ne!(kept.fingerprint(), fingerprint(Some(&lists[..1])));
        assert_ne!(fingerprint(None), fingerprint(Some(&[])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_flipped_bit_is_trusted_and_none_panics(at in 0_usize..4000, bit in 0_u32..8) {
            let root = Authority::shared();
            let trust = trust(&[root], Some(&[root.list(&[], 3)]));
            let leaf = root.leaf(&[San::Dns("kizon.union.example")]);
            let mut bytes = leaf.certificate.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let facts = trust.certificate(&[CertificateDer::from(bytes)], now());
            prop_assert_eq!(facts.chain, Chain::Untrusted);
        }

        #[test]
        fn a_list_with_a_flipped_bit_never_says_good(at in 0_usize..4000, bit in 0_u32..8) {
            let root = Authority::shared();
            let mut der = root.list_der(&[7], 3);
            let at = at % der.len();
            der[at] ^= 1 << bit;
            if let Ok(trust) = TrustStore::parse(root.pem().as_bytes(), Some(&[der])) {
                let facts = trust.certificate(&root.leaf(&[]).chain(), now());
                let good = matches!(facts.revocation, Revocation::Good { .. });
                prop_assert!(!good, "{:?}", facts.revocation);
            }
        }
    }
}
