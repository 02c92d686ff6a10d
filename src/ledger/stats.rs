//! What the ledger says of itself, as numbers. Nothing here knows Prometheus.

use std::path::PathBuf;
use std::time::Duration;

use super::note::Checkpoint;

/// What can be read at any moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Entries numbered by this process.
    pub entries: u64,
    /// The number of the last entry that is on disk; 0 where there is none.
    pub durable: u64,
    /// Entries that were turned away or lost, of this process.
    pub lost: u64,
    /// Bytes that the ledger's file system has left, as of the last look.
    pub free: u64,
    /// Whether entries can be written now.
    pub writable: bool,
    /// How long writing and syncing took.
    pub syncs: Durations,
    /// The newest checkpoint; `None` before the first.
    pub checkpoint: Option<Checkpoint>,
    /// The public half of the signing key, `name+hash+base64`.
    pub key: String,
    /// Where this start has set an earlier ledger aside that could not be continued.
    pub aside: Option<PathBuf>,
}

/// Observed durations in fixed buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many lay at or below each of [`Durations::BOUNDS`]; cumulative, as Prometheus counts.
    pub buckets: [u64; 10],
    /// How many in all.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl Durations {
    /// The upper bounds of the buckets, in microseconds.
    pub const BOUNDS: [u64; 10] =
        [250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 2_000_000];

    pub(super) fn observe(&mut self, took: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
        for (bucket, bound) in self.buckets.iter_mut().zip(Self::BOUNDS) {
            *bucket += u64::from(took <= Duration::from_micros(bound));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Durations;

    #[test]
    fn a_bucket_counts_what_lies_at_or_below_its_bound() {
        let mut durations = Durations::default();
        for micros in [250, 251, 3_000_000] {
            durations.observe(Duration::from_micros(micros));
        }
        assert_eq!(durations.buckets, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!((durations.count, durations.sum), (3, Duration::from_micros(3_000_501)));
    }
}
