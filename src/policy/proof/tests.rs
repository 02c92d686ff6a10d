//! Each proof: a law that is sound but for one thing, the code that is due and what it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::prove;
use crate::appliance::{
    Admin, Appliance, LedgerSettings, Limits, Line, Listener, Mode, WhenUnwritable,
};
use crate::policy::imagined::{
    approval, endpoint, http, identity, law, moment, name, names, place, rule, site, system,
};
use crate::policy::model::{
    Declaration, Dial, Enforcement, Expectation, Guardrails, Model, Period, Protocol, Rule,
    Scenario, ScenarioFlow, Side, System,
};
use crate::yaml::{Fault, Severity};

/// The seed's law with everything used and shown.
fn whole() -> Model {
    let mut law = law();
    let shown = |rule: &str| Scenario {
        title: rule.to_owned(),
        flow: ScenarioFlow::default(),
        expect: Expectation::Allow(name(rule)),
        place: place(1),
    };
    law.scenarios = vec![shown("register"), shown("results")];
    law.systems.remove(&name("standard-system"));
    law
}

fn changed(change: impl FnOnce(&mut Model)) -> Vec<Fault> {
    let mut law = whole();
    change(&mut law);
    prove(&law, None).0
}

fn source(law: &mut Model) -> &mut System {
    law.systems.get_mut("existing-system").expect("a system")
}

fn center(law: &mut Model) -> &mut System {
    law.systems.get_mut("intermediate-server").expect("a system")
}

fn results(law: &mut Model) -> &mut Rule {
    law.rules.get_mut("results").expect("a rule")
}

/// Exactly one fault of this kind; what it says is returned.
fn check(faults: &[Fault], severity: Severity, code: &str) -> Fault {
    let of_this_kind: Vec<_> = faults.iter().filter(|fault| fault.code == code).collect();
    assert_eq!(of_this_kind.len(), 1, "{code} in {faults:#?}");
    let fault = of_this_kind[0].clone();
    assert_eq!(fault.severity, severity, "{code}");
    assert!(!fault.places.is_empty(), "{code} has no place");
    fault
}

/// An error shows both places, an example and a remedy.
fn check_error(faults: &[Fault], code: &str) -> Fault {
    let fault = check(faults, Severity::Error, code);
    assert!(fault.places.len() >= 2, "{code} shows one place");
    assert!(fault.notes.iter().any(|note| note.starts_with("example: ")), "{code} has no example");
    assert!(fault.remedy.is_some(), "{code} has no remedy");
    fault
}

#[test]
fn nothing_is_wrong_with_the_seed() {
    assert_eq!(changed(|_| ()), []);
}

#[test]
fn a_system_that_may_never_initiate_is_found_inside_a_wider_prefix() {
    let faults = changed(|law| {
        source(law).addresses = vec!["198.51.100.0/24".parse().expect("a net")];
        let closed = law.systems.get_mut("online-eligibility").expect("a system");
        closed.addresses = vec!["198.51.100.192/28".parse().expect("a net")];
    });
    let fault = check_error(&faults, "reverse_access");
    assert_eq!(fault.message, "`online-eligibility` could pass by rule `register`");
    assert_eq!(fault.notes, ["example: 198.51.100.193 → intermediate-server"]);
    let narrow = "narrow `198.51.100.0/24` of `existing-system` to 198.51.100.0/25";
    assert_eq!(fault.remedy.as_deref(), Some(narrow));
}

#[test]
fn a_prefix_that_has_no_free_part_is_taken_out() {
    let remedy = |own: &str, closed: &str| {
        let faults = changed(|law| {
            source(law).addresses = vec![own.parse().expect("a net")];
            let silent = law.systems.get_mut("online-eligibility").expect("a system");
            silent.addresses = vec![closed.parse().expect("a net")];
        });
        check_error(&faults, "reverse_access").remedy
    };
    let taken = |net| Some(format!("take `{net}` out of `addresses` of `existing-system`"));
    assert_eq!(remedy("198.51.100.0/24", "198.51.100.0/24"), taken("198.51.100.0/24"));
    assert_eq!(remedy("198.51.100.0/25", "198.51.100.0/24"), taken("198.51.100.0/25"));
}

