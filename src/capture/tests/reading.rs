//! Files: both formats, every byte order and unit of time, compression, sets, and what cannot be read.

use std::io::Write;

use crate::capture::{Bounds, Connection, Coverage, FileFault, Input, Reason, read};
use crate::flow::Timestamp;

use super::packet::{Bytes, Wire, eth};
use super::store::{
    Order, START, block, connections, interface, packet, pcap, plain, read_all, record, section,
    statistics,
};

fn conversation() -> Vec<Bytes> {
    Wire::new("192.0.2.1:50000", "192.0.2.2:443").open().ask(b"one").tell(b"three").close().frames
}

fn only(found: &[Connection]) -> &Connection {
    assert_eq!(found.len(), 1, "{found:?}");
    &found[0]
}

fn holds_the_conversation(found: &[Connection], coverage: &Coverage, what: &str) {
    let one = only(found);
    assert_eq!(one.initiator.to_string(), "192.0.2.1:50000", "{what}");
    assert_eq!((one.bytes_to_responder, one.bytes_to_initiator), (3, 5), "{what}");
    assert_eq!(one.at, Timestamp::from_seconds(i64::from(START)), "{what}");
    assert_eq!(one.ended.since(one.at).as_millis(), 7, "{what}");
    assert!(coverage.is_complete(), "{what}: {coverage:?}");
    assert_eq!((coverage.packets(), coverage.judged()), (8, 8), "{what}");
}

#[test]
fn both_byte_orders_and_units_of_the_classic_format_read_alike() {
    for (order, nanos) in
        [(Order::Little, false), (Order::Little, true), (Order::Big, false), (Order::Big, true)]
    {
        let (found, coverage) = connections(&pcap(order, nanos, 1, &conversation()));
        holds_the_conversation(&found, &coverage, &format!("{order:?}, nanoseconds {nanos}"));
    }
}

#[test]
fn interfaces_have_their_own_link_type_and_unit_of_time() {
    for order in [Order::Little, Order::Big] {
        let frames = conversation();
        let mut file = section(order);
        file.extend(interface(order, 1, None));
        file.extend(interface(order, 101, Some(9)));
        file.extend(interface(order, 1, Some(0x8a)));
        for (index, frame) in (0..).zip(&frames) {
            let millis = u64::from(START) * 1000 + index;
            file.extend(match index % 3 {
                0 => packet(order, 0, millis * 1000, frame),
                // Raw IP: without the Ethernet header.
                1 => packet(order, 1, millis * 1_000_000, &frame[14..]),
                _ => packet(order, 2, (millis * 1024).div_ceil(1000), frame),
            });
        }
        file.extend(statistics(order, 0, (0, 0)));
        let (found, coverage) = connections(&file);
        holds_the_conversation(&found, &coverage, &format!("{order:?}"));
        assert_eq!(coverage.files[0].drops, Some(0));
    }
}

#[test]
fn drops_that_the_capturing_program_reports_are_not_lost() {
    for order in [Order::Little, Order::Big] {
        let mut file = section(order);
        file.extend(interface(order, 1, None));
        file.extend(packet(order, 0, 5, &conversation()[0]));
        // The counter runs on: the later one holds.
        file.extend(statistics(order, 0, (3, 1)));
        file.extend(statistics(order, 0, (5, 2)));
        let (_, coverage) = connections(&file);
        assert_eq!(coverage.files[0].drops, Some(7), "{order:?}");
        assert!(!coverage.is_complete(), "lost packets are never \"clean\"");
    }
}

#[test]
fn a_packet_of_an_interface_nobody_described_is_unjudged() {
    let mut file = section(Order::Little);
    file.extend(interface(Order::Little, 1, None));
    file.extend(packet(Order::Little, 7, 5, &conversation()[0]));
    let (found, coverage) = connections(&file);
    assert!(found.is_empty());
    assert_eq!(coverage.files[0].unjudged[&Reason::UnknownLink], 1);
}

#[test]
fn blocks_without_packets_and_second_sections_are_read_over() {
    let mut file = section(Order::Little);
    file.extend(interface(Order::Little, 1, None));
    file.extend(block(Order::Little, 4, b"names"));
    file.extend(packet(Order::Little, 0, 5, &conversation()[0]));
    file.extend(section(Order::Big));
    file.extend(interface(Order::Big, 1, None));
    file.extend(packet(Order::Big, 0, 6, &conversation()[1]));
    let (found, coverage) = connections(&file);
    assert_eq!(only(&found).packets, 2);
    assert!(coverage.is_complete(), "{coverage:?}");
}

#[test]
fn compression_is_known_by_content() {
    let file = plain(&conversation());
    let (front, back) = file.split_at(100);
    let mut gzip = gzipped(front);
    // A second member and a second frame, as parallel compressors and concatenation make them.
    gzip.extend(gzipped(back));
    let mut zstd = zstandard(front);
    zstd.extend([&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"pad"].concat());
    zstd.extend(zstandard(back));
    for (packed, what) in [(gzip, "gzip"), (zstd, "zstd")] {
        let (found, coverage) = connections(&packed);
        holds_the_conversation(&found, &coverage, what);
        let (_, coverage) = connections(&packed[..packed.len() - 20]);
        assert_eq!(coverage.files[0].fault, Some(FileFault::Compression), "{what}, cut off");
    }
}

