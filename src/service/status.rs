//! What the service says of itself: a report for the operator at night, as text and as JSON. Gathered by
//! `running`, shown by `sekisho status` and on the status page.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::reload::Reloaded;
use super::selftest::SelfTested;

/// The version of the format; it only ever grows.
pub(super) const FORMAT: &str = "sekisho.status/1";

/// The whole report. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `sekisho.status/1`.
    pub format: String,
    /// The name of the box.
    pub appliance: String,
    /// The program's version.
    pub version: String,
    /// `starting`, `serving` or `draining`.
    pub state: String,
    /// When it was started.
    pub started: String,
    /// For how long it has run, in seconds, by a clock that cannot be set.
    pub uptime_seconds: u64,
    /// This start's number in the ledger.
    pub boot: u64,
    /// The moment of the report.
    pub now: String,
    /// The law's time zone, in seconds east of UTC.
    pub offset_seconds: i32,
    /// The law in force.
    pub policy: PolicyReport,
    /// The last attempt to put a law in force while running.
    pub reload: Option<Reloaded>,
    /// The last self-test that was run to its end.
    #[serde(default)]
    pub selftest: Option<SelfTestReport>,
    /// Client connections.
    pub connections: ConnectionReport,
    /// The ledger.
    pub ledger: LedgerReport,
    /// Every endpoint of the law.
    pub endpoints: Vec<EndpointReport>,
    /// Every line of the box.
    pub lines: Vec<LineReport>,
    /// What ends soon or has ended, the first first.
    pub endings: Vec<EndingReport>,
}

/// The law in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// SHA-256, hexadecimal.
    pub digest: String,
    /// Since when it is in force.
    pub since: String,
    /// `disk`, or `archive` where the law on disk was faulty at the start.
    pub origin: String,
    /// Whether the law on disk was the same when it was last read.
    pub matches_disk: bool,
}

/// A self-test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelfTestReport {
    /// When it began.
    pub at: String,
    /// The law that it was run under: its digest, hexadecimal.
    #[serde(default)]
    pub policy: String,
    /// Whether every control operated.
    pub passed: bool,
    /// The outcome in one line.
    pub outcome: String,
}

/// Client connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionReport {
    /// Now.
    pub open: usize,
    /// At most.
    pub limit: u32,
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerReport {
    /// The number of the last entry that is on disk.
    pub head: u64,
    /// Whether entries can be written.
    pub writable: bool,
    /// Entries lost since the start.
    pub lost: u64,
    /// Free space where it lies, in bytes.
    pub free_bytes: u64,
    /// How many entries the newest checkpoint covers; 0 before the first.
    #[serde(default)]
    pub signed: u64,
    /// Its root hash in base64, as it is kept elsewhere to hold the ledger against.
    #[serde(default)]
    pub root: Option<String>,
    /// Where this start has set an earlier ledger aside that could not be continued.
    #[serde(default)]
    pub set_aside: Option<String>,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Its system.
    pub system: String,
    /// Its address.
    pub endpoint: String,
    /// Its site.
    pub site: String,
    /// What the last dial found: `up`, `down`, or `unknown` where there was none.
    pub state: String,
    /// The shortest round trip, in seconds.
    pub round_trip_min_seconds: Option<f64>,
    /// The system's title.
    pub title: Option<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineReport {
    /// Its name.
    pub line: String,
    /// Its interface.
    pub interface: String,
    /// Whether the interface is up.
    pub up: bool,
}

/// One thing that ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndingReport {
    /// When.
    pub until: String,
    /// ``approval `r1-5` ``.
    pub what: String,
    /// Its title.
    pub title: Option<String>,
}

impl SelfTestReport {
    pub(super) fn of(tested: &SelfTested) -> Self {
        let (at, policy) = (tested.at.clone(), tested.policy.clone());
        Self { at, policy, passed: tested.is_passed(), outcome: tested.sentence() }
    }
}

