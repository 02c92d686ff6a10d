//! One HTTP connection of the stand-in client: what is asked on it, and what came back.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::pattern::{Pattern, Tally};

/// The most bytes of an answer that are kept as text.
const TEXT_MAX: usize = 64 << 10;

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
    pub(super) async fn over(stream: TlsStream<TcpStream>) -> io::Result<Self> {
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
