//! A connection served over a pipe: what reaches the service, what the client reads, and when it is late.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::framing::{Seen, believed, listed, stream};
use super::{HEAD_MAX, chunked, run};
use crate::proxy::wire::{Asked, Content, Ending, Late, Patience, Place, Served, Violation, Watch};

/// A served pipe whose other end is the client.
fn piped(space: usize) -> (DuplexStream, Served<DuplexStream>) {
    let (client, server) = tokio::io::duplex(space);
    (client, Served::new(server, HEAD_MAX))
}

/// The targets that were asked, with `!` where the body failed.
async fn serve(served: &Served<DuplexStream>) -> Vec<String> {
    let asked = serve_all(served).await;
    let line = |(seen, failed): &(Seen, bool)| {
        let path = seen.target.parse::<Uri>().unwrap().path().to_owned();
        [Some(path), failed.then(|| "!".to_owned())]
    };
    asked.iter().flat_map(line).flatten().collect()
}

/// Serves until no other request can follow; `/slow` takes a second, `/large` answers 1 MiB, `/unread` does not look at its
/// body. Gives back what was asked, and whether the body failed.
async fn serve_all(served: &Served<DuplexStream>) -> Vec<(Seen, bool)> {
    let mut log: Vec<(Seen, bool)> = Vec::new();
    while let Ok(Some(asked)) = poll_fn(|cx| served.poll_asked(cx)).await {
        let Asked { request, content, to } = asked;
        let path = request.uri.path().to_owned();
        let (method, target) = (request.method.to_string(), request.uri.to_string());
        let fields = listed(&request.headers);
        log.push((Seen { method, target, fields, ..Seen::default() }, false));
        let answered = tokio::select! {
            biased;
            response = answer(&path, &to.method, content, log.last_mut().unwrap()) => Some(response),
            _gone = poll_fn(|cx| served.poll_gone(cx)) => None,
        };
        let Some(response) = answered else { return log };
        let (head, body) = response.into_parts();
        let mut answer = served.answer(&head, body, &to);
        let sent = poll_fn(|cx| served.poll_send(&mut answer, cx)).await;
        let ready = poll_fn(|cx| Poll::Ready(served.is_ready_again(cx))).await;
        if sent.is_err() || to.is_last || !ready {
            return log;
        }
    }
    log
}

