//! The permitted client: mutual TLS from a chosen source address, HTTP/1.1 written and read by hand. Blocking for
//! one request at a time, asynchronous for many.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream as Blocking};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::door::{Door, Way};
use crate::reply::{Reader, Reply};
use crate::site::Site;
use crate::tls;

/// The small document.
pub(crate) const SMALL: &str = "/exchange/small";

/// The bytes of the small document.
pub(crate) const SMALL_BYTES: u64 = 1024;

/// The certificate of the permitted client.
pub(crate) const CLIENT: &str = "client";

/// How long a blocking request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paper {
    /// The certificate that the law knows.
    Permitted,
    /// None.
    Missing,
    /// One with the same names, from an authority that nobody trusts.
    Stranger,
}

/// Opens connections to one door.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    config: Arc<ClientConfig>,
    address: SocketAddr,
    host: &'static str,
    name: ServerName<'static>,
    buffer: usize,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<BufReader<TcpStream>>,
    buffer: Vec<u8>,
    reader: Reader,
}

/// An open connection that waits in the kernel, for exact times.
#[derive(Debug)]
pub(crate) struct Exact {
    stream: StreamOwned<ClientConnection, Blocking>,
    buffer: Vec<u8>,
    reader: Reader,
}

impl Paper {
    const fn file(self) -> Option<&'static str> {
        match self {
            Self::Permitted => Some(CLIENT),
            Self::Missing => None,
            Self::Stranger => Some("stranger"),
        }
    }
}

impl Caller {
    /// A caller at `door`.
    ///
    /// # Errors
    /// Where the papers cannot be read.
    pub(crate) fn new(site: &Site, door: &Door, paper: Paper) -> io::Result<Self> {
        let alpn: &[&[u8]] = match door.way {
            Way::Https => &[tls::HTTP1],
            Way::Tls => &[],
        };
        let config = tls::client(&site.certificates(), site.exchange, alpn, paper.file())?;
        let name = ServerName::try_from(door.name).map_err(io::Error::other)?;
        Ok(Self { config, address: door.address, host: door.name, name, buffer: 4 << 10 })
    }

    /// The same with read buffers of this size, in bytes.
    pub(crate) const fn with_buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// A GET as it goes over the wire.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", self.host).into_bytes()
    }

    /// The head of a PUT with a body of `length` bytes.
    pub(crate) fn put(&self, path: &str, length: u64) -> Vec<u8> {
        let host = self.host;
        format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")
            .into_bytes()
    }

    /// Connects from `source` and shakes hands.
    ///
    /// # Errors
    /// Where it is refused.
    pub(crate) async fn open(&self, source: IpAddr) -> io::Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source, 0))?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(self.buffer, stream);
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(self.name.clone(), stream).await?;
        Ok(Connection { stream, buffer: vec![0; self.buffer], reader: Reader::default() })
    }

    /// Connects from `source` and shakes hands, waiting in the kernel.
    ///
    /// # Errors
    /// Where it is refused.
    pub(crate) fn open_exact(&self, source: IpAddr) -> io::Result<Exact> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&self.address.into(), PATIENCE)?;
        let socket = Blocking::from(socket);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut stream = StreamOwned::new(tls.map_err(io::Error::other)?, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Exact { stream, buffer: vec![0; self.buffer], reader: Reader::default() })
    }

    /// One request on a connection of its own; its status.
    ///
    /// # Errors
    /// Where it was not answered.
    pub(crate) fn once(&self, source: IpAddr, path: &str) -> io::Result<u16> {
        let reply = self.open_exact(source)?.ask(&self.get(path))?;
        Ok(reply.status)
    }
}

impl Connection {
    /// Sends a request and reads its reply; `came` hears of the bytes as they come.
    ///
    /// # Errors
    /// Where the connection broke, or the reply cannot be read.
    pub(crate) async fn ask(&mut self, request: &[u8], came: impl Fn(usize)) -> io::Result<Reply> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.reply(came).await
    }

    /// Sends a head and `length` bytes of body, then reads the reply; `went` hears of the bytes as they go.
    ///
    /// # Errors
    /// Where the connection broke, or the reply cannot be read.
    pub(crate) async fn send(
        &mut self,
        head: &[u8],
        length: u64,
        went: impl Fn(usize),
    ) -> io::Result<Reply> {
        self.stream.write_all(head).await?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(FILLING.len());
            let piece = FILLING.get(..most).unwrap_or_default();
            let taken = self.stream.write(piece).await?;
            went(taken);
            left -= u64::try_from(taken).unwrap_or(left);
        }
        self.stream.flush().await?;
        self.reply(|_bytes| ()).await
    }

    async fn reply(&mut self, came: impl Fn(usize)) -> io::Result<Reply> {
        loop {
            let count = self.stream.read(&mut self.buffer).await?;
            let piece = self.buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            came(count);
            if let Some(reply) = self.reader.take(piece)? {
                return Ok(reply);
            }
        }
    }

    /// Whether nobody has closed it and nothing came unasked, as far as this side can know now.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let stream = &mut self.stream;
        std::future::poll_fn(move |context| {
            let read =
                std::pin::Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_pending())
        })
        .await
    }

    /// Says goodbye and closes.
    pub(crate) async fn close(mut self) {
        let _already_closed = self.stream.shutdown().await;
    }
}

impl Exact {
    /// How many tickets for a later resumption came (RFC 8446 §4.6.1).
    pub(crate) fn tickets(&self) -> u32 {
        self.stream.conn.tls13_tickets_received()
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// Where the connection broke, or the reply cannot be read.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.stream.write_all(request)?;
        self.stream.flush()?;
        loop {
            let count = self.stream.read(&mut self.buffer)?;
            let piece = self.buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(reply) = self.reader.take(piece)? {
                return Ok(reply);
            }
        }
    }
}

/// What bodies are made of.
pub(crate) static FILLING: [u8; 64 << 10] = [b'x'; 64 << 10];
