//! The names that the network team gives: rules, systems, sites, listeners. Cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A name of the form `[a-z][a-z0-9-]*`, as written in the law or the box file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameError;

impl Name {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// [`NameError`] where it is not `[a-z][a-z0-9-]*` or longer than 63 bytes.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let tail_fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        match text.as_bytes() {
            [first, tail @ ..]
                if first.is_ascii_lowercase()
                    && tail.len() < 63
                    && tail.iter().all(|c| tail_fits(*c)) =>
            {
                Ok(Self(Arc::from(text)))
            }
            _ => Err(NameError),
        }
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a shared string.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name is a lower-case letter followed by lower-case letters, digits and `-`, at most 63")
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn only_the_written_form_is_a_name() {
        for good in ["a", "r1-5", "existing-system"] {
            assert_eq!(Name::parse(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "A", "1a", "-a", "a_b", "ａ", "a b", &"a".repeat(64)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
