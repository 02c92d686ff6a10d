//! What a start begins with: the law on disk or, where that has faults, the last one that was accepted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::running::Origin;
use super::{DEFAULT_BOX, Error};
use crate::appliance;
use crate::proxy::Snapshot;
use crate::source::{self, Archive, Loaded, Pin};
use crate::yaml::{Faults, SourceFile};

/// Where a box keeps its state that does not say otherwise.
const DEFAULT_STATE: &str = "/var/lib/sekisho";

/// What the process begins with.
pub(super) struct Begun {
    /// Law, box and what they lean on.
    pub(super) loaded: Arc<Loaded>,
    /// The tables.
    pub(super) snapshot: Arc<Snapshot>,
    /// Where the law came from.
    pub(super) origin: Origin,
    /// What is wrong with the law on disk, where it could not be used.
    pub(super) refused: Option<Faults>,
    /// The accepted laws.
    pub(super) archive: Archive,
}

type Whole = (Loaded, Snapshot);

/// Reads the law on disk, else the last accepted one.
///
/// # Errors
/// [`Error::Faulty`] with the faults of the law on disk where there is no other.
pub(super) fn begin(box_file: &Path, pin: Option<&Pin>) -> Result<Begun, Error> {
    let disk = source::load_pinned(box_file, pin).and_then(build);
    let state = match &disk {
        Ok((loaded, _)) => Some(loaded.appliance.state.clone()),
        Err(_) => state_of(box_file),
    };
    let Some(state) = state else { return Err(nowhere(disk)) };
    let archive = Archive::open(&state);
    let Chosen { whole: (loaded, snapshot), refused } = choose(disk, || accepted(&archive, pin))?;
    let origin = if refused.is_some() { Origin::Archive } else { Origin::Disk };
    Ok(Begun { loaded: Arc::new(loaded), snapshot: Arc::new(snapshot), origin, refused, archive })
}

fn accepted(archive: &Archive, pin: Option<&Pin>) -> Option<Whole> {
    archive.last_accepted()?;
    let loaded = archive.load_last().and_then(|loaded| source::pinned(loaded, pin));
    match loaded.and_then(build) {
        Ok(whole) => Some(whole),
        Err(faults) => {
            let faults = faults.render(false);
            tracing::error!(%faults, "the last accepted law cannot be used either");
            None
        }
    }
}

fn build(loaded: Loaded) -> Result<Whole, Faults> {
    Snapshot::build(&loaded).map(|snapshot| (loaded, snapshot))
}

/// The state directory that the box file names; where that file itself is the faulty one and lies where the
/// package puts it, the package's.
fn state_of(box_file: &Path) -> Option<PathBuf> {
    let named = std::fs::read(box_file).ok().and_then(|bytes| {
        let file = SourceFile { name: box_file.display().to_string().into(), bytes: bytes.into() };
        appliance::understand(&file).ok().map(|appliance| appliance.state)
    });
    let packaged = || (box_file == Path::new(DEFAULT_BOX)).then(|| PathBuf::from(DEFAULT_STATE));
    named.or_else(packaged)
}

fn nowhere(disk: Result<Whole, Faults>) -> Error {
    Error::Faulty(disk.err().unwrap_or_default())
}

struct Chosen<T> {
    whole: T,
    refused: Option<Faults>,
}

/// The one on disk if it is sound, else the accepted one if there is one.
fn choose<T>(
    disk: Result<T, Faults>,
    accepted: impl FnOnce() -> Option<T>,
) -> Result<Chosen<T>, Error> {
    match disk {
        Ok(whole) => Ok(Chosen { whole, refused: None }),
        Err(faults) => match accepted() {
            Some(whole) => Ok(Chosen { whole, refused: Some(faults) }),
            None => Err(Error::Faulty(faults)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, choose};
    use crate::service::testing;
    use crate::yaml::Faults;

    fn faults() -> Faults {
        Faults(vec![testing::fault("no system `existing-sytem`")])
    }

    #[test]
    fn a_sound_law_on_disk_is_taken_and_nobody_asks_the_archive() {
        let chosen = choose(Ok("disk"), || panic!("the archive was asked")).unwrap();
        assert_eq!((chosen.whole, chosen.refused), ("disk", None));
    }

    #[test]
    fn a_faulty_law_on_disk_gives_way_to_the_last_accepted_one_and_its_faults_are_kept() {
        let chosen = choose(Err(faults()), || Some("archive")).unwrap();
        assert_eq!((chosen.whole, chosen.refused), ("archive", Some(faults())));
    }

    #[test]
    fn without_an_accepted_law_the_faults_are_the_answer() {
        let Err(Error::Faulty(found)) = choose(Err::<&str, _>(faults()), || None) else {
            panic!("something was begun with a faulty law")
        };
        assert_eq!(found, faults());
    }
}
