//! Which names of the old law are another name for the same thing in the new one.

use std::collections::BTreeMap;

use crate::flow::Name;
use crate::policy::model::{Approval, Model, Period, Rule, System};

/// Old names and the new ones that mean the same. A name that both laws have stays itself, whatever it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames {
    /// Systems.
    pub systems: BTreeMap<Name, Name>,
    /// Rules.
    pub rules: BTreeMap<Name, Name>,
}

impl Renames {
    /// Finds them.
    pub(super) fn of(old: &Model, new: &Model) -> Self {
        let mut renames = Self::default();
        renames.systems = matched(&old.systems, &new.systems, same_system);
        renames.rules =
            matched(&old.rules, &new.rules, |a, b| renames.same_rule((old, a), (new, b)));
        renames
    }

    /// The new name of a rule of the old law.
    pub fn rule<'a>(&'a self, old: &'a Name) -> &'a Name {
        self.rules.get(old).unwrap_or(old)
    }

    /// The new name of a system of the old law.
    pub fn system<'a>(&'a self, old: &'a Name) -> &'a Name {
        self.systems.get(old).unwrap_or(old)
    }

    fn same_rule(&self, (old, a): (&Model, &Rule), (new, b): (&Model, &Rule)) -> bool {
        let from = |name: &Name| self.system(name).clone();
        let requests = |rule: &Rule| {
            let http = rule.http.as_ref();
            http.map(|http| (http.methods.clone(), texts(http.paths.iter())))
        };
        a.from.iter().map(from).collect::<std::collections::BTreeSet<_>>() == b.from
            && *self.system(&a.to) == b.to
            && (a.listener.as_ref(), a.protocol, a.individual_number)
                == (b.listener.as_ref(), b.protocol, b.individual_number)
            && (a.idle_timeout, a.response_timeout) == (b.idle_timeout, b.response_timeout)
            && (a.enforcement, a.upgrade) == (b.enforcement, b.upgrade)
            && requests(a) == requests(b)
            && held(old, a) == held(new, b)
    }
}

/// Pairs of things that only one law has by that name, and that are the same; each is paired once.
pub(super) fn matched<T>(
    old: &BTreeMap<Name, T>,
    new: &BTreeMap<Name, T>,
    same: impl Fn(&T, &T) -> bool,
) -> BTreeMap<Name, Name> {
    let mut left: BTreeMap<&Name, &T> =
        new.iter().filter(|(name, _)| !old.contains_key(*name)).collect();
    let mut found = BTreeMap::new();
    for (name, thing) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        let twin =
            left.iter().find(|(_, other)| same(thing, other)).map(|(twin, _)| (*twin).clone());
        if let Some(twin) = twin {
            left.remove(&twin);
            found.insert(name.clone(), twin);
        }
    }
    found
}

fn same_system(a: &System, b: &System) -> bool {
    let upstream = |system: &System| {
        system.upstream.as_ref().map(|it| {
            (
                it.server_name.clone(),
                it.endpoints.iter().map(|endpoint| endpoint.address).collect::<Vec<_>>(),
            )
        })
    };
    (a.side, texts(a.addresses.iter()), texts(a.identities.iter()), upstream(a))
        == (b.side, texts(b.addresses.iter()), texts(b.identities.iter()), upstream(b))
}

/// Sorted: the order of a list never matters.
fn texts<T: ToString>(items: impl Iterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<_> = items.map(|item| item.to_string()).collect();
    texts.sort();
    texts
}

/// The periods that a rule stands on.
fn held(model: &Model, rule: &Rule) -> (Option<Period>, Period) {
    (model.approvals.get(&rule.approval).map(|it: &Approval| it.period), rule.period)
}
