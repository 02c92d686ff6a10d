//! How the cost of a request grows with the state that the program holds: rules, prefixes, live connections, workers.
//! Instructions where they can be counted; processor time for the workers, since what two of them cost each other is
//! in the caches.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::task::LocalSet;

use crate::argument::Setting;
use crate::case::{Case, Pattern};
use crate::command::Arguments;
use crate::counted::Kind;
use crate::door::Way;
use crate::figure::{Table, median, range};
use crate::machine;
use crate::measure::{self, Plan};
use crate::procfs::processor_time;
use crate::served::{Clients, Load, Subject};
use crate::svg::{self, Curve};
use crate::wide::{RULES, Size};

/// The rules of a law.
const RULES_AT: [usize; 4] = [RULES, 200, 1_000, 5_000];

/// Prefixes beside the ones of the law.
const PREFIXES_AT: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Live connections; 10 000 is the limit of a box that names none.
const CONNECTIONS_AT: [usize; 5] = [1, 10, 100, 1_000, 10_000];

/// Live relays, each with its upstream leg; the law permits 4 096 upstream connections of a system.
const RELAYS_AT: [usize; 5] = [1, 10, 100, 1_000, 4_000];

/// Requests of one window for the processor time.
const WINDOW: u32 = 60_000;

/// Measures everything, prints it and draws it into the folder that was asked for.
///
/// # Errors
/// Where something cannot be measured or drawn.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let _as_far_as_permitted = machine::raise_descriptors();
    let Some(folder) = &arguments.scale else { return Ok(()) };
    let setting = &arguments.setting;
    for (of, cases, sizes, at) in AXES {
        let curves = cases.iter().map(|case| grow(setting, *case, sizes, at));
        show(folder, of, &curves.collect::<io::Result<Vec<_>>>()?)?;
    }
    Ok(())
}

/// What grows, what is counted, at which sizes, and how a size is set.
type Axis = (&'static str, &'static [Case], &'static [usize], fn(&mut Plan, usize));

const AXES: [Axis; 4] = [
    ("rules", &[Case::Decide, Case::Https], &RULES_AT, |plan, at| plan.size.rules = at),
    ("prefixes", &[Case::Decide, Case::Https], &PREFIXES_AT, |plan, at| plan.size.prefixes = at),
    ("connections", &[Case::Https], &CONNECTIONS_AT, |plan, at| plan.connections = at),
    ("relays", &[Case::Tls], &RELAYS_AT, |plan, at| plan.connections = at),
];

/// Counts at each size.
fn grow(
    setting: &Setting,
    case: Case,
    sizes: &[usize],
    set: fn(&mut Plan, usize),
) -> io::Result<Curve> {
    let each = |size: &usize| {
        let mut plan = Plan::of(case, 1);
        set(&mut plan, *size);
        Ok((*size, measure::count(setting, plan)?.each(Kind::Counted)))
    };
    let points = sizes.iter().map(each).collect::<io::Result<_>>()?;
    Ok(Curve { name: case.title(), points })
}

fn show(folder: &Path, of: &str, curves: &[Curve]) -> io::Result<()> {
    let mut table = Table::new(&["instructions", of, "by unit", "beside the first"]);
    for curve in curves {
        for ((size, count), growth) in curve.points.iter().zip(curve.growth()) {
            let cells = [curve.name.to_owned(), size.to_string(), format!("{count:.0}")];
            table.row(cells.into_iter().chain([format!("{growth:.2}")]).collect());
        }
    }
    println!("{table}");
    fs::write(folder.join(format!("scale-{of}.svg")), svg::draw(of, curves))
}

/// Prints the processor time of a request with one worker and with two, in alternation.
///
/// # Errors
/// Where it cannot be measured.
pub(crate) fn workers(arguments: &Arguments) -> io::Result<()> {
    let mut table = Table::new(&["workers", "CPU µs by kept request, https"]);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..arguments.rounds {
        for (workers, times) in (1..).zip(&mut times) {
            times.push(processor_micros(&arguments.setting, workers)?);
        }
    }
    for (workers, times) in (1..).zip(&times) {
        table.row(vec![format!("{workers}"), range(times, 2)]);
    }
    let [one, two] = times.map(median);
    println!("{table}two beside one: {:.3}", two / one);
    Ok(())
}

fn processor_micros(setting: &Setting, workers: usize) -> io::Result<f64> {
    let (site, folder) = measure::place(setting, Size { rules: RULES, prefixes: 0 })?;
    let subject = Subject::start(&site, Command::new(&setting.sekisho), &folder, workers)?;
    let load = Load { pattern: Pattern::Kept, way: Way::Https, units: WINDOW, open: 64 };
    let caller = subject.caller(&site, Way::Https)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let pid = subject.process().id();
        let mut clients = Clients::open(caller, load).await?;
        clients.round(WINDOW / 6).await?;
        let before = processor_time(pid)?;
        clients.round(WINDOW).await?;
        let spent: Duration = processor_time(pid)?.saturating_sub(before);
        Ok(spent.as_secs_f64() * 1e6 / f64::from(WINDOW))
    })
}
