//! The signals of the process: end, reload, nothing.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What somebody wants by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT: drain and end.
    Stop,
    /// SIGHUP: read the law again.
    Reload,
}

/// Where they arrive.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
    /// Would end the process if nobody listened.
    user: Stream,
}

impl Signals {
    /// Listens, from now on.
    ///
    /// # Errors
    /// Where the operating system refuses.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next one that means something.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Signal::Stop,
                _ = self.interrupt.recv() => return Signal::Stop,
                _ = self.hangup.recv() => return Signal::Reload,
                _ = self.user.recv() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal as Posix, getpid, kill_process};

    use super::{Signal, Signals};

    #[tokio::test]
    async fn hangup_reloads_terminate_stops_and_usr1_does_nothing() {
        let mut signals = Signals::listen().unwrap();
        kill_process(getpid(), Posix::USR1).unwrap();
        let nothing = tokio::time::timeout(Duration::from_millis(100), signals.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        kill_process(getpid(), Posix::HUP).unwrap();
        assert_eq!(signals.next().await, Signal::Reload);
        kill_process(getpid(), Posix::TERM).unwrap();
        assert_eq!(signals.next().await, Signal::Stop);
    }
}
