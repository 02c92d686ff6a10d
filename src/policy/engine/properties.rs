//! What holds for every law and every flow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::random::{any_flow, encryption, guardrails, model, opened, second};
use super::{Engine, naive};
use crate::flow::{Flow, Name, Paper, Path, Request, Timestamp, TlsVersion};
use crate::policy::imagined::{certificate, names};
use crate::policy::model::{Dial, Model, Protocol};
use crate::verdict::Verdict;

fn refusing() -> BTreeSet<Name> {
    names(&["guard"])
}

fn engine(model: &Model) -> Engine {
    Engine::compile(model.clone()).with_listeners(refusing())
}

/// The facts without which a rule of this protocol lets nothing pass, as the bits of [`known`].
const fn needed(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Https => 0b1111,
        Protocol::Tls => 0b1011,
        Protocol::TlsPassthrough => 0b1001,
        Protocol::Tcp => 0b1000,
    }
}

/// The flow without the facts whose bit is not set.
fn known(flow: &Flow, facts: u8) -> Flow {
    let has = |bit: u8| facts & 1 << bit != 0;
    Flow {
        hello: flow.hello.clone().filter(|_| has(0)),
        paper: flow.paper.clone().filter(|_| has(1)),
        request: flow.request.clone().filter(|_| has(2)),
        endpoint: flow.endpoint.filter(|_| has(3)),
        peer: flow.peer.clone().filter(|_| has(4)),
        ..flow.clone()
    }
}