#[test]
fn nobody_switches_protocols_toward_a_system_that_may_never_initiate() {
    let switching = |silent: &'static str| {
        changed(|law| {
            results(law).upgrade = true;
            let guardrail = law.guardrails.reverse_access.as_mut().expect("it is written");
            guardrail.what = [name(silent)].into();
        })
    };
    let fault = check_error(&switching("intermediate-server"), "reverse_access");
    assert_eq!(
        fault.message,
        "rule `results` permits a switch of protocols toward `intermediate-server`, which may never initiate"
    );
    assert_eq!(switching("online-eligibility"), []);
}

#[test]
fn it_is_found_by_name_by_identity_and_inside_ipv6() {
    let by_name = changed(|law| {
        results(law).from.insert(name("online-eligibility"));
    });
    check_error(&by_name, "reverse_access");
    let by_identity =
        changed(|law| source(law).identities.push(identity("dns:oqs.center.example")));
    let fault = check_error(&by_identity, "reverse_access");
    let example = "example: a certificate with `dns:oqs.center.example` → intermediate-server";
    assert_eq!(fault.notes, [example]);
    let hidden = changed(|law| {
        source(law).addresses.push("::ffff:10.210.7.0/120".parse().expect("a net"));
    });
    let fault = check_error(&hidden, "reverse_access");
    assert_eq!(fault.notes, ["example: 10.210.7.1 → intermediate-server"]);
}

#[test]
fn a_destination_has_to_be_listed() {
    let faults = changed(|law| results(law).to = name("existing-system"));
    let fault = check_error(&faults, "destination_not_listed");
    assert_eq!(fault.remedy.as_deref(), Some("lead it to one of `intermediate-server`"));
}

#[test]
fn an_endpoint_stands_in_a_permitted_country_and_on_a_closed_network() {
    let with = |address: &'static str, country: &'static str| {
        changed(|law| {
            law.sites.insert(name("away"), site(country, Dial::Declared));
            let upstream = center(law).upstream.as_mut().expect("it can be reached");
            upstream.endpoints.push(endpoint(address, "away", "r1-5"));
        })
    };
    let fault = check_error(&with("10.202.1.10:443", "US"), "outside_country");
    assert_eq!(fault.notes, ["example: 10.13.10.1 → intermediate-server at 10.202.1.10:443"]);
    assert_eq!(fault.message, "endpoint `10.202.1.10:443` of `intermediate-server` stands in `US`");
    check_error(&with("8.8.8.8:443", "US"), "outside_country");
    let fault = check_error(&with("8.8.8.8:443", "JP"), "country_unknown");
    assert_eq!(
        fault.message,
        "the country of endpoint `8.8.8.8:443` of `intermediate-server` cannot be told"
    );
    check_error(&with("[64:ff9b::8.8.8.8]:443", "JP"), "country_unknown");
    assert_eq!(with("[fd00::1]:443", "JP"), []);
}

#[test]
fn no_rule_leads_to_where_no_individual_number_may_go() {
    let faults = changed(|law| {
        let content = law.guardrails.content.as_mut().expect("it is written");
        content.what.insert(name("intermediate-server"));
        law.rules.remove(&name("results"));
    });
    check_error(&faults, "individual_number");
}

#[test]
fn no_rule_speaks_what_the_encryption_guardrail_refuses() {
    let speaking = |protocol| {
        changed(|law| (results(law).protocol, results(law).http) = (protocol, None))
            .into_iter()
            .filter(|fault| fault.severity == Severity::Error)
            .collect::<Vec<_>>()
    };
    let fault = check_error(&speaking(Protocol::Tcp), "encryption");
    assert_eq!(fault.message, "rule `results` speaks `tcp`, which `encryption` refuses");
    assert_eq!(fault.notes, ["example: 10.13.10.1 → intermediate-server in `tcp`"]);
    assert_eq!(fault.remedy.as_deref(), Some("let the rule speak `https` or `tls`"));
    check_error(&speaking(Protocol::TlsPassthrough), "encryption");
    assert_eq!(speaking(Protocol::Tls), []);
}

