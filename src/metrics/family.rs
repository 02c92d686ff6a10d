//! The families by name, help and labels: the one place where `sekisho_…` is spelled. No values here.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::ledger::LedgerFamilies;
use super::sampled::Sampled;
use super::{Leg, ReloadResult};
use crate::verdict::Reason;

/// From a cached answer on the same segment, 100 µs, to the longest default timeout, 60 s.
const REQUEST_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// What each family says, without the prefix `sekisho_`.
const HELP: &[(&str, &str)] = &[
    ("build_info", "The running program; always 1."),
    ("connections_total", "Permitted client connections that have ended, by how they ended."),
    ("connections_open", "Permitted client connections now."),
    ("connections_limit", "The most client connections at a time that the box file permits."),
    ("accept_errors_total", "Failures of the operating system to hand over a connection."),
    ("upstream_connections", "Connections to an endpoint now, pooled ones included."),
    ("denials_total", "Refusals, by reason code and by the stage at which it was known."),
    (
        "would_deny_total",
        "Requests that passed only because their rule observes, by the reason they would be refused for.",
    ),
    (
        "requests_total",
        "Answered requests, by status code; codes that are not registered are `other`.",
    ),
    ("request_duration_seconds", "From the end of a request's head to the end of its answer."),
    ("transferred_bytes_total", "Plaintext bytes relayed, counted while a connection lives."),
    ("handshake_failures_total", "TLS handshakes that did not succeed, by side and reason code."),
    ("certificate_not_after_timestamp_seconds", "When a certificate of this box ends."),
    (
        "revocation_next_update_timestamp_seconds",
        "When the first revocation list of a trust ends; after it everything under that trust is refused.",
    ),
    ("approval_until_timestamp_seconds", "When an approval ends, where it does."),
    ("endpoint_up", "Whether the last dial of an endpoint succeeded; absent until the first dial."),
    (
        "endpoint_round_trip_min_seconds",
        "The shortest round trip seen to an endpoint since this box dials it.",
    ),
    ("line_up", "Whether the interface of a line is up."),
    ("policy_info", "The law in force, by its SHA-256; always 1."),
    ("policy_reloads_total", "Attempts to put a law in force while running, by result."),
    ("policy_last_reload_successful", "Whether the last attempt to put a law in force succeeded."),
    ("policy_last_reload_success_timestamp_seconds", "When a law was last put in force."),
    (
        "policy_matches_disk",
        "Whether the law in force was the one on the disk when it was last read.",
    ),
    (
        "connections_cut_total",
        "Live connections that were cut because the law changed or a bound was passed, by reason code.",
    ),
    ("ledger_entries_total", "Entries placed in the ledger since the start of the process."),
    (
        "ledger_lost_entries_total",
        "Entries that could not be kept; each loss is followed by a gap entry.",
    ),
    ("ledger_free_bytes", "Free space where the ledger lies."),
    (
        "ledger_head",
        "The first 144 bits of the root hash of the newest checkpoint, 48 bits a part, the first part first.",
    ),
    ("ledger_checkpoint_entries", "How many entries the newest checkpoint covers."),
    ("ledger_key_info", "The public key that checkpoints are verified with; always 1."),
    (
        "ledger_set_aside",
        "Whether this start has set an earlier ledger aside that could not be continued.",
    ),
    ("ledger_sync_duration_seconds", "How long it took to bring a batch of entries to the disk."),
    (
        "rule_last_match_timestamp_seconds",
        "When a rule last let something pass; 0 where it never has in this process.",
    ),
];

/// Every family, registered in a registry of its own.
#[derive(Debug)]
pub(super) struct Families {
    registry: Registry,
    pub(super) connections: IntCounterVec,
    pub(super) connections_open: IntGaugeVec,
    pub(super) connections_limit: IntGauge,
    pub(super) accept_errors: IntCounter,
    pub(super) upstream_connections: IntGaugeVec,
    pub(super) denials: IntCounterVec,
    pub(super) would_deny: IntCounterVec,
    pub(super) requests: IntCounterVec,
    pub(super) request_duration: HistogramVec,
    pub(super) transferred_bytes: IntCounterVec,
    pub(super) handshake_failures: IntCounterVec,
    pub(super) certificate_not_after: GaugeVec,
    pub(super) revocation_next_update: GaugeVec,
    pub(super) approval_until: GaugeVec,
    pub(super) endpoint_up: IntGaugeVec,
    pub(super) endpoint_round_trip_min: GaugeVec,
    pub(super) line_up: IntGaugeVec,
    pub(super) policy_info: IntGaugeVec,
    pub(super) policy_reloads: IntCounterVec,
    pub(super) policy_last_reload_successful: IntGauge,
    pub(super) policy_last_reload_success: Gauge,
    pub(super) policy_matches_disk: IntGauge,
    pub(super) connections_cut: IntCounterVec,
    pub(super) ledger: LedgerFamilies,
    pub(super) rule_last_match: GaugeVec,
}

