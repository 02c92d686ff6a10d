//! A cell: flows between two classes, cut along every axis. Which atom a flow lies in, and a flow for given atoms.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::atlas::{Atlas, Known, Standing, open, standing};
use super::axis::{ALPNS, Ask, Axis, Entrance, Moments, Point, Server, Shown, TRANSPORTS, VERSIONS, Whose};
use super::both::Both;
use super::path::{Paths, overlap};
use super::{Key, Pair, TooFine};
use crate::flow::{
    Certificate, Chain, Flow, Hello, Host, Identity, Method, Name, Paper, Peer, Request, Revocation,
    ServerName, Timestamp,
};
use crate::policy::address;
use crate::policy::compile::{RuleEntry, RuleId, SystemId, Tables};
use crate::policy::engine::{Engine, Stops, flaw};
use crate::policy::model::{PathPattern, Protocol};

/// The flows between two classes.
#[derive(Debug)]
pub(super) struct Cell {
    source: IpAddr,
    host: Option<Host>,
    /// The addresses that may be dialled, those together of which both laws say the same; the first has none: nothing is
    /// known yet.
    pub(super) endpoints: Vec<Vec<SocketAddr>>,
    /// Those of them that a law lets be dialled at some time.
    pub(super) dialled: BTreeSet<usize>,
    pub(super) moments: Moments,
    pub(super) entrances: Vec<Entrance>,
    pub(super) shown: Vec<Shown>,
    pub(super) methods: Vec<Method>,
    pub(super) paths: Paths,
    pub(super) servers: Vec<Server>,
    /// The rules that are looked at, in order, and whether each is other than in the other law.
    pub(super) rules: Both<Vec<RuleId>>,
    changed: Both<Vec<bool>>,
    /// Whether more than rules is other.
    gated: bool,
    /// The source's system and the destination's.
    sources: Both<Option<SystemId>>,
    destinations: Both<Option<SystemId>>,
}

/// Where a flow lies in its cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// Which endpoint.
    pub(super) endpoint: usize,
    /// Which atom of each axis.
    pub(super) point: Point,
}

impl Cell {
    /// The cell of a key; `None` where both laws say the very same there.
    pub(super) fn of(pair: Pair<'_>, atlas: &Atlas, key: Key) -> Result<Option<Self>, TooFine> {
        let (Some(class), Some(source)) = (atlas.sources.get(key.source), atlas.address(key.source)) else {
            return Ok(None);
        };
        let names = key.host.and_then(|host| atlas.hosts.get(host));
        let ends = Ends {
            pair,
            tables: pair.map(Engine::tables),
            sources: class.owned.map(open),
            destinations: names.map_or_else(Both::default, |names| names.systems),
            toward: names.is_some(),
        };
        let rules = ends.rules();
        let standings = ends.endpoints(atlas, &rules);
        let (shown, servers) = (ends.shown(atlas), ends.servers(atlas));
        let gated = !(ends.is_same(&standings) && is_plain(&shown, &servers));
        if !gated && rules.each().map(|rules| rules.iter().map(|(_, rule)| *rule).collect::<Vec<_>>()).agrees() {
            return Ok(None);
        }
        let rules = if gated { rules } else { concerned(rules) };
        let changed = Both { old: others(&rules.old, &rules.new), new: others(&rules.new, &rules.old) };
        let patterns = rules.each().into_iter().flatten().flat_map(|(_, rule)| rule.paths.iter());
        let patterns: Vec<_> = patterns.collect();
        Ok(Some(Self {
            source,
            host: names.and_then(|names| names.hosts.first()).cloned(),
            moments: ends.moments(&rules, &standings),
            entrances: ends.entrances(&rules),
            methods: methods(&rules),
            paths: Paths::of(&patterns)?,
            shown,
            servers,
            changed,
            gated,
            sources: ends.sources,
            destinations: ends.destinations,
            dialled: dialled(&standings),
            endpoints: standings.into_iter().map(|(_, addresses)| addresses).collect(),
            rules: rules.map(|rules| rules.into_iter().map(|(id, _)| id).collect()),
        }))
    }

    /// Whether the laws can differ where only these rules go on. Where nothing but rules is other, one that is has to be
    /// among them.
    pub(super) fn matters(&self, going: &Both<Vec<(usize, Stops)>>) -> bool {
        going.each().with(self.changed.each()).into_iter().any(|(going, changed)| {
            going.iter().any(|(rule, _)| self.gated || changed.get(*rule).is_some_and(|changed| *changed))
        })
    }

