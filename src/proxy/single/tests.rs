//! Exchanges over a pipe: what is written, what is made of an answer, and whether the connection serves again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Context;

use http::header::{HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::LocalSet;

use super::{Broken, Quiet, Single};
use crate::proxy::outgoing::tests::Pieces;

impl Quiet for DuplexStream {
    fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        Pin::new(self).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// What came of an exchange.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    status: u16,
    body: String,
    trailers: usize,
    broken: Option<Broken>,
    serves_again: bool,
}

fn get() -> Request<Pieces> {
    ask(Method::GET, "/a?b=c", &[], Pieces::default())
}

fn ask(
    method: Method,
    target: &str,
    fields: &[(&'static str, &str)],
    body: Pieces,
) -> Request<Pieces> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    request
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, work)
}

async fn exchange(single: &mut Single<DuplexStream, Pieces>, request: Request<Pieces>) -> Outcome {
    let mut outcome = Outcome::default();
    let (head, body) = request.into_parts();
    match single.send(&head, body).await {
        Ok(head) => outcome.status = head.status.as_u16(),
        Err(broken) => return Outcome { broken: Some(broken), ..outcome },
    }
    while let Some(frame) = poll_fn(|cx| single.poll_frame(cx)).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => outcome.body.push_str(std::str::from_utf8(&data).unwrap()),
            Ok(Err(trailers)) => outcome.trailers = trailers.into_trailers().unwrap().len(),
            Err(broken) => return Outcome { broken: Some(broken), ..outcome },
        }
    }
    assert!(single.is_end_stream());
    outcome.serves_again = single.settle() && single.is_quiet();
    outcome
}

/// Asks once; `answer` is written in pieces of `size` bytes, then the upstream closes where `closes`.
fn answered(request: Request<Pieces>, answer: &str, size: usize, closes: bool) -> Outcome {
    run(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut single = Single::new(ours);
        let speak = async {
            let mut asked = vec![0; 1 << 12];
            let _length = theirs.read(&mut asked).await.unwrap();
            for piece in answer.as_bytes().chunks(size) {
                theirs.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            (!closes).then_some(theirs)
        };
        let (outcome, _held) = tokio::join!(exchange(&mut single, request), speak);
        outcome
    })
}

fn whole(status: u16, body: &str, serves_again: bool) -> Outcome {
    Outcome { status, body: body.to_owned(), serves_again, ..Outcome::default() }
}

