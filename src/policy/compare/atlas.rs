//! Addresses, server names, identities and endpoints of two laws, cut into classes that neither law can tell apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::axis::Whose;
use super::both::Both;
use super::{Key, Pair};
use crate::flow::{Flow, Host, Identity, Name, ServerName, Timestamp};
use crate::policy::address;
use crate::policy::compile::{EndpointEntry, SystemId, Tables, prefixes};
use crate::policy::engine::Engine;
use crate::policy::model::Dial;
use crate::verdict::Reason;

/// A class of source addresses, by number.
pub(super) type SourceClass = usize;
/// A class of server names, by number.
pub(super) type HostClass = usize;

/// Whose a prefix is, and whether it may never initiate.
pub(super) type Owned = Option<(SystemId, bool)>;

/// Where things lie.
#[derive(Debug)]
pub(super) struct Atlas {
    pub(super) sources: Vec<Source>,
    source_of: BTreeMap<Both<Owned>, SourceClass>,
    pub(super) hosts: Vec<Names>,
    host_of: HashMap<Host, HostClass>,
    /// Identities by the systems that have them.
    pub(super) identities: Vec<Bearers>,
    identity_of: HashMap<Identity, usize>,
    /// Those whose systems have other names in the new law, or may or may not initiate.
    moved: Vec<usize>,
    names: Both<Vec<Name>>,
    /// The systems that may never initiate.
    closed: Both<Vec<bool>>,
    pub(super) endpoints: Vec<SocketAddr>,
    owners: Both<Owners>,
}

/// Addresses of one class.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) owned: Both<Owned>,
    /// First and last address of each stretch, in order.
    pub(super) stretches: Vec<(IpAddr, IpAddr)>,
}

/// Server names of one class.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) systems: Both<Option<SystemId>>,
    pub(super) hosts: Vec<Host>,
}

/// Identities that the same systems have.
#[derive(Debug)]
pub(super) struct Bearers {
    pub(super) systems: Both<Box<[SystemId]>>,
    pub(super) example: Identity,
}

/// The systems of an address's stretches, as numbers in order.
#[derive(Debug, Default)]
struct Owners {
    v4: Vec<(u128, Owned)>,
    v6: Vec<(u128, Owned)>,
}

/// What a law says of an endpoint; `None` where it says nothing that could let it be dialled.
pub(super) type Standing = Option<Known>;