#[test]
fn what_expands_beyond_its_bound_ends_there() {
    let frames: Vec<Bytes> = conversation().into_iter().cycle().take(4000).collect();
    let packed = gzipped(&plain(&frames));
    let bounds = Bounds { expanded: 1 << 17, ..Bounds::default() };
    let coverage = read_all(&[&packed], &bounds, &mut |_: Connection| ());
    assert_eq!(coverage.files[0].fault, Some(FileFault::Bound));
    assert!(!coverage.is_complete());
    assert!(coverage.packets() < 4000);
}

#[test]
fn a_rotated_set_is_one_recording_in_the_order_of_time() {
    let frames = conversation();
    let part = |range: std::ops::Range<usize>| {
        let mut file = plain(&[]);
        for index in range {
            let time = (START, u32::try_from(index).unwrap() * 1000);
            record(&mut file, Order::Little, time, &frames[index], frames[index].len());
        }
        file
    };
    let (first, second, third) = (part(0..2), part(2..5), part(5..8));
    for bounds in [Bounds::default(), Bounds { files: 1, ..Bounds::default() }] {
        let mut found = Vec::new();
        let coverage =
            read_all(&[&third, &first, &second], &bounds, &mut |each: Connection| found.push(each));
        holds_the_conversation(&found, &coverage, "out of order on the command line");
        assert!(
            found[0].file.ends_with("part-1"),
            "the first packet stands in the second file named"
        );
        assert_eq!(found[0].first_packet, 1);
        assert_eq!(coverage.files.iter().map(|file| file.packets).collect::<Vec<_>>(), [3, 2, 3]);
    }
}

#[test]
fn files_that_overlap_in_time_are_merged() {
    let frames = conversation();
    let mut sides = [plain(&[]), plain(&[])];
    for (index, frame) in (0..).zip(&frames) {
        let side = usize::from(frame[0..6] == frame[6..12]) ^ usize::from(index % 2 == 1);
        record(&mut sides[side], Order::Little, (START, index * 1000), frame, frame.len());
    }
    let mut found = Vec::new();
    let coverage =
        read_all(&[&sides[1], &sides[0]], &Bounds::default(), &mut |each: Connection| {
            found.push(each);
        });
    holds_the_conversation(&found, &coverage, "two directions in two files");
    assert!(!found[0].inferred);
}

#[test]
fn a_truncated_file_is_read_to_its_last_whole_packet() {
    let file = plain(&conversation());
    let (found, coverage) = connections(&file[..file.len() - 7]);
    assert_eq!(only(&found).packets, 7);
    assert_eq!(coverage.files[0].fault, Some(FileFault::Truncated));
    assert_eq!(coverage.files[0].tail_bytes, 16 + 54 - 7);
    assert!(!coverage.is_complete());
}

#[test]
fn what_follows_a_broken_record_is_counted() {
    let mut file = plain(&conversation()[..3]);
    let whole = file.len();
    file.extend([&[0xff; 16][..], &[0; 1000]].concat());
    let (found, coverage) = connections(&file);
    assert_eq!(only(&found).packets, 3);
    assert_eq!(coverage.files[0].fault, Some(FileFault::Damaged));
    assert_eq!(coverage.files[0].tail_bytes, (file.len() - whole) as u64);
}

#[test]
fn what_is_no_capture_says_so() {
    for (bytes, fault) in [
        (&b""[..], FileFault::Empty),
        (b"\n", FileFault::Unrecognised),
        (b"not a capture at all, but a letter", FileFault::Unrecognised),
    ] {
        let (found, coverage) = connections(bytes);
        assert!(found.is_empty());
        assert_eq!(coverage.files[0].fault, Some(fault));
        assert!(!coverage.is_complete());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(&[Input::new("/nowhere/a.pcap")], &Bounds::default(), &mut |_: Connection| ())
        .unwrap_err();
    assert!(error.to_string().starts_with("cannot open `/nowhere/a.pcap`: "), "{error}");
}

#[test]
fn a_clock_that_steps_back_is_counted() {
    let mut file = plain(&[]);
    let frames = conversation();
    for (frame, second) in frames.iter().zip([0, 1, 2, 2, 3, 1, 1, 4]) {
        record(&mut file, Order::Little, (START + second, 0), frame, frame.len());
    }
    let (found, coverage) = connections(&file);
    assert_eq!(only(&found).packets, 8, "the order of the file is kept");
    assert_eq!(coverage.files[0].clock_steps, 1);
}

#[test]
fn a_packet_cut_by_the_snap_length_is_judged_where_its_addresses_are_there() {
    let frames = conversation();
    let mut file = plain(&[]);
    record(&mut file, Order::Little, (START, 0), &frames[3][..54], frames[3].len());
    record(&mut file, Order::Little, (START, 1), &frames[3][..30], frames[3].len());
    let (found, coverage) = connections(&file);
    assert_eq!(only(&found).bytes_to_responder, 3, "as the header says");
    assert_eq!((coverage.judged(), coverage.files[0].shortened), (1, 1));
    assert_eq!(coverage.files[0].unjudged[&Reason::Snaplen], 1);
}

#[test]
fn the_same_packet_uncut_has_a_bad_length() {
    let frames = conversation();
    let (found, coverage) = connections(&plain(&[frames[3][..30].to_vec(), eth(0x0800, b"E")]));
    assert!(found.is_empty());
    assert_eq!(coverage.files[0].unjudged[&Reason::BadLength], 2);
}

fn gzipped(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Bytes {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}
