//! The ways in: where a subject takes connections, and how it treats them. What stands behind is not known here.

use crate::site::{HTTPS_NAME, TLS_NAME};

/// One way in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// How it is treated.
    pub(crate) way: Way,
    /// Where it is.
    pub(crate) address: std::net::SocketAddr,
    /// The server name that is asked for, and the Host.
    pub(crate) name: &'static str,
}

/// How a connection is treated in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each request is judged.
    Https,
    /// Bytes are relayed.
    Tls,
}

impl Way {
    /// As in a rule's `protocol`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Tls => "tls",
        }
    }

    /// The server name behind which it is treated so.
    pub(crate) const fn host(self) -> &'static str {
        match self {
            Self::Https => HTTPS_NAME,
            Self::Tls => TLS_NAME,
        }
    }
}
