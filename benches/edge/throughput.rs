//! Requests and megabytes, by second and by processor second of the subject: small requests on kept connections,
//! a new connection for each, large bodies both ways; by `https` and by `tls`.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, LocalSet};

use crate::argument::{Setting, SubjectName, Throughput};
use crate::client::{Caller, Connection, Paper, SMALL, SMALL_BYTES};
use crate::counter::{Counter, Span};
use crate::door::Way;
use crate::figure::{Table, median, range};
use crate::site::{Site, source};
use crate::subject::{Running, chosen};
use crate::turn::in_turn;

/// A large body.
const BIG: u64 = 100 << 20;

/// Above this share of a core, other programs on the machine had a part in the figures.
pub(crate) const SHARED: f64 = 0.1;

/// How long a load runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// The share of its core above which the load, not the subject, sets the pace.
pub(crate) const FULL: f64 = 0.95;

/// The read buffer of a client of large bodies, in bytes.
const BULK_BUFFER: usize = 64 << 10;

/// What the clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    Kept,
    New,
    Download,
    Upload,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// As shown in a table.
    pub(crate) name: &'static str,
    pattern: Pattern,
    way: Way,
}

/// All that is measured.
pub(crate) const ROWS: [Row; 8] = [
    Row { name: "GET 1 KiB kept https", pattern: Pattern::Kept, way: Way::Https },
    Row { name: "GET 1 KiB kept tls", pattern: Pattern::Kept, way: Way::Tls },
    Row { name: "GET 1 KiB new https", pattern: Pattern::New, way: Way::Https },
    Row { name: "GET 1 KiB new tls", pattern: Pattern::New, way: Way::Tls },
    Row { name: "download 100 MiB https", pattern: Pattern::Download, way: Way::Https },
    Row { name: "download 100 MiB tls", pattern: Pattern::Download, way: Way::Tls },
    Row { name: "upload 100 MiB https", pattern: Pattern::Upload, way: Way::Https },
    Row { name: "upload 100 MiB tls", pattern: Pattern::Upload, way: Way::Tls },
];

/// Measures every row on every subject, in alternation, and prints the table.
///
/// # Errors
/// Where a subject does not start or does not stay.
pub(crate) fn measure(setting: &Setting, settings: &Throughput) -> io::Result<()> {
    let site = Site::make(setting)?;
    let candidates = chosen(setting, &site, &[SubjectName::Sekisho]);
    let started = candidates.iter().map(|candidate| candidate.start(&site));
    let mut running = started.collect::<io::Result<Vec<_>>>()?;
    let mut table = Table::new(&[
        "work",
        "subject",
        "unit",
        "a second",
        "a CPU second",
        "subject's core",
        "load's core",
        "others",
        "failed",
    ]);
    let mut notices = Vec::new();
    let mut shared = 0;
    for row in ROWS.iter().filter(|row| settings.wants(row.name)) {
        let spans = row.measure(&site, &mut running, settings)?;
        for (subject, spans) in running.iter().zip(&spans) {
            table.row(row.cells(subject.name, spans));
            shared += usize::from(share(spans, |span| span.others) >= SHARED);
            notices.extend(row.notice(subject.name, spans));
        }
    }
    println!(
        "throughput: {} windows of {} s a row, medians (least to most)",
        settings.rounds, settings.window
    );
    println!("{table}");
    for notice in notices {
        println!("notice: {notice}");
    }
    if shared > 0 {
        println!(
            "notice: in {shared} rows other programs used more than {:.0} % of a core: their figures by second are too low",
            SHARED * 100.0
        );
    }
    running.iter().for_each(Running::print_complaint);
    println!();
    Ok(())
}

impl Row {
    /// For every subject its windows; the subjects take turns.
    fn measure(
        &self,
        site: &Site,
        running: &mut [Running],
        settings: &Throughput,
    ) -> io::Result<Vec<Vec<Span>>> {
        in_turn(settings.rounds, running, |_round, subject| self.window(site, subject, settings))
    }

