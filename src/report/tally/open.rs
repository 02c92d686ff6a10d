//! By which rule and to which site each open connection passes: its last entry has only the bytes. What they come to is
//! not counted here.

use std::collections::BTreeMap;

use crate::ledger::Record;

/// As many open connections are remembered; the oldest are forgotten.
const OPEN_MAX: usize = 1 << 20;

/// A connection: its box, the boot, its number.
pub(super) type Connection = (usize, u64, u64);

/// The rule and the site of a connection, as far as they are known.
pub(super) type Way = (Option<String>, Option<String>);

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Open(BTreeMap<Connection, Way>);

impl Open {
    /// Remembers what an entry says of its connection; the first word of it counts.
    pub(super) fn follow(
        &mut self,
        connection: Connection,
        record: &Record,
        site: impl FnOnce() -> Option<String>,
    ) {
        if !["dialled", "request"].contains(&record.kind.as_str()) {
            return;
        }
        let (rule, known) = self.0.entry(connection).or_default();
        *rule = rule.take().or_else(|| record.rule.clone());
        *known = known.take().or_else(site);
        if self.0.len() > OPEN_MAX {
            self.0.pop_first();
        }
    }

    /// What was known of a connection that is closed now.
    pub(super) fn taken(&mut self, connection: Connection) -> Option<Way> {
        self.0.remove(&connection)
    }
}

#[cfg(test)]
mod tests {
    use super::{OPEN_MAX, Open};
    use crate::ledger::Record;

    fn record(kind: &str, rule: &str) -> Record {
        let line = format!(
            r#"{{"seq":1,"boot":1,"at":"2026-11-22T00:00:00Z","kind":"{kind}","rule":"{rule}","facts":{{}}}}"#
        );
        Record::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_word_of_a_rule_and_of_a_site_stays_until_the_connection_closes() {
        let mut open = Open::default();
        let (key, site) = ((0, 1, 1), |text: &str| Some(text.to_owned()));
        open.follow(key, &record("dialled", "register"), || None);
        open.follow(key, &record("request", "results"), || site("tokyo"));
        open.follow(key, &record("request", "results"), || site("osaka"));
        open.follow(key, &record("failed", "results"), || site("osaka"));
        assert_eq!(open.taken(key), Some((site("register"), site("tokyo"))));
        assert_eq!(open.taken(key), None);
    }

    #[test]
    fn beyond_the_bound_the_oldest_connection_is_forgotten() {
        let mut open = Open::default();
        let line = r#"{"seq":1,"boot":1,"at":"2026-11-22T00:00:00Z","kind":"dialled","facts":{}}"#;
        let dialled = Record::parse(line.as_bytes()).unwrap();
        for number in 0..=OPEN_MAX as u64 {
            open.follow((0, 1, number), &dialled, || None);
        }
        assert_eq!(open.taken((0, 1, 0)), None);
        assert!(open.taken((0, 1, 1)).is_some());
    }
}
