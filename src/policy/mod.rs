//! The law: what was written (`document`), what it means (`model`), what runs (`engine`). Pure: bytes in, values out.

pub mod engine;
pub mod mask;
pub mod model;

pub use engine::Engine;
pub use mask::Masked;
pub use model::Model;

use crate::appliance::Appliance;
use crate::yaml::{Faults, SourceFile};

/// A law that can be put in force, and what somebody should look at.
#[derive(Debug)]
pub struct Law {
    /// What it means.
    pub model: Model,
    /// Warnings only.
    pub warnings: Faults,
}

/// Reads, resolves and proves a law; with a box also what the two must agree on.
///
/// # Errors
/// Every fault found, in one go.
pub fn understand(files: &[SourceFile], appliance: Option<&Appliance>) -> Result<Law, Faults> {
    todo!()
}
