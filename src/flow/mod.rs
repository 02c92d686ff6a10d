//! What happened: one passage, or an attempt at one, as plain data. No I/O, no clock, no opinion.
//!
//! A [`Flow`] is filled in as the life of a connection goes on; its stage is the last fact present.
//! The live proxy, a capture, `explain` and a scenario all produce the same type.

mod hello;
mod host;
mod identity;
mod name;
mod paper;
mod path;
mod peer;
mod request;
mod timestamp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use hello::{Alpn, Hello, ServerName, TlsVersion};
pub use host::{Host, HostError};
pub use identity::{Identity, IdentityError};
pub use name::{Name, NameError};
pub use paper::{Certificate, Chain, Paper, Revocation};
pub use path::{Path, PathError};
pub use peer::Peer;
pub use request::{Method, MethodError, Request};
pub use timestamp::{Timestamp, TimestampError};

/// The transport protocol of a flow. The proxy carries TCP only; captures see the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// ICMP and `ICMPv6`.
    Icmp,
    /// ESP, RFC 4303.
    Esp,
    /// Any other, by its IANA number.
    Other(u8),
}

/// The facts of one passage, as far as they are known. Facts are only ever added: each one can
/// narrow the rules that may still fit, never widen them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// When it is judged.
    pub at: Timestamp,
    /// The transport protocol.
    pub transport: Transport,
    /// The address that opened the connection.
    pub source: IpAddr,
    /// The address it was opened to.
    pub to_address: SocketAddr,
    /// The listener that took it; `None` where it was only seen on the wire.
    pub listener: Option<Name>,
    /// What the TLS `ClientHello` said; its server name is the destination.
    pub hello: Option<Arc<Hello>>,
    /// Whether application bytes were seen that no TLS protects. The proxy takes none; a capture sees them.
    pub in_clear: bool,
    /// The client certificate, or that there was none.
    pub paper: Option<Arc<Paper>>,
    /// The HTTP request, for protocols that have one.
    pub request: Option<Request>,
    /// The very socket address about to be dialled.
    pub endpoint: Option<SocketAddr>,
    /// What the dialled peer turned out to be.
    pub peer: Option<Peer>,
}

impl Flow {
    /// A flow of which only the arrival is known.
    pub fn arrival(
        at: Timestamp,
        source: IpAddr,
        to_address: SocketAddr,
        listener: Option<Name>,
    ) -> Self {
        Self {
            at,
            transport: Transport::Tcp,
            source,
            to_address,
            listener,
            hello: None,
            in_clear: false,
            paper: None,
            request: None,
            endpoint: None,
            peer: None,
        }
    }
}
