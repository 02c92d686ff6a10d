//! A process under callgrind, told from outside when to begin to count and when to write down what it counted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::profile::Profile;

/// Where callgrind and its control meet, and where the counts go.
#[derive(Debug, Clone)]
pub(crate) struct Callgrind {
    folder: PathBuf,
    names: Names,
}

/// How a profile names functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As people write them.
    Plain,
    /// As the linker has them.
    Linked,
}

impl Callgrind {
    /// With everything it writes in `folder`.
    ///
    /// # Errors
    /// Where it is not installed.
    pub(crate) fn new(folder: &Path, names: Names) -> io::Result<Self> {
        let asked = Command::new("valgrind").arg("--version").output();
        let known = asked.map_err(|error| {
            io::Error::new(error.kind(), format!("`valgrind` cannot be started: {error}"))
        })?;
        if !known.status.success() {
            return Err(io::Error::other("`valgrind` does not work"));
        }
        Ok(Self { folder: folder.to_owned(), names })
    }

    /// Runs `program`; nothing is counted until [`Self::begin`].
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--instr-atstart=no", "--dump-instr=no", "--quiet"]);
        command.arg(match self.names {
            Names::Plain => "--demangle=yes",
            Names::Linked => "--demangle=no",
        });
        // A thread waits for its turn, not for its luck: batches are alike in each round.
        command.arg("--fair-sched=yes");
        command.arg(format!("--callgrind-out-file={}", self.out().display()));
        command.arg(format!("--vgdb-prefix={}", self.meeting().display()));
        command.arg(program);
        command
    }

    /// Begins to count in the process with this number.
    ///
    /// # Errors
    /// Where it does not hear.
    pub(crate) fn begin(&self, pid: u32) -> io::Result<()> {
        self.tell(pid, &["instrumentation", "on"])
    }

    /// Forgets what was counted.
    ///
    /// # Errors
    /// Where it does not hear.
    pub(crate) fn zero(&self, pid: u32) -> io::Result<()> {
        self.tell(pid, &["zero"])
    }

    /// What was counted since the last call of this or of [`Self::zero`]; `number` counts the calls, from 1.
    ///
    /// # Errors
    /// Where it does not hear, or what it wrote cannot be read.
    pub(crate) fn take(&self, pid: u32, number: usize) -> io::Result<Profile> {
        self.tell(pid, &["dump"])?;
        let file = format!("{}.{number}", self.out().display());
        Ok(Profile::read(&fs::read_to_string(file)?))
    }

    fn tell(&self, pid: u32, words: &[&str]) -> io::Result<()> {
        let mut command = Command::new("vgdb");
        command.arg(format!("--pid={pid}")).arg("--wait=10");
        command.arg(format!("--vgdb-prefix={}", self.meeting().display())).args(words);
        let said = command.output()?;
        if said.status.success() {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        Err(io::Error::other(format!("callgrind does not hear `{}`: {error}", words.join(" "))))
    }

    fn out(&self) -> PathBuf {
        self.folder.join("callgrind.out")
    }

    fn meeting(&self) -> PathBuf {
        self.folder.join("vgdb")
    }
}
