//! What all threads of the data path share. No lock here is on the way of a byte.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::accept::Census;
use super::port::Ports;
use super::slot::Slots;
use super::snapshot::Snapshot;
use super::worker::Command;
use crate::ledger::Ledger;
use crate::metrics::Metrics;

/// Shared by the acceptor and the workers.
#[derive(Debug)]
pub(super) struct Shared {
    /// The law in force, for arrivals; each worker holds its own and swaps it with its own connections.
    pub(super) snapshot: ArcSwap<Snapshot>,
    /// The ledger.
    pub(super) ledger: Ledger,
    /// The metrics.
    pub(super) metrics: Metrics,
    /// Who is connected.
    pub(super) census: Arc<Census>,
    /// Places for upstream connections.
    pub(super) slots: Arc<Slots>,
    /// The local ports of upstream connections.
    pub(super) ports: Ports,
    /// The ear of each worker; set once all have started.
    pub(super) commands: OnceLock<Vec<mpsc::Sender<Command>>>,
}

impl Shared {
    pub(super) fn new(snapshot: Arc<Snapshot>, ledger: Ledger, metrics: Metrics) -> Self {
        Self {
            snapshot: ArcSwap::new(snapshot),
            ledger,
            slots: Arc::new(Slots::new(metrics.clone())),
            metrics,
            ports: Ports::of_machine(),
            census: Arc::default(),
            commands: OnceLock::new(),
        }
    }

    /// Asks every worker to give up idle connections where somebody waits for a place. A worker too
    /// busy to hear it looks by itself within a second.
    pub(super) fn ask_for_place(&self) {
        for worker in self.commands.get().into_iter().flatten() {
            let _heard = worker.try_send(Command::GiveUpIdle);
        }
    }
}
