//! Captures made by hand: Ethernet, IPv4, TCP and UDP in a pcap file, as many bytes as a test needs to say something.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

/// A capture that is being written, a packet a millisecond.
pub(crate) struct Recording {
    bytes: Vec<u8>,
    micros: u64,
}

/// Flags of TCP (RFC 9293 §3.1).
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Recording {
    /// One that begins at this second since the epoch.
    pub(crate) fn new(second: u64) -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        for half in [2_u16, 4, 0, 0, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(65_535_u32.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        Self { bytes, micros: second * 1_000_000 }
    }

    /// What was written, as a file.
    pub(crate) fn save(&self, path: &Path) {
        fs::write(path, &self.bytes).expect("the test's folder can be written");
    }

    /// The same, of which the last `cut` bytes were lost.
    pub(crate) fn save_without(&self, cut: usize, path: &Path) {
        let whole = self.bytes.len() - cut;
        fs::write(path, &self.bytes[..whole]).expect("the test's folder can be written");
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.micros += seconds * 1_000_000;
    }

    /// The moment of the next packet, as the ledger writes it, and as a number.
    pub(crate) fn now(&self) -> u64 {
        self.micros
    }

    /// A whole TCP connection: opened, `there` and `back` said, closed by both.
    pub(crate) fn conversation(&mut self, from: &str, to: &str, there: &[&[u8]], back: &[u8]) {
        let (mut client, mut server) = (1000_u32, 9000_u32);
        self.tcp((from, to), SYN, (client, 0), &[]);
        self.tcp((to, from), SYN | ACK, (server, client + 1), &[]);
        (client, server) = (client + 1, server + 1);
        self.tcp((from, to), ACK, (client, server), &[]);
        for part in there {
            self.tcp((from, to), PSH | ACK, (client, server), part);
            client += u32::try_from(part.len()).expect("a short part");
        }
        if !back.is_empty() {
            self.tcp((to, from), PSH | ACK, (server, client), back);
            server += u32::try_from(back.len()).expect("a short part");
        }
        self.tcp((from, to), FIN | ACK, (client, server), &[]);
        self.tcp((to, from), FIN | ACK, (server, client + 1), &[]);
        self.tcp((from, to), ACK, (client + 1, server + 1), &[]);
    }

    /// A SYN that is answered with RST.
    pub(crate) fn refused(&mut self, from: &str, to: &str) {
        self.tcp((from, to), SYN, (1000, 0), &[]);
        self.tcp((to, from), RST | ACK, (0, 1001), &[]);
    }

    /// A datagram.
    pub(crate) fn udp(&mut self, from: &str, to: &str, payload: &[u8]) {
        let (from, to) = (address(from), address(to));
        let length = u16::try_from(8 + payload.len()).expect("a short datagram");
        let mut datagram = Vec::new();
        for half in [from.port(), to.port(), length, 0] {
            datagram.extend(half.to_be_bytes());
        }
        datagram.extend(payload);
        self.ipv4(17, from, to, &datagram);
    }

    /// An ARP request.
    pub(crate) fn arp(&mut self) {
        let mut frame = [[0xff_u8; 6], [2, 0, 0, 0, 0, 1]].concat();
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([0; 20]);
        self.record(&frame);
    }

    fn tcp(&mut self, (from, to): (&str, &str), flags: u8, (seq, ack): (u32, u32), payload: &[u8]) {
        let (from, to) = (address(from), address(to));
        let mut segment = Vec::new();
        for port in [from.port(), to.port()] {
            segment.extend(port.to_be_bytes());
        }
        segment.extend(seq.to_be_bytes());
        segment.extend(ack.to_be_bytes());
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        self.ipv4(6, from, to, &segment);
    }

    fn ipv4(&mut self, protocol: u8, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let length = u16::try_from(20 + payload.len()).expect("a short packet");
        let mut frame = [[2_u8, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]].concat();
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend(from.ip().octets());
        frame.extend(to.ip().octets());
        frame.extend(payload);
        self.record(&frame);
    }

    fn record(&mut self, frame: &[u8]) {
        let number = |value: u64| u32::try_from(value).expect("a number of 32 bits").to_le_bytes();
        let length = number(frame.len() as u64);
        self.bytes.extend(number(self.micros / 1_000_000));
        self.bytes.extend(number(self.micros % 1_000_000));
        self.bytes.extend([length, length].concat());
        self.bytes.extend(frame);
        self.micros += 1000;
    }
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().expect("tests write addresses")
}

/// A `ClientHello` (RFC 8446 §4.1.2) in one TLS record, asking for `name` and offering these versions.
pub(crate) fn client_hello(name: &str, versions: &[u16]) -> Vec<u8> {
    let short = |bytes: &[u8]| [&[u8::try_from(bytes.len()).expect("short")], bytes].concat();
    let long =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &long(body)].concat();
    let offered: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
    let asked = long(&[&[0][..], &long(name.as_bytes())].concat());
    let extensions = [extension(0, &asked), extension(43, &short(&offered))].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([short(&[]), long(&[0x13, 0x01]), short(&[0]), long(&extensions)].concat());
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &long(&handshake)].concat()
}
