//! A law read from text: the seed's own, and every mistake that `understand` can find, each with its place.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Law, understand};
use crate::appliance::{self, Appliance};
use crate::flow::{Name, Timestamp};
use crate::policy::model::{IndividualNumber, Protocol, RevocationLists};
use crate::yaml::{Faults, SourceFile};

/// The seed's law and box, as they are shipped.
const TOKYO: [(&str, &str); 4] = [
    ("tokyo/00-council.yaml", include_str!("../../policies/tokyo/00-council.yaml")),
    ("tokyo/10-systems.yaml", include_str!("../../policies/tokyo/10-systems.yaml")),
    ("tokyo/20-rules.yaml", include_str!("../../policies/tokyo/20-rules.yaml")),
    ("tokyo/30-scenarios.yaml", include_str!("../../policies/tokyo/30-scenarios.yaml")),
];
const BOX: &str = include_str!("../../policies/tokyo.appliance.yaml");

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
        let passes = |expect: &super::model::Expectation| matches!(expect, super::model::Expectation::Allow(name) if name == rule);
        assert!(model.scenarios.iter().any(|scenario| passes(&scenario.expect)), "{rule}");
    }
}
