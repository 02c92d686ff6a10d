//! The life of a connection: files in order of travel.

mod header;
mod refusal;
mod socket;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use crate::flow::Name;
use crate::ledger::{Ledger, PolicyDigest};
use crate::metrics::Metrics;
use crate::policy::Engine;
use crate::source::Loaded;
use crate::yaml::Faults;

/// One law in force with everything it needs: taken once per stage, swapped whole.
#[derive(Debug)]
pub struct Snapshot {
    /// The law.
    pub engine: Arc<Engine>,
    /// Its digest.
    pub digest: PolicyDigest,
}

impl Snapshot {
    /// Builds the tables and the TLS configurations.
    ///
    /// # Errors
    /// Faults where a credential cannot serve the permitted versions.
    pub fn build(loaded: &Loaded) -> Result<Self, Faults> {
        todo!()
    }
}

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
pub struct Proxy {}

impl Proxy {
    /// Starts the threads; connections are taken from now on.
    ///
    /// # Errors
    /// Where a thread or its runtime cannot be made.
    pub fn start(
        listeners: Vec<BoundListener>,
        snapshot: Arc<Snapshot>,
        ledger: Ledger,
        metrics: Metrics,
        workers: usize,
    ) -> std::io::Result<Self> {
        todo!()
    }
    /// The law in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        todo!()
    }
    /// Puts a law in force and judges every live connection again; returns when all workers have, with how many were cut.
    pub async fn swap(&self, snapshot: Arc<Snapshot>) -> usize {
        todo!()
    }
    /// Judges every live connection again by the law in force (time has changed it).
    pub async fn rejudge(&self) -> usize {
        todo!()
    }
    /// Client connections now.
    pub fn connections(&self) -> usize {
        todo!()
    }
    /// Stops accepting; waits until every connection has ended, cuts the rest after `patience`. Returns how many were cut.
    pub async fn drain(self, patience: Duration) -> usize {
        todo!()
    }
}
