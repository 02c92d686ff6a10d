//! How much of the input could be judged: the count without which "clean" means nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::flow::Timestamp;

/// What was read, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// One for each input, in the order in which they were read.
    pub files: Vec<FileCoverage>,
    /// Connections handed to the sink.
    pub connections: u64,
    /// Of them, those handed on early because the table was full.
    pub cut_short: u64,
    /// Holes in TCP streams: bytes that went by and were not captured.
    pub gaps: u64,
    /// The bytes of these holes.
    pub gap_bytes: u64,
    /// Bytes of streams that were counted but not looked into, because a buffer was full.
    pub skipped_bytes: u64,
}

/// What was read of one input. `packets = judged + outside + unjudged`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCoverage {
    /// Its name, as the caller gave it.
    pub file: Arc<str>,
    /// Packet records read.
    pub packets: u64,
    /// Packets that belong to a connection.
    pub judged: u64,
    /// Of the judged, those captured only in part, enough for addresses and ports but not the whole payload.
    pub shortened: u64,
    /// Packets that the law does not speak of, by protocol (`arp`, `lldp` …).
    pub outside: BTreeMap<&'static str, u64>,
    /// Packets that could not be judged, by reason.
    pub unjudged: BTreeMap<Reason, u64>,
    /// Packets that the capturing program says it lost (pcapng interface statistics); `None` where it says nothing.
    pub drops: Option<u64>,
    /// Times at which the clock of the file went backward by more than a second.
    pub clock_steps: u64,
    /// Bytes at the end that are no whole record, or that follow a fault.
    pub tail_bytes: u64,
    /// Why reading ended before the end of the input.
    pub fault: Option<FileFault>,
    /// Time of the first packet.
    pub first: Option<Timestamp>,
    /// Time of the last packet.
    pub last: Option<Timestamp>,
}

/// Why a packet could not be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A length in it contradicts another, or the packet ends inside a header.
    BadLength,
    /// The capture kept too little of it to see the addresses and ports.
    Snaplen,
    /// The capture's link type is not known here.
    UnknownLink,
    /// A protocol that may carry traffic and is not known here.
    UnknownProtocol,
    /// A header has a value that it cannot have.
    Malformed,
    /// It is encrypted below IP (`MACsec`, WLAN).
    Encrypted,
    /// It is part of an IP datagram of which the first fragment never came.
    Fragment,
    /// A bound was reached: layers, or fragments held.
    Bound,
}

/// Why the reading of a file ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFault {
    /// It begins like no capture.
    Unrecognised,
    /// It has no bytes.
    Empty,
    /// A record or block header makes no sense; what follows cannot be found.
    Damaged,
    /// It ends inside a record.
    Truncated,
    /// The compressed data is damaged or ends early.
    Compression,
    /// A record, the number of interfaces, or the expanded size goes over its bound.
    Bound,
    /// The system could not read on.
    Io(std::io::ErrorKind),
}

impl Coverage {
    /// Packet records read.
    pub fn packets(&self) -> u64 {
        self.files.iter().map(|file| file.packets).sum()
    }

    /// Packets that belong to a connection.
    pub fn judged(&self) -> u64 {
        self.files.iter().map(|file| file.judged).sum()
    }

    /// Packets that could not be judged.
    pub fn unjudged(&self) -> u64 {
        self.files.iter().map(FileCoverage::unjudged).sum()
    }

    /// Whether everything that passed was seen and judged: nothing unjudged, shortened, lost, missing or cut off.
    pub fn is_complete(&self) -> bool {
        self.files.iter().all(FileCoverage::is_complete)
            && self.gaps == 0
            && self.cut_short == 0
            && self.skipped_bytes == 0
    }
}

impl FileCoverage {
    /// Of an input of which nothing was read yet.
    pub(super) fn new(file: Arc<str>) -> Self {
        Self {
            file,
            packets: 0,
            judged: 0,
            shortened: 0,
            outside: BTreeMap::new(),
            unjudged: BTreeMap::new(),
            drops: None,
            clock_steps: 0,
            tail_bytes: 0,
            fault: None,
            first: None,
            last: None,
        }
    }

    /// Packets that could not be judged.
    pub fn unjudged(&self) -> u64 {
        self.unjudged.values().sum()
    }

    /// Packets that the law does not speak of.
    pub fn outside(&self) -> u64 {
        self.outside.values().sum()
    }

    /// Whether this file was read to its end and every packet of it judged or outside the law.
    pub fn is_complete(&self) -> bool {
        self.unjudged() == 0
            && self.shortened == 0
            && self.tail_bytes == 0
            && self.drops.unwrap_or(0) == 0
            && self.fault.is_none()
    }
}

impl Reason {
    /// Its stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadLength => "bad_length",
            Self::Snaplen => "snaplen",
            Self::UnknownLink => "unknown_link",
            Self::UnknownProtocol => "unknown_protocol",
            Self::Malformed => "malformed",
            Self::Encrypted => "encrypted",
            Self::Fragment => "fragment",
            Self::Bound => "bound",
        }
    }
}

impl FileFault {
    /// Its stable code.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unrecognised => "unrecognised",
            Self::Empty => "empty",
            Self::Damaged => "damaged",
            Self::Truncated => "truncated",
            Self::Compression => "compression",
            Self::Bound => "bound",
            Self::Io(_) => "io",
        }
    }
}
