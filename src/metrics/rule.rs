//! The children of one rule, found once and kept: counting costs an atomic, never a look-up.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

use super::Outcome;
use super::family::Families;
use crate::flow::Name;
use crate::policy::model::Side;

/// The registered status codes (IANA HTTP Status Code Registry, without the unused 306 and 418).
const CODES: &[u16] = &[
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415,
    416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506,
    507, 508, 510, 511,
];

/// The children of one rule, looked up once and then cached by the proxy.
#[derive(Debug)]
pub struct RuleMetrics {
    open: IntGauge,
    ended: [IntCounter; Outcome::ALL.len()],
    to_upstream: IntCounter,
    to_client: IntCounter,
    last_match: Gauge,
    requests: OnceLock<Requests>,
    /// Where the children of requests come from when the first one does.
    source: (prometheus::IntCounterVec, prometheus::HistogramVec, Name),
}

/// What only a rule with requests has.
#[derive(Debug)]
struct Requests {
    duration: Histogram,
    /// As long as [`CODES`], and one more at the end for all others.
    by_code: Box<[IntCounter]>,
}

impl RuleMetrics {
    /// Finds or makes the children; `side` is where `system` stands.
    pub(super) fn new(families: &Families, rule: &Name, system: &Name, side: Side) -> Self {
        let (up, down) = directions(side);
        let bytes = |direction| {
            let labels = [rule.as_str(), system.as_str(), direction];
            families.transferred_bytes.with_label_values(&labels)
        };
        let ended = |outcome: Outcome| {
            families.connections.with_label_values(&[rule.as_str(), outcome.code()])
        };
        Self {
            open: families.connections_open.with_label_values(&[rule.as_str()]),
            ended: Outcome::ALL.map(ended),
            to_upstream: bytes(up),
            to_client: bytes(down),
            last_match: families.rule_last_match.with_label_values(&[rule.as_str()]),
            requests: OnceLock::new(),
            source: (families.requests.clone(), families.request_duration.clone(), rule.clone()),
        }
    }

    /// `sekisho_connections_open` up, and `sekisho_rule_last_match_timestamp_seconds`.
    pub fn opened(&self, now_seconds: f64) {
        self.open.inc();
        self.matched(now_seconds);
    }

    /// `sekisho_connections_open` down, `sekisho_connections_total` up.
    pub fn closed(&self, outcome: Outcome) {
        self.open.dec();
        if let Some(counter) = self.ended.get(outcome as usize) {
            counter.inc();
        }
    }

    /// `sekisho_requests_total` and `sekisho_request_duration_seconds`; codes not registered are `other`.
    pub fn request(&self, code: u16, duration: Duration) {
        let requests = self.with_requests();
        let at = CODES.binary_search(&code).unwrap_or(CODES.len());
        if let Some(counter) = requests.by_code.get(at) {
            counter.inc();
        }
        requests.duration.observe(duration.as_secs_f64());
    }

    /// `sekisho_transferred_bytes_total{direction="to_center"}` where the destination stands on the centre's side.
    pub fn to_upstream(&self, bytes: u64) {
        self.to_upstream.inc_by(bytes);
    }

    /// The other direction.
    pub fn to_client(&self, bytes: u64) {
        self.to_client.inc_by(bytes);
    }

    /// `sekisho_rule_last_match_timestamp_seconds`.
    pub fn matched(&self, now_seconds: f64) {
        self.last_match.set(now_seconds);
    }

    /// Makes the children of requests, so that each code exists at 0.
    pub(super) fn expect_requests(&self) {
        self.with_requests();
    }

    fn with_requests(&self) -> &Requests {
        let (requests, durations, rule) = &self.source;
        let of = |code: &str| requests.with_label_values(&[rule.as_str(), code]);
        self.requests.get_or_init(|| Requests {
            duration: durations.with_label_values(&[rule.as_str()]),
            by_code: CODES.iter().map(|code| of(&code.to_string())).chain([of("other")]).collect(),
        })
    }
}

/// The labels of what goes to a system on this side, and of what comes back.
const fn directions(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Center => ("to_center", "to_union"),
        Side::Union => ("to_union", "to_center"),
    }
}
