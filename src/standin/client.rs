//! A client of the union's side: bound to its own address, with or without a certificate, asking what it is told to.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pattern::{Pattern, Tally};
use crate::flow::{Chain, Timestamp, TlsVersion};
use crate::tls::{Credential, TrustStore, provider};

/// The most bytes of an answer that are kept as text.
const TEXT_MAX: usize = 64 << 10;

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

/// One request.
#[derive(Debug)]
pub struct Ask {
    method: Method,
    target: String,
    host: Option<String>,
    headers: HeaderMap,
    content: Content,
}

/// What a request carries.
#[derive(Debug)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// These bytes.
    Text(Bytes),
    /// So many known bytes, perhaps slowly, perhaps with trailers.
    Pattern(Pattern),
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields.
    pub headers: HeaderMap,
    /// The trailers.
    pub trailers: HeaderMap,
    /// How long the body was.
    pub bytes: u64,
    /// SHA-256 of the body, hexadecimal.
    pub sha256: String,
    /// The beginning of the body, as text.
    pub text: String,
    /// The reason code, where it is `application/problem+json` (RFC 9457).
    pub reason: Option<String>,
    /// The ledger reference, likewise.
    pub reference: Option<String>,
}

/// An answer that did not come, or not to its end.
#[derive(Debug)]
pub struct Broken {
    /// The status, where the head had come.
    pub status: Option<u16>,
    /// How much of the body had come.
    pub bytes: u64,
    /// What happened.
    pub error: io::Error,
}

/// What a raw exchange came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Bytes that came back.
    pub bytes: u64,
    /// Their SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether the other side said that this was all (TLS `close_notify`).
    pub whole: bool,
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
        let protocols: &[&[u8]] = match speak {
            Speak::Http11 => &[b"http/1.1"],
            Speak::H2 => &[b"h2"],
            Speak::Either => &[b"h2", b"http/1.1"],
        };
        let stream = self.shake(to, server_name, protocols).await?;
        Connection::over(stream).await
    }

    /// Opens a connection for bytes.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub async fn open_raw(&self, to: SocketAddr, server_name: Option<&str>) -> io::Result<Raw> {
        Ok(Raw { stream: self.shake(to, server_name, &[]).await? })
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
        to: SocketAddr,
        server_name: Option<&str>,
        protocols: &[&[u8]],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.enable_sni = server_name.is_some();
        let name = server_name.unwrap_or("none.example").to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = self.open_tcp(to).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

impl Ask {
    /// A request for `target` (path and query) at `host`.
    pub fn new(method: Method, host: &str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            host: Some(host.to_owned()),
            headers: HeaderMap::new(),
            content: Content::Nothing,
        }
    }

    /// With a body.
    #[must_use]
    pub fn with(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// With a field more.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    fn request(self, h2: bool) -> io::Result<Request<Body>> {
        let host = self.host.as_deref().unwrap_or_default();
        let uri = if h2 { format!("https://{host}{}", self.target) } else { self.target.clone() };
        let mut request = Request::new(body(self.content));
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.parse::<Uri>().map_err(io::Error::other)?;
        *request.headers_mut() = self.headers;
        if !h2 {
            let value = HeaderValue::from_str(host).map_err(io::Error::other)?;
            request.headers_mut().insert(header::HOST, value);
        }
        Ok(request)
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A connection for HTTP. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    local: SocketAddr,
    _driver: JoinSet<()>,
}

