//! The life of a connection; the files in order of travel: `accept` (bounds, arrival), `worker`, `life` (handshake,
//! identity), `http1` behind `wire`, or `http2` behind `flood`, then `http` (one request) or `relay` (`tls`, and what comes after a `switch` of protocols), `route` (every address
//! judged), `permit`, `port`, `upstream`, `pool`, and on the way back `exchange` and `body`. `judge` looks at what is live
//! when the law changes; `busy_poll` is what a worker does before it sleeps. Nothing in here decides who may pass: that is [`crate::policy::Engine::decide`] alone.
//!
//! What is absent: no byte goes upstream without a permit, no permit comes but from a ledger receipt, no TLS
//! session is resumed, no lock is taken on the way of a byte.

mod accept;
mod body;
mod busy_poll;
pub mod clock;
mod connection;
mod cut;
mod ended;
mod exchange;
mod facts;
mod flood;
mod forward;
pub mod header;
mod http;
mod http1;
mod http2;
mod judge;
mod life;
mod outgoing;
mod paper;
mod patience;
mod permit;
mod pool;
mod port;
pub mod refusal;
mod rehearsal;
mod relay;
mod route;
mod shared;
mod single;
mod slot;
mod snapshot;
pub mod socket;
mod stream;
mod switch;
mod upstream;
mod upward;
pub mod wire;
mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

pub use permit::{DialPermit, NotPermitted, Opened, RequestPermit};
pub use rehearsal::{NotRehearsed, Rehearsal};
pub use snapshot::Snapshot;

use accept::{Arrival, Desk};
use shared::Shared;
use worker::Command;

use crate::flow::Name;
use crate::ledger::Ledger;
use crate::metrics::Metrics;

/// Arrivals that may wait for a worker; when they are full the acceptor waits, and the kernel's queue after it.
const ARRIVALS_MAX: usize = 256;

/// Commands that may wait for a worker.
const COMMANDS_MAX: usize = 64;

/// A listener that is bound but does not accept yet.
#[derive(Debug)]
pub struct BoundListener {
    /// Its name in the box file.
    pub name: Name,
    /// Its address.
    pub address: SocketAddr,
    /// Its socket.
    pub socket: TcpListener,
}

/// The running data path: one acceptor thread, one worker thread per core.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    commands: Vec<mpsc::Sender<Command>>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Starts the threads; connections are taken from now on.
    ///
    /// # Errors
    /// Where a thread or a socket cannot be made ready.
    pub fn start(
        listeners: Vec<BoundListener>,
        snapshot: Arc<Snapshot>,
        ledger: Ledger,
        metrics: Metrics,
        workers: usize,
    ) -> io::Result<Self> {
        for listener in &listeners {
            listener.socket.set_nonblocking(true)?;
        }
        let shared = Arc::new(Shared::new(snapshot, ledger, metrics));
        let (stop, stopped) = watch::channel(false);
        let mut proxy = Self { shared, commands: Vec::new(), stop, threads: Vec::new() };
        let mut desks = Vec::new();
        for number in 0..workers.max(1) {
            desks.push(proxy.start_worker(number)?);
        }
        let _first = proxy.shared.commands.set(proxy.commands.clone());
        proxy.start_acceptor(listeners, desks.into(), stopped)?;
        Ok(proxy)
    }

    fn start_worker(&mut self, number: usize) -> io::Result<Desk> {
        let (arrivals, arriving) = mpsc::channel::<Arrival>(ARRIVALS_MAX);
        let (commands, commanded) = mpsc::channel(COMMANDS_MAX);
        let load = Arc::new(AtomicUsize::new(0));
        let (shared, counted) = (Arc::clone(&self.shared), Arc::clone(&load));
        let work = move || {
            if let Err(error) = worker::run(shared, arriving, commanded, counted) {
                tracing::error!(%error, "a worker could not start");
            }
        };
        let thread = std::thread::Builder::new().name(format!("sekisho-{number}"));
        self.threads.push(thread.spawn(work)?);
        self.commands.push(commands);
        Ok(Desk { arrivals, load })
    }

    fn start_acceptor(
        &mut self,
        listeners: Vec<BoundListener>,
        desks: Arc<[Desk]>,
        stopped: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let local = LocalSet::new();
            for listener in listeners {
                let (shared, desks) = (Arc::clone(&shared), Arc::clone(&desks));
                drop(local.spawn_local(accept::accept(listener, shared, desks, stopped.clone())));
            }
            drop(desks);
            runtime.block_on(local);
        };
        let thread = std::thread::Builder::new().name("sekisho-accept".to_owned());
        self.threads.push(thread.spawn(work)?);
        Ok(())
    }

    /// The law in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Puts a law in force and judges every live connection again; returns when all workers have, with how many
    /// connections were cut.
    pub async fn swap(&self, snapshot: Arc<Snapshot>) -> usize {
        self.shared.snapshot.store(Arc::clone(&snapshot));
        self.ask_all(|done| Command::Swap(Arc::clone(&snapshot), done)).await
    }

    /// Judges every live connection again by the law in force (time has changed what it allows).
    pub async fn rejudge(&self) -> usize {
        self.ask_all(Command::Rejudge).await
    }

    /// Client connections now.
    pub fn connections(&self) -> usize {
        self.shared.census.count()
    }

    /// Whether every thread is alive and answers within `patience`.
    pub async fn is_alive(&self, patience: Duration) -> bool {
        if self.threads.iter().any(JoinHandle::is_finished) {
            return false;
        }
        for worker in &self.commands {
            let (done, answer) = oneshot::channel();
            let asked = tokio::time::timeout(patience, async {
                worker.send(Command::Ping(done)).await.is_ok() && answer.await.is_ok()
            });
            if !asked.await.unwrap_or(false) {
                return false;
            }
        }
        true
    }

    /// Stops accepting; waits until every connection has ended, cuts the rest after `patience`. Returns how many
    /// were cut.
    pub async fn drain(self, patience: Duration) -> usize {
        let _nobody_listens = self.stop.send(true);
        for worker in &self.commands {
            let _gone = worker.send(Command::Drain).await;
        }
        if tokio::time::timeout(patience, self.all_ended()).await.is_ok() {
            return 0;
        }
        // The last connection may end at this very moment: a worker that is gone has no answer to give.
        let cut = tokio::select! {
            biased;
            cut = self.ask_all(Command::CutAll) => cut,
            () = self.all_ended() => 0,
        };
        for thread in self.threads {
            let _panicked = thread.join();
        }
        cut
    }

    async fn all_ended(&self) {
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Tells every worker and adds up what they answer; a worker that is gone answers nothing.
    async fn ask_all(&self, command: impl Fn(oneshot::Sender<usize>) -> Command) -> usize {
        let mut answers = Vec::new();
        for worker in &self.commands {
            let (done, answer) = oneshot::channel();
            if worker.send(command(done)).await.is_ok() {
                answers.push(answer);
            }
        }
        let mut sum = 0;
        for answer in answers {
            sum += answer.await.unwrap_or(0);
        }
        sum
    }
}
