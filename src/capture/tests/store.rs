//! Writes capture files in both formats and every byte order, and reads them back through the way in.

use std::io::Write;

use crate::capture::{Bounds, Connection, Coverage, Input, Sink, read};

use super::packet::Bytes;

/// 2026-11-22T00:00:00Z in seconds.
pub(super) const START: u32 = 1_795_305_600;

/// A byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn four(self, number: u32) -> [u8; 4] {
        if self == Self::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn two(self, number: u16) -> [u8; 2] {
        if self == Self::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn eight(self, number: u64) -> [u8; 8] {
        if self == Self::Big { number.to_be_bytes() } else { number.to_le_bytes() }
    }
}

/// A classic file of frames a millisecond apart; `nanos` chooses the unit of time.
pub(super) fn pcap(order: Order, nanos: bool, link: u32, frames: &[Bytes]) -> Bytes {
    let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = order.four(magic).to_vec();
    file.extend([order.two(2), order.two(4)].concat());
    file.extend([0, 0, 0x0004_0000, link].map(|number| order.four(number)).concat());
    for (index, frame) in (0..).zip(frames) {
        record(
            &mut file,
            order,
            (START, index * if nanos { 1_000_000 } else { 1000 }),
            frame,
            frame.len(),
        );
    }
    file
}

/// Adds a record that says `original` bytes went by.
pub(super) fn record(
    file: &mut Bytes,
    order: Order,
    time: (u32, u32),
    frame: &[u8],
    original: usize,
) {
    let length = |count: usize| u32::try_from(count).unwrap();
    let head = [time.0, time.1, length(frame.len()), length(original)];
    file.extend(head.map(|number| order.four(number)).concat());
    file.extend(frame);
}

/// The usual file.
pub(super) fn plain(frames: &[Bytes]) -> Bytes {
    pcap(Order::Little, false, 1, frames)
}

/// A block of the other format, padded, its length in front and behind.
pub(super) fn block(order: Order, kind: u32, body: &[u8]) -> Bytes {
    let padded = body.len().next_multiple_of(4);
    let length = order.four(u32::try_from(padded + 12).unwrap());
    let mut block = [&order.four(kind)[..], &length, body].concat();
    block.resize(padded + 8, 0);
    block.extend(length);
    block
}

pub(super) fn section(order: Order) -> Bytes {
    let body = [&order.four(0x1a2b_3c4d)[..], &order.two(1), &order.two(0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface with its link type and, where given, its time resolution.
pub(super) fn interface(order: Order, link: u16, resolution: Option<u8>) -> Bytes {
    let mut body = [&order.two(link)[..], &[0, 0], &order.four(0)].concat();
    if let Some(code) = resolution {
        body.extend([&order.two(9)[..], &order.two(1), &[code, 0, 0, 0], &[0; 4]].concat());
    }
    block(order, 1, &body)
}

pub(super) fn packet(order: Order, interface: u32, ticks: u64, frame: &[u8]) -> Bytes {
    let [high, low] = [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
    let length = u32::try_from(frame.len()).unwrap();
    let head = [interface, high, low, length, length].map(|number| order.four(number)).concat();
    block(order, 6, &[&head[..], frame].concat())
}

/// Statistics of an interface: packets dropped by it, and by the system.
pub(super) fn statistics(order: Order, interface: u32, dropped: (u64, u64)) -> Bytes {
    let option =
        |code: u16, value: u64| [&order.two(code)[..], &order.two(8), &order.eight(value)].concat();
    let head = [interface, 0, 0].map(|number| order.four(number)).concat();
    block(order, 5, &[&head[..], &option(5, dropped.0), &option(7, dropped.1), &[0; 4]].concat())
}

/// Reads files, given by their bytes, as one recording.
pub(super) fn read_all(files: &[&[u8]], bounds: &Bounds, sink: &mut dyn Sink) -> Coverage {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<Input> = (0..)
        .zip(files)
        .map(|(index, bytes)| {
            let path = folder.path().join(format!("part-{index}"));
            std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
            Input::Path(path)
        })
        .collect();
    read(&inputs, bounds, sink).unwrap()
}

/// Reads one file with the usual bounds.
pub(super) fn connections(file: &[u8]) -> (Vec<Connection>, Coverage) {
    let mut found = Vec::new();
    let coverage = read_all(&[file], &Bounds::default(), &mut |each: Connection| found.push(each));
    found.sort_by_key(|each| each.number);
    (found, coverage)
}
