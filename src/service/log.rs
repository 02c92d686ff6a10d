//! The log: to the journal where standard error is connected to it, else as lines on standard error. Set up
//! once by whoever owns the process, never by a service.
//!
//! Only this program's own events are written. Libraries log what a peer sent (rustls quotes an unusable server
//! name), and what a client sends must not reach the log.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The log could not be set up.
#[derive(Debug)]
pub struct LogError(String);

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot set up the log: {}", self.0)
    }
}

impl std::error::Error for LogError {}

/// Sets up the log of this process. A journal that does not answer is no reason to stay silent: standard error
/// is used then.
///
/// # Errors
/// Where it was set up before.
pub fn init(colour: bool) -> Result<(), LogError> {
    let own = Targets::new().with_target(env!("CARGO_PKG_NAME"), LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(own);
    let named = std::env::var_os("JOURNAL_STREAM").and_then(|stream| stream.into_string().ok());
    let journal = is_journal(named.as_deref()).then(tracing_journald::layer);
    match journal.and_then(Result::ok) {
        Some(journal) => registry.with(journal).try_init().map_err(twice),
        None => registry.with(lines(colour)).try_init().map_err(twice),
    }
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(colour: bool) -> impl Layer<S> {
    tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_target(false)
        .with_ansi(colour && stderr().is_terminal())
}

#[expect(clippy::needless_pass_by_value, reason = "taken by `map_err`")]
fn twice(error: TryInitError) -> LogError {
    LogError(error.to_string())
}

/// Whether standard error is the stream that systemd.exec(5) names in `JOURNAL_STREAM`, `device:inode`. The
/// variable alone proves nothing: it is inherited by processes whose standard error goes elsewhere.
fn is_journal(named: Option<&str>) -> bool {
    let here = rustix::fs::fstat(stderr().as_fd()).ok().map(|at| (at.st_dev, at.st_ino));
    let named = named.and_then(|text| text.split_once(':'));
    let named = named.and_then(|(dev, ino)| Some((dev.parse().ok()?, ino.parse().ok()?)));
    named.is_some() && named == here
}

#[cfg(test)]
mod tests {
    use std::io::stderr;
    use std::os::fd::AsFd;

    use super::is_journal;

    #[test]
    fn the_journal_is_used_only_where_standard_error_is_its_stream() {
        let here = rustix::fs::fstat(stderr().as_fd()).unwrap();
        assert!(is_journal(Some(&format!("{}:{}", here.st_dev, here.st_ino))));
        assert!(!is_journal(Some(&format!("{}:{}", here.st_dev, here.st_ino + 1))));
        for odd in [None, Some(""), Some(":"), Some("8"), Some("a:b")] {
            assert!(!is_journal(odd), "{odd:?}");
        }
    }
}
