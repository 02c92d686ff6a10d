//! What the entries of a period come to: counts and short lists, in bounded memory. What they mean is for the
//! sections to say.

mod list;
mod open;

use std::collections::BTreeMap;

use super::lang::Clock;
use super::selftest::Tried;
use crate::flow::Timestamp;
use crate::ledger::Record;

use list::LIST_MAX;
use open::{Connection, Open};

pub use list::{List, Listed};

/// From when until when, `to` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub to: Timestamp,
}

impl Period {
    /// Whether a moment lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// What passed by a rule, or to a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passage {
    /// Upstream connections that were dialled.
    pub dialled: u64,
    /// Requests that were forwarded.
    pub requests: u64,
    /// Bytes of plaintext to the upstream.
    pub up: u64,
    /// Bytes of plaintext to the client.
    pub down: u64,
}

/// One day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Day {
    /// Passages: requests, or connections where there are no requests.
    pub passed: u64,
    /// Refusals.
    pub refused: u64,
}

/// Everything counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Entries in the period.
    pub entries: u64,
    /// The first entry there is at all, in the period or before it.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
    /// The laws in force, by digest: when they were first and last named.
    pub laws: BTreeMap<String, (Timestamp, Timestamp)>,
    /// What passed, by rule.
    pub rules: BTreeMap<String, Passage>,
    /// What passed, by site.
    pub sites: BTreeMap<String, Passage>,
    /// How often each address was dialled.
    pub endpoints: BTreeMap<String, u64>,
    /// By day, counted from the epoch in the law's zone.
    pub days: BTreeMap<i64, Day>,
    /// Refusals by reason; those that were only counted have their reason too, else `other`.
    pub refusals: BTreeMap<String, u64>,
    /// What was permitted and failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Attempts at reverse access: source, listener's address, stage.
    pub reverse: List,
    /// Refusals that concern the country of a destination: reason, address.
    pub residency: List,
    /// Changes of the law: outcome, digest, origin, faults.
    pub changes: List,
    /// What was called over the control socket or by a signal, with its outcome.
    pub operations: BTreeMap<(String, String), u64>,
    /// Gaps: since, lost, cause.
    pub gaps: List,
    /// Entries that are known to be lost.
    pub lost: u64,
    /// Gaps of which it is not known how much was lost.
    pub unknown: u64,
    /// Steps of the clock.
    pub steps: u64,
    /// Starts of the process.
    pub starts: u64,
    /// The probes of self-tests, by name.
    pub probes: BTreeMap<String, Tried>,
    /// Names in client certificates that passed, and when the certificate ends.
    pub identities: BTreeMap<String, Option<String>>,
    /// TLS versions of admitted connections.
    pub versions: BTreeMap<String, u64>,
    open: Open,
}

/// Where entries are counted: the period, the zone of its days, the site of each endpoint.
#[derive(Debug)]
pub struct Scope {
    /// The period.
    pub period: Period,
    /// The zone.
    pub clock: Clock,
    /// The law's endpoints by address, with their sites.
    pub sites: BTreeMap<String, String>,
}

impl Tally {
    /// Counts the next entry of the `box_`-th ledger.
    pub fn count(&mut self, scope: &Scope, box_: usize, record: &Record) {
        self.first = Some(self.first.map_or(record.at, |first| first.min(record.at)));
        self.last = Some(self.last.map_or(record.at, |last| last.max(record.at)));
        if record.selftest {
            self.tried(scope, record);
            return;
        }
        let key = record.connection().map(|(boot, number)| (box_, boot, number));
        if let Some(key) = key {
            self.open.follow(key, record, || site(scope, record));
        }
        if !scope.period.holds(record.at) {
            // A connection may be opened before the period and close in it.
            if let (Some(key), "closed") = (key, record.kind.as_str()) {
                drop(self.open.taken(key));
            }
            return;
        }
        self.entries += 1;
        if let Some(policy) = &record.policy {
            let named = self.laws.entry(policy.clone()).or_insert((record.at, record.at));
            named.1 = record.at;
        }
        let day = scope.clock.day(record.at);
        match record.kind.as_str() {
            "dialled" => self.dialled(scope, day, record),
            "request" => self.request(scope, day, record),
            "refused" => self.refused(day, record),
            "opened" => self.opened(record),
            "closed" => self.closed(key, record),
            "failed" => add(&mut self.failures, record.reason.as_deref().unwrap_or("other"), 1),
            "summary" => self.summary(day, record),
            "policy" => self.changed(record),
            "operation" => self.operation(record),
            "gap" => self.gap(record),
            "start" => self.starts += 1,
            _ => {}
        }
    }

