//! Links, tags and tunnels around one and the same conversation; fragments; what is outside the law or unknown.

use crate::capture::{Connection, Coverage, Protocol, Reason};

use super::packet::{Bytes, eth, ip, ipv4, join, tag, udp};
use super::store::{Order, connections, pcap, plain};

const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];

/// A question by UDP, as an IPv4 packet.
fn question() -> Bytes {
    ipv4((CLIENT, SERVER), 17, (7, 0), &udp(50_000, 53, b"question"))
}

/// The same by IPv6.
fn question_six() -> Bytes {
    ip(
        "2001:db8::1".parse().unwrap(),
        "2001:db8::2".parse().unwrap(),
        17,
        &udp(50_000, 53, b"question"),
    )
}

fn outer(protocol: u8, payload: &[u8]) -> Bytes {
    eth(0x0800, &ipv4(([198, 51, 100, 1], [198, 51, 100, 2]), protocol, (9, 0), payload))
}

fn outer_udp(port: u16, payload: &[u8]) -> Bytes {
    outer(17, &udp(40_000, port, payload))
}

fn gre(flags: u16, kind: u16, payload: &[u8]) -> Bytes {
    join(&[&flags.to_be_bytes(), &kind.to_be_bytes(), payload])
}

fn inner(found: &[Connection]) -> &Connection {
    let asked = |each: &&Connection| each.responder.port() == 53 && !each.carrier;
    found.iter().find(asked).unwrap_or_else(|| panic!("{found:?}"))
}

fn check(link: u32, frame: Bytes, layers: &str) -> (Vec<Connection>, Coverage) {
    let (found, coverage) = connections(&pcap(Order::Little, false, link, &[frame]));
    let one = inner(&found);
    assert_eq!(&*one.layers, layers);
    assert_eq!(one.protocol, Protocol::Udp, "{layers}");
    let six = one.initiator.is_ipv6();
    assert_eq!(
        one.initiator.to_string(),
        if six { "[2001:db8::1]:50000" } else { "192.0.2.1:50000" }
    );
    assert_eq!(one.bytes_to_responder, 8, "{layers}");
    assert_eq!((coverage.judged(), coverage.unjudged()), (1, 0), "{layers}: {coverage:?}");
    (found, coverage)
}

#[test]
fn every_link_type_leads_to_the_same_packet() {
    let llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &question()]);
    let wlan = join(&[&[0x08, 0x01], &[0; 22], &llc]);
    let quality = join(&[&[0x88, 0x01], &[0; 22], &[0, 0], &llc]);
    let table: Vec<(u32, Bytes, &str)> = vec![
        (1, eth(0x0800, &question()), "eth/ipv4"),
        (1, eth(0x86dd, &question_six()), "eth/ipv6"),
        (1, eth(u16::try_from(llc.len()).unwrap(), &llc), "eth/ipv4"),
        (101, question(), "ipv4"),
        (101, question_six(), "ipv6"),
        (12, question(), "ipv4"),
        (228, question(), "ipv4"),
        (229, question_six(), "ipv6"),
        (0, join(&[&[2, 0, 0, 0], &question()]), "null/ipv4"),
        (0, join(&[&[0, 0, 0, 2], &question()]), "null/ipv4"),
        (0, join(&[&[30, 0, 0, 0], &question_six()]), "null/ipv6"),
        (108, join(&[&[0, 0, 0, 24], &question_six()]), "null/ipv6"),
        (113, join(&[&[0, 0, 0, 1, 0, 6], &[0; 8], &[8, 0], &question()]), "sll/ipv4"),
        (276, join(&[&[8, 0], &[0; 6], &[0, 1], &[0; 10], &question()]), "sll2/ipv4"),
        (9, join(&[&[0xff, 3, 0, 0x21], &question()]), "ppp/ipv4"),
        (9, join(&[&[0x57], &question_six()]), "ppp/ipv6"),
        (104, join(&[&[0x0f, 0, 8, 0], &question()]), "ipv4"),
        (105, wlan.clone(), "wlan/ipv4"),
        (105, quality, "wlan/ipv4"),
        (127, join(&[&[0, 0, 8, 0, 0, 0, 0, 0], &wlan]), "radiotap/wlan/ipv4"),
    ];
    for (link, frame, layers) in table {
        check(link, frame, layers);
    }
}

