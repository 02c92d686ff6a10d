//! Captures cut off and with bits turned over: whatever the bytes are, reading ends, nothing panics, every packet that
//! was read is counted once. Deterministic: the damage comes from a fixed sequence.

use crate::capture::{Bounds, Connection, Coverage, read_bytes};

use super::packet::{ACK, Bytes, Wire, eth, ip, ipv4, join, tag, udp};
use super::store::{Order, interface, packet, plain, section, statistics};

/// Something of everything that is decoded.
fn frames() -> Vec<Bytes> {
    let mut wire = Wire::new("192.0.2.1:50000", "192.0.2.2:443").open();
    wire = wire.ask(b"\x16\x03\x01\x00\x35\x01\x00\x00\x31\x03\x03");
    wire = wire
        .ask(&[7; 32])
        .ask(&[0, 0, 2, 0x13, 1, 1, 0, 0, 6, 0, 0, 0, 2, 0, 0])
        .tell(b"\x15\x03\x01\x00\x02\x02\x28");
    wire.frame(0, ACK, 100, b"behind a hole");
    let mut web = Wire::new("[2001:db8::1]:50000", "[2001:db8::2]:80").open();
    web = web.ask(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n").close();
    [wire.frames, web.frames, wrapped()].concat()
}

/// The same datagram in tags and tunnels, and fragments.
fn wrapped() -> Vec<Bytes> {
    let inner = ipv4(([10, 0, 0, 1], [10, 0, 0, 2]), 17, (1, 0), &udp(1000, 53, b"question"));
    let outer = |protocol: u8, payload: &[u8]| {
        eth(
            0x0800,
            &ip(
                "198.51.100.1".parse().unwrap(),
                "198.51.100.2".parse().unwrap(),
                protocol,
                payload,
            ),
        )
    };
    vec![
        eth(0x88a8, &tag(7, 0x8100, &tag(9, 0x0800, &inner))),
        eth(0x8847, &join(&[&[0, 1, 0x11, 64], &inner])),
        eth(
            0x8864,
            &join(&[&[0x11, 0, 0, 1, 0, u8::try_from(inner.len() + 2).unwrap(), 0, 0x21], &inner]),
        ),
        outer(47, &join(&[&[0xb0, 0, 8, 0], &[0; 12], &inner])),
        outer(47, &join(&[&[0x10, 0, 0x22, 0xeb], &[0; 16], &eth(0x0800, &inner)])),
        outer(
            41,
            &ip(
                "2001:db8::1".parse().unwrap(),
                "2001:db8::2".parse().unwrap(),
                44,
                &[17, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9],
            ),
        ),
        outer(17, &udp(5, 4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &eth(0x0800, &inner)]))),
        outer(
            17,
            &udp(
                5,
                6081,
                &join(&[&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 0, 0, 0], &eth(0x0800, &inner)]),
            ),
        ),
        outer(
            17,
            &udp(
                5,
                2152,
                &join(&[&[0x34, 0xff, 0, 44, 0, 0, 0, 0, 0, 0, 0, 0x85, 1, 0, 0, 0], &inner]),
            ),
        ),
        eth(0x0800, &ipv4(([10, 0, 0, 1], [10, 0, 0, 2]), 17, (3, 0x2000), &[5; 24])),
        eth(0x0800, &ipv4(([10, 0, 0, 1], [10, 0, 0, 2]), 17, (3, 3), &[5; 24])),
        eth(50, &join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner])),
    ]
}

fn blocks() -> Bytes {
    let order = Order::Big;
    let mut file =
        [section(order), interface(order, 1, Some(9)), interface(order, 105, None)].concat();
    for (at, frame) in (0..).zip(frames()) {
        file.extend(packet(order, u32::from(at % 5 == 4), at * 1000, &frame));
    }
    file.extend(statistics(order, 0, (1, 2)));
    file
}

/// Reads and checks what must hold for every input.
pub(super) fn survive(file: &[u8]) -> Coverage {
    let bounds = Bounds { connections: 16, datagrams: 4, stream_bytes: 4096, ..Bounds::default() };
    let mut handed = 0;
    let coverage = read_bytes("damaged", file.to_vec(), &bounds, &mut |each: Connection| {
        handed += 1;
        assert!(each.packets > 0 && each.first_packet > 0, "{each:?}");
    });
    assert_eq!(handed, coverage.connections);
    for each in &coverage.files {
        assert_eq!(each.packets, each.judged + each.outside() + each.unjudged(), "{each:?}");
        assert!(each.shortened <= each.judged);
    }
    coverage
}

/// A sequence of numbers that looks random and is the same every time (xorshift).
fn sequence() -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).unwrap()
    })
}

#[test]
fn the_undamaged_files_are_read() {
    let classic = survive(&plain(&frames()));
    let blocks = survive(&blocks());
    assert_eq!(classic.packets(), frames().len() as u64);
    assert_eq!(blocks.packets(), classic.packets());
    assert!(classic.judged() > 20, "{classic:?}");
}

#[test]
fn a_file_may_end_anywhere() {
    for file in [plain(&frames()), blocks()] {
        for end in 0..file.len() {
            let coverage = survive(&file[..end]);
            assert!(coverage.packets() <= frames().len() as u64);
        }
    }
}

#[test]
fn any_bit_may_be_turned_over() {
    for file in [plain(&frames()), blocks()] {
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            survive(&damaged);
        }
    }
}

#[test]
fn many_bytes_may_be_anything() {
    let mut random = sequence();
    for round in 0..1000 {
        let mut file = if round % 2 == 0 { plain(&frames()) } else { blocks() };
        for _ in 0..=round % 40 {
            let (at, value) = (random.next().unwrap() % file.len(), random.next().unwrap());
            file[at] = u8::try_from(value & 0xff).unwrap();
        }
        survive(&file);
    }
}

fn corpus() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/capture")
}

#[test]
fn the_corpus_of_the_fuzzer_is_read() {
    let files: Vec<_> =
        std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > frames().len(), "one for each packet, and both formats");
    for file in files {
        survive(&std::fs::read(&file).unwrap());
    }
}

#[test]
#[ignore = "writes the seeds of the corpus anew, after a decoder was added"]
fn the_seeds_of_the_corpus_are_written() {
    std::fs::create_dir_all(corpus()).unwrap();
    for (index, frame) in frames().iter().enumerate() {
        std::fs::write(
            corpus().join(format!("packet-{index:02}")),
            plain(std::slice::from_ref(frame)),
        )
        .unwrap();
    }
    std::fs::write(corpus().join("all"), plain(&frames())).unwrap();
    std::fs::write(corpus().join("blocks"), blocks()).unwrap();
}
