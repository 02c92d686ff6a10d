//! HTTP/2 clients that mean harm: each is ended within a bound, counted and recorded, and a neighbour does not notice.

mod frame;
mod hello;
mod record;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sekisho::lab::CHUKAN;
use sekisho::standin::Speak;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{Checkpoint, get, get_ask};
use frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, NONE, PING, PRIORITY, SETTINGS,
    WINDOW_UPDATE, field, fields, frame, odd, opening, post, reset,
};

/// How long an attack may last; no measure of speed, the machine may be busy.
const BOUND: Duration = Duration::from_secs(30);

/// How often an attack repeats itself, if it may.
const MANY: u32 = 100_000;

/// What an attack may cost in memory, coarsely: other tests run in this process.
const MEMORY_MAX: u64 = 256 << 20;

/// What the law's upstreams may see of an attack: the streams a client may have, and what it may abandon.
const REQUESTS_MAX: u64 = 300;

/// The counter of connections that were cut at a bound.
const CUT: &str = "sekisho_connections_cut_total{reason=\"limit\"}";
const CUT_LATE: &str = "sekisho_connections_cut_total{reason=\"timeout\"}";
const MALFORMED: &str = "sekisho_denials_total{reason=\"malformed_request\",stage=\"request\"}";
const LATE: &str = "sekisho_denials_total{reason=\"timeout\",stage=\"request\"}";
const TOO_LARGE: &str = "sekisho_denials_total{reason=\"limit\",stage=\"request\"}";

/// How an attack must end.
struct Due {
    /// The series that counts it.
    series: &'static str,
    /// How its connection is *closed* in the ledger.
    how: &'static str,
}

const LIMIT: Due = Due { series: CUT, how: "limit" };
const BROKEN: Due = Due { series: MALFORMED, how: "refused" };

