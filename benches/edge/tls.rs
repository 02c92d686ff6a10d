//! TLS 1.3 as client and stand-in speak it: AES-256-GCM, the key exchange that was asked for, mutual, no resumption.
//! The subject's own settings are not made here.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::argument::Exchange;

/// HTTP/1.1 (RFC 7301).
pub(crate) const HTTP1: &[u8] = b"http/1.1";

/// HTTP/2.
pub(crate) const HTTP2: &[u8] = b"h2";

/// What a client uses; `paper` is the certificate that it shows.
///
/// # Errors
/// Where the papers cannot be read.
pub(crate) fn client(
    certificates: &Path,
    exchange: Exchange,
    alpn: &[&[u8]],
    paper: Option<&str>,
) -> io::Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider(exchange))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots(certificates)?);
    let mut config = if let Some(paper) = paper {
        let (chain, key) = pair(certificates, paper)?;
        builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What the stand-in uses: it shows `paper` and demands a client certificate.
///
/// # Errors
/// Where the papers cannot be read.
pub(crate) fn server(
    certificates: &Path,
    exchange: Exchange,
    alpn: &[&[u8]],
    paper: &str,
) -> io::Result<Arc<ServerConfig>> {
    let provider = provider(exchange);
    let roots = Arc::new(roots(certificates)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let (chain, key) = pair(certificates, paper)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn provider(exchange: Exchange) -> Arc<CryptoProvider> {
    let kx_groups = match exchange {
        Exchange::X25519 => vec![kx_group::X25519],
        Exchange::Hybrid => vec![kx_group::X25519MLKEM768],
    };
    let cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..default_provider() })
}

/// Both authorities: without a subject in the middle, the client meets the centre itself.
fn roots(certificates: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in chain(&certificates.join("both-ca.pem"))? {
        roots.add(authority).map_err(io::Error::other)?;
    }
    Ok(roots)
}

fn pair(
    certificates: &Path,
    name: &str,
) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key = PrivateKeyDer::from_pem_file(certificates.join(format!("{name}.key")));
    Ok((chain(&certificates.join(format!("{name}.pem")))?, key.map_err(io::Error::other)?))
}

fn chain(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).map_err(io::Error::other)?;
    read.collect::<Result<_, _>>().map_err(io::Error::other)
}
