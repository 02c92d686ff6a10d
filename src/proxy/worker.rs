//! One core's worth of the data path: its runtime, its connections, its pool. Everything here is `!Send`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::accept::Arrival;
use super::busy_poll::{self, Exchanges};
use super::connection::Connection;
use super::ended::Ended;
use super::paper::Papers;
use super::pool::Pool;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::{clock, judge, life};
use crate::flow::Name;
use crate::metrics::RuleMetrics;
use crate::tls;
use crate::verdict::Reason;

/// Sweeps, of one a second, between two looks at everything that is live.
const JUDGED_EVERY: u32 = 60;

/// What a worker is told by others.
#[derive(Debug)]
pub(super) enum Command {
    /// A new law; answer with how many connections it cut.
    Swap(Arc<Snapshot>, oneshot::Sender<usize>),
    /// The same law at a later time; answer with how many connections it cut.
    Rejudge(oneshot::Sender<usize>),
    /// Somebody waits for a place; the pool sees itself at which endpoint.
    GiveUpIdle,
    /// Finish what is in flight, take nothing new.
    Drain,
    /// Cut what is left.
    CutAll(oneshot::Sender<usize>),
    /// Are you alive?
    Ping(oneshot::Sender<()>),
}

/// What the connections of one core share.
#[derive(Debug)]
pub(super) struct Worker {
    /// What all threads share.
    pub(super) shared: Arc<Shared>,
    /// This core's upstream connections.
    pub(super) pool: Rc<Pool>,
    /// Client certificates that were verified before.
    pub(super) papers: Papers,
    snapshot: RefCell<Arc<Snapshot>>,
    live: RefCell<HashMap<Id, Rc<Connection>>>,
    rules: RefCell<HashMap<Name, Arc<RuleMetrics>>>,
    draining: Cell<bool>,
    notes: Rc<()>,
    /// The runtime reads it too.
    exchanges: Arc<Exchanges>,
    beats: Cell<u32>,
}

impl Worker {
    fn new(shared: Arc<Shared>, exchanges: Arc<Exchanges>) -> Self {
        let snapshot = shared.snapshot.load_full();
        Self {
            pool: Rc::new(Pool::new(Arc::clone(&shared.slots))),
            shared,
            papers: Papers::default(),
            snapshot: RefCell::new(snapshot),
            live: RefCell::default(),
            rules: RefCell::default(),
            draining: Cell::new(false),
            notes: Rc::new(()),
            exchanges,
            beats: Cell::new(1),
        }
    }

    /// The law that this worker's connections live under.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The metric children of a rule.
    pub(super) fn rule(&self, rule: &Name, system: &Name) -> Arc<RuleMetrics> {
        if let Some(known) = self.rules.borrow().get(rule) {
            return Arc::clone(known);
        }
        let metrics = self.shared.metrics.rule(rule, system);
        self.rules.borrow_mut().insert(rule.clone(), Arc::clone(&metrics));
        metrics
    }

    /// An entry is on its way to the ledger until what this gives is dropped.
    pub(super) fn begin_note(&self) -> Rc<()> {
        Rc::clone(&self.notes)
    }

    /// An exchange begins.
    pub(super) fn begin_exchange(&self) {
        self.exchanges.begin();
    }

    /// It has ended.
    pub(super) fn end_exchange(&self) {
        self.exchanges.end();
    }

