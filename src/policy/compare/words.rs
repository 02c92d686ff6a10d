//! The boxes that are answered differently, as sentences: boxes that differ in one thing only are told as one, and what
//! every box has in common is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::atlas::open;
use super::axis::{Ask, Atoms, Axis, Entrance, SPOKEN, Server, Shown, VERSIONS, Whose};
use super::block::{Block, Kind, is_complete, joined, kind};
use super::both::Both;
use super::cell::Cell;
use super::phrase;
use super::split::Region;
use super::{Difference, Key};
use crate::flow::{Flow, Identity, Name};
use crate::verdict::Reason;

/// What becomes of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// They may pass now.
    Allowed,
    /// They may no longer pass.
    Refused,
    /// They pass by another rule, or are enforced otherwise.
    OtherRule,
    /// They are no longer refused at once, or are now, though nothing of them could ever pass.
    Undecided,
}

impl Turn {
    /// `allowed`, `refused`, `other_rule` or `undecided`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::OtherRule => "other_rule",
            Self::Undecided => "undecided",
        }
    }
}

/// One change in words.
#[derive(Debug, Clone)]
pub struct Sentence {
    /// What becomes of them.
    pub turn: Turn,
    /// Whence: systems, with prefixes where it is not all of them.
    pub from: Vec<String>,
    /// Whither: a system, or `?` where no name is known.
    pub to: String,
    /// What is asked: methods and paths; empty where nobody reads it, or it does not matter.
    pub asks: String,
    /// Further conditions, such as a listener or a version.
    pub only: Vec<String>,
    /// When; empty where it is always.
    pub when: String,
    /// By which rule it passed, and passes.
    pub rules: (Option<Name>, Option<Name>),
    /// Why it was refused, or is.
    pub reason: Option<Reason>,
    /// One of these flows.
    pub example: Flow,
}

/// Every change, what passes first; each kind by whence and whither.
pub(super) fn sentences(difference: &Difference) -> Vec<Sentence> {
    let passing = difference.cells.iter().filter(|(_, it)| it.regions.iter().any(is_complete));
    let complete: BTreeSet<Key> = passing.map(|(key, _)| *key).collect();
    let sources: BTreeSet<_> = complete.iter().map(|key| key.source).collect();
    let implied = |key: &Key| match key.host {
        None => sources.contains(&key.source),
        Some(_) => complete.contains(key),
    };
    let mut found = Vec::new();
    for (key, compared) in &difference.cells {
        let told = Told { difference, key: *key, cell: &compared.cell };
        let (passing, open): (Vec<_>, Vec<_>) =
            compared.regions.iter().partition(|it| is_complete(it));
        found.extend(told.of(&passing));
        // That a connection is let in is part of what passes; it is only told where nothing does.
        if !implied(key) {
            found.extend(told.of(&open));
        }
    }
    merged(found)
}

/// Sentences that differ in whence only, as one.
fn merged(all: Vec<Sentence>) -> Vec<Sentence> {
    let mut found: BTreeMap<(Turn, String, String), Sentence> = BTreeMap::new();
    for sentence in all {
        let rest = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            sentence.asks, sentence.only, sentence.when, sentence.rules, sentence.reason
        );
        let key = (sentence.turn, sentence.to.clone(), rest);
        match found.get_mut(&key) {
            Some(known) => known.from.extend(sentence.from),
            None => drop(found.insert(key, sentence)),
        }
    }
    let mut sentences: Vec<_> = found.into_values().collect();
    for it in &mut sentences {
        it.from.sort();
        it.from.dedup();
    }
    sentences
        .sort_by(|a, b| (a.turn, &a.from, &a.to, &a.asks).cmp(&(b.turn, &b.from, &b.to, &b.asks)));
    sentences
}

/// A cell in words.
struct Told<'a> {
    difference: &'a Difference,
    key: Key,
    cell: &'a Cell,
}