#[test]
fn a_declaration_opens_a_site_that_waits_for_one_in_a_permitted_country() {
    let opening = |country: &'static str, dial| {
        changed(|law| {
            law.sites.insert(name("away"), site(country, dial));
            let declaration = Declaration {
                title: None,
                site: name("away"),
                rules: names(&["results"]),
                at_most: Duration::from_hours(72),
                approval: name("r1-5"),
                place: place(12),
            };
            law.declarations.insert(name("dr-away"), declaration);
        })
        .into_iter()
        .filter(|fault| fault.severity == Severity::Error)
        .collect::<Vec<_>>()
    };
    let example = "example: any source → `away` while `dr-away` is open";
    assert_eq!(opening("JP", Dial::Declared), []);
    let always = opening("JP", Dial::Always);
    let fault = check_error(&always, "declaration_site");
    assert_eq!(fault.message, "declaration `dr-away` names site `away`, which waits for none");
    assert_eq!(fault.notes, [example]);
    let remedy = "write `dial: declared` for the site, or leave the declaration out";
    assert_eq!(fault.remedy.as_deref(), Some(remedy));
    assert_eq!(always.len(), 1);
    let abroad = opening("US", Dial::Declared);
    let fault = check_error(&abroad, "outside_country");
    assert_eq!(fault.message, "declaration `dr-away` opens site `away` in `US`");
    assert_eq!(fault.notes, [example]);
    assert_eq!(fault.remedy.as_deref(), Some("only `JP` is permitted: leave the declaration out"));
    assert_eq!(abroad.len(), 1);
}

#[test]
fn the_owner_of_a_system_of_the_centre_is_a_counterparty() {
    let owned = |owner: &str| {
        let owner = Some(owner.to_owned());
        changed(|law| center(law).owner = owner)
    };
    check_error(&owned("Ａ社"), "counterparty");
    assert_eq!(owned("社会保険診療報酬支払基金"), []);
    let mut waves = whole();
    waves.interconnection.counterparties = vec!["基金〜５".to_owned()];
    center(&mut waves).owner = Some("基金～5".to_owned());
    assert_eq!(prove(&waves, None).0, []);
}

#[test]
fn a_listener_that_forwards_stays_off_the_lines() {
    let reverse =
        || Mode::Reverse { certificate: name("union-facing"), clients: name("center-ca") };
    let faults = prove(&whole(), Some(&appliance("10.200.0.2:443", reverse()))).0;
    check_error(&faults, "line_address");
    assert_eq!(prove(&whole(), Some(&appliance("10.200.0.2:443", Mode::Refuse))).0, []);
    assert_eq!(prove(&whole(), Some(&appliance("10.13.0.1:8443", reverse()))).0, []);
}

#[test]
fn a_rule_that_can_never_fit_is_dead() {
    let faults = changed(|law| {
        let until = Some(moment("2019-01-01T00:00:00Z"));
        results(law).period = Period { since: None, until };
    });
    check(&faults, Severity::Warning, "dead_rule");
}

#[test]
fn a_rule_is_covered_by_a_wider_one() {
    let with = |change: fn(&mut Rule)| {
        changed(|law| {
            let mut narrow = rule(
                &["existing-system"],
                "intermediate-server",
                Protocol::Https,
                Some(http(&["POST"], &["/exchange/a", "/exchange/*/b", "/exchange/c/**"])),
            );
            change(&mut narrow);
            let results = results(law);
            *results = narrow;
        })
    };
    let fault = check(&with(|_| ()), Severity::Warning, "covered_rule");
    assert_eq!(fault.message, "rule `results` changes nothing: all of it fits rule `register` too");
    assert_eq!(with(|it| it.http = Some(http(&["DELETE"], &["/exchange/a"]))), []);
    assert_eq!(with(|it| it.http = Some(http(&["POST"], &["/exchange"]))), []);
    assert_eq!(with(|it| it.http = Some(http(&["POST"], &["/exchange/"]))), []);
    assert_eq!(with(|it| it.http = Some(http(&["POST"], &["/*/a"]))), []);
    assert_eq!(with(|it| it.idle_timeout = Some(Duration::from_secs(1))), []);
    let twins = changed(|law| {
        let twin = law.rules["register"].clone();
        *results(law) = twin;
    });
    let fault = check(&twins, Severity::Warning, "covered_rule");
    assert_eq!(fault.message, "rule `results` changes nothing: all of it fits rule `register` too");
}

