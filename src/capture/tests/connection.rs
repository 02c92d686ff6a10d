//! Who began, how far it got, and how many bytes went each way.

use crate::capture::{Connection, Gap, Protocol, State};

use super::packet::{ACK, Bytes, FIN, RST, SYN, Wire, eth, ip, udp};
use super::store::{connections, plain};

const CLIENT: &str = "192.0.2.1:50000";
const SERVER: &str = "192.0.2.2:8443";

fn only(frames: &[Bytes]) -> Connection {
    let (mut found, coverage) = connections(&plain(frames));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(coverage.judged(), frames.len() as u64);
    found.remove(0)
}

fn datagram(from: &str, to: &str, payload: &[u8]) -> Bytes {
    let (from, to): (std::net::SocketAddr, std::net::SocketAddr) =
        (from.parse().unwrap(), to.parse().unwrap());
    eth(
        super::packet::kind(from),
        &ip(from.ip(), to.ip(), 17, &udp(from.port(), to.port(), payload)),
    )
}

#[test]
fn the_one_that_sends_syn_initiated() {
    for (client, server) in [
        (CLIENT, SERVER),
        ("192.0.2.9:443", "192.0.2.1:50000"),
        ("[2001:db8::9]:5", "[2001:db8::1]:6"),
    ] {
        let one = only(&Wire::new(client, server).open().ask(b"ab").tell(b"cde").close().frames);
        assert_eq!(
            (one.initiator.to_string(), one.responder.to_string()),
            (client.to_owned(), server.to_owned())
        );
        assert!(!one.inferred && !one.one_sided);
        assert_eq!((one.bytes_to_responder, one.bytes_to_initiator), (2, 3));
        assert_eq!((one.state, one.protocol, one.packets), (State::Closed, Protocol::Tcp, 8));
    }
}

#[test]
fn without_syn_the_initiator_is_inferred_from_the_best_evidence() {
    let opened = || Wire::new(CLIENT, SERVER).open();
    let answered = opened().frames[1..2].to_vec();
    let (first, request) = (
        opened().tell(b"x").frames[3..].to_vec(),
        opened().tell(b"x").ask(b"GET / HTTP/1.1\r\n\r\n"),
    );
    let table: Vec<(Vec<Bytes>, &str)> = vec![
        (answered, "the answer to SYN"),
        (request.frames[3..].to_vec(), "the request"),
        (first, "the ports"),
    ];
    for (frames, evidence) in table {
        let one = only(&frames);
        assert_eq!(one.initiator.to_string(), CLIENT, "{evidence}");
        assert!(one.inferred, "{evidence}");
    }
    let mut peers = Wire::new("192.0.2.1:2000", "192.0.2.2:2001");
    peers.frame(1, ACK, 0, b"x");
    assert_eq!(only(&peers.frames).initiator.to_string(), "192.0.2.2:2001", "the first packet");
}

#[test]
fn a_state_is_said_for_every_ending() {
    let wire = || Wire::new(CLIENT, SERVER);
    let attempted = wire().open().frames[..1].to_vec();
    let mut refused = wire();
    refused.frame(0, SYN, 0, b"");
    refused.frame(1, RST | ACK, 0, b"");
    let mut reset = wire().open().ask(b"x");
    reset.frame(1, RST, 0, b"");
    let mut half = wire().open().ask(b"x");
    half.frame(0, FIN | ACK, 0, b"");
    let table = [
        (attempted, State::Attempted),
        (refused.frames, State::Refused),
        (wire().open().frames, State::Established),
        (half.frames, State::Established),
        (wire().open().close().frames, State::Closed),
        (reset.frames, State::Reset),
    ];
    for (frames, state) in table {
        assert_eq!(only(&frames).state, state);
    }
}

#[test]
fn each_byte_of_a_stream_counts_once() {
    let mut wire = Wire::new(CLIENT, SERVER).open();
    wire.frame(0, ACK, 0, b"abcdef");
    wire.frame(0, ACK, 0, b"abcdef");
    wire.frame(0, ACK, 3, b"defghi");
    // Out of order, then what was before it.
    wire.frame(0, ACK, 12, b"mno");
    wire.frame(0, ACK, 9, b"jkl");
    wire.frame(0, ACK, 9, b"jkl");
    // A probe of the one byte before.
    wire.frame(0, ACK, 14, b"o");
    let one = only(&wire.frames);
    assert_eq!(one.bytes_to_responder, 15);
    assert_eq!(one.gap_to_responder, Gap::default());
    assert_eq!(one.packets, 10);
}

#[test]
fn bytes_that_were_never_captured_are_a_gap() {
    let (_, complete) =
        connections(&plain(&Wire::new(CLIENT, SERVER).open().ask(b"x").close().frames));
    assert!(complete.is_complete());
    let mut skipped = Wire::new(CLIENT, SERVER).open();
    skipped.frame(0, ACK, 100, b"behind the hole");
    let mut acknowledged = Wire::new(CLIENT, SERVER).open();
    acknowledged.move_on(0, 100);
    acknowledged.frame(1, ACK, 0, b"");
    let mut ended = Wire::new(CLIENT, SERVER).open();
    ended.frame(0, FIN | ACK, 100, b"");
    for (wire, how, bytes) in [
        (skipped, "a later segment", 15),
        (acknowledged, "an acknowledgement", 0),
        (ended, "the end", 0),
    ] {
        let (found, coverage) = connections(&plain(&wire.frames));
        assert_eq!(found[0].gap_to_responder, Gap { holes: 1, bytes: 100 }, "{how}");
        assert_eq!(
            found[0].bytes_to_responder, bytes,
            "{how}: what was not seen is not counted as sent"
        );
        assert_eq!((coverage.gaps, coverage.gap_bytes), (1, 100), "{how}");
        assert!(!coverage.is_complete(), "{how}");
    }
}