#[test]
fn tags_and_labels_are_read_over() {
    let label = |label: u8, last: u8| [0, label, 0x10 | last, 64];
    let pppoe = |payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        join(&[&[0x11, 0, 0, 1], &length, payload])
    };
    let table: Vec<(Bytes, &str)> = vec![
        (eth(0x8100, &tag(0x2005, 0x0800, &question())), "eth/vlan:5/ipv4"),
        (eth(0x88a8, &tag(7, 0x8100, &tag(9, 0x86dd, &question_six()))), "eth/vlan:7/vlan:9/ipv6"),
        (eth(0x8847, &join(&[&label(1, 0), &label(2, 1), &question()])), "eth/mpls/mpls/ipv4"),
        (
            eth(0x8847, &join(&[&label(1, 1), &[0; 4], &eth(0x0800, &question())])),
            "eth/mpls/eth/ipv4",
        ),
        (
            eth(0x8100, &tag(3, 0x8847, &join(&[&label(1, 1), &question_six()]))),
            "eth/vlan:3/mpls/ipv6",
        ),
        (eth(0x8864, &pppoe(&join(&[&[0, 0x21], &question()]))), "eth/pppoe/ppp/ipv4"),
        (eth(0x88e7, &join(&[&[0, 0, 0, 1], &eth(0x0800, &question())])), "eth/pbb/eth/ipv4"),
        (eth(0x8926, &join(&[&[0; 4], &[8, 0], &question()])), "eth/vntag/ipv4"),
        (eth(0x8903, &join(&[&[0, 0x40], &eth(0x0800, &question())])), "eth/fabricpath/eth/ipv4"),
    ];
    for (frame, layers) in table {
        check(1, frame, layers);
    }
}

/// A tunnel's frame, the layers of what is inside, and the responder of the outer connection.
fn tunnels() -> Vec<(Bytes, &'static str, &'static str)> {
    let frame = eth(0x0800, &question());
    let vxlan = join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &frame]);
    let geneve = join(&[&[1, 0, 0x65, 0x58, 0, 0, 42, 0], &[1, 2, 3, 0], &frame]);
    let gtp = join(&[
        &[0x30, 0xff],
        &u16::try_from(question().len()).unwrap().to_be_bytes(),
        &[0; 4],
        &question(),
    ]);
    let ayiya = join(&[&[0x44, 0x52, 0x11, 41, 0, 0, 0, 0], &[0; 16], &[0; 20], &question_six()]);
    vec![
        (outer(4, &question()), "eth/ipv4/ipv4", "198.51.100.2:0"),
        (outer(41, &question_six()), "eth/ipv4/ipv6", "198.51.100.2:0"),
        (outer(47, &gre(0, 0x0800, &question())), "eth/ipv4/gre/ipv4", "198.51.100.2:0"),
        (
            outer(47, &gre(0x2000, 0x6558, &join(&[&[0; 4], &frame]))),
            "eth/ipv4/gre/eth/ipv4",
            "198.51.100.2:0",
        ),
        (
            outer(47, &gre(0x1000, 0x88be, &join(&[&[0; 4], &[0x10; 8], &frame]))),
            "eth/ipv4/gre/erspan/eth/ipv4",
            "198.51.100.2:0",
        ),
        (outer(47, &gre(0, 0x88be, &frame)), "eth/ipv4/gre/erspan/eth/ipv4", "198.51.100.2:0"),
        (
            outer(47, &gre(0x1000, 0x22eb, &join(&[&[0; 4], &[0x20; 12], &frame]))),
            "eth/ipv4/gre/erspan/eth/ipv4",
            "198.51.100.2:0",
        ),
        (
            outer(47, &gre(0x3001, 0x880b, &join(&[&[0; 8], &[0xff, 3, 0, 0x21], &question()]))),
            "eth/ipv4/gre/ppp/ipv4",
            "198.51.100.2:0",
        ),
        (outer(97, &join(&[&[0x30, 0], &frame])), "eth/ipv4/etherip/eth/ipv4", "198.51.100.2:0"),
        (outer_udp(4789, &vxlan), "eth/ipv4/udp/vxlan:42/eth/ipv4", "198.51.100.2:4789"),
        (outer_udp(6081, &geneve), "eth/ipv4/udp/geneve:42/eth/ipv4", "198.51.100.2:6081"),
        (
            outer_udp(4754, &gre(0, 0x0800, &question())),
            "eth/ipv4/udp/gre/ipv4",
            "198.51.100.2:4754",
        ),
        (
            outer_udp(6635, &join(&[&[0, 1, 0x11, 64], &question()])),
            "eth/ipv4/udp/mpls/ipv4",
            "198.51.100.2:6635",
        ),
        (outer_udp(2152, &gtp), "eth/ipv4/udp/gtp/ipv4", "198.51.100.2:2152"),
        (outer_udp(3544, &question_six()), "eth/ipv4/udp/teredo/ipv6", "198.51.100.2:3544"),
        (outer_udp(5072, &ayiya), "eth/ipv4/udp/ayiya/ipv6", "198.51.100.2:5072"),
    ]
}

