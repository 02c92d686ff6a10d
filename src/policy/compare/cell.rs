//! A cell: flows between two classes, cut along every axis. Which atom a flow lies in, and a flow for given atoms.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::atlas::{Atlas, open};
use super::axis::{
    Ask, Axis, Entrance, Moments, Point, SPOKEN, Server, Shown, TRANSPORTS, VERSIONS,
};
use super::both::Both;
use super::ends::{Ends, concerned, dialled, methods, others};
use super::path::Paths;
use super::{Key, Pair, TooFine};
use crate::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Host, Method, Name, Paper, Peer, Request, Revocation,
    ServerName, Timestamp,
};
use crate::policy::address;
use crate::policy::compile::{RuleId, SystemId};
use crate::policy::engine::{Engine, Stops, flaw};

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
        let (Some(class), Some(source)) =
            (atlas.sources.get(key.source), atlas.address(key.source))
        else {
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
        let plain = atlas.is_plain(ends.sources, ends.destinations);
        let gated = !(plain && ends.is_same(&standings));
        if !gated
            && rules
                .each()
                .map(|rules| rules.iter().map(|(_, rule)| *rule).collect::<Vec<_>>())
                .agrees()
        {
            return Ok(None);
        }
        let rules = if gated { rules } else { concerned(rules) };
        let changed =
            Both { old: others(&rules.old, &rules.new), new: others(&rules.new, &rules.old) };
        let patterns = rules.each().into_iter().flatten().flat_map(|(_, rule)| rule.paths.iter());
        let patterns: Vec<_> = patterns.collect();
        Ok(Some(Self {
            source,
            host: names.and_then(|names| names.hosts.first()).cloned(),
            moments: ends.moments(&rules, &standings),
            entrances: ends.entrances(&rules),
            methods: methods(&rules),
            paths: Paths::of(&patterns)?,
            shown: ends.shown(atlas),
            servers: ends.servers(atlas),
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
            going
                .iter()
                .any(|(rule, _)| self.gated || changed.get(*rule).is_some_and(|changed| *changed))
        })
    }

    /// Whether an atom is a fact that is known: what is missing keeps a flow from being allowed.
    pub(super) fn is_known(&self, axis: Axis, atom: usize) -> bool {
        match axis {
            Axis::Paper => self.shown.get(atom) != Some(&Shown::Unknown),
            Axis::Ask => self.ask(atom) != Ask::Nothing,
            Axis::When
            | Axis::Listener
            | Axis::Transport
            | Axis::Version
            | Axis::Spoken
            | Axis::Peer => true,
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
            Axis::Spoken => SPOKEN.len(),
            Axis::Paper => self.shown.len(),
            Axis::Ask => 2 + 2 * self.methods.len() * self.paths.len(),
            Axis::Peer => self.servers.len(),
        }
    }

    /// A flow that lies there; `None` where there is no such atom.
    pub(super) fn flow(&self, position: Position) -> Option<Flow> {
        let [when, listener, transport, version, spoken, paper, ask, peer] = position.point;
        let listener = match self.entrances.get(listener)? {
            Entrance::Unknown => None,
            Entrance::Named(name) | Entrance::Other(name) => Some(name.clone()),
        };
        let to_address = SocketAddr::from(([0, 0, 0, 0], 443));
        let (alpn, in_clear) = *SPOKEN.get(spoken)?;
        let hello = |host: &Host| {
            let version = VERSIONS.get(version).copied()?;
            Some(Arc::new(Hello { server_name: ServerName::Name(host.clone()), version, alpn }))
        };
        let hello = match &self.host {
            Some(host) => Some(hello(host)?),
            None => None,
        };
        let request = match self.ask(ask) {
            Ask::Nothing => None,
            asked @ (Ask::Elsewhere | Ask::Request { .. }) => Some(self.request(asked)?),
        };
        Some(Flow {
            transport: *TRANSPORTS.get(transport)?,
            hello,
            in_clear,
            paper: paper_of(self.shown.get(paper)?),
            request,
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
            None => (0, None),
            Some(hello) => {
                let version = VERSIONS.iter().position(|version| *version == hello.version)?;
                (version, hello.alpn.map(|_| Alpn::Http11))
            }
        };
        let spoken = SPOKEN.iter().position(|it| *it == (alpn, flow.in_clear))?;
        let point = [
            self.moments.partition_point(|first| *first <= flow.at).checked_sub(1)?,
            self.entrance(flow.listener.as_ref())?,
            TRANSPORTS.iter().position(|transport| *transport == flow.transport)?,
            version,
            spoken,
            self.paper(atlas, flow)?,
            self.asked(flow)?,
            self.peer(atlas, flow)?,
        ];
        Some(Position { endpoint, point })
    }

    /// What an atom of [`Axis::Ask`] is.
    pub(super) fn ask(&self, atom: usize) -> Ask {
        let (paths, methods) = (self.paths.len(), self.methods.len());
        match atom {
            0 => Ask::Nothing,
            1 => Ask::Elsewhere,
            _ => {
                let number = atom - 2;
                let (method, path) = ((number / paths) % methods, number % paths);
                Ask::Request { upgrade: number / (paths * methods) == 1, method, path }
            }
        }
    }

    fn request(&self, ask: Ask) -> Option<Request> {
        let (upgrade, method, path) = match ask {
            Ask::Nothing | Ask::Elsewhere => (false, 0, 0),
            Ask::Request { upgrade, method, path } => (upgrade, method, path),
        };
        let own = self.host.clone().or_else(|| Host::parse("any.example").ok());
        let host = own.filter(|_| ask != Ask::Elsewhere);
        let (method, path) = (self.methods.get(method)?.clone(), self.paths.example(path)?.clone());
        Some(Request { method, host, path, upgrade })
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
        let fits = request.host.is_some()
            && (self.host.is_none() || host_of(flow) == request.host.as_ref());
        if !fits {
            return Some(1);
        }
        let other = || self.methods.len().checked_sub(1);
        let method = self.methods.iter().position(|it| *it == request.method).or_else(other)?;
        let path = self.paths.piece(&request.path)?;
        let upgrade = usize::from(request.upgrade);
        Some(2 + (upgrade * self.methods.len() + method) * self.paths.len() + path)
    }

    fn peer(&self, atlas: &Atlas, flow: &Flow) -> Option<usize> {
        let identities = match &flow.peer {
            None => return self.servers.iter().position(|it| *it == Server::Unknown),
            Some(Peer::Refused) => {
                return self.servers.iter().position(|it| *it == Server::Refused);
            }
            Some(Peer::Verified(identities)) => identities,
        };
        // Toward nobody in particular every verified server will do.
        let anyone = self.host.is_none();
        let speaks = atlas.speaks(identities, self.destinations);
        let is =
            |it: &Server| matches!(it, Server::Verified(known, _) if anyone || *known == speaks);
        self.servers.iter().position(is)
    }
}

/// The host of the flow itself: a cell is of several names that lead to the same.
fn host_of(flow: &Flow) -> Option<&Host> {
    match flow.hello.as_deref().map(|hello| &hello.server_name) {
        Some(ServerName::Name(host)) => Some(host),
        Some(ServerName::Missing | ServerName::Unusable) | None => None,
    }
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
