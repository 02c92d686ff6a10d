//! The only file that knows the YAML crate: texts with their places, and faults that teach.

use std::sync::Arc;

/// One file of the law or the box, as read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The name shown to people, e.g. `policies/20-rules.yaml`.
    pub name: Arc<str>,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// A stretch of text in a file. Carries the text of its line, so that it can be shown anywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's shown name.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// In characters; 0 points at a place without a text.
    pub length: u32,
    /// The whole line, without its end.
    pub text: Arc<str>,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The law cannot be put in force.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// A mistake of the operator: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable code, snake case.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one sentence in lower case without a full stop.
    pub message: String,
    /// Where; the first place is the mistake, further ones say what it collides with.
    pub places: Vec<(Place, String)>,
    /// An example flow or other notes, `example: …`.
    pub notes: Vec<String>,
    /// What to do.
    pub remedy: Option<String>,
}

/// All mistakes found in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);