impl Families {
    /// Makes and registers all of them, and the `process_*` families of the operating system.
    pub(super) fn register() -> Self {
        let r = Registry::new();
        build_info(&r);
        built(r.register(Box::new(ProcessCollector::for_self())));
        Self {
            connections: counters(&r, "connections_total", &["rule", "outcome"]),
            connections_open: gauges(&r, "connections_open", &["rule"]),
            connections_limit: gauge(&r, "connections_limit"),
            accept_errors: counter(&r, "accept_errors_total"),
            upstream_connections: gauges(&r, "upstream_connections", &["system", "endpoint"]),
            denials: counters(&r, "denials_total", &["reason", "stage"]),
            would_deny: counters(&r, "would_deny_total", &["rule", "reason"]),
            requests: counters(&r, "requests_total", &["rule", "code"]),
            request_duration: histograms(
                &r,
                "request_duration_seconds",
                REQUEST_BUCKETS,
                &["rule"],
            ),
            transferred_bytes: counters(
                &r,
                "transferred_bytes_total",
                &["rule", "system", "direction"],
            ),
            handshake_failures: counters(&r, "handshake_failures_total", &["side", "reason"]),
            certificate_not_after: float_gauges(
                &r,
                "certificate_not_after_timestamp_seconds",
                &["name", "role"],
            ),
            revocation_next_update: float_gauges(
                &r,
                "revocation_next_update_timestamp_seconds",
                &["trust"],
            ),
            approval_until: float_gauges(&r, "approval_until_timestamp_seconds", &["approval"]),
            endpoint_up: gauges(&r, "endpoint_up", &["system", "endpoint", "site"]),
            endpoint_round_trip_min: float_gauges(
                &r,
                "endpoint_round_trip_min_seconds",
                &["system", "endpoint", "site"],
            ),
            line_up: gauges(&r, "line_up", &["line"]),
            policy_info: gauges(&r, "policy_info", &["digest"]),
            policy_reloads: counters(&r, "policy_reloads_total", &["result"]),
            policy_last_reload_successful: gauge(&r, "policy_last_reload_successful"),
            policy_last_reload_success: float_gauge(
                &r,
                "policy_last_reload_success_timestamp_seconds",
            ),
            policy_matches_disk: gauge(&r, "policy_matches_disk"),
            connections_cut: counters(&r, "connections_cut_total", &["reason"]),
            ledger: LedgerFamilies::register(&r),
            rule_last_match: float_gauges(&r, "rule_last_match_timestamp_seconds", &["rule"]),
            registry: r,
        }
    }

    /// Children of families whose labels are all enums, so that `increase()` sees the first event.
    pub(super) fn fill_closed_labels(&self) {
        for reason in Reason::ALL {
            drop(self.connections_cut.with_label_values(&[reason.code()]));
            for leg in Leg::ALL {
                drop(self.handshake_failures.with_label_values(&[leg.code(), reason.code()]));
            }
        }
        for result in ReloadResult::ALL {
            drop(self.policy_reloads.with_label_values(&[result.code()]));
        }
    }

    /// Everything that has a value now, by name.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

fn build_info(registry: &Registry) {
    let info = gauges(registry, "build_info", &["version"]);
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
}

pub(super) fn counter(registry: &Registry, name: &str) -> IntCounter {
    kept(registry, built(IntCounter::with_opts(named(name))))
}

fn counters(registry: &Registry, name: &str, labels: &[&str]) -> IntCounterVec {
    kept(registry, built(IntCounterVec::new(named(name), labels)))
}

pub(super) fn gauge(registry: &Registry, name: &str) -> IntGauge {
    kept(registry, built(IntGauge::with_opts(named(name))))
}

pub(super) fn gauges(registry: &Registry, name: &str, labels: &[&str]) -> IntGaugeVec {
    kept(registry, built(IntGaugeVec::new(named(name), labels)))
}

fn float_gauge(registry: &Registry, name: &str) -> Gauge {
    kept(registry, built(Gauge::with_opts(named(name))))
}

fn float_gauges(registry: &Registry, name: &str, labels: &[&str]) -> GaugeVec {
    kept(registry, built(GaugeVec::new(named(name), labels)))
}

pub(super) fn sampled(registry: &Registry, name: &str) -> Sampled {
    let opts = named(name);
    kept(registry, built(Sampled::new(opts.fq_name(), opts.help)))
}

fn histograms(registry: &Registry, name: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
    kept(registry, built(HistogramVec::new(bucketed(name, buckets), labels)))
}

fn bucketed(name: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::from(named(name)).buckets(buckets.to_vec())
}

/// A family without a help text comes out without one, which a test does not let pass.
fn named(name: &str) -> Opts {
    let help = HELP.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help);
    Opts::new(format!("sekisho_{name}"), help)
}

fn kept<C: Collector + Clone + 'static>(registry: &Registry, family: C) -> C {
    built(registry.register(Box::new(family.clone())));
    family
}

#[expect(
    clippy::expect_used,
    reason = "names and labels are literals of this file; one test registers them all"
)]
fn built<T>(made: prometheus::Result<T>) -> T {
    made.expect("a family of this file is well-formed and registered once")
}