    /// Whether an atom is a fact that is known: what is missing keeps a flow from being allowed.
    pub(super) fn is_known(&self, axis: Axis, atom: usize) -> bool {
        match axis {
            Axis::Paper => !matches!(self.shown.get(atom), Some(Shown::Unknown) | None),
            Axis::Ask => !matches!(self.ask(atom), Some(Ask::Nothing) | None),
            Axis::When | Axis::Listener | Axis::Transport | Axis::Version | Axis::Alpn | Axis::Peer => true,
        }
    }

    /// How many atoms an axis has.
    pub(super) fn size(&self, axis: Axis) -> usize {
        let hello = |size: usize| if self.host.is_some() { size } else { 1 };
        match axis {
            Axis::When => self.moments.len(),
            Axis::Listener => self.entrances.len(),
            Axis::Transport => TRANSPORTS.len(),
            Axis::Version => hello(VERSIONS.len()),
            Axis::Alpn => hello(ALPNS.len()),
            Axis::Paper => self.shown.len(),
            Axis::Ask => 2 + 2 * self.methods.len() * self.paths.len(),
            Axis::Peer => self.servers.len(),
        }
    }

    /// A flow that lies there; `None` where there is no such atom.
    pub(super) fn flow(&self, position: Position) -> Option<Flow> {
        let [when, listener, transport, version, alpn, paper, ask, peer] = position.point;
        let listener = match self.entrances.get(listener)? {
            Entrance::Unknown => None,
            Entrance::Named(name) | Entrance::Other(name) => Some(name.clone()),
        };
        let to_address = SocketAddr::from(([0, 0, 0, 0], 443));
        let hello = |host: &Host| {
            let (version, alpn) = (VERSIONS.get(version).copied()?, ALPNS.get(alpn).copied()?);
            Some(Arc::new(Hello { server_name: ServerName::Name(host.clone()), version, alpn }))
        };
        let hello = match &self.host {
            Some(host) => Some(hello(host)?),
            None => None,
        };
        Some(Flow {
            transport: *TRANSPORTS.get(transport)?,
            hello,
            paper: paper_of(self.shown.get(paper)?),
            request: self.request(self.ask(ask)?)?,
            endpoint: self.endpoints.get(position.endpoint)?.first().copied(),
            peer: peer_of(self.servers.get(peer)?),
            ..Flow::arrival(*self.moments.get(when)?, self.source, to_address, listener)
        })
    }

    /// Where a flow of this cell lies; `None` where both laws refuse it.
    pub(super) fn place(&self, atlas: &Atlas, flow: &Flow) -> Option<Position> {
        let endpoint = match flow.endpoint.map(address::canonical_socket) {
            None => 0,
            Some(address) => self.endpoints.iter().position(|all| all.contains(&address))?,
        };
        let (version, alpn) = match flow.hello.as_deref() {
            None => (0, 0),
            Some(hello) => (
                VERSIONS.iter().position(|version| *version == hello.version)?,
                usize::from(hello.alpn.is_some()),
            ),
        };
        let point = [
            self.moments.partition_point(|first| *first <= flow.at).checked_sub(1)?,
            self.entrance(flow.listener.as_ref())?,
            TRANSPORTS.iter().position(|transport| *transport == flow.transport)?,
            version,
            alpn,
            self.paper(atlas, flow)?,
            self.asked(flow)?,
            self.peer(atlas, flow)?,
        ];
        Some(Position { endpoint, point })
    }

    /// What an atom of [`Axis::Ask`] is.
    pub(super) fn ask(&self, atom: usize) -> Option<Ask> {
        let (paths, methods) = (self.paths.len(), self.methods.len());
        match atom {
            0 => Some(Ask::Nothing),
            1 => Some(Ask::Elsewhere),
            _ => {
                let number = atom - 2;
                let (method, path) = ((number / paths) % methods, number % paths);
                let upgrade = number / (paths * methods);
                (upgrade < 2).then_some(Ask::Request { upgrade: upgrade == 1, method, path })
            }
        }
    }

    fn request(&self, ask: Ask) -> Option<Option<Request>> {
        let (upgrade, method, path) = match ask {
            Ask::Nothing => return Some(None),
            Ask::Elsewhere => (false, 0, 0),
            Ask::Request { upgrade, method, path } => (upgrade, method, path),
        };
        let own = self.host.clone().or_else(|| Host::parse("any.example").ok());
        let host = own.filter(|_| ask != Ask::Elsewhere);
        let (method, path) = (self.methods.get(method)?.clone(), self.paths.example(path)?.clone());
        Some(Some(Request { method, host, path, upgrade }))
    }

