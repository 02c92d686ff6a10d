//! `sekisho report`: the council's report, from the box file, its law and its ledgers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, ValueEnum};

use super::ledger::{Trouble, given_key};
use super::{Config, NOT_RUN, complain, show};
use crate::appliance::Appliance;
use crate::flow::Timestamp;
use crate::ledger::note::VerifierKey;
use crate::ledger::show::Feed;
use crate::ledger::verify::{Findings, verify};
use crate::ledger::{self, Record};
use crate::policy::{self, Law};
use crate::report::complete::{Book, holes};
use crate::report::lang::{Clock, Lang};
use crate::report::tally::{Period, Scope, Tally};
use crate::report::{Council, render};
use crate::source::{self, Archive};

/// The language of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// 日本語
    Ja,
    /// English
    En,
}

/// Writes the council's report of a period: one HTML file that prints on A4.
///
/// It shows the law that was accepted last. What it cannot show to be complete it calls unknown.
///
/// Exit codes: 0 written; 2 not.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// The first day (`2026-04-01`, in the law's time zone) or moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The last day, which is in it to its end, or the moment before which it ends
    #[arg(long, value_name = "TIME")]
    to: String,
    /// The language
    #[arg(long, value_enum, default_value = "ja")]
    lang: Language,
    /// Where it is written
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: PathBuf,
    /// A ledger's directory; several for a pair of boxes. The box's own where none is named
    #[arg(long, value_name = "DIR")]
    ledger: Vec<PathBuf>,
    /// The public key of each ledger named, in their order; the box's where none is
    #[arg(long, value_name = "KEY", requires = "ledger")]
    key: Vec<String>,
}

/// Writes it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match write(arguments) {
        Ok(()) => {
            show(&format!("written: {}", arguments.output.display()));
            ExitCode::SUCCESS
        }
        Err(text) => {
            complain(&text);
            ExitCode::from(NOT_RUN)
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge: the one reading of the clock of this command"
)]
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn write(arguments: &Arguments) -> Result<(), Trouble> {
    let made = now();
    let appliance = arguments.config.read()?;
    let (law, digest) = law(&appliance)?;
    let clock = Clock { offset: law.engine.model().timezone.offset };
    let period = Period {
        from: moment(&arguments.from, clock, false)?,
        to: moment(&arguments.to, clock, true)?,
    };
    if period.from >= period.to {
        return Err("the period ends before it begins".to_owned());
    }
    let scope = Scope { period, clock, sites: sites(&law) };
    let mut tally = Tally::default();
    let mut books = Vec::new();
    for (number, (directory, key)) in ledgers(arguments, &appliance)?.into_iter().enumerate() {
        let book = read((&directory, key), (&scope, number), &mut tally);
        books
            .push(book.map_err(|error| format!("cannot read `{}`: {error}", directory.display()))?);
    }
    let holes = holes(&books, &tally, (period, made));
    let lang = match arguments.lang {
        Language::Ja => Lang::Japanese,
        Language::En => Lang::English,
    };
    let page = render(&Council {
        lang,
        appliance: &appliance,
        law: &law,
        digest: &digest,
        period,
        made,
        tally: &tally,
        books: &books,
        holes: &holes,
    });
    fs::write(&arguments.output, page)
        .map_err(|error| format!("cannot write `{}`: {error}", arguments.output.display()))
}

/// The law that was accepted last; before any was, the one on disk.
fn law(appliance: &Appliance) -> Result<(Law, String), Trouble> {
    let archive = Archive::open(&appliance.state);
    let (files, digest) = if let Some(digest) = archive.last_accepted() {
        (archive.law(digest).map_err(|error| error.to_string())?, digest)
    } else {
        let files = source::load_law(&appliance.policies).map_err(|faults| faults.render(false))?;
        let digest = source::digest(&files);
        (files, digest)
    };
    let law = policy::understand(&files, Some(appliance)).map_err(|faults| faults.render(false))?;
    Ok((law, digest.to_string()))
}