#[test]
fn the_inner_flow_of_a_tunnel_is_judged_and_the_outer_reported() {
    for (frame, layers, responder) in tunnels() {
        let (found, _) = check(1, frame, layers);
        assert_eq!(found.len(), 2, "{layers}");
        let outer = found.iter().find(|each| each.carrier).unwrap_or_else(|| panic!("{layers}"));
        assert_eq!(outer.responder.to_string(), responder, "{layers}");
    }
}

#[test]
fn what_is_only_authenticated_is_read() {
    let protected = join(&[&[17, 4], &[0; 22], &udp(50_000, 53, b"question")]);
    let (found, _) = connections(&plain(&[outer(51, &protected)]));
    assert_eq!((&*found[0].layers, found[0].protocol), ("eth/ipv4/ah", Protocol::Udp));
    assert_eq!(found[0].bytes_to_responder, 8);
}

#[test]
fn extension_headers_are_walked_over() {
    let (from, to) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let datagram = udp(50_000, 53, b"question");
    let options = join(&[&[60, 0, 1, 4, 0, 0, 0, 0], &[17, 0, 1, 4, 0, 0, 0, 0], &datagram]);
    check(1, eth(0x86dd, &ip(from, to, 0, &options)), "eth/ipv6");
    let atomic = join(&[&[17, 0, 0, 0, 0, 0, 0, 9], &datagram]);
    check(1, eth(0x86dd, &ip(from, to, 44, &atomic)), "eth/ipv6");
}

fn fragments() -> [Bytes; 3] {
    let datagram = udp(50_000, 53, &[b'x'; 40]);
    let piece = |from: usize, until: usize, more: u16| {
        let field = u16::try_from(from / 8).unwrap() | more;
        eth(0x0800, &ipv4((CLIENT, SERVER), 17, (77, field), &datagram[from..until]))
    };
    [piece(0, 16, 0x2000), piece(16, 32, 0x2000), piece(32, 48, 0)]
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let [a, b, c] = fragments();
    for order in [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a], [&b, &a, &c]] {
        let frames: Vec<Bytes> = order.into_iter().cloned().collect();
        let (found, coverage) = connections(&plain(&frames));
        assert_eq!(inner(&found).bytes_to_responder, 40);
        assert_eq!((inner(&found).packets, coverage.judged(), coverage.unjudged()), (1, 3, 0));
    }
    let datagram = udp(50_000, 53, &[b'x'; 16]);
    let (from, to) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let piece = |at: usize, more: u8| {
        let body = [
            &[17, 0, 0, u8::try_from(at).unwrap() | more, 0, 0, 0, 5],
            &datagram[at..at + if more == 1 { 8 } else { 16 }],
        ]
        .concat();
        eth(0x86dd, &ip(from, to, 44, &body))
    };
    let (found, coverage) = connections(&plain(&[piece(8, 0), piece(0, 1)]));
    assert_eq!(inner(&found).bytes_to_responder, 16);
    assert_eq!((coverage.judged(), coverage.unjudged()), (2, 0));
}

