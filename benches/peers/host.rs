//! What the host of a virtual machine took (*steal*), and which turns it left more alone than others. What a turn
//! measures is not known here.

use std::io;
use std::time::{Duration, Instant};

use crate::procfs::{stolen_by_clocks, stolen_time};

/// What tells how much the host took.
pub(super) struct Host {
    taken: fn() -> io::Result<Duration>,
}

impl Host {
    /// By the scheduler's clocks where they may be read and can be believed, else by `/proc/stat`, in which what is less
    /// than a hundredth of a second does not show.
    ///
    /// # Errors
    /// Where the machine does not say what its host took.
    pub(super) fn new() -> io::Result<Self> {
        let counted = stolen_time()?;
        let exact = stolen_by_clocks().is_ok_and(|clocks| agree(clocks, counted));
        Ok(Self { taken: if exact { stolen_by_clocks } else { stolen_time } })
    }

    /// Works; also the share of one core that the host took meanwhile, from all cores together.
    ///
    /// # Errors
    /// Where the machine does not say what its host took; else as the work's own.
    pub(super) fn watched<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, f64)> {
        let (from, before) = (Instant::now(), (self.taken)()?);
        let result = work()?;
        let taken = (self.taken)()?.saturating_sub(before);
        Ok((result, taken.div_duration_f64(from.elapsed())))
    }
}

/// Whether the clocks came to the same as `/proc/stat` since the start, within a twentieth: they do not where they leave
/// out other things too, or know nothing of a host.
pub(super) fn agree(clocks: Duration, counted: Duration) -> bool {
    clocks.abs_diff(counted) * 20 <= counted
}

/// The numbers of as many turns as asked for, those in which the host took the least, in their order; the earlier of two
/// alike.
pub(super) fn quietest(taken: &[f64], count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..taken.len()).collect();
    numbers.sort_by(|one, other| {
        let of = |number: &usize| taken.get(*number).copied().unwrap_or(f64::INFINITY);
        of(one).total_cmp(&of(other))
    });
    numbers.truncate(count);
    numbers.sort_unstable();
    numbers
}
