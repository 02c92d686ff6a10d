//! Rules that change nothing: those that can never fit, and those that another one covers.

use std::collections::BTreeMap;

use super::{beside, warning};
use crate::flow::Name;
use crate::policy::compile::Term;
use crate::policy::model::{Http, Model, PathPattern, Rule, SegmentPattern};
use crate::yaml::Fault;

/// Rules whose period and approval leave no moment. What has only ended is told by the day, not here.
pub(super) fn dead(model: &Model) -> Vec<Fault> {
    let never = |rule: &Rule| {
        let term = term(model, rule);
        term.since >= term.until
    };
    let fault = |(name, rule): (&Name, &Rule)| {
        let message =
            format!("rule `{name}` can never fit: its period and its approval share no moment");
        warning("dead_rule", message, &rule.place)
    };
    model.rules.iter().filter(|(_, rule)| never(rule)).map(fault).collect()
}

/// Rules of which everything that fits also fits another. Of two that are equal the later is told.
pub(super) fn covered(model: &Model) -> Vec<Fault> {
    // A rule that covers another has each of its sources, so the first one leads to all that could.
    let mut by_source: BTreeMap<(&Name, &Name), Vec<(&Name, &Rule)>> = BTreeMap::new();
    for (name, rule) in &model.rules {
        for from in &rule.from {
            by_source.entry((&rule.to, from)).or_default().push((name, rule));
        }
    }
    let wider = |name: &Name, rule: &Rule| {
        let from = rule.from.first()?;
        let mut near = by_source.get(&(&rule.to, from))?.iter();
        let covers_it = |other: &&(&Name, &Rule)| {
            let back = || *other.0 > *name && covers(model, rule, other.1);
            *other.0 != *name && covers(model, other.1, rule) && !back()
        };
        near.find(covers_it).copied()
    };
    let fault = |(name, rule): (&Name, &Rule)| {
        let (other, wide) = wider(name, rule)?;
        let message = format!("rule `{name}` changes nothing: all of it fits rule `{other}` too");
        Some(beside(warning("covered_rule", message, &rule.place), &wide.place, "covers it"))
    };
    model.rules.iter().filter_map(fault).collect()
}

fn term(model: &Model, rule: &Rule) -> Term {
    Term::approved(model, &rule.approval, rule.period)
}

fn covers(model: &Model, wide: &Rule, narrow: &Rule) -> bool {
    let (outer, inner) = (term(model, wide), term(model, narrow));
    let listener = wide.listener.is_none() || wide.listener == narrow.listener;
    let treatment = |rule: &Rule| {
        let timeouts = (rule.idle_timeout, rule.response_timeout);
        (rule.protocol, rule.individual_number, timeouts, rule.enforcement)
    };
    let same = treatment(wide) == treatment(narrow) && (wide.upgrade || !narrow.upgrade);
    same && listener
        && narrow.from.is_subset(&wide.from)
        && (outer.since <= inner.since && inner.until <= outer.until)
        && match (&wide.http, &narrow.http) {
            (Some(wide), Some(narrow)) => covers_http(wide, narrow),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
}

fn covers_http(wide: &Http, narrow: &Http) -> bool {
    let path = |inner: &PathPattern| wide.paths.iter().any(|outer| covers_path(outer, inner));
    narrow.methods.is_subset(&wide.methods) && narrow.paths.iter().all(path)
}

/// Whether every path that fits `narrow` fits `wide`; it may miss that several patterns do so together.
fn covers_path(wide: &PathPattern, narrow: &PathPattern) -> bool {
    let (outer, inner) = (wide.segments.len(), narrow.segments.len());
    let long_enough = if wide.rest {
        // The first segment of the rest may not be empty, which a literal at a path's end can be.
        let first = narrow.segments.get(outer);
        let empty = first == Some(&SegmentPattern::Literal(Box::from("")));
        !empty && (inner > outer || (inner == outer && narrow.rest))
    } else {
        inner == outer && !narrow.rest
    };
    long_enough
        && wide.segments.iter().zip(&narrow.segments).all(|(outer, inner)| match outer {
            SegmentPattern::Literal(_) => outer == inner,
            SegmentPattern::Any => *inner != SegmentPattern::Literal(Box::from("")),
        })
}
