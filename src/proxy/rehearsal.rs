//! The data path of the self-test: the same worker code under a second law, without a listener. Who arrives is handed in
//! by whoever holds it, with the source address that is to be judged; no peer can reach it, and it reaches no peer.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Proxy;
use super::accept::{self, Desk};
use super::shared::Shared;
use super::snapshot::Snapshot;
use crate::flow::Name;
use crate::ledger::{self, Ledger};
use crate::metrics::Metrics;
use crate::policy::Engine;

/// A data path of its own: one worker, its own counts and metrics, the same ledger with every entry flagged.
#[derive(Debug)]
pub struct Rehearsal {
    proxy: Proxy,
    desks: [Desk; 1],
    real: Arc<Engine>,
}

/// Why there is no rehearsal.
#[derive(Debug)]
pub enum NotRehearsed {
    /// This address of the second law is no stand-in's: it would be dialled.
    Real(SocketAddr),
    /// A thread or a socket cannot be made ready.
    Io(io::Error),
}

impl fmt::Display for NotRehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(address) => write!(f, "`{address}` is not the address of a stand-in"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotRehearsed {}

impl From<io::Error> for NotRehearsed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Rehearsal {
    /// Starts a worker under `law`. What `real`, the law in force, knows is never dialled.
    ///
    /// # Errors
    /// [`NotRehearsed::Real`] where `law` names an endpoint beyond this machine, or one of a system of `real`.
    pub fn start(
        law: Arc<Snapshot>,
        real: Arc<Engine>,
        (ledger, noted): (&Ledger, &ledger::Rehearsal),
    ) -> Result<Self, NotRehearsed> {
        only_stand_ins(&law, &real)?;
        let shared = Arc::new(Shared::new(law, ledger.rehearse(noted), Metrics::new()));
        let (stop, _nobody_listens) = watch::channel(false);
        let mut proxy = Proxy { shared, commands: Vec::new(), stop, threads: Vec::new() };
        let desks = [proxy.start_worker(0)?];
        let _first = proxy.shared.commands.set(proxy.commands.clone());
        Ok(Self { proxy, desks, real })
    }

    /// Takes a connection as if it came from `source` to `to_address` of this listener.
    ///
    /// # Errors
    /// Where the other end of `stream` is not on this machine.
    pub async fn meet(
        &self,
        stream: TcpStream,
        between: (SocketAddr, SocketAddr),
        listener: &Name,
    ) -> io::Result<()> {
        if !stream.peer_addr()?.ip().is_loopback() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        stream.set_nonblocking(true)?;
        accept::meet(stream, between, listener, &self.proxy.shared, &self.desks).await;
        Ok(())
    }

    /// Goes on under another law.
    ///
    /// # Errors
    /// As [`Rehearsal::start`].
    pub async fn swap(&self, law: Arc<Snapshot>) -> Result<(), NotRehearsed> {
        only_stand_ins(&law, &self.real)?;
        let _cut = self.proxy.swap(law).await;
        Ok(())
    }

    /// Connections that have not ended.
    pub fn connections(&self) -> usize {
        self.proxy.connections()
    }

    /// Ends it; cuts what is left after `patience`.
    pub async fn end(self, patience: Duration) {
        let Self { proxy, desks, real: _ } = self;
        drop(desks);
        let _cut = proxy.drain(patience).await;
    }
}

/// Nothing beyond this machine, and nobody whom the law in force knows.
fn only_stand_ins(law: &Snapshot, real: &Engine) -> Result<(), NotRehearsed> {
    let stranger = |endpoint: &SocketAddr| {
        !endpoint.ip().is_loopback() || real.system_of(endpoint.ip()).is_some()
    };
    match law.endpoints().find(stranger) {
        Some(endpoint) => Err(NotRehearsed::Real(endpoint)),
        None => Ok(()),
    }
}
