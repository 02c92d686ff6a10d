//! That the difference of two laws is exactly where their engines answer differently; and what it is in words.

mod cutting;
mod renaming;
mod wording;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Difference, Outcome, Turn, compare};
use crate::flow::{Flow, Name};
use crate::policy::engine::Engine;
use crate::policy::engine::random::{any_flow, model};
use crate::policy::imagined::{self, law, name, names};
use crate::policy::model::{Model, Protocol, RoundTrip, Rule, Side, System};

fn engine(model: &Model) -> Arc<Engine> {
    Arc::new(Engine::compile(model.clone()).with_listeners(names(&["guard"])))
}

/// What both engines say, compared without any algebra.
fn differs(difference: &Difference, old: &Engine, new: &Engine, flow: &Flow) -> bool {
    match (Outcome::of(&old.decide(flow)), Outcome::of(&new.decide(flow))) {
        (Outcome::Passes(was, a), Outcome::Passes(is, b)) => {
            *difference.renames().rule(&was) != is || a != b
        }
        (was, is) => was != is,
    }
}

/// The first law with some things of the second: which, the bits say.
fn crossed(old: &Model, other: &Model, bits: u32) -> Model {
    let mut new = old.clone();
    let takes = |bit: u32| bits & 1 << bit != 0;
    if takes(0) {
        new.guardrails = other.guardrails.clone();
    }
    if takes(1) {
        new.approvals = other.approvals.clone();
    }
    if takes(2) {
        new.sites = other.sites.clone();
    }
    if takes(3) {
        new.systems = other.systems.clone();
    }
    if takes(4) {
        new.interconnection = other.interconnection.clone();
    }
    for (number, key) in (5..32).zip(0..16) {
        let key = name(&format!("r{key}"));
        if takes(number) {
            drop(new.rules.remove(&key));
            new.rules.extend(other.rules.get(&key).map(|rule| (key, rule.clone())));
        }
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flow_is_answered_differently_exactly_where_the_difference_says_so(
        a in model(),
        b in model(),
        bits in prop_oneof![any::<u32>(), (0_u32..32).prop_map(|bit| 1 << bit)],
        flows in vec(any_flow(), 48),
    ) {
        let b = crossed(&a, &b, bits);
        let (old, new) = (engine(&a), engine(&b));
        let difference = compare(&old, &new).unwrap();
        for flow in &flows {
            prop_assert_eq!(
                difference.contains(flow), differs(&difference, &old, &new, flow),
                "{:?}\nold {:?}\nnew {:?}", flow, old.decide(flow), new.decide(flow)
            );
        }
        // Every sentence has an example that it is true of.
        for sentence in difference.sentences() {
            prop_assert!(differs(&difference, &old, &new, &sentence.example), "{sentence:?}");
            prop_assert!(difference.contains(&sentence.example), "{sentence:?}");
        }
    }

    #[test]
    fn a_law_does_not_differ_from_itself_in_another_order(a in model()) {
        let difference = compare(&engine(&a), &engine(&a.clone())).unwrap();
        prop_assert!(difference.is_empty(), "{:?}", difference.sentences());
    }
}

/// The world of the property test is worth nothing where laws hardly ever differ.
#[test]
fn the_random_laws_differ_often_and_in_every_way() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = || {
        (
            model().new_tree(&mut runner).unwrap().current(),
            model().new_tree(&mut runner).unwrap().current(),
        )
    };
    let mut stream = proptest::test_runner::TestRunner::deterministic();
    let mut turns = BTreeSet::new();
    let (mut differing, mut flows) = (0, 0);
    for round in 0..120_u32 {
        let (a, b) = draw();
        let bits = if round % 2 == 0 { u32::MAX } else { 1 << (round % 21) };
        let (old, new) = (engine(&a), engine(&crossed(&a, &b, bits)));
        let difference = compare(&old, &new).unwrap();
        turns.extend(difference.sentences().iter().map(|sentence| sentence.turn));
        for _ in 0..100 {
            let flow = any_flow().new_tree(&mut stream).unwrap().current();
            flows += 1;
            differing += u32::from(difference.contains(&flow));
        }
    }
    assert_eq!(turns.len(), 4, "{turns:?}");
    assert!(differing > 100, "{differing} of {flows}");
}

