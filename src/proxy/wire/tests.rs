//! The wire and its guard against a corpus of smuggling, against every split of the stream, and against hyper itself.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::chunk::Chunked;
use super::{
    Answer, Ending, FIELDS_MAX, Guard, Late, Patience, Place, State, Violation, Watch, Wire,
};

const HEAD_MAX: usize = 4096;

/// What a stream of bytes comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Outcome {
    released: Vec<u8>,
    breach: Option<(Violation, Place)>,
}

/// Shows `stream` to a wire in pieces that end at `cuts`.
fn run(stream: &[u8], cuts: &[usize]) -> Outcome {
    let mut wire = Wire::new(HEAD_MAX);
    let mut outcome = Outcome::default();
    let mut shown = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        shown = shown.max(end.min(stream.len()));
        loop {
            let from = outcome.released.len();
            match wire.release(&stream[from..shown]) {
                Ok(0) => break,
                Ok(more) => outcome.released.extend(&stream[from..from + more]),
                Err(breach) => {
                    outcome.breach = Some((breach.violation, breach.place));
                    return outcome;
                }
            }
        }
    }
    outcome
}

/// One request as the wire believes it is framed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    method: String,
    target: String,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

/// What the wire believes of `stream`, which it lets pass: shown one byte at a time, its state says what each is.
fn believed(stream: &[u8]) -> Vec<Seen> {
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
        let released = wire.release(&stream[from..shown]).unwrap();
        let piece = &stream[from..from + released];
        from += released;
        if head && released > 0 {
            let text = String::from_utf8_lossy(piece).into_owned();
            let mut words = text.split(' ');
            request.method = words.next().unwrap().to_owned();
            request.target = words.next().unwrap().to_owned();
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
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        (name, line[colon + 1..].trim_ascii().to_vec())
    };
    lines.map(field).collect()
}

