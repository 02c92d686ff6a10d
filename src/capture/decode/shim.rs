//! What may stand between link and IP: VLAN, provider bridges, fabric tags, MPLS, `PPPoE` and PPP.

use super::{Decoder, Kind, Layer, Next, Outcome, head, malformed, skip};
use crate::capture::Reason;

impl Decoder {
    /// IEEE 802.1Q and 802.1ad: the tag, then the next `EtherType`, or a length as on Ethernet itself.
    pub(super) fn vlan<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<4>(bytes)?;
        self.push(Layer::Vlan(u16::from_be_bytes([header[0], header[1]]) & 0x0fff))?;
        Ok(typed(u16::from_be_bytes([header[2], header[3]]), rest))
    }

    /// IEEE 802.1ah: four bytes of service tag, then the customer's whole frame.
    pub(super) fn pbb<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (_, rest) = head::<4>(bytes)?;
        self.push(Layer::Pbb)?;
        Ok((Kind::Ethernet, rest))
    }

    /// IEEE 802.1BR's forerunner: four bytes of port tag, then the next `EtherType`.
    pub(super) fn vntag<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<6>(bytes)?;
        self.push(Layer::Vntag)?;
        Ok(typed(u16::from_be_bytes([header[4], header[5]]), rest))
    }

    /// Cisco's fabric: its addresses look like Ethernet's; two bytes of tag, then the whole frame.
    pub(super) fn fabric_path<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let rest = skip(bytes, 2)?;
        self.push(Layer::FabricPath)?;
        Ok((Kind::Ethernet, rest))
    }

    /// RFC 3032 labels. What lies below the last is not said: the first half byte tells (RFC 4385 §3).
    pub(super) fn mpls<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let mut rest = bytes;
        loop {
            let (label, below) = head::<4>(rest)?;
            self.push(Layer::Mpls)?;
            rest = below;
            if label[2] & 1 == 1 {
                break;
            }
        }
        match rest.first() {
            Some(0x40..=0x6f) if is_ip(rest) => Ok((Kind::Ip, rest)),
            // A control word before an Ethernet frame; one that begins with 1 is a test of the line itself.
            Some(0x00..=0x0f) => Ok((Kind::Ethernet, skip(rest, 4)?)),
            Some(0x10..=0x1f) => Err(Outcome::Outside("pw-ach")),
            Some(_) => Ok((Kind::Ethernet, rest)),
            None => Err(Outcome::Unjudged(Reason::BadLength)),
        }
    }

    /// RFC 2516 §5: six bytes, then PPP without its address and control bytes.
    pub(super) fn pppoe<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<6>(bytes)?;
        self.push(Layer::Pppoe)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        match (header[0], header[1]) {
            (0x11, 0) if length <= rest.len() || self.cut => {
                Ok((Kind::Ppp, rest.get(..length).unwrap_or(rest)))
            }
            (0x11, 0) => Err(Outcome::Unjudged(Reason::BadLength)),
            _ => malformed(),
        }
    }

    /// RFC 1661 §2: the protocol, one byte where it is odd, perhaps behind the address and control of RFC 1662.
    pub(super) fn ppp<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let bytes = match bytes {
            [0xff, 0x03, rest @ ..] => rest,
            _ => bytes,
        };
        let (number, rest) = match bytes {
            [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
            [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
            _ => return Err(Outcome::Unjudged(Reason::BadLength)),
        };
        self.push(Layer::Ppp)?;
        match number {
            0x0021 | 0x0057 => Ok((Kind::Ip, rest)),
            0x0281 | 0x0283 => Ok((Kind::Mpls, rest)),
            0x0053 => Err(Outcome::Unjudged(Reason::Encrypted)),
            // Control of the link and of its networks.
            0x8000.. => Err(Outcome::Outside("ppp")),
            _ => Err(Outcome::Unjudged(Reason::UnknownProtocol)),
        }
    }
}

/// A number above 1535 is an `EtherType`, a smaller one the length of an IEEE 802.2 frame.
fn typed(number: u16, rest: &[u8]) -> (Kind, &[u8]) {
    match number {
        0..=1500 => (Kind::Llc, rest),
        _ => (Kind::Type(number), rest),
    }
}

/// Tells IP from the first byte of an Ethernet address, which may be any: the header's own lengths must agree.
fn is_ip(bytes: &[u8]) -> bool {
    match bytes {
        [first @ 0x45..=0x4f, _, high, low, ..] => {
            let header = u16::from(first & 0x0f) * 4;
            matches!(u16::from_be_bytes([*high, *low]), total if total >= header || total == 0)
        }
        [0x60..=0x6f, ..] => bytes.len() >= 40,
        _ => false,
    }
}
