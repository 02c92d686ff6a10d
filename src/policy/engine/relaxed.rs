//! Tables of decisions, continued: switches of protocols, and rules that only observe.

use std::sync::Arc;
use std::time::Duration;

use super::Opened;
use super::decisions::{REGISTER, check, engine, flow_with, law_with, sending};
use crate::flow::{Flow, Hello, Paper, Request, Timestamp};
use crate::policy::imagined::{
    certificate, flow, guardrail, http, moment, name, names, place, request, socket,
};
use crate::policy::model::{Declaration, Enforcement, Model, Protocol, Rule};
use crate::verdict::{Reason, Stage, Verdict};

/// The seed's law with `change` on its rule `register`.
fn register_with(change: impl FnOnce(&mut Rule)) -> Model {
    law_with(|law| change(law.rules.get_mut("register").expect("a rule")))
}

fn switching(method: &str) -> Flow {
    let request = Request { upgrade: true, ..request(method, "/exchange/a") };
    flow_with(|flow| flow.request = Some(request))
}

#[test]
fn a_switch_of_protocols_needs_a_rule_that_permits_it() {
    let due = |reason| Err((reason, Stage::Request));
    let permitted = || register_with(|rule| rule.upgrade = true);
    check("permitted", permitted(), &switching("GET"), REGISTER);
    check("its method is judged", permitted(), &switching("DELETE"), due(Reason::Method));
    let tunnel = register_with(|rule| {
        rule.upgrade = true;
        rule.http = Some(http(&["CONNECT"], &["/**"]));
    });
    check("a tunnel", tunnel, &switching("CONNECT"), due(Reason::Upgrade));
    let silent = law_with(|law| {
        law.rules.get_mut("register").expect("a rule").upgrade = true;
        law.guardrails.reverse_access = guardrail(names(&["intermediate-server"]));
    });
    check("toward one who is silent", silent, &switching("GET"), due(Reason::Upgrade));
}

#[test]
fn a_rule_that_observes_relaxes_its_request_facts_and_nothing_else() {
    let observing = || register_with(|rule| rule.enforcement = Enforcement::Observe);
    let would = |flow: &Flow| match engine(observing()).decide(flow) {
        Verdict::Allow(allowed) => (allowed.rule.to_string(), allowed.would_deny),
        other @ (Verdict::Deny(_) | Verdict::NotYet(_)) => panic!("{other:?}"),
    };
    let register = |reason| ("register".to_owned(), reason);
    assert_eq!(would(&flow()), register(None));
    assert_eq!(would(&sending("DELETE", "/exchange/a")), register(Some(Reason::Method)));
    assert_eq!(would(&sending("GET", "/other")), register(Some(Reason::Path)));
    assert_eq!(would(&sending("DELETE", "/other")), register(Some(Reason::NoRule)));
    assert_eq!(would(&switching("GET")), register(Some(Reason::Upgrade)));
    // A rule that is enforced takes nothing that it does not fit, however near it is.
    assert_eq!(would(&sending("DELETE", "/result/7")), register(Some(Reason::Method)));
    // Another rule that fits goes before one that only observes.
    assert_eq!(would(&sending("GET", "/result/7")), ("results".to_owned(), None));
    let no = |reason, stage| Err((reason, stage));
    let named = |names: &[&str]| {
        let paper = Paper::Presented(certificate(names));
        flow_with(|flow| flow.paper = Some(Arc::new(paper)))
    };
    let wrong = named(&["dns:hyojun.union.example"]);
    check("who", observing(), &wrong, no(Reason::IdentityMismatch, Stage::Identity));
    let tunnel = switching("CONNECT");
    check("a tunnel", observing(), &tunnel, no(Reason::Upgrade, Stage::Request));
    let early = flow_with(|flow| flow.at = moment("2020-06-14T23:59:59+09:00"));
    check("when", observing(), &early, no(Reason::BeforeConnectionDate, Stage::Arrival));
    let osaka = flow_with(|flow| flow.endpoint = Some(socket("10.201.1.10:443")));
    check("where", observing(), &osaka, no(Reason::SiteNotDeclared, Stage::Dial));
}

