//! Tables of what a capture's connections are to the law: where they are, what is said of them and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Judge, Leg, Outside, Own};
use crate::appliance;
use crate::capture::fixture::{after, tcp, tls};
use crate::capture::{Application, Chain, Connection, HttpHead, Protocol};
use crate::flow::TlsVersion;
use crate::policy::imagined::{connection_date, law, moment, name, socket};
use crate::policy::model::{Encryption, Model};
use crate::tls::TrustStore;
use crate::tls::fixture::{Authority, San, now};
use crate::verdict::Reason;
use crate::yaml::SourceFile;

const CLIENT: &str = "10.13.10.5:40000";
const LISTENER: &str = "10.13.0.1:8443";
const GUARD: &str = "10.200.0.2:443";
const LINE: &str = "10.200.0.2:50000";
const TOKYO: &str = "10.200.1.10:443";
const CHUKAN: &str = "chukan.center.example";

/// The seed's box, as it is shipped.
fn own() -> Own {
    let text = include_str!("../../../policies/tokyo.appliance.yaml");
    let file = SourceFile { name: Arc::from("box.yaml"), bytes: text.as_bytes().into() };
    Own::of_box(&appliance::understand(&file).expect("the shipped box is sound"))
}

fn judge() -> Judge {
    Judge::new(&law(), own(), BTreeMap::new())
}

fn secure(from: &str, to: &str) -> Connection {
    tls(from, to, CHUKAN, TlsVersion::Tls13)
}

/// `LEG CODE packet N`, the code being the reason, the verdict, or the kind of what is outside the law.
fn said(judge: &Judge, connection: &Connection) -> String {
    let judged = judge.judge(connection);
    let code = match (&judged.answer, judged.answer.reason()) {
        (Answer::Outside(kind), _) => kind.code(),
        (Answer::Law(_), Some(reason)) => reason.code(),
        (Answer::Law(_), None) => judged.answer.code(),
    };
    format!("{} {code} packet {}", judged.leg.code(), judged.packet)
}

#[track_caller]
fn check(connection: &Connection, expected: &str) {
    assert_eq!(said(&judge(), connection), expected);
}

#[test]
fn a_client_at_the_listener_is_judged_by_source_and_hello_and_its_certificate_stays_unseen() {
    check(&secure(CLIENT, LISTENER), "inbound not_yet packet 17");
    check(&tcp(CLIENT, LISTENER), "inbound not_yet packet 17");
    check(&secure("192.0.2.9:1000", LISTENER), "inbound unknown_source packet 17");
    check(&secure("10.210.0.9:1000", LISTENER), "inbound reverse_access packet 17");
    check(&tls(CLIENT, LISTENER, CHUKAN, TlsVersion::Tls12), "inbound tls_version packet 20");
    check(
        &tls(CLIENT, LISTENER, "no.example", TlsVersion::Tls13),
        "inbound unknown_destination packet 20",
    );
    check(
        &tls(CLIENT, LISTENER, "oqs.center.example", TlsVersion::Tls13),
        "inbound destination_not_listed packet 20",
    );
}

#[test]
fn a_listener_that_refuses_and_a_port_without_a_listener_take_nothing() {
    check(&secure(CLIENT, GUARD), "inbound listener packet 17");
    check(&tcp(CLIENT, "10.13.0.1:22"), "inbound listener packet 17");
    check(&tcp("10.210.0.9:1000", "10.13.0.1:22"), "inbound reverse_access packet 17");
    let unknown = Judge::new(&law(), Own::of_addresses(&[socket(LISTENER).ip()]), BTreeMap::new());
    assert_eq!(said(&unknown, &tcp(CLIENT, "10.13.0.1:22")), "inbound not_yet packet 17");
}

#[test]
fn clear_text_where_tls_is_due_is_told_with_the_packet_of_its_first_head() {
    let head = HttpHead {
        method: Box::from("POST"),
        host: None,
        path: Box::from("/exchange/upload"),
        upgrade: false,
        packet: 23,
        at: moment("2026-11-22T02:14:08+09:00"),
    };
    let http =
        Connection { application: Application::Http, heads: vec![head], ..tcp(CLIENT, LISTENER) };
    check(&http, "inbound protocol packet 23");
    let broken = judge();
    let broken = broken.broken(&http, Reason::Protocol).expect("the encryption guardrail");
    assert_eq!((broken.guardrail, broken.clause), ("encryption", Some("4(1)イ")));
    for application in [Application::Other, Application::Upgraded] {
        check(&Connection { application, ..tcp(CLIENT, TOKYO) }, "beside protocol packet 17");
    }
    let middle = Connection { application: Application::Unknown, ..tcp(CLIENT, LISTENER) };
    check(&middle, "inbound not_yet packet 17");
}

