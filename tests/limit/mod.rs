//! The bounds of the box: each is reached, answered, recorded and counted, and others go on.

use std::time::{Duration, Instant};

use http::Method;
use sekisho::lab::CHUKAN;
use sekisho::standin::{Ask, Content, Pattern, Speak};
use tokio::io::AsyncWriteExt;

use crate::fixture::{Checkpoint, assert_refused, get_ask, hear, statuses};

const HOST: &str = "Host: chukan.center.example\r\n";

#[test]
fn connections_beyond_the_bound_are_turned_away_and_the_others_stay() {
    for limits in ["connections: 3", "connections_per_source: 3"] {
        let site = Checkpoint::limited(limits);
        site.run(async {
            let mut held = Vec::new();
            for _ in 0..3 {
                let mut connection = site.open(Speak::Http11).await;
                assert_eq!(connection.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
                held.push(connection);
            }
            let over = site.existing().open(site.listener(), Some(CHUKAN), Speak::Http11).await;
            assert!(over.is_err(), "{limits}");
            let line = site.entry(0, "refused", Some("limit")).await;
            assert_eq!(line.entry["stage"], "accept");
            for connection in &mut held {
                assert_eq!(connection.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
            }
            drop(held.pop());
            site.entry(0, "closed", None).await;
            let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
            assert_eq!(answer.status, 200, "a place was given back");
        });
        assert_eq!(site.metric("sekisho_denials_total{reason=\"limit\",stage=\"accept\"}"), "1");
    }
}

#[test]
fn a_head_that_is_too_large_is_431() {
    let site = Checkpoint::limited("header_size: 8KiB");
    site.run(async {
        let request = format!("GET /exchange/x HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "a".repeat(9000));
        let heard = site.say(request.as_bytes()).await;
        assert_eq!(statuses(&heard), [431], "{heard}");
        site.entry(0, "refused", Some("limit")).await;
        let endless = format!("GET /exchange/x HTTP/1.1\r\n{HOST}{}", "X: a\r\n".repeat(5000));
        assert_eq!(statuses(&site.say(endless.as_bytes()).await), [431]);
        assert_eq!(site.requests(), 0);
    });
}

#[test]
fn a_head_that_does_not_end_is_408() {
    let site = Checkpoint::limited("handshake_timeout: 400ms");
    site.run(async {
        let mut raw = site.existing().open_raw(site.listener(), Some(CHUKAN)).await.unwrap();
        raw.stream().write_all(b"GET /exchange/x HTTP/1.1\r\nHost: chu").await.unwrap();
        let began = Instant::now();
        let heard = hear(&mut raw).await;
        assert_eq!(statuses(&heard), [408], "{heard}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        site.entry(0, "refused", Some("timeout")).await;
    });
}

#[test]
fn a_handshake_that_does_not_end_is_closed_and_counted() {
    let site = Checkpoint::limited("handshake_timeout: 300ms");
    site.run(async {
        let mut tcp = site.existing().open_tcp(site.listener()).await.unwrap();
        tcp.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
        let mut heard = Vec::new();
        drop(tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut heard).await);
        assert_eq!(heard, b"");
        site.entry(0, "refused", Some("timeout")).await;
    });
    assert_eq!(
        site.metric("sekisho_handshake_failures_total{reason=\"timeout\",side=\"client\"}"),
        "1"
    );
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let site = Checkpoint::limited("request_body_timeout: 400ms");
    site.run(async {
        let mut raw = site.existing().open_raw(site.listener(), Some(CHUKAN)).await.unwrap();
        let request =
            format!("POST /exchange/upload HTTP/1.1\r\n{HOST}Content-Length: 10\r\n\r\nhalf");
        raw.stream().write_all(request.as_bytes()).await.unwrap();
        let heard = hear(&mut raw).await;
        assert_eq!(statuses(&heard), [408], "{heard}");
    });
}

#[test]
fn a_slow_body_that_keeps_coming_is_no_fault() {
    let site = Checkpoint::limited("request_body_timeout: 1s");
    site.run(async {
        let body = Content::Pattern(Pattern::new(600_000).paced(Duration::from_millis(200)));
        let ask = Ask::new(Method::POST, CHUKAN, "/exchange/upload").with(body);
        let answer = site.open(Speak::Http11).await.ask(ask).await.unwrap();
        assert!(answer.text.contains(&Pattern::sha256(600_000)), "{}", answer.text);
    });
}

#[test]
fn an_upstream_that_does_not_answer_is_504_and_a_slow_one_is_waited_for() {
    let site = Checkpoint::limited("response_timeout: 500ms");
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            let mark = site.head();
            let answer =
                site.open(speak).await.ask(get_ask("/exchange/slow?head=5000")).await.unwrap();
            assert_refused(&answer, 504, "timeout");
            site.entry(mark, "failed", Some("timeout")).await;
            let answer =
                site.open(speak).await.ask(get_ask("/exchange/slow?head=100")).await.unwrap();
            assert_eq!(answer.status, 200);
        }
    });
}

#[test]
fn an_idle_connection_is_closed_and_its_end_is_in_the_ledger() {
    let site = Checkpoint::limited("idle_timeout: 1s");
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            let mark = site.head();
            let mut connection = site.open(speak).await;
            assert_eq!(connection.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
            let closed = site.entry(mark, "closed", None).await;
            assert_eq!(closed.fact("how"), Some("idle"), "{speak:?}");
        }
        let mark = site.head();
        let mut relay = site.open_relay().await;
        relay.stream().write_all(b"a").await.unwrap();
        let closed = site.entry(mark, "closed", None).await;
        assert_eq!(closed.fact("how"), Some("idle"));
    });
}

#[test]
fn places_at_an_endpoint_are_waited_for_and_then_refused() {
    let site = Checkpoint::with(|folder| {
        crate::fixture::limit(folder, "connect_timeout: 400ms");
        folder.edit(crate::fixture::SYSTEMS, "connections: 64", "connections: 1").unwrap();
    });
    site.run(async {
        let mut held = site.open_relay().await;
        held.stream().write_all(b"a").await.unwrap();
        site.entry(0, "dialled", None).await;
        let mark = site.head();
        let second = site.open_relay().await.exchange(1).await;
        assert!(second.map_or(true, |back| back.bytes == 0));
        site.entry(mark, "refused", Some("limit")).await;
        drop(held);
        site.entry(mark, "closed", None).await;
        assert!(site.open_relay().await.exchange(1).await.unwrap().whole);
    });
}

#[test]
fn a_client_that_resets_stream_after_stream_is_closed_and_its_neighbour_is_not() {
    let site = Checkpoint::new();
    site.run(async {
        let (mut hostile, mut neighbour) = (site.open(Speak::H2).await, site.open(Speak::H2).await);
        let mut resets = 0;
        loop {
            let asked = hostile.ask(get_ask("/exchange/slow?head=20000"));
            if matches!(tokio::time::timeout(Duration::from_millis(5), asked).await, Ok(Err(_))) {
                break;
            }
            resets += 1;
            assert!(resets < 1000, "still open after so many resets");
        }
        let closed = site.entry(0, "closed", None).await;
        assert_eq!(closed.fact("how"), Some("limit"));
        let answer = neighbour.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200);
    });
    assert!(site.requests() < 300, "{} requests went upstream", site.requests());
}
