//! Cases that need no proxy: a process that calls the library, and how it is driven. It reads one line, does so many
//! units of work, says `done`, and ends with its standard input.

use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use sekisho::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Host, Identity, Method, Name, Paper, Request,
    Revocation, ServerName, Timestamp, TlsVersion,
};
use sekisho::ledger::{Body, Entry, Ledger, RequestFacts, Settings};
use sekisho::source::Loaded;
use sekisho::verdict::Verdict;

use crate::callgrind::Callgrind;
use crate::case::Case;
use crate::command::Inside;
use crate::measure;
use crate::profile::Profile;
use crate::site::{HTTPS_NAME, source};

/// Counts `rounds` rounds of `case` under the box file `appliance`.
///
/// # Errors
/// Where the process does not do its work.
pub(crate) fn count(
    callgrind: &Callgrind,
    appliance: &Path,
    case: Case,
    rounds: usize,
) -> io::Result<Vec<Profile>> {
    let mut command = callgrind.command(&std::env::current_exe()?);
    command.args(["inside", case.name(), "--appliance"]).arg(appliance);
    let mut worker = Worker::start(command)?;
    callgrind.begin(worker.process.id())?;
    // The first round finds its memory and its tables cold.
    worker.round()?;
    let mut counted = Vec::new();
    for round in 1..=rounds {
        callgrind.zero(worker.process.id())?;
        worker.round()?;
        counted.push(callgrind.take(worker.process.id(), round)?);
    }
    Ok(counted)
}

/// A running process; ended when it is dropped.
struct Worker {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Worker {
    fn start(mut command: Command) -> io::Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut worker = Self { process, said: BufReader::new(output) };
        worker.hear("ready")?;
        Ok(worker)
    }

    fn round(&mut self) -> io::Result<()> {
        if let Some(input) = self.process.stdin.as_mut() {
            input.write_all(b"\n")?;
        }
        self.hear("done")
    }

    fn hear(&mut self, due: &str) -> io::Result<()> {
        let mut line = String::new();
        let _bytes = self.said.read_line(&mut line)?;
        if line.trim() == due { Ok(()) } else { Err(io::Error::other(line.trim().to_owned())) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

/// The process itself.
///
/// # Errors
/// Where the law does not let the flow pass, or the ledger cannot be written.
pub(crate) fn run(settings: &Inside) -> io::Result<()> {
    let loaded = sekisho::source::load(&settings.appliance)
        .map_err(|faults| io::Error::other(format!("the law is not sound: {faults:?}")))?;
    #[expect(clippy::disallowed_methods, reason = "the one moment of this process")]
    let now = Timestamp::from(SystemTime::now());
    let flow = flow(now)?;
    let units = settings.case.units();
    if settings.case == Case::Entry {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (ledger, entry) = ledger(&loaded, &flow)?;
        return work(|| runtime.block_on(append(&ledger, &entry, units)));
    }
    let engine = &loaded.law.engine;
    let verdict = engine.decide(&flow);
    if !matches!(verdict, Verdict::Allow(_)) {
        return Err(io::Error::other(format!("it is not allowed: {verdict:?}")));
    }
    work(|| {
        (0..units).for_each(|_| drop(black_box(engine.decide(black_box(&flow)))));
        Ok(())
    })
}

/// Does `round` once for each line that comes.
fn work(mut round: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    println!("ready");
    for line in io::stdin().lines() {
        let _only_its_end_counts = line?;
        round()?;
        println!("done");
    }
    Ok(())
}

/// Places so many entries and waits until they are written.
async fn append(ledger: &Ledger, entry: &Entry, units: u32) -> io::Result<()> {
    let unwritable = |_| io::Error::other("the ledger cannot be written");
    for _ in 1..units {
        drop(black_box(ledger.append(entry).await.map_err(unwritable)?));
    }
    let last = ledger.append(entry).await.map_err(unwritable)?;
    drop(ledger.sync(last).await.map_err(unwritable)?);
    Ok(())
}

fn ledger(loaded: &Loaded, flow: &Flow) -> io::Result<(Ledger, Entry)> {
    let engine = &loaded.law.engine;
    let settings = Settings::new(&loaded.appliance, flow.at);
    let digest = &loaded.digest;
    let ledger = Ledger::open(settings).map_err(io::Error::other)?;
    let (Some(request), Some(endpoint)) = (&flow.request, flow.endpoint) else {
        return Err(io::Error::other("the flow has no request"));
    };
    let facts = RequestFacts {
        method: engine.mask_method(&request.method),
        host: None,
        path: engine.mask_path(&request.path),
    };
    let body = Body::Request { facts, endpoint, verdict: engine.decide(flow) };
    let connection = Some(ledger.next_connection());
    Ok((ledger, Entry { at: flow.at, policy: *digest, connection, body }))
}

/// A request that the rule `register` lets pass, with every fact the proxy has before it sends one.
fn flow(at: Timestamp) -> io::Result<Flow> {
    let addresses = measure::addresses();
    let host = Host::parse(HTTPS_NAME).map_err(wrong)?;
    let mut flow = Flow::arrival(
        at,
        source(0),
        addresses.edge,
        Some(Name::parse("union-lan").map_err(wrong)?),
    );
    flow.hello = Some(Arc::new(Hello {
        server_name: ServerName::Name(host.clone()),
        version: TlsVersion::Tls13,
        alpn: Some(Alpn::Http11),
    }));
    flow.paper = Some(Arc::new(Paper::Presented(Certificate {
        identities: vec![Identity::parse("dns:kizon.union.example").map_err(wrong)?],
        chain: Chain::Trusted,
        not_before: Timestamp::from_nanos(0),
        not_after: Timestamp::MAX,
        revocation: Revocation::Good { until: Timestamp::MAX },
        fingerprint: [7; 32],
    })));
    flow.request = Some(Request {
        method: Method::parse("GET").map_err(wrong)?,
        path: sekisho::flow::Path::parse(crate::client::SMALL).map_err(wrong)?,
        host: Some(host),
        upgrade: false,
    });
    flow.endpoint = Some(addresses.https);
    Ok(flow)
}

fn wrong(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}
