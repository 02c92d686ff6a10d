//! Cases that go through the real program over sockets: the program under callgrind, one worker, client and stand-in
//! outside of it. What is counted is the program alone.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::affinity::Core;
use crate::argument::word;
use crate::callgrind::Callgrind;
use crate::case::Pattern;
use crate::child::Child;
use crate::client::{Caller, Connection, Paper, SMALL, SMALL_BYTES};
use crate::door::{Door, Way};
use crate::measure;
use crate::profile::Profile;
use crate::site::{Addresses, HTTPS_NAME, Site, TLS_NAME, source};

/// How long the program may take until a permitted request passes; callgrind makes it fifty times slower.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long it is left alone before a count begins or ends: what was begun is finished, the ledger is on disk.
const SETTLE: Duration = Duration::from_millis(300);

/// The clients that keep their connection. More than one, so that a wake finds more than one request, as on a busy box.
pub(crate) const CLIENTS: usize = 8;

/// Connections that are opened at a time.
const AT_ONCE: usize = 64;

/// The program under callgrind, and what stands behind it.
pub(crate) struct Subject {
    process: Child,
    _upstream: Child,
    addresses: Addresses,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// How clients behave.
    pub(crate) pattern: Pattern,
    /// By which kind of rule.
    pub(crate) way: Way,
    /// How many requests a round has.
    pub(crate) units: u32,
    /// How many connections are open, where they are kept.
    pub(crate) open: usize,
}

impl Subject {
    /// Starts stand-in and program with the box file in `folder`, and waits until a permitted request passes.
    ///
    /// # Errors
    /// Where one does not start.
    pub(crate) fn start(
        site: &Site,
        program: Command,
        folder: &Path,
        workers: usize,
    ) -> io::Result<Self> {
        let addresses = measure::addresses();
        let upstream = stand_in(site, &addresses)?;
        // The program has a worker for each core that it may use, and is started on one.
        let mut command = if workers > 1 { on_both_cores(program) } else { program };
        command.arg("run").arg("-c").arg(folder.join("appliance.yaml"));
        let process = Child::server(command, Core::Subject, &folder.join("log"))?;
        let mut subject = Self { process, _upstream: upstream, addresses };
        subject.wait(site)?;
        Ok(subject)
    }

