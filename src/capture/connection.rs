//! One connection as it was on the wire. Plain data: nothing here reads packets or judges.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::flow::{Alpn, Hello, ServerName, Timestamp, TlsVersion};

/// What was seen of one connection, or of one exchange of datagrams between two sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, none a state")]
pub struct Connection {
    /// Its number in this reading, from 0; the same in [`super::Part`].
    pub number: u64,
    /// The file in which its first packet stands, as named by the caller.
    pub file: Arc<str>,
    /// The protocol above IP.
    pub protocol: Protocol,
    /// Who opened it. The port of ICMP is its type, of protocols without ports 0.
    pub initiator: SocketAddr,
    /// Whom it was opened to. The port of ICMP is the type of the answer, for one-way messages the code.
    pub responder: SocketAddr,
    /// Whether the opening was not seen, so that the initiator is only likely: by the TLS or HTTP roles, by the
    /// well-known port, else by the first packet.
    pub inferred: bool,
    /// The layers of its first packet, such as `eth/vlan:5/ipv4/gre/ipv4/tcp`.
    pub layers: Arc<str>,
    /// Whether its payload was itself decoded as packets; those are connections of their own.
    pub carrier: bool,
    /// Number of its first packet in its file, from 1.
    pub first_packet: u64,
    /// Time of its first packet.
    pub at: Timestamp,
    /// Time of its last packet.
    pub ended: Timestamp,
    /// Its packets, both directions.
    pub packets: u64,
    /// Payload bytes toward the responder; for TCP each byte once, however often it was sent.
    pub bytes_to_responder: u64,
    /// Payload bytes toward the initiator, counted likewise.
    pub bytes_to_initiator: u64,
    /// How far it got.
    pub state: State,
    /// Whether packets of only one direction were seen.
    pub one_sided: bool,
    /// Whether it was handed on early because the table of connections was full; further packets make another.
    pub cut_short: bool,
    /// What was spoken, as far as the first bytes tell.
    pub application: Application,
    /// The TLS `ClientHello`, where it was seen whole.
    pub hello: Option<TlsHello>,
    /// The TLS `ServerHello`, where it was seen whole.
    pub handshake: Option<Handshake>,
    /// The server's certificates, where they were sent in clear (before TLS 1.3).
    pub server_chain: Option<Chain>,
    /// The client's certificates, where they were sent in clear (before TLS 1.3).
    pub client_chain: Option<Chain>,
    /// The heads of clear HTTP/1 requests, in order.
    pub heads: Vec<HttpHead>,
    /// HTTP heads that were not kept or not understood: beyond the bound, or malformed.
    pub heads_lost: u64,
    /// Bytes toward the responder that were never captured.
    pub gap_to_responder: Gap,
    /// Bytes toward the initiator that were never captured.
    pub gap_to_initiator: Gap,
}

impl Connection {
    /// With its ends changed over: what was said toward the one was said toward the other.
    #[must_use]
    pub fn turned(self) -> Self {
        Self {
            initiator: self.responder,
            responder: self.initiator,
            bytes_to_responder: self.bytes_to_initiator,
            bytes_to_initiator: self.bytes_to_responder,
            gap_to_responder: self.gap_to_initiator,
            gap_to_initiator: self.gap_to_responder,
            ..self
        }
    }
}

/// The protocol above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 792 and RFC 4443.
    Icmp,
    /// RFC 4303.
    Esp,
    /// Any other, by its assigned number.
    Other(u8),
}

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// TCP: a SYN that nobody answered.
    Attempted,
    /// TCP: a SYN answered with RST.
    Refused,
    /// TCP: open in both directions, or found open.
    Established,
    /// TCP: both sides sent FIN.
    Closed,
    /// TCP: ended by RST after it was open.
    Reset,
    /// Not TCP: there is no state on the wire.
    Datagrams,
}

/// What was spoken on a connection, as far as its first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Application {
    /// No payload was seen.
    Silent,
    /// TLS from its first byte on.
    Tls,
    /// Clear text first, then TLS on the same connection (STARTTLS, a proxy's CONNECT).
    Upgraded,
    /// Clear HTTP/1 or the HTTP/2 preface.
    Http,
    /// QUIC with this version in its first long header (RFC 8999 §5.1).
    Quic(u32),
    /// Clear bytes of another kind.
    Other,
    /// Payload was seen, but not its beginning, so nothing can be said.
    Unknown,
}

/// What a `ClientHello` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsHello {
    /// The server name asked for.
    pub server_name: ServerName,
    /// The best version offered.
    pub best: TlsVersion,
    /// The versions offered, as on the wire (`0x0303` is TLS 1.2), GREASE left out.
    pub versions: Vec<u16>,
    /// Application protocols offered, printable ones only, at most 16.
    pub alpn: Vec<Box<str>>,
    /// Number of the packet that completed it.
    pub packet: u64,
}

/// What a `ServerHello` chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The version in use.
    pub version: TlsVersion,
    /// The application protocol in use, where it was sent in clear (before TLS 1.3).
    pub alpn: Option<Alpn>,
    /// Number of the packet that completed it.
    pub packet: u64,
}

impl TlsHello {
    /// As the law wants it: the version in use once that was seen, until then the best offered.
    pub fn fact(&self, handshake: Option<Handshake>) -> Hello {
        Hello {
            server_name: self.server_name.clone(),
            version: handshake.map_or(self.best, |chosen| chosen.version),
            alpn: handshake.and_then(|chosen| chosen.alpn),
        }
    }
}

/// Certificates as they were sent: DER (RFC 5280), the end entity's first. Empty where the sender had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// DER of each certificate.
    pub certificates: Vec<Box<[u8]>>,
    /// Number of the packet that completed the message.
    pub packet: u64,
}

/// The head of one clear HTTP/1 request. The query is left out: it is forwarded unjudged, and not for other eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpHead {
    /// The method as sent.
    pub method: Box<str>,
    /// The `Host` field, or the host of an absolute target, as sent; `None` where there is none or there are several.
    pub host: Option<Box<str>>,
    /// The path as sent (of `CONNECT`, the authority), without query; may hold what must not be shown.
    pub path: Box<str>,
    /// Whether it asks for another protocol (`Upgrade`, `CONNECT`).
    pub upgrade: bool,
    /// Number of the packet that completed it.
    pub packet: u64,
    /// Time of that packet.
    pub at: Timestamp,
}

/// What is missing from one direction of a TCP stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gap {
    /// How many times bytes were skipped.
    pub holes: u64,
    /// How many bytes.
    pub bytes: u64,
}
