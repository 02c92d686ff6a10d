//! The running service as its parts see it: the law in force, the data path, the ledger. Lives in one thread.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::clockwork::Clockwork;
use super::line;
use super::notify::Supervisor;
use super::reload::Reloaded;
use super::selftest::{self, Examiner};
use crate::appliance::WhenUnwritable;
use crate::flow::{Name, Timestamp};
use crate::ledger::{self, Body, Entry, Ledger, PolicyDigest, Receipt, Unwritable};
use crate::metrics::{self, LedgerSample, Metrics, Role};
use crate::proxy::{Proxy, Snapshot, clock};
use crate::source::{Archive, Loaded, Pin};

/// What the parts of the service share.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) box_file: PathBuf,
    /// What the council's file is pinned to.
    pub(super) guardrails: Option<Pin>,
    pub(super) archive: Arc<Archive>,
    pub(super) metrics: Metrics,
    pub(super) supervisor: Supervisor,
    /// Whoever puts a law in force or judges again holds it.
    pub(super) turn: Mutex<()>,
    ledger: Ledger,
    pub(super) started: (Timestamp, Instant),
    /// Weak, so that the drain can take the data path for itself.
    proxy: RefCell<Weak<Proxy>>,
    pub(super) phase: Cell<Phase>,
    in_force: RefCell<InForce>,
    pub(super) last_reload: RefCell<Option<Reloaded>>,
    clockwork: Cell<Clockwork>,
    pub(super) examiner: Examiner,
}

/// The law in force, with everything it leans on.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) loaded: Arc<Loaded>,
    pub(super) since: Timestamp,
    pub(super) origin: Origin,
    pub(super) matches_disk: bool,
}

/// Where the law in force came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The law directory.
    Disk,
    /// The archive of accepted laws, because the law directory had faults.
    Archive,
}

impl Origin {
    /// The word for it, in the ledger and in the status.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Archive => "archive",
        }
    }
}

/// How far the life of the process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No connection is taken yet.
    Starting,
    /// Connections are taken.
    Serving,
    /// No more are taken.
    Draining,
}

/// Whether this box can do its work, as far as it is up to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It can.
    Ready,
    /// It cannot, and why.
    Unready(&'static str),
}

impl Running {
    pub(super) fn new(
        (box_file, guardrails): (PathBuf, Option<Pin>),
        archive: Archive,
        (ledger, metrics, supervisor): (Ledger, Metrics, Supervisor),
        in_force: InForce,
    ) -> Self {
        let running = Self {
            box_file,
            guardrails,
            archive: Arc::new(archive),
            metrics,
            supervisor,
            turn: Mutex::default(),
            ledger,
            started: (in_force.since, Instant::now()),
            proxy: RefCell::default(),
            phase: Cell::new(Phase::Starting),
            clockwork: Cell::new(Clockwork::judged(in_force.since)),
            in_force: RefCell::new(in_force.clone()),
            last_reload: RefCell::default(),
            examiner: Examiner::default(),
        };
        running.metrics.probes(selftest::names());
        running.begin(&in_force);
        running.install(in_force);
        running
    }

    fn begin(&self, in_force: &InForce) {
        let result = match in_force.origin {
            Origin::Disk => metrics::ReloadResult::Accepted,
            Origin::Archive => metrics::ReloadResult::Refused,
        };
        self.metrics.began(result, in_force.since.as_seconds_f64());
    }

    pub(super) fn serves(&self, proxy: &Arc<Proxy>) {
        self.proxy.replace(Arc::downgrade(proxy));
        self.phase.set(Phase::Serving);
    }

    pub(super) fn drains(&self) {
        self.phase.set(Phase::Draining);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase.get() == Phase::Draining
    }

