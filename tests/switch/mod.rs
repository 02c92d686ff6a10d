//! A switch of protocols: judged like any request, nothing of the other protocol before the upstream has taken it, and
//! a relay after it that the law can still end.

use std::time::Duration;

use sekisho::lab::CHUKAN;
use sekisho::standin::{Raw, Speak};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{Checkpoint, PATIENCE, RULES, get_ask, hear, statuses};

const HTTP: &str = "http: { methods: [GET, POST, PUT], paths: [\"/exchange/**\"] }";

/// The lab with `upgrade: true` on its first rule.
fn switching() -> Checkpoint {
    Checkpoint::with(|folder| {
        folder.edit(RULES, HTTP, &format!("{HTTP}\n    upgrade: true")).unwrap();
    })
}

fn asking(target: &str, protocol: &str) -> String {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {CHUKAN}\r\n");
    head + &format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
}

/// Reads until what was heard holds `end`.
async fn hear_until(raw: &mut Raw, end: &str) -> String {
    let (mut heard, mut block) = (Vec::new(), [0; 4096]);
    let all = async {
        while !String::from_utf8_lossy(&heard).contains(end) {
            match raw.stream().read(&mut block).await {
                Ok(length @ 1..) => heard.extend_from_slice(&block[..length]),
                Ok(_) | Err(_) => break,
            }
        }
    };
    let _late = tokio::time::timeout(PATIENCE, all).await;
    String::from_utf8_lossy(&heard).into_owned()
}

async fn open(site: &Checkpoint) -> Raw {
    site.existing().open_raw(site.listener(), Some(CHUKAN)).await.unwrap()
}

#[test]
fn what_stands_behind_an_upgrade_goes_upstream_only_after_the_101() {
    let site = switching();
    site.run(async {
        let mut raw = open(&site).await;
        let asked = asking("/exchange/switch?head=400", "echo");
        raw.stream().write_all(format!("{asked}early").as_bytes()).await.unwrap();
        let witness = site.center.tokyo.witness();
        // Time is the event here: the upstream has the head and has not answered yet.
        while witness.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!((witness.requests(), witness.received()), (1, 0));
        let heard = hear_until(&mut raw, "early").await;
        assert!(heard.starts_with("HTTP/1.1 101 "), "{heard}");
        assert!(heard.to_ascii_lowercase().contains("\r\nupgrade: echo\r\n"), "{heard}");
        assert!(heard.ends_with("\r\n\r\nearly"), "{heard}");
        raw.stream().write_all(b"GET /exchange/later HTTP/1.1\r\n\r\n").await.unwrap();
        let heard = hear_until(&mut raw, "\r\n\r\n").await;
        assert_eq!(heard, "GET /exchange/later HTTP/1.1\r\n\r\n", "bytes, and no request any more");
        assert_eq!(witness.requests(), 1);
    });
}

#[test]
fn an_upgrade_that_is_not_taken_leaves_what_stands_behind_it_to_be_judged() {
    let site = switching();
    site.run(async {
        let behind = format!("DELETE /exchange/behind HTTP/1.1\r\nHost: {CHUKAN}\r\n");
        let behind = behind + "Connection: close\r\n\r\n";
        let mark = site.head();
        let heard = site.say(format!("{}{behind}", asking("/exchange/x", "echo")).as_bytes()).await;
        assert_eq!(statuses(&heard), [200, 403], "{heard}");
        site.entry(mark, "refused", Some("method")).await;
        let seen = site.center.tokyo.witness().seen();
        assert_eq!(seen.iter().map(|seen| seen.uri.path()).collect::<Vec<_>>(), ["/exchange/x"]);
    });
}

#[test]
fn another_http_is_not_switched_to() {
    let site = switching();
    site.run(async {
        for protocol in ["h2c", "HTTP/2.0", "echo, h2c", "TLS/1.0", ","] {
            let heard = site.say(asking("/exchange/switch", protocol).as_bytes()).await;
            assert_eq!(statuses(&heard), [400], "{protocol}: {heard}");
        }
        let unnamed =
            format!("GET /exchange/switch HTTP/1.1\r\nHost: {CHUKAN}\r\nUpgrade: echo\r\n\r\n");
        assert_eq!(statuses(&site.say(unnamed.as_bytes()).await), [400]);
        assert_eq!(site.requests(), 0);
    });
}

#[test]
fn a_switch_has_a_connection_of_its_own_and_its_entries() {
    let site = switching();
    site.run(async {
        let mut neighbour = site.open(Speak::Http11).await;
        assert_eq!(neighbour.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        let mark = site.head();
        let mut raw = open(&site).await;
        raw.stream().write_all(asking("/exchange/switch", "echo").as_bytes()).await.unwrap();
        assert!(hear_until(&mut raw, "\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
        raw.stream().write_all(b"hello").await.unwrap();
        assert_eq!(hear_until(&mut raw, "hello").await, "hello");
        raw.stream().shutdown().await.unwrap();
        hear(&mut raw).await;
        site.entry(mark, "dialled", None).await;
        site.entry(mark, "request", None).await;
        let closed = site.entry(mark, "closed", None).await;
        assert_eq!(closed.entry["facts"]["outcomes"]["101"], 1, "{}", closed.entry);
        assert_eq!(closed.entry["facts"]["to_upstream"], 5, "{}", closed.entry);
        assert_eq!(neighbour.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        site.wait_metric("sekisho_requests_total{code=\"101\",rule=\"register\"}", "1");
    });
    assert_eq!(site.record.dialled().unwrap(), site.center.tokyo.witness().peers());
    assert_eq!(site.center.tokyo.witness().accepted(), 2);
}

#[test]
fn a_law_that_no_longer_permits_the_switch_ends_it_and_hurts_nobody_else() {
    let site = switching();
    site.run(async {
        let mut neighbour = site.open(Speak::Http11).await;
        assert_eq!(neighbour.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        let mut raw = open(&site).await;
        raw.stream().write_all(asking("/exchange/switch", "echo").as_bytes()).await.unwrap();
        assert!(hear_until(&mut raw, "\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
        let mark = site.head();
        site.folder.edit(RULES, "\n    upgrade: true", "").unwrap();
        site.reload().await;
        assert_eq!(hear(&mut raw).await, "");
        site.entry(mark, "refused", Some("upgrade")).await;
        let closed = site.entry(mark, "closed", None).await;
        assert_eq!(closed.fact("how"), Some("upgrade"), "{}", closed.entry);
        assert_eq!(neighbour.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
    });
}
