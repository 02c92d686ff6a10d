//! Tunnels: GRE with what it carries, and those inside UDP. Known by port, and believed only where their header holds.

use super::{Decoder, Kind, Layer, Next, Outcome, head, malformed, skip};

/// A tunnel's layer, where what it carries does not say it itself; it carries; the bytes.
type Inner<'a> = (Option<Layer>, Kind, &'a [u8]);

impl Decoder {
    /// RFC 2784, RFC 2890, and version 1 of RFC 2637 (PPTP).
    pub(super) fn gre<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, rest) = head::<4>(bytes)?;
        let flags = u16::from_be_bytes([header[0], header[1]]);
        let number = u16::from_be_bytes([header[2], header[3]]);
        self.push(Layer::Gre)?;
        match flags & 7 {
            0 if flags & 0x4000 == 0 => {
                let sequenced = flags & 0x1000 != 0;
                self.behind_gre(number, sequenced, skip(rest, options(flags))?)
            }
            1 if number == 0x880b => {
                let size = 4 + options(flags & 0x1000) + if flags & 0x80 == 0 { 0 } else { 4 };
                let inside = skip(rest, size)?;
                // An acknowledgement alone carries nothing.
                if inside.is_empty() { Err(Outcome::Judged) } else { Ok((Kind::Ppp, inside)) }
            }
            _ => malformed(),
        }
    }

    fn behind_gre<'a>(&mut self, number: u16, sequenced: bool, bytes: &'a [u8]) -> Next<'a> {
        match number {
            0x88be => self.erspan(if sequenced { 8 } else { 0 }, bytes),
            0x22eb => self.erspan(erspan_three(bytes)?, bytes),
            // WCCP: the second version puts a header of its own before IP.
            0x883e => Ok((
                Kind::Ip,
                if bytes.first().is_some_and(|b| b >> 4 == 4) { bytes } else { skip(bytes, 4)? },
            )),
            // Aruba's access points: an IEEE 802.11 frame.
            0x8200..=0x82ff | 0x8300..=0x83ff | 0x9000 => Ok((Kind::Wlan, bytes)),
            // A keepalive of the tunnel itself.
            0 => Err(Outcome::Judged),
            _ => Ok((Kind::Type(number), bytes)),
        }
    }

    /// draft-foschiano-erspan: a mirrored Ethernet frame behind a header of `size` bytes.
    fn erspan<'a>(&mut self, size: usize, bytes: &'a [u8]) -> Next<'a> {
        self.push(Layer::Erspan)?;
        Ok((Kind::Ethernet, skip(bytes, size)?))
    }
}

/// The bytes of the optional fields: checksum, key, sequence.
const fn options(flags: u16) -> usize {
    let mut size = 0;
    if flags & 0x8000 != 0 {
        size += 4;
    }
    if flags & 0x2000 != 0 {
        size += 4;
    }
    if flags & 0x1000 != 0 {
        size += 4;
    }
    size
}

/// The third type has 12 bytes, and 8 more where its last bit is set.
fn erspan_three(bytes: &[u8]) -> Result<usize, Outcome> {
    let (header, _) = head::<12>(bytes)?;
    Ok(if header[11] & 1 == 0 { 12 } else { 20 })
}

/// What a UDP payload carries, where one of its ports is a tunnel's and the tunnel's header holds.
#[inline]
pub(super) fn behind_udp(ports: [u16; 2], payload: &[u8]) -> Option<Inner<'_>> {
    // Tunnels over UDP choose their source port freely; the others use one port on both sides or either.
    match ports[1] {
        4789 => vxlan(payload),
        4790 => vxlan_gpe(payload),
        6081 => geneve(payload),
        4754 => is_gre(payload).then_some((None, Kind::Gre, payload)),
        6635 => (payload.len() >= 4).then_some((None, Kind::Mpls, payload)),
        2152 | 2123 => gtp(payload),
        3544 => teredo(payload),
        5072 => ayiya(payload),
        _ => match ports[0] {
            3544 => teredo(payload),
            5072 => ayiya(payload),
            2152 => gtp(payload),
            _ => teredo(payload).filter(|(_, _, inside)| is_between_teredo(inside)),
        },
    }
}

/// RFC 7348 §5: the flag that says a network is named, and no other but that of group policies.
fn vxlan(payload: &[u8]) -> Option<Inner<'_>> {
    let (header, inside) = payload.split_first_chunk::<8>()?;
    let [flags, _, _, _, a, b, c, reserved] = *header;
    let holds = flags & 0x77 == 0 && flags & 0x08 != 0 && reserved == 0 && inside.len() >= 14;
    holds.then_some((Some(Layer::Vxlan(u32::from_be_bytes([0, a, b, c]))), Kind::Ethernet, inside))
}