    /// Waits for the entries that are on their way.
    async fn notes_are_kept(&self) {
        while Rc::strong_count(&self.notes) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether this box stops.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Every connection of this worker.
    pub(super) fn connections(&self) -> Vec<Rc<Connection>> {
        #[expect(
            clippy::iter_over_hash_type,
            reason = "each is judged by itself, order does not matter"
        )]
        let all = {
            let mut all = Vec::new();
            for connection in self.live.borrow().values() {
                all.push(Rc::clone(connection));
            }
            all
        };
        all
    }

    fn swap(&self, snapshot: Arc<Snapshot>) -> usize {
        self.papers.forget();
        // A rule may lead to another system now; its children are looked up anew.
        self.rules.borrow_mut().clear();
        self.snapshot.replace(snapshot);
        judge::again(self)
    }

    fn drain(&self) {
        self.draining.set(true);
        for connection in self.connections() {
            connection.drain.throw(Reason::Draining);
        }
    }

    fn cut_all(&self) -> usize {
        let connections = self.connections();
        for connection in &connections {
            connection.cut(Reason::Draining);
        }
        connections.len()
    }

    fn sweep(&self) {
        let snapshot = self.snapshot();
        let limits = snapshot.limits();
        self.pool.sweep(limits.upstream_idle_timeout);
        // Whoever is waited for has a timer of its own; what is left is a peer that does not read.
        let patience =
            limits.idle_timeout.max(limits.response_timeout).max(limits.request_body_timeout);
        let now = Instant::now();
        for connection in self.connections() {
            let stuck = connection.streams.borrow().iter().find_map(|stream| {
                stream.cut_if_stalled(now, patience);
                stream.stuck()
            });
            if let Some(reason) = stuck {
                connection.cut(reason);
            }
        }
        judge::ended(self);
        // What has an end of its own beside the law's dates: an upstream's certificate, a list that is due.
        let beat = self.beats.get() % JUDGED_EVERY;
        self.beats.set(beat + 1);
        if beat == 0 {
            let _cut = judge::again(self);
        }
    }

    fn obey(&self, command: Command) {
        // Whoever asked may have stopped waiting; the command holds all the same.
        match command {
            Command::Swap(snapshot, done) => drop(done.send(self.swap(snapshot))),
            Command::Rejudge(done) => drop(done.send(judge::again(self))),
            Command::GiveUpIdle => {
                self.pool.sweep(self.snapshot().limits().upstream_idle_timeout);
            }
            Command::Drain => self.drain(),
            Command::CutAll(done) => drop(done.send(self.cut_all())),
            Command::Ping(done) => drop(done.send(())),
        }
    }
}

/// Carries connections until there will be no more and the last has ended.
///
/// # Errors
/// Where the runtime cannot be made.
pub(super) fn run(
    shared: Arc<Shared>,
    arrivals: mpsc::Receiver<Arrival>,
    commands: mpsc::Receiver<Command>,
    load: Arc<AtomicUsize>,
) -> io::Result<()> {
    let exchanges = Arc::<Exchanges>::default();
    // Where nobody waits for an answer, the ledger may have the core.
    let ledger = shared.ledger.clone();
    let runtime = busy_poll::runtime(&exchanges, move || ledger.rest())?;
    tls::draw_entropy();
    let worker = Rc::new(Worker::new(shared, exchanges));
    let tasks = LocalSet::new();
    // A task of its own, since a set polls what it is run until whenever any of its tasks wakes.
    let work = tasks.spawn_local(work(worker, arrivals, commands, load));
    let done = tasks.block_on(&runtime, work);
    if let Err(Ok(panic)) = done.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
    Ok(())
}

async fn work(
    worker: Rc<Worker>,
    mut arrivals: mpsc::Receiver<Arrival>,
    mut commands: mpsc::Receiver<Command>,
    load: Arc<AtomicUsize>,
) {
    let mut tasks = JoinSet::new();
    let mut sweep = tokio::time::interval(Duration::from_secs(1));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    while open || !tasks.is_empty() {
        tokio::select! {
            Some(command) = commands.recv() => worker.obey(command),
            Some(ended) = tasks.join_next_with_id() => {
                load.fetch_sub(1, Ordering::Relaxed);
                finish(&worker, ended).await;
            }
            arrival = arrivals.recv(), if open => match arrival {
                Some(arrival) => begin(&worker, &mut tasks, arrival),
                None => open = false,
            },
            _ = sweep.tick() => worker.sweep(),
        }
    }
    // Whoever asked in the last moment gets an answer: what is sent after this fails at once.
    commands.close();
    while let Some(command) = commands.recv().await {
        worker.obey(command);
    }
    worker.notes_are_kept().await;
}

fn begin(worker: &Rc<Worker>, tasks: &mut JoinSet<()>, arrival: Arrival) {
    let (connection, stream) = Connection::new(worker, arrival);
    if worker.is_draining() {
        connection.drain.throw(Reason::Draining);
    }
    let task = tasks.spawn_local(clock::punctual(life::live(Rc::clone(&connection), stream)));
    worker.live.borrow_mut().insert(task.id(), connection);
}

async fn finish(worker: &Worker, ended: Result<(Id, ()), JoinError>) {
    let id = match &ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    };
    let connection = worker.live.borrow_mut().remove(&id);
    if let (Some(connection), Err(_panic)) = (connection, ended) {
        // One connection's mistake stops neither the others nor the record of it.
        tracing::error!(connection = connection.id.0, "the task of a connection failed");
        connection.close(Ended::Panicked).await;
    }
}
