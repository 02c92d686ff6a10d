//! The life of the process: start, serve, reload, drain, stop. What happens to a connection is `proxy`'s affair.
//!
//! Everything here runs on one current-thread runtime in the calling thread; the data path has threads of its
//! own. There is no global state, so that a lab can run a service beside others in one process: logging is set
//! up by whoever owns the process, signals and the service manager are used only where [`Options`] say so.

mod admin;
mod clockwork;
pub mod control;
mod ending;
mod face;
mod inspect;
mod line;
mod listen;
pub mod log;
mod notify;
mod page;
mod privilege;
mod pulse;
mod reload;
mod restart;
mod run;
mod running;
mod signal;
mod start;
mod status;
mod summary;
mod task;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::Notify;

pub use listen::Inherited;
pub use notify::Supervisor;
pub use reload::{Reloaded, Result as ReloadResult};
pub use run::run;
pub use status::{
    ConnectionReport, EndingReport, EndpointReport, LedgerReport, LineReport, PolicyReport, Report,
};

use crate::ledger::{LedgerError, PolicyDigest};
use crate::source::Pin;
use crate::yaml::Faults;

/// Where the box file is when nobody says otherwise.
pub const DEFAULT_BOX: &str = "/etc/sekisho/appliance.yaml";

/// What a service is started with.
pub struct Options {
    /// The box file.
    pub box_file: PathBuf,
    /// The digest that the council's file must have, at the start and at every reload.
    pub guardrails: Option<Pin>,
    /// Asks it to stop, from any thread.
    pub stop: Stop,
    /// Called once, when connections are taken.
    pub ready: Box<dyn FnOnce(&Ready) + Send>,
    /// The service manager, where there is one.
    pub supervisor: Supervisor,
    /// Sockets that the service manager has bound.
    pub inherited: Inherited,
    /// Whether SIGTERM, SIGINT, SIGHUP of this process are this service's.
    pub signals: bool,
    /// Worker threads of the data path.
    pub workers: usize,
}

impl Options {
    /// A service of its own: no service manager, no signals, a worker per core.
    pub fn new(box_file: impl Into<PathBuf>) -> Self {
        Self {
            box_file: box_file.into(),
            guardrails: None,
            stop: Stop::default(),
            ready: Box::new(|_| {}),
            supervisor: Supervisor::absent(),
            inherited: Inherited::default(),
            signals: false,
            workers: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("box_file", &self.box_file).finish_non_exhaustive()
    }
}

/// What a service says when it takes connections.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where the HTTP port listens.
    pub admin: SocketAddr,
    /// The control socket.
    pub control: PathBuf,
    /// The law in force.
    pub policy: PolicyDigest,
    /// This start's number in the ledger.
    pub boot: u64,
}

/// Asks a service to stop; clones ask the same one. Asking before it runs is not lost.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Notify>);

impl Stop {
    /// Asks.
    pub fn ask(&self) {
        self.0.notify_one();
    }

    async fn asked(&self) {
        self.0.notified().await;
    }
}

/// Why a service could not start, or could not go on.
#[derive(Debug)]
pub enum Error {
    /// The law or the box has faults, and no law was ever accepted.
    Faulty(Faults),
    /// The ledger cannot be opened.
    Ledger(LedgerError),
    /// A socket cannot be bound.
    Bind {
        /// Whose: a listener's name, `admin` or `control`.
        whose: String,
        /// The address or path.
        to: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// The operating system refuses something else.
    Io {
        /// What was being done.
        doing: &'static str,
        /// What it says.
        error: io::Error,
    },
    /// A part that must not end has ended.
    Died {
        /// The part.
        part: &'static str,
    },
}

impl Error {
    /// 2 where starting again cannot help before somebody has changed something, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Faulty(_) | Self::Ledger(LedgerError::Damaged { .. }) => ExitCode::from(2),
            Self::Ledger(_) | Self::Bind { .. } | Self::Io { .. } | Self::Died { .. } => {
                ExitCode::FAILURE
            }
        }
    }

    fn bind(whose: impl fmt::Display, to: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        let (whose, to) = (whose.to_string(), to.to_string());
        move |error| Self::Bind { whose, to, error }
    }

    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { doing, error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faulty(faults) => write!(f, "{}", faults.render(false)),
            Self::Ledger(error) => error.fmt(f),
            Self::Bind { whose, to, error } => {
                write!(f, "cannot bind `{to}` of `{whose}`: {error}")
            }
            Self::Io { doing, error } => write!(f, "cannot {doing}: {error}"),
            Self::Died { part } => write!(f, "the {part} has died"),
        }
    }
}

impl std::error::Error for Error {}

/// The control socket of a box whose file cannot be read.
pub fn default_control() -> &'static Path {
    Path::new("/run/sekisho/control.sock")
}
