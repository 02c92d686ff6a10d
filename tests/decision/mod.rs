//! One table of decisions, run over every protocol, before and after a reload: no path of the data plane goes without
//! judgement.

use sekisho::lab::{CHUKAN, CHUKEI, KIZON, OQS, TANMATSU, issue};
use sekisho::standin::{Issued, Order, Speak};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{COUNCIL, Checkpoint, assert_refused, get_ask, hours, post};

/// A way through the data path, and who is at home on it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http(Speak),
    Tls,
}

impl Way {
    const ALL: [Self; 3] = [Self::Http(Speak::Http11), Self::Http(Speak::H2), Self::Tls];

    const fn right(self) -> (&'static str, &'static str, (u8, u8)) {
        match self {
            Self::Http(_) => (KIZON, CHUKAN, (13, 5)),
            Self::Tls => (TANMATSU, CHUKEI, (14, 5)),
        }
    }

    const fn wrong(self) -> &'static str {
        match self {
            Self::Http(_) => TANMATSU,
            Self::Tls => KIZON,
        }
    }
}

/// What is shown on a way, from where, under which name.
struct Case {
    shown: Option<Issued>,
    from: (u8, u8),
    name: Option<&'static str>,
    /// Nothing where it passes.
    due: Option<&'static str>,
}

fn cases(site: &Checkpoint, way: Way) -> Vec<Case> {
    let (union, center) = (&site.papers.pki.union, &site.papers.pki.center);
    let (right, name, from) = way.right();
    let shown = |names: &[&str]| Some(issue(union, names).unwrap());
    let dated = |from, until| {
        let names = [sekisho::flow::Identity::parse(right).unwrap()];
        Some(union.issue(&Order::new(&names).valid(hours(from), hours(until))).unwrap())
    };
    let case = |shown, due| Case { shown, from, name: Some(name), due };
    vec![
        case(shown(&[right]), None),
        case(None, Some("identity_missing")),
        case(shown(&[way.wrong()]), Some("identity_mismatch")),
        case(shown(&[right, way.wrong()]), Some("identity_mismatch")),
        case(shown(&[right, "dns:nobody.example"]), None),
        case(shown(&["dns:nobody.example"]), Some("identity_unknown")),
        case(shown(&[right, OQS]), Some("reverse_access")),
        case(Some(issue(center, &[OQS]).unwrap()), Some("reverse_access")),
        case(Some(issue(center, &[right]).unwrap()), Some("certificate_invalid")),
        case(Some(issue(&site.papers.pki.rogue, &[right]).unwrap()), Some("certificate_invalid")),
        case(dated(-48, -1), Some("certificate_expired")),
        case(dated(1, 48), Some("certificate_expired")),
        Case { from: (99, 9), ..case(shown(&[right]), Some("unknown_source")) },
        Case { from: (210, 9), ..case(shown(&[right]), Some("reverse_access")) },
        Case {
            name: Some("nobody.center.example"),
            ..case(shown(&[right]), Some("unknown_destination"))
        },
        Case { name: None, ..case(shown(&[right]), Some("host_mismatch")) },
        Case {
            name: Some("oqs.center.example"),
            ..case(shown(&[right]), Some("destination_not_listed"))
        },
    ]
}

/// Tries one case; whether it passed is what comes back from the centre, why not is what the ledger says.
async fn check(site: &Checkpoint, way: Way, case: &Case, when: &str) {
    let mark = site.head();
    let client = site.client(case.from, case.shown.as_ref());
    let (to, name) = (site.listener(), case.name);
    let passed = match way {
        Way::Http(speak) => match client.open(to, name, speak).await {
            Ok(mut connection) => match connection.ask(get_ask("/exchange/x")).await {
                Ok(answer) if answer.status == 200 => true,
                Ok(answer) => {
                    assert_eq!(answer.reason.as_deref(), case.due, "{when} {way:?}");
                    false
                }
                Err(_closed) => false,
            },
            Err(_closed) => false,
        },
        Way::Tls => match client.open_raw(to, name).await {
            Ok(raw) => raw.exchange(1).await.is_ok_and(|back| back.bytes > 0),
            Err(_closed) => false,
        },
    };
    assert_eq!(passed, case.due.is_none(), "{when} {way:?} due {:?}", case.due);
    if let Some(reason) = case.due {
        let line = site.entry(mark, "refused", Some(reason)).await;
        assert_eq!(line.entry["verdict"], "deny", "{when} {way:?}");
    }
}

