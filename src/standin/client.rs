//! A client of the union's side: bound to its own address, with or without a certificate, asking what it is told to.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ask::Connection;
use super::raw::Raw;
use crate::flow::{Chain, Timestamp, TlsVersion};
use crate::tls::{Credential, TrustStore, provider};

/// Who asks: an address, perhaps a certificate.
#[derive(Debug, Clone)]
pub struct Client {
    source: IpAddr,
    config: Arc<ClientConfig>,
}

/// What is spoken inside TLS, and so what ALPN offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speak {
    /// Offers and speaks HTTP/1.1.
    Http11,
    /// Offers and speaks HTTP/2.
    H2,
    /// Offers both, speaks what is chosen.
    Either,
}

impl Client {
    /// Asks from `source`, believes servers that chain to `server` whatever their name, shows `credential` if any.
    ///
    /// # Errors
    /// Where the material cannot be used for `versions`.
    pub fn new(
        source: IpAddr,
        server: &TrustStore,
        credential: Option<&Credential>,
        versions: &BTreeSet<TlsVersion>,
    ) -> io::Result<Self> {
        let versions: Vec<_> = versions.iter().filter_map(|version| spoken(*version)).collect();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName { trust: server.clone() }));
        let config = match credential {
            Some(credential) => builder.with_client_cert_resolver(credential.resolver()),
            None => builder.with_no_client_auth(),
        };
        Ok(Self { source, config: Arc::new(config) })
    }

    /// Opens a connection for HTTP; without a `server_name` none is sent, nor for an address literal.
    ///
    /// # Errors
    /// Where it is refused or broken off. With TLS 1.3 a refusal may show only on the first request.
    pub async fn open(
        &self,
        to: SocketAddr,
        server_name: Option<&str>,
        speak: Speak,
    ) -> io::Result<Connection> {
        self.over(self.open_tcp(to).await?, server_name, speak).await
    }

    /// The same on a connection that is there already, wherever it comes from.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn over(
        &self,
        stream: TcpStream,
        server_name: Option<&str>,
        speak: Speak,
    ) -> io::Result<Connection> {
        let protocols: &[&[u8]] = match speak {
            Speak::Http11 => &[b"http/1.1"],
            Speak::H2 => &[b"h2"],
            Speak::Either => &[b"h2", b"http/1.1"],
        };
        Connection::over(self.shake(stream, server_name, protocols).await?).await
    }

    /// Opens a connection for bytes.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn open_raw(&self, to: SocketAddr, server_name: Option<&str>) -> io::Result<Raw> {
        self.raw_over(self.open_tcp(to).await?, server_name).await
    }

    /// The same on a connection that is there already.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn raw_over(&self, stream: TcpStream, server_name: Option<&str>) -> io::Result<Raw> {
        Ok(Raw { stream: self.shake(stream, server_name, &[]).await? })
    }

    /// Opens a connection and sends no TLS at all.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn open_tcp(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(self.source, 0))?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn shake(
        &self,
        stream: TcpStream,
        server_name: Option<&str>,
        protocols: &[&[u8]],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.enable_sni = server_name.is_some();
        let name = server_name.unwrap_or("none.example").to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// Believes any server whose chain leads to the trust: which name is asked for is what is being tried.
#[derive(Debug)]
struct AnyName {
    trust: TrustStore,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let now = Timestamp::from_seconds(0).plus(Duration::from_secs(now.as_secs()));
        let facts = self.trust.server_certificate(&chain, now);
        match facts.chain {
            Chain::Untrusted => Err(CertificateError::UnknownIssuer.into()),
            Chain::Trusted if now > facts.not_after => Err(CertificateError::Expired.into()),
            Chain::Trusted => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn spoken(version: TlsVersion) -> Option<&'static rustls::SupportedProtocolVersion> {
    match version {
        TlsVersion::Old => None,
        TlsVersion::Tls12 => Some(&rustls::version::TLS12),
        TlsVersion::Tls13 => Some(&rustls::version::TLS13),
    }
}
