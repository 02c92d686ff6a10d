//! Every table and buffer has a bound, and what goes over it is counted.

use crate::capture::{Bounds, Connection, Reason};

use super::packet::{ACK, Bytes, SYN, Wire, eth, ipv4, udp};
use super::store::{Order, START, interface, plain, read_all, record, section};

fn read_with(bounds: Bounds, file: &[u8]) -> (Vec<Connection>, crate::capture::Coverage) {
    let mut found = Vec::new();
    let coverage = read_all(&[file], &bounds, &mut |each: Connection| found.push(each));
    (found, coverage)
}

fn attempts(count: u16) -> Vec<Bytes> {
    (0..count)
        .map(|port| {
            let mut wire = Wire::new(&format!("192.0.2.1:{}", 1024 + port), "192.0.2.2:443");
            wire.frame(0, SYN, 0, b"");
            wire.frames.remove(0)
        })
        .collect()
}

#[test]
fn a_full_table_hands_on_what_is_silent_for_longest_and_says_so() {
    let (found, coverage) =
        read_with(Bounds { connections: 100, ..Bounds::default() }, &plain(&attempts(300)));
    assert_eq!((found.len(), coverage.connections), (300, 300), "none is lost");
    assert_eq!(coverage.cut_short, 200);
    assert_eq!(found.iter().filter(|each| each.cut_short).count(), 200);
    assert!(!coverage.is_complete());
}

#[test]
fn what_is_over_makes_room_by_itself() {
    let mut file = plain(&[]);
    for (second, frame) in (0..).zip(attempts(1000)) {
        record(&mut file, Order::Little, (START + 10 * second, 0), &frame, frame.len());
    }
    let (found, coverage) = read_with(Bounds { connections: 100, ..Bounds::default() }, &file);
    assert_eq!(
        (found.len(), coverage.cut_short),
        (1000, 0),
        "120 s after a SYN without an answer it is over"
    );
    assert!(coverage.is_complete());
}

#[test]
fn segments_held_beyond_the_bound_are_given_up_and_counted() {
    let mut wire = Wire::new("192.0.2.1:50000", "192.0.2.2:80").open();
    for step in 0..20 {
        wire.frame(0, ACK, 10 + step * 100, &[b'x'; 100]);
    }
    let bounds = Bounds { stream_bytes: 500, ..Bounds::default() };
    let (found, coverage) = read_with(bounds, &plain(&wire.frames));
    assert_eq!((found[0].bytes_to_responder, found[0].gap_to_responder.bytes), (2000, 10));
    assert!(coverage.skipped_bytes > 0, "{coverage:?}");
    assert!(!coverage.is_complete());
}

#[test]
fn fragments_held_beyond_the_bound_are_unjudged() {
    let piece = |id: u16| {
        eth(
            0x0800,
            &ipv4(([192, 0, 2, 1], [192, 0, 2, 2]), 17, (id, 0x2000), &udp(1, 2, &[0; 1000])),
        )
    };
    let frames: Vec<Bytes> = (0..50).map(piece).collect();
    let (_, coverage) =
        read_with(Bounds { fragment_bytes: 10_000, ..Bounds::default() }, &plain(&frames));
    let refused = coverage.files[0].unjudged[&Reason::Bound];
    assert!(refused >= 40, "{coverage:?}");
    let (found, coverage) =
        read_with(Bounds { datagrams: 8, ..Bounds::default() }, &plain(&frames));
    assert_eq!(
        (coverage.judged(), coverage.files[0].shortened),
        (50, 50),
        "judged by the first fragment"
    );
    assert_eq!(found[0].packets, 50);
}

#[test]
fn interfaces_beyond_the_bound_end_the_file() {
    let file = [section(Order::Little), interface(Order::Little, 1, None).repeat(20)].concat();
    let (_, coverage) = read_with(Bounds { interfaces: 10, ..Bounds::default() }, &file);
    assert_eq!(coverage.files[0].fault, Some(crate::capture::FileFault::Bound));
}
