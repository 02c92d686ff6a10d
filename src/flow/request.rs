//! An HTTP request as the law sees it: method, host, path. The query is forwarded, never judged.

use std::fmt;
use std::sync::Arc;

use super::{Host, Path};

/// An HTTP method token (RFC 9110 §9.1), case-sensitive. Registered ones cost nothing to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(Repr);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Known(&'static str),
    Other(Arc<str>),
}

/// A text that is no method token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodError;

/// The methods everybody knows; held without an allocation.
const KNOWN: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

impl Method {
    /// Takes a method token of at most 32 characters.
    ///
    /// # Errors
    /// [`MethodError`] where `text` is not a token (RFC 9110 §5.6.2).
    pub fn parse(text: &str) -> Result<Self, MethodError> {
        if let Some(known) = KNOWN.iter().find(|known| **known == text) {
            return Ok(Self(Repr::Known(known)));
        }
        let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        let fits = !text.is_empty() && text.len() <= 32 && text.bytes().all(token);
        if fits { Ok(Self(Repr::Other(Arc::from(text)))) } else { Err(MethodError) }
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(known) => known,
            Repr::Other(other) => other,
        }
    }

    /// Whether it is one of the registered methods of RFC 9110 §9 and RFC 5789.
    pub const fn is_registered(&self) -> bool {
        matches!(self.0, Repr::Known(_))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a method is a token such as `GET`, at most 32 characters")
    }
}

impl std::error::Error for MethodError {}

/// One HTTP request, as far as the law looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// `Host` or `:authority`, in the compared form; `None` where it is none (an address, a foreign port).
    pub host: Option<Host>,
    /// The path in its one normal form.
    pub path: Path,
    /// Whether it asks for another protocol (`Upgrade`, `CONNECT`).
    pub upgrade: bool,
}
