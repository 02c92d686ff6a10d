//! What a self-test came to: each probe, what the law should have answered and what happened. For the operator, as text
//! and as JSON; what becomes an entry of the ledger is made in the module above.

use serde::{Deserialize, Serialize};

/// A self-test that was run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTested {
    /// When it began, RFC 3339.
    pub at: String,
    /// The law in force, hexadecimal.
    pub policy: String,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Every probe, in the order of the table.
    pub probes: Vec<Probed>,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Its name, stable.
    pub probe: String,
    /// What it tries, for a Japanese reader.
    pub title: String,
    /// What the law should answer: `allow` or a reason's code.
    pub expected: String,
    /// What happened, likewise; `-` where nothing was tried.
    pub happened: String,
    /// What that comes to.
    pub outcome: Fate,
    /// The clause behind the guardrail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// The numbers of the first and the last entry that the attempt left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<(u64, u64)>,
    /// The probe's own entry, `BOOT-SEQ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// A word more, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a probe came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The control operated as the law says.
    Passed,
    /// It did not.
    Failed,
    /// The law does not ask for this control, and says why.
    NotInLaw,
}

impl Fate {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotInLaw => "not_in_law",
        }
    }
}

impl SelfTested {
    /// Whether no probe failed.
    pub fn is_passed(&self) -> bool {
        self.count(Fate::Failed) == 0
    }

    fn count(&self, fate: Fate) -> usize {
        self.probes.iter().filter(|probed| probed.outcome == fate).count()
    }

    /// The outcome in one line.
    pub fn sentence(&self) -> String {
        let (failed, absent) = (self.count(Fate::Failed), self.count(Fate::NotInLaw));
        let tried = self.probes.len() - absent;
        let absent = if absent > 0 { format!(", {absent} not in this law") } else { String::new() };
        let verdict = if failed > 0 { "FAILED: " } else { "" };
        format!("{verdict}{} of {tried} as expected{absent}", tried - failed)
    }

    /// As people read it: Japanese last in a row, so that the columns align.
    pub fn text(&self) -> String {
        let policy = self.policy.get(..8).unwrap_or(&self.policy);
        let (tried, took) = (self.probes.len(), self.milliseconds);
        let mut lines = vec![
            format!("self-test under policy {policy}: {tried} probes in {took} ms"),
            row(" #", ["probe", "expected", "happened", "ledger"], "").trim_end().to_owned(),
        ];
        for (index, probed) in self.probes.iter().enumerate() {
            lines.extend(probed.lines(index + 1));
        }
        lines.push(format!(
            "{}. Nothing was dialled but stand-ins on this machine.",
            self.sentence()
        ));
        lines.join("\n")
    }
}

impl Probed {
    fn lines(&self, number: usize) -> impl Iterator<Item = String> {
        let reference = self.reference.as_deref().unwrap_or("-");
        let title = match self.outcome {
            Fate::Passed => self.title.clone(),
            Fate::Failed => format!("FAILED  {}", self.title),
            Fate::NotInLaw => format!("not in this law  {}", self.title),
        };
        let cells = [self.probe.as_str(), &self.expected, &self.happened, reference];
        let detail = self.detail.as_ref().map(|detail| format!("    {detail}"));
        [row(&format!("{number:>2}"), cells, &title)].into_iter().chain(detail)
    }
}

fn row(number: &str, [probe, expected, happened, reference]: [&str; 4], title: &str) -> String {
    format!("{number}  {probe:<26}  {expected:<20}  {happened:<20}  {reference:<10}  {title}")
}

#[cfg(test)]
mod tests {
    use crate::service::testing;

    #[test]
    fn the_screen_names_what_failed_and_what_the_law_does_not_ask_for() {
        let tested = testing::selftested();
        assert!(!tested.is_passed());
        assert_eq!(
            tested.text(),
            "self-test under policy 4f1c9a02: 3 probes in 84 ms\n \
             #  probe                       expected              happened              ledger\n \
             1  allowed_passage             allow                 allow                 17-48213    許された通過\n \
             2  reverse_access_by_address   reverse_access        no_rule               17-48220    FAILED  逆方向の接続\n    \
             the guardrail is not in the law\n \
             3  revoked_certificate         certificate_revoked   -                     17-48221    not in this law  失効した証明書\n    \
             trust `union-ca` keeps no revocation list\n\
             FAILED: 1 of 2 as expected, 1 not in this law. Nothing was dialled but stand-ins on this machine."
        );
    }
}