/// What a law says of an endpoint that it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    /// Whose it is, by number.
    pub(super) system: SystemId,
    pub(super) residency: Option<Reason>,
    pub(super) dialled: bool,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Atlas {
    /// Charts two laws.
    pub(super) fn of(pair: Pair<'_>) -> Self {
        let tables = pair.map(Engine::tables);
        let (identities, identity_of) = bearers(tables);
        let mut atlas = Self {
            sources: Vec::new(),
            source_of: BTreeMap::new(),
            hosts: Vec::new(),
            host_of: HashMap::new(),
            moved: moved(tables, &identities),
            names: tables.map(|it| it.systems.iter().map(|system| system.name.clone()).collect()),
            identities,
            identity_of,
            closed: tables.map(|it| it.systems.iter().map(|system| !system.may_initiate).collect()),
            endpoints: endpoints(tables),
            owners: Both::default(),
        };
        atlas.chart_addresses(pair);
        atlas.chart_hosts(tables);
        atlas
    }

    /// Where a flow lies; `None` where both laws refuse it for its address or its server name.
    pub(super) fn key(&self, flow: &Flow) -> Option<Key> {
        let owners = self.owners.each().map(|owners| owners.of(flow.source));
        let source = *self.source_of.get(&owners)?;
        let host = match flow.hello.as_deref().map(|hello| &hello.server_name) {
            None => None,
            Some(ServerName::Name(host)) => Some(*self.host_of.get(host)?),
            Some(ServerName::Missing | ServerName::Unusable) => return None,
        };
        Some(Key { source, host })
    }

    /// Every cell in which a law has a rule.
    pub(super) fn keys(&self, pair: Pair<'_>) -> BTreeSet<Key> {
        let by_system = |pick: fn(&Names) -> Option<SystemId>| {
            let mut found: BTreeMap<SystemId, Vec<HostClass>> = BTreeMap::new();
            for (class, names) in self.hosts.iter().enumerate() {
                if let Some(system) = pick(names) {
                    found.entry(system).or_default().push(class);
                }
            }
            found
        };
        let hosts =
            Both { old: by_system(|it| it.systems.old), new: by_system(|it| it.systems.new) };
        let mut keys = BTreeSet::new();
        for (source, class) in self.sources.iter().enumerate() {
            for (engine, (owned, hosts)) in pair.with(class.owned.with(hosts.each())).into_iter() {
                let rules = open(owned).and_then(|system| engine.tables().sources.get(system));
                let Some(rules) = rules.filter(|rules| !rules.all.ids.is_empty()) else { continue };
                keys.insert(Key { source, host: None });
                let joined = hosts.iter().filter(|(to, _)| rules.by_destination.contains_key(*to));
                let joined = joined.flat_map(|(_, classes)| classes);
                keys.extend(joined.map(|host| Key { source, host: Some(*host) }));
            }
        }
        keys
    }

    /// Whether every name means the same in both laws, seen from a source and a destination.
    pub(super) fn is_plain(
        &self,
        sources: Both<Option<SystemId>>,
        destinations: Both<Option<SystemId>>,
    ) -> bool {
        let called = |systems: Both<Option<SystemId>>| {
            self.names.each().with(systems).map(|(names, system)| names.get(system?)).agrees()
        };
        let agrees = |bearers: &Bearers| {
            self.borne(bearers, sources).agrees() && bearers.speaks(destinations).agrees()
        };
        if called(sources) && called(destinations) {
            // Between the same two only what has moved can mean something else.
            return self.moved.iter().filter_map(|at| self.identities.get(*at)).all(agrees);
        }
        self.identities.iter().all(agrees)
    }

    /// An address of a class.
    pub(super) fn address(&self, class: SourceClass) -> Option<IpAddr> {
        self.sources.get(class)?.stretches.first().map(|(first, _)| *first)
    }

    /// Whose names these are, seen from a system of each law.
    pub(super) fn whose(
        &self,
        identities: &[Identity],
        sources: Both<Option<SystemId>>,
    ) -> Both<Whose> {
        let known =
            identities.iter().filter_map(|it| self.identities.get(*self.identity_of.get(it)?));
        known.fold(Both { old: Whose::Nobody, new: Whose::Nobody }, |found, bearers| {
            found.with(self.borne(bearers, sources)).map(|(a, b)| a.max(b))
        })
    }

    /// Whose an identity of this class is, seen from a system of each law.
    pub(super) fn borne(&self, bearers: &Bearers, sources: Both<Option<SystemId>>) -> Both<Whose> {
        let sides = bearers.systems.each().with(sources).with(self.closed.each());
        sides.map(|((systems, source), closed)| {
            let one = |system: &SystemId| match closed.get(*system) {
                Some(true) => Whose::Closed,
                _ if source == Some(*system) => Whose::Own,
                _ => Whose::Other,
            };
            systems.iter().map(one).max().unwrap_or(Whose::Nobody)
        })
    }

    /// Whether one of these names is the destination's.
    pub(super) fn speaks(
        &self,
        identities: &[Identity],
        destinations: Both<Option<SystemId>>,
    ) -> Both<bool> {
        let known =
            identities.iter().filter_map(|it| self.identities.get(*self.identity_of.get(it)?));
        known.fold(Both::default(), |found: Both<bool>, bearers| {
            found.with(bearers.speaks(destinations)).map(|(a, b)| a || b)
        })
    }

    fn chart_addresses(&mut self, pair: Pair<'_>) {
        let (v4, v6) = boundaries(pair);
        let v4 = v4.into_iter().filter_map(|it| {
            u32::try_from(it).ok().map(|it| (u128::from(it), IpAddr::V4(Ipv4Addr::from_bits(it))))
        });
        self.chart(pair, &v4.collect::<Vec<_>>(), IpAddr::V4(Ipv4Addr::BROADCAST));
        let v6: Vec<_> =
            v6.into_iter().map(|it| (it, IpAddr::V6(Ipv6Addr::from_bits(it)))).collect();
        self.chart(pair, &v6, IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)));
    }

    /// Charts one family: each stretch goes from its boundary to the next one.
    fn chart(&mut self, pair: Pair<'_>, boundaries: &[(u128, IpAddr)], last: IpAddr) {
        for (index, (number, first)) in boundaries.iter().enumerate() {
            let end = boundaries.get(index + 1).map_or(last, |(next, _)| before(*next, *first));
            let owned = |engine: &Engine| {
                engine.tables().owner(*first).map(|owner| (owner.system, owner.closed))
            };
            // What is IPv4 inside was charted as such.
            let embedded = address::canonical(*first) != *first;
            let owners = if embedded { Both::default() } else { pair.map(owned) };
            self.owners.old.push(*first, *number, owners.old);
            self.owners.new.push(*first, *number, owners.new);
            if owners != Both::default() {
                self.add(owners, (*first, end));
            }
        }
    }

    fn add(&mut self, owned: Both<Owned>, stretch: (IpAddr, IpAddr)) {
        let class = *self.source_of.entry(owned).or_insert(self.sources.len());
        if class == self.sources.len() {
            self.sources.push(Source { owned, stretches: Vec::new() });
        }
        if let Some(source) = self.sources.get_mut(class) {
            source.stretches.push(stretch);
        }
    }

    fn chart_hosts(&mut self, tables: Both<&Tables>) {
        let mut classes: BTreeMap<Both<Option<SystemId>>, HostClass> = BTreeMap::new();
        let all: BTreeSet<&Host> =
            tables.into_iter().flat_map(|tables| tables.hosts.keys()).collect();
        for host in all {
            let systems = tables.map(|tables| tables.hosts.get(host).copied());
            let class = *classes.entry(systems).or_insert(self.hosts.len());
            if class == self.hosts.len() {
                self.hosts.push(Names { systems, hosts: Vec::new() });
            }
            if let Some(names) = self.hosts.get_mut(class) {
                names.hosts.push(host.clone());
            }
            self.host_of.insert(host.clone(), class);
        }
    }
}

