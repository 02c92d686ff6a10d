//! What the self-test says of itself. Its traffic is in no other family: it has a registry of its own.

use prometheus::{Gauge, IntCounterVec, IntGaugeVec, Registry};

use super::Metrics;
use super::family::{counters, float_gauge, gauges};

/// How a self-test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TestResult {
    /// Every control operated.
    Passed,
    /// One did not.
    Failed,
    /// It could not be run to its end.
    Incomplete,
}

impl TestResult {
    const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Incomplete];

    const fn code(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The families of the self-test.
#[derive(Debug)]
pub(super) struct SelfTestFamilies {
    runs: IntCounterVec,
    last: Gauge,
    last_success: Gauge,
    failures: IntCounterVec,
    probe_success: IntGaugeVec,
}

impl SelfTestFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        let families = Self {
            runs: counters(registry, "selftest_runs_total", &["result"]),
            last: float_gauge(registry, "selftest_last_timestamp_seconds"),
            last_success: float_gauge(registry, "selftest_last_success_timestamp_seconds"),
            failures: counters(registry, "selftest_failures_total", &["probe"]),
            probe_success: gauges(registry, "selftest_probe_success", &["probe"]),
        };
        for result in TestResult::ALL {
            drop(families.runs.with_label_values(&[result.code()]));
        }
        families
    }
}

impl Metrics {
    /// Creates `sekisho_selftest_failures_total` of every probe there is, at 0.
    pub fn probes(&self, names: impl Iterator<Item = &'static str>) {
        for name in names {
            drop(self.inner.families.selftest.failures.with_label_values(&[name]));
        }
    }

    /// `sekisho_selftest_runs_total` and, unless it could not be run, when.
    pub fn tested(&self, result: TestResult, now_seconds: f64) {
        let families = &self.inner.families.selftest;
        families.runs.with_label_values(&[result.code()]).inc();
        match result {
            TestResult::Passed => {
                families.last.set(now_seconds);
                families.last_success.set(now_seconds);
            }
            TestResult::Failed => families.last.set(now_seconds),
            TestResult::Incomplete => {}
        }
    }

    /// `sekisho_selftest_probe_success` and `sekisho_selftest_failures_total`.
    pub fn probed(&self, probe: &str, success: bool) {
        let families = &self.inner.families.selftest;
        families.probe_success.with_label_values(&[probe]).set(i64::from(success));
        if !success {
            families.failures.with_label_values(&[probe]).inc();
        }
    }
}