#[test]
fn the_boxs_own_leg_is_judged_by_what_is_dialled() {
    check(&secure(LINE, TOKYO), "outbound not_yet packet 17");
    check(&tcp(LINE, TOKYO), "outbound not_yet packet 17");
    check(&secure(LINE, "10.201.1.10:443"), "outbound site_not_declared packet 17");
    check(&secure(LINE, "203.0.113.9:443"), "outbound country_unknown packet 17");
    check(&tls(LINE, TOKYO, CHUKAN, TlsVersion::Tls12), "outbound tls_version packet 20");
    check(
        &tls(LINE, TOKYO, "oqs.center.example", TlsVersion::Tls13),
        "outbound destination_not_listed packet 20",
    );
    let clock = Connection { protocol: Protocol::Udp, ..tcp(LINE, "203.0.113.9:123") };
    check(&clock, "outbound protocol packet 17");
    let mut bare = law();
    bare.rules.clear();
    let bare = Judge::new(&bare, own(), BTreeMap::new());
    assert_eq!(said(&bare, &secure(LINE, TOKYO)), "outbound unknown_source packet 17");
}

#[test]
fn what_goes_by_the_box_is_judged_as_an_imagined_flow() {
    check(&secure(CLIENT, TOKYO), "beside not_yet packet 17");
    check(&secure("10.210.0.9:1000", "10.13.10.5:443"), "beside reverse_access packet 17");
    check(&secure("10.200.1.10:1000", "10.13.10.5:443"), "beside no_rule packet 17");
    check(&secure(CLIENT, "203.0.113.9:443"), "beside country_unknown packet 17");
    check(&tls(CLIENT, TOKYO, CHUKAN, TlsVersion::Old), "beside tls_version packet 20");
    for protocol in [Protocol::Udp, Protocol::Icmp, Protocol::Esp, Protocol::Other(89)] {
        check(&Connection { protocol, ..tcp(CLIENT, TOKYO) }, "beside protocol packet 17");
    }
    let mapped = tcp("[::ffff:10.210.0.9]:1000", "[::ffff:10.13.10.5]:443");
    check(&mapped, "beside reverse_access packet 17");
}

#[test]
fn each_connection_is_judged_for_its_own_time_and_again_when_the_law_changes_under_it() {
    let early = Connection {
        at: moment("2020-06-14T23:00:00+09:00"),
        ended: moment("2020-06-14T23:30:00+09:00"),
        ..secure(CLIENT, LISTENER)
    };
    check(&early, "inbound before_connection_date packet 17");
    let date = connection_date();
    check(
        &Connection { at: date, ended: date, ..secure(CLIENT, LISTENER) },
        "inbound not_yet packet 17",
    );
    let mut model = law();
    let until = moment("2026-11-22T03:00:00+09:00");
    model.approvals.get_mut("r1-5").expect("it is there").period.until = Some(until);
    let judge = Judge::new(&model, own(), BTreeMap::new());
    let long = Connection { ended: after(until, 9), ..secure(CLIENT, LISTENER) };
    let judged = judge.judge(&long);
    assert_eq!((judged.answer.reason(), judged.at), (Some(Reason::AfterApproval), until));
    let short = Connection { ended: moment("2026-11-22T02:59:59+09:00"), ..long };
    assert_eq!(judge.judge(&short).answer.reason(), None);
}

#[test]
fn what_the_law_does_not_speak_of_is_named_by_kind() {
    let datagram = |protocol, from: &str, to: &str| Connection { protocol, ..tcp(from, to) };
    let table = [
        (datagram(Protocol::Udp, "0.0.0.0:68", "255.255.255.255:67"), Outside::Link),
        (datagram(Protocol::Udp, "255.255.255.255:68", "192.0.2.1:67"), Outside::Link),
        (datagram(Protocol::Udp, "192.0.2.9:5353", "224.0.0.251:5353"), Outside::Link),
        (datagram(Protocol::Icmp, "[fe80::1]:135", "[2001:db8::1]:136"), Outside::Link),
        (datagram(Protocol::Other(2), "192.0.2.9:0", "239.1.1.1:0"), Outside::Link),
        (datagram(Protocol::Icmp, "192.0.2.9:3", "10.13.10.5:3"), Outside::Control),
        (datagram(Protocol::Icmp, "[2001:db8::1]:2", "[2001:db8::2]:0"), Outside::Control),
        (tcp("127.0.0.1:5000", "127.0.0.1:9617"), Outside::Administration),
        (
            Connection {
                carrier: true,
                ..datagram(Protocol::Other(47), "192.0.2.1:0", "192.0.2.2:0")
            },
            Outside::Carrier,
        ),
    ];
    for (connection, kind) in table {
        let judged = judge().judge(&connection);
        assert_eq!(judged.answer, Answer::Outside(kind), "{connection:?}");
    }
    let stranger = tcp("192.0.2.9:5000", "127.0.0.1:9617");
    check(&stranger, "inbound unknown_source packet 17");
    check(
        &datagram(Protocol::Icmp, "192.0.2.9:5", "10.13.10.5:1"),
        "beside unknown_source packet 17",
    );
    check(
        &datagram(Protocol::Udp, "192.0.2.9:5", "239.1.1.1:1"),
        "beside unknown_source packet 17",
    );
}

#[test]
fn a_tunnel_of_a_system_that_may_never_initiate_is_no_mere_envelope() {
    let tunnel = Connection {
        carrier: true,
        protocol: Protocol::Udp,
        ..tcp("10.210.0.9:1000", "10.13.10.5:4789")
    };
    check(&tunnel, "beside reverse_access packet 17");
}

