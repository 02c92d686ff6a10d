//! The two ends of a cell before it is cut: which rules join them, what both laws say of endpoints and names there, and
//! along what the cell has to be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Pair;
use super::atlas::{Atlas, Known, Standing, standing};
use super::axis::{Entrance, Moments, Server, Shown, Whose};
use super::both::Both;
use super::path::overlap;
use crate::flow::{Identity, Method, Name, Timestamp};
use crate::policy::compile::{RuleEntry, RuleId, SystemId, Tables};
use crate::policy::engine::Engine;
use crate::policy::model::{PathPattern, Protocol};

/// The two ends of a cell, before it is cut.
pub(super) struct Ends<'a> {
    pub(super) pair: Pair<'a>,
    pub(super) tables: Both<&'a Tables>,
    pub(super) sources: Both<Option<SystemId>>,
    pub(super) destinations: Both<Option<SystemId>>,
    /// Whether a server name is known.
    pub(super) toward: bool,
}

/// The rules of a cell.
pub(super) type Rules<'a> = Both<Vec<(RuleId, &'a RuleEntry)>>;
/// Addresses of which both laws say the same, and what.
pub(super) type Standings = Vec<(Both<Standing>, Vec<SocketAddr>)>;

impl<'a> Ends<'a> {
    pub(super) fn rules(&self) -> Rules<'a> {
        let toward = self.toward;
        self.tables.with(self.sources.with(self.destinations)).map(|(tables, (source, to))| {
            let known = source.filter(|_| to.is_some() || !toward);
            let joined = known.and_then(|source| tables.joined(source, to));
            let ids = joined.into_iter().flat_map(|joined| &joined.ids);
            ids.filter_map(|id| Some((*id, tables.rules.get(*id)?))).collect()
        })
    }

    /// The addresses that a law would dial there; the first stands for none. Whose an address is, is told apart only
    /// where it is what a rule goes by: toward a known destination all are its own, and without one only `tcp` asks.
    pub(super) fn endpoints(&self, atlas: &Atlas, rules: &Rules<'_>) -> Standings {
        let by_address = |rules: &Vec<(RuleId, &RuleEntry)>| {
            let tcp = rules.iter().filter(|(_, rule)| rule.protocol == Protocol::Tcp);
            tcp.map(|(_, rule)| rule.to.clone()).collect::<BTreeSet<_>>()
        };
        let asked = rules.each().map(by_address);
        let mut found: BTreeMap<Both<Standing>, Vec<SocketAddr>> = BTreeMap::new();
        for address in &atlas.endpoints {
            let of = |((tables, to), asked): ((&Tables, Option<SystemId>), &BTreeSet<Name>)| {
                let known =
                    standing(tables, *address, to).filter(|_| to.is_some() || !self.toward)?;
                let owner = tables.systems.get(known.system).map(|system| &system.name);
                let told = !self.toward && owner.is_some_and(|name| asked.contains(name));
                let system = if told { known.system } else { SystemId::MAX };
                Some(Known { system, ..known })
            };
            let standings = self.tables.with(self.destinations).with(asked.each()).map(of);
            if standings != Both::default() {
                found.entry(standings).or_default().push(*address);
            }
        }
        std::iter::once((Both::default(), Vec::new())).chain(found).collect()
    }

    /// Whether endpoints and checks are the same in both laws.
    pub(super) fn is_same(&self, standings: &Standings) -> bool {
        let checks = self.tables.with(self.destinations).map(|(tables, to)| {
            let listed =
                to.and_then(|to| tables.systems.get(to)).map(|it| (it.listed, it.may_initiate));
            (tables.connection_date, &tables.versions, tables.residency, listed)
        });
        checks.agrees()
            && self.pair.map(Engine::refusing).agrees()
            && standings.iter().all(|(standing, _)| standing.map(same).agrees())
            && self.sources.map(|source| source.is_some()).agrees()
    }

    /// Where time changes something there.
    pub(super) fn moments(&self, rules: &Rules<'_>, standings: &Standings) -> Moments {
        let rules =
            rules.each().into_iter().flatten().map(|(_, rule)| (rule.term.since, rule.term.until));
        let endpoints = standings.iter().flat_map(|(standing, _)| standing.into_iter()).flatten();
        let endpoints = endpoints.map(|it| (it.since, it.until));
        let dates = self.tables.map(|tables| tables.connection_date).into_iter();
        let all = rules.chain(endpoints).flat_map(|(since, until)| [since, until]).chain(dates);
        let mut moments: BTreeSet<Timestamp> = all.filter(|it| *it != Timestamp::MAX).collect();
        moments.insert(Timestamp::from_nanos(i64::MIN));
        moments.into_iter().collect()
    }

    pub(super) fn entrances(&self, rules: &Rules<'_>) -> Vec<Entrance> {
        let listeners =
            rules.each().into_iter().flatten().filter_map(|(_, rule)| rule.listener.as_ref());
        let refusing = self.pair.map(Engine::refusing).into_iter().flatten();
        let named: BTreeSet<&Name> = listeners.chain(refusing).collect();
        let mut other = "another".to_owned();
        while named.iter().any(|name| name.as_str() == other) {
            other.push('x');
        }
        let other = Name::parse(&other).ok().map(Entrance::Other);
        let named = named.into_iter().cloned().map(Entrance::Named);
        std::iter::once(Entrance::Unknown).chain(named).chain(other).collect()
    }

    /// What clients can show, each kind that some set of names comes to.
    pub(super) fn shown(&self, atlas: &Atlas) -> Vec<Shown> {
        let nobody = Both { old: Whose::Nobody, new: Whose::Nobody };
        let ones = atlas.identities.iter().map(|it| (atlas.borne(it, self.sources), &it.example));
        let kinds = sums(nobody, &ones.collect(), |a, b| a.with(b).map(|(a, b)| a.max(b)));
        let named = kinds.into_iter().map(|(whose, example)| Shown::Named(whose, example));
        [Shown::Unknown, Shown::Absent, Shown::Flawed].into_iter().chain(named).collect()
    }

    /// What servers can turn out to be.
    pub(super) fn servers(&self, atlas: &Atlas) -> Vec<Server> {
        let ones = atlas.identities.iter().filter(|_| self.toward);
        let ones = ones.map(|it| (it.speaks(self.destinations), &it.example));
        let kinds = sums(Both::default(), &ones.collect(), |a, b| a.with(b).map(|(a, b)| a || b));
        let verified = kinds.into_iter().map(|(speaks, example)| Server::Verified(speaks, example));
        [Server::Unknown, Server::Refused].into_iter().chain(verified).collect()
    }
}

