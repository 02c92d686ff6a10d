//! What a TLS client said before anything else.

use super::Host;

/// A TLS protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// Anything before 1.2; never spoken, only reported.
    Old,
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// As in the policy's `encryption.tls`: `1.2`, `1.3`; `old` for what came before.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// An application protocol offered or chosen (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// `http/1.1`.
    Http11,
    /// `h2`.
    H2,
}

/// The server name a client asked for (RFC 6066 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// A host name: the destination.
    Name(Host),
    /// The extension was not sent.
    Missing,
    /// An address literal, or text that is no host name.
    Unusable,
}

/// The facts of a `ClientHello` that the law looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The server name.
    pub server_name: ServerName,
    /// The best version offered, or once the handshake is done the version in use.
    pub version: TlsVersion,
    /// The application protocol in use; `None` where none was agreed.
    pub alpn: Option<Alpn>,
}

impl Hello {
    /// The name that was asked for, where it is one.
    pub fn host(&self) -> Option<&Host> {
        match &self.server_name {
            ServerName::Name(host) => Some(host),
            ServerName::Missing | ServerName::Unusable => None,
        }
    }
}
