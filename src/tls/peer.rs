//! A certificate as facts: its names, the pin of its key, its dates. Nothing here knows whom to trust.

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::flow::{Host, Identity, Timestamp};

/// The most names that a certificate may carry; one with more is doubtful.
const NAMES_MAX: usize = 100;

/// From when until when something is valid, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Window {
    /// The time that lies in both.
    pub(super) fn narrowed(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

/// What one certificate says.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Its names and the pin of its key.
    pub(super) identities: Vec<Identity>,
    /// Whether a name in it could be read in two ways.
    pub(super) doubtful: bool,
    /// Its own dates.
    pub(super) window: Window,
}

/// Reads a certificate; `None` where it is none.
pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Leaf> {
    let parsed = parse(certificate)?;
    let names = names(&parsed);
    let doubtful = names.is_none();
    let mut identities = names.unwrap_or_default();
    identities.push(Identity::Spki(sha256(parsed.public_key().raw)));
    Some(Leaf { identities, doubtful, window: dates(&parsed) })
}

/// The dates of a certificate; `None` where it is none.
pub(super) fn window(certificate: &CertificateDer<'_>) -> Option<Window> {
    parse(certificate).map(|parsed| dates(&parsed))
}

/// The names of a certificate and the pin of its key; `None` where it is no certificate, or one with a doubtful name.
pub fn identities(certificate: &CertificateDer<'_>) -> Option<Vec<Identity>> {
    read(certificate).filter(|leaf| !leaf.doubtful).map(|leaf| leaf.identities)
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// SHA-256 over a presented chain, leaf first; no two divisions of the same bytes are equal.
pub fn chain_digest(chain: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for certificate in chain {
        context.update(&certificate.len().to_be_bytes());
        context.update(certificate);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Some(parsed),
        Ok(_) | Err(_) => None,
    }
}

fn dates(parsed: &X509Certificate<'_>) -> Window {
    let validity = parsed.validity();
    Window {
        not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
        not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
    }
}

/// The subject alternative names that can be identities. The common name is never looked at (RFC 9525 §6.3).
fn names(parsed: &X509Certificate<'_>) -> Option<Vec<Identity>> {
    let Some(extension) = parsed.subject_alternative_name().ok()? else { return Some(Vec::new()) };
    let names = &extension.value.general_names;
    if names.len() > NAMES_MAX {
        return None;
    }
    let read: Option<Vec<_>> = names.iter().map(|name| identity(name).ok()).collect();
    read.map(|found| found.into_iter().flatten().collect())
}

/// A name that two readers could read differently.
struct Doubtful;

/// The identity that a name is; `Ok(None)` for kinds that are not used here, and for wildcards, which never match.
fn identity(name: &GeneralName<'_>) -> Result<Option<Identity>, Doubtful> {
    match name {
        GeneralName::DNSName(text) => dns(text),
        GeneralName::URI(text) => Identity::uri(text).map(Some).ok_or(Doubtful),
        GeneralName::IPAddress(bytes) if matches!(bytes.len(), 4 | 16) => Ok(None),
        GeneralName::IPAddress(_) | GeneralName::Invalid(..) => Err(Doubtful),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_) => Ok(None),
    }
}

fn dns(text: &str) -> Result<Option<Identity>, Doubtful> {
    let (wildcard, plain) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match Host::parse(plain) {
        Ok(host) => Ok((!wildcard).then_some(Identity::Dns(host))),
        Err(_doubtful) => Err(Doubtful),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::SanType;
    use rustls_pki_types::CertificateDer;

    use super::{identities, read};
    use crate::tls::fixture::{Authority, San};

    fn names_of(san: &[San<'_>]) -> Option<Vec<String>> {
        let leaf = Authority::new("union").leaf(san);
        let found = identities(&leaf.certificate)?;
        Some(
            found
                .iter()
                .map(ToString::to_string)
                .filter(|name| !name.starts_with("spki"))
                .collect(),
        )
    }

    #[test]
    fn dns_names_and_uris_are_identities_and_nothing_else_is() {
        let found = names_of(&[
            San::Dns("Kizon.UNION.example"),
            San::Uri("urn:example:kizon"),
            San::Dns("*.union.example"),
            San::Other(SanType::IpAddress("10.13.10.5".parse().unwrap())),
            San::Other(SanType::Rfc822Name("a@union.example".try_into().unwrap())),
        ]);
        let expected = ["dns:kizon.union.example", "uri:urn:example:kizon"];
        assert_eq!(found, Some(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn the_common_name_is_no_identity() {
        assert_eq!(names_of(&[]), Some(Vec::new()));
    }

    #[test]
    fn a_doubtful_name_spoils_the_certificate() {
        for name in [
            "kizon.union.example\0.evil.example",
            "10.13.10.5",
            "a b.example",
            "",
            "*",
            "a.*.example",
        ] {
            assert_eq!(names_of(&[San::Dns(name)]), None, "{name:?}");
        }
        for uri in ["urn:a b", "no-scheme", "urn:\0"] {
            assert_eq!(
                names_of(&[San::Dns("kizon.union.example"), San::Uri(uri)]),
                None,
                "{uri:?}"
            );
        }
    }

    #[test]
    fn the_pin_is_of_the_key_and_outlives_the_certificate() {
        let authority = Authority::new("union");
        let first = authority.leaf(&[San::Dns("a.example")]);
        let second = authority.leaf_of(&first.key, &[San::Dns("b.example")]);
        let pin = |certificate: &CertificateDer<'_>| read(certificate).unwrap().identities.pop();
        assert_eq!(pin(&first.certificate), pin(&second.certificate));
        assert_ne!(pin(&first.certificate), pin(&authority.leaf(&[]).certificate));
    }

    proptest! {
        #[test]
        fn garbage_is_read_without_a_panic(at in 0_usize..4000, mask in 1_u8..=255, cut in 0_usize..2000) {
            let leaf = Authority::shared().leaf(&[San::Dns("kizon.union.example"), San::Uri("urn:a:b")]);
            let mut bytes = leaf.certificate.to_vec();
            let at = at % bytes.len();
            bytes[at] ^= mask;
            let _flipped = read(&CertificateDer::from(bytes.clone()));
            bytes.truncate(cut);
            let _cut = read(&CertificateDer::from(bytes));
        }
    }
}
