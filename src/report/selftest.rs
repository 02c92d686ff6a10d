//! What self-tests have shown in the period: which controls were tried for real, and how often they operated. A probe
//! that a later version adds is counted and listed by its name.

use super::Council;
use super::clause::Key;
use super::lang::{grouped, word};
use crate::flow::Timestamp;
use crate::ledger::Record;

/// One probe over the period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// How often the control operated.
    pub passed: u64,
    /// How often it did not.
    pub failed: u64,
    /// How often the law did not ask for it.
    pub absent: u64,
    /// When it was last tried, the reference of the entry, and what it came to.
    pub last: Option<(Timestamp, String, String)>,
}

impl Tried {
    /// Counts the entry of a probe. An outcome that is not known is none that speaks for the control.
    pub(super) fn add(&mut self, record: &Record) {
        let outcome = record.fact("outcome").unwrap_or("-");
        match outcome {
            "passed" => self.passed += 1,
            "not_in_law" => self.absent += 1,
            _ => self.failed += 1,
        }
        if self.last.as_ref().is_none_or(|(at, ..)| *at <= record.at) {
            self.last = Some((record.at, record.reference(), outcome.to_owned()));
        }
    }
}

/// The clauses that a probe tries the measure of.
const CLAUSES: &[(&str, &[Key])] = &[
    ("allowed_passage", &[Key::Connection]),
    ("unknown_source", &[Key::Connection]),
    ("reverse_access_by_address", &[Key::Eligibility]),
    ("reverse_access_by_identity", &[Key::Eligibility]),
    ("revoked_certificate", &[Key::Line]),
    // No probe lets an endpoint die: degraded operation is shown by traffic alone.
    ("foreign_endpoint", &[Key::Location, Key::Export]),
];

/// What self-tests say of a clause, a line for each probe; nothing where no probe tries it.
pub(super) fn of_clause(council: &Council<'_>, key: Key) -> Vec<String> {
    let probes = CLAUSES.iter().filter(|(_, keys)| keys.contains(&key));
    probes.map(|(probe, _)| line(council, probe)).collect()
}

fn line(council: &Council<'_>, probe: &str) -> String {
    let lang = council.lang;
    let name = word(lang, probe);
    let Some(Tried { passed, failed, absent, last: Some((at, reference, _)) }) =
        council.tally.probes.get(probe)
    else {
        return lang.choose(
            || format!("自己試験「{name}」：期間中の記録なし"),
            || format!("self-test, {name}: none recorded in the period"),
        );
    };
    let (passed, failed) = (grouped(*passed), grouped(*failed));
    let last = format!("{}, {reference}", council.clock().moment(*at));
    if *absent > 0 && passed == "0" && failed == "0" {
        return lang.choose(
            || format!("自己試験「{name}」：規則にないため試験していない（{last}）"),
            || format!("self-test, {name}: not in the law, not tried ({last})"),
        );
    }
    lang.choose(
        || {
            format!(
                "自己試験「{name}」：機能した {passed}回、機能しなかった {failed}回（最終 {last}）"
            )
        },
        || {
            format!(
                "self-test, {name}: operated {passed} times, did not {failed} times (last {last})"
            )
        },
    )
}
