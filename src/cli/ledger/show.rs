//! `sekisho ledger show`: entries, chosen and printed, also while they are written.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::{Trouble, Which};
use crate::cli::{Format, complain};
use crate::flow::Timestamp;
use crate::ledger::Record;
use crate::ledger::show::{Chooser, Feed, Selection};

/// How often a ledger that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Shows entries, the oldest first. JSON is the ledger's own lines, `sekisho.ledger/1`.
///
/// Exit codes: 0 shown; 1 a line is no entry (`sekisho ledger verify` says more); 2 cannot be read.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// From this moment on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Before this moment (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
    /// Only of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only of connections with this system
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// Only with this reason, a code
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only of this connection, `NUMBER` or `BOOT-NUMBER`
    #[arg(long, value_name = "CONNECTION", value_parser = connection)]
    connection: Option<(Option<u64>, u64)>,
    /// Only this entry, by the reference `BOOT-SEQ` that refusals show
    #[arg(long, value_name = "REFERENCE", value_parser = reference)]
    entry: Option<(u64, u64)>,
    /// Go on as entries are written, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How they are shown
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

fn connection(text: &str) -> Result<(Option<u64>, u64), String> {
    match text.split_once('-') {
        Some(_) => reference(text).map(|(boot, number)| (Some(boot), number)),
        None => text.parse().map(|number| (None, number)).map_err(|_no_number| unlike()),
    }
}

fn reference(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once('-').ok_or_else(unlike)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_no_number| unlike());
    Ok((number(parts.0)?, number(parts.1)?))
}

fn unlike() -> String {
    "two numbers such as `17-48213` are due".to_owned()
}

/// Shows them.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let directory = arguments.which.directory()?;
    let unreadable = |error: io::Error| format!("cannot read the ledger: {error}");
    let mut feed = Feed::new(&directory);
    let mut chooser = Chooser::new(selection(arguments));
    let mut strange: u64 = 0;
    let mut out = io::BufWriter::new(io::stdout().lock());
    loop {
        while let Some(line) = feed.next().map_err(unreadable)? {
            match Record::parse(&line) {
                Some(record) if chooser.takes(&record) => {
                    let written = match arguments.format {
                        Format::Text => writeln!(out, "{record}"),
                        Format::Json => out.write_all(&line).and_then(|()| out.write_all(b"\n")),
                    };
                    if written.is_err() {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Some(_) => {}
                None => strange += 1,
            }
        }
        // A reader that went away (`| head`) is no mistake of ours.
        if out.flush().is_err() || !arguments.follow {
            break;
        }
        thread::sleep(PAUSE);
    }
    if strange > 0 {
        complain(&format!("{strange} lines are no entries; `sekisho ledger verify` says more"));
    }
    Ok(ExitCode::from(u8::from(strange > 0)))
}

fn selection(arguments: &Arguments) -> Selection {
    Selection {
        from: arguments.from,
        to: arguments.to,
        rule: arguments.rule.clone(),
        system: arguments.system.clone(),
        reason: arguments.reason.clone(),
        connection: arguments.connection,
        entry: arguments.entry,
    }
}

#[cfg(test)]
mod tests {
    use super::{connection, reference};

    #[test]
    fn references_are_two_numbers_and_a_connection_may_be_one() {
        assert_eq!(reference("17-48213"), Ok((17, 48213)));
        assert_eq!(connection("17-5"), Ok((Some(17), 5)));
        assert_eq!(connection("5"), Ok((None, 5)));
        for text in ["", "17", "a-5", "17-"] {
            assert!(reference(text).is_err(), "{text}");
        }
    }
}