#[test]
fn a_refusal_names_a_rule_that_observes_only_where_no_other_is_left() {
    let observing = |rules: &[&str]| {
        law_with(|law| {
            for rule in rules {
                law.rules.get_mut(*rule).expect("a rule").enforcement = Enforcement::Observe;
            }
        })
    };
    let named = |rules: &[&str], path: &str| {
        let osaka = Flow { endpoint: Some(socket("10.201.1.10:443")), ..sending("GET", path) };
        match engine(observing(rules)).decide(&osaka) {
            Verdict::Deny(denied) => (denied.reason, denied.rule),
            other @ (Verdict::Allow(_) | Verdict::NotYet(_)) => panic!("{other:?}"),
        }
    };
    let due = |rule: Option<&str>| (Reason::SiteNotDeclared, rule.map(name));
    assert_eq!(named(&["register"], "/other"), due(Some("register")));
    assert_eq!(named(&["register", "results"], "/other"), due(None), "two that observe");
    assert_eq!(named(&["register"], "/result/7"), due(None), "one that fits, one that observes");
    assert_eq!(named(&[], "/result/7"), due(Some("results")));
}

#[test]
fn a_tls_rule_that_observes_takes_no_requests() {
    let law = law_with(|law| {
        let register = law.rules.get_mut("register").expect("a rule");
        register.enforcement = Enforcement::Observe;
        register.listener = Some(name("union-lan"));
        let results = law.rules.get_mut("results").expect("a rule");
        (results.enforcement, results.protocol) = (Enforcement::Observe, Protocol::Tls);
        (results.http, results.listener) = (None, Some(name("other-lan")));
    });
    // A capture does not know the listener, and no application protocol was agreed on.
    let asking = |method: &str, path: &str| {
        let mut flow = sending(method, path);
        flow.listener = None;
        let hello = flow.hello.as_deref().cloned().map(|hello| Hello { alpn: None, ..hello });
        Flow { hello: hello.map(Arc::new), ..flow }
    };
    for (method, path) in [("POST", "/exchange/a"), ("DELETE", "/other")] {
        match engine(law.clone()).decide(&asking(method, path)) {
            Verdict::Allow(allowed) => assert_eq!(allowed.rule, name("register"), "{method}"),
            other @ (Verdict::Deny(_) | Verdict::NotYet(_)) => panic!("{other:?}"),
        }
    }
}

#[test]
fn where_one_rule_observes_and_another_fits_nothing_would_be_refused() {
    let mut law = register_with(|rule| rule.enforcement = Enforcement::Observe);
    let fitting = law.rules["results"].clone();
    law.rules.insert(name("standby"), fitting);
    let prepared = |law: &mut Model, rules: &[&str]| {
        let declaration = Declaration {
            title: None,
            site: name("osaka"),
            rules: names(rules),
            at_most: Duration::from_hours(72),
            approval: name("r1-5"),
            place: place(1),
        };
        law.declarations = [(name("dr"), declaration)].into();
    };
    let flow = Flow { endpoint: Some(socket("10.201.1.10:443")), ..sending("GET", "/result/7") };
    let opened = Opened { declaration: name("dr"), since: flow.at, until: Timestamp::MAX };
    let passes = |mut law: Model, rules: &[&str]| {
        prepared(&mut law, rules);
        match engine(law).with_declarations(std::slice::from_ref(&opened)).decide(&flow) {
            Verdict::Allow(allowed) => (allowed.rule.to_string(), allowed.would_deny),
            other @ (Verdict::Deny(_) | Verdict::NotYet(_)) => panic!("{other:?}"),
        }
    };
    // `results` fits too, but the site is not opened for it.
    let standby = ("standby".to_owned(), None);
    assert_eq!(passes(law.clone(), &["register", "standby"]), standby);
    assert_eq!(passes(law.clone(), &["standby"]), standby);
    assert_eq!(passes(law.clone(), &["results", "standby"]), ("results".to_owned(), None));
    assert_eq!(passes(law, &["register"]).0, "register");
}
