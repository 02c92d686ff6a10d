//! Permission as a value: what the ledger has recorded as allowed, and nothing else, can be dialled or sent.
//!
//! A [`Receipt`] is made by the ledger only; a permit is claimed from a receipt only; the upstream takes permits
//! by value only. So there is no way to send a byte that was not judged and recorded first, and none to use
//! one permission twice.
//!
//! A permit cannot be forged:
//!
//! ```compile_fail,E0451
//! use sekisho::proxy::DialPermit;
//! let forged = DialPermit { endpoint: "127.0.0.1:443".parse().unwrap() };
//! ```
//!
//! nor a receipt:
//!
//! ```compile_fail,E0451
//! let forged = sekisho::ledger::Receipt { seq: 1, ..todo!() };
//! ```
//!
//! nor can a permit be used twice:
//!
//! ```compile_fail,E0382
//! fn twice(permit: sekisho::proxy::RequestPermit, open: impl Fn(sekisho::proxy::RequestPermit)) {
//!     open(permit);
//!     open(permit);
//! }
//! ```
//!
//! nor copied:
//!
//! ```compile_fail,E0599
//! fn copy(permit: &sekisho::proxy::DialPermit) {
//!     let second = permit.clone();
//!     drop::<sekisho::proxy::DialPermit>(second);
//! }
//! ```

use std::net::SocketAddr;

use crate::ledger::{Kept, Kind, Receipt};
use crate::verdict::{Allowed, Verdict};

/// Permission to dial one socket address once, and for a relay to send on what was dialled. From a *dialled*
/// entry that is on disk, of a connection whose *opened* entry is.
#[derive(Debug)]
#[must_use = "a permit is for dialling"]
pub struct DialPermit {
    endpoint: SocketAddr,
}

/// Permission to send one request to one socket address.
#[derive(Debug)]
#[must_use = "a permit is for sending"]
pub struct RequestPermit {
    endpoint: SocketAddr,
}

/// Proof that a client connection's *opened* entry is on disk.
#[derive(Debug)]
pub struct Opened(Receipt);

/// A receipt from which the asked permit cannot be claimed: a mistake of ours, never of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPermitted;

impl DialPermit {
    /// Claims the permission that `receipt` recorded.
    ///
    /// # Errors
    /// [`NotPermitted`] unless it is a *dialled* entry with an allow, kept as durable or waived, of the
    /// connection of `opened`.
    #[expect(clippy::needless_pass_by_value, reason = "a receipt is spent by the claim")]
    pub fn claim(receipt: Receipt, opened: &Opened) -> Result<Self, NotPermitted> {
        let fits = receipt.kind() == Kind::Dialled && is_kept(&receipt) && opened.is_of(&receipt);
        fits.then(|| endpoint(&receipt))
            .flatten()
            .map(|endpoint| Self { endpoint })
            .ok_or(NotPermitted)
    }

    /// The judged address.
    pub const fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }
}

impl Opened {
    /// Takes the receipt of an *opened* entry.
    ///
    /// # Errors
    /// [`NotPermitted`] unless it is one, kept as durable or waived.
    pub fn claim(receipt: Receipt) -> Result<Self, NotPermitted> {
        if receipt.kind() == Kind::Opened && is_kept(&receipt) {
            Ok(Self(receipt))
        } else {
            Err(NotPermitted)
        }
    }

    fn is_of(&self, receipt: &Receipt) -> bool {
        self.0.connection().is_some() && self.0.connection() == receipt.connection()
    }
}

impl RequestPermit {
    /// Claims the permission to send what `receipt` recorded on behalf of the connection of `opened`.
    ///
    /// # Errors
    /// [`NotPermitted`] unless it is a *request* entry with an allow, of the connection of `opened`.
    #[expect(clippy::needless_pass_by_value, reason = "a receipt is spent by the claim")]
    pub fn claim(receipt: Receipt, opened: &Opened) -> Result<Self, NotPermitted> {
        let fits = receipt.kind() == Kind::Request && opened.is_of(&receipt);
        fits.then(|| endpoint(&receipt))
            .flatten()
            .map(|endpoint| Self { endpoint })
            .ok_or(NotPermitted)
    }

    /// The judged address.
    pub const fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }
}

fn is_kept(receipt: &Receipt) -> bool {
    match receipt.kept() {
        Kept::Durable | Kept::Waived => true,
        Kept::Queued => false,
    }
}

fn endpoint(receipt: &Receipt) -> Option<SocketAddr> {
    match receipt.verdict() {
        Some(Verdict::Allow(Allowed { endpoint, .. })) => Some(*endpoint),
        Some(Verdict::Deny(_) | Verdict::NotYet(_)) | None => None,
    }
}
