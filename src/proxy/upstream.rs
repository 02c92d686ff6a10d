//! The upstream leg: bind to the line, dial what a permit names, verify who answers, re-originate TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::permit::DialPermit;
use super::port::Ports;
use super::snapshot::UpstreamLeg;
use super::socket::Socket;
use crate::appliance::Line;
use crate::flow::{Alpn, Identity, Name};
use crate::tls;
use crate::verdict::Reason;

/// A socket that is bound to its line: its local port is known before the ledger is told, and nothing
/// has been sent.
#[derive(Debug)]
pub(super) struct Bound {
    socket: TcpSocket,
    local: SocketAddr,
}

/// An upstream that answered, proved who it is and speaks TLS with us.
#[derive(Debug)]
pub(super) struct Dialled {
    /// The encrypted leg.
    pub(super) stream: TlsStream<Socket>,
    /// Whom it proved to be.
    pub(super) peer: Arc<UpstreamPeer>,
    /// What it chose to speak.
    pub(super) alpn: Option<Alpn>,
    /// How long one round trip to the holder of its key took, at most.
    pub(super) round_trip: Duration,
}

/// The certificate that an upstream showed: looked at again when trust, lists or the clock have changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UpstreamPeer {
    /// The system that was dialled.
    pub(super) system: Name,
    /// Its chain, leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What its certificate carries.
    pub(super) identities: Vec<Identity>,
}

/// Why an upstream could not be used.
#[derive(Debug)]
pub(super) enum UpstreamError {
    /// The line's address or interface is not there.
    Line(io::Error),
    /// The local port belongs to another connection with this endpoint, one that lives or has not rested long enough.
    Port,
    /// Nobody answers at the address.
    Unreachable(io::Error),
    /// It took longer than `connect_timeout`.
    TimedOut,
    /// Somebody answered, but not whom the law names, or not in the way it permits.
    Handshake(Reason, &'static str),
}

impl UpstreamError {
    /// The reason it is recorded and answered with.
    pub(super) const fn reason(&self) -> Reason {
        match self {
            Self::Line(_) | Self::Port | Self::Unreachable(_) | Self::TimedOut => {
                Reason::UpstreamUnreachable
            }
            Self::Handshake(reason, _) => *reason,
        }
    }

    /// Whether the next endpoint may be tried: a stranger at the address is no reason to go elsewhere.
    pub(super) const fn permits_failover(&self) -> bool {
        match self {
            Self::Line(_) | Self::Port | Self::Unreachable(_) | Self::TimedOut => true,
            Self::Handshake(reason, _) => !matches!(reason, Reason::UpstreamIdentity),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds of I/O errors are an open set")]
    /// A word for the ledger; never text from the other side.
    pub(super) fn detail(&self) -> &'static str {
        match self {
            Self::Line(error) => match error.kind() {
                io::ErrorKind::AddrNotAvailable => "the line's address is not there",
                io::ErrorKind::AddrInUse => "all local ports of the line are taken",
                io::ErrorKind::PermissionDenied => "the line's interface may not be bound to",
                _ => "the line cannot be bound to",
            },
            Self::Port => "the local port is still taken",
            Self::Unreachable(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => "connection refused",
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "no route",
                io::ErrorKind::ConnectionReset => "connection reset",
                _ => "no connection",
            },
            Self::TimedOut => "no answer in time",
            Self::Handshake(_, detail) => detail,
        }
    }
}

impl Bound {
    /// Binds a socket to the line, so that it can leave the building in no other way; to one of the spare ports where
    /// asked for.
    ///
    /// # Errors
    /// Where the line's address or interface is not there, or all its ports are taken.
    pub(super) fn new(
        (line, ports, spare): (&Line, &Ports, bool),
        endpoint: SocketAddr,
        keepalive: Duration,
    ) -> io::Result<Self> {
        let socket = RawSocket::new(
            Domain::for_address(endpoint),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        socket.bind_device(Some(line.interface.as_bytes()))?;
        ports.bind(&socket, line.source, spare)?;
        keep_alive(&SockRef::from(&socket), keepalive)?;
        socket.set_tcp_nodelay(true)?;
        let socket = TcpSocket::from_std_stream(socket.into());
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    /// The local address that the other side will see.
    pub(super) const fn local(&self) -> SocketAddr {
        self.local
    }
}

/// Dials the judged address of `permit` and nothing else, within `patience` for TCP and TLS together.
///
/// # Errors
/// [`UpstreamError`] says who is to blame.
pub(super) async fn open(
    permit: DialPermit,
    bound: Bound,
    leg: &UpstreamLeg,
    config: &Arc<ClientConfig>,
    patience: Duration,
) -> Result<Dialled, UpstreamError> {
    let deadline = Instant::now() + patience;
    let connected = timeout_at(deadline, bound.socket.connect(permit.endpoint())).await;
    let tcp = connected.map_err(|_late| UpstreamError::TimedOut)?.map_err(not_connected)?;
    let started = Instant::now();
    let handshake = Box::pin(
        TlsConnector::from(Arc::clone(config)).connect(leg.server_name.clone(), Socket::new(tcp)),
    );
    let shaken = timeout_at(deadline, handshake).await.map_err(|_late| UpstreamError::TimedOut)?;
    let stream = shaken.map_err(|error| {
        let (reason, detail) = tls::upstream_refusal(&error);
        UpstreamError::Handshake(reason, detail)
    })?;
    Ok(dialled(stream, leg, started.elapsed()))
}

fn not_connected(error: io::Error) -> UpstreamError {
    // The socket has its address already: what is not available is the pair of both addresses.
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        UpstreamError::Port
    } else {
        UpstreamError::Unreachable(error)
    }
}

fn dialled(stream: TlsStream<Socket>, leg: &UpstreamLeg, took: Duration) -> Dialled {
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().unwrap_or_default();
    let peer = Arc::new(UpstreamPeer {
        system: leg.system.clone(),
        identities: chain.first().and_then(tls::identities).unwrap_or_default(),
        chain: chain.to_vec(),
    });
    let alpn = match session.alpn_protocol() {
        Some(b"h2") => Some(Alpn::H2),
        Some(b"http/1.1") => Some(Alpn::Http11),
        Some(_) | None => None,
    };
    // A full TLS 1.2 handshake is two round trips, one of 1.3 is one.
    let trips =
        if session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_2) { 2 } else { 1 };
    Dialled { stream, peer, alpn, round_trip: took / trips }
}

/// TCP keepalive as the box asks: a dead peer is noticed even where nothing is sent.
pub(super) fn keep_alive(socket: &SockRef<'_>, idle: Duration) -> io::Result<()> {
    // What Linux takes: 1 to 32 767 s.
    let second = Duration::from_secs(1);
    let idle = idle.clamp(second, second * 32_767);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(idle).with_interval((idle / 3).max(second)).with_retries(3),
    )
}

/// Sets what every client socket has.
pub(super) fn prepare(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    keep_alive(&SockRef::from(stream), keepalive)
}