impl Told<'_> {
    fn of(&self, regions: &[&Region]) -> Vec<Sentence> {
        let mut kinds: BTreeMap<String, (Kind, Vec<Block>)> = BTreeMap::new();
        for region in regions {
            let kind = kind(region);
            let block = Block {
                endpoints: std::iter::once(region.endpoint).collect(),
                atoms: region.atoms.clone(),
                example: region.example.clone(),
            };
            kinds.entry(format!("{kind:?}")).or_insert_with(|| (kind, Vec::new())).1.push(block);
        }
        let told = kinds.into_values().flat_map(|(kind, blocks)| {
            joined(blocks).into_iter().map(move |block| self.sentence(&kind, &block))
        });
        told.collect()
    }

    fn sentence(&self, kind: &Kind, block: &Block) -> Sentence {
        let (from, to) = self.ends(kind);
        Sentence {
            turn: kind.turn,
            from: vec![from],
            to,
            asks: self.asks(block.atoms.get(Axis::Ask as usize)),
            only: self.conditions(block, kind),
            when: self.when(block),
            rules: kind.rules.clone(),
            reason: kind.reason,
            example: block.example.clone(),
        }
    }

    /// Whence and whither. The law in which they pass gives the names; addresses are told where the other one has them
    /// otherwise.
    fn ends(&self, kind: &Kind) -> (String, String) {
        let names = &self.difference.names;
        let side = |both: &Both<Option<Name>>| {
            let (first, second) = if kind.turn == Turn::Refused {
                (&both.old, &both.new)
            } else {
                (&both.new, &both.old)
            };
            first
                .clone()
                .or_else(|| second.clone())
                .map_or_else(|| "nobody".to_owned(), |name| name.to_string())
        };
        let Some(source) = self.difference.atlas.sources.get(self.key.source) else {
            return (String::new(), String::new());
        };
        let systems = source.owned.map(|owned| owned.map(|(system, _)| system));
        let from = names.named(systems);
        let same = self.same(&from) && source.owned.map(open).map(|it| it.is_some()).agrees();
        let nets = if same { Vec::new() } else { phrase::nets(&source.stretches) };
        let from = [vec![side(&from)], nets].concat().join(" ");
        let Some(host) = self.key.host.and_then(|host| self.difference.atlas.hosts.get(host))
        else {
            return (
                from,
                names.led(&kind.rules).map_or_else(|| "?".to_owned(), ToString::to_string),
            );
        };
        let to = names.named(host.systems);
        let hosts = host.hosts.iter().map(ToString::to_string);
        let hosts: Vec<_> = if self.same(&to) { Vec::new() } else { hosts.collect() };
        (from, [vec![side(&to)], hosts].concat().join(" "))
    }

    /// Whether a system is the same in both laws, by whatever name.
    fn same(&self, systems: &Both<Option<Name>>) -> bool {
        let renamed = systems.old.as_ref().map(|name| self.difference.renames.system(name));
        renamed == systems.new.as_ref()
    }

    fn when(&self, block: &Block) -> String {
        let picked: Vec<_> = block.atoms.first().into_iter().flat_map(Atoms::iter).collect();
        phrase::times(&self.cell.moments, &picked, self.difference.begin, self.difference.offset)
    }

    fn asks(&self, atoms: Option<&Atoms>) -> String {
        let mut by_paths: BTreeMap<(bool, BTreeSet<usize>), Vec<usize>> = BTreeMap::new();
        let mut by_method: BTreeMap<(bool, usize), BTreeSet<usize>> = BTreeMap::new();
        for ask in atoms.into_iter().flat_map(Atoms::iter).map(|atom| self.cell.ask(atom)) {
            if let Ask::Request { upgrade, method, path } = ask {
                by_method.entry((upgrade, method)).or_default().insert(path);
            }
        }
        for ((upgrade, method), paths) in by_method {
            by_paths.entry((upgrade, paths)).or_default().push(method);
        }
        let told = by_paths.into_iter().map(|((upgrade, paths), methods)| {
            let switch = if upgrade { "switching protocols, " } else { "" };
            format!(
                "{switch}{} {}",
                self.methods(&methods),
                phrase::paths(&self.cell.paths, &paths)
            )
        });
        told.collect::<Vec<_>>().join("; ")
    }

    fn methods(&self, picked: &[usize]) -> String {
        let last = self.cell.methods.len().saturating_sub(1);
        if picked.len() > last {
            return "any method".to_owned();
        }
        let name = |at: &usize| match self.cell.methods.get(*at) {
            Some(method) if *at != last => method.to_string(),
            _ => "any other method".to_owned(),
        };
        picked.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    fn conditions(&self, block: &Block, kind: &Kind) -> Vec<String> {
        let atoms = |axis: Axis| block.atoms.get(axis as usize);
        let all = [
            atoms(Axis::Listener).and_then(|it| self.listeners(it, kind)),
            atoms(Axis::Version).and_then(|it| self.versions(it)),
            atoms(Axis::Spoken).and_then(Self::spoken),
            atoms(Axis::Paper).and_then(|it| self.papers(it)),
            atoms(Axis::Peer).and_then(|it| self.peers(it)),
            self.endpoints(&block.endpoints),
            kind.observed.then(|| "only observed".to_owned()),
        ];
        all.into_iter().flatten().collect()
    }

    fn listeners(&self, atoms: &Atoms, kind: &Kind) -> Option<String> {
        if self.difference.names.same_listener(&kind.rules, &self.difference.renames) {
            return None;
        }
        let all = || self.cell.entrances.iter().enumerate();
        let named = |picked: bool| -> Vec<&Name> {
            let told = all().filter(|(atom, _)| atoms.contains(*atom) == picked);
            told.filter_map(|(_, it)| it.named()).collect()
        };
        let quoted = |names: &[&Name]| {
            names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
        };
        if all().any(|(atom, it)| matches!(it, Entrance::Other(_)) && atoms.contains(atom)) {
            let mut spared = named(false);
            spared.retain(|name| !self.difference.names.refuses(name));
            return (!spared.is_empty())
                .then(|| format!("at any listener but {}", quoted(&spared)));
        }
        let told = named(true);
        Some(if told.is_empty() {
            "where no listener is known".to_owned()
        } else {
            format!("at listener {}", quoted(&told))
        })
    }

    fn versions(&self, atoms: &Atoms) -> Option<String> {
        let picked: BTreeSet<_> = atoms.iter().filter_map(|atom| VERSIONS.get(atom)).collect();
        let both = &self.difference.versions;
        let usual = !both.is_empty() && both.iter().all(|version| picked.contains(version));
        let names: Vec<_> = picked.iter().map(|version| version.as_str()).collect();
        (self.key.host.is_some() && !usual).then(|| format!("over TLS {}", names.join(", ")))
    }

    /// Told only where it is the agreed protocol that makes a difference; what no TLS protects passes by neither law.
    fn spoken(atoms: &Atoms) -> Option<String> {
        let agreed =
            atoms.iter().filter_map(|atom| SPOKEN.get(atom)).any(|(alpn, _)| alpn.is_some());
        (!agreed).then(|| "without an application protocol".to_owned())
    }

    /// Told where the address is the same system's in both laws, so that it is the certificate that makes a difference.
    fn papers(&self, atoms: &Atoms) -> Option<String> {
        let source = self.difference.atlas.sources.get(self.key.source)?;
        if source.owned.map(|owned| open(owned).is_none()).into_iter().any(|unknown| unknown) {
            return None;
        }
        let picked: Vec<_> = atoms.iter().filter_map(|atom| self.cell.shown.get(atom)).collect();
        let own = Both { old: Whose::Own, new: Whose::Own };
        let usual = picked.iter().any(|it| {
            matches!(it, Shown::Unknown) || matches!(it, Shown::Named(whose, _) if *whose == own)
        });
        let names = |it: &&Shown| match it {
            Shown::Named(_, identities) => listed(identities),
            Shown::Unknown | Shown::Absent | Shown::Flawed => String::new(),
        };
        let shown: Vec<_> = picked.iter().map(names).collect();
        (!usual).then(|| format!("with a certificate of {}", shown.join(" or of ")))
    }

    fn peers(&self, atoms: &Atoms) -> Option<String> {
        let picked: Vec<_> = atoms.iter().filter_map(|atom| self.cell.servers.get(atom)).collect();
        let usual = picked.iter().any(|it| {
            matches!(it, Server::Unknown)
                || matches!(it, Server::Verified(Both { old: true, new: true }, _))
        });
        let names = |it: &&Server| match it {
            Server::Verified(_, identities) => listed(identities),
            Server::Unknown | Server::Refused => String::new(),
        };
        let shown: Vec<_> = picked.iter().map(names).collect();
        (!usual).then(|| format!("where the server shows {}", shown.join(" or ")))
    }

    /// Told where not every address that is ever dialled is meant.
    fn endpoints(&self, atoms: &Atoms) -> Option<String> {
        let dialled = |at: &usize| self.cell.dialled.contains(at);
        let all = (0..self.cell.endpoints.len()).filter(dialled).all(|at| atoms.contains(at));
        if all || atoms.contains(0) {
            return None;
        }
        let picked = atoms.iter().filter_map(|at| self.cell.endpoints.get(at)).flatten();
        let names: Vec<_> = picked.map(ToString::to_string).collect();
        Some(format!("dialled at {}", names.join(", ")))
    }
}

fn listed(identities: &[Identity]) -> String {
    let names: Vec<_> = identities.iter().map(|it| format!("`{it}`")).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(" and ") }
}
