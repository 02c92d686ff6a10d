//! The families that speak of the ledger. What they show is counted by the ledger itself.

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Registry};

use super::family::{counter, gauge, gauges, sampled};
use super::sampled::{Durations, Sampled};

/// What the ledger says of itself at the moment of a scrape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LedgerSample {
    /// Entries since the start of the process.
    pub entries: u64,
    /// Entries lost since the start of the process.
    pub lost: u64,
    /// Free space where the ledger lies, in bytes.
    pub free_bytes: u64,
    /// How long it took to bring entries to the disk, since the start of the process.
    pub syncs: Durations,
    /// How many entries the newest checkpoint covers, and its root hash; `None` before the first.
    pub head: Option<(u64, [u8; 32])>,
    /// The public key of the checkpoints, `name+hash+base64`.
    pub key: String,
    /// Whether an earlier ledger was set aside at this start.
    pub set_aside: bool,
}

impl LedgerSample {
    /// The first 144 bits of the root in numbers that a double holds exactly.
    fn parts(root: &[u8; 32]) -> impl Iterator<Item = i64> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        root.chunks(6).take(3).map(number)
    }
}

/// Every `sekisho_ledger_*` family.
#[derive(Debug)]
pub(super) struct LedgerFamilies {
    entries: IntCounter,
    lost: IntCounter,
    free: IntGauge,
    syncs: Sampled,
    head: IntGaugeVec,
    checkpoint_entries: IntGauge,
    key: IntGaugeVec,
    set_aside: IntGauge,
}

impl LedgerFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            entries: counter(registry, "ledger_entries_total"),
            lost: counter(registry, "ledger_lost_entries_total"),
            free: gauge(registry, "ledger_free_bytes"),
            syncs: sampled(registry, "ledger_sync_duration_seconds"),
            head: gauges(registry, "ledger_head", &["part"]),
            checkpoint_entries: gauge(registry, "ledger_checkpoint_entries"),
            key: gauges(registry, "ledger_key_info", &["key"]),
            set_aside: gauge(registry, "ledger_set_aside"),
        }
    }

    /// One at a time: two would both add the same difference.
    pub(super) fn show(&self, sample: LedgerSample) {
        raise(&self.entries, sample.entries);
        raise(&self.lost, sample.lost);
        self.free.set(i64::try_from(sample.free_bytes).unwrap_or(i64::MAX));
        self.syncs.take(sample.syncs);
        self.set_aside.set(i64::from(sample.set_aside));
        self.key.with_label_values(&[&sample.key]).set(1);
        // Both of one checkpoint: whoever samples them holds a witness of it.
        if let Some((entries, root)) = sample.head {
            self.checkpoint_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
            for (part, bits) in ["0", "1", "2"].into_iter().zip(LedgerSample::parts(&root)) {
                self.head.with_label_values(&[part]).set(bits);
            }
        }
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
