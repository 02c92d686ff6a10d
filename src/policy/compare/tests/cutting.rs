//! What is looked at, and what is not: a cell in which both laws say the same is never cut, and a cell is cut no finer
//! than its rules ask. `diff` answers within seconds for thousands of rules because of it.

use super::{engine, register, tcp, with_archive};
use crate::policy::compare::atlas::Atlas;
use crate::policy::compare::cell::Cell;
use crate::policy::compare::{Both, Pair};
use crate::policy::engine::Engine;
use crate::policy::imagined::{law, name, pattern};
use crate::policy::model::{Enforcement, Model};

/// The cells that are cut: whether a server name is known, and how many rules and classes of endpoints they have.
fn cells(old: &Engine, new: &Engine) -> Vec<(bool, Both<usize>, usize)> {
    let pair = Pair { old, new };
    let atlas = Atlas::of(pair);
    let cut = atlas.keys(pair).into_iter().filter_map(|key| {
        let cell = Cell::of(pair, &atlas, key).unwrap()?;
        Some((key.host.is_some(), cell.rules.each().map(Vec::len), cell.endpoints.len()))
    });
    cut.collect()
}

fn cut(
    before: impl FnOnce(&mut Model),
    edit: impl FnOnce(&mut Model),
) -> Vec<(bool, Both<usize>, usize)> {
    let mut old = law();
    before(&mut old);
    let mut new = old.clone();
    edit(&mut new);
    cells(&engine(&old), &engine(&new))
}

fn both(rules: usize) -> Both<usize> {
    Both { old: rules, new: rules }
}

#[test]
fn where_both_laws_say_the_same_nothing_is_cut() {
    assert_eq!(cut(with_archive, |_| ()), []);
    let elsewhere = |law: &mut Model| {
        with_archive(law);
        tcp(law, "raw", "archive");
    };
    let one = cut(elsewhere, |law| law.rules.get_mut("raw").unwrap().listener = Some(name("x")));
    assert_eq!(
        one.iter().filter(|(toward, ..)| *toward).count(),
        1,
        "of two destinations: {one:?}"
    );
}

#[test]
fn a_rule_whose_paths_no_other_one_meets_is_not_looked_at() {
    let path =
        |law: &mut Model| register(law).http.as_mut().unwrap().paths.push(pattern("/report"));
    let rules = |cells: Vec<(bool, Both<usize>, usize)>| {
        cells.into_iter().map(|(_, rules, _)| rules).collect::<Vec<_>>()
    };
    assert_eq!(rules(cut(|_| (), path)), [both(1), both(1)], "`results` has paths of its own");
    let observing = |law: &mut Model| {
        law.rules.get_mut("results").unwrap().enforcement = Enforcement::Observe;
    };
    assert_eq!(rules(cut(observing, path)), [both(2), both(2)], "what observes takes every path");
}

#[test]
fn whose_an_address_is_is_told_apart_only_where_a_rule_goes_by_it() {
    let path =
        |law: &mut Model| register(law).http.as_mut().unwrap().paths.push(pattern("/report"));
    let classes = |before: fn(&mut Model)| -> Vec<_> {
        cut(before, path).into_iter().map(|(toward, _, classes)| (toward, classes)).collect()
    };
    // None; what may be dialled, of whomever; what waits for a declaration.
    assert_eq!(classes(with_archive), [(false, 3), (true, 3)]);
    let raw = |law: &mut Model| {
        with_archive(law);
        tcp(law, "raw", "archive");
    };
    assert_eq!(classes(raw), [(false, 4), (true, 3)]);
}
