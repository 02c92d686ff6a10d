//! Sites, trust, and the systems with their upstreams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{Table, each_once, period};
use crate::flow::Name;
use crate::policy::address::{canonical, canonical_socket};
use crate::policy::document::{
    EndpointText, RevocationText, SiteText, SystemText, TrustText, UpstreamText,
};
use crate::policy::merge::Section;
use crate::policy::model::{
    Approval, Document, Endpoint, RevocationLists, Site, System, Trust, Upstream, Zone,
};
use crate::yaml::{At, Fault, Faults, Mapped, Place, joined};

/// What systems rest on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) zone: Zone,
    pub(super) approvals: &'a Table<Approval>,
    pub(super) sites: &'a Table<Site>,
    pub(super) trust: &'a Table<Trust>,
}

pub(super) fn site(
    text: SiteText,
    name: &At<Name>,
    documents: &Table<Document>,
    faults: &mut Faults,
) -> Option<Site> {
    let evidence = text.evidence.and_then(|at| documents.find(&at, faults));
    Some(Site {
        title: text.title.map(|at| at.value),
        country: text.country?.value.0,
        dial: text.dial?.value,
        evidence: evidence?,
        round_trip_max: text.round_trip_max.map(|at| at.value),
        place: name.place.clone(),
    })
}

pub(super) fn trust(text: TrustText, name: &At<Name>, faults: &mut Faults) -> Option<Trust> {
    let revocation = text.revocation.and_then(|text| revocation(text, faults));
    let roots = text.roots?;
    Some(Trust {
        roots: joined(&roots.place, &roots.value),
        revocation: revocation?,
        place: name.place.clone(),
    })
}

fn revocation(text: RevocationText, faults: &mut Faults) -> Option<RevocationLists> {
    let (lists, none) = (text.lacks("lists"), text.lacks("none"));
    match (text.lists, text.none) {
        (Some(lists), None) if none => {
            let lists = each_once(lists, faults);
            Some(RevocationLists::Lists(
                lists.iter().map(|at| joined(&at.place, &at.value)).collect(),
            ))
        }
        (None, Some(why)) if lists => Some(RevocationLists::NotKept(why.value)),
        (Some(_), Some(why)) => {
            let fault = Fault::error(
                "bad_value",
                &why.place,
                "there are lists and there are none; one of the two holds",
            );
            faults.push(fault.remedy("leave `none` out"));
            None
        }
        (None, None) if lists && none => {
            let message = "how revocation is known is missing";
            let remedy = "write `lists: [FILE]`, or `none: \"why there is no list\"`";
            faults.push(Fault::error("missing_key", &text.place, message).remedy(remedy));
            None
        }
        // The one that is there is wrong, and that has been said.
        (Some(_) | None, None) | (None, Some(_)) => None,
    }
}

pub(super) fn system(
    text: SystemText,
    name: &At<Name>,
    ground: &Ground<'_>,
    faults: &mut Faults,
) -> Option<System> {
    check_needs(&text, name, faults);
    let identities = text.identities.map(|list| each_once(list, faults));
    let upstream = text.upstream.and_then(|text| upstream(text, ground, faults));
    Some(System {
        title: text.title.map(|at| at.value),
        side: text.side?.value,
        owner: text.owner.map(|at| at.value),
        addresses: text.addresses.into_iter().flatten().map(|at| at.value).collect(),
        identities: identities?.into_iter().map(|at| at.value).collect(),
        upstream,
        place: name.place.clone(),
    })
}

/// The systems that an upstream is written for.
pub(super) fn reachable(systems: &Section<SystemText>) -> BTreeSet<Name> {
    let written = |text: &SystemText| !text.lacks("upstream");
    let names = systems.iter().filter(|(_, text)| text.as_ref().is_none_or(written));
    names.map(|(name, _)| name.value.clone()).collect()
}

/// A system that is reached has somebody who answers for it; one that is not has addresses to be known by.
fn check_needs(text: &SystemText, name: &At<Name>, faults: &mut Faults) {
    if text.lacks("addresses") && text.lacks("upstream") {
        let message =
            format!("key `addresses` is missing; system `{}` has no `upstream` either", name.value);
        faults.push(Fault::error("missing_key", &name.place, message));
    }
    if text.lacks("owner") && !text.lacks("upstream") {
        let message = format!("key `owner` is missing; system `{}` has an `upstream`", name.value);
        faults.push(Fault::error("missing_key", &name.place, message));
    }
}

fn upstream(text: UpstreamText, ground: &Ground<'_>, faults: &mut Faults) -> Option<Upstream> {
    let trust = text.trust.and_then(|at| ground.trust.find(&at, faults));
    let written = text.endpoints?;
    check_addresses(&written, faults);
    let endpoints: Vec<_> =
        written.into_iter().filter_map(|text| endpoint(text, ground, faults)).collect();
    let (line, certificate) = (text.line?, text.certificate?);
    let upstream = Upstream {
        server_name: text.server_name?.value,
        line: line.value,
        trust: trust?,
        certificate: certificate.value,
        connections: text.connections.map(|at| at.value.0),
        endpoints,
        line_place: line.place,
        certificate_place: certificate.place,
    };
    (!upstream.endpoints.is_empty()).then_some(upstream)
}

fn endpoint(text: EndpointText, ground: &Ground<'_>, faults: &mut Faults) -> Option<Endpoint> {
    let site = text.site.and_then(|at| ground.sites.find(&at, faults));
    let approval = text.approval.and_then(|at| ground.approvals.find(&at, faults));
    let period = period(text.since, text.until, ground.zone, faults);
    let address = text.address?;
    Some(Endpoint {
        address: address.value,
        site: site?,
        approval: approval?,
        period,
        place: address.place,
    })
}

/// Each endpoint is an address that can be dialled, and there once.
fn check_addresses(endpoints: &[EndpointText], faults: &mut Faults) {
    let mut seen: BTreeMap<SocketAddr, &Place> = BTreeMap::new();
    for at in endpoints.iter().filter_map(|endpoint| endpoint.address.as_ref()) {
        if !can_be_dialled(at.value.ip()) {
            let message = format!("`{}` is no address that can be dialled", at.value);
            faults.push(Fault::error("bad_address", &at.place, message));
        }
        if let Some(first) = seen.insert(canonical_socket(at.value), &at.place) {
            let message = format!("endpoint `{}` is there twice", at.value);
            faults.push(
                Fault::error("duplicate_value", &at.place, message)
                    .label("again here")
                    .and(first, "first here"),
            );
        }
    }
}

fn can_be_dialled(address: IpAddr) -> bool {
    let address = canonical(address);
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}