fn listed(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

type Log = Rc<RefCell<Vec<Seen>>>;

/// Notes a request whose body arrives whole; refuses every request, so that nothing is upgraded.
async fn note(log: Log, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if let Ok(body) = body.collect().await {
        let trailers = body.trailers().map(listed).unwrap_or_default();
        let target = head.uri.to_string();
        let method = head.method.to_string();
        let body = body.to_bytes().to_vec();
        log.borrow_mut().push(Seen { method, target, body, trailers });
    }
    Response::builder().status(403).body(Full::default()).unwrap()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// What hyper understands of `stream`, shown to it without a guard.
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

fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn what_two_readers_could_frame_differently_is_refused_by_its_name() {
    use Violation as V;
    let many = "x: y\r\n".repeat(FIELDS_MAX);
    let long = "a".repeat(HEAD_MAX);
    let head = |text: &str| text.replace('~', "\r\nHost: a\r\n");
    let table: Vec<(String, Violation)> = [
        // A smuggler's classics.
        (
            "POST / HTTP/1.1~Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            V::LengthAndCoding,
        ),
        (
            "POST / HTTP/1.1~Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            V::LengthAndCoding,
        ),
        ("POST / HTTP/1.1~Content-Length: 4\r\nContent-Length: 4\r\n\r\n", V::LengthRepeated),
        ("POST / HTTP/1.1~Content-Length: 4\r\nContent-Length: 5\r\n\r\n", V::LengthRepeated),
        ("POST / HTTP/1.1~Content-Length: 4, 4\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length: +4\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length: -4\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length: 0x4\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length: 04\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length: 4 4\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length:\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content-Length: 18446744073709551616\r\n\r\n", V::LengthForm),
        ("POST / HTTP/1.1~Content_Length: 4\r\n\r\n", V::FieldName),
        ("POST / HTTP/1.1~Transfer_Encoding: chunked\r\n\r\n", V::FieldName),
        (
            "POST / HTTP/1.1~Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            V::Coding,
        ),
        ("POST / HTTP/1.1~Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding: xchunked\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding: identity\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding: gzip, chunked\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding: chunked, chunked\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding: \"chunked\"\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding: chunked;q=1\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding:\r\n\r\n", V::Coding),
        ("POST / HTTP/1.1~Transfer-Encoding:\x0bchunked\r\n\r\n", V::Control),
        ("POST / HTTP/1.1~Transfer-Encoding : chunked\r\n\r\n", V::SpaceBeforeColon),
        ("POST / HTTP/1.1~Transfer-Encoding\t: chunked\r\n\r\n", V::SpaceBeforeColon),
        ("POST / HTTP/1.1~ Transfer-Encoding: chunked\r\n\r\n", V::Fold),
        ("POST / HTTP/1.1~X: a\r\n Transfer-Encoding: chunked\r\n\r\n", V::Fold),
        ("POST / HTTP/1.1~X: a\r\n\tb\r\n\r\n", V::Fold),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", V::Fold),
        ("POST / HTTP/1.0~Transfer-Encoding: chunked\r\n\r\n", V::Version),
        ("GET / HTTP/1.0~\r\n", V::Version),
        ("GET / HTTP/1.2~\r\n", V::Version),
        ("GET / HTTP/2.0~\r\n", V::Version),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", V::Version),
        ("GET /\r\n\r\n", V::RequestLine),
        ("GET / http/1.1~\r\n", V::RequestLine),
        ("GET / HTTP/1.1 ~\r\n", V::RequestLine),
        ("GET  / HTTP/1.1~\r\n", V::RequestLine),
        ("GET /  HTTP/1.1~\r\n", V::RequestLine),
        ("GET / x HTTP/1.1~\r\n", V::RequestLine),
        ("GET\t/\tHTTP/1.1~\r\n", V::RequestLine),
        (" GET / HTTP/1.1~\r\n", V::Method),
        ("\r\nGET / HTTP/1.1~\r\n", V::RequestLine),
        ("G@T / HTTP/1.1~\r\n", V::RequestLine),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1~\r\n", V::Method),
        // Lines.
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", V::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", V::BareLineFeed),
        ("GET / HTTP/1.1~\n", V::BareLineFeed),
        ("GET / HTTP/1.1~X: a\nContent-Length: 9\r\n\r\n", V::BareLineFeed),
        ("GET / HTTP/1.1~X: a\rContent-Length: 9\r\n\r\n", V::BareCarriageReturn),
        ("GET / HTTP/1.1~X: a\r\r\n\r\n", V::BareCarriageReturn),
        ("GET / HTTP/1.1~\r\r\n", V::BareCarriageReturn),
        ("GET / HTTP/1.1~X: a\0b\r\n\r\n", V::Control),
        ("GET / HTTP/1.1~X: a\x7f\r\n\r\n", V::Control),
        ("GET / HTTP/1.1~X\0: a\r\n\r\n", V::FieldName),
        ("GET / HTTP/1.1~X\r\n\r\n", V::FieldName),
        ("GET / HTTP/1.1~: a\r\n\r\n", V::FieldName),
        ("GET / HTTP/1.1~X y: a\r\n\r\n", V::SpaceBeforeColon),
        ("GET / HTTP/1.1~あ: a\r\n\r\n", V::FieldName),
        // Targets and hosts.
        ("GET /あ HTTP/1.1~\r\n", V::Target),
        ("GET /a\0 HTTP/1.1~\r\n", V::Target),
        ("GET /a#b HTTP/1.1~\r\n", V::Target),
        ("GET /<a> HTTP/1.1~\r\n", V::Target),
        ("GET a HTTP/1.1~\r\n", V::Target),
        ("GET * HTTP/1.1~\r\n", V::Target),
        ("GET a:443 HTTP/1.1~\r\n", V::Target),
        ("GET http://a/ HTTP/1.1~\r\n", V::Target),
        ("GET https://a HTTP/1.1~\r\n", V::Target),
        ("GET https://u@a/ HTTP/1.1~\r\n", V::Target),
        ("GET https:///x HTTP/1.1~\r\n", V::Target),
        ("GET https://b/ HTTP/1.1~\r\n", V::HostDiffers),
        ("GET https://a:443/ HTTP/1.1~\r\n", V::HostDiffers),
        ("CONNECT / HTTP/1.1~\r\n", V::Target),
        ("CONNECT b HTTP/1.1~\r\n", V::HostDiffers),
        ("CONNECT a HTTP/1.1~Content-Length: 3\r\n\r\n", V::ConnectBody),
        ("CONNECT a HTTP/1.1~Content-Length: 0\r\n\r\n", V::ConnectBody),
        ("CONNECT a HTTP/1.1~Transfer-Encoding: chunked\r\n\r\n", V::ConnectBody),
        ("GET / HTTP/1.1\r\n\r\n", V::HostMissing),
        ("GET https://a/ HTTP/1.1\r\n\r\n", V::HostMissing),
        ("GET / HTTP/1.1~Host: a\r\n\r\n", V::HostRepeated),
        ("GET / HTTP/1.1~hOST: b\r\n\r\n", V::HostRepeated),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", V::HostForm),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", V::HostForm),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", V::HostForm),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", V::HostForm),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", V::HostForm),
        ("GET / HTTP/1.1~Expect: 200-ok\r\n\r\n", V::Expectation),
        ("GET / HTTP/1.1~Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", V::Expectation),
    ]
    .map(|(text, violation)| (head(text), violation))
    .into_iter()
    .chain([
        (head(&format!("GET / HTTP/1.1~{many}\r\n")), V::TooManyFields),
        (head(&format!("GET /{long} HTTP/1.1~\r\n")), V::HeadTooLarge),
        (head(&format!("GET / HTTP/1.1~X: {long}\r\n\r\n")), V::HeadTooLarge),
        (long, V::HeadTooLarge),
    ])
    .collect();
    for (text, violation) in table {
        let due = Outcome { released: Vec::new(), breach: Some((violation, Place::Head)) };
        assert_eq!(run(text.as_bytes(), &[]), due, "{text:?}");
        // Behind another request, and one byte at a time, it is the same.
        let first = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
        let both = format!("{first}{text}");
        let due = Outcome { released: first.into(), ..due };
        assert_eq!(run(both.as_bytes(), &(0..both.len()).collect::<Vec<_>>()), due, "{text:?}");
    }
}