/// A law that lists TLS 1.2, so that certificates show.
fn older() -> Model {
    let mut law = law();
    let versions = [TlsVersion::Tls12, TlsVersion::Tls13].into();
    let what = Encryption { versions, mutual: true, passthrough: false };
    law.guardrails.encryption.as_mut().expect("it is there").what = what;
    law
}

fn showing(authority: &Authority, dns: &'static str) -> Chain {
    let leaf = authority.leaf(&[San::Dns(dns)]);
    Chain { certificates: leaf.chain().iter().map(|der| Box::from(&**der)).collect(), packet: 25 }
}

#[test]
fn a_client_certificate_that_shows_is_judged_by_the_trust_of_the_listener() {
    let authority = Authority::new("union-ca");
    let store = TrustStore::parse(authority.pem().as_bytes(), None).expect("a root");
    let trusted = Judge::new(&older(), own(), BTreeMap::from([(name("union-ca"), store)]));
    let at = now();
    let showing = |dns| Connection {
        client_chain: Some(showing(&authority, dns)),
        at,
        ended: at,
        ..tls(CLIENT, LISTENER, CHUKAN, TlsVersion::Tls12)
    };
    let none = Connection {
        client_chain: Some(Chain { certificates: Vec::new(), packet: 25 }),
        ..showing("x.example")
    };
    let table = [
        (showing("kizon.union.example"), "inbound not_yet packet 17"),
        (showing("other.example"), "inbound identity_unknown packet 25"),
        (showing("hyojun.union.example"), "inbound identity_mismatch packet 25"),
        (showing("oqs.center.example"), "inbound reverse_access packet 25"),
        (none, "inbound identity_missing packet 25"),
    ];
    for (connection, expected) in &table {
        assert_eq!(said(&trusted, connection), *expected);
    }
    // Without the trust a name is believed only against its holder.
    let untrusting = Judge::new(&older(), own(), BTreeMap::new());
    assert_eq!(
        said(&untrusting, &showing("oqs.center.example")),
        "inbound reverse_access packet 25"
    );
    assert_eq!(said(&untrusting, &showing("other.example")), "inbound not_yet packet 17");
}

#[test]
fn a_server_certificate_that_shows_has_to_be_the_destinations() {
    let authority = Authority::new("center-ca");
    let store = TrustStore::parse(authority.pem().as_bytes(), None).expect("a root");
    let judge = Judge::new(&older(), own(), BTreeMap::from([(name("center-ca"), store)]));
    let at = now();
    let showing = |dns| Connection {
        server_chain: Some(showing(&authority, dns)),
        at,
        ended: at,
        ..tls(LINE, TOKYO, CHUKAN, TlsVersion::Tls12)
    };
    assert_eq!(said(&judge, &showing("chukan.center.example")), "outbound not_yet packet 17");
    assert_eq!(
        said(&judge, &showing("oqs.center.example")),
        "outbound upstream_identity packet 25"
    );
    let stranger = Connection {
        server_chain: Some(self::showing(&Authority::new("other-ca"), "chukan.center.example")),
        ..showing("chukan.center.example")
    };
    assert_eq!(said(&judge, &stranger), "outbound upstream_identity packet 25");
}

#[test]
fn the_ledger_is_due_what_passed_through_the_box_and_what_reached_the_centre() {
    let judge = judge();
    let due =
        |connection: &Connection| judge.is_due_in_ledger(connection, judge.own().leg(connection));
    assert!(due(&secure(CLIENT, LISTENER)));
    assert!(due(&secure(LINE, TOKYO)));
    assert!(due(&secure(CLIENT, TOKYO)));
    assert!(!due(&tcp(CLIENT, TOKYO)), "nothing was said");
    assert!(!due(&secure(CLIENT, GUARD)), "the guard answers nothing");
    assert!(!due(&secure(CLIENT, "10.13.20.1:443")), "inside the union");
    assert_eq!(judge.own().leg(&secure(CLIENT, TOKYO)), Leg::Beside);
}

#[test]
fn of_a_connection_found_open_the_end_that_serves_did_not_open_it() {
    let judge = judge();
    let found_open = |from: &str, to: &str| Connection {
        inferred: true,
        application: Application::Unknown,
        bytes_to_responder: 7,
        ..tcp(from, to)
    };
    for (server, client) in [(LISTENER, CLIENT), (TOKYO, LINE), (GUARD, CLIENT)] {
        let turned = judge.oriented(found_open(server, client));
        assert_eq!((turned.initiator, turned.responder), (socket(client), socket(server)));
        assert_eq!((turned.bytes_to_initiator, turned.bytes_to_responder), (7, 0));
        let right = found_open(client, server);
        assert_eq!(judge.oriented(right.clone()), right);
        let seen = Connection { inferred: false, ..found_open(server, client) };
        assert_eq!(judge.oriented(seen.clone()), seen, "its opening was seen");
    }
    assert_eq!(
        said(&judge, &judge.oriented(found_open(TOKYO, LINE))),
        "outbound not_yet packet 17"
    );
}
