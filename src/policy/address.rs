//! Addresses as the law compares them: IPv4 inside IPv6 is the IPv4 that it is, and some ranges say nothing
//! of a country. No systems and no sites here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The one form of an address: IPv4-mapped (RFC 4291 §2.5.5.2), NAT64 `64:ff9b::/96` (RFC 6052), 6to4 (RFC 3056)
/// and Teredo (RFC 4380, its client) become the IPv4 address inside, so that no spelling steps around a prefix.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
    }
}

/// As [`canonical`], for an address with a port.
#[must_use]
pub fn canonical_socket(address: SocketAddr) -> SocketAddr {
    let ip = canonical(address.ip());
    // An IPv6 address that stays one keeps its scope: another link is another address.
    if ip == address.ip() { address } else { SocketAddr::new(ip, address.port()) }
}

/// As [`canonical`], for a prefix; one that holds more than embedded IPv4 addresses stays as it is.
#[must_use]
pub fn canonical_net(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net.trunc() else { return net.trunc() };
    let inside = match v6.network().segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            v6.prefix_len().checked_sub(96)
        }
        [0x2002, ..] => v6.prefix_len().checked_sub(16).map(|length| length.min(32)),
        [0x2001, 0, ..] => (v6.prefix_len() == 128).then_some(32),
        _ => None,
    };
    embedded(v6.network())
        .zip(inside)
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(IpNet::V6(v6), |v4| IpNet::V4(v4.trunc()))
}

/// Whether no registry of the world can say in which country the address is: it lies in an IANA special-purpose
/// range that is not globally reachable (RFC 6890 and its registries), so its site's evidence has to say it.
#[must_use]
pub fn is_special_purpose(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => SPECIAL_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => SPECIAL_V6.iter().any(|net| net.contains(&v6)),
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        // Teredo writes the client's address with every bit turned over (RFC 4380 §4).
        [0x2001, 0, _, _, _, _, high, low] => Some(join(!high, !low)),
        _ => None,
    }
}

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// The IANA IPv4 registry, without what it marks as globally reachable.
const SPECIAL_V4: [Ipv4Net; 13] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 29),
    v4(192, 0, 2, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(240, 0, 0, 4),
];

/// The IANA IPv6 registry, without what it marks as globally reachable and what is IPv4 inside.
const SPECIAL_V6: [Ipv6Net; 10] = [
    Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
    Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
    v6(0x64, 0xff9b, 1, 0, 48),
    v6(0x100, 0, 0, 0, 63),
    v6(0x2001, 2, 0, 0, 48),
    v6(0x2001, 0xdb8, 0, 0, 32),
    v6(0x3fff, 0, 0, 0, 20),
    v6(0x5f00, 0, 0, 0, 16),
    v6(0xfc00, 0, 0, 0, 7),
    v6(0xfe80, 0, 0, 0, 10),
];

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{canonical, canonical_net, canonical_socket, is_special_purpose};

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("the table has addresses")
    }

    #[test]
    fn ipv4_inside_ipv6_is_the_ipv4_that_it_is() {
        let table = [
            ("::ffff:10.210.0.9", "10.210.0.9"),
            ("64:ff9b::10.210.0.9", "10.210.0.9"),
            ("2002:0ad2:0009::1", "10.210.0.9"),
            ("2001:0:4136:e378:8000:63bf:f52d:fff6", "10.210.0.9"),
            ("10.210.0.9", "10.210.0.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("64:ff9b:1::a:b", "64:ff9b:1::a:b"),
        ];
        for (written, meant) in table {
            assert_eq!(canonical(ip(written)), ip(meant), "{written}");
        }
    }

    #[test]
    fn a_prefix_of_embedded_addresses_is_the_ipv4_prefix() {
        let table = [
            ("::ffff:10.210.0.0/112", "10.210.0.0/16"),
            ("64:ff9b::10.0.0.0/104", "10.0.0.0/8"),
            ("2002:0ad2::/32", "10.210.0.0/16"),
            ("2002:0ad2:0009:1::/64", "10.210.0.9/32"),
            ("2001:0:4136:e378:8000:63bf:f52d:fff6/128", "10.210.0.9/32"),
            // Shorter than an address it holds many clients, and stays IPv6.
            ("2001:0:4136:e378::/64", "2001:0:4136:e378::/64"),
            ("2001:db8::5/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("10.1.2.3/8", "10.0.0.0/8"),
        ];
        for (written, meant) in table {
            let net = canonical_net(written.parse().expect("the table has prefixes"));
            assert_eq!(net.to_string(), meant, "{written}");
        }
    }

    #[test]
    fn the_port_stays_and_so_does_the_scope() {
        let mapped = "[::ffff:10.0.0.1]:443".parse().expect("a socket address");
        assert_eq!(canonical_socket(mapped).to_string(), "10.0.0.1:443");
        let scoped = "[fe80::1%3]:443".parse().expect("a socket address");
        assert_eq!(canonical_socket(scoped), scoped);
    }

    #[test]
    fn only_addresses_without_a_country_are_special() {
        for special in [
            "10.200.1.10",
            "100.64.0.1",
            "127.0.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "203.0.113.9",
            "198.51.100.7",
            "::1",
            "fd00::1",
            "2001:db8::1",
            "64:ff9b::10.0.0.1",
            "3fff::1",
        ] {
            assert!(is_special_purpose(ip(special)), "{special}");
        }
        for public in
            ["8.8.8.8", "172.32.0.1", "192.88.98.1", "2606:4700::1", "::ffff:8.8.8.8", "192.0.0.9"]
        {
            assert!(!is_special_purpose(ip(public)), "{public}");
        }
    }
}