/// A day or a moment; a day that ends a period ends at its midnight.
fn moment(text: &str, clock: Clock, is_end: bool) -> Result<Timestamp, Trouble> {
    if text.len() > 10 {
        return Timestamp::parse(text).map_err(|error| format!("`{text}` is {error}"));
    }
    let day = Timestamp::parse(&format!("{text}T00:00:00{}", clock.zone()))
        .map_err(|_no_day| format!("`{text}` is no day such as `2026-04-01`"))?;
    let length = if is_end { 86_400 } else { 0 };
    Ok(day.plus(std::time::Duration::from_secs(length)))
}

fn sites(law: &Law) -> std::collections::BTreeMap<String, String> {
    let systems = law.engine.model().systems.values();
    let upstreams = systems.filter_map(|system| system.upstream.as_ref());
    let endpoints = upstreams.flat_map(|upstream| &upstream.endpoints);
    endpoints.map(|it| (it.address.to_string(), it.site.to_string())).collect()
}

/// Directories with their keys, or why there is no key.
type Ledgers = Vec<(PathBuf, Result<VerifierKey, Trouble>)>;

fn ledgers(arguments: &Arguments, appliance: &Appliance) -> Result<Ledgers, Trouble> {
    let own = || ledger::verifier(&appliance.state).map_err(|error| error.to_string());
    if arguments.ledger.is_empty() {
        return Ok(vec![(appliance.ledger.directory.clone(), own())]);
    }
    if arguments.key.len() > arguments.ledger.len() {
        return Err("there are more keys than ledgers".to_owned());
    }
    let mut keys = arguments.key.iter();
    let mut found = Vec::new();
    for directory in &arguments.ledger {
        let is_own = *directory == appliance.ledger.directory;
        let key = match keys.next() {
            Some(text) => Ok(given_key(text)?),
            None if is_own => own(),
            None => Err("no public key was given (`--key`)".to_owned()),
        };
        found.push((directory.clone(), key));
    }
    Ok(found)
}

/// Verifies one ledger and counts its entries.
fn read(
    (directory, key): (&Path, Result<VerifierKey, Trouble>),
    (scope, number): (&Scope, usize),
    tally: &mut Tally,
) -> io::Result<Book> {
    let findings: Result<Findings, Trouble> = match &key {
        Ok(key) => Ok(verify((directory, key), &[], &mut |_progress| {})?),
        Err(why) => Err(why.clone()),
    };
    let signed = findings.as_ref().map_or(0, |found| found.signed);
    let (mut first, mut unsigned) = (None, 0);
    let mut feed = Feed::new(directory);
    while let Some(line) = feed.next()? {
        // What is no entry, verifying has told.
        let Some(record) = Record::parse(&line) else { continue };
        first.get_or_insert(record.at);
        unsigned += u64::from(record.seq > signed && scope.period.holds(record.at));
        tally.count(scope, number, &record);
    }
    let key = key.ok().map(|key| key.to_string());
    Ok(Book { directory: directory.display().to_string(), findings, key, first, unsigned })
}

#[cfg(test)]
mod tests {
    use super::{Clock, moment};

    #[test]
    fn a_day_of_a_period_is_in_it_to_its_end() {
        let tokyo = Clock { offset: 32_400 };
        let text = |text: &str, is_end| moment(text, tokyo, is_end).map(|at| at.to_string());
        assert_eq!(text("2026-04-01", false).unwrap(), "2026-03-31T15:00:00.000000Z");
        assert_eq!(text("2026-04-01", true).unwrap(), "2026-04-01T15:00:00.000000Z");
        assert_eq!(text("2026-04-01T00:00:00Z", true).unwrap(), "2026-04-01T00:00:00.000000Z");
        assert_eq!(text("1 April", true).unwrap_err(), "`1 April` is no day such as `2026-04-01`");
    }
}