impl Report {
    /// The report as text: what matters first, columns aligned, Japanese last in a row.
    pub fn text(&self) -> String {
        let mut text = self.head();
        text.push_str(&table(&self.facts()));
        section(&mut text, &self.line_rows());
        section(&mut text, &self.endpoint_rows());
        section(&mut text, &self.ending_rows());
        if let Some(refused) = self.reload.as_ref().filter(|reload| reload.is_refused()) {
            _ = write!(text, "\n{}\n", refused.faults.trim_end());
        }
        text
    }

    fn head(&self) -> String {
        let up = span(self.uptime_seconds);
        let Self { appliance, version, state, boot, .. } = self;
        format!("{appliance}: {state} for {up}, boot {boot}, sekisho {version}\n\n")
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let mut rows = vec![row("policy", self.policy_text())];
        rows.extend(self.reload.as_ref().map(|reload| {
            row("last reload", format!("{}, {}", self.local(&reload.at), reload.sentence()))
        }));
        let tested = self.selftest.as_ref();
        let tested = tested.map(|test| {
            let under =
                if test.policy == self.policy.digest { "" } else { ", under an EARLIER law" };
            format!("{}, {}{under}", self.local(&test.at), test.outcome)
        });
        rows.push(row("self-test", tested.unwrap_or_else(|| "none since the start".to_owned())));
        let ConnectionReport { open, limit } = self.connections;
        rows.push(row("connections", format!("{open} of {limit}")));
        rows.push(row("ledger", self.ledger_text()));
        rows
    }

    fn policy_text(&self) -> String {
        let PolicyReport { digest, since, origin, matches_disk } = &self.policy;
        let short: String = digest.chars().take(8).collect();
        let disk = match (matches_disk, origin.as_str()) {
            (true, _) => "the same as on disk",
            (false, "archive") => "the last accepted one: the law on disk is FAULTY",
            (false, _) => "NOT the one on disk",
        };
        format!("{short} in force since {}, {disk}", self.local(since))
    }

    fn ledger_text(&self) -> String {
        let LedgerReport { head, writable, lost, free_bytes, signed, root: _, set_aside } =
            &self.ledger;
        let set_aside =
            set_aside.as_ref().map(|to| format!(", AN EARLIER ONE IS SET ASIDE in {to}"));
        let writable = if *writable { "writable" } else { "NOT WRITABLE" };
        let lost =
            if *lost == 0 { "nothing lost".to_owned() } else { format!("{lost} entries LOST") };
        let (boot, free) = (self.boot, size(*free_bytes));
        let set_aside = set_aside.unwrap_or_default();
        format!("{boot}-{head}, signed to {signed}, {writable}, {lost}, {free} free{set_aside}")
    }

    fn line_rows(&self) -> Vec<Vec<String>> {
        let down = self.lines.iter().filter(|line| !line.up);
        let rows =
            down.map(|line| vec![line.line.clone(), line.interface.clone(), "DOWN".to_owned()]);
        titled(&["line", "interface", "state"], rows)
    }

    fn endpoint_rows(&self) -> Vec<Vec<String>> {
        let trip = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        let rows = self.endpoints.iter().map(|one| {
            let state = if one.state == "down" { "DOWN" } else { one.state.as_str() };
            vec![
                one.endpoint.clone(),
                one.site.clone(),
                state.to_owned(),
                one.round_trip_min_seconds.map_or_else(|| "-".to_owned(), trip),
                with_title(&one.system, one.title.as_deref()),
            ]
        });
        titled(&["endpoint", "site", "last dial", "shortest", "system"], rows)
    }

    fn ending_rows(&self) -> Vec<Vec<String>> {
        let rows = self.endings.iter().map(|one| {
            let left = days_between(&self.now, &one.until);
            let left = match left {
                Some(days) if days < 0 => "ENDED".to_owned(),
                Some(days) => format!("in {days} d"),
                None => String::new(),
            };
            vec![self.local(&one.until), left, with_title(&one.what, one.title.as_deref())]
        });
        titled(&["ends", "", "what"], rows)
    }

