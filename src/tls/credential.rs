//! What this box presents: a chain and its key, checked to belong together. The key cannot be printed.

use std::fmt;
use std::sync::Arc;

use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::MaterialError;
use super::peer;
use super::provider::provider;
use crate::flow::{Identity, Timestamp};

/// A chain and its key, checked to belong together. Its `Debug` shows no key. Cheap to clone.
#[derive(Clone)]
pub struct Credential {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
    identities: Arc<[Identity]>,
    fingerprint: [u8; 32],
}

impl Credential {
    /// Takes a PEM chain, leaf first, and a PEM key (PKCS#8, SEC1 or PKCS#1).
    ///
    /// # Errors
    /// [`MaterialError`] also where the key is not the leaf's.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, MaterialError> {
        let chain = self::chain(chain)?;
        let leaf = chain.first().ok_or_else(|| said("there is no certificate in the chain"))?;
        let leaf = peer::read(leaf).ok_or_else(|| said("the first certificate cannot be read"))?;
        // What the parser says of a key is not repeated: it may quote the key.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_quoting| said("there is no PEM private key in the key file"))?;
        let fingerprint =
            peer::sha256(&chain.iter().flat_map(|c| peer::sha256(c)).collect::<Vec<_>>());
        let key =
            CertifiedKey::from_der(chain, key, &provider()).map_err(|error| mismatch(&error))?;
        let identities = leaf.identities.into();
        Ok(Self { key: Arc::new(key), not_after: leaf.window.not_after, identities, fingerprint })
    }

    /// When the leaf ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whom the leaf speaks for.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// SHA-256 over the chain: equal where the same certificates are shown.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// For either leg's configuration; it signs, and does not give the key away.
    pub fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}

/// The certificates of a PEM file, leaf first.
///
/// # Errors
/// [`MaterialError`] where it is not PEM. A file without a certificate gives an empty chain.
pub fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| MaterialError(format!("the chain is not PEM: {error}")))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("chain", &self.key.cert.len())
            .field("not_after", &self.not_after)
            .field("key", &"Secret(…)")
            .finish_non_exhaustive()
    }
}

fn mismatch(error: &rustls::Error) -> MaterialError {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return said("the key is not the key of the first certificate of the chain");
    }
    said(
        "the private key cannot be used; ECDSA (P-256 or better), Ed25519 and RSA (2048 bits or more) can",
    )
}

fn said(text: &str) -> MaterialError {
    MaterialError(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Credential;
    use crate::tls::fixture::{Authority, San};

    #[test]
    fn a_key_of_another_certificate_is_refused_and_never_shown() {
        let authority = Authority::new("union");
        let (one, other) = (authority.leaf(&[San::Dns("a.example")]), authority.leaf(&[]));
        let good = Credential::parse(one.chain_pem().as_bytes(), one.key_pem().as_bytes()).unwrap();
        assert!(format!("{good:?}").contains("Secret"));
        let bad = Credential::parse(one.chain_pem().as_bytes(), other.key_pem().as_bytes());
        let text = "the key is not the key of the first certificate of the chain";
        assert_eq!(bad.unwrap_err().to_string(), text);
    }

    #[test]
    fn what_is_missing_is_said() {
        let leaf = Authority::new("union").leaf(&[]);
        let said = |chain: &str, key: &str| {
            Credential::parse(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(said("", &leaf.key_pem()), "there is no certificate in the chain");
        let no_key = "there is no PEM private key in the key file";
        assert_eq!(said(&leaf.chain_pem(), ""), no_key);
        assert_eq!(said(&leaf.chain_pem(), "-----BEGIN PRIVATE KEY-----\nMIIB!\n"), no_key);
    }
}
