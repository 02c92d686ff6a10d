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
    /// The file.
    ApplianceText {
        required name: At<Name>,
        required organisation: At<String>,
        required policies: At<String>,
        optional state: At<String>,
        optional control: At<String>,
        required admin: AdminText,
        required ledger: LedgerText,
        required lines: Named<LineText>,
        required certificates: Named<CertificateText>,
        required listeners: Named<ListenerText>,
        optional limits: LimitsText,
    }
    checked { required version: At<Version>, }
}

mapping! {
    /// The HTTP port.
    AdminText {
        required bind: At<SocketAddr>,
        required allow: Vec<At<IpNet>>,
    }
}

mapping! {
    /// The ledger.
    LedgerText {
        required directory: At<String>,
        required retain: At<Duration>,
        required when_unwritable: At<WhenUnwritable>,
        required sync: At<Duration>,
    }
}

mapping! {
    /// A way out of the building.
    LineText {
        optional title: At<String>,
        required interface: At<String>,
        required source: At<IpAddr>,
    }
}

mapping! {
    /// A pair of files.
    CertificateText {
        required chain: At<String>,
        required key: At<String>,
    }
}

mapping! {
    /// A place where connections are taken.
    ListenerText {
        required bind: Vec<At<SocketAddr>>,
        required mode: At<ModeText>,
        optional certificate: At<Name>,
        optional clients: At<Name>,
    }
}

mapping! {
    /// The bounds.
    LimitsText {
        optional connections: At<Count>,
        optional connections_per_source: At<Count>,
        optional streams: At<Count>,
        optional header_size: At<Size>,
        optional handshake_timeout: At<Duration>,
        optional connect_timeout: At<Duration>,
        optional request_body_timeout: At<Duration>,
        optional response_timeout: At<Duration>,
        optional idle_timeout: At<Duration>,
        optional upstream_idle_timeout: At<Duration>,
        optional tcp_keepalive: At<Duration>,
        optional drain_timeout: At<Duration>,
        optional sync_timeout: At<Duration>,
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
