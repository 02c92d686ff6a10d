//! What an idle connection costs: memory of the subject's process before and after so many were opened, used once
//! and left alone, and whether they are all still there. Memory of the kernel (sockets) is not in it.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::argument::{Idle, Setting, SubjectName};
use crate::client::{Caller, Connection, Paper, SMALL};
use crate::door::Way;
use crate::figure::{Table, float};
use crate::procfs::{Memory, descriptors};
use crate::site::{SOURCES, Site, source};
use crate::subject::{Running, chosen};

/// Handshakes at a time while the connections are opened.
const AT_ONCE: usize = 64;

/// How many of them are asked again in the end.
const SAMPLE: usize = 100;

/// From the start of a process to its first measurement, and from the last connection to the second.
const SETTLE: Duration = Duration::from_secs(2);

/// What became of the connections of one kind.
#[derive(Debug)]
pub(crate) struct Outcome {
    subject: &'static str,
    way: Way,
    count: usize,
    opening: Duration,
    before: Memory,
    opened: Memory,
    parked: Memory,
    descriptors: usize,
    closed: usize,
    dead: usize,
}

/// Measures both kinds on every subject, each in a fresh process, and prints the table.
///
/// # Errors
/// Where a subject does not start, or does not take the connections.
pub(crate) fn measure(setting: &Setting, settings: &Idle) -> io::Result<()> {
    let site = Site::make(setting)?;
    let mut table = Table::new(&[
        "idle",
        "subject",
        "connections",
        "Pss KiB each",
        "Rss KiB each",
        "Pss just opened",
        "opened a second",
        "descriptors",
        "closed",
        "dead of sample",
    ]);
    for (way, count) in [(Way::Https, settings.https), (Way::Tls, settings.tls)] {
        for candidate in chosen(setting, &site, &[SubjectName::Sekisho]) {
            let mut running = candidate.start(&site)?;
            let outcome = one(&site, &mut running, way, count, settings.hold())?;
            table.row(outcome.cells());
            running.print_complaint();
        }
    }
    println!(
        "idle: mutual TLS from {SOURCES} addresses, one request each, then {} s of silence",
        settings.hold
    );
    println!("{table}");
    Ok(())
}

/// Opens `count` connections to a subject that has just begun, and leaves them alone for `hold`.
///
/// # Errors
/// Where the subject does not take them.
pub(crate) fn one(
    site: &Site,
    running: &mut Running,
    way: Way,
    count: usize,
    hold: Duration,
) -> io::Result<Outcome> {
    let outcome = watch(site, running, way, count, hold);
    outcome.map_err(|error| running.process.failure(&format!("{}: {error}", running.name)))
}

fn watch(
    site: &Site,
    running: &Running,
    way: Way,
    count: usize,
    hold: Duration,
) -> io::Result<Outcome> {
    let caller = Caller::new(site, running.door(way), Paper::Permitted)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::sleep(SETTLE).await;
        let before = running.process.memory()?;
        let began = Instant::now();
        let mut open = open(&caller, count).await?;
        let opening = began.elapsed();
        tokio::time::sleep(SETTLE).await;
        let opened = running.process.memory()?;
        tokio::time::sleep(hold).await;
        let parked = running.process.memory()?;
        let descriptors = descriptors(running.process.id())?;
        let closed = not_quiet(&mut open).await;
        let dead = dead(&caller, &mut open).await;
        Ok(Outcome {
            subject: running.name,
            way,
            count,
            opening,
            before,
            opened,
            parked,
            descriptors,
            closed,
            dead,
        })
    })
}

/// Opens `count` connections, a few at a time, and asks once on each.
async fn open(caller: &Caller, count: usize) -> io::Result<Vec<Connection>> {
    let mut opening = JoinSet::new();
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        if opening.len() >= AT_ONCE {
            open.extend(next(&mut opening).await?);
        }
        let caller = caller.clone();
        drop(opening.spawn_local(async move {
            let mut connection = caller.open(source(number)).await?;
            ask(&caller, &mut connection).await?;
            Ok(connection)
        }));
    }
    while let Some(connection) = next(&mut opening).await? {
        open.push(connection);
    }
    Ok(open)
}

async fn next(opening: &mut JoinSet<io::Result<Connection>>) -> io::Result<Option<Connection>> {
    opening.join_next().await.transpose().map_err(io::Error::other)?.transpose()
}

async fn ask(caller: &Caller, connection: &mut Connection) -> io::Result<()> {
    let reply = connection.ask(&caller.get(SMALL), |_bytes| ()).await?;
    if reply.status == 200 && !reply.last {
        Ok(())
    } else {
        Err(io::Error::other(format!("not the reply that was due: {}", reply.status)))
    }
}

/// How many were closed meanwhile.
async fn not_quiet(open: &mut [Connection]) -> usize {
    let mut closed = 0;
    for connection in open {
        closed += usize::from(!connection.is_quiet().await);
    }
    closed
}

/// How many of a sample, spread over all, do not answer a second request.
async fn dead(caller: &Caller, open: &mut [Connection]) -> usize {
    let mut dead = 0;
    let step = (open.len() / SAMPLE).max(1);
    for connection in open.iter_mut().step_by(step) {
        dead += usize::from(ask(caller, connection).await.is_err());
    }
    dead
}

impl Outcome {
    /// What each connection added to the memory of the subject, in KiB (Pss).
    pub(crate) fn each(&self) -> f64 {
        float(self.parked.pss.saturating_sub(self.before.pss)) / float(wide(self.count).max(1))
    }

    /// How many of the connections did not stay, or do not answer again.
    pub(crate) const fn lost(&self) -> usize {
        self.closed + self.dead
    }

    fn cells(&self) -> Vec<String> {
        let each = |now: u64, then: u64| {
            format!("{:.1}", float(now.saturating_sub(then)) / float(wide(self.count).max(1)))
        };
        vec![
            self.way.as_str().to_owned(),
            self.subject.to_owned(),
            self.count.to_string(),
            each(self.parked.pss, self.before.pss),
            each(self.parked.rss, self.before.rss),
            each(self.opened.pss, self.before.pss),
            format!("{:.0}", float(wide(self.count)) / self.opening.as_secs_f64()),
            self.descriptors.to_string(),
            self.closed.to_string(),
            format!("{} of {}", self.dead, SAMPLE.min(self.count)),
        ]
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
