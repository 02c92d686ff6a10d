//! The metric families of the contract, typed. Labels are enums or names of the law, never client input.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::Name;
use crate::verdict::{Reason, Stage};

/// Every family, registered once per process; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<()>,
}

/// The children of one rule, looked up once and then cached by the proxy.
#[derive(Debug)]
pub struct RuleMetrics {}

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

impl Metrics {
    /// Registers everything, closed labels at 0.
    pub fn new() -> Self {
        todo!()
    }
    /// The children of a rule.
    pub fn rule(&self, rule: &Name, system: &Name) -> Arc<RuleMetrics> {
        todo!()
    }
    /// `sekisho_denials_total`.
    pub fn denied(&self, reason: Reason, stage: Stage) {
        todo!()
    }
    /// `sekisho_handshake_failures_total`.
    pub fn handshake_failed(&self, leg: Leg, reason: Reason) {
        todo!()
    }
    /// `sekisho_accept_errors_total`.
    pub fn accept_failed(&self) {
        todo!()
    }
    /// `sekisho_connections_cut_total`.
    pub fn connection_cut(&self, reason: Reason) {
        todo!()
    }
    /// `sekisho_upstream_connections`, one more.
    pub fn upstream_opened(&self, system: &Name, endpoint: SocketAddr) {
        todo!()
    }
    /// `sekisho_upstream_connections`, one less.
    pub fn upstream_closed(&self, system: &Name, endpoint: SocketAddr) {
        todo!()
    }
    /// `sekisho_endpoint_up` and, where it was reached, `sekisho_endpoint_round_trip_min_seconds`.
    pub fn dialled(
        &self,
        system: &Name,
        endpoint: SocketAddr,
        site: &Name,
        round_trip: Option<Duration>,
    ) {
        todo!()
    }
    /// `sekisho_line_up`.
    pub fn line(&self, line: &Name, up: bool) {
        todo!()
    }
}

impl RuleMetrics {
    /// `sekisho_connections_open` up, and `sekisho_rule_last_match_timestamp_seconds`.
    pub fn opened(&self, now_seconds: f64) {
        todo!()
    }
    /// `sekisho_connections_open` down, `sekisho_connections_total` up.
    pub fn closed(&self, outcome: Outcome) {
        todo!()
    }
    /// `sekisho_requests_total` and `sekisho_request_duration_seconds`; codes not registered are `other`.
    pub fn request(&self, code: u16, duration: Duration) {
        todo!()
    }
    /// `sekisho_transferred_bytes_total{direction="to_center"}` where the destination stands on the centre's side.
    pub fn to_upstream(&self, bytes: u64) {
        todo!()
    }
    /// The other direction.
    pub fn to_client(&self, bytes: u64) {
        todo!()
    }
    /// `sekisho_rule_last_match_timestamp_seconds`.
    pub fn matched(&self, now_seconds: f64) {
        todo!()
    }
}
