//! A law read from text: the seed's own, and every mistake that `understand` can find, each with its place.

mod corpus;
mod language;
mod mistake;

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Law, understand};
use crate::appliance::{self, Appliance, Mode};
use crate::flow::{Name, Timestamp};
use crate::policy::model::{Expectation, IndividualNumber, Protocol, RevocationLists};
use crate::verdict::Reason;
use crate::yaml::{Faults, SourceFile};

/// The seed's law and box, as they are shipped.
const TOKYO: [(&str, &str); 4] = [
    ("tokyo/00-council.yaml", include_str!("../../../policies/tokyo/00-council.yaml")),
    ("tokyo/10-systems.yaml", include_str!("../../../policies/tokyo/10-systems.yaml")),
    ("tokyo/20-rules.yaml", include_str!("../../../policies/tokyo/20-rules.yaml")),
    ("tokyo/30-scenarios.yaml", include_str!("../../../policies/tokyo/30-scenarios.yaml")),
];
const BOX: &str = include_str!("../../../policies/tokyo.appliance.yaml");

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: Arc::from(name), bytes: text.as_bytes().into() }
}

fn tokyo() -> Vec<SourceFile> {
    TOKYO.iter().map(|(name, text)| file(name, text)).collect()
}

fn tokyo_box() -> Appliance {
    appliance::understand(&file("tokyo.appliance.yaml", BOX)).unwrap()
}

/// Tokyo's law with `old` replaced by `new` in the one file that has it, exactly once; without its scenarios.
fn edited(old: &str, new: &str) -> Result<Law, Faults> {
    let mut files = tokyo();
    files.pop();
    let mut edits = 0;
    for file in &mut files {
        let text = std::str::from_utf8(&file.bytes).unwrap();
        edits += text.matches(old).count();
        file.bytes = text.replace(old, new).into_bytes().into();
    }
    assert_eq!(edits, 1, "`{old}` is in the law exactly once");
    understand(&files, Some(&tokyo_box()))
}

/// Each error as `file:line:column code message; remedy`, its other places behind it.
fn lines(faults: &Faults) -> String {
    let mut text = String::new();
    for fault in faults.0.iter().filter(|fault| fault.severity == crate::yaml::Severity::Error) {
        let places: Vec<_> = fault
            .places
            .iter()
            .map(|(place, _)| format!("{}:{}:{}", place.file, place.line, place.column))
            .collect();
        let remedy = fault.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        writeln!(text, "{} {} {}{remedy}", places.join(" "), fault.code, fault.message).unwrap();
    }
    text
}

/// The one fault of an edit, as in [`lines`].
#[track_caller]
fn check(old: &str, new: &str, fault: &str) {
    match edited(old, new) {
        Ok(_) => panic!("`{new}` is understood"),
        Err(faults) => assert_eq!(lines(&faults).trim_end(), fault, "{new}"),
    }
}

#[test]
fn the_shipped_law_is_understood_with_its_box() {
    let law = understand(&tokyo(), Some(&tokyo_box()))
        .unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let model = law.engine.model();
    let rule = &model.rules["register"];
    assert_eq!(
        (rule.protocol, rule.individual_number),
        (Protocol::Https, IndividualNumber::Permitted)
    );
    assert_eq!(rule.from.iter().map(Name::as_str).collect::<Vec<_>>(), ["existing-system"]);
    let date = model.interconnection.connection_date;
    assert_eq!(date, Timestamp::parse("2020-06-15T00:00:00+09:00").unwrap());
    let until = model.documents["iso27017"].until.unwrap();
    assert_eq!(until, Timestamp::parse("2027-01-06T00:00:00+09:00").unwrap());
    assert_eq!(model.trust["union-ca"].roots.to_str(), Some("tokyo/../certs/union-ca.pem"));
    assert!(
        matches!(&model.trust["center-ca"].revocation, RevocationLists::Lists(lists) if lists.len() == 1)
    );
    assert_eq!(law.scenarios, model.scenarios.len());
}

#[test]
fn every_rule_has_a_scenario_that_passes_by_it() {
    let law = understand(&tokyo(), None).unwrap();
    let model = law.engine.model();
    for rule in model.rules.keys() {
        let passes =
            |expect: &Expectation| matches!(expect, Expectation::Allow(name) if name == rule);
        assert!(model.scenarios.iter().any(|scenario| passes(&scenario.expect)), "{rule}");
    }
}

