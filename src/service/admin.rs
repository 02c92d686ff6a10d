//! The read-only HTTP port: `/metrics`, `/livez`, `/readyz` and the status page. Nothing can be changed here,
//! whoever asks; whoever is not listed in `admin.allow` is not even read.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::running::Readiness;
use super::task::Guests;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// From the first byte of a head to its last, and for the next head on a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is not kept for longer, also when its peer reads one byte a second.
const LIFE_MAX: Duration = Duration::from_mins(2);
/// The longest head, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// What the port shows.
pub(super) trait Shown: 'static {
    /// Whether this peer is listed.
    fn admits(&self, peer: IpAddr) -> bool;
    /// The metrics, text format 0.0.4.
    fn exposition(&self) -> String;
    /// Whether this box can do its work.
    fn readiness(&self) -> Readiness;
    /// The status page.
    fn page(&self) -> String;
}

/// Answers for ever.
pub(super) async fn serve<S: Shown>(listener: TcpListener, shown: Rc<S>) {
    let mut guests = Guests::new(CONNECTIONS_MAX);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) if shown.admits(peer.ip().to_canonical()) => {
                // Beyond the bound it is closed, as by a server that is not there: a scrape shows as failed.
                guests.admit(converse(stream, Rc::clone(&shown)));
            }
            Ok((_stranger, _)) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection on the admin port could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse<S: Shown>(stream: TcpStream, shown: Rc<S>) {
    let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = answer(request.method(), request.uri().path(), &*shown);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    // How it ended is the peer's affair: everything it was due has been written.
    let _ended = timeout(LIFE_MAX, connection).await;
}

fn answer<S: Shown>(method: &Method, path: &str, shown: &S) -> Response<Full<Bytes>> {
    let show: fn(&S) -> Response<Full<Bytes>> = match path {
        "/metrics" => |shown| text(StatusCode::OK, METRICS, shown.exposition()),
        "/livez" => |_| text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        "/readyz" => |shown| ready(shown.readiness()),
        "/" => |shown| text(StatusCode::OK, HTML, shown.page()),
        _ => return text(StatusCode::NOT_FOUND, PLAIN, "not found\n".to_owned()),
    };
    if method == Method::GET || method == Method::HEAD {
        return show(shown);
    }
    let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "read-only\n".to_owned());
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refused
}

const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_SCRIPT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
);

fn ready(readiness: Readiness) -> Response<Full<Bytes>> {
    match readiness {
        Readiness::Ready => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Readiness::Unready(why) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
    }
}

fn text(status: StatusCode, kind: HeaderValue, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, NO_SCRIPT);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpStream};
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::task::{LocalSet, spawn_blocking};

    use super::{Readiness, Shown, serve};

    struct Fake(Readiness);

    impl Shown for Fake {
        fn admits(&self, peer: IpAddr) -> bool {
            peer == IpAddr::from([127, 0, 0, 1])
        }

        fn exposition(&self) -> String {
            "sekisho_accept_errors_total 0\n".to_owned()
        }

        fn readiness(&self) -> Readiness {
            self.0
        }

        fn page(&self) -> String {
            "<h1>kouiki-edge-1</h1>".to_owned()
        }
    }

    /// Sends each request over a connection of its own from `source`; gives back the answers.
    async fn ask(
        readiness: Readiness,
        source: &'static str,
        requests: &'static [&'static str],
    ) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let local = LocalSet::new();
        let _server = local.spawn_local(serve(listener, Rc::new(Fake(readiness))));
        let client = move || requests.iter().map(|request| exchange(source, to, request)).collect();
        local.run_until(spawn_blocking(client)).await.unwrap()
    }

    fn exchange(source: &str, to: SocketAddr, request: &str) -> String {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let source: SocketAddr = format!("{source}:0").parse().unwrap();
        socket.bind(&source.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let _closed = stream.write_all(head.as_bytes());
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn each_path_has_its_answer_and_nothing_can_be_changed() {
        let answers = ask(
            Readiness::Ready,
            "127.0.0.1",
            &[
                "GET /metrics",
                "GET /livez",
                "GET /readyz",
                "GET /",
                "GET /status",
                "POST /metrics",
                "DELETE /",
                "PUT /nothing",
                "HEAD /metrics",
            ],
        )
        .await;
        let due = [
            (
                "200 OK",
                "text/plain; version=0.0.4; charset=utf-8",
                "sekisho_accept_errors_total 0\n",
            ),
            ("200 OK", "text/plain; charset=utf-8", "ok\n"),
            ("200 OK", "text/plain; charset=utf-8", "ok\n"),
            ("200 OK", "text/html; charset=utf-8", "<h1>kouiki-edge-1</h1>"),
            ("404 Not Found", "text/plain; charset=utf-8", "not found\n"),
            ("405 Method Not Allowed", "text/plain; charset=utf-8", "read-only\n"),
            ("405 Method Not Allowed", "text/plain; charset=utf-8", "read-only\n"),
            ("404 Not Found", "text/plain; charset=utf-8", "not found\n"),
            ("200 OK", "text/plain; version=0.0.4; charset=utf-8", ""),
        ];
        for (answer, (status, kind, body)) in answers.iter().zip(due) {
            let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            assert!(head.contains(&format!("content-type: {kind}\r\n")), "{answer}");
            assert_eq!(rest, body);
            assert_eq!(status.starts_with("405"), head.contains("allow: GET, HEAD"), "{answer}");
        }
        assert!(answers[8].contains("content-length: 30"), "HEAD says how long it would be");
    }

    #[tokio::test]
    async fn a_box_that_cannot_do_its_work_is_alive_but_not_ready() {
        let answers = ask(
            Readiness::Unready("ledger_unwritable"),
            "127.0.0.1",
            &["GET /readyz", "GET /livez"],
        )
        .await;
        assert!(answers[0].starts_with("HTTP/1.1 503 "), "{}", answers[0]);
        assert!(answers[0].ends_with("\r\n\r\nledger_unwritable\n"), "{}", answers[0]);
        assert!(answers[1].starts_with("HTTP/1.1 200 "), "{}", answers[1]);
    }

    #[tokio::test]
    async fn a_peer_that_is_not_listed_gets_not_a_byte() {
        let answers = ask(Readiness::Ready, "127.0.0.2", &["GET /metrics"]).await;
        assert_eq!(answers, [""]);
    }
}
