//! What the host of a virtual machine took (*steal* of `/proc/stat`), and which turns it left more alone than others.
//! What a turn measures is not known here.

use std::io;
use std::time::Instant;

use crate::procfs::stolen_time;

/// Works; also the share of one core that the host took meanwhile, from all cores together.
///
/// # Errors
/// Where the machine does not say what its host took; else as the work's own.
pub(super) fn watched<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, f64)> {
    let (from, before) = (Instant::now(), stolen_time()?);
    let result = work()?;
    let taken = stolen_time()?.saturating_sub(before);
    Ok((result, taken.div_duration_f64(from.elapsed())))
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
