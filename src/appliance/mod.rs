//! The box: what this one machine has. Document to [`Appliance`], pure; certificates and law are only named here.

mod document;
mod resolve;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::flow::Name;
use crate::yaml::{Faults, Place, SourceFile};

/// Reads the box file.
///
/// # Errors
/// Every fault found, in one go.
pub fn understand(file: &SourceFile) -> Result<Appliance, Faults> {
    let mut faults = Faults::new();
    let text = document::parse(file, &mut faults);
    match text.and_then(|text| resolve::resolve(text, &mut faults)) {
        Some(appliance) if faults.is_sound() => Ok(appliance),
        _ => Err(faults.sorted()),
    }
}

/// What this machine has. Every path is already joined with the folder of the box file.
#[derive(Debug, Clone)]
pub struct Appliance {
    /// The name of this machine.
    pub name: Name,
    /// Whose it is.
    pub organisation: String,
    /// The law's directory.
    pub policies: PathBuf,
    /// Where the archive of accepted laws and the signing key are.
    pub state: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// The HTTP port for metrics and health.
    pub admin: Admin,
    /// The ledger.
    pub ledger: LedgerSettings,
    /// The ways out of the building.
    pub lines: BTreeMap<Name, Line>,
    /// What this machine presents.
    pub certificates: BTreeMap<Name, CertificateFiles>,
    /// Where connections are taken.
    pub listeners: BTreeMap<Name, Listener>,
    /// The bounds.
    pub limits: Limits,
}

/// The read-only HTTP port.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Who may ask.
    pub allow: Vec<IpNet>,
}

/// How the ledger is kept.
#[derive(Debug, Clone)]
pub struct LedgerSettings {
    /// Its directory.
    pub directory: PathBuf,
    /// How long entries are kept.
    pub retain: Duration,
    /// What happens when it cannot be written.
    pub when_unwritable: WhenUnwritable,
    /// The longest an entry that nobody waits for stays unsynced.
    pub sync: Duration,
}

/// What happens when the ledger cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnwritable {
    /// Nothing passes.
    Refuse,
    /// It passes, counted, and a gap entry says how much once it can be written again.
    Continue,
}

/// One way out of the building.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its title.
    pub title: Option<String>,
    /// The interface that upstream sockets are bound to.
    pub interface: String,
    /// The address they are bound to.
    pub source: IpAddr,
    /// Where it is written.
    pub place: Place,
}

/// A certificate chain and its key; always read as one pair.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// PEM, leaf first.
    pub chain: PathBuf,
    /// PEM, PKCS#8 or SEC1.
    pub key: PathBuf,
    /// Where it is written.
    pub place: Place,
}

/// One place where connections are taken.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The socket addresses; no wildcards.
    pub bind: Vec<SocketAddr>,
    /// What happens there.
    pub mode: Mode,
    /// Where it is written.
    pub place: Place,
}

/// What a listener does.
#[derive(Debug, Clone)]
pub enum Mode {
    /// SNI names the destination.
    Reverse {
        /// The certificate (of the box) shown to clients.
        certificate: Name,
        /// The trust (of the law) their certificates must chain to.
        clients: Name,
    },
    /// Answers nothing, records who tried.
    Refuse,
}

/// The bounds of this machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Client connections at a time.
    pub connections: u32,
    /// Client connections at a time from one source address.
    pub connections_per_source: u32,
    /// Concurrent HTTP/2 streams on one client connection.
    pub streams: u32,
    /// The head of a request, in bytes.
    pub header_size: usize,
    /// From accept to the end of the TLS handshake, and from the first byte of a head to its last.
    pub handshake_timeout: Duration,
    /// For one dial, TCP and TLS, and for waiting for a place in the pool.
    pub connect_timeout: Duration,
    /// Between two reads of a request's body.
    pub request_body_timeout: Duration,
    /// From the end of the request to the head of the response, and between two reads of its body.
    pub response_timeout: Duration,
    /// A client connection without a request, or a relay without a byte, for longer is closed.
    pub idle_timeout: Duration,
    /// A pooled upstream connection without a request for longer is closed.
    pub upstream_idle_timeout: Duration,
    /// TCP keepalive on both legs.
    pub tcp_keepalive: Duration,
    /// How long connections may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// A ledger sync that takes longer makes the ledger unwritable.
    pub sync_timeout: Duration,
    /// Less free space than this, in bytes, makes the ledger unwritable.
    pub disk_reserve: u64,
}

impl Default for Limits {
    /// The bounds of a box file that names none.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 10_000,
            connections_per_source: 256,
            streams: 100,
            header_size: 64 << 10,
            handshake_timeout: seconds(10),
            connect_timeout: seconds(3),
            request_body_timeout: seconds(60),
            response_timeout: seconds(60),
            idle_timeout: seconds(300),
            upstream_idle_timeout: seconds(30),
            tcp_keepalive: seconds(30),
            drain_timeout: seconds(30),
            sync_timeout: seconds(2),
            disk_reserve: 1 << 30,
        }
    }
}
