//! What the box file means: paths joined, names looked up, defaults filled in. The law is not looked at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{
    AdminText, ApplianceText, CertificateText, LedgerText, LimitsText, LineText, ListenerText,
    ModeText,
};
use super::{
    Admin, Appliance, CertificateFiles, LedgerSettings, Limits, Line, Listener, Mode, Terminates,
};
use crate::flow::Name;
use crate::yaml::{At, Count, Fault, Faults, Named, Place, Size, joined, unknown_name};

/// The smallest and the largest head of a request that can be asked for, in bytes.
const HEADER_SIZE: std::ops::RangeInclusive<u64> = 8 << 10..=1 << 20;

/// Finds what the text means; `None` where a needed part is missing, reported before or now.
pub(super) fn resolve(text: ApplianceText, faults: &mut Faults) -> Option<Appliance> {
    check_binds(&text, faults);
    let certificates = text.certificates.map(|named| certificates(named, faults));
    let names = certificates.as_ref().map(|files| &files.declared);
    let listeners = text.listeners.map(|named| listeners(named, names, faults));
    let lines = text.lines.map(|named| lines(named, faults));
    let limits = limits(text.limits, faults);
    let admin = text.admin.and_then(admin);
    let ledger = text.ledger.and_then(ledger);
    let path = |at: At<String>| joined(&at.place, &at.value);
    Some(Appliance {
        name: text.name?.value,
        organisation: text.organisation?.value,
        policies: path(text.policies?),
        state: text.state.map_or_else(|| PathBuf::from("/var/lib/sekisho"), path),
        control: text.control.map_or_else(|| PathBuf::from("/run/sekisho/control.sock"), path),
        admin: admin?,
        ledger: ledger?,
        lines: lines?,
        certificates: certificates?.known,
        listeners: listeners?,
        limits,
    })
}

fn admin(text: AdminText) -> Option<Admin> {
    let allow = text.allow?.into_iter().map(|at| at.value).collect();
    Some(Admin { bind: text.bind?.value, allow })
}

fn ledger(text: LedgerText) -> Option<LedgerSettings> {
    let directory = text.directory?;
    Some(LedgerSettings {
        directory: joined(&directory.place, &directory.value),
        retain: text.retain?.value,
        when_unwritable: text.when_unwritable?.value,
        sync: text.sync?.value,
    })
}

fn lines(named: Named<LineText>, faults: &mut Faults) -> BTreeMap<Name, Line> {
    let line = |(name, text): (At<Name>, Option<LineText>)| {
        Some((name.value, line(text?, &name.place, faults)?))
    };
    named.entries.into_iter().filter_map(line).collect()
}

fn line(text: LineText, place: &Place, faults: &mut Faults) -> Option<Line> {
    let source = text.source?;
    if source.value.is_unspecified() || source.value.is_multicast() {
        let message = format!("`{}` is no address that a connection can come from", source.value);
        faults.push(
            Fault::error("bad_address", &source.place, message)
                .remedy("write the address of this box on the line"),
        );
    }
    let interface = text.interface?;
    // The kernel's rules (dev_valid_name): IFNAMSIZ is 16 with the end.
    let fits = interface.value.len() <= 15
        && !interface.value.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
    if !fits {
        let message = format!("`{}` is not the name of an interface", interface.value);
        faults.push(Fault::error("bad_value", &interface.place, message));
    }
    let title = text.title.map(|at| at.value);
    Some(Line { title, interface: interface.value, source: source.value, place: place.clone() })
}

/// The certificates that could be read, and all names that are declared.
struct Certificates {
    known: BTreeMap<Name, CertificateFiles>,
    declared: Vec<Name>,
}

fn certificates(named: Named<CertificateText>, faults: &mut Faults) -> Certificates {
    let declared = named.entries.iter().map(|(name, _)| name.value.clone()).collect();
    let files = |(name, text): (At<Name>, Option<CertificateText>)| {
        Some((name.value, files(text?, name.place, faults)?))
    };
    Certificates { known: named.entries.into_iter().filter_map(files).collect(), declared }
}

fn files(text: CertificateText, place: Place, faults: &mut Faults) -> Option<CertificateFiles> {
    let (chain, key) = (text.chain?, text.key?);
    if chain.value == key.value {
        let fault = Fault::error("bad_value", &key.place, "chain and key are the same file")
            .and(&chain.place, "the chain");
        faults.push(fault);
    }
    let path = |at: &At<String>| joined(&at.place, &at.value);
    Some(CertificateFiles { chain: path(&chain), key: path(&key), place })
}

fn listeners(
    named: Named<ListenerText>,
    certificates: Option<&Vec<Name>>,
    faults: &mut Faults,
) -> BTreeMap<Name, Listener> {
    let listener = |(name, text): (At<Name>, Option<ListenerText>)| {
        Some((name.value, listener(text?, name.place, certificates, faults)?))
    };
    named.entries.into_iter().filter_map(listener).collect()
}