    fn wait(&mut self, site: &Site) -> io::Result<()> {
        let began = Instant::now();
        for way in [Way::Https, Way::Tls] {
            let caller = self.caller(site, way)?;
            while !matches!(caller.once(source(0), SMALL), Ok(200)) {
                if began.elapsed() > PATIENCE || !self.process.is_running() {
                    return Err(self.process.failure("no permitted request passes"));
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// A permitted client of this kind.
    ///
    /// # Errors
    /// Where its papers cannot be read.
    pub(crate) fn caller(&self, site: &Site, way: Way) -> io::Result<Caller> {
        let name = match way {
            Way::Https => HTTPS_NAME,
            Way::Tls => TLS_NAME,
        };
        Caller::new(site, &Door { way, address: self.addresses.edge, name }, Paper::Permitted)
    }

    /// Its process, and the one behind it.
    pub(crate) const fn process(&self) -> &Child {
        &self.process
    }

    /// Counts `rounds` rounds of `load`.
    ///
    /// # Errors
    /// Where a request is not answered as it must be.
    pub(crate) fn count(
        &mut self,
        site: &Site,
        callgrind: &Callgrind,
        load: Load,
        rounds: usize,
    ) -> io::Result<Vec<Profile>> {
        let caller = self.caller(site, load.way)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pid = self.process.id();
        let counted = LocalSet::new().block_on(&runtime, async {
            let mut clients = Clients::open(caller, load).await?;
            callgrind.begin(pid)?;
            // The first round finds its memory cold.
            clients.round(load.units).await?;
            let mut counted = Vec::new();
            for round in 1..=rounds {
                tokio::time::sleep(SETTLE).await;
                callgrind.zero(pid)?;
                clients.round(load.units).await?;
                tokio::time::sleep(SETTLE).await;
                counted.push(callgrind.take(pid, round)?);
            }
            Ok(counted)
        });
        counted.map_err(|error: io::Error| self.process.failure(&error.to_string()))
    }
}

/// The same program, allowed on the cores of both sides; where there is only one, as it is.
fn on_both_cores(program: Command) -> Command {
    let (Some(subject), Some(load)) = (Core::Subject.number(), Core::Load.number()) else {
        return program;
    };
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(format!("{subject},{load}"));
    command.arg(program.get_program()).args(program.get_args());
    command
}

fn stand_in(site: &Site, addresses: &Addresses) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["upstream", "--upstream", &word(&site.upstream)]);
    command.args(["--exchange", &word(&site.exchange)]);
    command.args(["--https", &addresses.https.to_string(), "--tls", &addresses.tls.to_string()]);
    command.arg("--certificates").arg(site.certificates());
    Child::helper(command, Core::Load, &site.folder().join("upstream.log"))
}

/// The clients of one load, each with the connections that it keeps.
pub(crate) struct Clients {
    caller: Caller,
    load: Load,
    kept: Vec<Vec<Connection>>,
}

impl Clients {
    /// Opens what is kept, and asks once on each.
    ///
    /// # Errors
    /// Where one is refused.
    pub(crate) async fn open(caller: Caller, load: Load) -> io::Result<Self> {
        let hands = load.open.clamp(1, AT_ONCE);
        let mut tasks = JoinSet::new();
        for hand in 0..hands {
            let caller = caller.clone();
            drop(tasks.spawn_local(async move {
                let mut opened = Vec::new();
                for number in (hand..load.open).step_by(hands) {
                    let mut connection = caller.open(source(number)).await?;
                    ask(&caller, &mut connection).await?;
                    opened.push(connection);
                }
                Ok::<_, io::Error>(opened)
            }));
        }
        let mut opened = Vec::new();
        while let Some(done) = tasks.join_next().await {
            opened.extend(done.map_err(io::Error::other)??);
        }
        Ok(Self { caller, load, kept: dealt(opened) })
    }

    /// Asks so often, in equal shares.
    ///
    /// # Errors
    /// Where a request is not answered as it must be.
    pub(crate) async fn round(&mut self, units: u32) -> io::Result<()> {
        let kept = std::mem::take(&mut self.kept);
        let share = units / u32::try_from(kept.len().max(1)).unwrap_or(1);
        let mut tasks = JoinSet::new();
        for (number, connections) in kept.into_iter().enumerate() {
            let (caller, pattern) = (self.caller.clone(), self.load.pattern);
            drop(tasks.spawn_local(async move {
                match pattern {
                    Pattern::Kept => keep(&caller, connections, share).await,
                    Pattern::New => renew(&caller, number, share).await.map(|()| connections),
                }
            }));
        }
        while let Some(done) = tasks.join_next().await {
            self.kept.push(done.map_err(io::Error::other)??);
        }
        Ok(())
    }
}

/// As many hands as there are clients, and no hand without a connection.
fn dealt(opened: Vec<Connection>) -> Vec<Vec<Connection>> {
    let clients = opened.len().clamp(1, CLIENTS);
    let mut hands: Vec<Vec<Connection>> = Vec::new();
    hands.resize_with(clients, Vec::new);
    for (number, connection) in opened.into_iter().enumerate() {
        if let Some(hand) = hands.get_mut(number % clients) {
            hand.push(connection);
        }
    }
    hands
}

/// Asks on one connection after the other; the next round goes on with those that waited.
async fn keep(
    caller: &Caller,
    mut connections: Vec<Connection>,
    share: u32,
) -> io::Result<Vec<Connection>> {
    for _ in 0..share {
        if let Some(connection) = connections.first_mut() {
            ask(caller, connection).await?;
        }
        let one = connections.len().min(1);
        connections.rotate_left(one);
    }
    Ok(connections)
}

async fn renew(caller: &Caller, number: usize, share: u32) -> io::Result<()> {
    for _ in 0..share {
        let mut connection = caller.open(source(number)).await?;
        ask(caller, &mut connection).await?;
        connection.close().await;
    }
    Ok(())
}

async fn ask(caller: &Caller, connection: &mut Connection) -> io::Result<()> {
    let reply = connection.ask(&caller.get(SMALL), |_bytes| ()).await?;
    if reply.status == 200 && reply.body == SMALL_BYTES && !reply.last {
        Ok(())
    } else {
        Err(io::Error::other(format!("not the reply that was due: {}", reply.status)))
    }
}