#[derive(Debug)]
enum Sender {
    Http11(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

impl Connection {
    async fn over(stream: TlsStream<TcpStream>) -> io::Result<Self> {
        let local = stream.get_ref().0.local_addr()?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let mut driver = JoinSet::new();
        let stream = TokioIo::new(stream);
        // How the connection ends is told by the request on it.
        let sender = if h2 {
            let shaken = http2::handshake(TokioExecutor::new(), stream).await;
            let (sender, connection) = shaken.map_err(io::Error::other)?;
            driver.spawn(async { drop(connection.await) });
            Sender::H2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            driver.spawn(async { drop(connection.await) });
            Sender::Http11(sender)
        };
        Ok(Self { sender, local, _driver: driver })
    }

    /// Its own end.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether it speaks HTTP/2.
    pub const fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(_))
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// [`Broken`] says how far it came.
    pub async fn ask(&mut self, ask: Ask) -> Result<Answer, Broken> {
        let request = ask.request(self.is_h2()).map_err(Broken::at_once)?;
        let sent = match &mut self.sender {
            Sender::Http11(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
            Sender::H2(sender) => sender.send_request(request).await,
        };
        let response = sent.map_err(|error| Broken::at_once(io::Error::other(error)))?;
        Answer::read(response).await
    }
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Result<Self, Broken> {
        let (head, mut body) = response.into_parts();
        let status = head.status.as_u16();
        let (mut tally, mut text, mut trailers) = (Tally::default(), Vec::new(), HeaderMap::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let error = io::Error::other(error);
                Broken { status: Some(status), bytes: tally.bytes(), error }
            })?;
            match frame.into_data() {
                Ok(data) => {
                    tally.add(&data);
                    let room = TEXT_MAX.saturating_sub(text.len());
                    text.extend_from_slice(data.get(..room).unwrap_or(&data));
                }
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let (reason, reference) = problem(&head.headers, &text);
        let bytes = tally.bytes();
        let (headers, sha256) = (head.headers, tally.sha256());
        Ok(Self { status, headers, trailers, bytes, sha256, text, reason, reference })
    }
}

impl Broken {
    fn at_once(error: io::Error) -> Self {
        Self { status: None, bytes: 0, error }
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "broken off after {} bytes of the answer: {}", self.bytes, self.error)
    }
}

impl std::error::Error for Broken {}

/// A connection for bytes.
#[derive(Debug)]
pub struct Raw {
    stream: TlsStream<TcpStream>,
}

impl Raw {
    /// Its own end.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.local_addr()
    }

    /// The stream inside TLS, for whoever wants to speak slowly or in pieces.
    pub const fn stream(&mut self) -> &mut TlsStream<TcpStream> {
        &mut self.stream
    }

    /// Sends so many bytes of the pattern and says that this was all (half-close), while reading what comes to its end.
    ///
    /// # Errors
    /// Where it is broken off; an end without `close_notify` is none, but not whole.
    pub async fn exchange(self, bytes: u64) -> io::Result<Exchanged> {
        let (mut reader, mut writer) = tokio::io::split(self.stream);
        let send = async move {
            let mut pattern = Pattern::new(bytes);
            while let Some(block) = pattern.block() {
                writer.write_all(&block).await?;
            }
            writer.shutdown().await?;
            io::Result::Ok(writer)
        };
        let receive = async move {
            let (mut tally, mut buffer) = (Tally::default(), vec![0; 64 << 10]);
            let whole = loop {
                match reader.read(&mut buffer).await {
                    Ok(0) => break true,
                    Ok(length) => tally.add(buffer.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break false,
                    Err(error) => return Err(error),
                }
            };
            Ok(Exchanged { bytes: tally.bytes(), sha256: tally.sha256(), whole })
        };
        // The write half lives until all is read: dropping it would close the socket.
        let (_writer, exchanged) = tokio::try_join!(send, receive)?;
        Ok(exchanged)
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

fn body(content: Content) -> Body {
    match content {
        Content::Nothing => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        Content::Text(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
        Content::Pattern(pattern) => pattern.boxed_unsync(),
    }
}

/// Reason and reference of a refusal.
fn problem(headers: &HeaderMap, text: &str) -> (Option<String>, Option<String>) {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/problem+json")) {
        return (None, None);
    }
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let member = |name: &str| json.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    (member("reason"), member("reference"))
}
