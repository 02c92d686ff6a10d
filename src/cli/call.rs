//! What the sub-commands that speak to the running daemon share: which socket, and what it means that none answers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Config, NOT_RUN, complain};
use crate::appliance;
use crate::service::control::{self, Answer};
use crate::service::default_control;
use crate::yaml::SourceFile;

/// Which daemon.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    #[command(flatten)]
    config: Config,

    /// The control socket, whatever the box file says
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl Daemon {
    /// Asks for one field of the answer. Where nobody answers, says so and gives exit code 2; where the field is not in
    /// the answer, says why and gives `missing`.
    pub(super) fn ask<T>(
        &self,
        name: &str,
        patience: Duration,
        field: impl FnOnce(&mut Answer) -> Option<T>,
        missing: u8,
    ) -> Result<T, ExitCode> {
        let mut answer = control::call(&self.socket(), name, patience).map_err(|error| {
            complain(&error.to_string());
            ExitCode::from(NOT_RUN)
        })?;
        field(&mut answer).ok_or_else(|| {
            let none = "the daemon gave an answer without an outcome";
            complain(answer.message.as_deref().unwrap_or(none));
            ExitCode::from(missing)
        })
    }

    /// A box file that is faulty now may be the very one that is to be reloaded: its daemon is then looked for
    /// where it is by default.
    fn socket(&self) -> PathBuf {
        let named = || named(&self.config.file).unwrap_or_else(|| default_control().to_owned());
        self.control.clone().unwrap_or_else(named)
    }
}

fn named(box_file: &Path) -> Option<PathBuf> {
    let bytes = std::fs::read(box_file).ok()?;
    let file = SourceFile { name: box_file.display().to_string().into(), bytes: bytes.into() };
    appliance::understand(&file).ok().map(|appliance| appliance.control)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Config, Daemon};

    #[test]
    fn the_socket_is_the_one_asked_for_else_the_boxs_else_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("appliance.yaml");
        std::fs::write(&file, "version: 1\nname: [").unwrap();
        let mut daemon = Daemon { config: Config { file }, control: None };
        assert_eq!(daemon.socket(), Path::new("/run/sekisho/control.sock"));
        daemon.control = Some("/tmp/other.sock".into());
        assert_eq!(daemon.socket(), Path::new("/tmp/other.sock"));
    }
}
