//! What is kept of a connection while it is open: as few bytes as possible, since there may be millions.

use super::decode::{Address, Datagram, Stamp};
use super::{Application, Protocol, State};
use crate::flow::Timestamp;

/// One of the two ends of a connection: 0 is the one whose address and port are lower.
pub(super) type End = usize;

/// The two sockets of a connection and its protocol, the same for both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) addresses: [Address; 2],
    pub(super) ports: [u16; 2],
    pub(super) protocol: u8,
}

impl Key {
    /// Of a datagram, with the end that sent it.
    #[inline]
    pub(super) fn new(datagram: &Datagram<'_>) -> (Self, End) {
        let [from, to] = datagram.ports;
        let (source, destination) = (datagram.source, datagram.destination);
        let protocol = datagram.protocol;
        if (source, from) <= (destination, to) {
            (Self { addresses: [source, destination], ports: [from, to], protocol }, 0)
        } else {
            (Self { addresses: [destination, source], ports: [to, from], protocol }, 1)
        }
    }

    /// Seeded, so that nobody can make a capture in which all connections collide.
    #[inline]
    pub(super) fn hash(&self, [one, other]: [u64; 2]) -> u64 {
        let [(low_upper, low), (high_upper, high)] = self.addresses.map(halves);
        let ports = (u64::from(self.ports[0]) << 32) | u64::from(self.ports[1]) << 16;
        let addresses = fold(low ^ one, high ^ other) ^ fold(low_upper ^ other, high_upper ^ one);
        fold(addresses ^ one, ports ^ u64::from(self.protocol) ^ other)
    }
}

fn halves(address: Address) -> (u64, u64) {
    let whole = u128::from_be_bytes(address);
    let upper = u64::try_from(whole >> 64).unwrap_or(0);
    (upper, u64::try_from(whole & u128::from(u64::MAX)).unwrap_or(0))
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let upper = u64::try_from(product >> 64).unwrap_or(0);
    upper ^ u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0)
}

/// What was seen, one bit each; those of an [`End`] are shifted by it.
pub(super) mod seen {
    /// It sent something.
    pub(in crate::capture) const PACKET: u32 = 1;
    /// SYN without ACK.
    pub(in crate::capture) const SYN: u32 = 1 << 2;
    /// SYN with ACK.
    pub(in crate::capture) const SYN_ACK: u32 = 1 << 4;
    pub(in crate::capture) const FIN: u32 = 1 << 6;
    pub(in crate::capture) const RST: u32 = 1 << 8;
    /// Its sequence numbers are known.
    pub(in crate::capture) const STARTED: u32 = 1 << 10;
    /// Its first packet was not that of the connection's beginning.
    pub(in crate::capture) const MIDDLE: u32 = 1 << 12;
    /// Its bytes need not be looked at any more.
    pub(in crate::capture) const DONE: u32 = 1 << 14;
    /// It sent the first packet.
    pub(in crate::capture) const FIRST: u32 = 1 << 16;
    /// It spoke as a client.
    pub(in crate::capture) const CLIENT: u32 = 1 << 18;
    /// The payload is packets (of neither end).
    pub(in crate::capture) const CARRIER: u32 = 1 << 20;
    /// The entry holds no connection.
    pub(in crate::capture) const VACANT: u32 = 1 << 21;
}

/// No side table entry.
pub(super) const NONE: u32 = u32::MAX;

/// One connection, packed. A test holds its size.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) spoken: Spoken,
    pub(super) number: u64,
    pub(super) first_packet: u64,
    pub(super) at: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) packets: u64,
    /// Payload bytes sent by each end.
    pub(super) bytes: [u64; 2],
    /// The sequence number behind the last byte seen of each end; of QUIC, the version stands in the first.
    pub(super) next: [u32; 2],
    pub(super) file: u32,
    /// Which layers, in the list of layers.
    pub(super) layers: u32,
    /// Which streams, in the table of streams, or [`NONE`].
    pub(super) talk: u32,
    pub(super) seen: u32,
}

/// [`Application`] in one byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Spoken {
    #[default]
    Silent,
    Tls,
    Upgraded,
    Http,
    Quic,
    Other,
    Unknown,
}

