//! Which core does what: the subject has the last to itself, load and stand-in share the first, which also takes most
//! of the machine's interrupts. Not measured here.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A side of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    /// What is measured.
    Subject,
    /// What drives it, and what answers it.
    Load,
}

impl Core {
    /// Puts this thread, and what it starts from now on, on the core. Where there is only one, nothing changes.
    ///
    /// # Errors
    /// Where the kernel forbids it.
    pub(crate) fn pin(self) -> io::Result<()> {
        let Some(number) = self.number() else { return Ok(()) };
        let mut set = CpuSet::new();
        set.set(number);
        Ok(sched_setaffinity(None, &set)?)
    }

    /// Its number; `None` on a machine with one core.
    pub(crate) fn number(self) -> Option<usize> {
        let cores = allowed();
        match (cores.as_slice(), self) {
            ([] | [_], _) => None,
            ([first, ..], Self::Load) => Some(*first),
            ([.., last], Self::Subject) => Some(*last),
        }
    }
}

/// The cores this process could use when it began: asked once, since a pin hides the others.
fn allowed() -> &'static Vec<usize> {
    static ALLOWED: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    ALLOWED.get_or_init(|| match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_unknown) => Vec::new(),
    })
}
