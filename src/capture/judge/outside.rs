//! What the law does not speak of: traffic that never leaves its link, answers that open nothing, the box's own
//! administration, and envelopes whose content is judged instead.

use std::net::{IpAddr, Ipv4Addr};

use super::own::Own;
use crate::capture::{Connection, Protocol};

/// Why the law does not speak of a connection. It is counted by kind, never called clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outside {
    /// Multicast and broadcast of one link, neighbour discovery, group membership: no router passes them on
    /// (RFC 5771 §4, RFC 4291 §2.7, RFC 4861, RFC 2236).
    Link,
    /// ICMP errors: answers to a packet that is judged itself (RFC 792, RFC 4443 §2.1).
    Control,
    /// The read-only HTTP port of the box, by those whom the box file lets.
    Administration,
    /// A tunnel whose content was decoded: what it carries is judged.
    Carrier,
}

impl Outside {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Link, Self::Control, Self::Administration, Self::Carrier];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Control => "control",
            Self::Administration => "administration",
            Self::Carrier => "carrier",
        }
    }
}

/// The kind, where the law does not speak of `connection`.
pub(super) fn kind(connection: &Connection, own: &Own) -> Option<Outside> {
    let (from, to) = (connection.initiator, connection.responder);
    if connection.carrier {
        Some(Outside::Carrier)
    } else if stays_on_link(connection) {
        Some(Outside::Link)
    } else if is_error(connection) {
        Some(Outside::Control)
    } else {
        let tcp = connection.protocol == Protocol::Tcp;
        (tcp && own.is_administration(from.ip(), to)).then_some(Outside::Administration)
    }
}

fn stays_on_link(connection: &Connection) -> bool {
    // Who asked whom is told by the ports of some services, so that a group may stand at either end.
    let ends = [connection.initiator.ip(), connection.responder.ip()];
    let igmp = connection.protocol == Protocol::Other(2);
    ends.into_iter().any(is_group_of_link) || igmp || is_discovery(connection)
}

fn is_group_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4 == Ipv4Addr::BROADCAST || matches!(v4.octets(), [224, 0, 0, _]),
        IpAddr::V6(v6) => matches!(v6.octets(), [0xff, scope, ..] if scope & 0x0f <= 2),
    }
}

/// Router and neighbour discovery, multicast listeners. Redirects are judged: they turn traffic to another way.
fn is_discovery(connection: &Connection) -> bool {
    let v6 = connection.initiator.is_ipv6() && connection.protocol == Protocol::Icmp;
    v6 && matches!(connection.initiator.port(), 130..=136 | 143)
}

fn is_error(connection: &Connection) -> bool {
    connection.protocol == Protocol::Icmp
        && match connection.initiator {
            std::net::SocketAddr::V4(v4) => matches!(v4.port(), 3 | 4 | 11 | 12),
            std::net::SocketAddr::V6(v6) => matches!(v6.port(), 1..=4),
        }
}