/// The changes of the shipped situation in words: `turn from → to asks [only] (when) was→is reason`.
fn said(edit: impl FnOnce(&mut Model)) -> Vec<String> {
    said_of(|_| (), edit)
}

/// The same of a law that was edited before.
fn said_of(before: impl FnOnce(&mut Model), edit: impl FnOnce(&mut Model)) -> Vec<String> {
    told(&between(before, edit))
}

/// What an edit of an edited law comes to.
fn between(before: impl FnOnce(&mut Model), edit: impl FnOnce(&mut Model)) -> Difference {
    let mut old = law();
    before(&mut old);
    let mut new = old.clone();
    edit(&mut new);
    compare(&engine(&old), &engine(&new)).unwrap()
}

fn told(difference: &Difference) -> Vec<String> {
    let rule =
        |rule: &Option<Name>| rule.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let sentences = difference.sentences();
    let sentences = sentences.iter().map(|it| {
        format!(
            "{} {} → {}: {} {:?} {} {}→{} {}",
            it.turn.code(),
            it.from.join("+"),
            it.to,
            it.asks,
            it.only,
            it.when,
            rule(&it.rules.0),
            rule(&it.rules.1),
            it.reason.map_or("-", |reason| reason.code())
        )
    });
    let changes = difference.guardrails().iter().chain(difference.settings());
    let changes = changes.map(|it| format!("{} {} ({})", it.subject, it.text, it.effect.code()));
    sentences.chain(changes).collect()
}

fn register(model: &mut Model) -> &mut Rule {
    model.rules.get_mut("register").unwrap()
}

fn system<'a>(model: &'a mut Model, called: &str) -> &'a mut System {
    model.systems.get_mut(called).unwrap()
}

/// A second system of the centre, that `tcp` rules may lead to.
fn with_archive(model: &mut Model) {
    let endpoints = vec![imagined::endpoint("10.202.1.10:443", "tokyo", "r1-5")];
    let upstream = Some(imagined::upstream("archive.center.example", endpoints));
    let identities = ["dns:archive.center.example"];
    let archive = System { upstream, ..imagined::system(Side::Center, &[], &identities) };
    model.systems.insert(name("archive"), archive);
    model.guardrails.destinations = None;
    model.guardrails.encryption = None;
}

fn tcp(model: &mut Model, called: &str, to: &str) {
    let rule = imagined::rule(&["existing-system"], to, Protocol::Tcp, None);
    model.rules.insert(name(called), rule);
}

#[test]
fn a_new_path_and_a_method_less_are_told_in_the_words_of_the_law() {
    let path =
        said(|law| register(law).http.as_mut().unwrap().paths.push(imagined::pattern("/report")));
    assert_eq!(
        path,
        ["allowed existing-system → intermediate-server: GET POST PUT /report []  -→register path"]
    );
    let covered = said(|law| {
        register(law).http.as_mut().unwrap().paths.push(imagined::pattern("/exchange/x"));
    });
    assert_eq!(
        covered,
        Vec::<String>::new(),
        "a path that was in the rule already changes nothing"
    );
    let method = said(|law| {
        register(law).http.as_mut().unwrap().methods.pop_last();
    });
    assert_eq!(
        method,
        ["refused existing-system → intermediate-server: PUT /exchange/** []  register→- method"]
    );
}

#[test]
fn a_new_address_is_told_with_its_prefix_and_a_new_end_with_its_day() {
    let address = said(|law| {
        let system = law.systems.get_mut("existing-system").unwrap();
        system.addresses.push("10.14.0.0/24".parse().unwrap());
    });
    assert_eq!(
        address,
        [
            "allowed existing-system 10.14.0.0/24 → intermediate-server: GET /result/* []  -→results unknown_source",
            "allowed existing-system 10.14.0.0/24 → intermediate-server: GET POST PUT /exchange/** []  -→register unknown_source",
        ]
    );
    let end = said(|law| {
        register(law).period.until = Some(imagined::moment("2027-04-01T00:00:00+09:00"));
    });
    assert_eq!(
        end,
        [
            "refused existing-system → intermediate-server: GET POST PUT /exchange/** [] from 2027-04-01 register→- path"
        ]
    );
}

