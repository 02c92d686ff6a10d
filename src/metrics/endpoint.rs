//! What the last dial of each endpoint found. Nothing is dialled without a flow, so an endpoint that no flow
//! needed yet is unknown: it has no series, rather than one that says `down`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::family::Families;
use crate::flow::Name;

/// What the last dial of one endpoint found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDial {
    /// The system.
    pub system: Name,
    /// The dialled address.
    pub endpoint: SocketAddr,
    /// Its site.
    pub site: Name,
    /// Whether it was reached.
    pub up: bool,
    /// The shortest round trip since this box dials it.
    pub round_trip_min: Option<Duration>,
}

/// Every endpoint that was dialled, by system, address and site.
#[derive(Debug, Default)]
pub(super) struct Endpoints(BTreeMap<Key, Found>);

type Key = (Name, SocketAddr, Name);

#[derive(Debug, Default, Clone, Copy)]
struct Found {
    up: bool,
    round_trip_min: Option<Duration>,
}

impl Endpoints {
    /// Takes the outcome of one dial; a round trip means that it was reached.
    pub(super) fn dialled(
        &mut self,
        families: &Families,
        (system, endpoint, site): (&Name, SocketAddr, &Name),
        round_trip: Option<Duration>,
    ) {
        let found = self.0.entry((system.clone(), endpoint, site.clone())).or_default();
        found.up = round_trip.is_some();
        let address = endpoint.to_string();
        let labels = [system.as_str(), &address, site.as_str()];
        families.endpoint_up.with_label_values(&labels).set(i64::from(found.up));
        if let Some(trip) = round_trip {
            let shortest = found.round_trip_min.map_or(trip, |known| known.min(trip));
            found.round_trip_min = Some(shortest);
            families.endpoint_round_trip_min.with_label_values(&labels).set(shortest.as_secs_f64());
        }
    }

    /// Forgets what is no endpoint of the law any more: a gauge that nothing will ever set again is a lie.
    pub(super) fn retain(&mut self, families: &Families, law: &BTreeSet<Key>) {
        let gone: Vec<Key> = self.0.keys().filter(|key| !law.contains(*key)).cloned().collect();
        for key in gone {
            self.0.remove(&key);
            let (system, endpoint, site) = key;
            let address = endpoint.to_string();
            let labels = [system.as_str(), &address, site.as_str()];
            // An endpoint that never answered has no round trip to remove.
            drop(families.endpoint_round_trip_min.remove_label_values(&labels));
            drop(families.endpoint_up.remove_label_values(&labels));
        }
    }

    /// All of them, in order.
    pub(super) fn list(&self) -> Vec<LastDial> {
        let one = |((system, endpoint, site), found): (&Key, &Found)| LastDial {
            system: system.clone(),
            endpoint: *endpoint,
            site: site.clone(),
            up: found.up,
            round_trip_min: found.round_trip_min,
        };
        self.0.iter().map(one).collect()
    }
}
