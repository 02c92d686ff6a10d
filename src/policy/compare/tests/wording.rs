//! What each kind of change is in words, and what goes without saying. Which flows are meant is tested beside it.

use super::{between, register, said, said_of, system, tcp, with_archive};
use crate::flow::TlsVersion;
use crate::policy::imagined::{identity, name, names};
use crate::policy::model::{Dial, Enforcement, Model, Protocol};

/// The lines of one turn, without what is common to all of these laws.
fn of(turn: &str, lines: &[String]) -> Vec<String> {
    let turned = lines.iter().filter_map(|line| line.strip_prefix(turn));
    turned.map(|line| line.trim().replace(" → intermediate-server", "")).collect()
}

fn at(listener: &str) -> impl Fn(&mut Model) {
    move |law| register(law).listener = Some(name(listener))
}

fn without_put(law: &mut Model) {
    register(law).http.as_mut().unwrap().methods.pop_last();
}

/// `register` under another name.
fn renamed(law: &mut Model, edit: impl FnOnce(&mut crate::policy::model::Rule)) {
    let mut rule = law.rules.remove("register").unwrap();
    edit(&mut rule);
    law.rules.insert(name("enrol"), rule);
}

#[test]
fn a_listener_that_a_rule_is_bound_to_is_what_still_lets_it_pass() {
    assert_eq!(
        of("allowed", &said_of(at("union-lan"), |law| register(law).listener = None)),
        [
            "existing-system: GET POST PUT /exchange/** [\"at any listener but `union-lan`\"]  -→register path"
        ]
    );
    let other = said_of(at("union-lan"), at("branch-lan"));
    assert_eq!(
        of("allowed", &other),
        [
            "existing-system: GET POST PUT /exchange/** [\"at listener `branch-lan`\"]  -→register path"
        ]
    );
    assert_eq!(
        of("refused", &other),
        [
            "existing-system: GET POST PUT /exchange/** [\"at listener `union-lan`\"]  register→- path"
        ]
    );
}

#[test]
fn a_listener_that_a_rule_keeps_goes_without_saying() {
    assert_eq!(
        of("refused", &said_of(at("union-lan"), without_put)),
        ["existing-system: PUT /exchange/** []  register→- method"]
    );
    // Under another name it is still the same rule.
    let both = said_of(at("union-lan"), |law| {
        renamed(law, |_| ());
        system(law, "existing-system").identities.push(identity("dns:new.union.example"));
    });
    assert_eq!(
        of("allowed", &both)[1],
        "existing-system: GET POST PUT /exchange/** [\"with a certificate of `dns:new.union.example`\"]  -→enrol identity_unknown"
    );
    // A rule that comes or goes says where.
    assert_eq!(
        of("refused", &said_of(at("union-lan"), |law| drop(law.rules.remove("register")))),
        [
            "existing-system: GET POST PUT /exchange/** [\"at listener `union-lan`\"]  register→- path"
        ]
    );
}

#[test]
fn a_listener_at_which_another_rule_catches_what_goes_is_left_out() {
    let catching = |law: &mut Model| {
        let mut rule = register(law).clone();
        rule.listener = Some(name("union-lan"));
        law.rules.insert(name("second"), rule);
    };
    assert_eq!(
        of("refused", &said_of(catching, without_put)),
        [
            "existing-system: PUT /exchange/** [\"at any listener but `union-lan`\"]  register→- method"
        ]
    );
}

#[test]
fn what_only_a_recording_shows_has_no_listener() {
    let moved = |law: &mut Model| renamed(law, |rule| rule.listener = Some(name("branch-lan")));
    assert_eq!(
        of("other_rule", &said_of(at("union-lan"), moved)),
        [
            "existing-system: GET POST PUT /exchange/** [\"where no listener is known\"]  register→enrol -"
        ]
    );
}