#[test]
fn a_chunk_that_two_readers_could_read_differently_is_refused_by_its_name() {
    use Violation as V;
    let full = format!("0\r\nX: {}\r\n\r\n", "a".repeat(9000));
    let many = format!("0\r\n{}\r\n", "X: a\r\n".repeat(33));
    let table: &[(&str, &str, Violation)] = &[
        ("", "3;x=y\r\nabc\r\n", V::ChunkExtension),
        ("", "3 \r\nabc\r\n", V::ChunkExtension),
        ("", "3\nabc\r\n", V::BareLineFeed),
        ("", "3\rabc\r\n", V::BareCarriageReturn),
        ("", "\r\n3\r\nabc\r\n", V::ChunkSize),
        ("", " 3\r\nabc\r\n", V::ChunkSize),
        ("", "0x3\r\nabc\r\n", V::ChunkSize),
        ("", "+3\r\nabc\r\n", V::ChunkSize),
        ("", "g\r\n", V::ChunkSize),
        ("", "0000000000000003\r\nabc\r\n", V::ChunkSize),
        ("", "ffffffffffffffff\r\n", V::ChunkSize),
        ("3\r\nabc", "d\r\n0\r\n\r\n", V::ChunkEnd),
        ("3\r\nabc", "\n0\r\n\r\n", V::ChunkEnd),
        ("3\r\nabc", "\r3\r\n", V::ChunkEnd),
        ("3\r\nabc\r\n", "-1\r\n", V::ChunkSize),
        ("0\r\n", "\n", V::BareLineFeed),
        ("0\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", V::SpaceBeforeColon),
        ("0\r\n", "Content-Length: 3\r\n\r\n", V::TrailerName),
        ("0\r\n", "X: y\r\nTransfer-Encoding: chunked\r\n\r\n", V::TrailerName),
        ("0\r\n", "Transfer_encoding: chunked\r\n\r\n", V::TrailerName),
        ("0\r\n", "HOST: b\r\n\r\n", V::TrailerName),
        ("0\r\n", "X: y\n\r\n", V::BareLineFeed),
        ("0\r\n", " X: y\r\n\r\n", V::Fold),
        ("0\r\n", "X : y\r\n\r\n", V::SpaceBeforeColon),
        ("0\r\n", "X: \0\r\n\r\n", V::Control),
        ("0\r\n", full.strip_prefix("0\r\n").unwrap(), V::TrailerTooLarge),
        ("0\r\n", many.strip_prefix("0\r\n").unwrap(), V::TrailerTooLarge),
    ];
    for (good, bad, violation) in table {
        let good = chunked(good);
        let due = Outcome {
            released: good.clone().into_bytes(),
            breach: Some((*violation, Place::Body)),
        };
        let stream = format!("{good}{bad}");
        assert_eq!(run(stream.as_bytes(), &[]), due, "{bad:?}");
        assert_eq!(run(stream.as_bytes(), &(0..stream.len()).collect::<Vec<_>>()), due, "{bad:?}");
    }
}

