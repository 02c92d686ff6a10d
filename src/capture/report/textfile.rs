//! The outcome as metrics for the textfile collector of Prometheus' `node_exporter`: gauges of the last run. Every label is
//! a code of a closed set and its child is there from the start, so that an alert sees the first event.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use prometheus::{GaugeVec, Opts, Registry, TextEncoder};

use super::Outcome;
use crate::capture::FileCoverage;
use crate::capture::judge::Outside;
use crate::capture::reconcile::Reconciled;
use crate::flow::Timestamp;
use crate::verdict::Reason;

/// Writes the metrics to `path`, whole or not at all: the collector may read at any moment.
///
/// # Errors
/// What the file system says.
pub fn write(outcome: &Outcome, now: Timestamp, path: &Path) -> io::Result<()> {
    let text = render(outcome, now).map_err(io::Error::other)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // The collector reads `*.prom` only, so that it never sees the draft.
    let draft = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let outcome = written.and_then(|()| fs::rename(&draft, path));
    if outcome.is_err() {
        // What cannot be renamed is of no use; that it stays behind is no second failure.
        let _gone = fs::remove_file(&draft);
    }
    outcome
}

fn render(outcome: &Outcome, now: Timestamp) -> prometheus::Result<String> {
    let registry = Registry::new();
    let coverage = &outcome.coverage;
    let outside: u64 = coverage.files.iter().map(FileCoverage::outside).sum();
    let packets =
        [("judged", coverage.judged()), ("outside", outside), ("unjudged", coverage.unjudged())];
    family(
        &registry,
        ("packets", "outcome", "Packets of the capture that was judged last."),
        packets,
    )?;
    let verdicts = outcome.tally.verdicts();
    family(&registry, ("connections", "verdict", "Connections in it, by verdict."), verdicts)?;
    let reasons = Reason::ALL
        .iter()
        .map(|reason| (reason.code(), outcome.tally.reasons.get(reason).copied().unwrap_or(0)));
    family(
        &registry,
        ("violations", "reason", "Connections in it that the law refuses."),
        reasons,
    )?;
    let kinds = Outside::ALL
        .map(|kind| (kind.code(), outcome.tally.outside.get(&kind).copied().unwrap_or(0)));
    family(
        &registry,
        ("outside_connections", "kind", "Connections that the law does not speak of."),
        kinds,
    )?;
    let flaws = [
        ("gaps", coverage.gaps),
        ("cut_short", coverage.cut_short),
        ("drops", coverage.files.iter().filter_map(|file| file.drops).sum()),
        ("tail_bytes", coverage.files.iter().map(|file| file.tail_bytes).sum()),
        ("clock_steps", coverage.files.iter().map(|file| file.clock_steps).sum()),
    ];
    family(&registry, ("flaws", "kind", "What the capture lacks, by kind."), flaws)?;
    if let Some(reconciled) = &outcome.reconciled {
        family(
            &registry,
            ("ledger", "outcome", "Connections and entries compared."),
            compared(reconciled),
        )?;
    }
    let state =
        [("complete", u64::from(outcome.is_complete())), ("clean", u64::from(outcome.is_clean()))];
    family(&registry, ("state", "is", "Whether it was complete, and clean."), state)?;
    let run =
        GaugeVec::new(Opts::new(named("last_run_timestamp_seconds"), "When it was judged."), &[])?;
    run.with_label_values::<&str>(&[]).set(now.as_seconds_f64());
    registry.register(Box::new(run))?;
    TextEncoder::new().encode_to_string(&registry.gather())
}

const fn compared(reconciled: &Reconciled) -> [(&'static str, u64); 5] {
    [
        ("recorded", reconciled.recorded),
        ("bypassed", reconciled.bypassed),
        ("matched", reconciled.matched),
        ("unseen", reconciled.unseen),
        ("elsewhere", reconciled.elsewhere),
    ]
}

fn named(name: &str) -> String {
    format!("sekisho_capture_{name}")
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a double; 2^53 packets are years")]
fn family(
    registry: &Registry,
    (name, label, help): (&str, &str, &str),
    values: impl IntoIterator<Item = (&'static str, u64)>,
) -> prometheus::Result<()> {
    let gauges = GaugeVec::new(Opts::new(named(name), help), &[label])?;
    for (value, count) in values {
        gauges.with_label_values(&[value]).set(count as f64);
    }
    registry.register(Box::new(gauges))
}
