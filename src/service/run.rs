//! The whole life in order: read the law, bind, give up privileges, open the ledger, serve, drain, stop.

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener as Bound;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::task::LocalSet;
use tokio::time::{interval, sleep, timeout};

use super::control::{self, Caller, Door, Outcome};
use super::pulse::{Pulse, Pulses};
use super::running::{InForce, Origin, Running};
use super::signal::{Signal, Signals};
use super::start::{self, Begun};
use super::task::{Guests, Tasks};
use super::{Error, Inherited, Options, Ready, Stop, Supervisor, admin, listen, privilege, reload};
use crate::ledger::{Body, Entry, Ledger, Settings};
use crate::metrics::Metrics;
use crate::policy::Masked;
use crate::proxy::{BoundListener, Proxy, Snapshot, clock};
use crate::source::{Loaded, Pin};
use crate::yaml::Faults;

/// How often the clockwork looks at the time, the ledger and the lines.
const TICK: Duration = Duration::from_secs(1);
/// How long a reload that has begun is waited for before the drain begins.
const LAST_RELOAD: Duration = Duration::from_secs(10);
/// What the service manager is asked to grant beyond the drain itself.
const MARGIN: Duration = Duration::from_secs(20);
/// For the last entry to reach the disk.
const LAST_WORD: Duration = Duration::from_secs(10);
/// A worker that does not answer for this long stands still.
const STANDSTILL: Duration = Duration::from_secs(30);
/// Reloads by signal that wait for one another; more signals than that ask for nothing new.
const RELOADS_MAX: usize = 2;

/// Runs a service in the calling thread until it is asked to stop.
///
/// # Errors
/// [`Error`]: it could not start, or a part of it has died.
pub fn run(options: Options) -> Result<(), Error> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start the runtime"))?;
    let outcome = LocalSet::new().block_on(&runtime, live(options));
    runtime.shutdown_timeout(TICK);
    outcome
}

/// Everything that is bound before privileges are given up.
struct Doors {
    listeners: Vec<BoundListener>,
    admin: TcpListener,
    control: Rc<Door>,
}

async fn live(options: Options) -> Result<(), Error> {
    let Options { box_file, guardrails, stop, ready, supervisor, inherited, signals, workers } =
        options;
    let signals = signals.then(Signals::listen).transpose();
    let signals = signals.map_err(Error::io("listen for signals"))?;
    let begun = start::begin(&box_file, guardrails.as_ref())?;
    let Doors { listeners, admin, control } = open_doors(&begun, inherited)?;
    let at = admin.local_addr().map_err(Error::io("tell the address of the admin port"))?;
    let (running, snapshot) = make((box_file, guardrails), begun, supervisor).await?;
    let (ledger, metrics) = (running.ledger().clone(), running.metrics.clone());
    let proxy = Proxy::start(listeners, snapshot, ledger, metrics, workers);
    let proxy = Arc::new(proxy.map_err(Error::io("start the data path"))?);
    running.serves(&proxy);
    let mut tasks = Tasks::default();
    spawn(&mut tasks, &running, (admin, control));
    ready(&said(&running, at));
    running.supervisor.ready(&format!("policy {:.8} in force", running.in_force().loaded.digest));
    tracing::info!(admin = %at, policy = %running.in_force().loaded.digest, "connections are taken");
    // Outlives the wait: a reload that has begun is let finish by the drain.
    let mut reloads = Guests::new(RELOADS_MAX);
    let end = wait(&running, &stop, signals, (&mut tasks, &mut reloads)).await;
    let cause = match &end {
        Ok(()) => drain(&running, proxy).await,
        // What has died cannot be waited for; the service manager starts everything anew.
        Err(_) => "error",
    };
    tasks.shutdown().await;
    close(&running, cause).await;
    end
}

fn open_doors(begun: &Begun, mut inherited: Inherited) -> Result<Doors, Error> {
    let appliance = &begun.loaded.appliance;
    let listeners = listen::all(appliance, &mut inherited)?;
    let bind = appliance.admin.bind;
    let admin = listen::one(bind, &mut inherited).and_then(asynchronous);
    let admin = admin.map_err(Error::bind("admin", bind))?;
    inherited.warn_of_the_rest();
    let path = &appliance.control;
    let control = Door::make(path).map_err(Error::bind("control", path.display()))?;
    // No thread was started yet: whatever is started from here cannot bind a low port any more.
    privilege::drop_bind().map_err(Error::io("give up `CAP_NET_BIND_SERVICE`"))?;
    Ok(Doors { listeners, admin, control: Rc::new(control) })
}

fn asynchronous(socket: Bound) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Opens the ledger and records how this life begins.
async fn make(
    files: (PathBuf, Option<Pin>),
    begun: Begun,
    supervisor: Supervisor,
) -> Result<(Rc<Running>, Arc<Snapshot>), Error> {
    let Begun { loaded, snapshot, origin, refused, archive } = begun;
    let since = clock::now();
    let settings = Settings::new(&loaded.appliance, since);
    let ledger = Ledger::open(settings).map_err(Error::Ledger)?;
    let matches_disk = origin == Origin::Disk;
    let in_force = InForce { loaded, since, origin, matches_disk };
    let together = (ledger, Metrics::new(), supervisor);
    let running = Rc::new(Running::new(files, archive, together, in_force));
    record_start(&running, refused.as_ref()).await;
    Ok((running, snapshot))
}

