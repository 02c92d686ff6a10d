//! The geography file that the law pins by its digest: found among what was read, compared, asked about every public
//! endpoint. How such a file is read stands elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::flow::Name;
use crate::policy::address;
use crate::policy::document::GeographyText;
use crate::policy::geography::read;
use crate::policy::model::{Geography, System};
use crate::yaml::{Fault, Faults, SourceFile, joined, quoted};

pub(super) fn geography(
    text: GeographyText,
    systems: &BTreeMap<Name, System>,
    data: &[SourceFile],
    faults: &mut Faults,
) -> Option<Geography> {
    let (written, due, age_max) = (text.file?, text.sha256?, text.age_max?);
    let path = joined(&written.place, &written.value).to_string_lossy().into_owned();
    let shown = quoted(&path);
    let Some(file) = data.iter().find(|file| *file.name == *path) else {
        let message = format!("the geography file {shown} cannot be read");
        faults.push(Fault::error("file_missing", &written.place, message));
        return None;
    };
    let found = hex(digest(&SHA256, &file.bytes).as_ref());
    if found != hex(&due.value.0) {
        let message = format!("{shown} is not the file that the law names: its SHA-256 is another");
        let fault = Fault::error("geography_digest", &due.place, message);
        faults.push(fault.remedy(format!("where it was replaced on purpose, write `{found}`")));
        return None;
    }
    match read(&file.bytes, &public(systems)) {
        Ok(registry) => Some(Geography {
            countries: registry.countries,
            until: registry.made.plus(age_max.value),
            place: text.place,
        }),
        Err(why) => {
            let message = format!("{shown} cannot be used: {why}");
            faults.push(Fault::error("geography_unusable", &written.place, message));
            None
        }
    }
}

/// The endpoints that a registry could place.
fn public(systems: &BTreeMap<Name, System>) -> BTreeSet<IpAddr> {
    let endpoints = systems.values().filter_map(|system| system.upstream.as_ref());
    let addresses = endpoints.flat_map(|upstream| &upstream.endpoints);
    let canonical = addresses.map(|endpoint| address::canonical(endpoint.address.ip()));
    canonical.filter(|address| !address::is_special_purpose(*address)).collect()
}

/// As `sha256sum` writes it.
pub(in crate::policy) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
