//! What the operator wrote in the box file. Nothing here knows what a key means.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::WhenUnwritable;
use crate::flow::Name;
use crate::yaml::{
    At, Count, Faults, Named, Read, Size, SourceFile, Version, Word, mapping, parse as yaml,
};

/// Reads the file.
pub(super) fn parse(file: &SourceFile, faults: &mut Faults) -> Option<ApplianceText> {
    yaml(file, faults).and_then(|root| ApplianceText::read(&root, faults))
}

mapping! {
    /// What one box has.
    ApplianceText {
        /// The name of the box.
        required name: At<Name>,
        /// Whose it is.
        required organisation: At<String>,
        /// The directory of the law, relative to this file.
        required policies: At<String>,
        /// Accepted laws, signing key, open declarations.
        optional state: At<String>,
        /// The control socket.
        optional control: At<String>,
        /// The HTTP port: /metrics /livez /readyz and the status page; read-only.
        required admin: AdminText,
        /// How the ledger is kept.
        required ledger: LedgerText,
        /// The ways out of the building; an upstream is dialled from `source` on `interface`.
        required lines: Named<LineText>,
        /// What this box presents.
        required certificates: Named<CertificateText>,
        /// Where connections are taken; no wildcards.
        required listeners: Named<ListenerText>,
        /// The bounds of this box.
        optional limits: LimitsText,
    }
    checked {
        /// The version of the file format: 1.
        required version: At<Version>,
    }
}

mapping! {
    /// The HTTP port.
    AdminText {
        /// Where it listens.
        required bind: At<SocketAddr>,
        /// Who may ask.
        required allow: Vec<At<IpNet>>,
    }
}

mapping! {
    /// How the ledger is kept.
    LedgerText {
        /// Its directory.
        required directory: At<String>,
        /// How long entries are kept.
        required retain: At<Duration>,
        /// `refuse`: nothing passes unrecorded; `continue`: it passes, is counted, and a gap entry says so.
        required when_unwritable: At<WhenUnwritable>,
        /// The longest that an entry nobody waits for stays unsynced.
        required sync: At<Duration>,
    }
}

mapping! {
    /// A way out of the building.
    LineText {
        /// Its title.
        optional title: At<String>,
        /// The network interface.
        required interface: At<String>,
        /// The address of this box on it.
        required source: At<IpAddr>,
    }
}

mapping! {
    /// A chain and its key; always read as one pair.
    CertificateText {
        /// PEM, leaf first.
        required chain: At<String>,
        /// PEM, PKCS#8 or SEC1.
        required key: At<String>,
    }
}

mapping! {
    /// A place where connections are taken.
    ListenerText {
        /// Its socket addresses.
        required bind: Vec<At<SocketAddr>>,
        /// How the destination is known, or that nothing is answered.
        required mode: At<ModeText>,
        /// The certificate of this box that clients are shown.
        optional certificate: At<Name>,
        /// Who in the law may issue the clients' certificates.
        optional clients: At<Name>,
    }
}

mapping! {
    /// The bounds of this box; all optional.
    LimitsText {
        /// Client connections at a time.
        optional connections: At<Count>,
        /// Client connections at a time from one address.
        optional connections_per_source: At<Count>,
        /// HTTP/2 streams on one connection.
        optional streams: At<Count>,
        /// The head of a request.
        optional header_size: At<Size>,
        /// For the TLS handshake, and for a request's head.
        optional handshake_timeout: At<Duration>,
        /// For one dial, TCP and TLS.
        optional connect_timeout: At<Duration>,
        /// Between two reads of a request's body.
        optional request_body_timeout: At<Duration>,
        /// Until the head of a response, and between two reads of its body.
        optional response_timeout: At<Duration>,
        /// A connection without a request, or a relay without a byte, for longer is closed.
        optional idle_timeout: At<Duration>,
        /// A pooled upstream connection without a request for longer is closed.
        optional upstream_idle_timeout: At<Duration>,
        /// On both legs.
        optional tcp_keepalive: At<Duration>,
        /// How long connections may go on after a stop was asked for.
        optional drain_timeout: At<Duration>,
        /// A ledger sync that takes longer makes the ledger unwritable.
        optional sync_timeout: At<Duration>,
        /// Less free space than this makes the ledger unwritable.
        optional disk_reserve: At<Size>,
    }
}

/// What a listener does, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModeText {
    /// SNI names the destination.
    Reverse,
    /// `CONNECT` or the absolute form names the destination.
    Forward,
    /// The address that the client dialled is the destination.
    Transparent,
    /// Answers nothing.
    Refuse,
}

impl Word for ModeText {
    const DUE: &'static str = "a mode";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("reverse", Self::Reverse),
        ("refuse", Self::Refuse),
        ("forward", Self::Forward),
        ("transparent", Self::Transparent),
    ];
}

impl Word for WhenUnwritable {
    const DUE: &'static str = "a word for `when_unwritable`";
    const WORDS: &'static [(&'static str, Self)] =
        &[("refuse", Self::Refuse), ("continue", Self::Continue)];
}
