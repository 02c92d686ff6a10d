//! A permitted client's latency with and without hostile clients, in alternating windows. Which attacks there are
//! and how the client measures is elsewhere.

use std::io;
use std::process::Command;
use std::time::Duration;

use crate::affinity::Core;
use crate::argument::{Hostile, Setting, SubjectName, word};
use crate::child::Child;
use crate::client::{Caller, Paper};
use crate::figure::{Table, float, median, micros};
use crate::latency::{Pace, Seen, window};
use crate::machine;
use crate::site::Site;
use crate::subject::{Running, chosen};

/// Between two windows, so that the end of one attack is not in the next calm.
const SETTLE: Duration = Duration::from_secs(1);

/// What hostile clients may cost: this factor on the calm p99, and this many microseconds.
const FACTOR: f64 = 1.25;
const ALLOWANCE: f64 = 200.0;

/// The windows of one subject.
#[derive(Debug, Default)]
struct Windows {
    calm: Vec<Seen>,
    hostile: Vec<Seen>,
    /// The share of its core that the subject used under attack.
    cost: Vec<f64>,
    accounts: Vec<String>,
}

/// Measures every subject and prints its windows.
///
/// # Errors
/// Where a subject does not start or does not stay.
pub(crate) fn measure(setting: &Setting, settings: &Hostile) -> io::Result<()> {
    let site = Site::make(setting)?;
    for candidate in chosen(setting, &site, &[SubjectName::Sekisho]) {
        let mut running = candidate.start(&site)?;
        let windows = Windows::measure(&site, &running, settings);
        let windows = windows.map_err(|error| running.process.failure(&error.to_string()))?;
        windows.print(running.name, settings);
        running.print_complaint();
    }
    Ok(())
}

impl Windows {
    fn measure(site: &Site, running: &Running, settings: &Hostile) -> io::Result<Self> {
        let caller = Caller::new(site, &running.https, Paper::Permitted)?;
        let length = Duration::from_secs(settings.window);
        let pace = Pace { rate: settings.rate, connections: settings.connections, length };
        let mut windows = Self::default();
        // The first window of a process pays for what is made once; it does not count.
        window(&caller, Pace { length: SETTLE, ..pace })?;
        for _ in 0..settings.rounds {
            windows.calm.push(window(&caller, pace)?);
            windows.under_attack(site, running, settings, |running| {
                let before = running.process.processor_time()?;
                let seen = window(&caller, pace)?;
                let used = running.process.processor_time()?.saturating_sub(before);
                Ok((seen, used.as_secs_f64() / length.as_secs_f64()))
            })?;
            std::thread::sleep(SETTLE);
        }
        Ok(windows)
    }

    fn under_attack(
        &mut self,
        site: &Site,
        running: &Running,
        settings: &Hostile,
        measured: impl FnOnce(&Running) -> io::Result<(Seen, f64)>,
    ) -> io::Result<()> {
        let attackers = attackers(site, running, settings)?;
        let (seen, cost) = measured(running)?;
        self.hostile.push(seen);
        self.cost.push(cost);
        self.accounts.push(attackers.finish()?);
        Ok(())
    }

    fn print(&self, subject: &str, settings: &Hostile) {
        let mut table = Table::new(&[
            "window",
            "calm p50",
            "p99",
            "most",
            "late",
            "failed",
            "hostile p50",
            "p99",
            "most",
            "late",
            "failed",
        ]);
        for (number, (calm, hostile)) in self.calm.iter().zip(&self.hostile).enumerate() {
            let mut row = vec![(number + 1).to_string()];
            row.extend(cells(calm));
            row.extend(cells(hostile));
            table.row(row);
        }
        println!(
            "hostile clients, {subject}: {} requests a second on {} connections, windows of {} s, µs",
            settings.rate, settings.connections, settings.window
        );
        println!("{table}");
        println!(
            "late: how long after the due moment a client that had nothing to wait for woke to send, p99"
        );
        self.conclude();
        println!("the last attack:");
        for line in self.accounts.last().map(String::as_str).unwrap_or_default().lines() {
            println!("  {line}");
        }
        println!("load now: {}\n", machine::load());
    }

    fn conclude(&self) {
        let middle = |seen: &[Seen], of: fn(&Seen) -> Duration| {
            median(seen.iter().map(|seen| micros(of(seen))).collect())
        };
        let (calm, hostile) = (middle(&self.calm, |s| s.p99), middle(&self.hostile, |s| s.p99));
        let bound = calm * FACTOR + ALLOWANCE;
        println!(
            "medians: calm p50 {:.0} p99 {calm:.0}, hostile p50 {:.0} p99 {hostile:.0}; subject's core under attack {:.0} %",
            middle(&self.calm, |s| s.p50),
            middle(&self.hostile, |s| s.p50),
            median(self.cost.clone()) * 100.0
        );
        let answer = if hostile <= bound { "holds" } else { "does NOT hold" };
        println!("hostile p99 ≤ {FACTOR} × calm p99 + {ALLOWANCE} µs = {bound:.0}: {answer}");
        let of = |seen: &[Seen]| -> f64 { seen.iter().map(|s| float(count(s.answered))).sum() };
        println!("answered: calm {:.0}, hostile {:.0}", of(&self.calm), of(&self.hostile));
    }
}

fn cells(seen: &Seen) -> [String; 5] {
    let time = |time| format!("{:.0}", micros(time));
    [time(seen.p50), time(seen.p99), time(seen.most), time(seen.late), seen.failed.to_string()]
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn attackers(site: &Site, running: &Running, settings: &Hostile) -> io::Result<Child> {
    let names: Vec<_> = settings.attacks.iter().map(word).collect();
    // A hostile client has its own computer. Here it shares the client's core: in the idle class it never keeps the client
    // from waking in time, as it would for milliseconds even at the lowest priority (EEVDF lets a slice run out).
    let mut command = Command::new("chrt");
    command.args(["--idle", "0"]).arg(std::env::current_exe()?);
    command.args(["attack", "--exchange", &word(&site.exchange), "--attacks", &names.join(",")]);
    command.args(["--at", &running.https.address.to_string()]);
    command.arg("--certificates").arg(site.certificates());
    Child::helper(command, Core::Load, &site.folder().join("attack.log"))
}
