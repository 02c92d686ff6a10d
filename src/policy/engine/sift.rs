//! The judgement taken apart: the same checks as `decide`, each asked by itself, so that it can be shown which of them
//! refuses and which fact stops which rule. Nothing is decided here.

use std::collections::BTreeSet;

use super::decide::Case;
use super::declared::Standing;
use super::stop::{Phase, Stops, fits, stops};
use crate::flow::{Flow, Name};
use crate::policy::compile::{RuleEntry, RuleId, SystemId, Tables};
use crate::verdict::{Reason, Stage};

/// What each check says of one flow.
#[derive(Debug)]
pub(in crate::policy) struct Sift<'a> {
    /// What refuses whatever the rules say, in the order of travel.
    pub(in crate::policy) gates: Vec<(Stage, Reason)>,
    /// Whose address it comes from.
    pub(in crate::policy) source: Option<SystemId>,
    /// Whose name it asks for.
    pub(in crate::policy) destination: Option<SystemId>,
    /// The rules, in the order of their names.
    pub(in crate::policy) rules: Vec<Sifted<'a>>,
}

/// One rule and what stops it, in the order in which facts come.
#[derive(Debug)]
pub(in crate::policy) struct Sifted<'a> {
    pub(in crate::policy) rule: &'a RuleEntry,
    /// Transport, listener and dates.
    pub(in crate::policy) standing: Sieve,
    /// The application protocol.
    pub(in crate::policy) protocol: Sieve,
    /// The request.
    pub(in crate::policy) request: Sieve,
}

/// What one phase finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Sieve {
    /// The kinds of facts that do not fit.
    pub(in crate::policy) stops: Stops,
    /// Whether the rule goes on all the same.
    pub(in crate::policy) fits: bool,
}

/// Sifts some rules.
pub(super) fn sift<'a>(
    tables: &'a Tables,
    here: (&BTreeSet<Name>, &[Standing]),
    flow: &Flow,
    rules: &[RuleId],
) -> Sift<'a> {
    of(tables, here, flow, rules.iter().copied())
}

/// Sifts every rule of the law.
pub(super) fn sift_all<'a>(
    tables: &'a Tables,
    here: (&BTreeSet<Name>, &[Standing]),
    flow: &Flow,
) -> Sift<'a> {
    of(tables, here, flow, 0..tables.rules.len())
}

fn of<'a>(
    tables: &'a Tables,
    here: (&BTreeSet<Name>, &[Standing]),
    flow: &Flow,
    ids: impl Iterator<Item = RuleId>,
) -> Sift<'a> {
    let (refusing, open) = here;
    let case = Case { tables, refusing, open, flow };
    let (source, destination) = case.ends();
    let rules = ids.filter_map(|id| tables.rules.get(id)).map(|rule| Sifted {
        rule,
        standing: sieve(rule, flow, Phase::Standing),
        protocol: sieve(rule, flow, Phase::Protocol),
        request: sieve(rule, flow, Phase::Request),
    });
    Sift { gates: case.gates(), source, destination, rules: rules.collect() }
}

fn sieve(rule: &RuleEntry, flow: &Flow, phase: Phase) -> Sieve {
    Sieve { stops: stops(rule, flow, phase), fits: fits(rule, flow, phase) }
}