    /// One window on one subject.
    ///
    /// # Errors
    /// Where nothing was answered.
    pub(crate) fn window(
        &self,
        site: &Site,
        running: &mut Running,
        settings: &Throughput,
    ) -> io::Result<Span> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        let span = local.block_on(&runtime, self.run(site, running, settings));
        span.map_err(|error| {
            running.process.failure(&format!("{}, {}: {error}", running.name, self.name))
        })
    }

    async fn run(&self, site: &Site, running: &Running, settings: &Throughput) -> io::Result<Span> {
        let caller = Caller::new(site, running.door(self.way), Paper::Permitted)?;
        let (caller, count) = match self.pattern {
            Pattern::Kept | Pattern::New => (caller, settings.connections),
            Pattern::Download | Pattern::Upload => (caller.with_buffer(BULK_BUFFER), settings.bulk),
        };
        let counter = Rc::new(Counter::default());
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let client = Client { caller: caller.clone(), counter: Rc::clone(&counter), number };
            drop(tasks.spawn_local(client.work(self.pattern)));
        }
        tokio::time::sleep(WARM_UP).await;
        let begin = counter.mark(running)?;
        tokio::time::sleep(settings.length()).await;
        let span = begin.to(&counter.mark(running)?);
        counter.end();
        tasks.shutdown().await;
        if span.by_second > 0.0 {
            Ok(span)
        } else {
            let why = counter.first_failure().unwrap_or_else(|| "nothing was answered".to_owned());
            Err(io::Error::other(why))
        }
    }

    /// Whether a connection is opened for each request.
    pub(crate) fn is_new(&self) -> bool {
        self.pattern == Pattern::New
    }

    /// Whether it counts bytes, not requests.
    pub(crate) const fn is_bulk(&self) -> bool {
        matches!(self.pattern, Pattern::Download | Pattern::Upload)
    }

    fn cells(&self, subject: &str, spans: &[Span]) -> Vec<String> {
        let (unit, scale) = if self.is_bulk() { ("MB", 1e-6) } else { ("requests", 1.0) };
        let digits = 0;
        let each = |of: fn(&Span) -> f64, by: f64| -> Vec<f64> {
            spans.iter().map(|span| of(span) * by).collect()
        };
        let percent = |of: fn(&Span) -> f64| format!("{:.0} %", share(spans, of) * 100.0);
        vec![
            self.name.to_owned(),
            subject.to_owned(),
            unit.to_owned(),
            range(&each(|span| span.by_second, scale), digits),
            range(&each(|span| span.by_processor_second, scale), digits),
            percent(|span| span.subject),
            percent(|span| span.load),
            percent(|span| span.others),
            spans.iter().map(|span| span.failed).sum::<u64>().to_string(),
        ]
    }

    /// Where the load's core was full, the pace is the load's.
    fn notice(&self, subject: &str, spans: &[Span]) -> Option<String> {
        let load = share(spans, |span| span.load);
        (load >= FULL).then(|| {
            format!(
                "{}, {subject}: load generator and upstream filled their core ({:.0} %): the pace is theirs, only the figure by CPU second is the subject's",
                self.name,
                load * 100.0
            )
        })
    }
}

fn share(spans: &[Span], of: fn(&Span) -> f64) -> f64 {
    median(spans.iter().map(of).collect())
}

/// One client of a load.
#[derive(Debug)]
struct Client {
    caller: Caller,
    counter: Rc<Counter>,
    number: usize,
}

impl Client {
    /// Works until the load is over; a failure is counted and a new connection opened.
    async fn work(self, pattern: Pattern) {
        let mut turn = self.number;
        while !self.counter.is_over() {
            turn = turn.wrapping_add(1);
            let result = match pattern {
                Pattern::Kept => self.keep().await,
                Pattern::New => self.renew(turn).await,
                Pattern::Download => self.download().await,
                Pattern::Upload => self.upload().await,
            };
            if let Err(error) = result {
                self.counter.fail(&error);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn keep(&self) -> io::Result<()> {
        let mut connection = self.caller.open(source(self.number)).await?;
        let request = self.caller.get(SMALL);
        while !self.counter.is_over() {
            small(&mut connection, &request).await?;
            self.counter.add(1);
        }
        Ok(())
    }

    async fn renew(&self, turn: usize) -> io::Result<()> {
        let mut connection = self.caller.open(source(turn)).await?;
        small(&mut connection, &self.caller.get(SMALL)).await?;
        self.counter.add(1);
        connection.close().await;
        Ok(())
    }

    async fn download(&self) -> io::Result<()> {
        let mut connection = self.caller.open(source(self.number)).await?;
        let request = self.caller.get(&format!("/exchange/big/{BIG}"));
        while !self.counter.is_over() {
            let reply = connection.ask(&request, |bytes| self.counter.add_bytes(bytes)).await?;
            due(reply.status == 200 && reply.body == BIG, reply.status)?;
        }
        Ok(())
    }

    async fn upload(&self) -> io::Result<()> {
        let mut connection = self.caller.open(source(self.number)).await?;
        let head = self.caller.put(&format!("/exchange/in/{BIG}"), BIG);
        while !self.counter.is_over() {
            let reply = connection.send(&head, BIG, |bytes| self.counter.add_bytes(bytes)).await?;
            due(reply.status == 200, reply.status)?;
        }
        Ok(())
    }
}

async fn small(connection: &mut Connection, request: &[u8]) -> io::Result<()> {
    let reply = connection.ask(request, |_bytes| ()).await?;
    due(reply.status == 200 && reply.body == SMALL_BYTES && !reply.last, reply.status)
}

fn due(holds: bool, status: u16) -> io::Result<()> {
    if holds {
        Ok(())
    } else {
        Err(io::Error::other(format!("not the reply that was due: {status}")))
    }
}