/// The answer; what came of the body is noted.
async fn answer(
    path: &str,
    method: &Method,
    content: Option<Content>,
    (seen, failed): &mut (Seen, bool),
) -> Response<Full<Bytes>> {
    if path == "/slow" {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    if let Some(content) = content.filter(|_| path != "/unread") {
        match content.collect().await {
            Ok(body) => {
                seen.trailers = body.trailers().map(listed).unwrap_or_default();
                seen.body = body.to_bytes().to_vec();
            }
            Err(_) => *failed = true,
        }
    }
    let status = if *failed || *method == Method::CONNECT { 400 } else { 200 };
    let data = if path == "/large" { "x".repeat(1 << 20) } else { path.to_owned() };
    let response = Response::builder().status(status).body(Full::new(Bytes::from(data)));
    response.unwrap()
}

/// Sends `requests`, serves them, lets the connection's task answer a breach of a head; what the client reads.
async fn converse(requests: &[u8], space: usize) -> (String, Vec<String>, Option<Violation>) {
    let (mut client, served) = piped(space);
    let task = async {
        let log = serve(&served).await;
        let breach = served.breach();
        let (_said, mut stream) = served.into_parts();
        if let Some(breach) = breach.filter(|breach| breach.place == Place::Head) {
            let text =
                format!("HTTP/1.1 {} Refused\r\n\r\n", breach.violation.reason().header_status());
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        (log, breach.map(|breach| breach.violation))
    };
    let client = async {
        client.write_all(requests).await.unwrap();
        // A reader that is late: answers wait.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut text = Vec::new();
        client.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    let ((log, breach), text) = tokio::join!(task, client);
    (text, log, breach)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A good request to `path` between another good one and a bad one.
async fn refuse_after(path: &str, space: usize) {
    let never = "GET / HTTP/1.0\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    let requests = format!("{}{}{never}", get("/"), get(path));
    let (text, log, breach) = converse(requests.as_bytes(), space.max(requests.len())).await;
    assert_eq!(log, ["/", path]);
    assert_eq!(breach, Some(Violation::Version));
    assert!(text.ends_with("HTTP/1.1 400 Refused\r\n\r\n"), "{path}");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
    let (_, answer) = text.rsplit_once("HTTP/1.1 200").unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = if path == "/large" { 1 << 20 } else { path.len() };
    assert_eq!(body.find("HTTP/1.1 400"), Some(length));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_after_the_earlier_answers_and_cuts_none() {
    for path in ["/", "/slow", "/large"] {
        for space in [64, 4096, 1 << 22] {
            refuse_after(path, space).await;
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
    let followed = format!("{upgrade}{}smuggled\n", get("/next"));
    let (_, log, breach) = converse(followed.as_bytes(), 4096).await;
    assert_eq!(log, ["/up", "/next"]);
    assert_eq!(breach, Some(Violation::BareLineFeed));
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
        let (mut client, served) = piped(4096);
        let client = async {
            client.write_all(text.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.shutdown().await.unwrap();
        };
        tokio::join!(serve(&served), client);
        assert_eq!(served.ending(), Some(ending), "{text:?}");
        assert_eq!(served.breach(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_the_service() {
    let (mut client, served) = piped(4096);
    client.write_all(get("/slow").as_bytes()).await.unwrap();
    drop(client);
    let begun = tokio::time::Instant::now();
    let log = serve(&served).await;
    assert_eq!(log, ["/slow"]);
    assert_eq!(served.ending(), Some(Ending::Clean));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// The first request on a connection with `text` behind it, and its body.
async fn first(text: &str) -> (DuplexStream, Served<DuplexStream>, Content) {
    let (mut client, served) = piped(1 << 20);
    client.write_all(text.as_bytes()).await.unwrap();
    let asked = poll_fn(|cx| served.poll_asked(cx)).await.unwrap().unwrap();
    (client, served, asked.content.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_is_noticed_although_another_task_read_its_body() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    let (mut client, served, content) = first(head).await;
    let read = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.write_all(b"abc").await.unwrap();
        assert_eq!(content.collect().await.unwrap().to_bytes(), "abc");
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(client);
    };
    let begun = tokio::time::Instant::now();
    // A task of its own, so that nobody but its waker wakes it.
    let local = tokio::task::LocalSet::new();
    let gone = local.spawn_local(async move { poll_fn(|cx| served.poll_gone(cx)).await });
    let gone = tokio::time::timeout(Duration::from_mins(1), gone);
    let (gone, ()) = local.run_until(async { tokio::join!(gone, read) }).await;
    assert!(gone.expect("it was woken").unwrap().is_ok());
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_over_is_no_whole_body_and_never_the_next_one() {
    let one = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let (_client, served, mut content) = first(&one.repeat(2)).await;
    assert!(poll_fn(|cx| Poll::Ready(served.is_ready_again(cx))).await);
    let next = poll_fn(|cx| served.poll_asked(cx)).await.unwrap().unwrap();
    assert!(content.frame().await.unwrap().is_err() && !content.is_end_stream());
    assert_eq!(next.content.unwrap().collect().await.unwrap().to_bytes(), "abc");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_all_there_lets_nothing_follow_and_is_not_read() {
    let begun = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
    let (mut client, served, _content) = first(begun).await;
    let ready = || poll_fn(|cx| Poll::Ready(served.is_ready_again(cx)));
    assert!(!ready().await && !served.is_read());
    client.write_all(b"defghi").await.unwrap();
    assert!(ready().await && served.is_read());
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_is_parked_and_comes_back() {
    let (mut client, served) = piped(4096);
    for _ in 0..3 {
        assert!(served.is_idle());
        client.write_all(get("/").as_bytes()).await.unwrap();
        assert!(poll_fn(|cx| served.poll_arrived(cx)).await.unwrap());
        assert!(!served.is_idle());
        tokio::select! {
            biased;
            _ = serve(&served) => unreachable!("the client stays"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let mut answer = [0; 4096];
        let length = client.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
    }
    drop(client);
    assert!(!poll_fn(|cx| served.poll_arrived(cx)).await.unwrap());
    assert_eq!(served.ending(), Some(Ending::Clean));
}

const PATIENCE: Patience = Patience {
    idle: Duration::from_mins(5),
    head: Duration::from_secs(10),
    write: Duration::from_mins(1),
};

/// Serves a client that does `deeds`: what it was late for, and after how many seconds.
async fn late(space: usize, deeds: impl AsyncFnOnce(DuplexStream) -> DuplexStream) -> (Late, u64) {
    let (client, served) = piped(space);
    let mut watch = Watch::new(PATIENCE);
    let begun = tokio::time::Instant::now();
    let task = async {
        let mut serving = pin!(serve(&served));
        let late = poll_fn(|cx| {
            assert!(serving.as_mut().poll(cx).is_pending(), "the client stays");
            watch.poll_late(cx, served.since())
        });
        (late.await, begun.elapsed().as_secs())
    };
    let (late, _client) = tokio::join!(task, deeds(client));
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
        let mut head = get("/").into_bytes().into_iter().take(20);
        while let Some(byte) = head.next()
            && client.write_all(&[byte]).await.is_ok()
        {
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

/// What reaches the service where the stream holds `space` bytes at a time.
async fn reached(stream: &[u8], space: usize) -> Vec<(Seen, bool)> {
    let (client, served) = piped(space);
    let (mut reader, mut writer) = tokio::io::split(client);
    let write = async {
        // Fails where a breach was found and the stream is gone.
        if writer.write_all(stream).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            writer.shutdown().await.ok();
        }
    };
    // At the end the stream goes, so that the reader sees one.
    let task = async move { serve_all(&served).await };
    let mut answers = Vec::new();
    let (log, (), read) = tokio::join!(task, write, reader.read_to_end(&mut answers));
    assert!(read.is_ok());
    log
}

proptest! {
    #[test]
    fn what_reaches_the_service_is_what_the_wire_believes(
        stream in stream(),
        space in prop::sample::select(vec![1_usize, 7, 64, 1 << 16]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let log = runtime.block_on(reached(&stream, space));
        let believed = believed(&run(&stream, &[]).released);
        let (whole, more) = log.split_at(log.len().min(believed.len()));
        let whole: Vec<_> = whole.iter().map(|(seen, failed)| { assert!(!failed); seen }).collect();
        prop_assert_eq!(whole, believed.iter().collect::<Vec<_>>());
        // At most one more: it began, and its body failed.
        prop_assert!(more.len() <= 1 && more.iter().all(|(_, failed)| *failed), "{:?}", more);
    }
}
