//! From what was MEANT to what RUNS: every name becomes a number, every list a look-up. Nothing is decided here
//! but what no flow can change: where an endpoint stands and from when until when a rule holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;
// What is looked up comes from clients, what is stored from the law alone: no client can make keys collide.
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};

use crate::flow::{Host, Identity, Method, Name, Timestamp, TlsVersion};
use crate::policy::address;
use crate::policy::model::{
    Dial, Enforcement, Guardrail, Http, Model, PathPattern, Period, Protocol, Rule, SegmentPattern,
    System,
};
pub(super) use crate::policy::residency::{known_until, residency};
use crate::policy::trie::Trie;
use crate::verdict::Reason;

/// A system by its number, in the order of names.
pub(super) type SystemId = usize;

/// A rule by its number, in the order of names.
pub(super) type RuleId = usize;

/// The law as tables.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) systems: Vec<SystemEntry>,
    pub(super) addresses: JointPrefixMap<IpNet, Owner>,
    pub(super) hosts: HashMap<Host, SystemId>,
    pub(super) identities: HashMap<Identity, Box<[SystemId]>>,
    pub(super) endpoints: HashMap<SocketAddr, EndpointEntry>,
    pub(super) rules: Vec<RuleEntry>,
    /// By the source's number.
    pub(super) sources: Vec<SourceRules>,
    pub(super) connection_date: Timestamp,
    pub(super) versions: BTreeSet<TlsVersion>,
    /// Whether an address that belongs to no endpoint is of a country that cannot be told.
    pub(super) residency: bool,
    pub(super) literals: Literals,
    /// When time alone changes an answer, in order.
    pub(super) changes: Vec<Timestamp>,
}

/// What a system may do as far as guardrails say it.
#[derive(Debug)]
pub(super) struct SystemEntry {
    pub(super) name: Name,
    pub(super) may_initiate: bool,
    pub(super) listed: bool,
}

/// Whose a prefix is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) system: SystemId,
    /// Whether the prefix lies in one of a system that may never initiate.
    pub(super) closed: bool,
}

/// What is known of a socket address before it is dialled.
#[derive(Debug)]
pub(super) struct EndpointEntry {
    pub(super) system: SystemId,
    pub(super) site: Name,
    /// What the `residency` guardrail says.
    pub(super) residency: Option<Reason>,
    /// From when on nobody can tell its country any more: the paper or the geography behind it has ended.
    pub(super) known_until: Timestamp,
    pub(super) dial: Dial,
    pub(super) term: Term,
}

/// One rule, ready to be compared.
#[derive(Debug, PartialEq)]
pub(super) struct RuleEntry {
    pub(super) name: Name,
    pub(super) to: Name,
    pub(super) listener: Option<Name>,
    pub(super) term: Term,
    pub(super) protocol: Protocol,
    pub(super) methods: Box<[Method]>,
    pub(super) paths: Box<[PathPattern]>,
    /// Whether a request may switch protocols; never toward a system that may never initiate.
    pub(super) upgrade: bool,
    /// Whether what does not fit its request facts passes all the same.
    pub(super) observes: bool,
    /// Whether the `encryption` guardrail refuses its protocol.
    pub(super) closed: bool,
}

/// The rules that a source has, all of them and by destination.
#[derive(Debug, Default)]
pub(super) struct SourceRules {
    pub(super) all: Joined,
    pub(super) by_destination: HashMap<SystemId, Joined>,
}

/// The rules that join a source and a destination, or a source and all of its own.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// In the order of their names.
    pub(super) ids: Vec<RuleId>,
    /// The patterns of those that speak `https`.
    pub(super) paths: Trie,
    /// Those that speak `https` and only observe: no path keeps them from being looked at.
    pub(super) observing: Vec<RuleId>,
}

impl Joined {
    fn insert(&mut self, id: RuleId, rule: &Rule) {
        self.ids.push(id);
        let asked = rule.http.as_ref().filter(|_| rule.protocol == Protocol::Https);
        if asked.is_some() && rule.enforcement == Enforcement::Observe {
            self.observing.push(id);
        }
        for pattern in asked.into_iter().flat_map(|http| &http.paths) {
            self.paths.insert(pattern, id);
        }
    }
}

/// The texts of the law that may be recorded as they are.
#[derive(Debug, Default)]
pub(super) struct Literals {
    pub(super) segments: HashSet<Box<str>>,
    pub(super) hosts: HashSet<Host>,
    pub(super) methods: HashSet<Method>,
}

