//! Writes packets byte by byte, by the standards and not by the decoder's code.

use std::net::{IpAddr, SocketAddr};

/// A frame in the making: bytes that the next header is put before.
pub(super) type Bytes = Vec<u8>;

pub(super) fn eth(kind: u16, payload: &[u8]) -> Bytes {
    join(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), payload])
}

/// A VLAN tag with what was the `EtherType`; goes behind an outer `EtherType`.
pub(super) fn tag(number: u16, kind: u16, payload: &[u8]) -> Bytes {
    join(&[&number.to_be_bytes(), &kind.to_be_bytes(), payload])
}

/// An IP packet of either version, by the kind of its addresses.
pub(super) fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Bytes {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ipv4((from.octets(), to.octets()), protocol, (7, 0x4000), payload)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            join(&[
                &[0x60, 0, 0, 0],
                &length,
                &[protocol, 64],
                &from.octets(),
                &to.octets(),
                payload,
            ])
        }
        _ => panic!("one version"),
    }
}

/// An IPv4 packet with its identification and its flags and fragment offset.
pub(super) fn ipv4(
    (from, to): ([u8; 4], [u8; 4]),
    protocol: u8,
    (id, fragment): (u16, u16),
    payload: &[u8],
) -> Bytes {
    let total = u16::try_from(payload.len() + 20).unwrap().to_be_bytes();
    let head =
        [&[0x45, 0], &total[..], &id.to_be_bytes(), &fragment.to_be_bytes(), &[64, protocol, 0, 0]];
    join(&[&join(&head), &from, &to, payload])
}

/// The `EtherType` of an address.
pub(super) fn kind(address: SocketAddr) -> u16 {
    if address.is_ipv4() { 0x0800 } else { 0x86dd }
}

pub(super) fn udp(from: u16, to: u16, payload: &[u8]) -> Bytes {
    let length = u16::try_from(payload.len() + 8).unwrap().to_be_bytes();
    join(&[&from.to_be_bytes(), &to.to_be_bytes(), &length, &[0, 0], payload])
}

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

pub(super) fn tcp(
    (from, to): (u16, u16),
    (sequence, acknowledged): (u32, u32),
    flags: u8,
    payload: &[u8],
) -> Bytes {
    join(&[
        &from.to_be_bytes(),
        &to.to_be_bytes(),
        &sequence.to_be_bytes(),
        &acknowledged.to_be_bytes(),
        &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0],
        payload,
    ])
}

pub(super) fn join(parts: &[&[u8]]) -> Bytes {
    parts.concat()
}

/// One TCP connection, written packet by packet as Ethernet frames. Sequence numbers begin just below 2^32.
pub(super) struct Wire {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    next: [u32; 2],
    pub(super) frames: Vec<Bytes>,
}

impl Wire {
    pub(super) fn new(client: &str, server: &str) -> Self {
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        Self { client, server, next: [u32::MAX - 20, u32::MAX - 5], frames: Vec::new() }
    }

    /// The three packets that open it.
    pub(super) fn open(mut self) -> Self {
        self.frame(0, SYN, 0, b"");
        self.next[0] = self.next[0].wrapping_add(1);
        self.frame(1, SYN | ACK, 0, b"");
        self.next[1] = self.next[1].wrapping_add(1);
        self.frame(0, ACK, 0, b"");
        self
    }

    /// The client says something.
    pub(super) fn ask(mut self, bytes: &[u8]) -> Self {
        self.send(0, bytes);
        self
    }

    /// The server says something.
    pub(super) fn tell(mut self, bytes: &[u8]) -> Self {
        self.send(1, bytes);
        self
    }

    /// Both ends say that they are done.
    pub(super) fn close(mut self) -> Self {
        for end in [0, 1] {
            self.frame(end, FIN | ACK, 0, b"");
            self.next[end] = self.next[end].wrapping_add(1);
        }
        self.frame(0, ACK, 0, b"");
        self
    }

    /// Adds the frame of a segment `behind` bytes after what was sent so far, and counts nothing.
    pub(super) fn frame(&mut self, end: usize, flags: u8, behind: u32, payload: &[u8]) {
        let (from, to) =
            if end == 0 { (self.client, self.server) } else { (self.server, self.client) };
        let numbers = (self.next[end].wrapping_add(behind), self.next[1 - end]);
        let segment = tcp((from.port(), to.port()), numbers, flags, payload);
        self.frames.push(eth(kind(from), &ip(from.ip(), to.ip(), 6, &segment)));
    }

    /// Moves on as if so many bytes had been sent.
    pub(super) fn move_on(&mut self, end: usize, count: u32) {
        self.next[end] = self.next[end].wrapping_add(count);
    }

    fn send(&mut self, end: usize, bytes: &[u8]) {
        self.frame(end, ACK, 0, bytes);
        self.move_on(end, u32::try_from(bytes.len()).unwrap());
    }
}