    fn entrance(&self, listener: Option<&Name>) -> Option<usize> {
        let named = |it: &Entrance| match (it, listener) {
            (Entrance::Unknown, None) => true,
            (Entrance::Named(name), Some(here)) => name == here,
            (Entrance::Unknown | Entrance::Named(_) | Entrance::Other(_), _) => false,
        };
        let other = || self.entrances.iter().position(|it| matches!(it, Entrance::Other(_)));
        self.entrances.iter().position(named).or_else(other)
    }

    fn paper(&self, atlas: &Atlas, flow: &Flow) -> Option<usize> {
        let certificate = match flow.paper.as_deref() {
            None => return self.shown.iter().position(|it| *it == Shown::Unknown),
            Some(Paper::Absent) => return self.shown.iter().position(|it| *it == Shown::Absent),
            Some(Paper::Presented(certificate)) => certificate,
        };
        if flaw(certificate, flow.at).is_some() {
            return self.shown.iter().position(|it| *it == Shown::Flawed);
        }
        let whose = atlas.whose(&certificate.identities, self.sources);
        self.shown.iter().position(|it| matches!(it, Shown::Named(named, _) if *named == whose))
    }

    fn asked(&self, flow: &Flow) -> Option<usize> {
        let Some(request) = &flow.request else { return Some(0) };
        let fits = request.host.is_some() && (self.host.is_none() || self.host_of(flow) == request.host.as_ref());
        if !fits {
            return Some(1);
        }
        let other = || self.methods.len().checked_sub(1);
        let method = self.methods.iter().position(|it| *it == request.method).or_else(other)?;
        let path = self.paths.piece(&request.path)?;
        let upgrade = usize::from(request.upgrade);
        Some(2 + (upgrade * self.methods.len() + method) * self.paths.len() + path)
    }

    /// The host of the flow itself: a cell is of several names that lead to the same.
    fn host_of<'f>(&self, flow: &'f Flow) -> Option<&'f Host> {
        match flow.hello.as_deref().map(|hello| &hello.server_name) {
            Some(ServerName::Name(host)) => Some(host),
            Some(ServerName::Missing | ServerName::Unusable) | None => None,
        }
    }

    fn peer(&self, atlas: &Atlas, flow: &Flow) -> Option<usize> {
        let identities = match &flow.peer {
            None => return self.servers.iter().position(|it| *it == Server::Unknown),
            Some(Peer::Refused) => return self.servers.iter().position(|it| *it == Server::Refused),
            Some(Peer::Verified(identities)) => identities,
        };
        // Toward nobody in particular every verified server will do.
        let anyone = self.host.is_none();
        let speaks = atlas.speaks(identities, self.destinations);
        let is = |it: &Server| matches!(it, Server::Verified(known, _) if anyone || *known == speaks);
        self.servers.iter().position(is)
    }
}


/// The two ends of a cell, before it is cut.
struct Ends<'a> {
    pair: Pair<'a>,
    tables: Both<&'a Tables>,
    sources: Both<Option<SystemId>>,
    destinations: Both<Option<SystemId>>,
    /// Whether a server name is known.
    toward: bool,
}

/// The rules of a cell.
type Rules<'a> = Both<Vec<(RuleId, &'a RuleEntry)>>;
/// Addresses of which both laws say the same, and what.
type Standings = Vec<(Both<Standing>, Vec<SocketAddr>)>;

