//! Connections for tests, as a reading would hand them over. No test stands here.

use std::sync::Arc;

use super::{Application, Connection, Gap, Handshake, Protocol, State, TlsHello};
use crate::flow::{ServerName, Timestamp, TlsVersion};
use crate::policy::imagined::{host, moment, socket};

/// When the connections of the tests begin.
pub(crate) const BEGAN: &str = "2026-11-22T02:14:07+09:00";

/// An established TCP connection that lasted a second, with nothing said on it.
pub(crate) fn tcp(initiator: &str, responder: &str) -> Connection {
    let at = moment(BEGAN);
    Connection {
        number: 0,
        file: Arc::from("edge.pcap"),
        protocol: Protocol::Tcp,
        initiator: socket(initiator),
        responder: socket(responder),
        inferred: false,
        layers: Arc::from("eth/ipv4"),
        carrier: false,
        first_packet: 17,
        at,
        ended: after(at, 1),
        packets: 12,
        bytes_to_responder: 0,
        bytes_to_initiator: 0,
        state: State::Closed,
        one_sided: false,
        cut_short: false,
        application: Application::Silent,
        hello: None,
        handshake: None,
        server_chain: None,
        client_chain: None,
        heads: Vec::new(),
        heads_lost: 0,
        gap_to_responder: Gap::default(),
        gap_to_initiator: Gap::default(),
    }
}

/// The same with TLS on it, asking for `name`; 1000 bytes went there and 2000 came back.
pub(crate) fn tls(initiator: &str, responder: &str, name: &str, version: TlsVersion) -> Connection {
    Connection {
        application: Application::Tls,
        hello: Some(TlsHello {
            server_name: ServerName::Name(host(name)),
            best: TlsVersion::Tls13,
            versions: vec![0x0304, 0x0303],
            alpn: vec![Box::from("h2"), Box::from("http/1.1")],
            packet: 20,
        }),
        handshake: Some(Handshake { version, alpn: None, packet: 21 }),
        bytes_to_responder: 1000,
        bytes_to_initiator: 2000,
        ..tcp(initiator, responder)
    }
}

/// `seconds` later.
pub(crate) fn after(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus(std::time::Duration::from_secs(seconds))
}
