//! One file of packets, whichever its format, with the count of what could not be read of it.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::capture::{Bounds, FileCoverage, FileFault};
use crate::flow::Timestamp;

use super::expand::Opened;
use super::pcap::Pcap;
use super::pcapng::PcapNg;
use super::record::{Front, Place, Record};
use super::window::Window;

/// A second, in nanoseconds: smaller steps back are jitter between the queues of a network card.
const STEP: i64 = 1_000_000_000;

/// An open capture file, standing on a packet or at its end.
pub(in crate::capture) struct Recording {
    window: Window,
    format: Format,
    compressed: bool,
    front: Option<Place>,
    coverage: FileCoverage,
    newest: Timestamp,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
    /// Nothing can be read of it.
    Neither,
}

impl Recording {
    /// Looks at the beginning of an input, up to its first packet.
    pub(in crate::capture) fn open(name: &str, opened: Opened, bounds: &Bounds) -> Self {
        let mut window = Window::new(opened.bytes);
        let format = Format::find(&mut window, bounds);
        let mut recording = Self {
            window,
            format,
            compressed: opened.compressed,
            front: None,
            coverage: FileCoverage::new(Arc::from(name)),
            newest: Timestamp::from_nanos(i64::MIN),
        };
        recording.advance();
        recording
    }

    /// Time of the packet it stands on; `None` at its end.
    pub(in crate::capture) fn at(&self) -> Option<Timestamp> {
        self.front.map(|place| place.at)
    }

    /// The packet it stands on.
    pub(in crate::capture) fn record(&self) -> Option<Record<'_>> {
        self.front.map(|place| Record {
            at: place.at,
            link: place.link,
            cut: (place.kept as u64) < place.original,
            bytes: self.window.slice(place.offset, place.kept),
        })
    }

    /// Goes on to the next packet.
    pub(in crate::capture) fn advance(&mut self) {
        if let Some(place) = self.front.take() {
            self.window.consume(place.length);
        }
        loop {
            match self.format.front(&mut self.window) {
                Front::Packet(place) => return self.stand_on(place),
                Front::Other => {}
                Front::End => return self.end(None),
                Front::Short => return self.end(Some(FileFault::Truncated)),
                Front::Damaged => return self.end(Some(FileFault::Damaged)),
                Front::Bound => return self.end(Some(FileFault::Bound)),
            }
        }
    }

    /// The number of the packet it stands on, from 1.
    pub(in crate::capture) const fn number(&self) -> u64 {
        self.coverage.packets
    }

    /// What was read of it in all.
    pub(in crate::capture) fn into_coverage(self) -> FileCoverage {
        self.coverage
    }

    fn stand_on(&mut self, place: Place) {
        let coverage = &mut self.coverage;
        coverage.packets += 1;
        coverage.first = Some(coverage.first.unwrap_or(place.at));
        coverage.last = Some(place.at);
        if place.at.as_nanos() < self.newest.as_nanos().saturating_sub(STEP) {
            coverage.clock_steps += 1;
            self.newest = place.at;
        }
        self.newest = self.newest.max(place.at);
        self.front = Some(place);
    }

    #[cold]
    fn end(&mut self, fault: Option<FileFault>) {
        let failed = self.window.fault().map(|kind| self.failed(kind));
        self.coverage.tail_bytes += self.window.drain();
        self.coverage.drops = self.format.drops();
        self.coverage.fault = failed
            .or_else(|| self.window.fault().map(|kind| self.failed(kind)))
            .or_else(|| self.unreadable())
            .or(fault);
    }

    fn failed(&self, kind: ErrorKind) -> FileFault {
        if kind == ErrorKind::FileTooLarge {
            FileFault::Bound
        } else if self.compressed {
            FileFault::Compression
        } else {
            FileFault::Io(kind)
        }
    }

    fn unreadable(&self) -> Option<FileFault> {
        match (&self.format, self.coverage.tail_bytes) {
            (Format::Neither, 0) => Some(FileFault::Empty),
            (Format::Neither, _) => Some(FileFault::Unrecognised),
            (Format::Pcap(_) | Format::PcapNg(_), _) => None,
        }
    }
}

impl Format {
    fn find(window: &mut Window, bounds: &Bounds) -> Self {
        if let Some(blocks) = PcapNg::open(window, bounds.packet, bounds.interfaces) {
            return Self::PcapNg(blocks);
        }
        Pcap::open(window, bounds.packet).map_or(Self::Neither, Self::Pcap)
    }

    #[inline]
    fn front(&mut self, window: &mut Window) -> Front {
        match self {
            Self::Pcap(pcap) => pcap.front(window),
            Self::PcapNg(blocks) => blocks.front(window),
            Self::Neither => Front::End,
        }
    }

    fn drops(&self) -> Option<u64> {
        match self {
            Self::PcapNg(blocks) => blocks.drops(),
            Self::Pcap(_) | Self::Neither => None,
        }
    }
}
