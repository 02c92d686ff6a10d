//! What the service manager is told, by the protocol of `sd_notify(3)`. Whom to tell is found by whoever owns the
//! process; a service in a lab tells nobody.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager, or its absence.
#[derive(Debug, Clone)]
pub struct Supervisor {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Nobody to tell.
    pub const fn absent() -> Self {
        Self { socket: None, watchdog: None }
    }

    /// The one that started this process, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    ///
    /// # Errors
    /// Where it is named but cannot be reached.
    pub fn from_environment() -> io::Result<Self> {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(address) => Self::at(&address, sd_notify::watchdog_enabled()),
            None => Ok(Self::absent()),
        }
    }

    /// One that listens at `address`: a path, or an abstract name behind `@`.
    ///
    /// # Errors
    /// Where nobody listens there.
    pub fn at(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        match address.as_bytes() {
            [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            _ => socket.connect(address)?,
        }
        // Telling must never hold up the service: a full queue loses a line of status, no more.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some(Arc::new(socket)), watchdog })
    }

    /// How long it waits for a sign of life, where it does.
    pub(super) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Connections are taken.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A law is being read; [`Supervisor::ready`] follows in any case.
    pub(super) fn reloading(&self) {
        // Both in one datagram, as systemd 253 and later ask of `Type=notify-reload`.
        match NotifyState::monotonic_usec_now() {
            Ok(at) => self.tell(&[NotifyState::Reloading, at]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// No more connections are taken; it may take this long.
    pub(super) fn stopping(&self, patience: Duration) {
        let micros = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(micros),
            NotifyState::Status("draining"),
        ]);
    }

    /// A sign of life.
    pub(super) fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let lines = states.iter().map(ToString::to_string);
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        if let Err(error) = socket.send(text.as_bytes()) {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    use super::Supervisor;

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn every_turn_of_life_is_told_in_one_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::at(path.as_os_str(), Some(Duration::from_secs(30))).unwrap();
        supervisor.ready("policy 4f1c9a02 in force");
        assert_eq!(heard(&manager), "READY=1\nSTATUS=policy 4f1c9a02 in force\n");
        supervisor.reloading();
        let reloading = heard(&manager);
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.trim_end().parse::<u64>().unwrap() > 0);
        supervisor.alive();
        assert_eq!(heard(&manager), "WATCHDOG=1\n");
        supervisor.stopping(Duration::from_secs(40));
        assert_eq!(heard(&manager), "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\nSTATUS=draining\n");
    }

    #[test]
    fn an_abstract_address_is_reached() {
        let name = format!("sekisho-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let supervisor = Supervisor::at(&OsString::from(format!("@{name}")), None).unwrap();
        supervisor.alive();
        assert_eq!(heard(&manager), "WATCHDOG=1\n");
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::at(path.as_os_str(), None).unwrap();
        for _ in 0..5_000 {
            supervisor.alive();
        }
    }

    #[test]
    fn a_manager_that_is_named_but_not_there_is_an_error() {
        assert!(Supervisor::at("/nonexistent/notify".as_ref(), None).is_err());
    }
}