#[test]
fn a_first_fragment_alone_is_judged_by_its_header_and_said_to_be_short() {
    let [a, b, _] = fragments();
    let (found, coverage) = connections(&plain(&[a, b.clone()]));
    assert_eq!(inner(&found).bytes_to_responder, 40, "as its header says");
    assert_eq!((coverage.judged(), coverage.files[0].shortened), (2, 2));
    let (found, coverage) = connections(&plain(&[b]));
    assert!(found.is_empty());
    assert_eq!(coverage.files[0].unjudged[&Reason::Fragment], 1);
}

#[test]
fn what_only_runs_the_segment_is_outside_the_law() {
    let table: Vec<(Bytes, &str)> = vec![
        (eth(0x0806, &[0; 28]), "arp"),
        (eth(0x88cc, &[0; 20]), "lldp"),
        (eth(38, &[&[0x42, 0x42, 3][..], &[0; 35]].concat()), "stp"),
        (eth(0x8100, &tag(5, 0x0806, &[0; 28])), "arp"),
        (eth(40, &[&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0][..], &[0; 32]].concat()), "cisco"),
        (eth(0x0800, &ipv4((CLIENT, [224, 0, 0, 1]), 2, (1, 0), &[0x11; 8])), "igmp"),
    ];
    for (frame, name) in table {
        let (found, coverage) = connections(&plain(&[frame]));
        assert!(found.is_empty(), "{name}");
        assert_eq!(coverage.files[0].outside.get(name), Some(&1));
        assert!(coverage.is_complete(), "outside the law is not unjudged");
    }
}

#[test]
fn what_may_carry_traffic_and_cannot_be_read_is_unjudged_with_its_reason() {
    let wlan_protected = [&[0x08, 0x41][..], &[0; 40]].concat();
    let table: Vec<(u32, Bytes, Reason)> = vec![
        (1, eth(0x8137, &[0; 40]), Reason::UnknownProtocol),
        (1, eth(0x88e5, &[0; 40]), Reason::Encrypted),
        (105, wlan_protected, Reason::Encrypted),
        (147, vec![0; 40], Reason::UnknownLink),
        (1, eth(0x0800, &[0x42; 40]), Reason::Malformed),
        (1, eth(0x0800, &[0x95; 40]), Reason::Malformed),
        (1, outer(47, &gre(0, 0x1234, &[0; 30])), Reason::UnknownProtocol),
        (1, outer(6, &[0; 20]), Reason::Malformed),
        (1, outer(17, &[0, 1, 0, 2, 0, 99, 0, 0]), Reason::BadLength),
        (1, (0..40).fold(question(), |inner, _| tag(5, 0x8100, &inner)), Reason::Bound),
    ];
    for (link, frame, reason) in table {
        let frame = if reason == Reason::Bound { eth(0x8100, &frame) } else { frame };
        let (_, coverage) = connections(&pcap(Order::Little, false, link, &[frame]));
        assert_eq!(coverage.files[0].unjudged.get(&reason), Some(&1), "{reason:?}: {coverage:?}");
        assert!(!coverage.is_complete());
    }
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut frame = eth(0x0800, &question());
    frame.resize(frame.len() + 30, 0);
    check(1, frame, "eth/ipv4");
}

#[test]
fn an_ipv4_address_inside_an_ipv6_one_is_shown_as_what_it_is() {
    let (from, to) = ("::ffff:192.0.2.1".parse().unwrap(), "::ffff:192.0.2.2".parse().unwrap());
    check(1, eth(0x86dd, &ip(from, to, 17, &udp(50_000, 53, b"question"))), "eth/ipv6");
}
