//! What an upstream answers over HTTP. Chosen by the last segment of the path, so that any rule can lead to it.
//!
//! | method, last segment | answer |
//! |---|---|
//! | `GET download?bytes=N&pace=MS` | N bytes of the pattern, a pause of MS before every 64 KiB |
//! | `GET slow?head=MS` | `ok`, after MS milliseconds |
//! | `GET switch?head=MS` with `Upgrade` | 101 after MS milliseconds, then whatever comes, sent back |
//! | `GET status?code=N` | that status |
//! | `POST echo` | the body as it comes, and its trailers |
//! | other methods with a body | count and SHA-256 of the body, JSON |
//! | anything else | `ok` |

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::pattern::{Pattern, Tally};
use super::witness::Witness;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Answers one request.
pub(super) async fn answer(
    request: Request<Incoming>,
    witness: Arc<Witness>,
) -> io::Result<Response<Body>> {
    witness.request(&request);
    let uri = request.uri().clone();
    let query = |key: &str| query(uri.query().unwrap_or_default(), key);
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    match (request.method(), last) {
        (&Method::GET, "download") => {
            let pattern = Pattern::new(query("bytes").unwrap_or(0));
            let body = match query("pace") {
                Some(pace) => pattern.paced(Duration::from_millis(pace)),
                None => pattern,
            };
            Ok(Response::new(body.boxed_unsync()))
        }
        (&Method::GET, "slow") => {
            tokio::time::sleep(Duration::from_millis(query("head").unwrap_or(0))).await;
            Ok(Response::new(text("ok\n")))
        }
        (&Method::GET, "switch") if request.headers().contains_key(header::UPGRADE) => {
            tokio::time::sleep(Duration::from_millis(query("head").unwrap_or(0))).await;
            Ok(switch(request, witness))
        }
        (&Method::GET, "status") => status(query("code")),
        (&Method::POST, "echo") => Ok(echo(request, witness)),
        (&Method::GET | &Method::HEAD | &Method::DELETE, _) => Ok(Response::new(text("ok\n"))),
        _ => receipt(request.into_body(), &witness).await,
    }
}

/// Count and digest of a body, and the trailers that came with it, as fields of the answer.
async fn receipt(mut body: Incoming, witness: &Witness) -> io::Result<Response<Body>> {
    let mut tally = Tally::default();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(io::Error::other)?.into_data() {
            Ok(data) => {
                witness.receive(data.len());
                tally.add(&data);
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let bytes = tally.bytes();
    let json = format!("{{\"bytes\":{bytes},\"sha256\":\"{}\"}}\n", tally.sha256());
    let mut response = Response::new(text(&json));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    for (name, value) in &trailers {
        let name = http::HeaderName::try_from(format!("x-trailer-{name}"));
        response.headers_mut().insert(name.map_err(io::Error::other)?, value.clone());
    }
    Ok(response)
}

fn echo(request: Request<Incoming>, witness: Arc<Witness>) -> Response<Body> {
    let names = request.headers().get(header::TRAILER).cloned();
    let body = request.into_body().map_frame(move |frame| {
        witness.receive(frame.data_ref().map_or(0, Bytes::len));
        frame
    });
    let mut response = Response::new(body.map_err(io::Error::other).boxed_unsync());
    if let Some(names) = names {
        response.headers_mut().insert(header::TRAILER, names);
    }
    response
}

/// Takes whatever protocol is asked for; it is an echo.
#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in has no service whose drain could wait; it ends with its runtime"
)]
fn switch(request: Request<Incoming>, witness: Arc<Witness>) -> Response<Body> {
    let protocol = request.headers().get(header::UPGRADE).cloned();
    let upgraded = hyper::upgrade::on(request);
    // How it ended is seen by the other side, and by the witness's counters.
    drop(tokio::spawn(async move {
        let mut stream = TokioIo::new(upgraded.await.map_err(io::Error::other)?);
        echo_bytes(&mut stream, &witness).await
    }));
    let mut response = Response::new(text(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let own = response.headers_mut();
    own.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    own.extend(protocol.map(|protocol| (header::UPGRADE, protocol)));
    response
}

/// Sends back what it receives; ends when the other side has ended.
pub(super) async fn echo_bytes<S>(stream: &mut S, witness: &Witness) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = stream.read(&mut buffer).await?;
        let Some(read @ [_, ..]) = buffer.get(..length) else { break };
        witness.receive(length);
        stream.write_all(read).await?;
        stream.flush().await?;
    }
    stream.shutdown().await
}

fn status(code: Option<u64>) -> io::Result<Response<Body>> {
    let code = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(200);
    let mut response = Response::new(text("status\n"));
    *response.status_mut() = StatusCode::from_u16(code).map_err(io::Error::other)?;
    Ok(response)
}

fn text(text: &str) -> Body {
    Full::new(Bytes::copy_from_slice(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn query(query: &str, key: &str) -> Option<u64> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse().ok())
}
