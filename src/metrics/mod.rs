//! The metric families of the contract, typed. Labels are enums or names of the law, never client input.
//!
//! Each [`Metrics`] has a registry of its own, so that two services in one process do not share a number.
//! Series of rules that have left the law stay (a counter never goes back); gauges that speak of the law in
//! force (certificates, approvals, the digest, what the last dial found) are replaced with it.
//! No HTTP here and no clock: `service::admin` serves [`Metrics::encode`], times come in as arguments.

mod endpoint;
mod family;
mod law;
mod ledger;
mod rule;
mod sampled;

pub use endpoint::LastDial;
pub use law::{InForce, Role};
pub use ledger::LedgerSample;
pub use rule::RuleMetrics;
pub use sampled::Durations;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, TextEncoder};

use crate::flow::Name;
use crate::policy::model::Side;
use crate::verdict::{Reason, Stage};

use endpoint::Endpoints;
use family::Families;

/// Every family, registered once per service; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    families: Families,
    /// `sekisho_denials_total` by reason, then stage: found without hashing a label.
    denials: Box<[IntCounter]>,
    state: Mutex<State>,
}

/// What changes with the law. Encoding takes the same lock, so that a scrape never sees half of a new law.
#[derive(Debug, Default)]
struct State {
    rules: BTreeMap<(Name, Name), Arc<RuleMetrics>>,
    sides: BTreeMap<Name, Side>,
    endpoints: Endpoints,
}

/// The leg that a handshake failed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// The client's.
    Client,
    /// The upstream's.
    Upstream,
}

/// How a permitted connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Both sides ended it in order.
    Completed,
    /// Something failed.
    Failed,
    /// The law changed.
    Cut,
    /// A request on it was refused.
    Denied,
}

/// How an attempt to put a law in force ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReloadResult {
    /// It is in force.
    Accepted,
    /// It has faults; the old one stays.
    Refused,
}

impl Leg {
    const ALL: [Self; 2] = [Self::Client, Self::Upstream];

    const fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
        }
    }
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Completed, Self::Failed, Self::Cut, Self::Denied];

    const fn code(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Denied => "denied",
        }
    }
}

impl ReloadResult {
    const ALL: [Self; 2] = [Self::Accepted, Self::Refused];

    const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything, closed labels at 0.
    pub fn new() -> Self {
        let families = Families::register();
        let denials = Reason::ALL.iter().flat_map(|reason| {
            let of =
                |stage: Stage| families.denials.with_label_values(&[reason.code(), stage.code()]);
            Stage::ALL.map(of)
        });
        let denials = denials.collect();
        families.fill_closed_labels();
        Self { inner: Arc::new(Inner { families, denials, state: Mutex::default() }) }
    }

    /// The children of a rule towards a system. Looked up under a lock: keep what it gives.
    pub fn rule(&self, rule: &Name, system: &Name) -> Arc<RuleMetrics> {
        let families = &self.inner.families;
        let mut state = self.state();
        // Only what is no destination of the law in force has no side here; such a rule is of an older law,
        // whose destinations stood at the centre or it was never sound.
        let side = state.sides.get(system).copied().unwrap_or(Side::Center);
        let children = state.rules.entry((rule.clone(), system.clone()));
        let made = || Arc::new(RuleMetrics::new(families, rule, system, side));
        Arc::clone(children.or_insert_with(made))
    }

    /// `sekisho_denials_total`.
    pub fn denied(&self, reason: Reason, stage: Stage) {
        let at = reason as usize * Stage::ALL.len() + stage as usize;
        if let Some(counter) = self.inner.denials.get(at) {
            counter.inc();
        }
    }

    /// `sekisho_would_deny_total`.
    pub fn would_deny(&self, rule: &Name, reason: Reason) {
        let labels = [rule.as_str(), reason.code()];
        self.inner.families.would_deny.with_label_values(&labels).inc();
    }