impl Entry {
    /// A place without a connection.
    pub(super) fn vacant() -> Self {
        Self {
            key: Key::default(),
            spoken: Spoken::Silent,
            number: 0,
            first_packet: 0,
            at: Timestamp::from_nanos(0),
            ended: Timestamp::from_nanos(0),
            packets: 0,
            bytes: [0, 0],
            next: [0, 0],
            file: 0,
            layers: 0,
            talk: NONE,
            seen: seen::VACANT,
        }
    }

    /// A connection of which this is the first packet.
    pub(super) fn new(key: Key, number: u64, from: End, stamp: Stamp, layers: u32) -> Self {
        Self {
            key,
            number,
            first_packet: stamp.number,
            at: stamp.at,
            ended: stamp.at,
            file: stamp.file,
            layers,
            seen: seen::FIRST << from,
            ..Self::vacant()
        }
    }

    /// Whether an end did something.
    #[inline]
    pub(super) const fn has(&self, what: u32, end: End) -> bool {
        self.seen & (what << end) != 0
    }

    #[inline]
    pub(super) const fn mark(&mut self, what: u32, end: End) {
        self.seen |= what << end;
    }

    /// Whether either end did something.
    pub(super) const fn any(&self, what: u32) -> bool {
        self.seen & (what | what << 1) != 0
    }

    /// Whether both ends did something.
    pub(super) const fn both(&self, what: u32) -> bool {
        let mask = what | what << 1;
        self.seen & mask == mask
    }

    pub(super) const fn is_vacant(&self) -> bool {
        self.seen & seen::VACANT != 0
    }

    pub(super) const fn is_tcp(&self) -> bool {
        self.key.protocol == 6
    }

    pub(super) const fn protocol(&self) -> Protocol {
        match self.key.protocol {
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            1 | 58 => Protocol::Icmp,
            50 => Protocol::Esp,
            other => Protocol::Other(other),
        }
    }

    /// How far it got.
    pub(super) fn state(&self) -> State {
        let asked = usize::from(!self.has(seen::SYN, 0));
        let [low, high] = self.bytes;
        let (sent, answered) = if asked == 0 { (low, high) } else { (high, low) };
        let opened = self.any(seen::SYN) && !self.any(seen::SYN_ACK);
        if !self.is_tcp() {
            State::Datagrams
        } else if opened && self.has(seen::RST, 1 - asked) && answered == 0 {
            State::Refused
        } else if opened && !self.has(seen::PACKET, 1 - asked) && sent == 0 {
            State::Attempted
        } else if self.any(seen::RST) {
            State::Reset
        } else if self.both(seen::FIN) {
            State::Closed
        } else {
            State::Established
        }
    }

