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

/// The schema of a box file (JSON Schema, draft 2020-12).
pub fn schema() -> serde_json::Value {
    crate::yaml::schema::<document::ApplianceText>("A box file of sekisho", "urn:sekisho:box:1")
}

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
    /// `CONNECT` or the absolute form names the destination.
    Forward(Option<Terminates>),
    /// The address that the client dialled is the destination (TPROXY).
    Transparent(Option<Terminates>),
    /// Answers nothing, records who tried.
    Refuse,
}

/// What a listener needs that terminates TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminates {
    /// The certificate (of the box) shown to clients.
    pub certificate: Name,
    /// The trust (of the law) their certificates must chain to.
    pub clients: Name,
}

impl Mode {
    /// The trust that client certificates must chain to, where TLS is terminated.
    pub const fn clients(&self) -> Option<&Name> {
        match self {
            Self::Reverse { clients, .. }
            | Self::Forward(Some(Terminates { clients, .. }))
            | Self::Transparent(Some(Terminates { clients, .. })) => Some(clients),
            Self::Forward(None) | Self::Transparent(None) | Self::Refuse => None,
        }
    }

    /// The certificate that clients are shown, where TLS is terminated.
    pub const fn certificate(&self) -> Option<&Name> {
        match self {
            Self::Reverse { certificate, .. }
            | Self::Forward(Some(Terminates { certificate, .. }))
            | Self::Transparent(Some(Terminates { certificate, .. })) => Some(certificate),
            Self::Forward(None) | Self::Transparent(None) | Self::Refuse => None,
        }
    }
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Appliance, Mode, WhenUnwritable, understand};
    use crate::yaml::{Faults, SourceFile};

    /// The seed's box, as it is shipped.
    const BOX: &str = include_str!("../../policies/tokyo.appliance.yaml");

    fn read(text: &str) -> Result<Appliance, Faults> {
        understand(&SourceFile { name: Arc::from("etc/box.yaml"), bytes: text.as_bytes().into() })
    }

    /// `old` becomes `new`, and the fault is `line:column code message; remedy`.
    #[track_caller]
    fn check(old: &str, new: &str, expected: &str) {
        assert_eq!(BOX.matches(old).count(), 1, "`{old}` is in the box exactly once");
        let faults = read(&BOX.replace(old, new)).map(|_| new).unwrap_err();
        let mut lines = String::new();
        for fault in &faults.0 {
            let places: Vec<_> =
                fault.places.iter().map(|(at, _)| format!("{}:{}", at.line, at.column)).collect();
            let remedy =
                fault.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            writeln!(lines, "{} {} {}{remedy}", places.join(" "), fault.code, fault.message)
                .unwrap();
        }
        assert_eq!(lines.trim_end(), expected, "{new}");
    }

    #[test]
    fn the_shipped_box_is_understood() {
        let appliance = read(BOX).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
        assert_eq!(appliance.policies, Path::new("etc/tokyo"));
        assert_eq!(
            appliance.certificates["union-facing"].key,
            Path::new("etc/certs/union-facing.key")
        );
        assert_eq!(appliance.ledger.when_unwritable, WhenUnwritable::Refuse);
        assert_eq!(appliance.ledger.sync, Duration::from_millis(50));
        assert!(matches!(appliance.listeners["center-guard"].mode, Mode::Refuse));
        let Mode::Reverse { clients, .. } = &appliance.listeners["union-lan"].mode else {
            panic!("reverse")
        };
        assert_eq!(clients.as_str(), "union-ca");
    }

    #[test]
    fn what_is_left_out_has_the_default_that_the_shipped_box_shows() {
        let written = read(BOX).unwrap();
        let (head, _) = BOX.split_once("limits:\n").unwrap();
        let bare: String = head
            .lines()
            .filter(|line| !line.starts_with("state:") && !line.starts_with("control:"))
            .fold(String::new(), |text, line| text + line + "\n");
        let default = read(&bare).unwrap();
        assert_eq!(format!("{:?}", default.limits), format!("{:?}", written.limits));
        assert_eq!((default.state, default.control), (written.state, written.control));
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn mistakes_have_their_place() {
        check(
            "name: kouiki-edge-1",
            "name: Kouiki-Edge-1",
            "5:7 bad_name `Kouiki-Edge-1` is not a name; did you mean `kouiki-edge-1`?",
        );
        check(
            "organisation:",
            "organization:",
            "4:1 missing_key key `organisation` is missing\n6:1 unknown_key there is no key `organization` here; did you mean `organisation`?",
        );
        check(
            "bind: 127.0.0.1:9617",
            "bind: 0.0.0.0:9617",
            "14:9 bad_address `0.0.0.0:9617` is a wildcard; a listener stands at one address; write the address of one interface",
        );
        check(
            "bind: 127.0.0.1:9617",
            "bind: 127.0.0.1:0",
            "14:9 bad_address `127.0.0.1:0`: a port is a number from 1 to 65535, without leading zeros",
        );
        check(
            "bind: 127.0.0.1:9617",
            "bind: 10.13.0.1:8443",
            "14:9 42:12 overlap `10.13.0.1:8443` is bound twice",
        );
        check(
            "bind: [\"10.200.0.2:443\"]",
            "bind: [\"[::]:443\"]",
            "47:12 bad_address `[::]:443` is a wildcard; a listener stands at one address; write the address of one interface",
        );
        check(
            "retain: 7y",
            "retain: 7",
            "19:11 wrong_type a duration such as `250ms`, `10s`, `5m`, `72h`, `30d` or `7y` is due here, not a number",
        );
        check(
            "retain: 7y",
            "retain: ７y",
            "19:11 bad_value `７y` is not a duration such as `250ms`, `10s`, `5m`, `72h`, `30d` or `7y`; did you mean `7y`?",
        );
        check(
            "when_unwritable: refuse ",
            "when_unwritable: drop ",
            "20:20 bad_value `drop` is not a word for `when_unwritable`; write one of `refuse` `continue`",
        );
        check(
            "source: 10.200.0.2",
            "source: 010.200.0.2",
            "28:13 bad_address `010.200.0.2`: not an IPv4 or IPv6 address",
        );
        check(
            "source: 10.200.0.2",
            "source: 0.0.0.0",
            "28:13 bad_address `0.0.0.0` is no address that a connection can come from; write the address of this box on the line",
        );
        check(
            "interface: eth1",
            "interface: a-name-that-is-too-long",
            "27:16 bad_value `a-name-that-is-too-long` is not the name of an interface",
        );
        check(
            "key: certs/union-facing.key",
            "key: certs/union-facing.pem",
            "34:10 33:12 bad_value chain and key are the same file",
        );
        check(
            "certificate: union-facing",
            "certificate: union-fcing",
            "44:18 unknown_name no certificate `union-fcing`; did you mean `union-facing`?",
        );
        check(
            "    clients: union-ca",
            "    client: union-ca",
            "41:3 missing_key key `clients` is missing; mode `reverse` needs it\n45:5 unknown_key there is no key `client` here; did you mean `clients`?",
        );
        check(
            "mode: refuse  ",
            "clients: union-ca\n    mode: forward  ",
            "48:14 missing_key `certificate` and `clients` stand together, or TLS is not terminated",
        );
        check(
            "mode: refuse  ",
            "clients: union-ca\n    mode: refuse  ",
            "48:14 unknown_key mode `refuse` has no `clients`: it answers nothing; leave `clients` out",
        );
        check(
            "header_size: 64KiB",
            "header_size: 64",
            "55:16 wrong_type a size such as `64KiB` is due here, not a number",
        );
        check(
            "header_size: 64KiB",
            "header_size: 4KiB",
            "55:16 bad_value a head has a size from `8KiB` to `1MiB`",
        );
        check(
            "connections: 10000",
            "connections: 0",
            "52:16 bad_value the number must be at least 1",
        );
        check(
            "  idle_timeout: 5m",
            "  idle_timeout: 5m\n  idle_timeout: 6m",
            "61:3 60:3 duplicate_key key `idle_timeout` is there twice",
        );
        check("policies: tokyo ", "policies: ", "8:9 wrong_type a text is due here, not nothing");
        check(
            "version: 1\nname",
            "version: 1.0\nname",
            "4:10 bad_value `1.0` is not a whole number",
        );
    }
}