pub(super) fn config(site: &Checkpoint) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(site.papers.pki.union.pem().as_bytes());
    roots.add(root.unwrap()).unwrap();
    let chain = CertificateDer::pem_slice_iter(site.kizon.chain.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(site.kizon.key.as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(sekisho::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

pub(super) async fn connect(site: &Checkpoint, config: ClientConfig) -> TlsStream<TcpStream> {
    let tcp = site.existing().open_tcp(site.listener()).await.unwrap();
    let name = ServerName::try_from(CHUKAN).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// Says `begin`, then what `next` makes of 0, 1, 2… as long as there is somebody, and reads all that comes. Ends when
/// the other side has ended.
async fn attack(
    stream: TlsStream<TcpStream>,
    begin: Vec<u8>,
    next: impl Fn(u32) -> Vec<u8>,
    pace: Option<Duration>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        writer.write_all(&begin).await?;
        for index in 0..MANY {
            writer.write_all(&next(index)).await?;
            if let Some(pause) = pace {
                writer.flush().await?;
                tokio::time::sleep(pause).await;
            }
        }
        writer.flush().await
    };
    let read = async {
        let mut block = vec![0; 64 << 10];
        while let Ok(1..) = reader.read(&mut block).await {}
    };
    // Whatever was written, what counts is that the other side ended it.
    let (_written, ()) = tokio::join!(write, read);
}

/// Asks over and over on two connections until `over`, so that each worker carries one; gives how often.
async fn neighbour(site: &Checkpoint, over: &Cell<bool>) -> u64 {
    let mut connections = [site.open(Speak::H2).await, site.open(Speak::Http11).await];
    let mut asked = 0;
    while !over.get() {
        for connection in &mut connections {
            let answer = connection.ask(get_ask("/exchange/x")).await.unwrap();
            assert_eq!(answer.status, 200, "a neighbour was hurt");
            asked += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    asked
}

/// Runs `attack` beside a neighbour and holds what must be true of every attack; gives how many requests it got through.
pub(super) fn beside_a_neighbour(site: &Checkpoint, attack: impl Future<Output = ()>) -> u64 {
    let (memory, before) = (resident(), site.requests());
    let asked = site.run(async {
        let over = Cell::new(false);
        let attack = async {
            let ended = tokio::time::timeout(BOUND, attack).await;
            over.set(true);
            assert!(ended.is_ok(), "nobody ended it");
        };
        let ((), asked) = tokio::join!(attack, neighbour(site, &over));
        let answer = site.open(Speak::H2).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200, "a neighbour was hurt afterwards");
        nobody_is_left(site).await;
        asked + 1
    });
    assert!(get(site.gate().admin(), "/livez").contains(" 200 "));
    let grown = resident().saturating_sub(memory);
    assert!(grown < MEMORY_MAX, "{grown} bytes more");
    site.requests() - before - asked
}

/// One attack over HTTP/2, from its first frame to its entry in the ledger.
fn check(site: &Checkpoint, due: &Due, begin: Vec<u8>, next: impl Fn(u32) -> Vec<u8>) -> u64 {
    check_paced(site, due, begin, next, None)
}

fn check_paced(
    site: &Checkpoint,
    due: &Due,
    begin: Vec<u8>,
    next: impl Fn(u32) -> Vec<u8>,
    pace: Option<Duration>,
) -> u64 {
    let (mark, counted) = (site.head(), counted_in(site, due.series));
    let passed = beside_a_neighbour(site, async {
        attack(connect(site, config(site)).await, begin, next, pace).await;
    });
    assert_eq!(counted_in(site, due.series), counted + 1, "counted once");
    let lines = site.record.since(mark).unwrap();
    let closed: Vec<_> =
        lines.iter().filter(|line| line.kind == "closed").filter_map(|l| l.fact("how")).collect();
    let ours = closed.iter().filter(|how| **how == due.how).count();
    assert_eq!(ours, 1, "its end is in the ledger: {closed:?}");
    assert!(!closed.contains(&"error"), "nothing panicked");
    assert!(passed <= REQUESTS_MAX, "{passed} requests went upstream");
    passed
}

/// Waits until the box has no client connection any more.
async fn nobody_is_left(site: &Checkpoint) {
    let mut open = usize::MAX;
    for _ in 0..500 {
        let report = site.gate().call("status").await.unwrap().status.unwrap();
        open = report.connections.open;
        if open == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{open} connections are left");
}

/// What this process holds, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn ping(_index: u32) -> Vec<u8> {
    frame(PING, NONE, 0, &[7; 8])
}

#[test]
fn a_hundred_thousand_resets_are_not_waited_for() {
    let site = Checkpoint::new();
    check(&site, &LIMIT, opening(65_535), |index| {
        [frame::get(odd(index), "/exchange/slow?head=200"), reset(odd(index))].concat()
    });
}

#[test]
fn resets_that_come_one_by_one_are_counted_too() {
    let site = Checkpoint::new();
    let pace = Some(Duration::from_millis(2));
    let next = |index: u32| {
        let last = index.checked_sub(1).map(|last| reset(odd(last))).unwrap_or_default();
        [last, frame::get(odd(index), "/exchange/slow?head=60000")].concat()
    };
    let passed = check_paced(&site, &LIMIT, opening(65_535), next, pace);
    assert!(passed > 0, "some were begun before they were reset");
}

#[test]
fn a_client_that_makes_the_box_reset_is_cut() {
    let site = Checkpoint::new();
    // What is wrong with one stream only, so that the box resets it (CVE-2025-8671).
    let beyond: fn(u32) -> Vec<u8> = |stream| {
        let window = frame(WINDOW_UPDATE, NONE, stream, &(u32::MAX >> 1).to_be_bytes());
        [frame::get(stream, "/exchange/slow?head=200"), window].concat()
    };
    let shorter: fn(u32) -> Vec<u8> = |stream| {
        let head = [fields("POST", "/exchange/upload"), field("content-length", b"9")].concat();
        let body = frame(DATA, END_STREAM, stream, b"less");
        [frame(HEADERS, END_HEADERS, stream, &head), body].concat()
    };
    let hop: fn(u32) -> Vec<u8> = |stream| {
        let head = [fields("GET", "/exchange/x"), field("connection", b"close")].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
    };
    let itself: fn(u32) -> Vec<u8> = |stream| {
        let on_itself = [&stream.to_be_bytes()[..], &[15]].concat();
        [frame::get(stream, "/exchange/slow?head=200"), frame(PRIORITY, NONE, stream, &on_itself)]
            .concat()
    };
    for (what, provoke) in [
        ("a window beyond its bound", beyond),
        ("a body shorter than it says", shorter),
        ("a field of HTTP/1.1", hop),
        ("a stream that depends on itself", itself),
    ] {
        let passed = check(&site, &LIMIT, opening(65_535), |index| provoke(odd(index)));
        assert!(passed <= REQUESTS_MAX, "{what}: {passed} requests went upstream");
    }
}

#[test]
fn a_head_in_endless_pieces_is_ended() {
    let site = Checkpoint::new();
    let begin = || {
        let head = frame(HEADERS, END_STREAM, 1, &fields("GET", "/exchange/x"));
        [opening(65_535), head].concat()
    };
    let piece = field("x-piece", b"a");
    check(&site, &LIMIT, begin(), |_| frame(CONTINUATION, NONE, 1, &piece));
    let passed = check(&site, &LIMIT, begin(), |_| frame(CONTINUATION, NONE, 1, &[]));
    assert_eq!(passed, 0);
}

#[test]
fn empty_pieces_of_a_body_are_ended() {
    let site = Checkpoint::new();
    let begin = [opening(65_535), post(1)].concat();
    check(&site, &LIMIT, begin, |_| frame(DATA, NONE, 1, &[]));
}

#[test]
fn frames_that_ask_for_nothing_are_bounded() {
    let site = Checkpoint::new();
    let floods: [fn(u32) -> Vec<u8>; 5] = [
        ping,
        |_| frame(SETTINGS, NONE, 0, &[]),
        |_| frame(PRIORITY, NONE, 1, &[0, 0, 0, 3, 15]),
        |_| frame(WINDOW_UPDATE, NONE, 0, &1u32.to_be_bytes()),
        |_| frame(77, NONE, 0, b"unheard of"),
    ];
    for flood in floods {
        let passed = check(&site, &LIMIT, opening(65_535), flood);
        assert_eq!(passed, 0);
    }
}

#[test]
fn a_flood_beside_a_request_in_flight_is_bounded_all_the_same() {
    let site = Checkpoint::new();
    let begin = [opening(65_535), frame::get(1, "/exchange/slow?head=60000")].concat();
    assert!(check(&site, &LIMIT, begin, ping) <= 1);
}

#[test]
fn streams_beyond_the_bound_are_not_begun() {
    let site = Checkpoint::limited("streams: 20");
    let begin = opening(65_535);
    let passed =
        check(&site, &LIMIT, begin, |index| frame::get(odd(index), "/exchange/slow?head=60000"));
    assert!(passed <= 20, "{passed}");
}

#[test]
fn frames_that_are_none_are_refused_with_an_entry() {
    let site = Checkpoint::new();
    for (what, bad) in [
        ("data of no stream", frame(DATA, NONE, 0, b"x")),
        ("a stream number of the server's", frame(HEADERS, END_HEADERS, 2, &[0x82])),
        ("a frame beyond the largest", frame(DATA, NONE, 1, &vec![0; 20_000])),
        ("settings of a wrong size", frame(SETTINGS, NONE, 0, &[0; 5])),
        ("an index of no table", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0x7f])),
        ("a piece of no head", frame(CONTINUATION, NONE, 1, &[0])),
        ("a window opened by nothing", frame(WINDOW_UPDATE, NONE, 1, &[0; 4])),
        (
            "data of a stream that has ended",
            [
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields("GET", "/private")),
                frame(DATA, NONE, 1, b"x"),
            ]
            .concat(),
        ),
    ] {
        let mark = site.head();
        let passed = check(&site, &BROKEN, [opening(65_535), bad].concat(), |_| Vec::new());
        assert_eq!(passed, 0, "{what}");
        let lines = site.record.since(mark).unwrap();
        let refused = lines.iter().filter(|line| line.is("refused", Some("malformed_request")));
        assert_eq!(refused.count(), 1, "{what}");
    }
}

#[test]
fn a_preface_that_never_comes_is_not_waited_for() {
    let site = Checkpoint::limited("handshake_timeout: 500ms");
    let late = Due { series: LATE, how: "refused" };
    for begin in [Vec::new(), frame::PREFACE[..23].to_vec()] {
        assert_eq!(check(&site, &late, begin, |_| Vec::new()), 0);
    }
    assert_eq!(
        check(&site, &BROKEN, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), |_| Vec::new()),
        0
    );
}