#[test]
fn another_listener_another_version_and_an_opened_site_are_conditions() {
    let listener = said(|law| register(law).listener = Some(name("union-lan")));
    assert_eq!(
        listener,
        [
            "refused existing-system → intermediate-server: GET POST PUT /exchange/** [\"at any listener but `union-lan`\"]  register→- path"
        ]
    );
    let version = said(|law| {
        let encryption = law.guardrails.encryption.as_mut().unwrap();
        encryption.what.versions.insert(crate::flow::TlsVersion::Tls12);
    });
    assert_eq!(
        version,
        [
            "allowed existing-system → intermediate-server: GET /result/* [\"over TLS 1.2\"]  -→results tls_version",
            "allowed existing-system → intermediate-server: GET POST PUT /exchange/** [\"over TLS 1.2\"]  -→register tls_version",
            "guardrail `encryption` names `TLS 1.2` too (wider)",
        ]
    );
    let site =
        said(|law| law.sites.get_mut("osaka").unwrap().dial = crate::policy::model::Dial::Always);
    assert_eq!(
        site[0],
        "allowed existing-system → intermediate-server: GET /result/* [\"dialled at 10.201.1.10:443\"]  -→results site_not_declared"
    );
    assert_eq!(site.last().unwrap(), "site `osaka` `dial` was declared, is always (neither)");
}

#[test]
fn renames_and_reorderings_are_no_change() {
    let mut new = law();
    let renamed = |text: &Name| name(&format!("new-{text}"));
    new.systems = new.systems.into_iter().map(|(key, system)| (renamed(&key), system)).collect();
    for rule in new.rules.values_mut() {
        rule.from = rule.from.iter().map(renamed).collect();
        rule.to = renamed(&rule.to);
        rule.http.as_mut().unwrap().paths.reverse();
    }
    new.rules = new.rules.into_iter().map(|(key, rule)| (renamed(&key), rule)).collect();
    let guardrails = &mut new.guardrails;
    for listed in
        [&mut guardrails.destinations, &mut guardrails.reverse_access, &mut guardrails.content]
    {
        let listed = &mut listed.as_mut().unwrap().what;
        *listed = listed.iter().map(renamed).collect();
    }
    let difference = compare(&engine(&law()), &engine(&new)).unwrap();
    assert!(difference.is_empty(), "{:?}", told(&difference));
    assert_eq!(difference.renames().rules.len(), 2);
    assert_eq!(difference.renames().systems.len(), 4);
}

#[test]
fn a_rule_that_takes_over_another_ones_flows_is_told() {
    let taken = said(|law| {
        let rule = law.rules["register"].clone();
        law.rules.insert(name("all"), rule);
    });
    assert_eq!(
        taken,
        [
            "other_rule existing-system → intermediate-server: GET POST PUT /exchange/** []  register→all -",
            "rule `all` is new (neither)"
        ]
    );
}

#[test]
fn a_guardrail_says_whether_it_is_wider_and_trust_is_a_setting() {
    let tighter = said(|law| {
        law.guardrails.reverse_access.as_mut().unwrap().what.insert(name("standard-system"));
        law.guardrails.content = None;
    });
    assert_eq!(
        tighter,
        [
            "guardrail `reverse_access` names `standard-system` too (tighter)",
            "guardrail `content` is gone (wider)"
        ]
    );
    let trust =
        said(|law| law.trust.get_mut("center-ca").unwrap().roots = "certs/ca-2027.pem".into());
    assert_eq!(trust, ["trust `center-ca` `roots` was ca.pem, is ca-2027.pem (neither)"]);
}

/// What is told beside the answers: of the edit, and of taking it back.
fn changes(edit: impl FnOnce(&mut Model)) -> (Vec<String>, Vec<String>) {
    let mut new = law();
    edit(&mut new);
    let (old, new) = (engine(&law()), engine(&new));
    let told = |difference: &Difference| -> Vec<String> {
        let changes = difference.guardrails().iter().chain(difference.settings());
        changes.map(|it| format!("{} {} ({})", it.subject, it.text, it.effect.code())).collect()
    };
    (told(&compare(&old, &new).unwrap()), told(&compare(&new, &old).unwrap()))
}

