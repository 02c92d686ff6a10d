//! What `residency` comes to for one endpoint: by its site, the paper behind it, and for a public address the geography.

use crate::flow::Timestamp;
use crate::policy::address;
use crate::policy::model::{Endpoint, Model};
use crate::verdict::Reason;

/// What `residency` says of an endpoint at any time. Its site must lie in a permitted country; that is believed on the
/// site's evidence where no registry of the world could place the address, else the geography has to say so too.
pub(super) fn residency(model: &Model, endpoint: &Endpoint) -> Option<Reason> {
    let permitted = &model.guardrails.residency.as_ref()?.what;
    match model.sites.get(&endpoint.site) {
        Some(site) if !permitted.contains(&site.country) => return Some(Reason::OutsideCountry),
        Some(_) => {}
        None => return Some(Reason::CountryUnknown),
    }
    let address = address::canonical(endpoint.address.ip());
    if address::is_special_purpose(address) {
        return None;
    }
    let geography = model.geography.as_ref();
    match geography.and_then(|geography| geography.countries.get(&address)) {
        Some(country) if permitted.contains(country) => None,
        Some(_) => Some(Reason::OutsideCountry),
        None => Some(Reason::CountryUnknown),
    }
}

/// How long what `residency` leans on holds: the site's paper, and for a public address the geography.
pub(super) fn known_until(model: &Model, endpoint: &Endpoint) -> Timestamp {
    if model.guardrails.residency.is_none() {
        return Timestamp::MAX;
    }
    let site = model.sites.get(&endpoint.site);
    let paper = site.and_then(|site| model.documents.get(&site.evidence)?.until);
    let public = !address::is_special_purpose(endpoint.address.ip());
    let geography = model.geography.as_ref().filter(|_| public).map(|geography| geography.until);
    paper.into_iter().chain(geography).min().unwrap_or(Timestamp::MAX)
}
