//! How much anybody without an identity can write: a few entries a minute, then one that counts. No clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::entry::{Body, PolicyDigest};
use crate::flow::Timestamp;
use crate::verdict::Reason;

/// Entries of their own, for each source and reason, in one [`WINDOW`].
pub(super) const LISTED: u64 = 20;
/// How long they are counted together.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// Sources that are told apart.
pub(super) const SOURCES: usize = 4096;

/// The counters, by source and reason.
#[derive(Debug, Default)]
pub(super) struct Limit {
    sources: BTreeMap<IpAddr, BTreeMap<Reason, Window>>,
    /// Every source beyond [`SOURCES`].
    rest: Option<Window>,
}

/// One minute of one source and reason.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Timestamp,
    listed: u64,
    counted: u64,
    policy: PolicyDigest,
}

/// Whom a window speaks of; `None` is the rest beyond the table.
type Key = Option<(IpAddr, Reason)>;

/// A window that has ended and counted something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    key: Key,
    window: Window,
}

/// What becomes of a refusal.
#[derive(Debug)]
pub(super) struct Admission {
    /// Whether it gets an entry of its own.
    pub(super) listed: bool,
    /// What the last window counted; to be recorded before it.
    pub(super) ended: Option<Counted>,
}

impl Limit {
    /// Counts one refusal.
    pub(super) fn admit(
        &mut self,
        source: IpAddr,
        reason: Reason,
        at: Timestamp,
        policy: PolicyDigest,
    ) -> Admission {
        let fresh = Window { since: at, listed: 0, counted: 0, policy };
        let (key, window) = self.window(source.to_canonical(), reason, fresh);
        let ended = window.has_ended(at).then(|| std::mem::replace(window, fresh));
        let listed = window.count(policy);
        Admission { listed, ended: ended.and_then(|window| Counted::of(key, window)) }
    }

    fn window(&mut self, source: IpAddr, reason: Reason, fresh: Window) -> (Key, &mut Window) {
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&source) {
            return (None, self.rest.get_or_insert(fresh));
        }
        let window = self.sources.entry(source).or_default().entry(reason).or_insert(fresh);
        (Some((source, reason)), window)
    }

    /// Takes out what has ended by `now` (everything, where `None`), so that the table stays small.
    pub(super) fn expire(&mut self, now: Option<Timestamp>) -> Vec<Counted> {
        let mut ended = Vec::new();
        let mut over = |key: Key, window: &Window| {
            let over = now.is_none_or(|now| window.has_ended(now));
            if over {
                ended.extend(Counted::of(key, *window));
            }
            over
        };
        self.sources.retain(|source, reasons| {
            reasons.retain(|reason, window| !over(Some((*source, *reason)), window));
            !reasons.is_empty()
        });
        if self.rest.is_some_and(|window| over(None, &window)) {
            self.rest = None;
        }
        ended
    }

    /// Takes a count back that could not be recorded; a later summary will hold it.
    pub(super) fn put_back(&mut self, counted: Counted) {
        let Counted { key, window } = counted;
        let empty = Window { counted: 0, ..window };
        let slot = match key {
            Some((source, reason)) => self.window(source, reason, empty).1,
            None => self.rest.get_or_insert(empty),
        };
        slot.counted += window.counted;
        slot.since = slot.since.min(window.since);
    }
}

impl Window {
    /// A clock that was set back ends it too: otherwise nothing would be recorded until it catches up.
    fn has_ended(&self, now: Timestamp) -> bool {
        now < self.since || now.since(self.since) >= WINDOW
    }

    fn count(&mut self, policy: PolicyDigest) -> bool {
        self.policy = policy;
        let listed = self.listed < LISTED;
        if listed {
            self.listed += 1;
        } else {
            self.counted += 1;
        }
        listed
    }
}

impl Counted {
    fn of(key: Key, window: Window) -> Option<Self> {
        (window.counted > 0).then_some(Self { key, window })
    }

    /// The law that refused last.
    pub(super) const fn policy(&self) -> PolicyDigest {
        self.window.policy
    }

