//! One case counted from nothing: papers, law and box in a folder of their own, the process, its rounds.

use std::fs;
use std::io;

use crate::argument::Setting;
use crate::callgrind::Callgrind;
use crate::case::{Case, Place};
use crate::counted::Kind;
use crate::figure::{float, median};
use crate::profile::Profile;
use crate::served::{Load, Subject};
use crate::site::{Addresses, BLOCK, Site};
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
    /// Instructions of this kind by unit, the median of the rounds.
    pub(crate) fn each(&self, kind: Kind) -> f64 {
        median(self.by_round(kind))
    }

    /// How far apart the rounds are, as a share of their median.
    pub(crate) fn spread(&self) -> f64 {
        let each = self.by_round(Kind::Counted);
        let most = each.iter().copied().fold(0.0, f64::max);
        let least = each.iter().copied().fold(f64::INFINITY, f64::min);
        (most - least) / median(each).max(1.0)
    }

    fn by_round(&self, kind: Kind) -> Vec<f64> {
        let units = f64::from(self.case.units());
        self.rounds.iter().map(|round| float(round.sum(kind)) / units).collect()
    }
}

/// Counts `case`.
///
/// # Errors
/// Where a process does not start or does not do its work.
pub(crate) fn count(setting: &Setting, case: Case, rounds: usize) -> io::Result<Counted> {
    let site = Site::make(setting)?;
    let folder = site.folder().join("edge");
    fs::create_dir_all(folder.join("state"))?;
    law::write(&folder, &Addresses::of(BLOCK, 0))?;
    wide::write(&folder, wide::Size { rules: case.rules(), prefixes: 0 })?;
    let callgrind = Callgrind::new(site.folder())?;
    let rounds = match case.place() {
        Place::Inside => inside::count(&callgrind, &folder.join("appliance.yaml"), case, rounds)?,
        Place::Served(pattern, way) => {
            let load = Load { pattern, way, units: case.units() };
            let mut subject = Subject::start(&site, &callgrind, &setting.sekisho, &folder)?;
            subject.count(&site, &callgrind, load, rounds)?
        }
    };
    Ok(Counted { case, rounds })
}
