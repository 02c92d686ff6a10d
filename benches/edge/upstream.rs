//! The stand-in for the intermediate server, a process of its own: demands a client certificate, answers HTTP/1.1
//! (HTTP/2 where asked for) behind one name and the same over relayed bytes behind the other.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use crate::argument::{Setting, Upstream, UpstreamHttp};
use crate::client::{FILLING, SMALL, SMALL_BYTES};
use crate::tls;

/// The kernel's queue of connections that wait to be taken.
const BACKLOG: u32 = 4096;

/// Bytes that one read of the kernel can bring; rustls itself would ask for 4 KiB at a time.
const READ: usize = 64 << 10;

/// A body of so many bytes.
#[derive(Debug)]
struct Fill {
    left: u64,
}

/// Says `ready`, answers until its standard input ends.
///
/// # Errors
/// Where it cannot listen.
pub(crate) fn run(setting: &Setting, settings: &Upstream) -> io::Result<()> {
    let http: &[&[u8]] = match setting.upstream {
        UpstreamHttp::Http1 => &[tls::HTTP1],
        UpstreamHttp::Http2 => &[tls::HTTP2, tls::HTTP1],
    };
    let https = tls::server(&settings.certificates, setting.exchange, http, &settings.paper)?;
    let relayed = tls::server(&settings.certificates, setting.exchange, &[], &settings.paper)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let ended = when_input_ends();
    runtime.block_on(local.run_until(async move {
        drop(spawn_local(take(listen(settings.https)?, https)));
        drop(spawn_local(take(listen(settings.tls)?, relayed)));
        println!("ready");
        let _nobody_left = ended.await;
        Ok(())
    }))
}

/// Completes when standard input has ended: whoever started this is gone or wants it gone.
pub(crate) fn when_input_ends() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    drop(std::thread::spawn(move || {
        let mut nothing = Vec::new();
        let _broken_is_ended = io::stdin().read_to_end(&mut nothing);
        let _nobody_waits = end.send(());
    }));
    ended
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn take(listener: TcpListener, config: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(config);
    loop {
        if let Ok((stream, _source)) = listener.accept().await {
            let acceptor = acceptor.clone();
            drop(spawn_local(async move {
                // A client that breaks off is the client's affair; it counts its own failures.
                let _broken_off = Box::pin(serve(stream, acceptor)).await;
            }));
        } else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(BufReader::with_capacity(READ, stream)).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
    let (io, service) = (TokioIo::new(stream), service_fn(answer));
    if is_http2 {
        http2::Builder::new(Local).serve_connection(io, service).await.map_err(io::Error::other)
    } else {
        http1::Builder::new().serve_connection(io, service).await.map_err(io::Error::other)
    }
}

/// `/exchange/small`, `/exchange/big/BYTES`; a PUT of `/exchange/in/BYTES` succeeds where so many came.
async fn answer(request: Request<Incoming>) -> Result<Response<Fill>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|text| text.parse::<u64>().ok());
    if head.method == Method::PUT {
        let came = count(body).await?;
        let whole = number("/exchange/in/") == Some(came);
        return Ok(reply(if whole { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, 0));
    }
    Ok(match (path, number("/exchange/big/")) {
        (SMALL, _) => reply(StatusCode::OK, SMALL_BYTES),
        (_, Some(bytes)) => reply(StatusCode::OK, bytes),
        (_, None) => reply(StatusCode::NOT_FOUND, 0),
    })
}

fn reply(status: StatusCode, bytes: u64) -> Response<Fill> {
    let mut response = Response::new(Fill { left: bytes });
    *response.status_mut() = status;
    response
}

async fn count(mut body: Incoming) -> Result<u64, hyper::Error> {
    let mut came = 0;
    while let Some(frame) = body.frame().await {
        let data = frame?.into_data().map_or(0, |data| data.len());
        came += u64::try_from(data).unwrap_or(0);
    }
    Ok(came)
}

impl Body for Fill {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(FILLING.len());
        let piece = FILLING.get(..most).unwrap_or_default();
        self.left -= u64::try_from(piece.len()).unwrap_or(self.left);
        let frame = Frame::data(Bytes::from_static(piece));
        Poll::Ready((!piece.is_empty()).then_some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Everything on the one thread.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F> Executor<F> for Local
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        drop(spawn_local(future));
    }
}