#[test]
fn one_direction_alone_is_said() {
    let frames = Wire::new(CLIENT, SERVER).open().ask(b"abc").tell(b"x").close().frames;
    let server = SERVER.parse::<std::net::SocketAddr>().unwrap();
    let to_server = |frame: &&Bytes| frame[36..38] == server.port().to_be_bytes();
    let one = only(&frames.iter().filter(to_server).cloned().collect::<Vec<_>>());
    assert!(one.one_sided && !one.inferred);
    assert_eq!((one.initiator.to_string(), one.bytes_to_responder), (CLIENT.to_owned(), 3));
    assert_eq!(one.gap_to_initiator, Gap::default(), "of the other side nothing can be missing");
}

#[test]
fn the_same_ports_again_are_another_connection() {
    let wire = || Wire::new(CLIENT, SERVER);
    let mut refused = wire();
    refused.frame(0, SYN, 0, b"");
    refused.frame(1, RST | ACK, 0, b"");
    let frames =
        [wire().open().close().frames, wire().open().close().frames, refused.frames].concat();
    let (found, _) = connections(&plain(&frames));
    assert_eq!(
        found.iter().map(|one| one.state).collect::<Vec<_>>(),
        [State::Closed, State::Closed, State::Refused]
    );
    assert_eq!(found.iter().map(|one| one.first_packet).collect::<Vec<_>>(), [1, 7, 13]);
    let mut repeated = wire();
    repeated.frame(0, SYN, 0, b"");
    repeated.frame(0, SYN, 0, b"");
    assert_eq!(only(&repeated.frames).packets, 2, "a SYN sent again is no other connection");
}

#[test]
fn datagrams_belong_to_who_asked_first() {
    let one = only(&[
        datagram("192.0.2.9:40000", "192.0.2.1:514", b"a"),
        datagram("192.0.2.1:514", "192.0.2.9:40000", b"bc"),
    ]);
    assert_eq!(one.initiator.to_string(), "192.0.2.9:40000");
    assert!(!one.inferred);
    assert_eq!(
        (one.bytes_to_responder, one.bytes_to_initiator, one.state),
        (1, 2, State::Datagrams)
    );
    let answer = only(&[datagram("192.0.2.1:514", "192.0.2.9:40000", b"bc")]);
    assert_eq!(
        (answer.initiator.port(), answer.inferred),
        (40000, true),
        "an answer whose question was not seen"
    );
    let time = only(&[datagram("192.0.2.1:123", "192.0.2.9:123", &[0x24; 48])]);
    assert_eq!(
        (time.responder.to_string(), time.inferred),
        ("192.0.2.1:123".to_owned(), true),
        "a time server's answer"
    );
}

#[test]
fn a_group_never_initiates() {
    for (from, to) in [
        ("192.0.2.1:67", "255.255.255.255:68"),
        ("192.0.2.1:514", "224.0.0.251:40000"),
        ("[2001:db8::1]:514", "[ff02::fb]:40000"),
    ] {
        let one = only(&[datagram(from, to, b"to all")]);
        assert_eq!((one.initiator.to_string(), one.inferred), (from.to_owned(), false));
    }
}

#[test]
fn icmp_is_told_apart_by_its_types() {
    let echo = |kind: u8| {
        eth(
            0x0800,
            &ip(
                "192.0.2.1".parse().unwrap(),
                "192.0.2.2".parse().unwrap(),
                1,
                &[kind, 0, 0, 0, 0, 1, 0, 1],
            ),
        )
    };
    let one = only(&[echo(8)]);
    assert_eq!((one.protocol, one.initiator.port(), one.responder.port()), (Protocol::Icmp, 8, 0));
    let reply = only(&[echo(0)]);
    assert_eq!(reply.initiator.to_string(), "192.0.2.2:8", "who gets an answer has asked");
    assert!(reply.inferred);
    let unreachable = only(&[echo(3)]);
    assert_eq!(
        (unreachable.initiator.to_string(), unreachable.inferred),
        ("192.0.2.1:3".to_owned(), false)
    );
}

#[test]
fn protocols_without_ports_are_named() {
    let of = |protocol: u8| {
        eth(
            0x0800,
            &ip("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), protocol, &[9; 40]),
        )
    };
    let esp = only(&[of(50)]);
    assert_eq!(
        (esp.protocol, esp.initiator.to_string(), esp.inferred),
        (Protocol::Esp, "192.0.2.1:0".to_owned(), true)
    );
    assert_eq!(esp.bytes_to_responder, 40);
    assert_eq!(only(&[of(89)]).protocol, Protocol::Other(89));
}
