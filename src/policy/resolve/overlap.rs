//! What belongs to one system only: its addresses, its identities, its server name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::flow::Name;
use crate::policy::address::canonical_net;
use crate::policy::document::SystemText;
use crate::policy::merge::Section;
use crate::yaml::{At, Fault, Faults, Place};

/// Finds what two systems claim.
pub(super) fn check(systems: &Section<SystemText>, faults: &mut Faults) {
    addresses(systems, faults);
    let known: Vec<_> =
        systems.iter().filter_map(|(name, text)| Some((&name.value, text.as_ref()?))).collect();
    let identities = known
        .iter()
        .flat_map(|(name, text)| text.identities.iter().flatten().map(move |at| (*name, at)));
    claimed_once(
        "identity",
        identities.map(|(name, at)| (name, at.value.to_string(), &at.place)),
        faults,
    );
    let names = known
        .iter()
        .filter_map(|(name, text)| Some((*name, text.upstream.as_ref()?.server_name.as_ref()?)));
    claimed_once(
        "server name",
        names.map(|(name, at)| (name, at.value.to_string(), &at.place)),
        faults,
    );
}

fn claimed_once<'a>(
    kind: &str,
    claims: impl Iterator<Item = (&'a Name, String, &'a Place)>,
    faults: &mut Faults,
) {
    let mut owners: BTreeMap<String, (&Name, &Place)> = BTreeMap::new();
    for (system, what, place) in claims {
        match owners.get(&what) {
            Some((first, _)) if *first == system => {}
            Some((first, at)) => {
                let message = format!("{kind} `{what}` belongs to `{first}` and to `{system}`");
                let fault = Fault::error("overlap", place, message).label(format!("`{system}`"));
                faults.push(fault.and(at, format!("`{first}`")));
            }
            None => drop(owners.insert(what, (system, place))),
        }
    }
}

/// One range of addresses that a system claims.
struct Claim<'a> {
    system: &'a Name,
    range: IpNet,
    place: &'a Place,
}

/// Ranges are nested or disjoint, so that in the order of their beginnings only those that are still open can overlap.
fn addresses(systems: &Section<SystemText>, faults: &mut Faults) {
    let mut claims: Vec<_> = systems.iter().flat_map(claims).collect();
    claims.sort_by_key(|claim| (claim.range.network(), claim.range.prefix_len()));
    let mut open: Vec<Claim<'_>> = Vec::new();
    for claim in claims {
        while open.last().is_some_and(|last| !last.range.contains(&claim.range)) {
            open.pop();
        }
        if let Some(other) = open.iter().rev().find(|other| other.system != claim.system) {
            faults.push(overlap(&claim, other));
        }
        open.push(claim);
    }
}

fn overlap(inner: &Claim<'_>, outer: &Claim<'_>) -> Fault {
    let message = format!("addresses of `{}` and `{}` overlap", outer.system, inner.system);
    let label = format!("`{}` of `{}`", inner.range, inner.system);
    let fault = Fault::error("overlap", inner.place, message).label(label);
    fault.and(outer.place, format!("`{}` of `{}`", outer.range, outer.system))
}

/// The addresses of a system: those it has and those of its endpoints.
fn claims((name, text): &(At<Name>, Option<SystemText>)) -> Vec<Claim<'_>> {
    let Some(text) = text else { return Vec::new() };
    // IPv4 inside IPv6 is the IPv4 that it is: no spelling makes two claims out of one address.
    let claim = |range, place| Claim { system: &name.value, range: canonical_net(range), place };
    let own = text.addresses.iter().flatten().map(|at| claim(at.value, &at.place));
    let endpoints =
        text.upstream.iter().filter_map(|upstream| upstream.endpoints.as_ref()).flatten();
    let dialled = endpoints.filter_map(|endpoint| endpoint.address.as_ref());
    let single = |address: IpAddr| IpNet::from(address);
    own.chain(dialled.map(|at| claim(single(at.value.ip()), &at.place))).collect()
}