    /// Whether nothing more belongs to it: it ended a while ago, or it never had an end and was silent for long.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let silent = now.as_nanos().saturating_sub(self.ended.as_nanos());
        silent
            > match self.state() {
                State::Closed | State::Reset | State::Refused => 30 * SECOND,
                State::Datagrams => 60 * SECOND,
                State::Attempted => 120 * SECOND,
                State::Established => i64::MAX,
            }
    }

    /// Whether it was silent long enough for its ports to be taken anew.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        now.as_nanos().saturating_sub(self.ended.as_nanos()) > 5 * SECOND
    }

    /// Who opened it, and whether that is only likely.
    pub(super) fn initiator(&self) -> (End, bool) {
        if self.is_tcp() {
            return self.tcp_initiator();
        }
        let first = end_of(self.seen, seen::FIRST).unwrap_or(0);
        let likely = match self.protocol() {
            Protocol::Icmp => self.asker(),
            _ if self.any(seen::CLIENT) => end_of(self.seen, seen::CLIENT),
            Protocol::Udp | Protocol::Tcp | Protocol::Other(33 | 132 | 136) => self.by_port(),
            Protocol::Esp | Protocol::Other(_) => return (first, true),
        };
        // Nobody speaks from a group's address: what is sent to one was begun by its sender, whatever the ports.
        let initiator = likely.filter(|end| !self.is_group(*end)).unwrap_or(first);
        (initiator, initiator != first)
    }

    fn tcp_initiator(&self) -> (End, bool) {
        if let Some(opener) = end_of(self.seen, seen::SYN) {
            return (opener, false);
        }
        let answered = end_of(self.seen, seen::SYN_ACK).map(|end| 1 - end);
        let likely = answered
            .or_else(|| end_of(self.seen, seen::CLIENT))
            .or_else(|| self.by_port())
            .or_else(|| end_of(self.seen, seen::FIRST));
        (likely.unwrap_or(0), true)
    }

    /// Whether an end's address is that of a group: multicast of either version, or the broadcast.
    fn is_group(&self, end: End) -> bool {
        match self.key.addresses.get(end) {
            Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, first, ..]) => *first >= 224,
            Some([0xff, ..]) => true,
            Some(_) | None => false,
        }
    }

    /// The end whose port looks less like a service's, if the two can be told apart.
    fn by_port(&self) -> Option<End> {
        let [low, high] = self.key.ports.map(rank);
        (low != high).then(|| usize::from(high < low))
    }

    /// The end that asks, of an ICMP question and answer.
    const fn asker(&self) -> Option<End> {
        match self.key.ports {
            [8, 0] | [13, 14] | [15, 16] | [17, 18] | [128, 129] => Some(0),
            [0, 8] | [14, 13] | [16, 15] | [18, 17] | [129, 128] => Some(1),
            _ => None,
        }
    }

    pub(super) const fn application(&self) -> Application {
        match self.spoken {
            Spoken::Silent => Application::Silent,
            Spoken::Tls => Application::Tls,
            Spoken::Upgraded => Application::Upgraded,
            Spoken::Http => Application::Http,
            Spoken::Quic => Application::Quic(self.next[0]),
            Spoken::Other => Application::Other,
            Spoken::Unknown => Application::Unknown,
        }
    }
}

/// How much a port looks like a service's: by its range (RFC 6335 §6), and by the tunnels that are known here. The
/// server of DHCP answers from 67; 0 is nobody's.
const fn rank(port: u16) -> u8 {
    match port {
        0 => 0,
        67 => 5,
        1..=1023 => 4,
        2152 | 3544 | 4754 | 4789 | 4790 | 5072 | 6081 | 6635 => 3,
        1024..=49_151 => 2,
        49_152.. => 1,
    }
}

const SECOND: i64 = 1_000_000_000;

/// The only end that did something, or the first where both did.
const fn end_of(all: u32, what: u32) -> Option<End> {
    if all & what != 0 {
        Some(0)
    } else if all & (what << 1) != 0 {
        Some(1)
    } else {
        None
    }
}

/// Every open connection, in chunks, so that growing copies nothing.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Box<[Entry]>>,
    free: Vec<u32>,
    used: u32,
}

/// Entries of one chunk: a power of two.
const CHUNK: u32 = 4096;

impl Slab {
    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&Entry> {
        self.chunks.get((place / CHUNK) as usize)?.get((place % CHUNK) as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.chunks.get_mut((place / CHUNK) as usize)?.get_mut((place % CHUNK) as usize)
    }

    /// How many places were ever used.
    pub(super) const fn used(&self) -> u32 {
        self.used
    }

    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| self.fresh());
        if let Some(slot) = self.get_mut(place) {
            *slot = entry;
        }
        place
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<Entry> {
        let slot = self.get_mut(place).filter(|entry| !entry.is_vacant())?;
        let entry = std::mem::replace(slot, Entry::vacant());
        self.free.push(place);
        Some(entry)
    }

    fn fresh(&mut self) -> u32 {
        let place = self.used;
        if (place / CHUNK) as usize == self.chunks.len() {
            self.chunks.push(vec![Entry::vacant(); CHUNK as usize].into_boxed_slice());
        }
        self.used += 1;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::Entry;

    #[test]
    fn a_million_connections_take_less_than_130_megabytes() {
        assert!(size_of::<Entry>() <= 120, "{}", size_of::<Entry>());
    }
}
