//! On what it is measured: printed above every table, since a figure without its machine says nothing.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::affinity::Core;
use crate::figure::{micros, percentile};

/// Descriptors that the largest measurement needs in one process, with room to spare.
const DESCRIPTORS: u64 = 30_000;

/// Writes to the disk that the time of a sync is taken from.
const SYNCS: usize = 50;

/// Raises the bound on descriptors as far as is permitted; what it is then. Processes that are started inherit it.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let all = Rlimit { current: Some(DESCRIPTORS.max(hard)), maximum: Some(DESCRIPTORS.max(hard)) };
    if hard >= DESCRIPTORS || setrlimit(Resource::Nofile, all).is_err() {
        let _as_it_is =
            setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: Some(hard) });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Prints processor, kernel, cores, load, congestion control, and how long the disk of `directory` takes to sync.
///
/// # Errors
/// Where the directory cannot be written.
pub(crate) fn describe(directory: &Path, descriptors: u64) -> io::Result<()> {
    let cores = fs::read_to_string("/proc/cpuinfo")?;
    let count = cores.lines().filter(|line| line.starts_with("processor")).count();
    println!("machine     {}, {count} cores, {}", after(&cores, "model name"), memory());
    println!("kernel      {}", line("/proc/sys/kernel/osrelease"));
    println!("cores       {}", sides());
    println!("load        {} (1, 5, 15 minutes, before the measurement)", load());
    println!("congestion  {}", line("/proc/sys/net/ipv4/tcp_congestion_control"));
    let (middle, most) = sync_time(directory)?;
    println!("disk sync   median {:.0} µs, p99 {:.0} µs", micros(middle), micros(most));
    println!("descriptors {descriptors} a process");
    println!();
    Ok(())
}

/// The load averages now.
pub(crate) fn load() -> String {
    line("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn sides() -> String {
    match (Core::Subject.number(), Core::Load.number()) {
        (Some(subject), Some(load)) => {
            format!("subject on core {subject}; load generator and upstream on core {load}")
        }
        _ => "one core for everything: what is measured is mostly the load generator".to_owned(),
    }
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = after(&text, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0_u64);
    format!("{} MiB of memory", kib >> 10)
}

/// The time of an fdatasync after 4 KiB more, as the ledger does it: median and the 99th of 100.
fn sync_time(directory: &Path) -> io::Result<(Duration, Duration)> {
    let mut file = tempfile::tempfile_in(directory)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[b'x'; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok((percentile(&times, 0.5), percentile(&times, 0.99)))
}

fn after<'a>(text: &'a str, name: &str) -> &'a str {
    let value =
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    value.map_or("unknown", |(_, value)| value.trim())
}

fn line(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
