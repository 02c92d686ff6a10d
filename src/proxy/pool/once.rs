//! A connection for one request that may switch protocols: never pooled, and what is left of it after a `101` is
//! taken out of hyper as it stands.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use hyper::client::conn::http1::{self, Parts};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio_rustls::client::TlsStream;

use super::placed::Placed;
use super::{Checkout, Key, Leg, Lent, Pool, Single};
use crate::flow::Flow;
use crate::proxy::slot::Slot;
use crate::proxy::socket::Socket;
use crate::proxy::upstream::Dialled;

/// hyper's connection over the upstream leg, taken apart.
type Remains = Parts<TokioIo<Placed<TlsStream<Socket>>>>;

/// Resolves when hyper has done with the connection.
#[derive(Debug)]
pub(in crate::proxy) struct Taken(oneshot::Receiver<hyper::Result<Remains>>);

impl Taken {
    /// The upstream's bytes that hyper had read already, and the stream, which keeps its place. Only after a `101`.
    ///
    /// # Errors
    /// Where the connection broke instead.
    pub(in crate::proxy) async fn stream(
        self,
    ) -> io::Result<(Bytes, impl AsyncRead + AsyncWrite + Unpin + std::fmt::Debug + 'static)> {
        let parts = self.0.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        Ok((parts.read_buf, parts.io.into_inner()))
    }
}

impl Pool {
    /// Lends a fresh HTTP/1.1 connection that does not come back.
    ///
    /// # Errors
    /// Where hyper does not take it.
    pub(in crate::proxy) async fn lend_once(
        self: &Rc<Self>,
        key: Key,
        dialled: Dialled,
        slot: Slot,
        flow: Flow,
    ) -> hyper::Result<(Checkout, Taken)> {
        let io = TokioIo::new(Placed { stream: dialled.stream, _slot: slot });
        let (sender, driver) = http1::Builder::new().max_headers(128).handshake(io).await?;
        let (done, taken) = oneshot::channel();
        let driving = spawn_local(async move {
            // Nobody waits for it where the answer was no `101`.
            drop(done.send(driver.without_shutdown().await));
        });
        let leg = Leg { dialled_as: flow, peer: dialled.peer, driver: driving.abort_handle() };
        let lent = Lent::Single(Single { sender, leg });
        let checkout = Checkout { pool: Rc::clone(self), key, lent, pooled: false, once: true };
        Ok((checkout, Taken(taken)))
    }
}
