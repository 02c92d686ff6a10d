//! The one table: for every line the medians and ranges of all subjects, and how the first stands beside each of the
//! others, round by round. Nothing is measured here.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::time::Duration;

use crate::argument::Peers;
use crate::counter::Span;
use crate::figure::{Table, median, micros, range};
use crate::idle::Outcome;
use crate::latency::Seen;
use crate::throughput::{FULL, SHARED};

use super::ratio::{Bar, best, ratios};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Requests by processor second.
    Request,
    /// Megabytes (10⁶ bytes) by processor second.
    Megabyte,
    /// KiB by connection.
    Kibibyte,
    /// Microseconds.
    Microsecond,
}

/// What one window on one subject gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// In the unit of its line.
    figure: f64,
    /// The same by second, and who used which core; `None` where nothing was counted.
    span: Option<Span>,
    /// Requests or connections that failed.
    failed: u64,
}

/// One line: a work, and for every subject its samples by round.
#[derive(Debug)]
pub(super) struct Line {
    /// As shown.
    pub(super) name: String,
    /// Of its figures.
    pub(super) unit: Unit,
    /// Where the first subject should stand.
    pub(super) bar: Option<Bar>,
    /// By subject and round.
    pub(super) samples: Vec<Vec<Sample>>,
}

/// Prints the table, and under it what its marks mean.
pub(super) fn print(names: &[&str], lines: &[Line], settings: &Peers) {
    let (first, others) = names.split_first().map_or(("", names), |(first, rest)| (*first, rest));
    let mut head = vec!["work".to_owned(), "unit".to_owned()];
    head.extend(names.iter().map(|name| (*name).to_owned()));
    head.extend(others.iter().map(|name| format!("{first} ÷ {name}")));
    head.extend(["÷ best", "asked", "reached"].map(str::to_owned));
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for line in lines {
        table.row(line.cells(names.len()));
    }
    let rounds = settings.throughput.rounds;
    println!(
        "windows of {} s in turn, {rounds} a figure but of latency: median (least to most); ratios within a round",
        settings.throughput.window
    );
    if settings.markdown {
        println!("\n{}", table.markdown());
    } else {
        println!("{table}");
    }
    println!(
        "* load generator and upstream filled their core: the pace was theirs, the figure is by the subject's CPU second"
    );
    println!("~ other programs used more than {:.0} % of a core meanwhile", SHARED * 100.0);
    println!("! requests or connections failed");
}

/// Writes every sample to the file that was asked for, where one was.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn record(names: &[&str], lines: &[Line], settings: &Peers) -> io::Result<()> {
    let Some(file) = &settings.record else { return Ok(()) };
    let mut text = "work\tunit\tsubject\tround\tfigure\ta second\tsubject's core\tload's core\tothers\tfailed\n".to_owned();
    for line in lines {
        for (name, samples) in names.iter().zip(&line.samples) {
            for (round, sample) in samples.iter().enumerate() {
                let (work, unit) = (&line.name, line.unit.as_str());
                let _infallible = writeln!(
                    text,
                    "{work}\t{unit}\t{name}\t{}\t{}",
                    round + 1,
                    sample.fields(line.unit)
                );
            }
        }
    }
    fs::write(file, text)
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "requests / CPU s",
            Self::Megabyte => "MB / CPU s",
            Self::Kibibyte => "KiB each",
            Self::Microsecond => "µs",
        }
    }

    const fn is_more_better(self) -> bool {
        matches!(self, Self::Request | Self::Megabyte)
    }

    const fn digits(self) -> usize {
        match self {
            Self::Request | Self::Megabyte | Self::Microsecond => 0,
            Self::Kibibyte => 1,
        }
    }

    /// How many of it one counted thing is.
    const fn scale(self) -> f64 {
        match self {
            Self::Request | Self::Kibibyte | Self::Microsecond => 1.0,
            Self::Megabyte => 1e-6,
        }
    }
}

