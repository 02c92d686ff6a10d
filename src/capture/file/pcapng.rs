//! The block format (draft-ietf-opsawg-pcapng): sections, interfaces, packets, statistics.

use pcap_parser::{
    InterfaceDescriptionBlock, InterfaceStatisticsBlock, OptionCode, PcapNGOption,
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_interfacestatisticsblock_be, parse_interfacestatisticsblock_le, parse_sectionheaderblock,
};

use crate::flow::Timestamp;

use super::record::{Front, Place};
use super::window::Window;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET_OBSOLETE: u32 = 2;
const PACKET_SIMPLE: u32 = 3;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

/// What the blocks read so far say.
pub(super) struct PcapNg {
    big: bool,
    interfaces: Vec<Interface>,
    interfaces_max: usize,
    packet_max: usize,
    last: Timestamp,
    /// Lost packets of earlier sections.
    drops_before: u64,
    drops_told: bool,
}

struct Interface {
    link: u16,
    snaplen: u32,
    unit: Unit,
    /// Seconds to add to every time.
    offset: i64,
    drops: u64,
}

/// How a time is counted.
#[derive(Clone, Copy)]
enum Unit {
    /// So many nanoseconds each.
    Nanos(u64),
    /// So many in a second, a number that does not divide a thousand million.
    Second(u64),
}

impl PcapNg {
    /// Whether the input begins with a section.
    pub(super) fn open(
        window: &mut Window,
        packet_max: usize,
        interfaces_max: usize,
    ) -> Option<Self> {
        window.ensure(28);
        window.rest().starts_with(&SECTION.to_be_bytes()).then(|| Self {
            big: false,
            interfaces: Vec::new(),
            interfaces_max,
            packet_max,
            last: Timestamp::from_nanos(0),
            drops_before: 0,
            drops_told: false,
        })
    }

    /// Packets that the capturing program says it lost; `None` where it says nothing.
    pub(super) fn drops(&self) -> Option<u64> {
        let open: u64 = self.interfaces.iter().map(|each| each.drops).sum();
        self.drops_told.then(|| self.drops_before.saturating_add(open))
    }

    /// Looks at the next block. One without a packet is taken in and consumed.
    pub(super) fn front(&mut self, window: &mut Window) -> Front {
        if !window.ensure(12) {
            return if window.rest().is_empty() { Front::End } else { Front::Short };
        }
        let head = window.rest();
        if word(head, 0, false) == SECTION {
            self.big = word(head, 8, true) == 0x1a2b_3c4d;
        }
        let (kind, length) = (word(head, 0, self.big), word(head, 4, self.big) as usize);
        if length < 12 || !length.is_multiple_of(4) || length > self.packet_max {
            return Front::Damaged;
        }
        if !window.ensure(length) {
            return Front::Short;
        }
        let block = window.slice(0, length);
        if word(block, length - 4, self.big) as usize != length {
            return Front::Damaged;
        }
        let front = self.block(kind, block);
        if matches!(front, Front::Other) {
            window.consume(length);
        }
        front
    }

    fn block(&mut self, kind: u32, block: &[u8]) -> Front {
        match kind {
            PACKET => self.packet(block, word(block, 8, self.big) as usize),
            PACKET_OBSOLETE => self.obsolete_packet(block),
            PACKET_SIMPLE => self.simple_packet(block),
            SECTION => self.section(block),
            INTERFACE => self.interface(block),
            STATISTICS => self.statistics(block),
            _ => Front::Other,
        }
    }

    fn section(&mut self, block: &[u8]) -> Front {
        if parse_sectionheaderblock(block).is_err() {
            return Front::Damaged;
        }
        self.drops_before = self.drops().unwrap_or(self.drops_before);
        self.interfaces.clear();
        Front::Other
    }

    fn interface(&mut self, block: &[u8]) -> Front {
        if self.interfaces.len() >= self.interfaces_max {
            return Front::Bound;
        }
        let parse = if self.big {
            parse_interfacedescriptionblock_be
        } else {
            parse_interfacedescriptionblock_le
        };
        let Ok((_, described)) = parse(block) else { return Front::Damaged };
        self.interfaces.push(self.described(&described));
        Front::Other
    }

    fn described(&self, block: &InterfaceDescriptionBlock<'_>) -> Interface {
        let resolution = option(&block.options, OptionCode::IfTsresol);
        let offset = option(&block.options, OptionCode::IfTsoffset);
        Interface {
            link: u16::try_from(block.linktype.0).unwrap_or(u16::MAX),
            snaplen: block.snaplen,
            unit: resolution
                .and_then(<[u8]>::first)
                .map_or(Unit::Nanos(1000), |code| Unit::new(*code)),
            offset: offset.map_or(0, |value| number(value, self.big).cast_signed()),
            drops: 0,
        }
    }

