//! The upstream's leg: a client configuration that knows whom it expects and refuses anybody else inside the
//! handshake, before our certificate is shown.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::peer;
use super::provider::provider;
use super::{Credential, MaterialError, TrustStore, protocol_versions, protocols, unusable};
use crate::flow::{Certificate, Chain, Host, Identity, Revocation, Timestamp, TlsVersion};

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
) -> Result<Arc<ClientConfig>, MaterialError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let expected = Expected::new(trust.clone(), identities);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&protocol_versions(versions))
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { expected, algorithms }))
        .with_client_cert_resolver(credential.resolver());
    config.alpn_protocols = protocols(http);
    // No resumption: the upstream proves itself anew on every connection.
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

/// Whom an upstream must prove to be. Asked in the handshake, and again of live connections when the law, a list or
/// the clock has changed.
///
/// What a chain says under one trust is found out once and remembered: most upstreams show the same chain at every
/// dial. Its dates, and those of the lists, are judged every time.
#[derive(Debug, Clone)]
pub struct Expected {
    trust: TrustStore,
    identities: Arc<[Identity]>,
    known: Arc<Mutex<HashMap<[u8; 32], Arc<Certificate>>>>,
}

/// How many chains are remembered; an upstream has a handful.
const KNOWN_MAX: usize = 64;

impl Expected {
    /// One of `identities`, by a chain to `trust`.
    pub fn new(trust: TrustStore, identities: &[Identity]) -> Self {
        Self { trust, identities: Arc::from(identities), known: Arc::default() }
    }

    /// Verifies a presented chain, leaf first: that it leads to the trust, that all of it is in its dates and on no
    /// list, that the lists are not overdue, that it is for `server_name` and one of the identities.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        server_name: &Host,
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        let certificate = self.certificate(chain, now);
        judge_path(&certificate, now)?;
        let named = certificate.identities.contains(&Identity::Dns(server_name.clone()));
        if !named {
            return Err(CertificateError::NotValidForName);
        }
        let known = |identity| self.identities.contains(identity);
        if certificate.identities.iter().any(known) {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure)
        }
    }

    fn certificate(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Arc<Certificate> {
        let digest = peer::chain_digest(chain);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = known().get(&digest) {
            return Arc::clone(certificate);
        }
        // Not under the lock: other workers' handshakes go on meanwhile.
        let certificate = Arc::new(self.trust.server_certificate(chain, now));
        let mut known = known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(digest, Arc::clone(&certificate));
        certificate
    }
}

fn judge_path(certificate: &Certificate, now: Timestamp) -> Result<(), CertificateError> {
    match certificate.chain {
        Chain::Untrusted => return Err(CertificateError::UnknownIssuer),
        Chain::Trusted => {}
    }
    match certificate.revocation {
        Revocation::Revoked => return Err(CertificateError::Revoked),
        Revocation::Unknown => return Err(CertificateError::UnknownRevocationStatus),
        Revocation::Good { until } if now >= until => {
            return Err(CertificateError::ExpiredRevocationList);
        }
        Revocation::Good { .. } | Revocation::NotKept => {}
    }
    if now < certificate.not_before {
        return Err(CertificateError::NotValidYet);
    }
    if now > certificate.not_after { Err(CertificateError::Expired) } else { Ok(()) }
}

#[derive(Debug)]
struct Verifier {
    expected: Expected,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ServerName::DnsName(name) = server_name else {
            return Err(rustls::Error::UnsupportedNameType);
        };
        let name =
            Host::parse(name.as_ref()).map_err(|_unusable| rustls::Error::UnsupportedNameType)?;
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        self.expected.verify(&chain, &name, moment(now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn moment(now: UnixTime) -> Timestamp {
    Timestamp::from_seconds(0).plus(Duration::from_secs(now.as_secs()))
}