impl Sample {
    /// Of a window of requests or bytes.
    pub(super) fn of_span(span: Span, unit: Unit) -> Self {
        let figure = span.by_processor_second * unit.scale();
        Self { figure, span: Some(span), failed: span.failed }
    }

    /// Of idle connections.
    pub(super) fn of_idle(outcome: &Outcome) -> Self {
        let failed = u64::try_from(outcome.lost()).unwrap_or(u64::MAX);
        Self { figure: outcome.each(), span: None, failed }
    }

    /// Of two windows of the same round: how much longer it takes than without a subject.
    pub(super) fn added(seen: &Seen, direct: &Seen, of: fn(&Seen) -> Duration) -> Self {
        let figure = micros(of(seen)) - micros(of(direct));
        Self { figure, span: None, failed: u64::try_from(seen.failed).unwrap_or(u64::MAX) }
    }

    /// Says on the standard error how far it is.
    pub(super) fn tell(&self, round: usize, work: &str, subject: &str) {
        let cores = self.span.map_or_else(String::new, |span| {
            let percent = |share: f64| share * 100.0;
            format!(
                ", subject's core {:.0} %, load's {:.0} %, others {:.0} %",
                percent(span.subject),
                percent(span.load),
                percent(span.others)
            )
        });
        let (round, failed) = (round + 1, self.failed);
        eprintln!("{work}, {subject}, round {round}: {:.1}{cores}, {failed} failed", self.figure);
    }

    fn fields(&self, unit: Unit) -> String {
        let share = |of: fn(&Span) -> f64, scale: f64| {
            self.span.map_or_else(String::new, |span| format!("{:.3}", of(&span) * scale))
        };
        [
            format!("{:.3}", self.figure),
            share(|span| span.by_second, unit.scale()),
            share(|span| span.subject, 1.0),
            share(|span| span.load, 1.0),
            share(|span| span.others, 1.0),
            self.failed.to_string(),
        ]
        .join("\t")
    }
}

impl Line {
    fn cells(&self, subjects: usize) -> Vec<String> {
        let figures: Vec<Vec<f64>> = self.samples.iter().map(|samples| figures(samples)).collect();
        let (first, others) =
            figures.split_first().map_or((&[][..], &[][..]), |(first, rest)| (&first[..], rest));
        let mut cells = vec![self.name.clone(), self.unit.as_str().to_owned()];
        let digits = self.unit.digits();
        let shown = figures.iter().zip(&self.samples);
        cells.extend(shown.map(|(figures, samples)| range(figures, digits) + &marks(samples)));
        cells.resize(2 + subjects, String::from("–"));
        cells.extend(others.iter().map(|other| range(&ratios(first, other), 2)));
        cells.resize(1 + 2 * subjects, String::from("–"));
        let best = best(others, self.unit.is_more_better()).map(|best| ratios(first, best));
        cells.extend(self.verdict(best.as_deref()));
        cells
    }

    /// The ratio to the best of the others, what was asked of it, and which of it is reached.
    fn verdict(&self, best: Option<&[f64]>) -> [String; 3] {
        let (Some(best), Some(bar)) = (best, self.bar) else {
            return ["–", "–", "–"].map(str::to_owned);
        };
        let asked = format!("{:.2}, goal {:.2}", bar.first, bar.goal);
        let reached = bar.reached(median(best.to_vec()), self.unit.is_more_better());
        [range(best, 2), asked, reached.to_owned()]
    }
}

fn figures(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.figure).collect()
}

fn marks(samples: &[Sample]) -> String {
    let share = |of: fn(&Span) -> f64| {
        median(samples.iter().filter_map(|sample| sample.span.as_ref()).map(of).collect())
    };
    let marks = [
        (share(|span| span.load) >= FULL, "*"),
        (share(|span| span.others) >= SHARED, "~"),
        (samples.iter().any(|sample| sample.failed > 0), "!"),
    ];
    let shown: String = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect();
    if shown.is_empty() { shown } else { format!(" {shown}") }
}
