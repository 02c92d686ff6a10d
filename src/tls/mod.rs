//! TLS on both legs: `terminate` mirrors `originate`; `peer` turns certificates into facts. No resumption anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::flow::{Certificate, Identity, Timestamp, TlsVersion};

/// The roots and revocation lists of one `trust`, parsed once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrustStore {
    inner: Arc<()>,
}

/// A chain and its key, checked to belong together. Its `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct Credential {
    inner: Arc<()>,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterialError(pub String);

impl TrustStore {
    /// Takes PEM roots and revocation lists (PEM or DER, several in one file are fine); `None` = no lists are kept.
    ///
    /// # Errors
    /// [`MaterialError`] says what is wrong with which input.
    pub fn parse(roots: &[u8], lists: Option<&[Vec<u8>]>) -> Result<Self, MaterialError> {
        todo!()
    }

    /// The facts of a presented chain, leaf first: chain, dates, revocation, names. Judges nothing.
    pub fn certificate(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Certificate {
        todo!()
    }

    /// The earliest `nextUpdate` of its lists.
    pub fn next_update(&self) -> Option<Timestamp> {
        todo!()
    }
}

impl Credential {
    /// Takes a PEM chain, leaf first, and a PEM key.
    ///
    /// # Errors
    /// [`MaterialError`] also where the key is not the leaf's.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, MaterialError> {
        todo!()
    }

    /// When the leaf ends.
    pub fn not_after(&self) -> Timestamp {
        todo!()
    }
}

/// A server configuration that asks for a client certificate, proves possession and accepts any chain: the law judges it.
///
/// # Errors
/// [`MaterialError`] where the credential cannot serve these versions.
pub fn terminate(
    credential: &Credential,
    versions: &BTreeSet<TlsVersion>,
    http: bool,
) -> Result<Arc<rustls::ServerConfig>, MaterialError> {
    todo!()
}

/// A client configuration: chain, dates, revocation, server name and one of `identities` are verified inside the handshake.
///
/// # Errors
/// [`MaterialError`] where the credential cannot serve these versions.
pub fn originate(
    credential: &Credential,
    trust: &TrustStore,
    identities: &[Identity],
    versions: &BTreeSet<TlsVersion>,
    http: bool,
) -> Result<Arc<rustls::ClientConfig>, MaterialError> {
    todo!()
}
