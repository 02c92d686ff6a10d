//! What the law and the box must agree on: lines, certificates, listeners, trust.

use std::collections::BTreeSet;

use super::model::{Model, Protocol, Upstream};
use crate::appliance::{Appliance, Mode};
use crate::flow::Name;
use crate::yaml::{Fault, Faults, unknown_name};

/// The names that a law expects of its box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Lines that upstreams are dialled on.
    pub lines: Vec<Name>,
    /// Certificates that upstreams are shown.
    pub certificates: Vec<Name>,
    /// Listeners that rules name.
    pub listeners: Vec<Name>,
}

impl Expected {
    /// What `model` expects, sorted and each once.
    pub fn of(model: &Model) -> Self {
        let upstreams = || model.systems.values().filter_map(|system| system.upstream.as_ref());
        Self {
            lines: distinct(upstreams().map(|upstream| upstream.line.clone())),
            certificates: distinct(upstreams().map(|upstream| upstream.certificate.clone())),
            listeners: distinct(model.rules.values().filter_map(|rule| rule.listener.clone())),
        }
    }
}

fn distinct(names: impl Iterator<Item = Name>) -> Vec<Name> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Finds every name that one of the two lacks.
pub(super) fn agree(model: &Model, appliance: &Appliance, faults: &mut Faults) {
    for upstream in model.systems.values().filter_map(|system| system.upstream.as_ref()) {
        check_upstream(upstream, appliance, faults);
    }
    let listeners: Vec<_> = appliance.listeners.keys().map(Name::as_str).collect();
    let ruled =
        model.rules.values().filter_map(|rule| Some((rule.listener.as_ref()?, &rule.place)));
    let imagined = model
        .scenarios
        .iter()
        .filter_map(|scenario| Some((scenario.flow.listener.as_ref()?, &scenario.place)));
    for (name, place) in ruled.chain(imagined) {
        if !appliance.listeners.contains_key(name) {
            faults.push(unknown_name("listener", name.as_str(), place, &listeners));
        }
    }
    check_listeners(model, appliance, faults);
    check_addressed(model, appliance, faults);
    // A trust with a mistake in it is not in the model, and that has been reported.
    if faults.is_sound() {
        check_trust(model, appliance, faults);
    }
}

fn check_upstream(upstream: &Upstream, appliance: &Appliance, faults: &mut Faults) {
    if !appliance.certificates.contains_key(&upstream.certificate) {
        let names: Vec<_> = appliance.certificates.keys().map(Name::as_str).collect();
        faults.push(unknown_name(
            "certificate",
            upstream.certificate.as_str(),
            &upstream.certificate_place,
            &names,
        ));
    }
    let Some(line) = appliance.lines.get(&upstream.line) else {
        let names: Vec<_> = appliance.lines.keys().map(Name::as_str).collect();
        faults.push(unknown_name("line", upstream.line.as_str(), &upstream.line_place, &names));
        return;
    };
    for endpoint in upstream
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.address.is_ipv4() != line.source.is_ipv4())
    {
        let message = format!(
            "`{}` cannot be dialled from `{}`: one is IPv4, the other IPv6",
            endpoint.address, line.source
        );
        let fault = Fault::error("bad_address", &endpoint.place, message);
        faults.push(fault.and(&line.place, format!("line `{}`", upstream.line)));
    }
}

/// No rule rests on a listener that answers nothing.
fn check_listeners(model: &Model, appliance: &Appliance, faults: &mut Faults) {
    for rule in model.rules.values() {
        let listener = rule.listener.as_ref().and_then(|name| appliance.listeners.get(name));
        if let Some(listener) = listener.filter(|listener| matches!(listener.mode, Mode::Refuse)) {
            let message = "the rule names a listener that answers nothing";
            let fault = Fault::error("refusing_listener", &rule.place, message);
            faults.push(fault.and(&listener.place, "mode `refuse`"));
        }
    }
}

/// A `tcp` passage names no destination but its address, which only a transparent or a forward listener learns.
fn check_addressed(model: &Model, appliance: &Appliance, faults: &mut Faults) {
    let learns = |mode: &Mode| matches!(mode, Mode::Forward(_) | Mode::Transparent(_));
    for rule in model.rules.values().filter(|rule| rule.protocol == Protocol::Tcp) {
        let named = rule.listener.as_ref().map(|name| appliance.listeners.get(name));
        let addressed = match named {
            Some(listener) => listener.is_none_or(|listener| learns(&listener.mode)),
            None => appliance.listeners.values().any(|listener| learns(&listener.mode)),
        };
        if !addressed {
            let message = "`tcp` says nothing of its destination but the address, which no listener of the rule learns";
            let fault = Fault::error("protocol_conflict", &rule.place, message);
            faults.push(fault.remedy("name a listener of mode `transparent` or `forward`"));
        }
    }
}

/// The clients of a reverse listener chain to a trust that the law knows.
fn check_trust(model: &Model, appliance: &Appliance, faults: &mut Faults) {
    let trusts: Vec<_> = model.trust.keys().map(Name::as_str).collect();
    for listener in appliance.listeners.values() {
        if let Some(clients) = listener.mode.clients()
            && !model.trust.contains_key(clients)
        {
            faults.push(unknown_name("trust", clients.as_str(), &listener.place, &trusts));
        }
    }
}
