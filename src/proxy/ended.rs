//! How client connections end.

use std::io;

use crate::metrics::Outcome;
use crate::verdict::Reason;

/// How a connection ended, as the ledger says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client closed it.
    Client,
    /// The upstream closed it (a relay).
    Upstream,
    /// Nothing was asked for longer than the idle timeout.
    Idle,
    /// Something was refused on it.
    Refused,
    /// It was cut for this reason.
    Cut(Reason),
    /// It broke off.
    Broken(Reason),
    /// This box stops.
    Drained,
    /// The task that carried it failed: our mistake.
    Panicked,
}

impl Ended {
    /// As the ledger says it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Idle => "idle",
            Self::Refused => "refused",
            Self::Cut(reason) | Self::Broken(reason) => reason.code(),
            Self::Drained => "drain",
            Self::Panicked => "error",
        }
    }

    /// As it is counted.
    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Self::Client | Self::Upstream | Self::Idle | Self::Drained => Outcome::Completed,
            Self::Refused => Outcome::Denied,
            Self::Cut(_) => Outcome::Cut,
            Self::Broken(_) | Self::Panicked => Outcome::Failed,
        }
    }
}

/// Whether it ended because the client's records are not what TLS allows: garbage, or too many with nothing in them.
/// An alert of its own is no fault, and a socket that is gone no record.
pub(super) fn is_tls_fault(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    tls.is_some_and(|error| !matches!(error, rustls::Error::AlertReceived(_)))
}
