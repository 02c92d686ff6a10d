//! The link layer of wired captures: Ethernet, Linux cooked, loopback, and what stands behind an `EtherType`.

use super::{Decoder, Kind, Layer, Next, Outcome, head, malformed, skip};
use crate::capture::Reason;

/// What a packet of this link type begins with (the registered `LINKTYPE_` numbers); `None` for types not known here.
pub(super) const fn first(link: u16) -> Option<Kind> {
    Some(match link {
        0 | 108 => Kind::Null,
        1 => Kind::Ethernet,
        // PPP, PPP in HDLC framing, PPP behind a PPPoE header that was taken off.
        9 | 50 => Kind::Ppp,
        // Raw IP: the registered number, those that systems write instead, and the ones for one version only.
        12 | 14 | 101 | 228 | 229 => Kind::Ip,
        51 => Kind::Type(0x8864),
        104 => Kind::Type(CISCO_HDLC),
        105 => Kind::Wlan,
        113 => Kind::Sll,
        127 => Kind::Radiotap,
        276 => Kind::Sll2,
        _ => return None,
    })
}

/// Not an `EtherType`: stands for the Cisco HDLC header, whose third and fourth bytes are one.
const CISCO_HDLC: u16 = 0;

impl Decoder {
    #[inline]
    pub(super) fn ethernet<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<14>(bytes)?;
        self.push(Layer::Eth)?;
        match u16::from_be_bytes([header[12], header[13]]) {
            // A length: IEEE 802.3 with 802.2 behind it. What is longer is padding.
            length @ 0..=1500 => {
                let kept = rest.get(..usize::from(length)).filter(|kept| !kept.is_empty());
                Ok((Kind::Llc, kept.unwrap_or(rest)))
            }
            number => Ok((Kind::Type(number), rest)),
        }
    }

    #[inline]
    pub(super) fn behind_type<'a>(&mut self, number: u16, bytes: &'a [u8]) -> Next<'a> {
        match number {
            0x0800 | 0x86dd => Ok((Kind::Ip, bytes)),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => self.vlan(bytes),
            0x8847 | 0x8848 => Ok((Kind::Mpls, bytes)),
            0x8864 => self.pppoe(bytes),
            0x88e7 => self.pbb(bytes),
            0x8926 => self.vntag(bytes),
            0x8903 => self.fabric_path(bytes),
            0x6558 => Ok((Kind::Ethernet, bytes)),
            0x880b => Ok((Kind::Ppp, bytes)),
            0x88e5 => Err(Outcome::Unjudged(Reason::Encrypted)),
            CISCO_HDLC => cisco_hdlc(bytes),
            other => Err(outside(other)),
        }
    }

    /// Linux cooked capture: the `EtherType` stands in the last two of 16 bytes.
    pub(super) fn sll<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<16>(bytes)?;
        self.push(Layer::Sll)?;
        let hardware = u16::from_be_bytes([header[2], header[3]]);
        cooked(hardware, u16::from_be_bytes([header[14], header[15]]), rest)
    }

    /// Its second version: the `EtherType` stands in the first two of 20 bytes.
    pub(super) fn sll2<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<20>(bytes)?;
        self.push(Layer::Sll2)?;
        let hardware = u16::from_be_bytes([header[8], header[9]]);
        cooked(hardware, u16::from_be_bytes([header[0], header[1]]), rest)
    }

    /// BSD loopback: a protocol family in the byte order of the machine that captured, so it may be either.
    pub(super) fn null<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (family, rest) = head::<4>(bytes)?;
        self.push(Layer::Null)?;
        match u32::from_le_bytes(*family).min(u32::from_be_bytes(*family)) {
            // AF_INET, and AF_INET6 of the BSDs, macOS and Linux.
            2 | 10 | 23 | 24 | 28 | 30 => Ok((Kind::Ip, rest)),
            _ => Err(Outcome::Unjudged(Reason::UnknownProtocol)),
        }
    }
}

/// Behind a cooked header; small numbers are frames without an `EtherType`.
fn cooked(hardware: u16, number: u16, rest: &[u8]) -> Next<'_> {
    /// `ARPHRD_NETLINK`: messages between the kernel and its programs.
    const NETLINK: u16 = 824;
    match (hardware, number) {
        (NETLINK, _) => Err(Outcome::Outside("netlink")),
        (_, 0x0001) => malformed(),
        (_, 0x0004) => Ok((Kind::Llc, rest)),
        (_, 0x0000 | 0x0002..=0x05ff) => Err(Outcome::Unjudged(Reason::UnknownProtocol)),
        _ => Ok((Kind::Type(number), rest)),
    }
}

fn cisco_hdlc(bytes: &[u8]) -> Next<'_> {
    let (header, rest) = head::<4>(bytes)?;
    match u16::from_be_bytes([header[2], header[3]]) {
        0x8035 => Err(Outcome::Outside("slarp")),
        0 => malformed(),
        number => Ok((Kind::Type(number), rest)),
    }
}

/// IEEE 802.2, with SNAP where an `EtherType` follows.
pub(super) fn llc(bytes: &[u8]) -> Next<'_> {
    match bytes {
        [0xaa, 0xaa, 0x03, organisation @ ..] => snap(organisation),
        [0x42, 0x42, ..] => Err(Outcome::Outside("stp")),
        [0xfe, 0xfe, ..] => Err(Outcome::Outside("isis")),
        [0x06, 0x06, 0x03, rest @ ..] => Ok((Kind::Ip, rest)),
        // XID and TEST: stations greeting each other, without data.
        [_, _, 0xaf | 0xbf | 0xe3 | 0xf3, ..] => Err(Outcome::Outside("llc")),
        [_, _, _, ..] => Err(Outcome::Unjudged(Reason::UnknownProtocol)),
        _ => Err(Outcome::Unjudged(Reason::BadLength)),
    }
}

fn snap(bytes: &[u8]) -> Next<'_> {
    let (header, _) = head::<5>(bytes)?;
    let rest = skip(bytes, 5)?;
    match (header, u16::from_be_bytes([header[3], header[4]])) {
        ([0, 0, 0 | 0xf8, ..], number @ 0x0600..) => Ok((Kind::Type(number), rest)),
        ([0, 0, 0x0c, ..], 0x2000..=0x2004 | 0x0111 | 0x010b | 0x010c) => {
            Err(Outcome::Outside("cisco"))
        }
        _ => Err(Outcome::Unjudged(Reason::UnknownProtocol)),
    }
}

/// Protocols that run a network and carry nothing across it; of any other type it is not known what it carries.
const fn outside(number: u16) -> Outcome {
    Outcome::Outside(match number {
        0x0806 => "arp",
        0x8035 => "rarp",
        0x88cc => "lldp",
        0x888e => "eapol",
        0x88f7 => "ptp",
        0x8809 => "slow",
        0x8902 => "cfm",
        0x8863 => "pppoe",
        0x0842 => "wol",
        0x9000 => "loopback",
        0x8808 => "pause",
        0x88f5 => "mvrp",
        0x88e3 => "mrp",
        _ => return Outcome::Unjudged(Reason::UnknownProtocol),
    })
}
