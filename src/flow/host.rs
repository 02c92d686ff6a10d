//! A host name in the one form in which names are compared.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A DNS host name, lower-cased, without a trailing dot (RFC 1123 §2.1, RFC 5890 A-labels as they are).
/// An address literal is not one. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Arc<str>);

/// Why a text is not a [`Host`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// Nothing is there.
    Empty,
    /// More than 253 bytes, or a label of more than 63.
    TooLong,
    /// A label is empty, begins or ends with `-`, or has a byte other than letters, digits, `-`, `_`.
    Label,
    /// An IPv4 or IPv6 address, which is no name.
    Address,
}

impl Host {
    /// Takes `text` as a host name; upper case and one trailing dot are folded away.
    ///
    /// # Errors
    /// [`HostError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > 253 {
            return Err(HostError::TooLong);
        }
        if text.parse::<IpAddr>().is_ok() || name.parse::<IpAddr>().is_ok() || text.starts_with('[')
        {
            return Err(HostError::Address);
        }
        name.split('.').try_for_each(check_label)?;
        // A last label of digits only is read as an IPv4 address by some resolvers (WHATWG URL §3.5).
        if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|c| c.is_ascii_digit())) {
            return Err(HostError::Address);
        }
        Ok(Self(Arc::from(name.to_ascii_lowercase())))
    }

    /// The folded name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_label(label: &str) -> Result<(), HostError> {
    if label.len() > 63 {
        return Err(HostError::TooLong);
    }
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let edges = label.starts_with('-') || label.ends_with('-');
    if label.is_empty() || edges || !label.bytes().all(fits) {
        Err(HostError::Label)
    } else {
        Ok(())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a host name is missing",
            Self::TooLong => "a host name has at most 253 characters and 63 between two dots",
            Self::Label => "a host name has letters, digits and `-` between its dots",
            Self::Address => "an address is not a host name",
        })
    }
}

impl std::error::Error for HostError {}

#[cfg(test)]
mod tests {
    use super::{Host, HostError};

    #[test]
    fn case_and_the_trailing_dot_do_not_matter() {
        let plain = Host::parse("chukan.center.example");
        assert_eq!(Host::parse("Chukan.CENTER.example."), plain);
        assert!(plain.is_ok());
    }

    #[test]
    fn what_is_not_a_name_says_why() {
        let table = [
            ("", HostError::Empty),
            (".", HostError::Empty),
            ("a..b", HostError::Label),
            ("-a.example", HostError::Label),
            ("a b", HostError::Label),
            ("*.example", HostError::Label),
            ("a\0b", HostError::Label),
            ("日本.example", HostError::Label),
            ("10.0.0.1", HostError::Address),
            ("10.0.0.1.", HostError::Address),
            ("[::1]", HostError::Address),
            ("::1", HostError::Address),
            ("0x7f.1", HostError::Address),
        ];
        for (text, why) in table {
            assert_eq!(Host::parse(text), Err(why), "{text}");
        }
        assert_eq!(Host::parse(&"a".repeat(64)), Err(HostError::TooLong));
    }
}
