//! Places for upstream connections: one count per endpoint, shared by all workers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::flow::Name;
use crate::metrics::Metrics;

/// The places of every endpoint.
#[derive(Debug)]
pub(super) struct Slots {
    metrics: Metrics,
    places: Mutex<HashMap<SocketAddr, Arc<Places>>>,
}

/// The places of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: AtomicU32,
    wanted: AtomicU32,
    freed: Notify,
}

/// One place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    places: Arc<Places>,
    metrics: Metrics,
    system: Name,
    endpoint: SocketAddr,
}

impl Slots {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, places: Mutex::default() }
    }

    /// Takes a place, where one of `most` is free.
    pub(super) fn take(&self, system: &Name, endpoint: SocketAddr, most: u32) -> Option<Slot> {
        let places = self.places(endpoint);
        let free = |taken: u32| (taken < most).then_some(taken + 1);
        places.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok()?;
        self.metrics.upstream_opened(system, endpoint);
        Some(Slot { places, metrics: self.metrics.clone(), system: system.clone(), endpoint })
    }

    /// Queues for a place: from now on [`Places::is_wanted`] tells the pools to give one up.
    pub(super) fn queue(&self, endpoint: SocketAddr) -> Queued {
        let places = self.places(endpoint);
        places.wanted.fetch_add(1, Ordering::AcqRel);
        Queued(places)
    }

    /// The places of an endpoint.
    pub(super) fn places(&self, endpoint: SocketAddr) -> Arc<Places> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(endpoint).or_default())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.upstream_closed(&self.system, self.endpoint);
        self.places.taken.fetch_sub(1, Ordering::AcqRel);
        self.places.freed.notify_one();
    }
}

impl Places {
    /// Whether somebody waits for one.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire) > 0
    }
}

/// Somebody who waits for a place.
#[derive(Debug)]
pub(super) struct Queued(Arc<Places>);

impl Queued {
    /// Resolves when a place is given back; somebody else may still be faster.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, Ordering::AcqRel);
    }
}
