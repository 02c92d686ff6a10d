//! Whatever the wire lets pass, hyper frames the same; however the stream is cut, the outcome is the same.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HEAD_MAX, release, run};
use crate::proxy::wire::chunk::Chunked;
use crate::proxy::wire::{State, Violation, Wire};

/// One request as the wire believes it is framed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
}

/// What the wire believes of `stream`, which it lets pass: shown one byte at a time, its state says what each is.
pub(super) fn believed(stream: &[u8]) -> Vec<Seen> {
    let mut wire = Wire::new(HEAD_MAX);
    let (mut requests, mut request) = (Vec::new(), Seen::default());
    let mut from = 0;
    for shown in 1..=stream.len() {
        let (data, trailers, head) = match &wire.state {
            State::Head(_) => (false, false, true),
            State::Length(_) | State::Chunked(Chunked::Data(_)) => (true, false, false),
            State::Chunked(Chunked::Trailers(..)) => (false, true, false),
            State::Chunked(Chunked::Size | Chunked::DataEnd) | State::Broken(_) => {
                (false, false, false)
            }
        };
        let released = release(&mut wire, &stream[from..shown]).unwrap();
        let piece = &stream[from..from + released];
        from += released;
        if head && released > 0 {
            let text = String::from_utf8_lossy(piece).into_owned();
            let mut words = text.split(' ');
            request.method = words.next().unwrap().to_owned();
            request.target = words.next().unwrap().to_owned();
            let line = piece.iter().position(|byte| *byte == b'\n').unwrap();
            request.fields = fields(&piece[line + 1..]);
        }
        if data {
            request.body.extend(piece);
        }
        if trailers && released > 0 {
            request.trailers = fields(piece);
        }
        if released > 0 && wire.is_between() {
            requests.push(std::mem::take(&mut request));
        }
    }
    requests
}

fn fields(block: &[u8]) -> Vec<(String, Vec<u8>)> {
    let lines = block.split(|byte| *byte == b'\n').filter(|line| line.len() > 1);
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        (name, line[colon + 1..].trim_ascii().to_vec())
    };
    let mut fields: Vec<_> = lines.map(field).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

/// By name; those of one name in the order in which they stand.
pub(super) fn listed(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let fields = map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

type Log = Rc<RefCell<Vec<Seen>>>;

/// Notes a request whose body arrives whole; refuses every request, so that nothing is upgraded.
async fn note(log: Log, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if let Ok(body) = body.collect().await {
        let trailers = body.trailers().map(listed).unwrap_or_default();
        let target = head.uri.to_string();
        let method = head.method.to_string();
        let fields = listed(&head.headers);
        let body = body.to_bytes().to_vec();
        log.borrow_mut().push(Seen { method, target, fields, body, trailers });
    }
    Response::builder().status(403).body(Full::default()).unwrap()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// What hyper understands of `stream`, shown to it as it is.
fn understood(stream: &[u8]) -> (Vec<Seen>, String) {
    let log = Log::default();
    let answers = current_thread().block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(stream).await.unwrap();
        client.shutdown().await.unwrap();
        let service = service_fn(|request| {
            let log = Rc::clone(&log);
            async move { Ok::<_, Infallible>(note(log, request).await) }
        });
        drop(
            http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(server), service)
                .await,
        );
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        String::from_utf8(answers).unwrap()
    });
    (log.take(), answers)
}

#[test]
fn a_target_is_never_longer_than_hyper_takes() {
    let text =
        |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    let passes = |length| release(&mut Wire::new(1 << 20), text(length).as_bytes());
    assert!(passes(65_534).is_ok());
    assert_eq!(passes(65_535).unwrap_err().violation, Violation::TargetTooLong);
    assert_eq!(understood(text(65_534).as_bytes()).0.len(), 1);
}