#[test]
fn what_well_behaved_clients_send_passes_whole() {
    let table = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /a?b=[c]&d={e}|f HTTP/1.1\r\nhost:\ta.example:8443 \r\nAccept:\r\nX: \u{3042}\tb\r\n\r\n".into(),
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n".into(),
        "GET https://A.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n".into(),
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\nabc".into(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into(),
        chunked("3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n").replace("chunked", "Chunked"),
        chunked("0\r\nX-Digest: abc\r\n\r\n"),
    ];
    for text in &table {
        let due = Outcome { released: text.clone().into_bytes(), breach: None };
        assert_eq!(run(text.as_bytes(), &[]), due, "{text:?}");
    }
    let all = table.concat();
    assert_eq!(run(all.as_bytes(), &[]).released, all.as_bytes());
    assert_eq!(believed(all.as_bytes()).len(), table.len());
}

#[test]
fn a_head_of_the_largest_size_passes_and_one_byte_more_does_not() {
    let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    for (size, passes) in [(HEAD_MAX, true), (HEAD_MAX + 1, false)] {
        let filler = "x".repeat(size - frame.len());
        let text = frame.replace("X: ", &format!("X: {filler}"));
        let outcome = run(text.as_bytes(), &[]);
        assert_eq!(outcome.released.len() == size, passes);
        assert_eq!(outcome.breach.is_none(), passes);
    }
}

#[test]
fn a_target_is_never_longer_than_hyper_takes() {
    let text = |length| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    let release = |length| Wire::new(1 << 20).release(text(length).as_bytes());
    assert!(release(65_534).is_ok());
    assert_eq!(release(65_535).unwrap_err().violation, Violation::TargetTooLong);
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
        fields.iter().for_each(|field| text.extend(format!("{field}\r\n").bytes()));
        text.extend(if body.is_empty() { b"\r\n".to_vec() } else { body });
        text
    })
}

/// Requests one behind the other, with a few bytes of them changed to what smugglers like.
fn stream() -> impl Strategy<Value = Vec<u8>> {
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
    let change = (any::<prop::sample::Index>(), 0..3_usize, nasty);
    (prop::collection::vec(request(), 1..4), prop::collection::vec(change, 0..3)).prop_map(
        |(requests, changes)| {
            let mut bytes = requests.concat();
            for (index, removed, put) in changes {
                let at = index.index(bytes.len());
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, put.bytes());
            }
            bytes
        },
    )
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

// The guard, under a real hyper.

/// A body that holds the answer until hyper has taken it.
struct Reply {
    data: Option<Bytes>,
    _answer: Answer,
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }
}

/// The guard over a duplex whose other end is the client.
fn guarded(space: usize) -> (DuplexStream, Guard<DuplexStream>) {
    let (client, server) = tokio::io::duplex(space);
    (client, Guard::new(server, HEAD_MAX))
}

