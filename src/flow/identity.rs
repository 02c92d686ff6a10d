//! Who a certificate speaks for: a DNS name, a URI or a pinned public key. A common name never is one.

use std::fmt;
use std::sync::Arc;

use super::{Host, HostError};

/// One identity, from a certificate's subject alternative names or of its public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// `dns:` a dNSName (RFC 5280 §4.2.1.6), without wildcards.
    Dns(Host),
    /// `uri:` a uniformResourceIdentifier, compared byte by byte.
    Uri(Arc<str>),
    /// `spki-sha256:` the SHA-256 of the certificate's `SubjectPublicKeyInfo`.
    Spki([u8; 32]),
}

/// Why a text is not an [`Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityError {
    /// It begins with none of `dns:`, `uri:`, `spki-sha256:`.
    Kind,
    /// The name behind `dns:` is not a host name.
    Host(HostError),
    /// The URI has no scheme, or white space or control characters.
    Uri,
    /// The pin is not 64 hexadecimal digits.
    Pin,
}

impl Identity {
    /// Takes `dns:NAME`, `uri:URI` or `spki-sha256:HEX`.
    ///
    /// # Errors
    /// [`IdentityError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        match text.split_once(':') {
            Some(("dns", name)) => Host::parse(name).map(Self::Dns).map_err(IdentityError::Host),
            Some(("uri", uri)) => Self::uri(uri).ok_or(IdentityError::Uri),
            Some(("spki-sha256", pin)) => pin_bytes(pin).map(Self::Spki).ok_or(IdentityError::Pin),
            _ => Err(IdentityError::Kind),
        }
    }

    /// A URI as found in a certificate; `None` where it has no scheme or holds white space or control characters.
    pub fn uri(uri: &str) -> Option<Self> {
        let clean = uri.chars().all(|c| c.is_ascii_graphic());
        let scheme = uri
            .split_once(':')
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        (clean && scheme).then(|| Self::Uri(Arc::from(uri)))
    }
}

fn pin_bytes(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
    bytes.try_into().ok()
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(host) => write!(f, "dns:{host}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
            Self::Spki(pin) => {
                f.write_str("spki-sha256:")?;
                pin.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind => f.write_str("an identity begins with `dns:`, `uri:` or `spki-sha256:`"),
            Self::Host(error) => error.fmt(f),
            Self::Uri => {
                f.write_str("a URI has a scheme and neither white space nor control characters")
            }
            Self::Pin => f.write_str("a pin is 64 hexadecimal digits"),
        }
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
mod tests {
    use super::{Identity, IdentityError};

    #[test]
    fn the_written_form_is_the_shown_form() {
        let pin = format!("spki-sha256:{}", "0a".repeat(32));
        for text in ["dns:kizon.union.example", "uri:urn:example:kizon", &pin] {
            assert_eq!(Identity::parse(text).map(|i| i.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn anything_else_says_why() {
        assert_eq!(Identity::parse("kizon"), Err(IdentityError::Kind));
        assert_eq!(Identity::parse("cn:kizon"), Err(IdentityError::Kind));
        assert!(matches!(Identity::parse("dns:*.example"), Err(IdentityError::Host(_))));
        assert_eq!(Identity::parse("uri:no scheme"), Err(IdentityError::Uri));
        assert_eq!(Identity::parse("spki-sha256:abc"), Err(IdentityError::Pin));
    }
}
