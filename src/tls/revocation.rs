//! Revocation lists (RFC 5280 §5): reading them, and what they say of a path. When they are due is a fact, not a verdict.

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use webpki::{CertRevocationList, OwnedCertRevocationList, UnknownStatusPolicy};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::MaterialError;
use crate::flow::{Revocation, Timestamp};

/// One list, parsed once.
#[derive(Debug)]
pub(super) struct List {
    crl: CertRevocationList<'static>,
    /// When the next one is due.
    pub(super) next_update: Timestamp,
}

impl List {
    fn parse(der: &[u8]) -> Result<Self, MaterialError> {
        let crl = OwnedCertRevocationList::from_der(der).map_err(|error| refused(&error))?;
        let due = match CertificateRevocationList::from_der(der) {
            Ok(([], parsed)) => parsed.next_update(),
            Ok(_) | Err(_) => None,
        };
        let due =
            due.ok_or_else(|| text("a revocation list does not say when the next one is due"))?;
        Ok(Self { crl: crl.into(), next_update: Timestamp::from_seconds(due.timestamp()) })
    }

    /// The name of the authority it speaks for, DER.
    pub(super) fn issuer(&self) -> &[u8] {
        self.crl.issuer()
    }
}

/// Every list of one file, PEM or DER.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<List>, MaterialError> {
    if !contains(bytes, b"-----BEGIN") {
        return List::parse(bytes).map(|list| vec![list]);
    }
    let mut lists = Vec::new();
    for item in CertificateRevocationListDer::pem_slice_iter(bytes) {
        let der = item.map_err(|error| MaterialError(format!("this is not PEM: {error}")))?;
        lists.push(List::parse(&der)?);
    }
    if lists.is_empty() { Err(text("there is no revocation list in it")) } else { Ok(lists) }
}

/// What `lists`, the longest-lived first, say of a path. `check` verifies the path against some of them, their age aside.
///
/// A certificate on any of them is revoked, also where a newer one leaves it out. The path is good until the first of
/// its certificates is left without a list that is not yet due.
pub(super) fn status(
    lists: &[&List],
    check: impl Fn(&[&CertRevocationList<'_>], UnknownStatusPolicy) -> Result<(), webpki::Error>,
) -> Revocation {
    let mut sound: Vec<&List> = Vec::new();
    for list in lists {
        match check(&[&list.crl], UnknownStatusPolicy::Allow) {
            Ok(()) => sound.push(list),
            Err(webpki::Error::CertRevoked) => return Revocation::Revoked,
            // Signed by somebody else than the authority it names, or by one that may not: it says nothing.
            Err(_unsound) => {}
        }
    }
    let mut crls = Vec::new();
    for list in sound {
        crls.push(&list.crl);
        if check(&crls, UnknownStatusPolicy::Deny).is_ok() {
            return Revocation::Good { until: list.next_update };
        }
    }
    Revocation::Unknown
}

fn refused(error: &webpki::Error) -> MaterialError {
    if matches!(error, webpki::Error::UnsupportedDeltaCrl) {
        return text("this is a delta revocation list; give the complete one");
    }
    MaterialError(format!("this revocation list cannot be read: {error}"))
}

fn text(text: &str) -> MaterialError {
    MaterialError(text.to_owned())
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}