/// A request of the grammar, mostly well-formed.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "OPTIONS", "M-SEARCH", "CONNECT"]);
    let target = prop_oneof![
        8 => "/[a-zA-Z0-9%;./?~\\-\\[\\]{}|^\\\\@:]{0,20}",
        1 => Just("*".to_owned()),
        1 => Just("https://a.example:1/x".to_owned()),
        1 => Just("a.example:1".to_owned()),
    ];
    let fields = prop::collection::vec(
        prop::sample::select(vec![
            "Accept: */*",
            "X-Empty:",
            "TE: trailers",
            "Trailer: x-sum",
            "X: \u{3042}",
            "Upgrade: h2c",
            "Expect: 100-continue",
            "Cookie: a=b; c=d",
            "x_y: z",
            "Content-Type: text/csv; charset=\"x\"",
        ]),
        0..4,
    );
    let body = prop_oneof![
        3 => Just(Vec::new()),
        3 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|body| {
            let mut text = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
            text.extend(body);
            text
        }),
        3 => (prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..4), any::<bool>())
            .prop_map(|(chunks, trailers)| {
                let mut text = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
                for chunk in chunks {
                    text.extend(format!("{:X}\r\n", chunk.len()).bytes());
                    text.extend(chunk);
                    text.extend(b"\r\n");
                }
                text.extend(if trailers { &b"0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n"[..] } else { b"0\r\n\r\n" });
                text
            }),
    ];
    (method, target, fields, body).prop_map(|(method, target, fields, body)| {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a.example:1\r\n").into_bytes();
        text.extend(fields.iter().flat_map(|field| [field, "\r\n"]).flat_map(str::bytes));
        text.extend(if body.is_empty() { b"\r\n".to_vec() } else { body });
        text
    })
}

/// Requests one behind the other, with a few bytes of them changed to what smugglers like.
pub(super) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let nasty = prop::sample::select(vec![
        "\r",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\0",
        ":",
        ";",
        ",",
        "0",
        "1",
        "f",
        "chunked",
        "GET / HTTP/1.1\r\n",
        "\u{3042}",
        "Content-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: b\r\n",
        "\r\n\r\n",
        "-",
        "_",
        "/",
    ]);
    let change = (any::<prop::sample::Index>(), any::<bool>(), 0..3_usize, nasty);
    (prop::collection::vec(request(), 1..4), prop::collection::vec(change, 0..3)).prop_map(
        |(requests, changes)| {
            let mut bytes = requests.concat();
            for (index, at_line, removed, put) in changes {
                let anywhere = index.index(bytes.len());
                let at = if at_line { line_start(&bytes, anywhere) } else { anywhere };
                let end = if at_line { at } else { (at + removed).min(bytes.len()) };
                bytes.splice(at..end, put.bytes());
            }
            bytes
        },
    )
}

/// Where the first line behind `from` begins, so that a whole field can be put there.
fn line_start(bytes: &[u8], from: usize) -> usize {
    let end = bytes[from..].windows(2).position(|pair| pair == b"\r\n");
    end.map_or(from, |end| from + end + 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_passes_hyper_frames_the_same(stream in stream()) {
        let released = run(&stream, &[]).released;
        let believed = believed(&released);
        let (understood, answers) = understood(&released);
        prop_assert_eq!(&understood, &believed, "{}", String::from_utf8_lossy(&released));
        // hyper has refused nothing by itself.
        for status in ["400", "414", "431"] {
            prop_assert!(!answers.contains(&format!("HTTP/1.1 {status}")), "{}", answers);
        }
    }

    #[test]
    fn however_the_stream_is_cut_the_outcome_is_the_same(
        stream in stream(),
        cuts in prop::collection::vec(0..400_usize, 0..12),
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let whole = run(&stream, &[]);
        prop_assert_eq!(&run(&stream, &cuts), &whole);
        prop_assert_eq!(&run(&stream, &(0..stream.len()).collect::<Vec<_>>()), &whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let outcome = run(&bytes, &[50, 100]);
        prop_assert!(outcome.released.len() <= bytes.len());
    }
}