#[test]
fn the_same_table_holds_on_every_protocol_and_after_a_reload() {
    let site = Checkpoint::new();
    site.run(async {
        for when in ["at first", "after a reload"] {
            if when == "after a reload" {
                site.folder.edit(COUNCIL, "section: 保険部", "section: 改・保険部").unwrap();
                assert!(!site.reload().await.is_refused());
            }
            for way in Way::ALL {
                for case in cases(&site, way) {
                    check(&site, way, &case, when).await;
                }
            }
        }
    });
}

#[test]
fn an_unknown_source_is_closed_before_tls() {
    let site = Checkpoint::new();
    site.run(async {
        for (from, to, reason) in [
            ((99, 9), (0, 1), "unknown_source"),
            ((210, 9), (0, 1), "reverse_access"),
            ((210, 9), (200, 2), "reverse_access"),
            ((13, 5), (200, 2), "listener"),
        ] {
            let mark = site.head();
            let mut stream =
                site.client(from, None).open_tcp(site.ground.socket(to.0, to.1)).await.unwrap();
            let mut heard = Vec::new();
            // A reset is an end too; a byte is not.
            drop(stream.read_to_end(&mut heard).await);
            assert_eq!(heard, b"", "{reason}");
            let line = site.entry(mark, "refused", Some(reason)).await;
            assert_eq!(line.entry["stage"], "arrival");
        }
    });
}

#[test]
fn the_hundredth_request_is_judged_like_the_first() {
    let site = Checkpoint::new();
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            let mut connection = site.open(speak).await;
            for _ in 0..99 {
                assert_eq!(connection.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
            }
            let before = site.requests();
            let answer = connection.ask(post("/private/x", "no")).await.unwrap();
            assert_refused(&answer, 403, "path");
            assert_eq!(site.requests(), before);
        }
    });
}

#[test]
fn a_request_is_refused_for_what_it_asks_and_the_upstream_hears_nothing() {
    let site = Checkpoint::new();
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            for (method, name, target, status, reason) in [
                ("DELETE", CHUKAN, "/exchange/x", 403, "method"),
                ("GET", CHUKAN, "/private", 403, "path"),
                ("GET", CHUKAN, "/exchange", 403, "path"),
                ("DELETE", CHUKAN, "/private", 403, "no_rule"),
                ("GET", CHUKEI, "/exchange/x", 421, "host_mismatch"),
                ("GET", CHUKAN, "/exchange/../private", 400, "malformed_request"),
                ("GET", CHUKAN, "/exchange/%2e%2e/private", 400, "malformed_request"),
                ("GET", CHUKAN, "/exchange//x", 400, "malformed_request"),
                ("GET", CHUKAN, "/exchange/a%2Fb", 400, "malformed_request"),
                ("GET", CHUKAN, "/exchange/a%5Cb", 400, "malformed_request"),
                ("GET", CHUKAN, "/exchange/a%00b", 400, "malformed_request"),
            ] {
                let mark = site.head();
                let mut connection = site.open(speak).await;
                let ask = sekisho::standin::Ask::new(method.parse().unwrap(), name, target);
                let answer = connection.ask(ask).await.unwrap();
                assert_refused(&answer, status, reason);
                let line = site.entry(mark, "refused", Some(reason)).await;
                let reference = format!("{}-{}", line.entry["boot"], line.seq);
                assert_eq!(answer.reference, Some(reference), "{method} {target}");
            }
        }
        assert_eq!(site.requests(), 0);
    });
}

#[test]
fn while_draining_what_is_in_flight_ends_whole_and_nothing_new_passes() {
    for speak in [Speak::Http11, Speak::H2] {
        drain(speak);
    }
}

fn drain(speak: Speak) {
    let mut site = Checkpoint::new();
    site.run(async {
        let mut busy = site.open(speak).await;
        let mut relay = site.open_relay().await;
        relay.stream().write_all(b"a").await.unwrap();
        let (answer, ()) = tokio::join!(busy.ask(get_ask("/exchange/slow?head=400")), async {
            site.entry(0, "request", None).await;
            site.gate().drain();
        });
        assert_eq!(answer.unwrap().status, 200);
        let before = site.requests();
        let late = busy.ask(get_ask("/exchange/x")).await;
        assert!(late.is_err() || late.is_ok_and(|answer| answer.status == 503));
        assert_eq!(site.requests(), before);
        assert!(
            site.existing().open_tcp(site.listener()).await.is_err(),
            "nobody listens any more"
        );
    });
    site.stop();
    let lines = site.record.lines().unwrap();
    assert_eq!(lines.last().unwrap().kind, "stop");
    let opened = lines.iter().filter(|line| line.kind == "opened").count();
    assert_eq!(lines.iter().filter(|line| line.kind == "closed").count(), opened);
}
