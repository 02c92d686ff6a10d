//! Texts that are safe to record: what a client wrote, with everything hidden that could be an individual number.

use std::fmt;

/// A text that may be recorded. Made only by the masks of the law in force, or of a text of our own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Masked(Box<str>);

impl Masked {
    /// A text of the program itself.
    pub fn own(text: &'static str) -> Self {
        Self(Box::from(text))
    }

    /// Any text: where it has 8 or more digits in all (full-width ones too, separators ignored), every digit is `*`.
    /// Control characters, bidi marks and what is not printable are escaped by the ledger's JSON, not here.
    pub fn text(text: &str) -> Self {
        todo!()
    }

    /// The recorded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