/// The rules that are other, and those that take a path with one of them: no other rule can be where a flow is answered
/// differently. What only observes takes every path, and so does what reads none.
pub(super) fn concerned(rules: Rules<'_>) -> Rules<'_> {
    let other = Both { old: others(&rules.old, &rules.new), new: others(&rules.new, &rules.old) };
    let picked = |(rules, other): (&Vec<(RuleId, &RuleEntry)>, Vec<bool>)| {
        let picked =
            rules.iter().zip(other).filter(|(_, other)| *other).map(|((_, rule), _)| taken(rule));
        picked.collect::<Vec<_>>()
    };
    let paths: Vec<_> = rules.each().with(other).map(picked).into_iter().flatten().collect();
    let meets = |rule: &RuleEntry| {
        let own = taken(rule);
        let meet = |other: &[PathPattern]| {
            let mut pairs = own.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
            own.is_empty() || other.is_empty() || pairs.any(|(a, b)| overlap(a, b))
        };
        paths.iter().any(|other| meet(other))
    };
    rules.map(|rules| rules.into_iter().filter(|(_, rule)| meets(rule)).collect())
}

/// The paths that a rule takes; empty where it takes any.
fn taken(rule: &RuleEntry) -> Box<[PathPattern]> {
    if rule.observes { Box::default() } else { rule.paths.clone() }
}

/// Which rules have no twin of the same name and meaning.
pub(super) fn others(rules: &[(RuleId, &RuleEntry)], twins: &[(RuleId, &RuleEntry)]) -> Vec<bool> {
    // Both are in the order of names.
    let twin = |rule: &RuleEntry| {
        let at = twins.binary_search_by(|(_, twin)| twin.name.cmp(&rule.name)).ok()?;
        twins.get(at).map(|(_, twin)| *twin)
    };
    rules.iter().map(|(_, rule)| twin(rule) != Some(*rule)).collect()
}

/// The endpoints that a law lets be dialled at some time.
pub(super) fn dialled(standings: &Standings) -> BTreeSet<usize> {
    let open =
        |standing: &Standing| standing.is_some_and(|it| it.residency.is_none() && it.dialled);
    let known = standings.iter().enumerate();
    known.filter(|(_, (it, _))| it.each().into_iter().any(open)).map(|(at, _)| at).collect()
}

/// What is said of an endpoint, whatever number its system has.
fn same(standing: Standing) -> Standing {
    standing.map(|known| Known { system: SystemId::MAX, ..known })
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
                let sum = || [identities.as_slice(), &[(*identity).clone()]].concat();
                if !found.contains_key(&both) {
                    more.entry(both).or_insert_with(sum);
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
pub(super) fn methods(rules: &Rules<'_>) -> Vec<Method> {
    let named =
        rules.each().into_iter().flatten().flat_map(|(_, rule)| rule.methods.iter().cloned());
    let all: BTreeSet<Method> = named.chain(Method::parse("CONNECT")).collect();
    let mut other = "ANOTHER".to_owned();
    while all.iter().any(|method| method.as_str() == other) {
        other.push('X');
    }
    all.into_iter().chain(Method::parse(&other)).collect()
}
