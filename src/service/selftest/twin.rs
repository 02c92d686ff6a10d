//! The second law: the one in force, its trust, its certificates, its lines and its endpoints replaced by stand-ins.
//! Everything else in it is as it is: systems and their addresses, rules, guardrails, dates, listeners.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::papers::Papers;
use super::passage::Passage;
use crate::appliance::Appliance;
use crate::flow::Name;
use crate::policy::{Engine, Law, Model};
use crate::proxy::Snapshot;
use crate::source::Loaded;
use crate::yaml::Faults;

/// Codes that ISO 3166-1 leaves to its users: the country of nobody.
const NOWHERE: [&str; 4] = ["ZZ", "XZ", "QZ", "AA"];

/// The networks of this machine in which stand-ins are looked for a place.
const ROOM: [[u8; 2]; 4] = [[113, 53], [91, 113], [53, 91], [127, 53]];

/// Where the stand-in of each system that can be reached listens: an address that no system of the law has.
///
/// # Errors
/// Where the law leaves no such address.
pub(super) fn places(engine: &Engine) -> Result<BTreeMap<Name, IpAddr>, String> {
    let systems = engine.model().systems.iter();
    let reached: Vec<_> = systems.filter(|(_, system)| system.upstream.is_some()).collect();
    let free = ROOM
        .iter()
        .flat_map(|[b, c]| (1..=254).map(move |d| IpAddr::from(Ipv4Addr::new(127, *b, *c, d))))
        .filter(|address| engine.system_of(*address).is_none());
    let places: BTreeMap<_, _> =
        reached.iter().map(|(name, _)| (*name).clone()).zip(free).collect();
    if places.len() == reached.len() {
        Ok(places)
    } else {
        Err("the law leaves no address of this machine to a stand-in".to_owned())
    }
}

/// The twin of the law in force, whose endpoints are those of `endpoints`.
#[derive(Debug)]
pub(super) struct Twin<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) passage: &'a Passage,
    pub(super) papers: &'a Papers,
    pub(super) endpoints: &'a BTreeMap<SocketAddr, SocketAddr>,
}

impl Twin<'_> {
    /// The law as it is.
    ///
    /// # Errors
    /// Why it cannot be put in force.
    pub(super) fn home(&self) -> Result<Arc<Snapshot>, String> {
        self.snapshot(self.model())
    }

    /// The same with every site abroad.
    ///
    /// # Errors
    /// As [`Twin::home`].
    pub(super) fn abroad(&self) -> Result<Arc<Snapshot>, String> {
        let mut model = self.model();
        let permitted = model.guardrails.residency.as_ref().map(|guardrail| &guardrail.what);
        let foreign = |code: &&&str| permitted.is_none_or(|permitted| !permitted.contains(**code));
        let country = NOWHERE.iter().find(foreign).ok_or("every country is permitted")?;
        for site in model.sites.values_mut() {
            (*country).clone_into(&mut site.country);
        }
        self.snapshot(model)
    }

    fn model(&self) -> Model {
        let mut model = self.loaded.law.engine.model().clone();
        for system in model.systems.values_mut() {
            for endpoint in system.upstream.iter_mut().flat_map(|it| &mut it.endpoints) {
                // One that has no stand-in stays what it is, and keeps the rehearsal from beginning.
                endpoint.address =
                    self.endpoints.get(&endpoint.address).copied().unwrap_or(endpoint.address);
            }
        }
        self.papers.pin(&mut model, self.passage);
        model
    }

    fn snapshot(&self, model: Model) -> Result<Arc<Snapshot>, String> {
        let engine = Arc::new(self.loaded.law.engine.under(model));
        let twin = Loaded {
            appliance: appliance(&self.loaded.appliance),
            law: Law { engine, warnings: Faults::new(), scenarios: 0 },
            trust: self.papers.trust.clone(),
            certificates: self.papers.certificates.clone(),
            digest: self.loaded.digest,
            guardrails: self.loaded.guardrails,
            files: Vec::new(),
        };
        Snapshot::build(&twin).map(Arc::new).map_err(|faults| faults.render(false))
    }
}

/// The box, whose lines all lead to this machine.
fn appliance(appliance: &Appliance) -> Appliance {
    let mut appliance = appliance.clone();
    for line in appliance.lines.values_mut() {
        "lo".clone_into(&mut line.interface);
        line.source = Ipv4Addr::LOCALHOST.into();
    }
    appliance
}