    /// What a self-test left is no traffic: a probe's own entry counts, and nothing else of it.
    fn tried(&mut self, scope: &Scope, record: &Record) {
        if scope.period.holds(record.at) {
            self.entries += 1;
            if let ("probe", Some(probe)) = (record.kind.as_str(), record.fact("probe")) {
                self.probes.entry(probe.to_owned()).or_default().add(record);
            }
        }
    }

    fn passages(&mut self, scope: &Scope, record: &Record, add: impl Fn(&mut Passage)) {
        if let Some(rule) = &record.rule {
            add(self.rules.entry(rule.clone()).or_default());
        }
        let site = site(scope, record).unwrap_or_else(|| "-".to_owned());
        add(self.sites.entry(site).or_default());
    }

    fn dialled(&mut self, scope: &Scope, day: i64, record: &Record) {
        self.passages(scope, record, |passage| passage.dialled += 1);
        add(&mut self.endpoints, record.fact("endpoint").unwrap_or("-"), 1);
        self.days.entry(day).or_default().passed += 1;
    }

    fn request(&mut self, scope: &Scope, day: i64, record: &Record) {
        self.passages(scope, record, |passage| passage.requests += 1);
        self.days.entry(day).or_default().passed += 1;
    }

    fn refused(&mut self, day: i64, record: &Record) {
        let reason = record.reason.as_deref().unwrap_or("other");
        add(&mut self.refusals, reason, 1);
        self.days.entry(day).or_default().refused += 1;
        let text = |name: &str| record.fact(name).unwrap_or("-").to_owned();
        let stage = record.stage.clone().unwrap_or_default();
        match reason {
            "reverse_access" => {
                self.reverse.push(record, vec![text("source"), text("to_address"), stage]);
            }
            "outside_country" | "country_unknown" | "site_not_declared" => {
                self.residency.push(record, vec![reason.to_owned(), text("endpoint")]);
            }
            _ => {}
        }
    }

    fn summary(&mut self, day: i64, record: &Record) {
        let count = record.count("count").unwrap_or(0);
        add(&mut self.refusals, record.reason.as_deref().unwrap_or("other"), count);
        self.days.entry(day).or_default().refused += count;
        if record.reason.as_deref() == Some("reverse_access") {
            self.reverse.count += count;
        }
    }

    fn opened(&mut self, record: &Record) {
        add(&mut self.versions, record.fact("tls").unwrap_or("-"), 1);
        let names = record.facts.get("identities").and_then(serde_json::Value::as_array);
        // Of a key's pin nothing is recorded but that there was one.
        let names = names.into_iter().flatten().filter_map(serde_json::Value::as_str);
        for name in names.filter(|name| !name.ends_with(":*")) {
            if self.identities.len() < LIST_MAX || self.identities.contains_key(name) {
                let until = record.fact("not_after").map(str::to_owned);
                self.identities.insert(name.to_owned(), until);
            }
        }
    }

    fn closed(&mut self, key: Option<Connection>, record: &Record) {
        let Some((rule, site)) = key.and_then(|key| self.open.taken(key)) else { return };
        let up = record.count("to_upstream").unwrap_or(0);
        let down = record.count("to_client").unwrap_or(0);
        let passages = [
            rule.map(|rule| self.rules.entry(rule).or_default()),
            site.map(|site| self.sites.entry(site).or_default()),
        ];
        for passage in passages.into_iter().flatten() {
            passage.up = passage.up.saturating_add(up);
            passage.down = passage.down.saturating_add(down);
        }
    }

    fn changed(&mut self, record: &Record) {
        let accepted = record.facts.get("accepted").and_then(serde_json::Value::as_bool);
        let outcome = if accepted == Some(true) { "accepted" } else { "refused" };
        let short = |digest: &str| digest.chars().take(8).collect::<String>();
        let digest = record.fact("offered").map(short).unwrap_or_default();
        let origin = record.fact("origin").unwrap_or("-").to_owned();
        let faults = record.count("faults").unwrap_or(0).to_string();
        self.changes.push(record, vec![outcome.to_owned(), digest, origin, faults]);
    }

    fn operation(&mut self, record: &Record) {
        let text = |name: &str| record.fact(name).unwrap_or("-").to_owned();
        let count = self.operations.entry((text("call"), text("outcome"))).or_default();
        *count += 1;
    }

    fn gap(&mut self, record: &Record) {
        let cause = record.fact("cause").unwrap_or("-");
        let lost = record.count("lost");
        match lost {
            _ if cause == "clock step" => self.steps += 1,
            Some(lost) => self.lost += lost,
            None => self.unknown += 1,
        }
        let since = record.fact("since").unwrap_or("-").to_owned();
        let lost = lost.map_or_else(|| "?".to_owned(), |lost| lost.to_string());
        self.gaps.push(record, vec![since, lost, cause.to_owned()]);
    }

