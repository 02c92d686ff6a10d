//! When the host of a virtual machine took the cores away (*steal* of `/proc/stat`), to a tenth of a second. Whose
//! requests are left out for it is not decided here.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::procfs::stolen_time;

/// From one look to the next. The kernel counts in hundredths; looking more often would itself be felt.
const LOOK: Duration = Duration::from_millis(100);

/// What the host had taken, look by look, the earliest first.
#[derive(Debug)]
pub(super) struct Host {
    looks: Vec<Look>,
}

/// A moment, and what the host had taken from all cores by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) stolen: Duration,
}

/// Works, and looks meanwhile, a first time before and a last time after.
///
/// # Errors
/// Where the machine does not say what its host took; else as the work's own.
pub(super) fn watched<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Host)> {
    thread::scope(|scope| {
        let (done, over) = channel();
        let first = look()?;
        let watch = scope.spawn(move || watch(first, &over));
        let result = work();
        drop(done);
        let host = watch.join().map_err(|_panicked| io::Error::other("nobody watched the host"))?;
        Ok((result?, host?))
    })
}

fn watch(first: Look, over: &Receiver<()>) -> io::Result<Host> {
    let mut looks = vec![first];
    loop {
        let waited = over.recv_timeout(LOOK);
        looks.push(look()?);
        if waited != Err(RecvTimeoutError::Timeout) {
            return Ok(Host::new(looks));
        }
    }
}

fn look() -> io::Result<Look> {
    Ok(Look { at: Instant::now(), stolen: stolen_time()? })
}

impl Host {
    /// What was seen, the earliest first.
    pub(super) const fn new(looks: Vec<Look>) -> Self {
        Self { looks }
    }

    /// Whether it took nothing between the last look before `from` and the first after `until`; what was not looked at
    /// is not said to be quiet.
    pub(super) fn left_alone(&self, from: Instant, until: Instant) -> bool {
        let before = self.looks.iter().rfind(|look| look.at <= from);
        let after = self.looks.iter().find(|look| look.at >= until);
        before.zip(after).is_some_and(|(before, after)| before.stolen == after.stolen)
    }
}
