//! What a permitted exchange carries over, and what it does not: fields, trailers, connections.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue, TE, TRAILER};
use http::{HeaderMap, Method};
use sekisho::lab::CHUKAN;
use sekisho::standin::{Ask, Content, Pattern, Speak, Talk};

use crate::fixture::{Checkpoint, SYSTEMS, get_ask, post};

const BOTH: [Speak; 2] = [Speak::Http11, Speak::H2];

fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}

fn text(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

#[test]
fn bodies_are_byte_exact_both_ways_on_both_versions() {
    const BYTES: u64 = (3 << 20) + 17;
    let site = Checkpoint::new();
    site.run(async {
        for speak in BOTH {
            let mut connection = site.open(speak).await;
            assert_eq!(connection.is_h2(), speak == Speak::H2);
            let content = Content::Pattern(Pattern::new(BYTES));
            let up = Ask::new(Method::POST, CHUKAN, "/exchange/upload").with(content);
            let answer = connection.ask(up).await.unwrap();
            let due = format!("{{\"bytes\":{BYTES},\"sha256\":\"{}\"}}\n", Pattern::sha256(BYTES));
            assert_eq!(answer.text, due);
            let down = get_ask("/exchange/download?bytes=3145745");
            let answer = connection.ask(down).await.unwrap();
            assert_eq!((answer.bytes, answer.sha256), (BYTES, Pattern::sha256(BYTES)));
        }
    });
}

#[test]
fn trailers_go_both_ways() {
    let site = Checkpoint::new();
    site.run(async {
        for speak in BOTH {
            let mut trailers = HeaderMap::new();
            trailers.insert(name("x-sum"), text("whole"));
            let content = Content::Pattern(Pattern::new(100_000).with_trailers(trailers));
            let ask = Ask::new(Method::POST, CHUKAN, "/exchange/echo").with(content);
            let ask = ask.header(TRAILER, text("x-sum")).header(TE, text("trailers"));
            let answer = site.open(speak).await.ask(ask).await.unwrap();
            assert_eq!((answer.bytes, answer.sha256), (100_000, Pattern::sha256(100_000)));
            assert_eq!(answer.trailers.get("x-sum"), Some(&text("whole")), "{speak:?}");
        }
    });
}

#[test]
fn hop_by_hop_fields_go_and_via_and_forwarded_come() {
    let site = Checkpoint::new();
    site.run(async {
        let ask = get_ask("/exchange/x")
            .header(name("connection"), text("x-private, keep-alive"))
            .header(name("x-private"), text("1"))
            .header(name("keep-alive"), text("timeout=5"))
            .header(name("proxy-connection"), text("keep-alive"))
            .header(name("forwarded"), text("for=192.0.2.1"))
            .header(name("x-forwarded-for"), text("192.0.2.1"))
            .header(name("x-kept"), text("yes"));
        let answer = site.open(Speak::Http11).await.ask(ask).await.unwrap();
        assert_eq!(answer.status, 200);
        let seen = site.center.tokyo.witness().seen();
        let fields = &seen.last().unwrap().headers;
        for gone in ["connection", "x-private", "keep-alive", "proxy-connection", "x-forwarded-for"]
        {
            assert!(!fields.contains_key(gone), "{gone}: {fields:?}");
        }
        assert_eq!(fields.get("x-kept"), Some(&text("yes")));
        let said =
            |name: &str| fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(said("via").contains("lab"), "{fields:?}");
        let source = site.ground.address(13, 5).to_string();
        assert!(
            said("forwarded").contains(&source) && !said("forwarded").contains("192.0.2.1"),
            "{fields:?}"
        );
        assert!(answer.headers.contains_key("via"), "{:?}", answer.headers);
    });
}

#[test]
fn many_requests_share_one_upstream_connection() {
    let site = Checkpoint::new();
    site.run(async {
        let mut connection = site.open(Speak::Http11).await;
        for _ in 0..30 {
            assert_eq!(
                connection.ask(post("/exchange/upload", "hello")).await.unwrap().status,
                200
            );
        }
    });
    let witness = site.center.tokyo.witness();
    assert_eq!((witness.requests(), witness.accepted()), (30, 1));
    assert_eq!(site.record.dialled().unwrap(), witness.peers());
}

#[test]
fn an_upstream_that_speaks_http_1_only_is_spoken_to_in_it() {
    let mut site = Checkpoint::new();
    site.replace_tokyo(CHUKAN, Talk::Http11);
    site.run(async {
        for speak in BOTH {
            let mut connection = site.open(speak).await;
            for _ in 0..3 {
                assert_eq!(
                    connection.ask(post("/exchange/upload", "hello")).await.unwrap().status,
                    200
                );
            }
        }
    });
    let seen = site.center.tokyo.witness().seen();
    assert!(seen.iter().all(|seen| seen.version == http::Version::HTTP_11));
}

#[test]
fn a_parked_connection_serves_the_next_request() {
    let site = Checkpoint::new();
    site.run(async {
        let mut connection = site.open(Speak::Http11).await;
        for _ in 0..3 {
            assert_eq!(
                connection.ask(post("/exchange/upload", "hello")).await.unwrap().status,
                200
            );
            // Longer than it takes to be parked: time is the event here.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    });
    assert_eq!(site.record.lines().unwrap().iter().filter(|line| line.kind == "opened").count(), 1);
}

#[test]
fn streams_of_one_connection_do_not_wait_for_each_other() {
    let site = Checkpoint::with(|folder| {
        folder.edit(SYSTEMS, "connections: 64", "connections: 8").unwrap();
    });
    site.run(async {
        let mut slow = site.open(Speak::H2).await;
        let mut quick = site.open(Speak::H2).await;
        let began = std::time::Instant::now();
        let (slow, quick) = tokio::join!(slow.ask(get_ask("/exchange/slow?head=1500")), async {
            let answer = quick.ask(get_ask("/exchange/x")).await;
            (answer, began.elapsed())
        });
        assert_eq!((slow.unwrap().status, quick.0.unwrap().status), (200, 200));
        assert!(quick.1 < Duration::from_secs(1), "{:?}", quick.1);
    });
}
