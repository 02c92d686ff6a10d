//! The protocol `sekisho.control/1` from both ends: what is asked, what is answered, and the caller's side.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::service::{Reloaded, Report, SelfTested};

/// The version of the protocol; it only ever grows.
pub(super) const FORMAT: &str = "sekisho.control/1";

/// The longest answer a caller reads: a report with the faults of a large law.
const ANSWER_MAX: u64 = 16 << 20;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) call: String,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// `sekisho.control/1`.
    pub format: String,
    /// Whether it was done.
    pub outcome: Outcome,
    /// One sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Report>,
    /// For `reload`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Reloaded>,
    /// For `selftest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selftest: Option<SelfTested>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was understood and refused; nothing has changed.
    Refused,
    /// It was done, and what it found is not as it has to be.
    Failed,
    /// It was not understood, or could not be done.
    Error,
}

impl Outcome {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }
}

impl Answer {
    fn new(outcome: Outcome) -> Self {
        Self {
            format: FORMAT.to_owned(),
            outcome,
            message: None,
            status: None,
            reload: None,
            selftest: None,
        }
    }

    pub(super) fn error(message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..Self::new(Outcome::Error) }
    }

    pub(super) fn status(report: Report) -> Self {
        Self { status: Some(report), ..Self::new(Outcome::Ok) }
    }

    pub(super) fn reload(reloaded: Reloaded) -> Self {
        let outcome = if reloaded.is_refused() { Outcome::Refused } else { Outcome::Ok };
        let message = Some(reloaded.sentence());
        Self { message, reload: Some(reloaded), ..Self::new(outcome) }
    }

    pub(super) fn selftest(tested: SelfTested) -> Self {
        let outcome = if tested.is_passed() { Outcome::Ok } else { Outcome::Failed };
        let message = Some(tested.sentence());
        Self { message, selftest: Some(tested), ..Self::new(outcome) }
    }
}

/// No service answers at the socket.
#[derive(Debug)]
pub struct NotReachable {
    path: String,
    error: io::Error,
}

impl fmt::Display for NotReachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no running sekisho answers at `{}`: {}", self.path, self.error)
    }
}

impl std::error::Error for NotReachable {}

/// Asks the service behind the socket at `path` and waits for the answer, at most `patience`.
///
/// # Errors
/// [`NotReachable`] where nobody listens, may not be asked, or gives no whole answer in time.
pub fn call(path: &Path, name: &str, patience: Duration) -> Result<Answer, NotReachable> {
    let unreachable = |error| NotReachable { path: path.display().to_string(), error };
    exchange(path, name, patience).map_err(unreachable)
}

fn exchange(path: &Path, name: &str, patience: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(&Request { call: name.to_owned() })?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_MAX)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
