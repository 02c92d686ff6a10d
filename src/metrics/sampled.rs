//! A histogram that is counted elsewhere: the ledger's writer keeps the buckets, a scrape shows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};

/// Observed durations, as counted where they were observed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Durations {
    /// Upper bounds in seconds, ascending, and how many lay at or below each.
    pub buckets: Vec<(f64, u64)>,
    /// How many in all.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

/// The family; clones share the last sample.
#[derive(Debug, Clone)]
pub(super) struct Sampled {
    desc: Desc,
    last: Arc<Mutex<Durations>>,
}

impl Sampled {
    pub(super) fn new(name: String, help: String) -> prometheus::Result<Self> {
        let desc = Desc::new(name, help, Vec::new(), HashMap::new())?;
        Ok(Self { desc, last: Arc::default() })
    }

    /// Takes a sample; an older one than the last would make the counts go back and is left out.
    pub(super) fn take(&self, sample: Durations) {
        let mut last = self.last();
        if sample.count >= last.count {
            *last = sample;
        }
    }

    fn last(&self) -> MutexGuard<'_, Durations> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn histogram(&self) -> Histogram {
        let last = self.last();
        let mut histogram = Histogram::default();
        histogram.set_sample_count(last.count);
        histogram.set_sample_sum(last.sum.as_secs_f64());
        histogram.set_bucket(last.buckets.iter().map(|(bound, n)| bucket(*bound, *n)).collect());
        histogram
    }
}

fn bucket(bound: f64, count: u64) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(bound);
    bucket.set_cumulative_count(count);
    bucket
}

impl Collector for Sampled {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut metric = Metric::default();
        metric.set_histogram(self.histogram());
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}