    pub(super) fn in_force(&self) -> InForce {
        self.in_force.borrow().clone()
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Makes a law the one that status and metrics speak of; the data path is swapped apart.
    pub(super) fn install(&self, in_force: InForce) {
        measure(&self.metrics, &in_force.loaded);
        self.metrics.policy_matches_disk(in_force.matches_disk);
        self.in_force.replace(in_force);
        self.look_at_lines();
    }

    pub(super) fn set_matches_disk(&self, matches: bool) {
        self.metrics.policy_matches_disk(matches);
        self.in_force.borrow_mut().matches_disk = matches;
    }

    pub(super) fn set_last_reload(&self, reloaded: Reloaded) {
        self.last_reload.replace(Some(reloaded));
    }

    /// Swaps the law of the data path; says how many connections were cut.
    pub(super) async fn swap(&self, snapshot: Arc<Snapshot>) -> usize {
        self.clockwork.set(Clockwork::judged(clock::now()));
        match self.proxy() {
            Some(proxy) => proxy.swap(snapshot).await,
            None => 0,
        }
    }

    /// Judges the live connections again where time alone has changed the law.
    pub(super) async fn keep_time(&self) {
        let at = clock::now();
        let engine = Arc::clone(&self.in_force.borrow().loaded.law.engine);
        if !self.clockwork.get().is_due(&engine, at) {
            return;
        }
        // Whoever holds the turn is judging everything already, or draining.
        let Ok(_turn) = self.turn.try_lock() else { return };
        let Some(proxy) = self.proxy() else { return };
        self.clockwork.set(Clockwork::judged(at));
        let cut = proxy.rejudge().await;
        tracing::info!(cut, "time has changed the law; live connections were judged again");
    }

    /// Whether every thread of the data path answers; a service that drains has given it away.
    pub(super) async fn data_path_is_alive(&self, patience: Duration) -> bool {
        match self.proxy() {
            Some(proxy) if !self.is_draining() => proxy.is_alive(patience).await,
            Some(_) | None => true,
        }
    }

    /// Records what happened to the process.
    pub(super) async fn append(
        &self,
        policy: PolicyDigest,
        body: Body,
    ) -> Result<Receipt, Unwritable> {
        let entry = Entry { at: clock::now(), policy, connection: None, body };
        let receipt = self.ledger.append(&entry).await?;
        self.ledger.sync(receipt).await
    }

    pub(super) fn look_at_lines(&self) {
        for (name, line) in &self.in_force().loaded.appliance.lines {
            self.metrics.line(name, line::is_up(Path::new(line::INTERFACES), &line.interface));
        }
    }

    pub(super) fn exposition(&self) -> String {
        self.metrics.ledger(sample(&self.ledger.stats()));
        self.metrics.encode()
    }

    pub(super) fn readiness(&self) -> Readiness {
        let settings = self.in_force.borrow().loaded.appliance.ledger.when_unwritable;
        let refuses = settings == WhenUnwritable::Refuse;
        match self.phase.get() {
            Phase::Starting => Readiness::Unready("starting"),
            Phase::Draining => Readiness::Unready("draining"),
            Phase::Serving if refuses && !self.ledger.is_writable() => {
                Readiness::Unready("ledger_unwritable")
            }
            Phase::Serving => Readiness::Ready,
        }
    }

    pub(super) fn drain_timeout(&self) -> Duration {
        self.in_force.borrow().loaded.appliance.limits.drain_timeout
    }

    pub(super) fn proxy(&self) -> Option<Arc<Proxy>> {
        self.proxy.borrow().upgrade()
    }
}

pub(super) fn next_updates(loaded: &Loaded) -> Vec<(Name, Timestamp)> {
    let trust = loaded.trust.iter();
    trust.filter_map(|(name, store)| Some((name.clone(), store.next_update()?))).collect()
}

/// Creates the series of a law.
fn measure(metrics: &Metrics, loaded: &Loaded) {
    metrics.install(&metrics::InForce {
        model: loaded.law.engine.model(),
        digest: loaded.digest,
        connections_limit: loaded.appliance.limits.connections,
        lines: loaded.appliance.lines.keys().cloned().collect(),
        certificates: certificates(loaded),
        next_updates: next_updates(loaded),
    });
}

/// Each certificate once for each thing it is used for.
fn certificates(loaded: &Loaded) -> Vec<(Name, Role, Timestamp)> {
    let mut found = Vec::new();
    for (name, credential) in &loaded.certificates {
        let until = credential.not_after();
        let roles = roles(loaded, name);
        found.extend(roles.into_iter().map(|role| (name.clone(), role, until)));
    }
    found
}

fn roles(loaded: &Loaded, certificate: &Name) -> Vec<Role> {
    let mut listeners = loaded.appliance.listeners.values();
    let serves = listeners.any(|listener| listener.mode.certificate() == Some(certificate));
    let mut systems = loaded.law.engine.model().systems.values();
    let calls = systems.any(|system| {
        system.upstream.as_ref().is_some_and(|upstream| upstream.certificate == *certificate)
    });
    match (serves, calls) {
        (true, true) => vec![Role::Server, Role::Client],
        (true, false) => vec![Role::Server],
        (false, true) => vec![Role::Client],
        (false, false) => vec![Role::Unused],
    }
}

fn sample(stats: &ledger::Stats) -> LedgerSample {
    let ledger::Durations { buckets, count, sum } = stats.syncs.clone();
    let bounds = ledger::Durations::BOUNDS.iter().map(|micros| Duration::from_micros(*micros));
    let buckets = bounds.map(|bound| bound.as_secs_f64()).zip(buckets).collect();
    LedgerSample {
        entries: stats.entries,
        lost: stats.lost,
        free_bytes: stats.free,
        syncs: metrics::Durations { buckets, count, sum },
        head: stats.checkpoint.as_ref().map(|head| (head.size, head.root.0)),
        key: stats.key.clone(),
        set_aside: stats.aside.is_some(),
    }
}