/// One change and what it is the other way round.
#[track_caller]
fn check_change(edit: impl FnOnce(&mut Model), forth: &str, back: &str) {
    assert_eq!(changes(edit), (vec![forth.to_owned()], vec![back.to_owned()]));
}

#[test]
fn every_word_of_the_council_says_what_it_does_to_what_may_pass() {
    check_change(
        |law| law.guardrails.destinations.as_mut().unwrap().clause = Some("9".to_owned()),
        "guardrail `destinations` cites clause 9, not 4(1)イ (neither)",
        "guardrail `destinations` cites clause 4(1)イ, not 9 (neither)",
    );
    check_change(
        |law| law.guardrails.content.as_mut().unwrap().clause = None,
        "guardrail `content` cites clause none, not 4(1)イ (neither)",
        "guardrail `content` cites clause 4(1)イ, not none (neither)",
    );
    check_change(
        |law| law.guardrails.encryption.as_mut().unwrap().what.passthrough = true,
        "guardrail `encryption` `passthrough` was false, is true (wider)",
        "guardrail `encryption` `passthrough` was true, is false (tighter)",
    );
    check_change(
        |law| law.guardrails.encryption.as_mut().unwrap().what.mutual = false,
        "guardrail `encryption` `mutual` was true, is false (wider)",
        "guardrail `encryption` `mutual` was false, is true (tighter)",
    );
    check_change(
        |law| law.guardrails.round_trip = RoundTrip::Enforce,
        "guardrail `residency` `round_trip` was observe, is enforce (tighter)",
        "guardrail `residency` `round_trip` was enforce, is observe (wider)",
    );
    check_change(
        |law| law.guardrails.residency.as_mut().unwrap().what.extend(["KR".to_owned()]),
        "guardrail `residency` names `KR` too (wider)",
        "guardrail `residency` no longer names `KR` (tighter)",
    );
    check_change(
        |law| law.guardrails.reverse_access = None,
        "guardrail `reverse_access` is gone (wider)",
        "guardrail `reverse_access` is new (tighter)",
    );
    check_change(
        |law| law.interconnection.connection_date = imagined::moment("2020-07-01T00:00:00+09:00"),
        "the connection date was 2020-06-15, is 2020-07-01 (tighter)",
        "the connection date was 2020-07-01, is 2020-06-15 (wider)",
    );
}

#[test]
fn laws_are_the_same_only_where_answers_guardrails_and_settings_are() {
    let is_empty = |edit: fn(&mut Model)| {
        let mut new = law();
        edit(&mut new);
        compare(&engine(&law()), &engine(&new)).unwrap().is_empty()
    };
    assert!(is_empty(|_| ()));
    assert!(!is_empty(|law| register(law).listener = Some(name("union-lan"))), "an answer");
    assert!(!is_empty(|law| law.guardrails.content = None), "a guardrail");
    assert!(!is_empty(|law| law.interconnection.section = "x".to_owned()), "a setting");
}

#[test]
fn an_end_is_told_with_its_last_day_or_its_moment() {
    let ends = |law: &mut Model, until: &str| {
        let approval = law.approvals.get_mut("r1-5").unwrap();
        approval.period.until = Some(imagined::moment(until));
    };
    check_change(
        |law| ends(law, "2027-04-01T00:00:00+09:00"),
        "approval `r1-5` `until` is 2027-03-31, was not there (neither)",
        "approval `r1-5` `until` was 2027-03-31, is not there (neither)",
    );
    check_change(
        |law| ends(law, "2027-04-01T12:00:00+09:00"),
        "approval `r1-5` `until` is 2027-04-01 12:00:00, was not there (neither)",
        "approval `r1-5` `until` was 2027-04-01 12:00:00, is not there (neither)",
    );
}

#[test]
fn what_is_let_in_though_nothing_can_pass_is_told_as_undecided() {
    let undecided = said(|law| {
        let mut rule = law.rules["register"].clone();
        rule.from = names(&["standard-system"]);
        law.rules.insert(name("new"), rule);
        law.sites.get_mut("tokyo").unwrap().dial = crate::policy::model::Dial::Never;
    });
    assert!(
        undecided.iter().any(|it| it.starts_with("undecided standard-system → ")),
        "{undecided:?}"
    );
    assert_eq!(Turn::Undecided.code(), "undecided");
}
