//! What the kernel says of a process: processor time and memory. Text in, figures out; nothing is started here.

use std::fs;
use std::io;
use std::time::Duration;

/// Clock ticks a second in `/proc`: part of the kernel's interface to programs, not of its configuration (proc(5)).
const TICKS: u64 = 100;

/// The memory of a process, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident.
    pub(crate) rss: u64,
    /// Resident, with pages shared between processes counted by share.
    pub(crate) pss: u64,
}

impl std::iter::Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            rss: sum.rss + one.rss,
            pss: sum.pss + one.pss,
        })
    }
}

/// A process and all that descend from it.
///
/// # Errors
/// Where the kernel does not list its processes.
pub(crate) fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number else { continue };
        // One that ends meanwhile is nobody's.
        let text = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        parents.extend(parse_parent(&text).map(|parent| (number, parent)));
    }
    Ok(descent(pid, &parents))
}

/// `pid`, its children, theirs, from pairs of a process and its parent.
pub(crate) fn descent(pid: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        family.extend(children.map(|(child, _)| child));
        next += 1;
    }
    family
}

/// The processor time a process has used, in user and kernel, all its threads.
///
/// # Errors
/// Where there is no such process.
pub(crate) fn processor_time(pid: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::other("`stat` of a process cannot be read"))
}

/// The memory of a process.
///
/// # Errors
/// Where there is no such process.
pub(crate) fn memory(pid: u32) -> io::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    parse_rollup(&text)
        .ok_or_else(|| io::Error::other("`smaps_rollup` of a process cannot be read"))
}

/// The processor time that all processes together have used, on all cores.
///
/// # Errors
/// Where the kernel does not say.
pub(crate) fn machine_time() -> io::Result<Duration> {
    machine(parse_machine)
}

/// The processor time that the host of a virtual machine gave to others while a core here had work, on all cores since the
/// start, in hundredths of a second.
///
/// # Errors
/// Where the kernel does not say.
pub(crate) fn stolen_time() -> io::Result<Duration> {
    machine(parse_stolen)
}

/// The same to the nanosecond, as the scheduler reckons: by how much its clock of tasks is behind its clock. A kernel
/// that counts the time of interrupts takes that off as well.
///
/// # Errors
/// Where the kernel does not say, or not to this user: the file is in `debugfs`, and root's.
pub(crate) fn stolen_by_clocks() -> io::Result<Duration> {
    let text = fs::read_to_string("/sys/kernel/debug/sched/debug")?;
    parse_clocks(&text).ok_or_else(|| io::Error::other("the scheduler tells no clocks"))
}

fn machine(parse: fn(&str) -> Option<Duration>) -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    parse(&text).ok_or_else(|| io::Error::other("`stat` of the machine cannot be read"))
}

/// Open descriptors of a process.
///
/// # Errors
/// Where there is no such process.
pub(crate) fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Field 4; it counts from the end of the name, as below.
pub(crate) fn parse_parent(text: &str) -> Option<u32> {
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Fields 14 and 15; the name in field 2 may hold spaces and brackets, so it counts from the last bracket.
pub(crate) fn parse_stat(text: &str) -> Option<Duration> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(of_ticks(user + system))
}

/// All but idle and iowait.
pub(crate) fn parse_machine(text: &str) -> Option<Duration> {
    let ticks = machine_ticks(text)?;
    let idle: u64 = ticks.get(3..5)?.iter().sum();
    let all: u64 = ticks.iter().sum();
    Some(of_ticks(all - idle))
}

pub(crate) fn parse_stolen(text: &str) -> Option<Duration> {
    machine_ticks(text)?.get(7).copied().map(of_ticks)
}

/// Milliseconds, with the nanoseconds behind the point; a pair of lines for each core.
pub(crate) fn parse_clocks(text: &str) -> Option<Duration> {
    let sum = |name: &str| {
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().parse::<f64>().ok()).flatten()
        });
        values.reduce(|sum, value| sum + value)
    };
    Duration::try_from_secs_f64((sum(".clock")? - sum(".clock_task")?) / 1000.0).ok()
}

const fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// The first line, all cores: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
fn machine_ticks(text: &str) -> Option<Vec<u64>> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    Some(fields.map_while(|field| field.parse().ok()).take(8).collect())
}

pub(crate) fn parse_rollup(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Memory { rss: field("Rss:")?, pss: field("Pss:")? })
}