impl<'a> Ends<'a> {
    fn rules(&self) -> Rules<'a> {
        let toward = self.toward;
        self.tables.with(self.sources.with(self.destinations)).map(|(tables, (source, to))| {
            let known = source.filter(|_| to.is_some() || !toward);
            let ids = known.map(|source| tables.joined(source, to)).unwrap_or_default();
            ids.iter().filter_map(|id| Some((*id, tables.rules.get(*id)?))).collect()
        })
    }

    /// The addresses that a law would dial there; the first stands for none. Whose an address is, is told apart only
    /// where it is what a rule goes by: toward a known destination all are its own, and without one only `tcp` asks.
    fn endpoints(&self, atlas: &Atlas, rules: &Rules<'_>) -> Standings {
        let by_address = |rules: &Vec<(RuleId, &RuleEntry)>| {
            let tcp = rules.iter().filter(|(_, rule)| rule.protocol == Protocol::Tcp);
            tcp.map(|(_, rule)| rule.to.clone()).collect::<BTreeSet<_>>()
        };
        let asked = rules.each().map(by_address);
        let mut found: BTreeMap<Both<Standing>, Vec<SocketAddr>> = BTreeMap::new();
        for address in &atlas.endpoints {
            let of = |((tables, to), asked): ((&Tables, Option<SystemId>), &BTreeSet<Name>)| {
                let known = standing(tables, *address, to)?;
                let owner = tables.systems.get(known.system).map(|system| &system.name);
                let told = !self.toward && owner.is_some_and(|name| asked.contains(name));
                let system = if told { known.system } else { SystemId::MAX };
                Some(Known { system, ..known }).filter(|it| it.fits && (to.is_some() || !self.toward))
            };
            let standings = self.tables.with(self.destinations).with(asked.each()).map(of);
            if standings != Both::default() {
                found.entry(standings).or_default().push(*address);
            }
        }
        std::iter::once((Both::default(), Vec::new())).chain(found).collect()
    }

    /// Whether endpoints and checks are the same in both laws.
    fn is_same(&self, standings: &Standings) -> bool {
        let checks = self.tables.with(self.destinations).map(|(tables, to)| {
            let listed = to.and_then(|to| tables.systems.get(to)).map(|it| (it.listed, it.may_initiate));
            (tables.connection_date, &tables.versions, tables.residency, listed)
        });
        checks.agrees()
            && self.pair.map(Engine::refusing).agrees()
            && standings.iter().all(|(standing, _)| standing.map(same).agrees())
            && self.sources.map(|source| source.is_some()).agrees()
    }

    /// Where time changes something there.
    fn moments(&self, rules: &Rules<'_>, standings: &Standings) -> Moments {
        let rules = rules.each().into_iter().flatten().map(|(_, rule)| (rule.term.since, rule.term.until));
        let endpoints = standings.iter().flat_map(|(standing, _)| standing.into_iter()).flatten();
        let endpoints = endpoints.map(|it| (it.since, it.until));
        let dates = self.tables.map(|tables| tables.connection_date).into_iter();
        let all = rules.chain(endpoints).flat_map(|(since, until)| [since, until]).chain(dates);
        let mut moments: BTreeSet<Timestamp> = all.filter(|it| *it != Timestamp::MAX).collect();
        moments.insert(Timestamp::from_nanos(i64::MIN));
        moments.into_iter().collect()
    }

    fn entrances(&self, rules: &Rules<'_>) -> Vec<Entrance> {
        let ruled = rules.each().into_iter().flatten().filter_map(|(_, rule)| rule.listener.as_ref());
        let refusing = self.pair.map(Engine::refusing).into_iter().flatten();
        let named: BTreeSet<&Name> = ruled.chain(refusing).collect();
        let mut other = "another".to_owned();
        while named.iter().any(|name| name.as_str() == other) {
            other.push('x');
        }
        let other = Name::parse(&other).ok().map(Entrance::Other);
        let named = named.into_iter().cloned().map(Entrance::Named);
        std::iter::once(Entrance::Unknown).chain(named).chain(other).collect()
    }

    /// What clients can show, each kind that some set of names comes to.
    fn shown(&self, atlas: &Atlas) -> Vec<Shown> {
        let nobody = Both { old: Whose::Nobody, new: Whose::Nobody };
        let ones = atlas.identities.iter().map(|it| (atlas.borne(it, self.sources), &it.example));
        let kinds = sums(nobody, &ones.collect(), |a, b| a.with(b).map(|(a, b)| a.max(b)));
        let named = kinds.into_iter().map(|(whose, example)| Shown::Named(whose, example));
        [Shown::Unknown, Shown::Absent, Shown::Flawed].into_iter().chain(named).collect()
    }

    /// What servers can turn out to be.
    fn servers(&self, atlas: &Atlas) -> Vec<Server> {
        let ones = atlas.identities.iter().filter(|_| self.toward);
        let ones = ones.map(|it| (it.speaks(self.destinations), &it.example));
        let kinds = sums(Both::default(), &ones.collect(), |a, b| a.with(b).map(|(a, b)| a || b));
        let verified = kinds.into_iter().map(|(speaks, example)| Server::Verified(speaks, example));
        [Server::Unknown, Server::Refused].into_iter().chain(verified).collect()
    }
}