/// Whether `results`, made a part of `register` and then changed together with it, changes nothing.
fn is_covered(change: impl FnOnce(&mut Rule, &mut Rule)) -> bool {
    let faults = changed(|law| {
        let mut wide = law.rules["register"].clone();
        let mut narrow = Rule { http: Some(http(&["POST"], &["/exchange/a"])), ..wide.clone() };
        change(&mut wide, &mut narrow);
        law.rules = BTreeMap::from([(name("register"), wide), (name("results"), narrow)]);
    });
    let told = "rule `results` changes nothing: all of it fits rule `register` too";
    faults.iter().any(|fault| fault.code == "covered_rule" && fault.message == told)
}

#[test]
fn a_rule_is_covered_only_by_one_that_holds_wherever_it_does() {
    let lan = |text: &str| Some(name(text));
    assert!(is_covered(|_, narrow| narrow.listener = lan("union-lan")));
    assert!(!is_covered(|wide, _| wide.listener = lan("union-lan")));
    let on = |one: &'static str, other: &'static str| {
        is_covered(|wide, narrow| (wide.listener, narrow.listener) = (lan(one), lan(other)))
    };
    assert!(on("union-lan", "union-lan"));
    assert!(!on("union-lan", "other-lan"));
    assert!(!is_covered(|_, narrow| narrow.from.extend([name("standard-system")])));
    assert!(is_covered(|wide, _| wide.from.extend([name("standard-system")])));
    assert!(!is_covered(|_, narrow| narrow.upgrade = true));
    assert!(is_covered(|wide, _| wide.upgrade = true));
    assert!(is_covered(|wide, narrow| (wide.upgrade, narrow.upgrade) = (true, true)));
    assert!(!is_covered(|_, narrow| narrow.enforcement = Enforcement::Observe));
}

#[test]
fn a_rule_is_covered_only_by_one_that_holds_whenever_it_does() {
    let period = |since: &str, until: &str| Period {
        since: Some(moment(since)),
        until: Some(moment(until)),
    };
    let (first, early, late, last) = (
        "2021-04-01T00:00:00+09:00",
        "2022-04-01T00:00:00+09:00",
        "2025-04-01T00:00:00+09:00",
        "2026-04-01T00:00:00+09:00",
    );
    let within = |since, until| {
        is_covered(|wide, narrow| {
            wide.period = period(early, late);
            narrow.period = period(since, until);
        })
    };
    assert!(within(early, late));
    assert!(!within(first, late), "it begins before the wide one");
    assert!(!within(early, last), "it ends after the wide one");
    assert!(!within(first, last));
    assert!(!is_covered(|wide, _| wide.period = period(early, late)));
    assert!(is_covered(|_, narrow| narrow.period = period(early, late)));
}

#[test]
fn a_path_is_covered_only_by_one_that_takes_all_of_it() {
    let covers = |wide: &str, narrow: &str| {
        is_covered(|outer, inner| {
            outer.http = Some(http(&["GET"], &[wide]));
            inner.http = Some(http(&["GET"], &[narrow]));
        })
    };
    for (wide, narrow) in [
        ("/a/b", "/a/b"),
        ("/a/*", "/a/b"),
        ("/a/*", "/a/*"),
        ("/a/**", "/a/b"),
        ("/a/**", "/a/b/"),
        ("/a/**", "/a/**"),
        ("/a/**", "/a/*/**"),
    ] {
        assert!(covers(wide, narrow), "{narrow} lies in {wide}");
    }
    for (wide, narrow) in [
        ("/a/b", "/a/c"),
        ("/a/b", "/a/*"),
        ("/a/*", "/a"),
        ("/a/*", "/a/"),
        ("/a/*", "/a/b/c"),
        ("/a/*", "/a/**"),
        ("/a/*", "/a/*/**"),
        ("/a/b", "/a/b/**"),
        ("/a/**", "/a"),
        ("/a/**", "/a/"),
        ("/a/*/**", "/a/**"),
    ] {
        assert!(!covers(wide, narrow), "{narrow} goes beyond {wide}");
    }
}

#[test]
fn a_period_without_a_moment_is_dead_and_one_of_a_second_is_not() {
    let told = |until: &str| {
        let period =
            Period { since: Some(moment("2026-04-01T00:00:00+09:00")), until: Some(moment(until)) };
        let faults = changed(|law| results(law).period = period);
        faults.iter().filter(|fault| fault.code == "dead_rule").count()
    };
    assert_eq!(told("2026-04-01T00:00:00+09:00"), 1);
    assert_eq!(told("2026-04-01T00:00:01+09:00"), 0);
}