/// What the law itself can answer; the rest is said by the box at work (limits, handshakes, upstreams, content).
const BY_THE_LAW: [Reason; 30] = [
    Reason::ReverseAccess,
    Reason::UnknownSource,
    Reason::UnknownDestination,
    Reason::DestinationNotListed,
    Reason::NoRule,
    Reason::Listener,
    Reason::IdentityMissing,
    Reason::IdentityUnknown,
    Reason::IdentityMismatch,
    Reason::CertificateRevoked,
    Reason::RevocationUnknown,
    Reason::CertificateExpired,
    Reason::CertificateInvalid,
    Reason::TlsVersion,
    Reason::HostMismatch,
    Reason::Protocol,
    Reason::Method,
    Reason::Path,
    Reason::Upgrade,
    Reason::BeforeConnectionDate,
    Reason::BeforeApproval,
    Reason::AfterApproval,
    Reason::OutsideCountry,
    Reason::CountryUnknown,
    Reason::SiteNotDeclared,
    Reason::UpstreamIdentity,
    Reason::MalformedRequest,
    Reason::RoundTrip,
    Reason::IndividualNumber,
    Reason::ContentUnreadable,
];

#[test]
fn the_scenarios_show_every_reason_that_the_shipped_law_can_give() {
    // It speaks `https` only, its approval begins with the connection and has no end, every site is proven to lie in
    // Japan; round trips and content are not refused by this version.
    let never = [
        Reason::Protocol,
        Reason::BeforeApproval,
        Reason::AfterApproval,
        Reason::OutsideCountry,
        Reason::RoundTrip,
        Reason::IndividualNumber,
        Reason::ContentUnreadable,
    ];
    let law = understand(&tokyo(), None).unwrap();
    let shown: Vec<Reason> = law
        .engine
        .model()
        .scenarios
        .iter()
        .filter_map(|scenario| match &scenario.expect {
            Expectation::Deny(reason) => Some(*reason),
            Expectation::Allow(_) | Expectation::WouldDeny(_) => None,
        })
        .collect();
    let missing: Vec<_> =
        BY_THE_LAW.iter().filter(|it| !never.contains(it) && !shown.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn law_and_box_agree_on_names() {
    check(
        "line: ip-vpn",
        "line: ipvpn",
        "tokyo/10-systems.yaml:56:13 unknown_name no line `ipvpn`; did you mean `ip-vpn`?",
    );
    check(
        "certificate: center-facing",
        "certificate: centre-facing",
        "tokyo/10-systems.yaml:58:20 unknown_name no certificate `centre-facing`; did you mean `center-facing`?",
    );
    check(
        "listener: union-lan                  # from",
        "listener: union # from",
        "tokyo/20-rules.yaml:10:3 unknown_name no listener `union`; there is `center-guard` `union-lan`",
    );
    check(
        "listener: union-lan                  # from",
        "listener: center-guard # from",
        "tokyo/20-rules.yaml:10:3 tokyo.appliance.yaml:46:3 refusing_listener the rule names a listener that answers nothing",
    );
    let mut appliance = tokyo_box();
    for listener in appliance.listeners.values_mut() {
        if let Mode::Reverse { clients, .. } = &mut listener.mode {
            *clients = Name::parse("uniom-ca").unwrap();
        }
    }
    let faults = understand(&tokyo(), Some(&appliance)).unwrap_err();
    assert_eq!(
        lines(&faults),
        "tokyo.appliance.yaml:41:3 unknown_name no trust `uniom-ca`; did you mean `union-ca`?\n"
    );
}

#[test]
fn the_councils_sections_stand_in_one_file() {
    let with = |more: &str| {
        let mut files = tokyo();
        files.push(file("tokyo/40.yaml", more));
        lines(&understand(&files, None).unwrap_err())
    };
    assert_eq!(
        with("version: 1\ntimezone: UTC\n"),
        "tokyo/40.yaml:2:1 tokyo/00-council.yaml:7:1 duplicate_key key `timezone` is there twice\n"
    );
    assert_eq!(
        with("version: 1\napprovals: { r2: { consultation: x } }\n"),
        "tokyo/40.yaml:2:1 tokyo/00-council.yaml:33:1 duplicate_key key `approvals` is there twice\n"
    );
    assert_eq!(
        with("version: 1\nrules: { register: { titel: x } }\n"),
        "tokyo/40.yaml:2:10 tokyo/20-rules.yaml:10:3 duplicate_key key `register` is there twice\ntokyo/40.yaml:2:10 missing_key key `approval` is missing\ntokyo/40.yaml:2:10 missing_key key `from` is missing\ntokyo/40.yaml:2:10 missing_key key `individual_number` is missing\ntokyo/40.yaml:2:10 missing_key key `protocol` is missing\ntokyo/40.yaml:2:10 missing_key key `to` is missing\ntokyo/40.yaml:2:22 unknown_key there is no key `titel` here; did you mean `title`?\n"
    );
    assert_eq!(with("[]"), "tokyo/40.yaml:1:1 wrong_type a mapping is due here, not a list\n");
    let without = |at: usize| {
        let mut files = tokyo();
        files.remove(at);
        lines(&understand(&files, None).unwrap_err())
    };
    let scattered = [
        file("a.yaml", "version: 1\ntimezone: UTC\n"),
        file("b.yaml", "version: 1\nguardrails: {}\n"),
    ];
    assert_eq!(
        lines(&understand(&scattered, None).unwrap_err()),
        "a.yaml:1:1 missing_key key `approvals` is missing; no file of the law has it\na.yaml:1:1 missing_key key `interconnection` is missing; no file of the law has it\na.yaml:1:1 missing_key key `rules` is missing; no file of the law has it\na.yaml:1:1 missing_key key `sites` is missing; no file of the law has it\na.yaml:1:1 missing_key key `systems` is missing; no file of the law has it\na.yaml:1:1 missing_key key `trust` is missing; no file of the law has it\nb.yaml:2:1 a.yaml:2:1 scattered `guardrails` and `timezone` stand in two files; `timezone` `interconnection` `approvals` `guardrails` stand in one, the council's; move `guardrails` to `a.yaml`\n"
    );
    for key in ["timezone", "interconnection", "approvals", "guardrails"] {
        let missing = format!(
            "tokyo/10-systems.yaml:1:1 missing_key key `{key}` is missing; no file of the law has it"
        );
        assert!(without(0).lines().any(|line| line == missing), "{key}");
    }
    assert_eq!(lines(&understand(&[], None).unwrap_err()), " no_files the law has no files\n");
}

#[test]
fn scenarios_name_what_exists() {
    let with = |scenario: &str| {
        let mut files = tokyo();
        files.push(file("s.yaml", &format!("version: 1\nscenarios:\n  - {scenario}\n")));
        lines(&understand(&files, None).unwrap_err())
    };
    assert_eq!(
        with("{ flow: { to: server }, expect: { deny: pathh } }"),
        "s.yaml:3:19 unknown_name no system `server`; there is `dedicated-terminal` `existing-system` `intermediate-server` `online-eligibility`\ns.yaml:3:45 bad_value `pathh` is not a reason; did you mean `path`?\n"
    );
    assert_eq!(
        with("{ flow: {}, expect: { allow: registr } }"),
        "s.yaml:3:34 unknown_name no rule `registr`; did you mean `register`?\n"
    );
    assert_eq!(
        with("{ flow: {}, expect: {} }"),
        "s.yaml:3:17 bad_value a scenario expects one of `allow`, `deny` and `would_deny`; write `allow: RULE`, `deny: REASON` or `would_deny: REASON`\n"
    );
    assert_eq!(
        with("{ flow: {}, expect: { allow: register, deny: path } }"),
        "s.yaml:3:17 bad_value a scenario expects one of `allow`, `deny` and `would_deny`; write `allow: RULE`, `deny: REASON` or `would_deny: REASON`\n"
    );
    assert_eq!(
        with(
            "{ flow: { identity: \"dns:a.example\", identities: [\"dns:b.example\"] }, expect: { deny: path } }"
        ),
        "s.yaml:3:25 bad_value `identity` and `identities` stand for the same; write all names of the certificate into `identities`\n"
    );
}

#[test]
fn all_mistakes_of_all_files_come_in_one_go() {
    let mut files = tokyo();
    files.pop();
    for (index, edit) in
        [("JP", "jp"), ("10.13.10.0/26", "10.13.10.1/26"), ("GET, POST", "GET, GET")]
            .into_iter()
            .enumerate()
    {
        let text = std::str::from_utf8(&files[index].bytes).unwrap();
        files[index] = file(&Arc::clone(&files[index].name), &text.replace(edit.0, edit.1));
    }
    let faults = understand(&files, Some(&tokyo_box())).unwrap_err();
    assert_eq!(
        lines(&faults),
        "tokyo/00-council.yaml:51:17 bad_value `jp` is not a country: two upper-case letters of ISO 3166-1; did you mean `JP`?\ntokyo/10-systems.yaml:39:17 bad_address `10.13.10.1/26`: the address has bits beyond its prefix; did you mean `10.13.10.0/26`?\ntokyo/20-rules.yaml:18:22 tokyo/20-rules.yaml:18:17 duplicate_value this is in the list twice\n"
    );
    assert!(faults.0.iter().all(|fault| !fault.places[0].0.text.is_empty()));
}

#[test]
fn a_broken_file_is_not_blamed_on_the_names_it_declares() {
    let mut files = tokyo();
    files[1] = file("tokyo/10-systems.yaml", "version: 1\nsystems: [\n");
    let text = std::str::from_utf8(&files[2].bytes)
        .unwrap()
        .replace("to: intermediate-server", "too: intermediate-server");
    files[2] = file("tokyo/20-rules.yaml", &text);
    assert_eq!(
        lines(&understand(&files, None).unwrap_err()),
        "tokyo/10-systems.yaml:2:10 syntax this is not YAML: `unclosed bracket '['`\ntokyo/20-rules.yaml:10:3 missing_key key `to` is missing\ntokyo/20-rules.yaml:14:5 unknown_key there is no key `too` here; did you mean `to`?\ntokyo/20-rules.yaml:22:3 missing_key key `to` is missing\ntokyo/20-rules.yaml:26:5 unknown_key there is no key `too` here; did you mean `to`?\n"
    );
}

#[test]
fn endings_are_warned_of_sixty_days_before_and_named_once_they_are_there() {
    let law = understand(&tokyo(), Some(&tokyo_box())).unwrap();
    let at = |text: &str| {
        let faults = super::ending(law.engine.model(), Timestamp::parse(text).unwrap());
        faults
            .0
            .into_iter()
            .map(|fault| format!("{} {}", fault.code, fault.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(at("2026-11-06T23:59:59+09:00"), [""; 0]);
    assert_eq!(
        at("2026-11-07T00:00:00+09:00"),
        ["ends_soon document `iso27017` ends 2027-01-05 (60 days)"]
    );
    assert_eq!(
        at("2026-11-22T12:00:00+09:00"),
        ["ends_soon document `iso27017` ends 2027-01-05 (44 days)"]
    );
    assert_eq!(
        at("2027-01-05T23:59:59+09:00"),
        ["ends_soon document `iso27017` ends 2027-01-05 (0 days)"]
    );
    assert_eq!(
        at("2027-01-06T00:00:00+09:00"),
        ["ended document `iso27017` has ended: 2027-01-05 was its last day"]
    );
}

#[test]
fn a_law_says_what_it_expects_of_its_box() {
    let law = understand(&tokyo(), None).unwrap();
    let expected = super::Expected::of(law.engine.model());
    let name = |text: &str| vec![Name::parse(text).unwrap()];
    assert_eq!(expected.lines, name("ip-vpn"));
    assert_eq!(expected.certificates, name("center-facing"));
    assert_eq!(expected.listeners, name("union-lan"));
}

/// Whatever a file holds, it is understood or has faults; nothing panics and every fault of a file has a place.
#[test]
fn no_text_makes_it_panic() {
    let texts: Vec<&str> = TOKYO.iter().map(|(_, text)| *text).collect();
    proptest!(|(which in 0_usize..4, at in 0_usize..4000, length in 0_usize..40, new in "[\\[\\]{}:&*!|>%@`'\"~#,\n\t ?a0-]{0,12}")| {
        let mut characters: Vec<char> = texts[which].chars().collect();
        let begin = at.min(characters.len());
        let end = (begin + length).min(characters.len());
        characters.splice(begin..end, new.chars());
        let edited: String = characters.into_iter().collect();
        let mut files = tokyo();
        files[which] = file("edited.yaml", &edited);
        if let Err(faults) = understand(&files, Some(&tokyo_box())) {
            prop_assert!(!faults.is_sound());
            prop_assert!(faults.0.iter().all(|fault| !fault.places.is_empty()));
            prop_assert!(!faults.render(false).is_empty());
        }
    });
}
