//! The public format, line by line: these texts are a contract.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{at, entry, name};
use crate::flow::TlsVersion;
use crate::ledger::entry::{ClientFacts, RequestFacts};
use crate::ledger::{Body, ConnectionId, Entry, PolicyDigest, line};
use crate::policy::Masked;
use crate::verdict::{Allowed, Denied, Near, NotYet, Reason, Stage, Verdict};

fn check(body: Body, rest: &str) {
    let mut rendered = Vec::new();
    let entry = Entry { connection: Some(ConnectionId(5)), ..entry(body) };
    line::render(&mut rendered, &entry, false);
    let mut whole = Vec::new();
    line::number(&mut whole, 48_213, 17, &rendered);
    let whole = String::from_utf8(whole).unwrap();
    let (head, tail) = whole.split_once(r#","kind":"#).unwrap();
    assert_eq!(head, r#"{"seq":48213,"boot":17,"at":"2026-11-22T02:14:08.000000Z""#);
    let law = format!(r#","connection":5,"policy":"{}""#, "4f".repeat(32));
    assert_eq!(tail.replacen(&law, "", 1), format!("{rest}}}\n"));
    serde_json::from_str::<serde_json::Value>(&whole).unwrap();
}

fn own(text: &'static str) -> Masked {
    Masked::own(text)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn allow() -> Verdict {
    let endpoint = address("10.200.1.10:443");
    Verdict::Allow(Allowed {
        rule: name("register"),
        system: name("intermediate-server"),
        endpoint,
        would_deny: None,
    })
}

fn facts() -> ClientFacts {
    ClientFacts {
        source: address("10.13.10.5:40112"),
        to_address: address("10.13.0.1:8443"),
        listener: name("union-lan"),
        system: Some(name("existing-system")),
        server_name: Some(own("chukan.center.example")),
        tls: Some(TlsVersion::Tls13),
        identities: Some(vec![own("dns:kizon.union.example")]),
        not_after: Some(at(0)),
    }
}

fn request() -> RequestFacts {
    RequestFacts {
        method: own("POST"),
        host: Some(own("intermediate-server")),
        path: own("/exchange/*"),
    }
}

#[test]
fn the_life_of_the_process() {
    check(
        Body::Start { version: "0.1.0", appliance: name("kouiki-edge-1") },
        r#""start","facts":{"format":"sekisho.ledger/1","version":"0.1.0","appliance":"kouiki-edge-1"}"#,
    );
    check(Body::Stop { cause: own("signal") }, r#""stop","facts":{"cause":"signal"}"#);
    let offered = Some(PolicyDigest([0xab; 32]));
    check(
        Body::Policy {
            accepted: false,
            offered,
            was: None,
            changes: Vec::new(),
            origin: own("disk"),
            faults: 2,
            first: vec![own("no system")],
        },
        &format!(
            r#""policy","facts":{{"accepted":false,"offered":"{}","origin":"disk","faults":2,"first":["no system"]}}"#,
            "ab".repeat(32)
        ),
    );
}

#[test]
fn what_is_done_to_the_process_and_what_is_missing() {
    let offered = Some(PolicyDigest([0xab; 32]));
    check(
        Body::Policy {
            accepted: true,
            offered,
            was: Some(PolicyDigest([0xcd; 32])),
            changes: vec![
                own("rule `register`: paths"),
                own("certificate `union-facing`: replaced"),
            ],
            origin: own("disk"),
            faults: 0,
            first: Vec::new(),
        },
        &format!(
            r#""policy","facts":{{"accepted":true,"offered":"{}","was":"{}","changes":["rule `register`: paths","certificate `union-facing`: replaced"],"origin":"disk","faults":0}}"#,
            "ab".repeat(32),
            "cd".repeat(32)
        ),
    );
    check(
        Body::Operation {
            call: own("reload"),
            uid: Some(0),
            pid: Some(77),
            outcome: own("refused"),
            detail: Vec::new(),
        },
        r#""operation","facts":{"call":"reload","uid":0,"pid":77,"outcome":"refused"}"#,
    );
    check(
        Body::Operation {
            call: own("prune"),
            uid: None,
            pid: None,
            outcome: own("done"),
            detail: vec![Masked::entries(1, 123_456_789_018)],
        },
        r#""operation","facts":{"call":"prune","outcome":"done","detail":["entries 1 to 123456789018"]}"#,
    );
    check(
        Body::Probe {
            probe: own("foreign_endpoint"),
            outcome: own("passed"),
            expected: own("outside_country"),
            happened: own("outside_country"),
            clause: Some(own("4(1)ア(ア)～(ウ)")),
            entries: Some((48_205, 48_212)),
            detail: None,
        },
        r#""probe","facts":{"probe":"foreign_endpoint","outcome":"passed","expected":"outside_country","happened":"outside_country","clause":"4(1)ア(ア)～(ウ)","first_entry":48205,"last_entry":48212}"#,
    );
    check(
        Body::Gap { lost: Some(3), since: Some(at(0)), cut: None, cause: own("unwritable") },
        r#""gap","facts":{"lost":3,"since":"2026-11-22T02:14:07.000000Z","cause":"unwritable"}"#,
    );
}

#[test]
fn the_life_of_a_connection() {
    let verdict = Verdict::NotYet(NotYet { stage: Stage::Identity, rule: None });
    check(
        Body::Opened { facts: Box::new(facts()), verdict },
        r#""opened","stage":"identity","verdict":"not_yet","facts":{"source":"10.13.10.5:40112","to_address":"10.13.0.1:8443","listener":"union-lan","system":"existing-system","server_name":"chukan.center.example","tls":"1.3","identities":["dns:kizon.union.example"],"not_after":"2026-11-22T02:14:07.000000Z"}"#,
    );
    check(
        Body::Dialled {
            system: name("intermediate-server"),
            endpoint: address("10.200.1.10:443"),
            local: address("10.200.0.2:50100"),
            site: Some(name("tokyo")),
            verdict: allow(),
        },
        r#""dialled","stage":"dial","verdict":"allow","rule":"register","facts":{"system":"intermediate-server","endpoint":"10.200.1.10:443","local":"10.200.0.2:50100","site":"tokyo"}"#,
    );
    check(
        Body::Request {
            facts: request(),
            endpoint: address("[2001:db8::1]:443"),
            verdict: allow(),
        },
        r#""request","stage":"dial","verdict":"allow","rule":"register","facts":{"method":"POST","host":"intermediate-server","path":"/exchange/*","endpoint":"[2001:db8::1]:443"}"#,
    );
    check(
        Body::Closed {
            to_upstream: 8_388_608,
            to_client: 0,
            duration: Duration::from_millis(1250),
            how: own("client"),
            outcomes: BTreeMap::from([(200, 3), (404, 1)]),
        },
        r#""closed","facts":{"to_upstream":8388608,"to_client":0,"duration":1.250000,"how":"client","outcomes":{"200":3,"404":1}}"#,
    );
}

#[test]
fn what_was_refused_or_failed() {
    let nearest =
        vec![Near { rule: name("register"), stopped_by: vec![Reason::Method, Reason::Path] }];
    let denied = Denied { nearest, ..Denied::plain(Reason::NoRule, Stage::Request) };
    check(
        Body::Refused {
            client: None,
            request: Some(request()),
            endpoint: None,
            verdict: Verdict::Deny(denied),
            detail: Some(own("a\nb")),
        },
        r#""refused","stage":"request","verdict":"deny","reason":"no_rule","facts":{"method":"POST","host":"intermediate-server","path":"/exchange/*","detail":"a\u000ab","nearest":[{"rule":"register","stopped_by":["method","path"]}]}"#,
    );
    let bare = ClientFacts {
        system: None,
        server_name: None,
        tls: None,
        identities: Some(Vec::new()),
        not_after: None,
        ..facts()
    };
    check(
        Body::Refused {
            client: Some(Box::new(bare)),
            request: None,
            endpoint: None,
            verdict: Verdict::Deny(Denied::plain(Reason::IdentityMissing, Stage::Identity)),
            detail: None,
        },
        r#""refused","stage":"identity","verdict":"deny","reason":"identity_missing","facts":{"source":"10.13.10.5:40112","to_address":"10.13.0.1:8443","listener":"union-lan","identities":[]}"#,
    );
    check(
        Body::Failed {
            reason: Reason::UpstreamUnreachable,
            stage: Stage::Dial,
            rule: Some(name("register")),
            endpoint: Some(address("10.200.1.10:443")),
            detail: None,
        },
        r#""failed","stage":"dial","reason":"upstream_unreachable","rule":"register","facts":{"endpoint":"10.200.1.10:443"}"#,
    );
    check(
        Body::Summary { source: None, reason: None, count: 9, since: at(0) },
        r#""summary","facts":{"count":9,"since":"2026-11-22T02:14:07.000000Z"}"#,
    );
}

#[test]
fn what_a_self_test_left_is_flagged_behind_its_kind() {
    let mut rendered = Vec::new();
    let body = Body::Stop { cause: own("drained") };
    line::render(&mut rendered, &entry(body), true);
    let text = String::from_utf8(rendered).unwrap();
    assert!(text.contains(r#""kind":"stop","selftest":true,"policy":""#), "{text}");
}