async fn record_start(running: &Running, refused: Option<&Faults>) {
    let InForce { loaded, origin, .. } = running.in_force();
    let name = loaded.appliance.name.clone();
    let mut bodies = vec![Body::Start { version: env!("CARGO_PKG_VERSION"), appliance: name }];
    if let Some(faults) = refused {
        let text = faults.render(false);
        tracing::error!(faults = %text, policy = %loaded.digest, "the law on disk is faulty; the last accepted one runs");
        bodies.push(reload::refused_policy(None, faults));
    }
    bodies.push(reload::accepted_policy(loaded.digest, origin, None));
    for body in bodies {
        if running.append(loaded.digest, body).await.is_err() {
            tracing::error!("the start could not be recorded: the ledger cannot be written");
        }
    }
    keep(running, origin, &loaded);
}

/// A law from the disk that is in force is an accepted one.
fn keep(running: &Running, origin: Origin, loaded: &Loaded) {
    if origin == Origin::Archive {
        return;
    }
    if let Err(error) = running.archive.keep(loaded) {
        tracing::error!(%error, "the law in force could not be archived: a start with a faulty law would find an older one");
    }
}

fn said(running: &Running, admin: SocketAddr) -> Ready {
    let loaded = running.in_force().loaded;
    Ready {
        admin,
        control: loaded.appliance.control.clone(),
        policy: loaded.digest,
        boot: running.ledger().boot(),
    }
}

fn spawn(tasks: &mut Tasks, running: &Rc<Running>, (admin, control): (TcpListener, Rc<Door>)) {
    let mut pulses = Pulses::default();
    let (calls, clock) = (pulses.of("control socket"), pulses.of("clockwork"));
    tasks.spawn("admin port", admin::serve(admin, Rc::clone(running)));
    tasks.spawn("control socket", control::serve(control, Rc::clone(running), calls));
    tasks.spawn("clockwork", tick(Rc::clone(running), clock));
    tasks.spawn("ledger", mind_ledger(Rc::clone(running)));
    tasks.spawn("data path", mind_data_path(Rc::clone(running)));
    if let Some(patience) = running.supervisor.watchdog() {
        tasks.spawn("watchdog", ping(Rc::clone(running), pulses, patience));
    }
}

/// Time, and what has to be looked at again and again.
async fn tick(running: Rc<Running>, pulse: Pulse) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        pulse.beat();
        running.look_at_lines();
        running.keep_time().await;
    }
}

/// Summaries and gaps fall due in the ledger; ends when its writer has died.
async fn mind_ledger(running: Rc<Running>) {
    let mut ticks = interval(TICK);
    while !running.ledger().is_dead() {
        ticks.tick().await;
        let now = clock::now();
        running.ledger().keep_time(now, running.started.1.elapsed());
        running.ledger().tick(now).await;
    }
}

/// Ends when a thread of the data path has ended or stands still.
async fn mind_data_path(running: Rc<Running>) {
    while running.data_path_is_alive(STANDSTILL).await {
        sleep(TICK).await;
    }
}

/// Pings while every loop comes round; else says which does not and lets the service manager draw its conclusion.
async fn ping(running: Rc<Running>, pulses: Pulses, patience: Duration) {
    let mut ticks = interval(patience / 4);
    loop {
        ticks.tick().await;
        match pulses.missing(patience / 2) {
            None => running.supervisor.alive(),
            Some(part) => {
                tracing::error!(part, "stands still; the watchdog is not told that all is well");
            }
        }
    }
}

async fn wait(
    running: &Rc<Running>,
    stop: &Stop,
    mut signals: Option<Signals>,
    (tasks, reloads): (&mut Tasks, &mut Guests),
) -> Result<(), Error> {
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            part = tasks.ended() => return Err(Error::Died { part }),
            signal = next(&mut signals) => match signal {
                Signal::Stop => return Ok(()),
                Signal::Reload => {
                    let running = Rc::clone(running);
                    reloads.admit(async move { running.reload_by_signal().await });
                }
            },
        }
    }
}

async fn next(signals: &mut Option<Signals>) -> Signal {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// Takes no more connections and lets the live ones end; the admin port and the control socket go on answering.
async fn drain(running: &Running, proxy: Arc<Proxy>) -> &'static str {
    let patience = running.drain_timeout();
    running.supervisor.stopping(patience + LAST_RELOAD + MARGIN);
    running.drains();
    tracing::info!(?patience, "draining");
    running.record_operation(Caller::default(), "stop", Outcome::Ok).await;
    // One that hangs on the disk must not keep the listeners open.
    let _stopped = timeout(LAST_RELOAD, running.examiner.stop()).await;
    // A reload that has begun is let finish; none begins any more.
    let _turn = timeout(LAST_RELOAD, running.turn.lock()).await;
    let Some(proxy) = sole(proxy).await else {
        tracing::error!("the data path does not answer; its connections are abandoned");
        return "error";
    };
    match proxy.drain(patience).await {
        0 => "drained",
        cut => {
            tracing::warn!(cut, "connections outlived the drain and were cut");
            "drain_timeout"
        }
    }
}

/// The data path without those that look at it now and then.
async fn sole(mut proxy: Arc<Proxy>) -> Option<Proxy> {
    for _ in 0..500 {
        match Arc::try_unwrap(proxy) {
            Ok(sole) => return Some(sole),
            Err(shared) => proxy = shared,
        }
        sleep(Duration::from_millis(10)).await;
    }
    None
}

/// The last entry, and everything before it, on disk.
async fn close(running: &Running, cause: &'static str) {
    let policy = running.in_force().loaded.digest;
    let body = Body::Stop { cause: Masked::own(cause) };
    let stop = Entry { at: clock::now(), policy, connection: None, body };
    let closed = timeout(LAST_WORD, running.ledger().clone().close(stop)).await;
    if let Ok(Ok(receipt)) = closed {
        tracing::info!(entry = %receipt.reference(), cause, "stopped");
    } else {
        tracing::error!(cause, "the ledger could not be closed in order");
    }
}