    /// All refusals.
    pub fn refused_in_all(&self) -> u64 {
        self.refusals.values().sum()
    }

    /// Refusals for any of these reasons.
    pub fn refused_for(&self, reasons: &[&str]) -> u64 {
        reasons.iter().filter_map(|reason| self.refusals.get(*reason)).sum()
    }

    /// Everything that passed, taken together.
    pub fn passed(&self) -> Passage {
        self.rules.values().fold(Passage::default(), |sum, passage| Passage {
            dialled: sum.dialled + passage.dialled,
            requests: sum.requests + passage.requests,
            up: sum.up.saturating_add(passage.up),
            down: sum.down.saturating_add(passage.down),
        })
    }
}

/// Where an entry's endpoint stands: as recorded, else as the law says.
fn site(scope: &Scope, record: &Record) -> Option<String> {
    let named = record.fact("site").map(str::to_owned);
    named.or_else(|| scope.sites.get(record.fact("endpoint")?).cloned())
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    *counts.entry(name.to_owned()).or_default() += count;
}

#[cfg(test)]
mod tests {
    use super::{Day, Passage, Period, Scope, Tally};
    use crate::flow::Timestamp;
    use crate::ledger::Record;
    use crate::report::lang::Clock;

    const LINES: &[&str] = &[
        r#"{"seq":1,"boot":1,"at":"2026-11-21T14:59:59Z","kind":"dialled","connection":1,"rule":"register","facts":{"endpoint":"10.200.1.10:443","site":"tokyo"}}"#,
        r#"{"seq":2,"boot":1,"at":"2026-11-21T15:00:00Z","kind":"request","connection":1,"rule":"register","policy":"aa","facts":{"endpoint":"10.200.1.10:443"}}"#,
        r#"{"seq":3,"boot":1,"at":"2026-11-22T15:00:00Z","kind":"closed","connection":1,"facts":{"to_upstream":100,"to_client":7}}"#,
        r#"{"seq":4,"boot":1,"at":"2026-11-22T15:00:01Z","kind":"refused","reason":"reverse_access","stage":"arrival","facts":{"source":"10.210.0.9:5"}}"#,
        r#"{"seq":5,"boot":1,"at":"2026-11-22T15:00:02Z","kind":"summary","reason":"reverse_access","facts":{"count":40}}"#,
        r#"{"seq":6,"boot":1,"at":"2026-11-22T15:00:03Z","kind":"gap","facts":{"lost":3,"cause":"unwritable"}}"#,
        r#"{"seq":7,"boot":1,"at":"2026-11-22T15:00:04Z","kind":"gap","facts":{"cause":"unclean stop"}}"#,
        r#"{"seq":8,"boot":1,"at":"2026-11-22T15:00:05Z","kind":"gap","facts":{"lost":0,"cause":"clock step"}}"#,
        r#"{"seq":9,"boot":1,"at":"2026-11-23T15:00:00Z","kind":"refused","reason":"method","facts":{}}"#,
    ];

    #[test]
    fn a_period_is_counted_by_rule_site_day_and_reason() {
        let at = |text| Timestamp::parse(text).unwrap();
        let scope = Scope {
            period: Period {
                from: at("2026-11-22T00:00:00+09:00"),
                to: at("2026-11-24T00:00:00+09:00"),
            },
            clock: Clock { offset: 32_400 },
            sites: [("10.200.1.10:443".into(), "tokyo".into())].into(),
        };
        let mut tally = Tally::default();
        for line in LINES {
            tally.count(&scope, 0, &Record::parse(line.as_bytes()).unwrap());
        }
        let passed = Passage { dialled: 0, requests: 1, up: 100, down: 7 };
        assert_eq!((tally.rules["register"], tally.sites["tokyo"]), (passed, passed));
        let first = scope.clock.day(scope.period.from);
        assert_eq!(tally.days[&first], Day { passed: 1, refused: 0 });
        assert_eq!(tally.days[&(first + 1)], Day { passed: 0, refused: 41 });
        assert_eq!((tally.reverse.count, tally.reverse.listed.len()), (41, 1));
        assert_eq!(
            (tally.refused_in_all(), tally.refused_for(&["method"])),
            (41, 0),
            "after the period"
        );
        assert_eq!((tally.lost, tally.unknown, tally.steps, tally.gaps.count), (3, 1, 1, 3));
        assert_eq!(tally.entries, 7);
    }
}