/// From when until when: an approval and a narrower period together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Term {
    /// What stands on no approval never begins.
    const NEVER: Self = Self { since: Timestamp::MAX, until: Timestamp::MAX };

    /// The time in which all of `periods` hold.
    pub(super) fn of(periods: &[Period]) -> Self {
        let first = Timestamp::from_nanos(i64::MIN);
        let since = periods.iter().filter_map(|period| period.since).max().unwrap_or(first);
        let until =
            periods.iter().filter_map(|period| period.until).min().unwrap_or(Timestamp::MAX);
        Self { since, until }
    }

    /// The term of something that names an approval and may have a period of its own.
    pub(super) fn approved(model: &Model, approval: &Name, own: Period) -> Self {
        let found = model.approvals.get(approval);
        found.map_or(Self::NEVER, |approval| Self::of(&[approval.period, own]))
    }

    /// Why it does not hold at `at`.
    pub(super) fn refuses(self, at: Timestamp) -> Option<Reason> {
        if at < self.since {
            Some(Reason::BeforeApproval)
        } else {
            (at >= self.until).then_some(Reason::AfterApproval)
        }
    }
}

impl Tables {
    /// Makes the tables of `model`.
    pub(super) fn of(model: &Model) -> Self {
        let numbers: BTreeMap<&Name, SystemId> =
            model.systems.keys().enumerate().map(|(id, name)| (name, id)).collect();
        let encryption = model.guardrails.encryption.as_ref();
        Self {
            systems: model.systems.keys().map(|name| system(model, name)).collect(),
            addresses: addresses(model),
            hosts: hosts(model),
            identities: identities(model),
            endpoints: endpoints(model),
            rules: model.rules.iter().map(|(name, written)| rule(model, name, written)).collect(),
            sources: sources(model, &numbers),
            connection_date: model.interconnection.connection_date,
            versions: encryption
                .map_or_else(|| BTreeSet::from([TlsVersion::Tls13]), |it| it.what.versions.clone()),
            residency: model.guardrails.residency.is_some(),
            literals: literals(model),
            changes: changes(model),
        }
    }

    /// Whose address it is, by the longest prefix.
    pub(super) fn owner(&self, source: IpAddr) -> Option<Owner> {
        let host = IpNet::from(address::canonical(source));
        self.addresses.get_lpm(&host).map(|(_, owner)| *owner)
    }

    /// What is known of a socket address.
    pub(super) fn endpoint(&self, endpoint: SocketAddr) -> Option<&EndpointEntry> {
        self.endpoints.get(&address::canonical_socket(endpoint))
    }

    /// The rules from a source; toward one destination where it is known. `None` where no rule joins them.
    pub(super) fn joined(
        &self,
        source: SystemId,
        destination: Option<SystemId>,
    ) -> Option<&Joined> {
        let rules = self.sources.get(source)?;
        match destination {
            None => Some(&rules.all),
            Some(destination) => rules.by_destination.get(&destination),
        }
    }
}

/// Whether a system is on the list of a guardrail that names systems.
pub(super) fn names(guardrail: Option<&Guardrail<BTreeSet<Name>>>, system: &Name) -> bool {
    guardrail.is_some_and(|guardrail| guardrail.what.contains(system))
}

/// The prefixes of a system in their one form: its addresses and its endpoints.
pub(super) fn prefixes(system: &System) -> impl Iterator<Item = IpNet> + '_ {
    let endpoints = system.upstream.iter().flat_map(|upstream| &upstream.endpoints);
    let single = endpoints.map(|endpoint| IpNet::from(endpoint.address.ip()));
    system.addresses.iter().copied().chain(single).map(address::canonical_net)
}

fn system(model: &Model, name: &Name) -> SystemEntry {
    let guardrails = &model.guardrails;
    SystemEntry {
        name: name.clone(),
        may_initiate: !names(guardrails.reverse_access.as_ref(), name),
        listed: guardrails.destinations.is_none() || names(guardrails.destinations.as_ref(), name),
    }
}

fn addresses(model: &Model) -> JointPrefixMap<IpNet, Owner> {
    let mut found: BTreeMap<IpNet, Owner> = BTreeMap::new();
    for (system, (name, written)) in model.systems.iter().enumerate() {
        let closed = names(model.guardrails.reverse_access.as_ref(), name);
        for net in prefixes(written) {
            let owner = found.entry(net).or_insert(Owner { system, closed });
            owner.closed |= closed;
        }
    }
    // The order is by address and then by length, so that a wider prefix is inserted before what lies in it.
    let mut map: JointPrefixMap<IpNet, Owner> = JointPrefixMap::new();
    for (net, owner) in found {
        let within = map.get_lpm(&net).is_some_and(|(_, wider)| wider.closed);
        let _replaced = map.insert(net, Owner { closed: owner.closed || within, ..owner });
    }
    map
}

fn hosts(model: &Model) -> HashMap<Host, SystemId> {
    let mut found = HashMap::default();
    for (id, system) in model.systems.values().enumerate() {
        if let Some(upstream) = &system.upstream {
            let _first = found.entry(upstream.server_name.clone()).or_insert(id);
        }
    }
    // One that cannot be reached is known by the names of its certificates: asking for it is a known mistake.
    let unreachable = |(_, system): &(SystemId, &System)| system.upstream.is_none();
    for (id, system) in model.systems.values().enumerate().filter(unreachable) {
        for identity in &system.identities {
            if let Identity::Dns(host) = identity {
                let _first = found.entry(host.clone()).or_insert(id);
            }
        }
    }
    found
}

