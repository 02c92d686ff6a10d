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
use crate::profile::Profile;
use crate::site::{Addresses, BLOCK, HTTPS_NAME, Site, TLS_NAME, source};

/// How long the program may take until a permitted request passes; callgrind makes it fifty times slower.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it is left alone before a count begins or ends: what was begun is finished, the ledger is on disk.
const SETTLE: Duration = Duration::from_millis(300);

/// The clients that keep their connection. More than one, so that a wake finds more than one request, as on a busy box.
const CLIENTS: u32 = 8;

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
}

impl Subject {
    /// Starts stand-in and program with the box file in `folder`, and waits until a permitted request passes.
    ///
    /// # Errors
    /// Where one does not start.
    pub(crate) fn start(
        site: &Site,
        callgrind: &Callgrind,
        program: &Path,
        folder: &Path,
    ) -> io::Result<Self> {
        let addresses = Addresses::of(BLOCK, 0);
        let upstream = stand_in(site, &addresses)?;
        let mut command = callgrind.command(program);
        command.arg("run").arg("-c").arg(folder.join("appliance.yaml"));
        // On one core the program has one worker.
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

    fn caller(&self, site: &Site, way: Way) -> io::Result<Caller> {
        let name = match way {
            Way::Https => HTTPS_NAME,
            Way::Tls => TLS_NAME,
        };
        Caller::new(site, &Door { way, address: self.addresses.edge, name }, Paper::Permitted)
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
        callgrind.begin(pid)?;
        let counted = LocalSet::new().block_on(&runtime, async {
            let mut clients = Clients { caller, load, open: Vec::new() };
            // The first round dials upstreams and finds its memory cold.
            clients.round().await?;
            let mut counted = Vec::new();
            for round in 1..=rounds {
                tokio::time::sleep(SETTLE).await;
                callgrind.zero(pid)?;
                clients.round().await?;
                tokio::time::sleep(SETTLE).await;
                counted.push(callgrind.take(pid, round)?);
            }
            Ok(counted)
        });
        counted.map_err(|error: io::Error| self.process.failure(&error.to_string()))
    }
}

fn stand_in(site: &Site, addresses: &Addresses) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["upstream", "--upstream", &word(&site.upstream)]);
    command.args(["--exchange", &word(&site.exchange)]);
    command.args(["--https", &addresses.https.to_string(), "--tls", &addresses.tls.to_string()]);
    command.arg("--certificates").arg(site.certificates());
    Child::helper(command, Core::Load, &site.folder().join("upstream.log"))
}

/// The clients of one load.
struct Clients {
    caller: Caller,
    load: Load,
    open: Vec<Connection>,
}

impl Clients {
    /// Asks so often as a round has units, in equal shares.
    async fn round(&mut self) -> io::Result<()> {
        let share = self.load.units / CLIENTS;
        let mut kept = std::mem::take(&mut self.open).into_iter();
        let mut tasks = JoinSet::new();
        for (number, _) in (0..CLIENTS).enumerate() {
            let (caller, pattern, connection) =
                (self.caller.clone(), self.load.pattern, kept.next());
            drop(tasks.spawn_local(async move {
                match pattern {
                    Pattern::Kept => keep(&caller, connection, number, share).await.map(Some),
                    Pattern::New => renew(&caller, number, share).await.map(|()| None),
                }
            }));
        }
        while let Some(done) = tasks.join_next().await {
            self.open.extend(done.map_err(io::Error::other)??);
        }
        Ok(())
    }
}

async fn keep(
    caller: &Caller,
    connection: Option<Connection>,
    number: usize,
    share: u32,
) -> io::Result<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => caller.open(source(number)).await?,
    };
    for _ in 0..share {
        ask(caller, &mut connection).await?;
    }
    Ok(connection)
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