/// The rules that are other, and those that take a path with one of them: no other rule can be where a flow is answered
/// differently.
fn concerned(rules: Rules<'_>) -> Rules<'_> {
    let other = Both { old: others(&rules.old, &rules.new), new: others(&rules.new, &rules.old) };
    let picked = |(rules, other): (&Vec<(RuleId, &RuleEntry)>, Vec<bool>)| {
        let picked = rules.iter().zip(other).filter(|(_, other)| *other).map(|((_, rule), _)| rule.paths.clone());
        picked.collect::<Vec<_>>()
    };
    let paths: Vec<_> = rules.each().with(other).map(picked).into_iter().flatten().collect();
    let meets = |rule: &RuleEntry| {
        let meet = |other: &[PathPattern]| {
            let pairs = rule.paths.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
            rule.paths.is_empty() || other.is_empty() || pairs.into_iter().any(|(a, b)| overlap(a, b))
        };
        paths.iter().any(|other| meet(other))
    };
    rules.map(|rules| rules.into_iter().filter(|(_, rule)| meets(rule)).collect())
}

/// Which rules have no twin of the same name and meaning.
fn others(rules: &[(RuleId, &RuleEntry)], twins: &[(RuleId, &RuleEntry)]) -> Vec<bool> {
    // Both are in the order of names.
    let twin = |rule: &RuleEntry| {
        let at = twins.binary_search_by(|(_, twin)| twin.name.cmp(&rule.name)).ok()?;
        twins.get(at).map(|(_, twin)| *twin)
    };
    rules.iter().map(|(_, rule)| twin(rule) != Some(*rule)).collect()
}

/// The endpoints that a law lets be dialled at some time.
fn dialled(standings: &Standings) -> BTreeSet<usize> {
    let open = |standing: &Standing| standing.is_some_and(|it| it.residency.is_none() && it.dialled);
    let known = standings.iter().enumerate();
    known.filter(|(_, (it, _))| it.each().into_iter().any(open)).map(|(at, _)| at).collect()
}

/// What is said of an endpoint, whatever number its system has.
fn same(standing: Standing) -> Standing {
    standing.map(|known| Known { system: SystemId::MAX, ..known })
}

/// Whether no name means something else in the new law.
fn is_plain(shown: &[Shown], servers: &[Server]) -> bool {
    let names = shown.iter().all(|it| !matches!(it, Shown::Named(whose, _) if !whose.agrees()));
    names && servers.iter().all(|it| !matches!(it, Server::Verified(speaks, _) if !speaks.agrees()))
}

/// Every kind that a set of identities can come to, beginning with none, with an example.
fn sums<K: Ord + Copy>(
    none: K,
    single: &BTreeMap<K, &Identity>,
    sum: impl Fn(K, K) -> K,
) -> BTreeMap<K, Vec<Identity>> {
    let mut found: BTreeMap<K, Vec<Identity>> = BTreeMap::from([(none, Vec::new())]);
    loop {
        let mut more = BTreeMap::new();
        for (kind, identities) in &found {
            for (one, identity) in single {
                let both = sum(*kind, *one);
                if !found.contains_key(&both) {
                    more.entry(both).or_insert_with(|| [identities.as_slice(), &[(*identity).clone()]].concat());
                }
            }
        }
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The methods that a rule names, `CONNECT`, and as the last any other.
fn methods(rules: &Rules<'_>) -> Vec<Method> {
    let named = rules.each().into_iter().flatten().flat_map(|(_, rule)| rule.methods.iter().cloned());
    let all: BTreeSet<Method> = named.chain(Method::parse("CONNECT")).collect();
    let mut other = "ANOTHER".to_owned();
    while all.iter().any(|method| method.as_str() == other) {
        other.push('X');
    }
    all.into_iter().chain(Method::parse(&other)).collect()
}

fn paper_of(shown: &Shown) -> Option<Arc<Paper>> {
    let (chain, identities) = match shown {
        Shown::Unknown => return None,
        Shown::Absent => return Some(Arc::new(Paper::Absent)),
        Shown::Flawed => (Chain::Untrusted, Vec::new()),
        Shown::Named(_, identities) => (Chain::Trusted, identities.clone()),
    };
    Some(Arc::new(Paper::Presented(Certificate {
        identities,
        chain,
        not_before: Timestamp::from_nanos(i64::MIN),
        not_after: Timestamp::MAX,
        revocation: Revocation::NotKept,
        fingerprint: [0; 32],
    })))
}

fn peer_of(server: &Server) -> Option<Peer> {
    match server {
        Server::Unknown => None,
        Server::Refused => Some(Peer::Refused),
        Server::Verified(_, identities) => Some(Peer::Verified(identities.clone())),
    }
}
