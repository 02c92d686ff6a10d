//! sekisho beside haproxy, nginx and Envoy: every subject is first seen to refuse what it must, then all are measured in
//! turn, and one table says medians, ranges and ratios within a round. The load, the stand-in and the law are the ones
//! of the other measurements.

mod added;
mod host;
mod peer;
mod ratio;
mod table;
mod work;

use std::io;

use crate::argument::{Exchange, Peers, Setting, SubjectName};
use crate::check::{self, Refusal};
use crate::figure::Table;
use crate::site::Site;
use crate::subject::{Candidate, Running, chosen};

use added::Added;
pub(crate) use peer::Peer;
use table::Line;
use work::{Flow, Still};

/// All of them; the first is compared with each of the others.
const ALL: [SubjectName; 4] =
    [SubjectName::Sekisho, SubjectName::Haproxy, SubjectName::Nginx, SubjectName::Envoy];

/// Checks and measures, prints one table.
///
/// # Errors
/// Where a subject does not start, does not do what it must, or the load could not be made.
pub(crate) fn measure(setting: &Setting, settings: &Peers) -> io::Result<()> {
    let site = Site::make(setting)?;
    let mut candidates = chosen(setting, &site, &ALL);
    check_all(&site, &candidates)?;
    let flows = Flow::all(&settings.throughput);
    let wants_added = settings.throughput.wants(added::NAME);
    let mut lines = measure_running(&site, &candidates, &flows, wants_added, settings)?;
    // What wants a fresh process comes when nothing else runs any more.
    for still in Still::all(&settings.throughput) {
        lines.push(still.measure(&site, &mut candidates, settings)?);
    }
    lines.extend(as_shipped(setting, settings)?);
    let names: Vec<_> = candidates.iter().map(Candidate::name).collect();
    table::print(&names, &lines, settings);
    table::record(&names, &lines, settings)
}

/// What the same processes do one after the other; the turns of added latency are taken between the rows.
fn measure_running(
    site: &Site,
    candidates: &[Candidate],
    flows: &[Flow],
    wants_added: bool,
    settings: &Peers,
) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    if flows.is_empty() && !wants_added {
        return Ok(lines);
    }
    let mut running: Vec<_> =
        candidates.iter().map(|candidate| candidate.start(site)).collect::<io::Result<_>>()?;
    let mut added = wants_added.then(|| Added::new(site, &running, settings)).transpose()?;
    for (part, flow) in (1..).zip(flows) {
        lines.push(flow.measure(site, &mut running, &settings.throughput)?);
        if let Some(added) = &mut added {
            added.measure(part, flows.len())?;
        }
    }
    if let Some(mut added) = added {
        added.measure(1, 1)?;
        lines.extend(added.lines());
    }
    running.iter().for_each(Running::print_complaint);
    Ok(lines)
}

/// sekisho alone, with the key exchange that it prefers as shipped, where the first of the subjects is sekisho.
fn as_shipped(setting: &Setting, settings: &Peers) -> io::Result<Vec<Line>> {
    let flows = Flow::hybrid(&settings.throughput);
    if flows.is_empty() {
        return Ok(Vec::new());
    }
    let setting = Setting { exchange: Exchange::Hybrid, ..setting.clone() };
    let site = Site::make(&setting)?;
    let mut candidates = chosen(&setting, &site, &ALL);
    candidates.truncate(1);
    if candidates.iter().any(|first| first.name() != "sekisho") {
        return Ok(Vec::new());
    }
    measure_running(&site, &candidates, &flows, false, settings)
}

/// Checks every subject, and shows what it was that each refused and how.
fn check_all(site: &Site, candidates: &[Candidate]) -> io::Result<()> {
    let mut answers: Vec<Vec<Refusal>> = Vec::new();
    for candidate in candidates {
        let version = candidate.version().unwrap_or_else(|| "as built here".to_owned());
        println!("{:<11} {version}", candidate.name());
        answers.push(check::whole(site, candidate)?);
    }
    let mut head = vec!["refused"];
    head.extend(candidates.iter().map(Candidate::name));
    let mut table = Table::new(&head);
    let attempts = answers.first().map_or(&[][..], Vec::as_slice);
    for (number, Refusal { attempt, .. }) in attempts.iter().enumerate() {
        let of_all = answers.iter().filter_map(|answers| answers.get(number));
        let cells = of_all.map(|refusal| refusal.answer.clone());
        table.row([attempt.clone()].into_iter().chain(cells).collect());
    }
    println!("\n{table}");
    Ok(())
}