fn allows(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_equals_the_slower_truth(
        model in model(),
        opened in opened(),
        flows in vec(any_flow(), 16),
    ) {
        let engine = engine(&model).with_declarations(&opened);
        for flow in flows {
            let due = naive::decide(&model, (&refusing(), &opened), &flow);
            prop_assert_eq!(engine.decide(&flow), due);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_learned_later_never_softens_a_refusal(
        model in model(),
        opened in opened(),
        flow in any_flow(),
    ) {
        let engine = engine(&model).with_declarations(&opened);
        let all = engine.decide(&flow);
        for facts in 0..32_u8 {
            let some = engine.decide(&known(&flow, facts));
            if let Verdict::Deny(_) = some {
                // In the order of travel the refusal stays the very same one.
                let travelled = facts.count_ones() == facts.trailing_ones();
                prop_assert!(matches!(all, Verdict::Deny(_)), "{facts:05b}: {some:?}, then {all:?}");
                prop_assert!(!travelled || some == all, "{facts:05b}: {some:?}, then {all:?}");
            }
            if let Verdict::Allow(allowed) = &some {
                let due = needed(model.rules[&allowed.rule].protocol);
                prop_assert_eq!(facts & due, due, "{:05b}: {:?}", facts, some);
            }
        }
    }

    #[test]
    fn a_guardrail_never_enlarges_what_passes(
        model in model(),
        more in guardrails(),
        opened in opened(),
        flows in vec(any_flow(), 16),
    ) {
        let mut guarded = model.clone();
        // Without the guardrail only 1.3 passes; naming 1.2 in it is the law's way to permit that.
        let unguarded = model.guardrails.encryption.is_none();
        let tighter = encryption(BTreeSet::from([TlsVersion::Tls13])).filter(|_| unguarded);
        let g = &mut guarded.guardrails;
        g.encryption = model.guardrails.encryption.clone().or(tighter);
        g.destinations = model.guardrails.destinations.clone().or(more.destinations);
        g.reverse_access = model.guardrails.reverse_access.clone().or(more.reverse_access);
        g.residency = model.guardrails.residency.clone().or(more.residency);
        g.content = model.guardrails.content.clone().or(more.content);
        let open = |model: &Model| engine(model).with_declarations(&opened);
        let (before, after) = (open(&model), open(&guarded));
        for flow in flows {
            let passes = allows(&after.decide(&flow));
            prop_assert!(!passes || allows(&before.decide(&flow)), "{flow:?}");
        }
    }

    #[test]
    fn between_two_changes_of_the_law_time_changes_nothing(
        model in model(),
        opened in opened(),
        flow in any_flow(),
    ) {
        let engine = engine(&model).with_declarations(&opened);
        let steady = Flow { paper: Some(Arc::new(Paper::Presented(certificate(&["dns:a.example"])))), ..flow };
        let (mut now, end) = (second(-1), second(20));
        while let Some(next) = engine.next_change(now).filter(|next| *next < end) {
            prop_assert!(next > now);
            let at = |at| engine.decide(&Flow { at, ..steady.clone() });
            prop_assert_eq!(at(now), at(Timestamp::from_nanos(next.as_nanos() - 1)));
            now = next;
        }
        let at = |at| engine.decide(&Flow { at, ..steady.clone() });
        prop_assert_eq!(at(now), at(end));
    }

    #[test]
    fn a_masked_path_decides_as_the_real_one(
        model in model(),
        flow in any_flow(),
        segments in btree_set("[a-z0-9*.~%]{1,6}|d|u|e|", 1..4),
    ) {
        let text: String = segments.iter().rev().flat_map(|segment| ["/", segment]).collect();
        let Ok(path) = Path::parse(&text) else { return Ok(()) };
        let engine = engine(&model);
        let masked = Path::parse(engine.mask_path(&path).as_str()).expect("a masked path is a path");
        let with = |path: Path| Flow {
            request: flow.request.clone().map(|request| Request { path, ..request }),
            ..flow.clone()
        };
        prop_assert_eq!(engine.decide(&with(masked)), engine.decide(&with(path)));
    }
}

/// What a verdict is counted under: its reason or kind, and of an allow what led to it.
fn answers(model: &Model, engine: &Engine, verdict: &Verdict) -> Vec<&'static str> {
    let mut answers = vec![verdict.reason().map_or_else(|| verdict.code(), |it| it.code())];
    if let Verdict::Allow(allowed) = verdict {
        answers.push(model.rules[&allowed.rule].protocol.as_str());
        answers.extend(allowed.would_deny.map(|_| "would_deny"));
        let site = engine.site_of(allowed.endpoint).expect("it is an endpoint");
        answers.extend((model.sites[site].dial == Dial::Declared).then_some("declared"));
    }
    answers
}

/// Random worlds are worth nothing when they refuse everything for the same reason.
#[test]
fn the_random_world_meets_every_answer() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::new();
    for _ in 0..1500 {
        let model = model().new_tree(&mut runner).expect("a model").current();
        let opened = opened().new_tree(&mut runner).expect("declarations").current();
        let engine = engine(&model).with_declarations(&opened);
        for _ in 0..16 {
            let verdict =
                engine.decide(&any_flow().new_tree(&mut runner).expect("a flow").current());
            for answer in answers(&model, &engine, &verdict) {
                *seen.entry(answer).or_insert(0) += 1;
            }
        }
    }
    for answer in [
        "allow",
        "https",
        "tls",
        "tls_passthrough",
        "tcp",
        "would_deny",
        "declared",
        "not_yet",
        "reverse_access",
        "unknown_source",
        "unknown_destination",
        "destination_not_listed",
        "no_rule",
        "listener",
        "identity_missing",
        "identity_unknown",
        "identity_mismatch",
        "certificate_revoked",
        "revocation_unknown",
        "certificate_expired",
        "certificate_invalid",
        "tls_version",
        "host_mismatch",
        "protocol",
        "method",
        "path",
        "upgrade",
        "before_connection_date",
        "before_approval",
        "after_approval",
        "outside_country",
        "country_unknown",
        "site_not_declared",
        "upstream_identity",
    ] {
        let often = if answer == "allow" { 60 } else { 5 };
        let times = seen.get(answer).copied().unwrap_or(0);
        assert!(times >= often, "`{answer}` happened {times} times: {seen:?}");
    }
}