    /// The counters run on through a section, so the newest statistics of an interface replace the older.
    fn statistics(&mut self, block: &[u8]) -> Front {
        let parse = if self.big {
            parse_interfacestatisticsblock_be
        } else {
            parse_interfacestatisticsblock_le
        };
        let Ok((_, told)) = parse(block) else { return Front::Damaged };
        if let (Some(drops), Some(interface)) =
            (lost(&told, self.big), self.interfaces.get_mut(told.if_id as usize))
        {
            interface.drops = interface.drops.max(drops);
            self.drops_told = true;
        }
        Front::Other
    }

    /// An enhanced packet block. Read here and not by the parser: it would build a list of options for each packet.
    fn packet(&mut self, block: &[u8], interface: usize) -> Front {
        let [high, low, kept, original] = [12, 16, 20, 24].map(|at| word(block, at, self.big));
        if kept as usize > block.len().saturating_sub(32) {
            return Front::Damaged;
        }
        let described = self.interfaces.get(interface);
        let ticks = (u64::from(high) << 32) | u64::from(low);
        self.last = described.map_or(self.last, |each| each.moment(ticks));
        Front::Packet(Place {
            at: self.last,
            link: described.map(|each| each.link),
            original: u64::from(original),
            offset: 28,
            kept: kept as usize,
            length: block.len(),
        })
    }

    /// A packet block of old files; its interface is half a word, the other half counts losses.
    fn obsolete_packet(&mut self, block: &[u8]) -> Front {
        let mixed = word(block, 8, self.big);
        let interface = if self.big { mixed >> 16 } else { mixed & 0xffff };
        let lost = if self.big { mixed & 0xffff } else { mixed >> 16 };
        if lost != 0xffff {
            self.drops_before = self.drops_before.saturating_add(u64::from(lost));
            self.drops_told = true;
        }
        self.packet(block, interface as usize)
    }

    /// A simple packet block: the first interface, and no time, so that of the packet before it.
    fn simple_packet(&self, block: &[u8]) -> Front {
        let original = word(block, 8, self.big);
        let interface = self.interfaces.first();
        let snaplen = interface.map_or(0, |each| each.snaplen);
        let limit = if snaplen == 0 { u32::MAX } else { snaplen };
        let kept = (original.min(limit) as usize).min(block.len().saturating_sub(16));
        Front::Packet(Place {
            at: self.last,
            link: interface.map(|each| each.link),
            original: u64::from(original),
            offset: 12,
            kept,
            length: block.len(),
        })
    }
}

impl Unit {
    /// From `if_tsresol`: a power of ten, or of two where the upper bit is set.
    fn new(code: u8) -> Self {
        let count = if code & 0x80 == 0 {
            10_u64.checked_pow(u32::from(code))
        } else {
            1_u64.checked_shl(u32::from(code & 0x7f))
        };
        match count {
            Some(count @ 1..) if 1_000_000_000 % count == 0 => Self::Nanos(1_000_000_000 / count),
            Some(count @ 1..) => Self::Second(count),
            Some(0) | None => Self::Second(u64::MAX),
        }
    }
}

impl Interface {
    fn moment(&self, ticks: u64) -> Timestamp {
        let nanos = match self.unit {
            Unit::Nanos(each) => i128::from(ticks) * i128::from(each),
            Unit::Second(count) => i128::from(ticks) * 1_000_000_000 / i128::from(count),
        };
        let total = nanos + i128::from(self.offset) * 1_000_000_000;
        let bounded = total.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_nanos(i64::try_from(bounded).unwrap_or(i64::MAX))
    }
}

/// `isb_ifdrop` and `isb_osdrop` together. Read here: the parser's own getters know one byte order only.
fn lost(block: &InterfaceStatisticsBlock<'_>, big: bool) -> Option<u64> {
    let interface = option(&block.options, OptionCode::IsbIfDrop).map(|value| number(value, big));
    let system = option(&block.options, OptionCode::IsbOsDrop).map(|value| number(value, big));
    match (interface, system) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    }
}

fn option<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    options.iter().find(|option| option.code == code).map(PcapNGOption::value)
}

/// The eight bytes of an option's value; 0 where there are fewer.
fn number(value: &[u8], big: bool) -> u64 {
    let bytes = value.first_chunk().copied().unwrap_or_default();
    if big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
}

/// The four bytes at `at`; 0 where there are fewer.
fn word(bytes: &[u8], at: usize, big: bool) -> u32 {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}