#[test]
fn a_certificate_is_a_condition_where_only_its_name_is_new() {
    assert_eq!(
        said(|law| {
            system(law, "existing-system").identities.push(identity("dns:new.union.example"));
        }),
        [
            "allowed existing-system → intermediate-server: GET /result/* [\"with a certificate of `dns:new.union.example`\"]  -→results identity_unknown",
            "allowed existing-system → intermediate-server: GET POST PUT /exchange/** [\"with a certificate of `dns:new.union.example`\"]  -→register identity_unknown",
        ]
    );
    let server = said(|law| {
        let center = system(law, "intermediate-server");
        center.identities.push(identity("dns:chukan-2.center.example"));
    });
    assert_eq!(
        of("allowed", &server),
        [
            "existing-system: GET /result/* [\"where the server shows `dns:chukan-2.center.example`\"]  -→results upstream_identity",
            "existing-system: GET POST PUT /exchange/** [\"where the server shows `dns:chukan-2.center.example`\"]  -→register upstream_identity",
        ]
    );
    // Now it is the name of a system that the client is not.
    assert_eq!(
        of("refused", &server)[0],
        "existing-system: GET /result/* [\"with a certificate of `dns:chukan-2.center.example` and `dns:kizon.union.example`\"]  results→- identity_mismatch"
    );
}

#[test]
fn an_address_that_moves_is_named_by_the_law_in_which_it_passes() {
    let moved = |law: &mut Model| {
        system(law, "existing-system").addresses = vec!["10.13.10.0/27".parse().unwrap()];
        system(law, "standard-system").addresses.push("10.13.10.32/27".parse().unwrap());
    };
    assert_eq!(
        of("refused", &said(moved))[1],
        "existing-system 10.13.10.32/27: GET POST PUT /exchange/** [\"with a certificate of `dns:kizon.union.example`\"]  register→- no_rule"
    );
    let closed = said(|law| {
        let never = law.guardrails.reverse_access.as_mut().unwrap();
        never.what.insert(name("existing-system"));
    });
    assert_eq!(
        of("refused", &closed)[1],
        "existing-system 10.13.10.0/26: GET POST PUT /exchange/** []  register→- reverse_access",
        "the addresses stay, and may no longer initiate"
    );
}

#[test]
fn addresses_that_two_systems_exchange_pass_with_the_other_ones_certificate() {
    let both = |law: &mut Model| {
        register(law).from = names(&["existing-system", "standard-system"]);
        law.rules.remove("results");
    };
    let exchanged = said_of(both, |law| {
        let first = system(law, "existing-system").addresses.clone();
        let second = std::mem::replace(&mut system(law, "standard-system").addresses, first);
        system(law, "existing-system").addresses = second;
    });
    assert_eq!(
        of("allowed", &exchanged),
        [
            "existing-system 10.13.20.0/26: GET POST PUT /exchange/** [\"with a certificate of `dns:kizon.union.example`\"]  -→register identity_mismatch",
            "standard-system 10.13.10.0/26: GET POST PUT /exchange/** [\"with a certificate of `dns:hyojun.union.example`\"]  -→register identity_mismatch",
        ]
    );
    assert_eq!(of("refused", &exchanged).len(), 2, "{exchanged:?}");
}

#[test]
fn a_version_is_told_unless_both_laws_permit_no_other() {
    let versions = |all: &[TlsVersion]| {
        let all = all.iter().copied().collect();
        move |law: &mut Model| law.guardrails.encryption.as_mut().unwrap().what.versions = all
    };
    let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
    let replaced = said_of(versions(&[old]), versions(&[new]));
    assert_eq!(
        of("allowed", &replaced)[0],
        "existing-system: GET /result/* [\"over TLS 1.3\"]  -→results tls_version"
    );
    assert_eq!(
        of("refused", &replaced)[0],
        "existing-system: GET /result/* [\"over TLS 1.2\"]  results→- tls_version"
    );
    // Where no hello is known there is no version to tell.
    let undecided = said_of(versions(&[old, new]), |law| {
        let mut rule = register(law).clone();
        rule.from = names(&["standard-system"]);
        law.rules.insert(name("new"), rule);
        law.sites.get_mut("tokyo").unwrap().dial = Dial::Never;
    });
    assert_eq!(
        of("undecided", &undecided),
        [
            "standard-system → ?: GET POST PUT /exchange/** []  -→- no_rule",
            "standard-system: GET POST PUT /exchange/** []  -→- no_rule",
        ]
    );
}

