//! Decoding: from the bytes of one packet to the datagrams in it, the outer ones of tunnels and the inner ones.
//!
//! Each protocol is one function from bytes to what comes next. Nothing here remembers a connection; only
//! fragments wait, in a bounded table. Checksums are not looked at: captures on the sender have them unfilled.

mod fragment;
mod layer;
mod link;
mod network;
mod shim;
mod transport;
mod tunnel;
mod wireless;

pub(super) use fragment::Fragments;
pub(super) use layer::{Layer, Stack};

use super::{Bounds, Reason};
use crate::flow::Timestamp;

/// An IPv6 address, or an IPv4 one in its mapped form (RFC 4291 §2.5.5.2).
pub(super) type Address = [u8; 16];

/// Where and when a packet was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) at: Timestamp,
    /// Number in its file, from 1.
    pub(super) number: u64,
    /// Which input.
    pub(super) file: u32,
}

/// One message between two sockets, as carried in one IP packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub(super) source: Address,
    pub(super) destination: Address,
    /// The assigned number of the protocol above IP.
    pub(super) protocol: u8,
    /// Of source and destination; of ICMP the types that ask and answer.
    pub(super) ports: [u16; 2],
    /// What was kept of the payload.
    pub(super) payload: &'a [u8],
    /// Bytes of payload that went by.
    pub(super) length: u32,
    pub(super) segment: Option<Segment>,
    /// Whether the payload is itself packets.
    pub(super) carrier: bool,
}

/// The fields of a TCP header that matter (RFC 9293 §3.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
}

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It belongs to a connection.
    Judged,
    /// Likewise, but part of its payload was not captured.
    Shortened,
    /// The law does not speak of this protocol.
    Outside(&'static str),
    /// It could not be judged.
    Unjudged(Reason),
    /// It is a fragment that waits for others; told again when they came or were given up.
    Held,
}

/// Who is told what the decoder finds.
pub(super) trait Receive {
    /// One datagram with the layers around it.
    fn datagram(&mut self, datagram: &Datagram<'_>, stack: &Stack, stamp: Stamp);

    /// What became of one packet of this input.
    fn outcome(&mut self, file: u32, outcome: Outcome);
}

/// What the bytes at hand are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ethernet,
    /// Behind an `EtherType` (IEEE 802.3).
    Type(u16),
    /// IEEE 802.2.
    Llc,
    Sll,
    Sll2,
    Null,
    Ppp,
    Radiotap,
    Wlan,
    Mpls,
    /// IPv4 or IPv6, by the version field.
    Ip,
    /// Behind the IP header kept in the decoder.
    Transport,
    Gre,
}

/// What comes next, or else what became of the packet.
type Next<'a> = Result<(Kind, &'a [u8]), Outcome>;

/// The IP header around the transport at hand.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    source: Address,
    destination: Address,
    protocol: u8,
    /// Bytes behind the header as the header says.
    length: u32,
}

/// Takes packets apart.
pub(super) struct Decoder {
    fragments: Fragments,
    stack: Stack,
    around: Around,
    stamp: Stamp,
    /// Whether the capture kept less than went by.
    cut: bool,
    /// Whether payload of a datagram is missing.
    shortened: bool,
}

impl Decoder {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            fragments: Fragments::new(bounds),
            stack: Stack::new(bounds.layers),
            around: Around::default(),
            stamp: Stamp { at: Timestamp::from_nanos(0), number: 0, file: 0 },
            cut: false,
            shortened: false,
        }
    }

    /// Takes one packet apart and tells what became of it.
    pub(super) fn packet(
        &mut self,
        stamp: Stamp,
        (link, cut): (Option<u16>, bool),
        bytes: &[u8],
        out: &mut dyn Receive,
    ) {
        self.stamp = stamp;
        self.cut = cut;
        self.shortened = false;
        self.stack.clear();
        let outcome = match link.and_then(link::first) {
            Some(kind) => self.run(kind, bytes, out),
            None => Outcome::Unjudged(Reason::UnknownLink),
        };
        out.outcome(stamp.file, outcome);
    }

    /// Gives up every datagram that still waits for fragments.
    pub(super) fn finish(&mut self, out: &mut dyn Receive) {
        while let Some(partial) = self.fragments.oldest() {
            self.give_up(partial, out);
        }
    }

    fn run(&mut self, mut kind: Kind, mut bytes: &[u8], out: &mut dyn Receive) -> Outcome {
        loop {
            match self.step(kind, bytes, out) {
                Ok(next) => (kind, bytes) = next,
                Err(Outcome::Unjudged(Reason::BadLength)) if self.cut => {
                    return Outcome::Unjudged(Reason::Snaplen);
                }
                Err(Outcome::Judged) if self.shortened => return Outcome::Shortened,
                Err(outcome) => return outcome,
            }
        }
    }

    #[inline]
    fn step<'a>(&mut self, kind: Kind, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        match kind {
            Kind::Ethernet => self.ethernet(bytes),
            Kind::Type(number) => self.behind_type(number, bytes),
            Kind::Ip => self.ip(bytes, out),
            Kind::Transport => self.transport(bytes, out),
            Kind::Llc => link::llc(bytes),
            Kind::Sll => self.sll(bytes),
            Kind::Sll2 => self.sll2(bytes),
            Kind::Null => self.null(bytes),
            Kind::Ppp => self.ppp(bytes),
            Kind::Radiotap => self.radiotap(bytes),
            Kind::Wlan => self.wlan(bytes, out),
            Kind::Mpls => self.mpls(bytes),
            Kind::Gre => self.gre(bytes),
        }
    }

    fn push(&mut self, layer: Layer) -> Result<(), Outcome> {
        if self.stack.push(layer) { Ok(()) } else { Err(Outcome::Unjudged(Reason::Bound)) }
    }
}

/// Splits off a header of `N` bytes.
fn head<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Outcome> {
    bytes.split_first_chunk().ok_or(Outcome::Unjudged(Reason::BadLength))
}

/// What is left behind the first `count` bytes.
fn skip(bytes: &[u8], count: usize) -> Result<&[u8], Outcome> {
    bytes.get(count..).ok_or(Outcome::Unjudged(Reason::BadLength))
}

const fn malformed<T>() -> Result<T, Outcome> {
    Err(Outcome::Unjudged(Reason::Malformed))
}