    /// The summary's facts.
    pub(super) fn body(&self) -> Body {
        Body::Summary {
            source: self.key.map(|(source, _)| source),
            reason: self.key.map(|(_, reason)| reason),
            count: self.window.counted,
            since: self.window.since,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Counted, LISTED, Limit, SOURCES};
    use crate::flow::Timestamp;
    use crate::ledger::entry::{Body, PolicyDigest};
    use crate::verdict::Reason;

    const LAW: PolicyDigest = PolicyDigest([7; 32]);

    fn source(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn listed(limit: &mut Limit, number: u32, second: i64, times: u64) -> u64 {
        (0..times)
            .filter(|_| limit.admit(source(number), Reason::UnknownSource, at(second), LAW).listed)
            .count() as u64
    }

    fn said(counted: &Counted) -> (Option<IpAddr>, Option<Reason>, u64, Timestamp) {
        let Body::Summary { source, reason, count, since } = counted.body() else {
            panic!("not a summary");
        };
        (source, reason, count, since)
    }

    #[test]
    fn twenty_a_minute_are_listed_and_the_rest_is_counted() {
        let mut limit = Limit::default();
        assert_eq!(listed(&mut limit, 1, 100, 50), LISTED);
        assert!(limit.expire(Some(at(159))).is_empty(), "its minute is not over");
        let ended = limit.expire(Some(at(160)));
        let summary = (Some(source(1)), Some(Reason::UnknownSource), 30, at(100));
        assert_eq!(ended.iter().map(said).collect::<Vec<_>>(), [summary]);
        assert_eq!(listed(&mut limit, 1, 160, 50), LISTED);
    }

    #[test]
    fn a_new_minute_hands_out_what_the_last_one_counted() {
        let mut limit = Limit::default();
        listed(&mut limit, 1, 100, 21);
        let admission = limit.admit(source(1), Reason::UnknownSource, at(161), LAW);
        assert!(admission.listed);
        assert_eq!(admission.ended.as_ref().map(said).map(|s| (s.2, s.3)), Some((1, at(100))));
    }

    #[test]
    fn nobody_pays_for_a_neighbour_or_for_another_reason() {
        let mut limit = Limit::default();
        listed(&mut limit, 1, 100, 500);
        assert_eq!(listed(&mut limit, 2, 100, 20), 20);
        assert!(limit.admit(source(1), Reason::Handshake, at(100), LAW).listed);
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_the_same_source() {
        let mut limit = Limit::default();
        listed(&mut limit, 1, 100, 20);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert!(!limit.admit(mapped, Reason::UnknownSource, at(100), LAW).listed);
    }

    #[test]
    fn sources_beyond_the_table_share_one_window() {
        let mut limit = Limit::default();
        let table = u32::try_from(SOURCES).unwrap();
        for number in 0..table + 1000 {
            listed(&mut limit, number, 100, 1);
        }
        assert_eq!(limit.sources.len(), SOURCES);
        let ended = limit.expire(Some(at(160)));
        let rest = (None, None, 1000 - LISTED, at(100));
        assert_eq!(ended.iter().map(said).collect::<Vec<_>>(), [rest]);
        assert!(limit.sources.is_empty() && limit.rest.is_none(), "the table is empty again");
    }

    #[test]
    fn a_clock_set_back_ends_a_window() {
        let mut limit = Limit::default();
        listed(&mut limit, 1, 100_000, 25);
        assert_eq!(limit.expire(Some(at(5))).len(), 1);
    }

    #[test]
    fn a_count_that_could_not_be_recorded_is_not_forgotten() {
        let mut limit = Limit::default();
        listed(&mut limit, 1, 100, 25);
        let ended = limit.expire(Some(at(160)));
        listed(&mut limit, 1, 170, 22);
        for counted in ended {
            limit.put_back(counted);
        }
        let later = limit.expire(None);
        assert_eq!(
            later.iter().map(|c| (said(c).2, said(c).3)).collect::<Vec<_>>(),
            [(7, at(100))]
        );

        for counted in later {
            limit.put_back(counted);
        }
        let again = limit.expire(None);
        assert_eq!(
            again.iter().map(|c| said(c).2).collect::<Vec<_>>(),
            [7],
            "also into an empty table"
        );
    }
}