/// Serves until hyper ends; `/slow` takes a second, `/large` answers 1 MiB, `/unread` does not look at its body.
/// Gives back the guard and the targets that were asked, with `!` where the body failed.
async fn serve(guard: Guard<DuplexStream>) -> (Guard<DuplexStream>, Vec<String>) {
    let exchange = Rc::clone(guard.exchange());
    let log = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let (answer, log) = (exchange.answer(), Rc::clone(&log));
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            log.borrow_mut().push(path.clone());
            if path == "/slow" {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let failed = path != "/unread" && request.into_body().collect().await.is_err();
            if failed {
                log.borrow_mut().push("!".into());
            }
            let status = if failed { 400 } else { 200 };
            let data = if path == "/large" { "x".repeat(1 << 20) } else { path };
            let reply = Reply { data: Some(Bytes::from(data)), _answer: answer };
            Ok::<_, Infallible>(Response::builder().status(status).body(reply).unwrap())
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(guard), service);
    let _ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let guard = connection.into_parts().io.into_inner();
    (guard, log.take())
}

/// Sends `requests`, serves them, lets the connection's task answer a breach of a head; what the client reads.
async fn converse(requests: &[u8], space: usize) -> (String, Vec<String>, Option<Violation>) {
    let (mut client, guard) = guarded(space);
    let server = async {
        let (guard, log) = serve(guard).await;
        let breach = guard.exchange().breach();
        let mut stream = guard.into_inner();
        if let Some(breach) = breach.filter(|breach| breach.place == Place::Head) {
            let text = format!("HTTP/1.1 {} Refused\r\n\r\n", breach.violation.status());
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        (log, breach.map(|breach| breach.violation))
    };
    let client = async {
        client.write_all(requests).await.unwrap();
        // A reader that is late: answers wait in hyper's buffer.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut text = Vec::new();
        client.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    let ((log, breach), text) = tokio::join!(server, client);
    (text, log, breach)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_after_the_earlier_answers_and_cuts_none() {
    for path in ["/", "/slow", "/large"] {
        for space in [64, 4096, 1 << 22] {
            let requests =
                format!("{}{}GET / HTTP/1.0\r\n\r\n{}", get("/"), get(path), get("/never"));
            let (text, log, breach) =
                converse(requests.as_bytes(), space.max(requests.len())).await;
            assert_eq!(log, ["/", path]);
            assert_eq!(breach, Some(Violation::Version));
            assert!(text.ends_with("HTTP/1.1 400 Refused\r\n\r\n"), "{path}");
            assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
            let length = if path == "/large" { 1 << 20 } else { path.len() };
            let (_, body) =
                text.rsplit_once("HTTP/1.1 200").unwrap().1.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.find("HTTP/1.1 400"), Some(length));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_the_rules_fails_in_the_service_which_answers() {
    let requests = format!("{}zz\r\n{}", chunked("3\r\nabc\r\n"), get("/never"));
    let (text, log, breach) = converse(requests.as_bytes(), 4096).await;
    assert_eq!(log, ["/", "!"]);
    assert_eq!(breach, Some(Violation::ChunkSize));
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1);
    assert!(text.starts_with("HTTP/1.1 400"));
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_an_upgrade_are_judged_like_any_request() {
    let upgrade = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let good = format!("{upgrade}{}", get("/next"));
    let (_, log, breach) = converse(format!("{good}x").as_bytes(), 4096).await;
    assert_eq!((log, breach), (vec!["/up".into(), "/next".into()], None));
    let (_, log, breach) = converse(format!("{upgrade}smuggled\n").as_bytes(), 4096).await;
    assert_eq!((log, breach), (vec!["/up".into()], Some(Violation::BareLineFeed)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_read_is_never_taken_for_a_request() {
    let body = get("/smuggled").repeat(4000);
    let head =
        format!("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let (_, log, breach) = converse(format!("{head}{body}").as_bytes(), 1 << 20).await;
    assert_eq!((log, breach), (vec!["/unread".into()], None));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_says_where_it_was() {
    let table = [
        (get("/"), Ending::Clean),
        (format!("{}GET", get("/")), Ending::InHead),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab".into(), Ending::InBody),
        (chunked("3\r\nabc\r\n0\r\n"), Ending::InBody),
        (chunked("3\r\nabc\r\n0\r\n\r\n"), Ending::Clean),
    ];
    for (text, ending) in table {
        let (mut client, guard) = guarded(4096);
        let client = async {
            client.write_all(text.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.shutdown().await.unwrap();
        };
        let ((guard, _), ()) = tokio::join!(serve(guard), client);
        assert_eq!(guard.exchange().ending(), Some(ending), "{text:?}");
        assert_eq!(guard.exchange().breach(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_the_service() {
    let (mut client, guard) = guarded(4096);
    client.write_all(get("/slow").as_bytes()).await.unwrap();
    drop(client);
    let begun = tokio::time::Instant::now();
    let (guard, log) = serve(guard).await;
    assert_eq!(log, ["/slow"]);
    assert_eq!(guard.exchange().ending(), Some(Ending::Clean));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_parked_without_a_buffer_and_comes_back() {
    let (mut client, mut guard) = guarded(4096);
    for _ in 0..3 {
        assert!(guard.is_idle());
        assert_eq!(guard.held.capacity(), 0);
        client.write_all(get("/").as_bytes()).await.unwrap();
        assert!(guard.arrived().await.unwrap());
        assert!(!guard.is_idle());
        guard = park(guard).await;
        let mut answer = [0; 4096];
        let length = client.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
    }
    drop(client);
    assert!(!guard.arrived().await.unwrap());
    assert_eq!(guard.exchange().ending(), Some(Ending::Clean));
}

/// Serves one request and takes hyper down when the client has been idle for a second.
async fn park(guard: Guard<DuplexStream>) -> Guard<DuplexStream> {
    let exchange = Rc::clone(guard.exchange());
    let service = service_fn(|_: Request<Incoming>| {
        let reply = Reply { data: Some(Bytes::from("x")), _answer: exchange.answer() };
        Box::pin(async move { Ok::<_, Infallible>(Response::new(reply)) })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(guard), service);
    tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended.unwrap(),
        () = tokio::time::sleep(Duration::from_secs(1)) => {
            assert!(exchange.idle_since().is_some());
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await.unwrap();
        }
    }
    let parts = connection.into_parts();
    assert!(parts.read_buf.is_empty());
    parts.io.into_inner()
}

const PATIENCE: Patience = Patience {
    idle: Duration::from_secs(300),
    head: Duration::from_secs(10),
    write: Duration::from_secs(60),
};

/// Serves a client that does `deeds`: what it was late for, and after how many seconds.
async fn late(space: usize, deeds: impl AsyncFnOnce(DuplexStream) -> DuplexStream) -> (Late, u64) {
    let (client, guard) = guarded(space);
    let watch = Watch::new(Rc::clone(guard.exchange()), PATIENCE);
    let begun = tokio::time::Instant::now();
    let server = async {
        tokio::select! {
            biased;
            _ = serve(guard) => unreachable!("the client stays"),
            late = watch => (late, begun.elapsed().as_secs()),
        }
    };
    let (late, _client) = tokio::join!(server, deeds(client));
    late
}

#[tokio::test(start_paused = true)]
async fn a_client_is_late_for_what_it_does_not_do() {
    let nothing = late(4096, async |client| client).await;
    assert_eq!(nothing, (Late::Idle, 300));
    let after_one = late(4096, async |mut client| {
        tokio::time::sleep(Duration::from_secs(200)).await;
        client.write_all(get("/slow").as_bytes()).await.unwrap();
        client
    });
    assert_eq!(after_one.await, (Late::Idle, 501));
    let dribbling = late(4096, async |mut client| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        for byte in get("/").bytes().take(20) {
            client.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(9)).await;
        }
        client
    });
    assert_eq!(dribbling.await, (Late::Head, 30));
    let not_reading = late(256, async |mut client| {
        client.write_all(get("/large").as_bytes()).await.unwrap();
        client
    });
    assert_eq!(not_reading.await, (Late::Write, 60));
}
