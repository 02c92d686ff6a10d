//! What a client says first, and what a handshake came to. Reads rustls' view only; parses no bytes of its own.

use rustls::server::ClientHello;
use rustls::{CipherSuite, CommonState, ProtocolVersion};

use crate::flow::{Alpn, Hello, Host, ServerName, TlsVersion};

/// The facts of a `ClientHello`. The application protocol is none yet: it is chosen later, see [`agreed`].
///
/// rustls does not show the versions that were offered. Whoever offers a cipher suite of TLS 1.3 offers TLS 1.3
/// (RFC 8446 §4.1.2); anybody else at most 1.2. It also hides an address literal in SNI, as if nothing had been sent,
/// and fails on one that is no name at all: see [`super::client_refusal`]. The law's answer to all three is the same.
pub fn hello(client: &ClientHello<'_>) -> Hello {
    Hello { server_name: server_name(client), version: best_version(client), alpn: None }
}

/// The application protocols that a client offers, those of them that we know.
pub fn offered(client: &ClientHello<'_>) -> Vec<Alpn> {
    client.alpn().into_iter().flatten().filter_map(alpn).collect()
}

/// The version and the application protocol that are in use once a handshake is done, on either leg.
pub fn agreed(connection: &CommonState) -> (TlsVersion, Option<Alpn>) {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        Some(_) | None => TlsVersion::Old,
    };
    (version, connection.alpn_protocol().and_then(alpn))
}

fn server_name(client: &ClientHello<'_>) -> ServerName {
    match client.server_name().map(Host::parse) {
        None => ServerName::Missing,
        Some(Ok(host)) => ServerName::Name(host),
        Some(Err(_unusable)) => ServerName::Unusable,
    }
}

fn best_version(client: &ClientHello<'_>) -> TlsVersion {
    let modern = |suite: &CipherSuite| u16::from(*suite) >> 8 == 0x13;
    let modern = client.cipher_suites().iter().any(modern);
    if modern { TlsVersion::Tls13 } else { TlsVersion::Tls12 }
}

fn alpn(protocol: &[u8]) -> Option<Alpn> {
    match protocol {
        b"h2" => Some(Alpn::H2),
        b"http/1.1" => Some(Alpn::Http11),
        _ => None,
    }
}