    /// A moment as the law's time zone has it.
    fn local(&self, moment: &str) -> String {
        local(moment, self.offset_seconds).unwrap_or_else(|| moment.to_owned())
    }
}

fn local(moment: &str, offset: i32) -> Option<String> {
    let wanted = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory]:[offset_minute]"
    );
    let moment = OffsetDateTime::parse(moment, &Rfc3339).ok()?;
    moment.to_offset(UtcOffset::from_whole_seconds(offset).ok()?).format(wanted).ok()
}

/// Whole days, rounded down: less than a day left is 0, and -1 is over.
fn days_between(now: &str, then: &str) -> Option<i64> {
    let now = OffsetDateTime::parse(now, &Rfc3339).ok()?;
    let then = OffsetDateTime::parse(then, &Rfc3339).ok()?;
    Some((then - now).whole_seconds().div_euclid(86_400))
}

fn with_title(name: &str, title: Option<&str>) -> String {
    title.map_or_else(|| name.to_owned(), |title| format!("{name}  {title}"))
}

fn titled(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        rows.insert(0, head.iter().map(|&title| title.to_owned()).collect());
    }
    rows
}

fn section(text: &mut String, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(rows));
    }
}

/// Aligned columns, two spaces between; the last one may be wide.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|at| widest(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn span(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{:.1} {name}", bytes as f64 / *unit as f64),
    )
}

#[cfg(test)]
mod tests {
    use crate::service::testing;

    #[test]
    fn a_healthy_night() {
        let text = testing::report().text();
        assert_eq!(
            text,
            "\
kouiki-edge-1: serving for 3 h 12 min, boot 17, sekisho 0.1.0

policy       4f1c9a02 in force since 2026-11-22 02:10:07 +09:00, the same as on disk
self-test    none since the start
connections  12 of 10000
ledger       17-48213, signed to 48190, writable, nothing lost, 120.5 GiB free

endpoint         site   last dial  shortest  system
10.200.1.10:443  tokyo  up         2.4 ms    intermediate-server  医療保険者等向け中間サーバー
10.201.1.10:443  osaka  unknown    -         intermediate-server  医療保険者等向け中間サーバー

ends                                what
2027-01-06 00:00:00 +09:00  in 44 d  document `iso27017`  ISO/IEC 27017 登録証
"
            .replace(
                "ends                                what",
                "ends                                 what"
            )
        );
    }

    #[test]
    fn what_is_wrong_stands_out() {
        let mut report = testing::report();
        report.policy.matches_disk = false;
        report.policy.origin = "archive".to_owned();
        report.ledger.writable = false;
        report.ledger.lost = 3;
        report.ledger.set_aside = Some("/l/quarantine-17".to_owned());
        report.endpoints[0].state = "down".to_owned();
        report.lines[0].up = false;
        report.endings[0].until = "2026-11-20T15:00:00.000000Z".to_owned();
        report.reload = Some(testing::refused());
        report.selftest = Some(super::SelfTestReport::of(&testing::selftested()));
        let text = report.text();
        for part in [
            "the last accepted one: the law on disk is FAULTY",
            "AN EARLIER ONE IS SET ASIDE in /l/quarantine-17",
            "NOT WRITABLE, 3 entries LOST",
            "10.200.1.10:443  tokyo  DOWN",
            "ip-vpn  eth1       DOWN",
            "ENDED  document `iso27017`",
            "last reload  2026-11-22 05:00:00 +09:00, refused: 2 faults, the old policy 4f1c9a02 stays in force",
            "self-test    2026-11-22 05:00:00 +09:00, FAILED: 1 of 2 as expected, 1 not in this law",
            "error[unknown_name]: no system `existing-sytem`",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
    }

    #[test]
    fn json_comes_back_as_it_was_and_names_its_format() {
        let mut report = testing::report();
        report.reload = Some(testing::refused());
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.starts_with("{\"format\":\"sekisho.status/1\","), "{json}");
        let back: super::Report = serde_json::from_str(&json).unwrap();
        assert_eq!(back, report);
    }
}
