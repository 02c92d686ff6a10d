//! The classic format: microseconds or nanoseconds, either byte order, and the variant of early Linux kernels.

use pcap_parser::nom::{Err, IResult, Needed};
use pcap_parser::pcap::{
    LegacyPcapBlock, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
};
use pcap_parser::{PcapError, PcapHeader, parse_pcap_header};

use crate::flow::Timestamp;

use super::record::{Front, Place};
use super::window::Window;

type Frame = for<'a> fn(&'a [u8]) -> IResult<&'a [u8], LegacyPcapBlock<'a>, PcapError<&'a [u8]>>;

/// What the head of the file says about every record.
pub(super) struct Pcap {
    frame: Frame,
    header: usize,
    /// Nanoseconds of one unit of the second timestamp field.
    unit: i64,
    link: u16,
    packet_max: usize,
}

impl Pcap {
    /// Reads the file's head; `None` where it is none.
    pub(super) fn open(window: &mut Window, packet_max: usize) -> Option<Self> {
        window.ensure(24);
        let (_, head) = parse_pcap_header(window.rest()).ok()?;
        window.consume(24);
        Some(Self::new(&head, packet_max))
    }

    fn new(head: &PcapHeader, packet_max: usize) -> Self {
        let (frame, header): (Frame, usize) = if head.is_modified_format() {
            (parse_pcap_frame_modified, 24)
        } else if head.is_bigendian() {
            (parse_pcap_frame_be, 16)
        } else {
            (parse_pcap_frame, 16)
        };
        // The upper half of the field says whether packets end with their checksum; IP lengths make that needless.
        let link = u16::try_from(head.network.0 & 0xffff).unwrap_or_default();
        let unit = if head.is_nanosecond_precision() { 1 } else { 1000 };
        Self { frame, header, unit, link, packet_max }
    }

    /// Looks at the next record.
    #[inline]
    pub(super) fn front(&self, window: &mut Window) -> Front {
        loop {
            match (self.frame)(window.rest()) {
                Ok((_, block)) => return Front::Packet(self.place(&block)),
                Err(Err::Incomplete(Needed::Size(missing))) => {
                    if let Some(end) = self.more(missing.get(), window) {
                        return end;
                    }
                }
                Err(Err::Incomplete(Needed::Unknown) | Err::Error(_) | Err::Failure(_)) => {
                    return Front::Damaged;
                }
            }
        }
    }

    /// Reads on until the missing bytes are there; else says why they cannot be.
    #[cold]
    fn more(&self, missing: usize, window: &mut Window) -> Option<Front> {
        let need = window.rest().len().saturating_add(missing);
        if need > self.packet_max {
            return Some(Front::Damaged);
        }
        let there = window.ensure(need);
        let front = if window.rest().is_empty() { Front::End } else { Front::Short };
        (!there).then_some(front)
    }

    fn place(&self, block: &LegacyPcapBlock<'_>) -> Place {
        let kept = block.data.len();
        let fraction = i64::from(block.ts_usec).saturating_mul(self.unit);
        let second = i64::from(block.ts_sec).saturating_mul(1_000_000_000);
        Place {
            at: Timestamp::from_nanos(second.saturating_add(fraction)),
            link: Some(self.link),
            original: u64::from(block.origlen),
            offset: self.header,
            kept,
            length: self.header + kept,
        }
    }
}