#[test]
fn a_client_that_never_opens_its_window_is_cut() {
    let site =
        Checkpoint::limited("idle_timeout: 1s, response_timeout: 1s, request_body_timeout: 1s");
    let late = Due { series: CUT_LATE, how: "timeout" };
    for (window, path) in [
        (0, "/exchange/download?bytes=20971520"),
        (0, "/exchange/x"),
        (65_535, "/exchange/download?bytes=20971520"),
    ] {
        let begin = [opening(window), frame::get(1, path)].concat();
        assert_eq!(check(&site, &late, begin, |_| Vec::new()), 1, "{path}");
    }
}

#[test]
fn a_client_that_does_not_read_at_all_is_cut() {
    let site =
        Checkpoint::limited("idle_timeout: 1s, response_timeout: 1s, request_body_timeout: 1s");
    let mark = site.head();
    let passed = beside_a_neighbour(&site, async {
        let mut stream = connect(&site, config(&site)).await;
        let wide = frame(WINDOW_UPDATE, NONE, 0, &(1u32 << 30).to_be_bytes());
        let ask = frame::get(1, "/exchange/download?bytes=20971520");
        stream.write_all(&[opening(1 << 30), wide, ask].concat()).await.unwrap();
        stream.flush().await.unwrap();
        // Where hyper has room for one more piece it sees that the stream is cut, and the connection ends idle; else the
        // connection is cut with it.
        let has_closed =
            || site.record.since(mark).unwrap().iter().any(|line| line.kind == "closed");
        while !has_closed() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let closed = site.entry(mark, "closed", None).await;
        let lines = site.record.since(mark).unwrap();
        let by_stream = lines.iter().any(|line| line.is("failed", Some("timeout")));
        assert!(by_stream || closed.fact("how") == Some("timeout"), "{}", closed.entry);
    });
    assert_eq!(passed, 1);
}

