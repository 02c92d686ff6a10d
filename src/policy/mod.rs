//! The law: what was written (`document`), what it means (`model`), what runs (`engine`). Pure: bytes in, values out.

pub mod address;
mod agreement;
pub mod compare;
mod compile;
mod document;
pub mod engine;
mod example;
mod expiry;
pub mod explain;
mod geography;
mod guardrail;
#[cfg(test)]
pub(crate) mod imagined;
pub mod mask;
mod merge;
pub mod model;
pub mod nftables;
mod pattern;
pub mod proof;
mod residency;
mod resolve;
pub mod scenario;
mod schema;
mod trie;
mod unserved;
mod word;

pub use agreement::Expected;
pub use engine::{Engine, Opened};
pub use expiry::ending;
pub use mask::Masked;
pub use model::Model;
pub use schema::schema;
pub use unserved::unserved;
pub(crate) use word::digest;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::appliance::{Appliance, Mode};
use crate::flow::Name;
use crate::yaml::{Fault, Faults, Severity, SourceFile, joined};

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

/// Reads, resolves, proves and compiles a law and runs its scenarios; with a box also what the two must agree on. Beside
/// the law's `*.yaml` stands the file that [`geography_file`] names, where it names one.
///
/// # Errors
/// Every fault found, in one go.
pub fn understand(files: &[SourceFile], appliance: Option<&Appliance>) -> Result<Law, Faults> {
    let mut faults = Faults::new();
    let Some(model) = mean(files, &mut faults) else { return Err(faults.sorted()) };
    if let Some(appliance) = appliance {
        agreement::agree(&model, appliance, &mut faults);
    }
    prove_and_run(model, appliance, faults)
}

/// As [`understand`], of a law that is only imagined: scenarios that end otherwise than expected are told and do not keep
/// it from being understood, since whoever changes a law on purpose changes what it promises.
///
/// # Errors
/// Every other fault, in one go.
pub fn imagine(
    files: &[SourceFile],
    appliance: Option<&Appliance>,
) -> Result<(Arc<Engine>, Faults), Faults> {
    let mut faults = Faults::new();
    let Some(model) = mean(files, &mut faults) else { return Err(faults.sorted()) };
    if let Some(appliance) = appliance {
        agreement::agree(&model, appliance, &mut faults);
    }
    let engine = Arc::new(prove(model, appliance, &mut faults)?);
    let failing = scenario::run(&engine);
    Ok((engine, failing))
}

/// What the files mean. A file that cannot be read to its end would make everything it declares look unknown, so
/// that names are only looked up where all can be.
fn mean(files: &[SourceFile], faults: &mut Faults) -> Option<Model> {
    let (law, data): (Vec<_>, Vec<_>) = files.iter().cloned().partition(SourceFile::is_law);
    if law.is_empty() {
        faults.push(Fault::nowhere("no_files", "the law has no files"));
    }
    let texts: Vec<_> = law.iter().map(|file| document::parse(file, faults)).collect();
    let whole: Vec<_> = texts.into_iter().collect::<Option<_>>()?;
    resolve::resolve(merge::merge(whole, faults), &data, faults)
}

/// The file that the law's `geography` names, as it has to be read and put beside the law's own files under this name.
pub fn geography_file(files: &[SourceFile]) -> Option<PathBuf> {
    // Few laws have one, and those that have none are not parsed twice for it.
    let named = |file: &&SourceFile| memchr::memmem::find(&file.bytes, b"geography").is_some();
    files.iter().filter(|file| file.is_law()).filter(named).find_map(|file| {
        let written = document::parse(file, &mut Faults::new())?.text.geography?.file?;
        Some(joined(&written.place, &written.value))
    })
}

/// Proves what is left where there are mistakes, so that all are shown in one go; its warnings then mean nothing.
fn prove_and_run(
    model: Model,
    appliance: Option<&Appliance>,
    mut faults: Faults,
) -> Result<Law, Faults> {
    let scenarios = model.scenarios.len();
    let engine = Arc::new(prove(model, appliance, &mut faults)?);
    faults.extend(scenario::run(&engine));
    if !faults.is_sound() {
        return Err(faults.sorted());
    }
    Ok(Law { engine, warnings: faults.sorted(), scenarios })
}

/// The engine of a law that breaks no guardrail; what is only worth a look is added to `faults`.
fn prove(
    model: Model,
    appliance: Option<&Appliance>,
    faults: &mut Faults,
) -> Result<Engine, Faults> {
    let proofs = proof::prove(&model, appliance);
    let is_whole = faults.is_sound();
    let counted = |fault: &Fault| is_whole || forbids(fault);
    faults.extend(Faults(proofs.0.into_iter().filter(counted).collect()));
    if !faults.is_sound() {
        return Err(std::mem::take(faults).sorted());
    }
    Ok(Engine::compile(model).with_listeners(appliance.map(refusing).unwrap_or_default()))
}

/// Whether a proof stands although something was left out. What is forbidden stays forbidden; but a list of what is permitted may lack an
/// entry that was written wrongly, and its place is told already.
fn forbids(fault: &Fault) -> bool {
    fault.severity == Severity::Error
        && ["reverse_access", "individual_number", "encryption"].contains(&fault.code)
}

/// The listeners of the box that take nothing.
fn refusing(appliance: &Appliance) -> BTreeSet<Name> {
    let listeners = appliance.listeners.iter();
    listeners
        .filter(|(_, listener)| matches!(listener.mode, Mode::Refuse))
        .map(|(name, _)| name.clone())
        .collect()
}
#[cfg(test)]
mod tests;