#[test]
fn tls_instead_of_https_is_for_those_who_agree_on_no_protocol() {
    let tls = said(|law| {
        let rule = register(law);
        (rule.protocol, rule.http) = (Protocol::Tls, None);
    });
    assert_eq!(
        of("allowed", &tls),
        ["existing-system:  [\"without an application protocol\"]  -→register -"]
    );
    assert_eq!(
        of("refused", &tls),
        [
            "existing-system: GET POST PUT /exchange/** [\"without an application protocol\"]  register→- no_rule",
            "existing-system: GET POST PUT /exchange/** []  register→- path",
        ]
    );
}

#[test]
fn without_a_name_a_rule_says_whither_and_the_address_that_is_dialled() {
    let raw = |law: &mut Model| tcp(law, "raw", "archive");
    let opened = |law: &mut Model| {
        with_archive(law);
        tcp(law, "keep", "intermediate-server");
    };
    let expected = [
        "allowed existing-system → archive:  [\"dialled at 10.202.1.10:443\"]  -→raw -",
        "allowed existing-system → archive:  []  -→raw no_rule",
        "rule `raw` is new (neither)",
    ];
    assert_eq!(said_of(with_archive, raw), expected);
    assert_eq!(said_of(opened, raw), expected, "what goes to another address stays as it was");
    let gone = said_of(
        |law| {
            opened(law);
            raw(law);
        },
        |law| drop(law.rules.remove("raw")),
    );
    assert_eq!(
        gone,
        [
            "refused existing-system → archive:  [\"dialled at 10.202.1.10:443\"]  raw→- -",
            "refused existing-system → archive:  []  raw→- no_rule",
            "rule `raw` is gone (neither)",
        ]
    );
}

#[test]
fn what_observing_opens_is_every_request_but_connect_and_a_switch_of_it() {
    let observing = said(|law| register(law).enforcement = Enforcement::Observe);
    assert_eq!(
        observing,
        [
            "allowed existing-system → intermediate-server: GET any other path; POST PUT /result/*, any other path; CONNECT any other method any path; switching protocols, GET POST PUT any other method any path [\"only observed\"]  -→register -",
            "rule `register` `enforcement` was enforce, is observe (neither)",
        ]
    );
}

#[test]
fn an_observing_rule_catches_at_its_listener_what_another_one_loses() {
    let watching = |law: &mut Model| {
        let rule = law.rules.get_mut("results").unwrap();
        (rule.enforcement, rule.listener) = (Enforcement::Observe, Some(name("union-lan")));
    };
    assert_eq!(
        said_of(watching, without_put),
        [
            "refused existing-system → intermediate-server: PUT /exchange/** [\"at any listener but `union-lan`\"]  register→- method",
            "other_rule existing-system → intermediate-server: PUT /exchange/** [\"only observed\"]  register→results -",
        ]
    );
    // Two that only observe meet wherever their paths lie.
    let both = between(
        |law| {
            watching(law);
            register(law).enforcement = Enforcement::Observe;
        },
        |law| drop(law.rules.remove("register")),
    );
    let turns: Vec<_> =
        both.sentences().iter().map(|it| (it.turn.code(), it.only.clone())).collect();
    assert_eq!(
        turns,
        [
            ("refused", vec!["at any listener but `union-lan`".to_owned()]),
            ("other_rule", vec!["only observed".to_owned()]),
        ]
    );
}