fn identities(model: &Model) -> HashMap<Identity, Box<[SystemId]>> {
    let mut found: BTreeMap<&Identity, BTreeSet<SystemId>> = BTreeMap::new();
    for (id, system) in model.systems.values().enumerate() {
        for identity in &system.identities {
            found.entry(identity).or_default().insert(id);
        }
    }
    let flat = |(identity, systems): (&Identity, BTreeSet<_>)| {
        (identity.clone(), systems.into_iter().collect())
    };
    found.into_iter().map(flat).collect()
}

fn endpoints(model: &Model) -> HashMap<SocketAddr, EndpointEntry> {
    let mut found = HashMap::default();
    for (system, written) in model.systems.values().enumerate() {
        for endpoint in written.upstream.iter().flat_map(|upstream| &upstream.endpoints) {
            let address = address::canonical_socket(endpoint.address);
            let _first = found.entry(address).or_insert_with(|| EndpointEntry {
                system,
                site: endpoint.site.clone(),
                residency: residency(model, endpoint),
                known_until: known_until(model, endpoint),
                dial: model.sites.get(&endpoint.site).map_or(Dial::Never, |site| site.dial),
                term: Term::approved(model, &endpoint.approval, endpoint.period),
            });
        }
    }
    found
}

fn rule(model: &Model, name: &Name, rule: &Rule) -> RuleEntry {
    let http = rule.http.as_ref();
    RuleEntry {
        name: name.clone(),
        to: rule.to.clone(),
        listener: rule.listener.clone(),
        term: Term::approved(model, &rule.approval, rule.period),
        protocol: rule.protocol,
        methods: http.into_iter().flat_map(|http| http.methods.iter().cloned()).collect(),
        paths: http.into_iter().flat_map(|http| http.paths.iter().cloned()).collect(),
        upgrade: rule.upgrade,
        observes: rule.enforcement == Enforcement::Observe,
        closed: is_closed(model, rule.protocol),
    }
}

/// Bytes that nobody here encrypts are none that `encryption` permits; those of others it has to permit.
pub(super) fn is_closed(model: &Model, protocol: Protocol) -> bool {
    let Some(encryption) = &model.guardrails.encryption else { return false };
    match protocol {
        Protocol::Https | Protocol::Tls => false,
        Protocol::TlsPassthrough => !encryption.what.passthrough,
        Protocol::Tcp => true,
    }
}

fn sources(model: &Model, numbers: &BTreeMap<&Name, SystemId>) -> Vec<SourceRules> {
    let mut found: Vec<SourceRules> =
        model.systems.iter().map(|_| SourceRules::default()).collect();
    for (id, rule) in model.rules.values().enumerate() {
        for from in &rule.from {
            let source = numbers.get(from).and_then(|source| found.get_mut(*source));
            let Some((source, to)) = source.zip(numbers.get(&rule.to)) else { continue };
            source.all.insert(id, rule);
            source.by_destination.entry(*to).or_default().insert(id, rule);
        }
    }
    found
}

fn literals(model: &Model) -> Literals {
    let https = || model.rules.values().filter_map(|rule| rule.http.as_ref());
    let segments = https().flat_map(|http: &Http| &http.paths).flat_map(|path| &path.segments);
    let literal = |segment: &SegmentPattern| match segment {
        SegmentPattern::Literal(text) => Some(text.clone()),
        SegmentPattern::Any => None,
    };
    let dns = |identity: &Identity| match identity {
        Identity::Dns(host) => Some(host.clone()),
        Identity::Uri(_) | Identity::Spki(_) => None,
    };
    let identities = model.systems.values().flat_map(|system| &system.identities).filter_map(dns);
    let upstreams = model.systems.values().filter_map(|system| system.upstream.as_ref());
    Literals {
        segments: segments.filter_map(literal).collect(),
        hosts: identities.chain(upstreams.map(|up| up.server_name.clone())).collect(),
        methods: https().flat_map(|http| http.methods.iter().cloned()).collect(),
    }
}

fn changes(model: &Model) -> Vec<Timestamp> {
    let rules = model.rules.values().map(|it| Term::approved(model, &it.approval, it.period));
    let endpoints = model
        .systems
        .values()
        .filter_map(|system| system.upstream.as_ref())
        .flat_map(|upstream| &upstream.endpoints)
        .flat_map(|it| {
            let term = Term::approved(model, &it.approval, it.period);
            [term.since, term.until, known_until(model, it)]
        });
    let ends: BTreeSet<Timestamp> = rules
        .flat_map(|term| [term.since, term.until])
        .chain(endpoints)
        .chain([model.interconnection.connection_date])
        .filter(|moment| *moment != Timestamp::MAX)
        .collect();
    ends.into_iter().collect()
}