/// The system behind an address, unless it may never initiate.
pub(super) fn open(owned: Owned) -> Option<SystemId> {
    owned.filter(|(_, closed)| !closed).map(|(system, _)| system)
}

impl Owners {
    fn push(&mut self, like: IpAddr, first: u128, owned: Owned) {
        if like.is_ipv4() { self.v4.push((first, owned)) } else { self.v6.push((first, owned)) }
    }

    fn of(&self, address: IpAddr) -> Owned {
        let (number, stretches) = match address::canonical(address) {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), &self.v4),
            IpAddr::V6(v6) => (v6.to_bits(), &self.v6),
        };
        let behind = stretches.partition_point(|(first, _)| *first <= number);
        stretches.get(behind.checked_sub(1)?).and_then(|(_, owned)| *owned)
    }
}

impl Bearers {
    /// Whether the destination is among them.
    pub(super) fn speaks(&self, destinations: Both<Option<SystemId>>) -> Both<bool> {
        let sides = self.systems.each().with(destinations);
        sides.map(|(systems, to)| to.is_some_and(|to| systems.contains(&to)))
    }
}

/// The address before `next`, in the family of `like`.
fn before(next: u128, like: IpAddr) -> IpAddr {
    let number = next.saturating_sub(1);
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

/// Where a prefix of either law begins or has ended; in IPv6 also the ranges that are IPv4 inside.
fn boundaries(pair: Pair<'_>) -> (BTreeSet<u128>, BTreeSet<u128>) {
    let (mut v4, mut v6) = (BTreeSet::from([0]), BTreeSet::from([0]));
    let systems =
        [pair.old, pair.new].into_iter().flat_map(|engine| engine.model().systems.values());
    let embedded = ["::ffff:0:0/96", "64:ff9b::/96", "2002::/16", "2001::/32"];
    let embedded = embedded.into_iter().filter_map(|text| text.parse::<IpNet>().ok());
    for net in systems.flat_map(prefixes).chain(embedded) {
        match net {
            IpNet::V4(net) => {
                v4.insert(u128::from(net.network().to_bits()));
                v4.insert(u128::from(net.broadcast().to_bits()) + 1);
            }
            IpNet::V6(net) => {
                v6.insert(net.network().to_bits());
                v6.extend(net.broadcast().to_bits().checked_add(1));
            }
        }
    }
    (v4, v6)
}

/// Every identity of either law, those of the same systems as one.
fn bearers(tables: Both<&Tables>) -> (Vec<Bearers>, HashMap<Identity, usize>) {
    let all: BTreeSet<&Identity> =
        tables.into_iter().flat_map(|tables| tables.identities.keys()).collect();
    let mut classes: BTreeMap<Both<Box<[SystemId]>>, usize> = BTreeMap::new();
    let (mut found, mut of) = (Vec::new(), HashMap::new());
    for identity in all {
        let systems =
            tables.map(|tables| tables.identities.get(identity).cloned().unwrap_or_default());
        let class = *classes.entry(systems.clone()).or_insert(found.len());
        if class == found.len() {
            found.push(Bearers { systems, example: identity.clone() });
        }
        of.insert(identity.clone(), class);
    }
    (found, of)
}

/// The identities whose systems have other names in the new law, or may or may not initiate.
fn moved(tables: Both<&Tables>, identities: &[Bearers]) -> Vec<usize> {
    let said = |(tables, systems): (&Tables, &[SystemId])| {
        let systems = systems.iter().filter_map(|system| tables.systems.get(*system));
        systems.map(|it| (it.name.clone(), it.may_initiate)).collect::<BTreeSet<_>>()
    };
    let moves = |bearers: &Bearers| {
        !tables
            .with(bearers.systems.each())
            .map(|(tables, systems)| said((tables, systems)))
            .agrees()
    };
    identities.iter().enumerate().filter(|(_, it)| moves(it)).map(|(at, _)| at).collect()
}

fn endpoints(tables: Both<&Tables>) -> Vec<SocketAddr> {
    let all: BTreeSet<_> = tables.into_iter().flat_map(|tables| tables.endpoints.keys()).collect();
    all.into_iter().copied().collect()
}

/// What a law says of an endpoint of a destination; of anyone's where there is none.
pub(super) fn standing(tables: &Tables, endpoint: SocketAddr, to: Option<SystemId>) -> Standing {
    let entry: &EndpointEntry =
        tables.endpoint(endpoint).filter(|it| to.is_none_or(|to| to == it.system))?;
    // Nothing is open at a desk: a site that waits for a declaration is not dialled.
    let dialled = entry.dial == Dial::Always;
    let (since, until) = (entry.term.since, entry.term.until.min(entry.known_until));
    Some(Known { system: entry.system, residency: entry.residency, dialled, since, until })
}