#[test]
fn a_head_that_is_too_large_is_431_and_recorded() {
    let site = Checkpoint::limited("header_size: 8KiB");
    let mark = site.head();
    let passed = beside_a_neighbour(&site, async {
        let mut stream = connect(&site, config(&site)).await;
        let head = [fields("GET", "/exchange/x"), field("x-large", &[b'a'; 9000])].concat();
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
        stream.write_all(&[opening(65_535), head].concat()).await.unwrap();
        site.entry(mark, "refused", Some("limit")).await;
    });
    assert_eq!(passed, 0);
    assert_eq!(counted_in(&site, TOO_LARGE), 1);
}

#[test]
fn heads_that_are_far_too_large_are_ended() {
    let site = Checkpoint::limited("header_size: 8KiB");
    // One field of the table, named again and again: small on the wire, large when unpacked (CVE-2016-6581).
    let mut head = fields("GET", "/exchange/x");
    head.push(0x40);
    head.extend(&field("x-large", &[b'a'; 4000])[1..]);
    head.extend([0xbe; 8000]);
    let passed = check(&site, &LIMIT, opening(65_535), |index| {
        frame(HEADERS, END_HEADERS | END_STREAM, odd(index), &head)
    });
    assert_eq!(passed, 0);
}

#[test]
fn a_client_that_is_gone_in_the_middle_of_a_body_leaves_nothing() {
    let site = Checkpoint::new();
    let mark = site.head();
    let passed = beside_a_neighbour(&site, async {
        let mut stream = connect(&site, config(&site)).await;
        let body = frame(DATA, NONE, 1, b"half");
        stream.write_all(&[opening(65_535), post(1), body].concat()).await.unwrap();
        stream.flush().await.unwrap();
        site.entry(mark, "request", None).await;
        // The socket goes without a `close_notify`.
        drop(stream);
    });
    assert!(passed <= 1);
    let lines = site.record.since(mark).unwrap();
    assert!(lines.iter().all(|line| line.fact("how") != Some("error")));
}

/// A counter as a number.
fn counted_in(site: &Checkpoint, series: &str) -> u64 {
    site.metric(series).parse().unwrap()
}
