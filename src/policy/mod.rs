//! The law: what was written (`document`), what it means (`model`), what runs (`engine`). Pure: bytes in, values out.

pub mod address;
mod compile;
pub mod engine;
#[cfg(test)]
pub(crate) mod imagined;
pub mod mask;
pub mod model;
pub mod proof;
pub mod scenario;

pub use engine::Engine;
pub use mask::Masked;
pub use model::Model;

use std::sync::Arc;

use crate::appliance::Appliance;
use crate::yaml::{Faults, SourceFile};

/// A law that can be put in force, and what somebody should look at.
#[derive(Debug)]
pub struct Law {
    /// The tables, with the model behind them.
    pub engine: Arc<Engine>,
    /// Warnings only.
    pub warnings: Faults,
    /// How many scenarios were run; all of them held.
    pub scenarios: usize,
}

/// Reads, resolves, proves and compiles a law and runs its scenarios; with a box also what the two must agree on.
///
/// # Errors
/// Every fault found, in one go.
pub fn understand(files: &[SourceFile], appliance: Option<&Appliance>) -> Result<Law, Faults> {
    todo!()
}
