//! A server of the centre's side: requires a client certificate, counts what it sees, can die and come back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::pattern::Pattern;
use super::route;
use super::witness::Witness;
use crate::tls::{Credential, provider};

/// What it speaks inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// HTTP/1.1 or HTTP/2, as ALPN says; the routes are in the module `route`.
    Http,
    /// HTTP/1.1 only.
    Http11,
    /// Sends back what it receives; ends when the other side has ended.
    Echo,
    /// Reads until the other side has ended, then sends so many bytes of the pattern, then ends.
    AfterEnd(u64),
}

/// A TLS server on one address. Dropping it kills it and its connections at once.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    talk: Talk,
    config: Arc<ServerConfig>,
    witness: Arc<Witness>,
    tasks: Option<JoinSet<()>>,
}

impl Upstream {
    /// Binds `address` (port 0 picks one) and serves; clients must show a certificate that leads to `clients`, PEM roots.
    ///
    /// # Errors
    /// Where the address cannot be bound or the material cannot be used.
    pub fn start(
        address: SocketAddr,
        talk: Talk,
        credential: &Credential,
        clients: &str,
    ) -> io::Result<Self> {
        let config = config(talk, credential, clients)?;
        let witness = Arc::default();
        let mut upstream = Self { address, talk, config, witness, tasks: None };
        upstream.restart()?;
        Ok(upstream)
    }

    /// Where it listens, or listened.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw, over all its lives.
    pub fn witness(&self) -> Arc<Witness> {
        Arc::clone(&self.witness)
    }

    /// Kills it: the address refuses connections, those that were open are cut. Waits until they are.
    pub async fn stop(&mut self) {
        if let Some(mut tasks) = self.tasks.take() {
            tasks.shutdown().await;
        }
    }

    /// Serves again on the same address.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub fn restart(&mut self) -> io::Result<()> {
        let listener = listen(self.address)?;
        self.address = listener.local_addr()?;
        let service = Service {
            talk: self.talk,
            acceptor: TlsAcceptor::from(Arc::clone(&self.config)),
            witness: Arc::clone(&self.witness),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(service.accept(listener));
        self.tasks = Some(tasks);
        Ok(())
    }
}

#[derive(Clone)]
struct Service {
    talk: Talk,
    acceptor: TlsAcceptor,
    witness: Arc<Witness>,
}

impl Service {
    async fn accept(self, listener: TcpListener) {
        // Aborted with this task, which owns them.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, peer)) = accepted else { continue };
                    self.witness.accept(peer);
                    connections.spawn(self.clone().serve(stream));
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    }

    async fn serve(self, stream: TcpStream) {
        let Ok(()) = stream.set_nodelay(true) else { return };
        let Ok(stream) = self.acceptor.accept(stream).await else { return };
        self.witness.shake();
        // How it ended is seen by the other side, and by the witness's counters.
        let _ended = match self.talk {
            Talk::Http | Talk::Http11 => self.http(stream).await,
            Talk::Echo => route::echo_bytes(&mut { stream }, &self.witness).await,
            Talk::AfterEnd(bytes) => self.after_end(stream, bytes).await,
        };
    }

    async fn http(self, stream: TlsStream<TcpStream>) -> io::Result<()> {
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let service = service_fn(|request| route::answer(request, Arc::clone(&self.witness)));
        let stream = TokioIo::new(stream);
        let served = if h2 {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).serve_connection(stream, service).await
        } else {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.half_close(true).timer(TokioTimer::new());
            builder.serve_connection(stream, service).with_upgrades().await
        };
        served.map_err(io::Error::other)
    }

    async fn after_end(self, mut stream: TlsStream<TcpStream>, bytes: u64) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            self.witness.receive(length);
        }
        let mut pattern = Pattern::new(bytes);
        while let Some(block) = pattern.block() {
            stream.write_all(&block).await?;
        }
        stream.shutdown().await
    }
}

fn config(talk: Talk, credential: &Credential, clients: &str) -> io::Result<Arc<ServerConfig>> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(clients.as_bytes()) {
        roots.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build().map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(credential.resolver());
    config.alpn_protocols = match talk {
        Talk::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Talk::Http11 => vec![b"http/1.1".to_vec()],
        Talk::Echo | Talk::AfterEnd(_) => Vec::new(),
    };
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// A listener that can come back at once on an address that was just in use.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}