/// draft-ietf-nvo3-vxlan-gpe: the next protocol is named.
fn vxlan_gpe(payload: &[u8]) -> Option<Inner<'_>> {
    let (header, inside) = payload.split_first_chunk::<8>()?;
    let [flags, _, _, next, a, b, c, _] = *header;
    let kind = match next {
        1 | 2 => Kind::Ip,
        3 => Kind::Ethernet,
        5 => Kind::Mpls,
        _ => return None,
    };
    (flags & 0x0c == 0x0c).then_some((
        Some(Layer::Vxlan(u32::from_be_bytes([0, a, b, c]))),
        kind,
        inside,
    ))
}

/// RFC 8926 §3.4.
fn geneve(payload: &[u8]) -> Option<Inner<'_>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [first, _, high, low, a, b, c, _] = *header;
    if first >> 6 != 0 {
        return None;
    }
    let inside = rest.get(usize::from(first & 0x3f) * 4..)?;
    let kind = match u16::from_be_bytes([high, low]) {
        0x6558 => Kind::Ethernet,
        0x0800 | 0x86dd => Kind::Ip,
        number @ 0x8847 => Kind::Type(number),
        _ => return None,
    };
    Some((Some(Layer::Geneve(u32::from_be_bytes([0, a, b, c]))), kind, inside))
}

/// A header of RFC 2784 without the bits that must be 0, with a protocol that is one.
fn is_gre(payload: &[u8]) -> bool {
    matches!(payload, [flags, 0, high, low, ..]
        if flags & 0x4f == 0 && u16::from_be_bytes([*high, *low]) >= 0x0600)
}

/// 3GPP TS 29.281 §5.1: user data (255) of version 1, with its optional fields and extension headers.
fn gtp(payload: &[u8]) -> Option<Inner<'_>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [flags, kind, high, low, ..] = *header;
    if flags & 0xf0 != 0x30
        || kind != 0xff
        || usize::from(u16::from_be_bytes([high, low])) > rest.len()
    {
        return None;
    }
    let inside = if matches!(flags & 7, 0) { rest } else { gtp_extensions(rest, flags & 4 != 0)? };
    holds_ip(inside).then_some((Some(Layer::Gtp), Kind::Ip, inside))
}

fn gtp_extensions(rest: &[u8], extended: bool) -> Option<&[u8]> {
    let ([_, _, _, first], mut inside) = rest.split_first_chunk::<4>()?;
    let mut next = if extended { *first } else { 0 };
    while next != 0 {
        let size = usize::from(*inside.first()?) * 4;
        next = *inside.get(size.checked_sub(1)?)?;
        inside = inside.get(size..)?;
    }
    Some(inside)
}

/// RFC 4380 §5.1.1: an IPv6 packet, perhaps behind an authentication and an origin header.
fn teredo(payload: &[u8]) -> Option<Inner<'_>> {
    let mut inside = payload;
    if let [0, 1, client, signature, ..] = inside {
        inside = inside.get(13 + usize::from(*client) + usize::from(*signature)..)?;
    }
    if let [0, 0, _, _, _, _, _, _, rest @ ..] = inside {
        inside = rest;
    }
    let is_six = inside.first().is_some_and(|first| first >> 4 == 6);
    (is_six && holds_ip(inside)).then_some((Some(Layer::Teredo), Kind::Ip, inside))
}

/// Two clients, or a client and a relay, speak at any port: then one address is a client's (RFC 4380 §4).
fn is_between_teredo(inside: &[u8]) -> bool {
    const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];
    [8, 24]
        .into_iter()
        .any(|at| inside.get(at..).is_some_and(|address| address.starts_with(&PREFIX)))
}

/// draft-massar-v6ops-ayiya §4: identity, signature, then the packet that the header names.
fn ayiya(payload: &[u8]) -> Option<Inner<'_>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [identity, signature, operation, next, ..] = *header;
    let size = (1_usize << (identity >> 4)) + usize::from(signature >> 4) * 4;
    let inside = rest.get(size..)?;
    let forwards = operation & 0x0f == 1 && matches!(next, 4 | 41);
    (forwards && holds_ip(inside)).then_some((Some(Layer::Ayiya), Kind::Ip, inside))
}

/// Whether an IP header stands here whose length is that of the bytes.
fn holds_ip(bytes: &[u8]) -> bool {
    match bytes {
        [0x45..=0x4f, _, high, low, ..] => {
            bytes.len() >= 20 && usize::from(u16::from_be_bytes([*high, *low])) == bytes.len()
        }
        [0x60..=0x6f, _, _, _, high, low, ..] => {
            usize::from(u16::from_be_bytes([*high, *low])) + 40 == bytes.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::behind_udp;

    #[test]
    fn a_tunnels_port_alone_makes_no_tunnel() {
        for port in [4789, 4790, 6081, 4754, 2152, 3544, 5072] {
            assert!(
                behind_udp([40_000, port], b"\xffhello, this is no tunnel at all").is_none(),
                "{port}"
            );
            assert!(behind_udp([40_000, port], b"").is_none(), "{port}");
        }
    }
}
