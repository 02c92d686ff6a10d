//! What is only called otherwise, and what is another thing by another name.

use super::{between, said, said_of, system};
use crate::flow::Name;
use crate::policy::imagined::{OPEN, http, identity, moment, name, names};
use crate::policy::model::{Enforcement, IndividualNumber, Model, Period, Protocol, Rule, System};

type Edit<T> = fn(&mut T);

fn moved<T>(things: &mut std::collections::BTreeMap<Name, T>, from: &str, to: &str) {
    let thing = things.remove(from).unwrap();
    things.insert(name(to), thing);
}

/// Whether `register` is found again as `enrol` after an edit of it.
fn is_same_rule(edit: impl FnOnce(&mut Rule)) -> bool {
    let difference = between(
        |_| (),
        |law| {
            let mut rule = law.rules.remove("register").unwrap();
            edit(&mut rule);
            law.rules.insert(name("enrol"), rule);
        },
    );
    let found = difference.renames().rule(&name("register")).as_str() == "enrol";
    assert_eq!(found, difference.is_empty(), "what is the same is answered the same");
    found
}

#[test]
fn a_rule_with_one_thing_changed_is_another_rule() {
    assert!(is_same_rule(|_| ()));
    let minute = Some(std::time::Duration::from_mins(1));
    assert!(!is_same_rule(|rule| rule.idle_timeout = minute), "idle_timeout");
    assert!(!is_same_rule(|rule| rule.response_timeout = minute), "response_timeout");
    let edits: [(&str, Edit<Rule>); 10] = [
        ("from", |rule| rule.from = names(&["standard-system"])),
        ("to", |rule| rule.to = name("online-eligibility")),
        ("listener", |rule| rule.listener = Some(name("union-lan"))),
        ("protocol", |rule| rule.protocol = Protocol::Tls),
        ("individual_number", |rule| rule.individual_number = IndividualNumber::Forbidden),
        ("enforcement", |rule| rule.enforcement = Enforcement::Observe),
        ("upgrade", |rule| rule.upgrade = true),
        ("methods", |rule| rule.http = Some(http(&["GET", "POST"], &["/exchange/**"]))),
        ("paths", |rule| rule.http = Some(http(&["GET", "POST", "PUT"], &["/report"]))),
        ("until", |rule| {
            rule.period = Period { until: Some(moment("2027-04-01T00:00:00+09:00")), ..OPEN };
        }),
    ];
    for (key, edit) in edits {
        assert!(!is_same_rule(edit), "{key}");
    }
}

#[test]
fn a_rule_that_stands_on_another_days_approval_is_another_rule() {
    let second = |law: &mut Model| {
        let mut approval = law.approvals["r1-5"].clone();
        approval.period.since = Some(moment("2026-04-01T00:00:00+09:00"));
        law.approvals.insert(name("r2-1"), approval);
    };
    let difference = between(second, |law| {
        moved(&mut law.rules, "register", "enrol");
        law.rules.get_mut("enrol").unwrap().approval = name("r2-1");
    });
    assert_eq!(difference.renames().rules.len(), 0);
    assert!(!difference.is_empty());
}

/// Whether `standard-system` is found again as `core-system` after an edit of it.
fn is_same_system(edit: impl FnOnce(&mut System)) -> bool {
    let difference = between(
        |_| (),
        |law| {
            moved(&mut law.systems, "standard-system", "core-system");
            edit(system(law, "core-system"));
        },
    );
    difference.renames().system(&name("standard-system")).as_str() == "core-system"
}

#[test]
fn a_system_with_one_thing_changed_is_another_system() {
    assert!(is_same_system(|_| ()));
    let edits: [(&str, Edit<System>); 3] = [
        ("side", |it| it.side = crate::policy::model::Side::Center),
        ("addresses", |it| it.addresses = vec!["10.13.30.0/26".parse().unwrap()]),
        ("identities", |it| it.identities = vec![identity("dns:third.union.example")]),
    ];
    for (key, edit) in edits {
        assert!(!is_same_system(edit), "{key}");
    }
    let upstream = between(
        |_| (),
        |law| {
            moved(&mut law.systems, "intermediate-server", "center");
            system(law, "center").upstream.as_mut().unwrap().endpoints.pop();
        },
    );
    assert_eq!(upstream.renames().systems.len(), 0, "an endpoint less");
}

#[test]
fn a_renamed_system_has_its_old_name_where_it_passed_and_its_new_one_where_it_passes() {
    let renamed = |law: &mut Model| {
        moved(&mut law.systems, "existing-system", "core-system");
        law.rules.values_mut().for_each(|rule| rule.from = names(&["core-system"]));
    };
    let methods = |all: &'static [&'static str]| {
        move |law: &mut Model| {
            law.rules.get_mut("register").unwrap().http = Some(http(all, &["/exchange/**"]));
        }
    };
    let less = said(|law| {
        renamed(law);
        methods(&["GET", "POST"])(law);
    });
    assert_eq!(
        less,
        ["refused existing-system → intermediate-server: PUT /exchange/** []  register→- method"]
    );
    let more = said_of(methods(&["GET", "POST"]), |law| {
        renamed(law);
        methods(&["GET", "POST", "PUT"])(law);
    });
    assert_eq!(
        more,
        ["allowed core-system → intermediate-server: PUT /exchange/** []  -→register method"]
    );
}

/// Every approval, document, site and trust by another name, where it stands and where it is named.
fn renamed_papers(law: &mut Model) {
    moved(&mut law.approvals, "r1-5", "council-5");
    moved(&mut law.documents, "site-contract", "contract");
    moved(&mut law.sites, "tokyo", "east");
    moved(&mut law.trust, "center-ca", "center-root");
    law.sites.values_mut().for_each(|site| site.evidence = name("contract"));
    law.rules.values_mut().for_each(|rule| rule.approval = name("council-5"));
    let upstream = system(law, "intermediate-server").upstream.as_mut().unwrap();
    upstream.trust = name("center-root");
    for endpoint in &mut upstream.endpoints {
        endpoint.approval = name("council-5");
    }
    upstream.endpoints[0].site = name("east");
}

#[test]
fn papers_sites_and_trust_by_another_name_are_no_change() {
    assert_eq!(said(renamed_papers), Vec::<String>::new());
    let replaced = said(|law| {
        renamed_papers(law);
        law.documents.get_mut("contract").unwrap().reference = "別の契約書".to_owned();
    });
    assert_eq!(
        replaced,
        [
            "document `contract` is new (neither)",
            "document `site-contract` is gone (neither)",
            "site `east` is new (neither)",
            "site `osaka` `evidence` was site-contract, is contract (neither)",
            "site `tokyo` is gone (neither)",
            "system `intermediate-server` `endpoints` was 10.200.1.10:443 at tokyo by council-5, 10.201.1.10:443 at osaka by council-5, is 10.200.1.10:443 at east by council-5, 10.201.1.10:443 at osaka by council-5 (neither)",
        ]
    );
}

#[test]
fn a_rule_that_stands_on_another_approval_is_told_by_name() {
    let second = |law: &mut Model| {
        let approval = law.approvals["r1-5"].clone();
        law.approvals.insert(name("r2-1"), approval);
    };
    assert_eq!(
        said_of(second, |law| law.rules.get_mut("register").unwrap().approval = name("r2-1")),
        ["rule `register` `approval` was r1-5, is r2-1 (neither)"]
    );
}
