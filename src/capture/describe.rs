//! From a packed entry to the connection as others see it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::Connection;
use super::entry::{End, Entry, seen};
use super::talk::Found;

/// The connection of an entry that was taken out of the table.
pub(super) fn connection(
    entry: &Entry,
    file: Arc<str>,
    layers: Arc<str>,
    found: Found,
) -> Connection {
    let (initiator, inferred) = entry.initiator();
    let responder = 1 - initiator;
    let mut connection = Connection {
        number: entry.number,
        file,
        protocol: entry.protocol(),
        initiator: socket(entry, initiator),
        responder: socket(entry, responder),
        inferred,
        layers,
        carrier: entry.seen & seen::CARRIER != 0,
        first_packet: entry.first_packet,
        at: entry.at,
        ended: entry.ended,
        packets: entry.packets,
        bytes_to_responder: of(entry.bytes, initiator),
        bytes_to_initiator: of(entry.bytes, responder),
        state: entry.state(),
        one_sided: !entry.both(seen::PACKET),
        cut_short: false,
        application: entry.application(),
        hello: found.hello,
        handshake: found.handshake,
        server_chain: None,
        client_chain: None,
        heads: found.heads,
        heads_lost: found.heads_lost,
        gap_to_responder: of(found.gaps, initiator),
        gap_to_initiator: of(found.gaps, responder),
    };
    let [low, high] = found.chains;
    (connection.client_chain, connection.server_chain) =
        if initiator == 0 { (low, high) } else { (high, low) };
    connection
}

/// The socket of one end.
pub(super) fn socket(entry: &Entry, end: End) -> SocketAddr {
    let address = entry.key.addresses.get(end).copied().unwrap_or_default();
    let address = IpAddr::V6(Ipv6Addr::from(address)).to_canonical();
    SocketAddr::new(address, of(entry.key.ports, end))
}

fn of<T: Copy + Default>(both: [T; 2], end: End) -> T {
    both.get(end).copied().unwrap_or_default()
}
