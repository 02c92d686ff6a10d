//! The measuring bench of captures: how fast one core goes from a file to verdicts, and how much memory a million open
//! connections take. It measures and prints; it judges nothing. What the files hold: `traffic`.
//!
//! `cargo bench --bench capture`; `-- --from DIRECTORY` also makes a file out of the classic captures there.

#![expect(clippy::print_stdout, reason = "a benchmark shows its figures on a terminal")]

mod traffic;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, Subcommand};
use sekisho::capture::{Bounds, Connection, Input, Protocol, read};
use sekisho::flow::{Flow, Transport};
use sekisho::policy::{Engine, understand};
use sekisho::source::load_law;

use crate::traffic::Kind;

#[derive(Parser)]
struct Arguments {
    /// A directory of captures to make a file of.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Megabytes of each file.
    #[arg(long, default_value_t = 1000)]
    size: u64,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    work: Option<Work>,
}

#[derive(Subcommand)]
enum Work {
    /// Reads one file and prints the figures; the bench starts itself so, for memory to be that of one reading.
    Read { file: PathBuf },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.work {
        Some(Work::Read { file }) => measure(file),
        None => all(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("it could not be measured: {error}");
            ExitCode::from(2)
        }
    }
}

fn all(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("sekisho-bench-capture");
    fs::create_dir_all(&folder)?;
    println!(
        "{:<12} {:>7} {:>9} {:>9} {:>8} {:>8} {:>9} {:>8}",
        "file", "MB", "packets", "verdicts", "seconds", "GB/s", "packets/s", "peak MB"
    );
    for kind in [Kind::Bulk, Kind::Mixed, Kind::Small, Kind::Million] {
        let file = folder.join(kind.name());
        traffic::make(kind, &file, arguments.size * 1_000_000)?;
        start(&file)?;
    }
    if let Some(from) = &arguments.from {
        let file = folder.join("real");
        traffic::gather(from, &file, arguments.size * 1_000_000)?;
        start(&file)?;
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn start(file: &Path) -> Result<(), Box<dyn Error>> {
    // Once before, so that the file is in memory: what is measured is the program, not the disk.
    drop(fs::read(file)?);
    let ended = Command::new(std::env::current_exe()?).arg("read").arg(file).status()?;
    if ended.success() { Ok(()) } else { Err("a reading failed".into()) }
}

fn measure(file: &Path) -> Result<(), Box<dyn Error>> {
    let engine = engine()?;
    let inputs = [Input::Path(file.to_owned())];
    let begun = Instant::now();
    let mut verdicts = 0_u64;
    let coverage = read(&inputs, &Bounds::default(), &mut |each: Connection| {
        drop(engine.decide(&flow(&each)));
        verdicts += 1;
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = fs::metadata(file)?.len();
    let (size, packets) = (figure(bytes), figure(coverage.packets()));
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!(
        "{name:<12} {:>7.0} {:>9} {verdicts:>9} {seconds:>8.3} {:>8.2} {:>8.2}M {:>8.0}",
        size / 1e6,
        coverage.packets(),
        size / 1e9 / seconds,
        packets / 1e6 / seconds,
        peak()?,
    );
    Ok(())
}

fn engine() -> Result<Arc<Engine>, Box<dyn Error>> {
    let law = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/lab");
    let files = load_law(&law).map_err(|faults| faults.render(false))?;
    Ok(understand(&files, None).map_err(|faults| faults.render(false))?.engine)
}

/// What the law is asked about a connection that only passes by.
fn flow(seen: &Connection) -> Flow {
    let arrival = Flow::arrival(seen.at, seen.initiator.ip(), seen.responder, None);
    Flow {
        transport: match seen.protocol {
            Protocol::Tcp | Protocol::Other(_) => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            Protocol::Icmp => Transport::Icmp,
            Protocol::Esp => Transport::Esp,
        },
        hello: seen.hello.as_ref().map(|hello| Arc::new(hello.fact(seen.handshake))),
        ..arrival
    }
}

/// The most memory this process ever had, in megabytes.
fn peak() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is told")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
const fn figure(count: u64) -> f64 {
    count as f64
}
