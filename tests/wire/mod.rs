//! Bytes that could be read in two ways. What counts is what the upstream saw of them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use sekisho::lab::CHUKAN;

use crate::fixture::{Checkpoint, hear, statuses};

const HOST: &str = "Host: chukan.center.example\r\n";
const SMUGGLED: &str = "GET /exchange/smuggled HTTP/1.1\r\nHost: chukan.center.example\r\n\r\n";

/// Whether a request of this target came to any of the centre's servers.
fn saw(site: &Checkpoint, target: &str) -> bool {
    site.center.tokyo.witness().seen().iter().any(|seen| seen.uri.path() == target)
}

/// Heads that two readers could take for two different things.
fn ambiguous() -> Vec<(&'static str, String)> {
    vec![
        (
            "length and coding",
            format!(
                "POST /exchange/x HTTP/1.1\r\n{HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "two lengths",
            format!(
                "POST /exchange/x HTTP/1.1\r\n{HOST}Content-Length: 0\r\nContent-Length: 4\r\n\r\n"
            ),
        ),
        (
            "the same length twice",
            format!(
                "POST /exchange/x HTTP/1.1\r\n{HOST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"
            ),
        ),
        (
            "a signed length",
            format!("POST /exchange/x HTTP/1.1\r\n{HOST}Content-Length: +0\r\n\r\n"),
        ),
        (
            "a coding after chunked",
            format!(
                "POST /exchange/x HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "a space before the colon",
            format!(
                "POST /exchange/x HTTP/1.1\r\n{HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        ("bare line feeds", "GET /exchange/x HTTP/1.1\nHost: chukan.center.example\n\n".to_owned()),
        ("one bare line feed", format!("GET /exchange/x HTTP/1.1\r\n{HOST}X: 1\nY: 2\r\n\r\n")),
        ("a folded line", format!("GET /exchange/x HTTP/1.1\r\n{HOST}X: 1\r\n 2\r\n\r\n")),
        ("two hosts", format!("GET /exchange/x HTTP/1.1\r\n{HOST}{HOST}\r\n")),
        ("no host", "GET /exchange/x HTTP/1.1\r\n\r\n".to_owned()),
        ("version 1.0", format!("GET /exchange/x HTTP/1.0\r\n{HOST}\r\n")),
        ("two spaces", format!("GET  /exchange/x HTTP/1.1\r\n{HOST}\r\n")),
        (
            "another authority",
            format!("GET https://chukei.center.example/exchange/x HTTP/1.1\r\n{HOST}\r\n"),
        ),
        ("a NUL", format!("GET /exchange/x HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n")),
        ("a raw byte in the path", format!("GET /exchange/\u{ff} HTTP/1.1\r\n{HOST}\r\n")),
    ]
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_400_and_the_end() {
    let site = Checkpoint::new();
    site.run(async {
        for (what, attempt) in ambiguous() {
            let mark = site.head();
            let heard = site.say(format!("{attempt}{SMUGGLED}").as_bytes()).await;
            assert_eq!(statuses(&heard), [400], "{what}: {heard}");
            assert!(heard.contains("\"reason\":\"malformed_request\""), "{what}: {heard}");
            site.entry(mark, "refused", Some("malformed_request")).await;
        }
        assert_eq!(site.requests(), 0);
        let mut neighbour = site.open(sekisho::standin::Speak::Http11).await;
        let answer = neighbour.ask(crate::fixture::get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200, "a well-behaved neighbour was not hurt");
    });
}

#[test]
fn a_body_is_a_body_whatever_it_looks_like() {
    let site = Checkpoint::new();
    site.run(async {
        let length = SMUGGLED.len();
        let honest = format!(
            "POST /exchange/upload HTTP/1.1\r\n{HOST}Content-Length: {length}\r\nConnection: close\r\n\r\n{SMUGGLED}"
        );
        let mark = site.head();
        let heard = site.say(honest.as_bytes()).await;
        assert_eq!(statuses(&heard), [200]);
        let closed = site.entry(mark, "closed", None).await;
        assert_eq!(closed.fact("how"), Some("client"), "it asked for the end");
        assert!(heard.contains(&format!("\"bytes\":{length},")), "{heard}");
        let chunked = format!(
            "POST /exchange/upload HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             {length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"
        );
        assert_eq!(statuses(&site.say(chunked.as_bytes()).await), [200]);
        assert_eq!(site.requests(), 2);
        assert!(!saw(&site, "/exchange/smuggled"));
    });
}

#[test]
fn a_broken_chunk_ends_everything_behind_it() {
    let site = Checkpoint::new();
    let begin =
        format!("POST /exchange/upload HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n");
    site.run(async {
        for chunk in [
            "5;a=b\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "-1\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
        ] {
            let heard = site.say(format!("{begin}{chunk}{SMUGGLED}").as_bytes()).await;
            assert!(statuses(&heard).iter().all(|status| *status == 400), "{chunk:?}: {heard}");
        }
        assert!(!saw(&site, "/exchange/smuggled"));
    });
}

#[test]
fn a_pipelined_request_behind_an_upgrade_is_judged_like_any_other() {
    let site = Checkpoint::new();
    site.run(async {
        let upgrade = format!(
            "GET /exchange/x HTTP/1.1\r\n{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        let behind = format!("DELETE /exchange/behind HTTP/1.1\r\n{HOST}\r\n");
        let mark = site.head();
        let heard = site.say(format!("{upgrade}{behind}").as_bytes()).await;
        assert!(heard.contains("\"reason\":\"upgrade\""), "{heard}");
        assert!(statuses(&heard).iter().all(|status| *status == 403), "{heard}");
        site.entry(mark, "refused", Some("upgrade")).await;
        assert_eq!(site.requests(), 0);
    });
}

#[test]
fn pipelined_requests_are_each_judged() {
    let site = Checkpoint::new();
    site.run(async {
        let good = format!("GET /exchange/x HTTP/1.1\r\n{HOST}\r\n");
        let bad = format!("GET /private HTTP/1.1\r\n{HOST}\r\n");
        let heard = site.say(format!("{good}{good}{bad}{SMUGGLED}").as_bytes()).await;
        assert_eq!(statuses(&heard), [200, 200, 403], "{heard}");
        assert_eq!(site.requests(), 2);
        assert!(!saw(&site, "/exchange/smuggled"));
    });
}

#[test]
fn the_body_of_a_refused_request_is_never_parsed_as_a_request() {
    let site = Checkpoint::new();
    site.run(async {
        let length = SMUGGLED.len() + 10;
        for body in [SMUGGLED.to_owned(), format!("{SMUGGLED}0123456789{SMUGGLED}")] {
            let refused =
                format!("POST /private HTTP/1.1\r\n{HOST}Content-Length: {length}\r\n\r\n{body}");
            let mut raw = site.existing().open_raw(site.listener(), Some(CHUKAN)).await.unwrap();
            raw.stream().write_all(refused.as_bytes()).await.unwrap();
            raw.stream().shutdown().await.unwrap();
            let heard = hear(&mut raw).await;
            assert_eq!(statuses(&heard), [403], "{heard}");
            assert!(heard.contains("\"reason\":\"path\""), "{heard}");
        }
        assert_eq!(site.requests(), 0);
    });
}

#[test]
fn an_expectation_is_answered_after_judgement() {
    let site = Checkpoint::new();
    site.run(async {
        let expecting = |path: &str| {
            format!("POST {path} HTTP/1.1\r\n{HOST}Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        };
        let mut raw = site.existing().open_raw(site.listener(), Some(CHUKAN)).await.unwrap();
        raw.stream().write_all(expecting("/exchange/upload").as_bytes()).await.unwrap();
        let mut first = [0; 25];
        raw.stream().read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
        raw.stream().write_all(b"hello").await.unwrap();
        let heard = hear(&mut raw).await;
        assert_eq!(statuses(&heard), [200], "{heard}");
        assert!(heard.contains("\"bytes\":5,"), "{heard}");
        let refused = site.say(expecting("/private").as_bytes()).await;
        assert_eq!(statuses(&refused), [403], "no `100 Continue` for what is refused: {refused}");
    });
}
