//! One case counted from nothing: papers, law and box in a folder of their own, the process, its rounds.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::argument::Setting;
use crate::callgrind::{Callgrind, Names};
use crate::case::{Case, Place};
use crate::counted::Kind;
use crate::figure::{float, median};
use crate::profile::Profile;
use crate::served::{CLIENTS, Load, Subject};
use crate::site::{Addresses, BLOCK, Site};
use crate::wide::Size;
use crate::{inside, law, wide};

/// What one unit of a case cost, round by round.
#[derive(Debug)]
pub(crate) struct Counted {
    /// The case.
    pub(crate) case: Case,
    /// One for each round.
    pub(crate) rounds: Vec<Profile>,
}

impl Counted {
    /// Instructions of this kind by unit, in the round with the fewest counted ones: what comes by the clock (timers,
    /// checkpoints) only ever adds, and adds more on a machine that is slow at the moment.
    pub(crate) fn each(&self, kind: Kind) -> f64 {
        let best = self.rounds.iter().min_by_key(|round| round.sum(Kind::Counted));
        best.map_or(0.0, |round| self.by_unit(round, kind))
    }

    /// How far the middle round is above the best, as a share of the best.
    pub(crate) fn spread(&self) -> f64 {
        let counted = |round| self.by_unit(round, Kind::Counted);
        let best = self.each(Kind::Counted).max(1.0);
        median(self.rounds.iter().map(counted).collect()) / best - 1.0
    }

    fn by_unit(&self, round: &Profile, kind: Kind) -> f64 {
        float(round.sum(kind)) / f64::from(self.case.units())
    }
}

/// Under what a case is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The case.
    pub(crate) case: Case,
    /// How often.
    pub(crate) rounds: usize,
    /// How large the law is.
    pub(crate) size: Size,
    /// How many connections are open.
    pub(crate) connections: usize,
    /// How many workers the program has: 1 or 2.
    pub(crate) workers: usize,
    /// How functions are named.
    pub(crate) names: Names,
}

impl Plan {
    /// As the baseline has it.
    pub(crate) const fn of(case: Case, rounds: usize) -> Self {
        let size = Size { rules: case.rules(), prefixes: 0 };
        Self { case, rounds, size, connections: CLIENTS, workers: 1, names: Names::Plain }
    }
}

/// Under callgrind everything takes fifty times longer, and the disk of a busy machine stalls: neither is what is counted.
const PATIENT: &str = "limits: { sync_timeout: 60s, handshake_timeout: 60s }\n";

/// Addresses that no measurement by time uses, so that both can run at once.
pub(crate) fn addresses() -> Addresses {
    Addresses::of(BLOCK, 77)
}

/// A folder with papers, law and box.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn place(setting: &Setting, law_size: Size) -> io::Result<(Site, PathBuf)> {
    let site = Site::make(setting)?;
    let folder = site.folder().join("edge");
    fs::create_dir_all(folder.join("state"))?;
    law::write(&folder, &addresses())?;
    let mut appliance = OpenOptions::new().append(true).open(folder.join("appliance.yaml"))?;
    appliance.write_all(PATIENT.as_bytes())?;
    wide::write(&folder, law_size)?;
    Ok((site, folder))
}

/// Counts by `plan`.
///
/// # Errors
/// Where a process does not start or does not do its work.
pub(crate) fn count(setting: &Setting, plan: Plan) -> io::Result<Counted> {
    let (site, folder) = place(setting, plan.size)?;
    let callgrind = Callgrind::new(site.folder(), plan.names)?;
    let rounds = match plan.case.place() {
        Place::Inside => {
            inside::count(&callgrind, &folder.join("appliance.yaml"), plan.case, plan.rounds)?
        }
        Place::Served(pattern, way) => {
            let load = Load { pattern, way, units: plan.case.units(), open: plan.connections };
            let command = callgrind.command(&setting.sekisho);
            let mut subject = Subject::start(&site, command, &folder, plan.workers)?;
            subject.count(&site, &callgrind, load, plan.rounds)?
        }
    };
    Ok(Counted { case: plan.case, rounds })
}