#[test]
fn an_answer_is_framed_as_its_head_says_however_it_is_cut_up() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", whole(200, "abc", true)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", whole(200, "", true)),
        ("HTTP/1.1 204 No Content\r\n\r\n", whole(204, "", true)),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", whole(304, "", true)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            whole(200, "abcde", true),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", whole(200, "", true)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
            whole(200, "a", true),
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x, Close\r\n\r\nab",
            whole(200, "ab", false),
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab", whole(200, "ab", false)),
        ("HTTP/1.1 200 OK\ncontent-length: 2\n\nab", whole(200, "ab", true)),
        (
            "HTTP/1.1 299 \r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nab",
            whole(299, "ab", true),
        ),
    ];
    for (answer, expected) in cases {
        for size in [1, 2, 7, 4096] {
            assert_eq!(answered(get(), answer, size, false), expected, "{answer:?} by {size}");
        }
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let answer = "HTTP/1.1 200 OK\r\n\r\nabc";
    assert_eq!(answered(get(), answer, 5, true), whole(200, "abc", false));
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_says() {
    let head = || ask(Method::HEAD, "/", &[], Pieces::default());
    for said in ["content-length: 9", "transfer-encoding: chunked"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{said}\r\n\r\n");
        assert_eq!(answered(head(), &answer, 9, false), whole(200, "", true), "{said}");
    }
}

#[test]
fn trailers_follow_the_last_chunk() {
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: 1\r\ny: 2\r\n\r\n";
    for size in [1, 5, 4096] {
        let expected = Outcome { trailers: 2, ..whole(200, "a", true) };
        assert_eq!(answered(get(), answer, size, false), expected, "by {size}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_not_read() {
    let broken = [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 2 OK\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
    ];
    for answer in broken {
        for size in [1, 4096] {
            let expected = Outcome { broken: Some(Broken::Malformed), ..Outcome::default() };
            assert_eq!(answered(get(), answer, size, false), expected, "{answer:?} by {size}");
        }
    }
}

#[test]
fn a_body_that_breaks_its_own_framing_breaks_off() {
    let cases = [
        ("content-length: 4", "abc", true, Broken::Cut),
        ("transfer-encoding: chunked", "5\r\nabc", true, Broken::Cut),
        ("transfer-encoding: chunked", "3\r\nabc", true, Broken::Cut),
        ("transfer-encoding: chunked", "3\r\nabcXY", false, Broken::Malformed),
        ("transfer-encoding: chunked", "xyz\r\n", false, Broken::Malformed),
        // Read as a size of 0, these would make a whole body of one that was cut short.
        ("transfer-encoding: chunked", "3\r\nabc\r\n\r\n\r\n", false, Broken::Malformed),
        ("transfer-encoding: chunked", " \r\n\r\n", false, Broken::Malformed),
        ("transfer-encoding: chunked", ";x\r\n\r\n", false, Broken::Malformed),
        ("transfer-encoding: chunked", "3\nabc\r\n", false, Broken::Malformed),
        ("transfer-encoding: chunked", "3;a\nb\r\nabc\r\n", false, Broken::Malformed),
        ("transfer-encoding: chunked", "11112222333344445\r\n", false, Broken::Malformed),
        ("transfer-encoding: chunked", "0\r\na b\r\n\r\n", false, Broken::Malformed),
    ];
    for (field, body, closes, broken) in cases {
        let answer = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{body}");
        let outcome = answered(get(), &answer, 4096, closes);
        assert_eq!((outcome.status, outcome.broken), (200, Some(broken)), "{body:?}");
    }
}

#[test]
fn bounds_end_what_has_none() {
    let endless_head = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(17);
    for answer in [endless_head, many, interim] {
        let outcome = answered(get(), &answer, 4096, false);
        assert_eq!(outcome.broken, Some(Broken::Malformed));
    }
    let bodies = [
        format!("1;{}", "x".repeat(2_000)),
        format!("1;{}\r\na\r\n", "x".repeat(2_000)),
        format!("1;{}\r\na\r\n", "x".repeat(900)).repeat(20),
        format!("0\r\na: {}", "x".repeat(20_000)),
        format!("0\r\na: {}\r\n\r\n", "x".repeat(20_000)),
    ];
    for body in bodies {
        for size in [512, 4096, 1 << 15] {
            let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
            assert_eq!(answered(get(), &answer, size, false).broken, Some(Broken::Malformed));
        }
    }
}

#[test]
fn only_what_closed_before_its_first_byte_was_not_answered() {
    let broken = |answer| answered(get(), answer, 4096, true).broken;
    assert_eq!(broken(""), Some(Broken::Unanswered));
    assert_eq!(broken("H"), Some(Broken::Cut));
    assert_eq!(broken("HTTP/1.1 103 Early Hints\r\n\r\n"), Some(Broken::Cut));
}

#[test]
fn words_behind_an_answer_or_before_a_question_end_its_use() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na";
    let unasked = format!("{answer}HTTP/1.1 200 OK\r\n");
    assert_eq!(answered(get(), &unasked, 4096, false), whole(200, "a", false));
    run(async {
        for closes in [false, true] {
            let (ours, mut theirs) = tokio::io::duplex(1 << 10);
            let single = Single::<_, Pieces>::new(ours);
            assert!(single.is_quiet());
            if closes {
                drop(theirs);
            } else {
                theirs.write_all(b"x").await.unwrap();
            }
            assert!(!single.is_quiet());
        }
    });
}

/// What an upstream reads of `request` that it answers at its end.
fn sent(request: Request<Pieces>) -> String {
    run(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let mut single = Single::new(ours);
        let hear = async {
            let mut heard = vec![0; 1 << 16];
            let mut length = 0;
            // Whatever leaves, leaves before the answer is waited for.
            while let Ok(read) = tokio::time::timeout(
                std::time::Duration::from_millis(20),
                theirs.read(&mut heard[length..]),
            )
            .await
            {
                length += read.unwrap();
            }
            theirs.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            (String::from_utf8(heard[..length].to_vec()).unwrap(), theirs)
        };
        let (outcome, (heard, _theirs)) = tokio::join!(exchange(&mut single, request), hear);
        assert_eq!(outcome, whole(204, "", true));
        heard
    })
}

#[test]
fn a_request_leaves_with_its_fields_and_a_body_that_ends_where_it_says() {
    let put = |fields: &[(&'static str, &str)], pieces: &[&'static str]| {
        sent(ask(Method::PUT, "/x", fields, Pieces::of(pieces)))
    };
    let host = ("host", "a.example");
    assert_eq!(sent(get()), "GET /a?b=c HTTP/1.1\r\n\r\n");
    assert_eq!(
        put(&[host], &[]),
        "PUT /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n"
    );
    assert_eq!(
        put(&[host, ("content-length", "5")], &["ab", "cde"]),
        "PUT /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\nabcde"
    );
    assert_eq!(
        put(&[("transfer-encoding", "chunked")], &["ab", "", "0123456789abcdefg"]),
        "PUT /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n"
    );
    assert_eq!(
        put(&[], &["a"]),
        "PUT /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    );
}

#[test]
fn trailers_of_a_request_stand_behind_its_last_chunk() {
    let mut pieces = Pieces::of(&["a"]);
    let mut trailers = HeaderMap::new();
    trailers.insert("x", HeaderValue::from_static("1"));
    pieces.0.push_back(Frame::trailers(trailers));
    assert_eq!(
        sent(ask(Method::POST, "/", &[("transfer-encoding", "chunked")], pieces)),
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: 1\r\n\r\n"
    );
}

#[test]
fn a_body_of_another_length_than_it_said_is_the_requests_fault() {
    for (said, pieces) in [("3", &["ab", "cd"][..]), ("5", &["ab"][..])] {
        let request = ask(Method::PUT, "/", &[("content-length", said)], Pieces::of(pieces));
        let outcome = run(async {
            let (ours, _theirs) = tokio::io::duplex(1 << 10);
            exchange(&mut Single::new(ours), request).await
        });
        assert_eq!(outcome.broken, Some(Broken::Request), "{said}");
    }
}

#[test]
fn an_answer_before_the_end_of_its_request_is_read_while_the_rest_is_sent() {
    run(async {
        // A pipe too narrow for the request: the answer comes while it is under way.
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut single = Single::new(ours);
        let long: &'static str = "0123456789".repeat(100).leak();
        let request =
            ask(Method::PUT, "/", &[("content-length", "2000")], Pieces::of(&[long, long]));
        let speak = async {
            let mut some = [0; 32];
            theirs.read_exact(&mut some).await.unwrap();
            theirs.write_all(b"HTTP/1.1 413 x\r\ncontent-length: 2\r\n\r\n").await.unwrap();
            let mut rest = vec![0; 2_000];
            theirs.read_exact(&mut rest).await.unwrap();
            theirs.write_all(b"ab").await.unwrap();
            theirs
        };
        let (outcome, _theirs) = tokio::join!(exchange(&mut single, request), speak);
        assert_eq!((outcome.status, outcome.body.as_str()), (413, "ab"));
    });
}

#[test]
fn an_upstream_that_answers_and_closes_without_reading_is_heard() {
    run(async {
        let (ours, mut theirs) = tokio::io::duplex(256);
        let mut single = Single::new(ours);
        let long: &'static str = "0123456789".repeat(100).leak();
        let request = ask(Method::PUT, "/", &[("content-length", "1000")], Pieces::of(&[long]));
        let speak = async {
            theirs.write_all(b"HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(theirs);
        };
        let (outcome, ()) = tokio::join!(exchange(&mut single, request), speak);
        assert_eq!(outcome, whole(413, "", false));
    });
}

#[test]
fn behind_a_101_stands_the_other_protocol() {
    run(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let mut single = Single::new(ours);
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nhello";
        theirs.write_all(answer).await.unwrap();
        let (head, body) = get().into_parts();
        let head = single.send(&head, body).await.unwrap();
        assert_eq!(head.status, StatusCode::SWITCHING_PROTOCOLS);
        let (first, mut stream) = single.switched().unwrap();
        assert_eq!(first, "hello");
        theirs.write_all(b"more").await.unwrap();
        let mut more = [0; 4];
        stream.read_exact(&mut more).await.unwrap();
        assert_eq!(&more, b"more");
    });
}

#[test]
fn a_phrase_of_its_own_is_kept() {
    run(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let mut single = Single::new(ours);
        theirs.write_all(b"HTTP/1.1 200 Fine\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let (head, body) = get().into_parts();
        let head = single.send(&head, body).await.unwrap();
        let phrase = head.extensions.get::<hyper::ext::ReasonPhrase>().unwrap();
        assert_eq!(phrase.as_bytes(), b"Fine");
    });
}
