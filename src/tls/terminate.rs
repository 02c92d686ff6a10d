//! The client's leg: a server configuration that asks for a certificate and proves possession of its key. Who may
//! pass with it is for the law to say.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, ServerConfig};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::provider::provider;
use super::{Credential, MaterialError, protocol_versions, protocols, unusable};
use crate::flow::TlsVersion;

/// A server configuration that asks for a client certificate, proves possession and accepts any chain: the law judges it.
///
/// # Errors
/// [`MaterialError`] where the credential cannot serve these versions.
pub fn terminate(
    credential: &Credential,
    versions: &BTreeSet<TlsVersion>,
    http: bool,
) -> Result<Arc<ServerConfig>, MaterialError> {
    let provider = provider();
    let possession = Possession { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&protocol_versions(versions))
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(Arc::new(possession))
        .with_cert_resolver(credential.resolver());
    config.alpn_protocols = protocols(http);
    config.ignore_client_order = true;
    // No resumption: a resumed session would pass by the certificate and the law of another day.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Proves that the client holds the key of what it shows, if it shows anything.
#[derive(Debug)]
struct Possession {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        // A client without papers is to hear the law's answer, not a bare alert.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        ParsedCertificate::try_from(end_entity)?;
        Ok(ClientCertVerified::assertion())
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
