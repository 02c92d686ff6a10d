//! A process of the measurement: started on its core, its log in a file, ended when it is dropped. What it does is
//! not known here.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::affinity::Core;
use crate::procfs::{self, Memory};

/// How long a process may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lines of a log that are shown when a process failed.
const LOG_LINES: usize = 20;

/// A running process; ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts one of our own helpers on `core`: it says `ready` on its standard output and runs until its standard
    /// input ends.
    ///
    /// # Errors
    /// Where it cannot be started, or ended before it was ready.
    pub(crate) fn helper(mut command: Command, core: Core, log: &Path) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let mut child = Self::start(command, core, log)?;
        child.wait_ready()?;
        Ok(child)
    }

    /// Starts a server on `core`; whatever it says goes to `log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn server(mut command: Command, core: Core, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Self::start(command, core, log)
    }

    fn start(mut command: Command, core: Core, log: &Path) -> io::Result<Self> {
        // The affinity is inherited, so that a program that counts the cores counts the ones it has.
        core.pin()?;
        let started = command.spawn();
        Core::Load.pin()?;
        let program = command.get_program().to_string_lossy().into_owned();
        let process = started.map_err(|error| {
            io::Error::new(error.kind(), format!("`{program}` cannot be started: {error}"))
        })?;
        Ok(Self { process, log: log.to_owned() })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The processor time that it and all its descendants have used.
    ///
    /// # Errors
    /// Where it, or one of them, is gone.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let family = procfs::family(self.id())?;
        family.into_iter().map(procfs::processor_time).sum()
    }

    /// The memory of it and all its descendants.
    ///
    /// # Errors
    /// Where it, or one of them, is gone.
    pub(crate) fn memory(&self) -> io::Result<Memory> {
        let family = procfs::family(self.id())?;
        family.into_iter().map(procfs::memory).sum()
    }

    fn wait_ready(&mut self) -> io::Result<()> {
        let mut line = String::new();
        if let Some(output) = self.process.stdout.as_mut() {
            // One line, and nothing follows before it is told to end: nothing is lost with this buffer.
            BufReader::with_capacity(64, output).read_line(&mut line)?;
        }
        match line.trim() {
            "ready" => Ok(()),
            said => Err(self.failure(&format!("it is not ready: {said}"))),
        }
    }

    /// An error that says how the process stands, with the end of its log.
    pub(crate) fn failure(&mut self, what: &str) -> io::Error {
        let ended = match self.process.try_wait() {
            Ok(Some(status)) => format!(", the process ended: {status}"),
            Ok(None) | Err(_) => String::new(),
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        io::Error::other(format!("{what}{ended}\n{}", tail.join("\n")))
    }

    /// What its log complains of: how many lines of a warning or an error, and the last.
    pub(crate) fn complaint(&self) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).ok()?;
        let bad = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        let last = log.lines().rfind(bad)?;
        Some(format!(
            "{} warnings and errors in its log, the last: {last}",
            log.lines().filter(bad).count()
        ))
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Closes its standard input, which tells it to end, and gives what it says then.
    ///
    /// # Errors
    /// Where it cannot be heard.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        drop(self.process.stdin.take());
        let mut said = String::new();
        if let Some(output) = self.process.stdout.as_mut() {
            output.read_to_string(&mut said)?;
        }
        Ok(said)
    }

    fn end(&mut self) {
        drop(self.process.stdin.take());
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (self.is_running(), pid) {
            let _already_gone = kill_process(pid, Signal::TERM);
        }
        let began = Instant::now();
        while self.is_running() {
            if began.elapsed() > PATIENCE {
                let _already_gone = self.process.kill();
                let _reaped = self.process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}