    /// `sekisho_handshake_failures_total`.
    pub fn handshake_failed(&self, leg: Leg, reason: Reason) {
        let labels = [leg.code(), reason.code()];
        self.inner.families.handshake_failures.with_label_values(&labels).inc();
    }

    /// `sekisho_accept_errors_total`.
    pub fn accept_failed(&self) {
        self.inner.families.accept_errors.inc();
    }

    /// `sekisho_connections_cut_total`.
    pub fn connection_cut(&self, reason: Reason) {
        self.inner.families.connections_cut.with_label_values(&[reason.code()]).inc();
    }

    /// `sekisho_upstream_connections`, one more.
    pub fn upstream_opened(&self, system: &Name, endpoint: SocketAddr) {
        let labels = [system.as_str(), &endpoint.to_string()];
        self.inner.families.upstream_connections.with_label_values(&labels).inc();
    }

    /// `sekisho_upstream_connections`, one less.
    pub fn upstream_closed(&self, system: &Name, endpoint: SocketAddr) {
        let labels = [system.as_str(), &endpoint.to_string()];
        self.inner.families.upstream_connections.with_label_values(&labels).dec();
    }

    /// `sekisho_endpoint_up` and, where it was reached, `sekisho_endpoint_round_trip_min_seconds`.
    pub fn dialled(
        &self,
        system: &Name,
        endpoint: SocketAddr,
        site: &Name,
        round_trip: Option<Duration>,
    ) {
        self.state().endpoints.dialled(&self.inner.families, (system, endpoint, site), round_trip);
    }

    /// What the last dial of each endpoint found; an endpoint that was not dialled yet is not there.
    pub fn last_dials(&self) -> Vec<LastDial> {
        self.state().endpoints.list()
    }

    /// `sekisho_line_up`.
    pub fn line(&self, line: &Name, up: bool) {
        self.inner.families.line_up.with_label_values(&[line.as_str()]).set(i64::from(up));
    }

    /// `sekisho_policy_reloads_total`, `sekisho_policy_last_reload_successful` and, where it was accepted, when.
    pub fn reloaded(&self, result: ReloadResult, now_seconds: f64) {
        let families = &self.inner.families;
        families.policy_reloads.with_label_values(&[result.code()]).inc();
        families.policy_last_reload_successful.set(i64::from(result == ReloadResult::Accepted));
        if result == ReloadResult::Accepted {
            families.policy_last_reload_success.set(now_seconds);
        }
    }

    /// The law that the process began with: its own, or an older one because its own was refused. Not an attempt
    /// while running, so `sekisho_policy_reloads_total` does not count it.
    pub fn began(&self, result: ReloadResult, now_seconds: f64) {
        let families = &self.inner.families;
        families.policy_last_reload_successful.set(i64::from(result == ReloadResult::Accepted));
        families.policy_last_reload_success.set(now_seconds);
    }

    /// `sekisho_policy_matches_disk`: whether the law in force is the one that lies on the disk.
    pub fn policy_matches_disk(&self, matches: bool) {
        self.inner.families.policy_matches_disk.set(i64::from(matches));
    }

    /// `sekisho_ledger_entries_total`, `sekisho_ledger_lost_entries_total`, `sekisho_ledger_free_bytes` and
    /// `sekisho_ledger_sync_duration_seconds`, and of the newest checkpoint `sekisho_ledger_head` and
    /// `sekisho_ledger_checkpoint_entries`: call it before encoding.
    pub fn ledger(&self, sample: LedgerSample) {
        let families = &self.inner.families;
        // Two scrapes at a time would both add the same difference.
        let _turn = self.state();
        families.ledger.show(sample);
    }

    /// Creates every series of a law that is put in force and replaces the gauges that speak of it.
    pub fn install(&self, law: &InForce<'_>) {
        self.state().install(&self.inner.families, law);
    }

    /// Everything in the Prometheus text format 0.0.4.
    pub fn encode(&self) -> String {
        let _whole = self.state();
        let families = self.inner.families.gather();
        // Only a family without children or without a name can fail, and gathering leaves those out.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
