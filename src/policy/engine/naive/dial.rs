//! The slower truth of the address about to be dialled: its country, its site, what is declared, its dates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::flow::{Flow, Name, Timestamp};
use crate::policy::address::is_special_purpose;
use crate::policy::engine::Opened;
use crate::policy::model::{Dial, Endpoint, Model, Period};
use crate::verdict::Reason;

/// Whose endpoint a socket address is.
pub(super) fn find(model: &Model, dialled: SocketAddr) -> Option<(&Name, &Endpoint)> {
    model.systems.iter().find_map(|(name, system)| {
        let mut endpoints = system.upstream.iter().flat_map(|up| &up.endpoints);
        let same = |it: &&Endpoint| {
            plain(it.address.ip()) == plain(dialled.ip()) && it.address.port() == dialled.port()
        };
        endpoints.find(same).map(|endpoint| (name, endpoint))
    })
}

/// Whether a declaration opens a site for a rule at this moment.
pub(super) fn is_open(
    model: &Model,
    opened: &Opened,
    (site, rule): (&Name, &Name),
    at: Timestamp,
) -> bool {
    let Some(declaration) = model.declarations.get(&opened.declaration) else { return false };
    let approval = model.approvals[&declaration.approval].period;
    declaration.site == *site
        && declaration.rules.contains(rule)
        && at >= opened.since
        && at < opened.until
        && at < opened.since.plus(declaration.at_most)
        && out_of_time(&[approval], at).is_none()
}

pub(super) fn dial(
    model: &Model,
    flow: &Flow,
    destination: Option<&Name>,
    opens: &dyn Fn(&Name) -> bool,
) -> Option<Reason> {
    let dialled = flow.endpoint?;
    let Some((name, endpoint)) = find(model, dialled) else {
        let guarded = model.guardrails.residency.is_some();
        return Some(if guarded { Reason::CountryUnknown } else { Reason::NoRule });
    };
    let site = &model.sites[&endpoint.site];
    if let Some(residency) = &model.guardrails.residency {
        if !residency.what.contains(&site.country) {
            return Some(Reason::OutsideCountry);
        }
        let address = plain(endpoint.address.ip());
        if !is_special_purpose(address) {
            let Some(geography) = &model.geography else { return Some(Reason::CountryUnknown) };
            match geography.countries.get(&address) {
                Some(country) if residency.what.contains(country) => {}
                Some(_) => return Some(Reason::OutsideCountry),
                None => return Some(Reason::CountryUnknown),
            }
            if flow.at >= geography.until {
                return Some(Reason::CountryUnknown);
            }
        }
        let paper = model.documents.get(&site.evidence).and_then(|paper| paper.until);
        if paper.is_some_and(|until| flow.at >= until) {
            return Some(Reason::CountryUnknown);
        }
    }
    if destination.is_some_and(|destination| destination != name) {
        return Some(Reason::NoRule);
    }
    let waits = site.dial == Dial::Declared && !opens(&endpoint.site);
    if waits || site.dial == Dial::Never {
        return Some(Reason::SiteNotDeclared);
    }
    let approval = model.approvals[&endpoint.approval].period;
    out_of_time(&[approval, endpoint.period], flow.at)
}

pub(super) fn out_of_time(periods: &[Period], at: Timestamp) -> Option<Reason> {
    if periods.iter().any(|period| period.since.is_some_and(|since| at < since)) {
        return Some(Reason::BeforeApproval);
    }
    let ended = periods.iter().any(|period| period.until.is_some_and(|until| at >= until));
    ended.then_some(Reason::AfterApproval)
}

/// IPv4 out of IPv6, by its bytes.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let bytes = v6.octets();
    let four = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    let mapped = bytes[..10] == [0; 10] && bytes[10..12] == [0xff; 2];
    let nat64 = bytes[..12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    if mapped || nat64 {
        IpAddr::V4(four(12))
    } else if bytes[..2] == [0x20, 0x02] {
        IpAddr::V4(four(2))
    } else if bytes[..4] == [0x20, 0x01, 0, 0] {
        IpAddr::V4(Ipv4Addr::from(!u32::from(four(12))))
    } else {
        address
    }
}