#[test]
fn what_nothing_names_is_told() {
    let faults = changed(|law| {
        law.systems
            .insert(name("idle"), system(Side::Union, &["10.99.0.0/24"], &["dns:idle.example"]));
        law.sites.insert(name("sendai"), site("JP", Dial::Never));
        law.approvals.insert(name("r9"), approval(Period { since: None, until: None }));
    });
    let told: Vec<_> = faults.iter().map(|fault| (fault.code, fault.message.as_str())).collect();
    assert_eq!(
        told,
        [
            ("unused", "nothing names system `idle`"),
            ("unused", "nothing names site `sendai`"),
            ("unused", "nothing names approval `r9`"),
        ]
    );
}

#[test]
fn a_trust_that_neither_an_upstream_nor_a_listener_names_is_told_with_the_box() {
    let mut law = whole();
    let spare = law.trust["center-ca"].clone();
    law.trust.insert(name("union-ca"), spare);
    assert_eq!(prove(&law, None).0, [], "what the box names is not known");
    let with = |clients: &str| {
        let mode = Mode::Reverse { certificate: name("union-facing"), clients: name(clients) };
        prove(&law, Some(&appliance("10.13.0.1:8443", mode))).0
    };
    assert_eq!(with("union-ca"), []);
    let fault = check(&with("center-ca"), Severity::Warning, "unused");
    assert_eq!(fault.message, "nothing names trust `union-ca`");
}

#[test]
fn an_absent_guardrail_is_told() {
    let faults = changed(|law| law.guardrails = Guardrails::default());
    let absent = faults.iter().filter(|fault| fault.code == "absent_guardrail").count();
    assert_eq!(absent, 5);
    let faults = changed(|law| law.guardrails.residency = None);
    let fault = check(&faults, Severity::Warning, "absent_guardrail");
    assert_eq!(
        fault.message,
        "there is no guardrail `residency`: an endpoint may stand in any country"
    );
}

#[test]
fn a_rule_that_no_scenario_shows_is_told() {
    let faults = changed(|law| drop(law.scenarios.pop()));
    let fault = check(&faults, Severity::Warning, "rule_without_scenario");
    assert_eq!(fault.message, "no scenario shows what rule `results` allows");
    let remedy = "write a scenario with `expect: { allow: results }`";
    assert_eq!(fault.remedy.as_deref(), Some(remedy));
}

fn appliance(bind: &str, mode: Mode) -> Appliance {
    let listener =
        Listener { bind: vec![bind.parse().expect("a socket address")], mode, place: place(20) };
    let line = Line {
        title: None,
        interface: "eth1".to_owned(),
        source: "10.200.0.2".parse().expect("an address"),
        place: place(21),
    };
    Appliance {
        name: name("kouiki-edge-1"),
        organisation: "広域連合".to_owned(),
        policies: PathBuf::from("policies"),
        state: PathBuf::from("state"),
        control: PathBuf::from("control.sock"),
        admin: Admin {
            bind: "127.0.0.1:9617".parse().expect("a socket address"),
            allow: Vec::new(),
        },
        ledger: LedgerSettings {
            directory: PathBuf::from("ledger"),
            retain: Duration::from_hours(24),
            when_unwritable: WhenUnwritable::Refuse,
            sync: Duration::from_millis(50),
        },
        lines: BTreeMap::from([(name("ip-vpn"), line)]),
        certificates: BTreeMap::new(),
        listeners: BTreeMap::from([(name("lan"), listener)]),
        limits: limits(),
    }
}

fn limits() -> Limits {
    let second = Duration::from_secs(1);
    Limits {
        connections: 1,
        connections_per_source: 1,
        streams: 1,
        header_size: 1,
        handshake_timeout: second,
        connect_timeout: second,
        request_body_timeout: second,
        response_timeout: second,
        idle_timeout: second,
        upstream_idle_timeout: second,
        tcp_keepalive: second,
        drain_timeout: second,
        sync_timeout: second,
        disk_reserve: 1,
    }
}
