//! A law as the desk reads it, for the sub-commands that explain and compare: its files with or without a box, never a
//! key, so that whoever may read the law may ask about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::Config;
use crate::appliance::{self, Appliance};
use crate::ledger::PolicyDigest;
use crate::policy::{self, Engine};
use crate::source;
use crate::yaml::{Fault, Faults, SourceFile};

/// Which law.
#[derive(Debug, Args)]
pub(super) struct Which {
    #[command(flatten)]
    pub(super) config: Config,
    /// A law alone, without a box
    #[arg(short = 'p', long = "policies", value_name = "DIR", conflicts_with = "file")]
    pub(super) policies: Option<PathBuf>,
}

/// A law that breaks no guardrail. Scenarios may fail: whoever changes a law on purpose changes what it promises.
#[derive(Debug)]
pub(super) struct Written {
    /// Its files.
    pub(super) files: Vec<SourceFile>,
    /// The box that was read with it.
    pub(super) appliance: Option<Appliance>,
    /// What runs.
    pub(super) engine: Arc<Engine>,
    /// What it is named by.
    pub(super) digest: PolicyDigest,
    /// Its scenarios that end otherwise than they expect; with any, the law is not put in force.
    pub(super) failing: Faults,
}

impl Which {
    /// Reads it; where it is not sound but for its scenarios, every fault.
    pub(super) fn read(&self) -> Result<Written, Faults> {
        match &self.policies {
            Some(directory) => Written::of(source::load_law(directory)?, None),
            None => Written::boxed(&self.config.file),
        }
    }
}

impl Written {
    /// The law that a box file names.
    pub(super) fn boxed(file: &Path) -> Result<Self, Faults> {
        let appliance = box_file(file)?;
        Self::of(source::load_law(&appliance.policies)?, Some(appliance))
    }

    /// The law of these files.
    pub(super) fn of(files: Vec<SourceFile>, appliance: Option<Appliance>) -> Result<Self, Faults> {
        let (engine, failing) = policy::imagine(&files, appliance.as_ref())?;
        let digest = source::digest(&files);
        Ok(Self { files, appliance, engine, digest, failing })
    }
}

/// The box.
pub(super) fn box_file(file: &Path) -> Result<Appliance, Faults> {
    let bytes = std::fs::read(file).map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", file.display());
        Faults::from(
            Fault::nowhere("file_missing", message)
                .remedy("name the box file with `-c FILE`, or a law alone with `-p DIR`"),
        )
    })?;
    let name = Arc::from(file.to_string_lossy());
    appliance::understand(&SourceFile { name, bytes: bytes.into() })
}
