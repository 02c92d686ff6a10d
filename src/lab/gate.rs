//! The real service, run in a thread of this process and driven from outside: by its sockets, its control socket and
//! its files, as any other would be. Nothing in here looks into its memory.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::ledger::PolicyDigest;
use crate::service::{self, Options, Ready, Reloaded, Stop, control};

/// How long a call on the control socket may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running service.
#[derive(Debug)]
pub struct Gate {
    stop: Stop,
    ready: Ready,
    thread: Option<JoinHandle<Result<(), service::Error>>>,
}

impl Gate {
    /// Starts it on this box file and waits until it takes connections. Blocks.
    ///
    /// # Errors
    /// Why it could not start.
    pub fn start(box_file: &Path, workers: usize) -> Result<Self, service::Error> {
        let (tell, told) = mpsc::sync_channel(1);
        let mut options = Options::new(box_file);
        options.workers = workers;
        // Whoever waits may be gone; the service runs all the same until it is asked to stop.
        options.ready = Box::new(move |ready| drop(tell.send(ready.clone())));
        let stop = options.stop.clone();
        let thread = std::thread::Builder::new().name("service".to_owned());
        let thread = thread.spawn(move || service::run(options)).map_err(no_thread)?;
        match told.recv() {
            Ok(ready) => Ok(Self { stop, ready, thread: Some(thread) }),
            // It ended without having been ready: it says why.
            Err(mpsc::RecvError) => Err(end(thread).err().unwrap_or(ENDED)),
        }
    }

    /// Where its HTTP port listens.
    pub const fn admin(&self) -> SocketAddr {
        self.ready.admin
    }

    /// The law that it began with.
    pub const fn policy(&self) -> PolicyDigest {
        self.ready.policy
    }

    /// This start's number in the ledger.
    pub const fn boot(&self) -> u64 {
        self.ready.boot
    }

    /// Its control socket.
    pub fn control(&self) -> PathBuf {
        self.ready.control.clone()
    }

    /// Asks it to read its law again, as `sekisho reload` does, and waits for the outcome.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn reload(&self) -> io::Result<Reloaded> {
        let answer = self.call("reload").await?;
        answer.reload.ok_or_else(|| io::Error::other(answer.message.unwrap_or_default()))
    }

    /// Asks it by its control socket.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn call(&self, call: &'static str) -> io::Result<control::Answer> {
        let path = self.control();
        let asked = tokio::task::spawn_blocking(move || control::call(&path, call, PATIENCE));
        asked.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// Asks it to drain and end, and goes on.
    pub fn drain(&self) {
        self.stop.ask();
    }

    /// Asks it to drain and end, and waits until it has. Blocks.
    ///
    /// # Errors
    /// How it ended where it did not end well.
    pub fn stop(mut self) -> Result<(), service::Error> {
        self.stop.ask();
        self.thread.take().map_or(Ok(()), end)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            // Whoever wanted to know how it ended has called `stop`.
            let _ended = thread.join();
        }
    }
}

const ENDED: service::Error = service::Error::Died { part: "service" };

fn end(thread: JoinHandle<Result<(), service::Error>>) -> Result<(), service::Error> {
    thread.join().unwrap_or(Err(ENDED))
}

fn no_thread(error: io::Error) -> service::Error {
    service::Error::Io { doing: "start a thread", error }
}