fn listener(
    text: ListenerText,
    place: Place,
    certificates: Option<&Vec<Name>>,
    faults: &mut Faults,
) -> Option<Listener> {
    let bind = text.bind?.into_iter().map(|at| at.value).collect();
    let mode = match text.mode?.value {
        ModeText::Reverse => {
            let certificate = needed(text.certificate, "certificate", &place, faults);
            let clients = needed(text.clients, "clients", &place, faults);
            let certificate = certificate?;
            check_certificate(&certificate, certificates, faults);
            Mode::Reverse { certificate: certificate.value, clients: clients?.value }
        }
        ModeText::Forward => {
            Mode::Forward(terminates(text.certificate, text.clients, certificates, faults))
        }
        ModeText::Transparent => {
            Mode::Transparent(terminates(text.certificate, text.clients, certificates, faults))
        }
        ModeText::Refuse => {
            unneeded(text.certificate.as_ref(), "certificate", faults);
            unneeded(text.clients.as_ref(), "clients", faults);
            Mode::Refuse
        }
    };
    Some(Listener { bind, mode, place })
}

/// Certificate and trust stand together or not at all: without them TLS is not terminated.
fn terminates(
    certificate: Option<At<Name>>,
    clients: Option<At<Name>>,
    certificates: Option<&Vec<Name>>,
    faults: &mut Faults,
) -> Option<Terminates> {
    match (certificate, clients) {
        (Some(certificate), Some(clients)) => {
            check_certificate(&certificate, certificates, faults);
            Some(Terminates { certificate: certificate.value, clients: clients.value })
        }
        (Some(alone), None) | (None, Some(alone)) => {
            let message = "`certificate` and `clients` stand together, or TLS is not terminated";
            faults.push(Fault::error("missing_key", &alone.place, message));
            None
        }
        (None, None) => None,
    }
}

fn needed(at: Option<At<Name>>, key: &str, place: &Place, faults: &mut Faults) -> Option<At<Name>> {
    if at.is_none() {
        faults.push(Fault::error(
            "missing_key",
            place,
            format!("key `{key}` is missing; mode `reverse` needs it"),
        ));
    }
    at
}

fn unneeded(at: Option<&At<Name>>, key: &str, faults: &mut Faults) {
    if let Some(at) = at {
        let message = format!("mode `refuse` has no `{key}`: it answers nothing");
        faults.push(
            Fault::error("unknown_key", &at.place, message).remedy(format!("leave `{key}` out")),
        );
    }
}

fn check_certificate(at: &At<Name>, certificates: Option<&Vec<Name>>, faults: &mut Faults) {
    let Some(names) = certificates else { return };
    if !names.contains(&at.value) {
        let names: Vec<_> = names.iter().map(Name::as_str).collect();
        faults.push(unknown_name("certificate", at.value.as_str(), &at.place, &names));
    }
}

/// No wildcards, and no address twice: the second listener could not be opened.
fn check_binds(text: &ApplianceText, faults: &mut Faults) {
    let listeners = text.listeners.iter().flat_map(|named| &named.entries);
    let listened = listeners.filter_map(|(_, listener)| listener.as_ref()?.bind.as_ref()).flatten();
    let admin = text.admin.as_ref().and_then(|admin| admin.bind.as_ref());
    let mut taken: BTreeMap<SocketAddr, &Place> = BTreeMap::new();
    for at in listened.chain(admin) {
        if at.value.ip().is_unspecified() || at.value.ip().is_multicast() {
            let message = format!("`{}` is a wildcard; a listener stands at one address", at.value);
            faults.push(
                Fault::error("bad_address", &at.place, message)
                    .remedy("write the address of one interface"),
            );
        }
        if let Some(first) = taken.insert(at.value, &at.place) {
            let message = format!("`{}` is bound twice", at.value);
            faults.push(
                Fault::error("overlap", &at.place, message)
                    .label("again here")
                    .and(first, "first here"),
            );
        }
    }
}

fn limits(text: Option<LimitsText>, faults: &mut Faults) -> Limits {
    let default = Limits::default();
    let Some(text) = text else { return default };
    let header_size = text.header_size.and_then(|at| header_size(&at, faults));
    let count = |at: Option<At<Count>>, default: u32| at.map_or(default, |at| at.value.0);
    let span = |at: Option<At<Duration>>, default: Duration| at.map_or(default, |at| at.value);
    Limits {
        connections: count(text.connections, default.connections),
        connections_per_source: count(text.connections_per_source, default.connections_per_source),
        streams: count(text.streams, default.streams),
        header_size: header_size.unwrap_or(default.header_size),
        handshake_timeout: span(text.handshake_timeout, default.handshake_timeout),
        connect_timeout: span(text.connect_timeout, default.connect_timeout),
        request_body_timeout: span(text.request_body_timeout, default.request_body_timeout),
        response_timeout: span(text.response_timeout, default.response_timeout),
        idle_timeout: span(text.idle_timeout, default.idle_timeout),
        upstream_idle_timeout: span(text.upstream_idle_timeout, default.upstream_idle_timeout),
        tcp_keepalive: span(text.tcp_keepalive, default.tcp_keepalive),
        drain_timeout: span(text.drain_timeout, default.drain_timeout),
        sync_timeout: span(text.sync_timeout, default.sync_timeout),
        disk_reserve: text.disk_reserve.map_or(default.disk_reserve, |at| at.value.0),
    }
}

fn header_size(at: &At<Size>, faults: &mut Faults) -> Option<usize> {
    if !HEADER_SIZE.contains(&at.value.0) {
        faults.push(Fault::error(
            "bad_value",
            &at.place,
            "a head has a size from `8KiB` to `1MiB`",
        ));
    }
    usize::try_from(at.value.0).ok()
}
