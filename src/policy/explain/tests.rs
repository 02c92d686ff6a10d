//! Explanations of flows under the shipped law: the road, the rules, and edits that were tried.

use std::sync::Arc;

use super::{Asked, Proposal, Proven, explain, propose};
use crate::flow::{Flow, Hello, Identity, Method, Name, Paper, Timestamp, TlsVersion, Transport};
use crate::policy::model::ScenarioFlow;
use crate::policy::understand;
use crate::verdict::{Reason, Stage, Verdict};
use crate::yaml::SourceFile;

const TOKYO: [(&str, &str); 4] = [
    ("tokyo/00-council.yaml", include_str!("../../../policies/tokyo/00-council.yaml")),
    ("tokyo/10-systems.yaml", include_str!("../../../policies/tokyo/10-systems.yaml")),
    ("tokyo/20-rules.yaml", include_str!("../../../policies/tokyo/20-rules.yaml")),
    ("tokyo/30-scenarios.yaml", include_str!("../../../policies/tokyo/30-scenarios.yaml")),
];

fn tokyo() -> Vec<SourceFile> {
    let file = |(name, text): &(&str, &str)| SourceFile {
        name: Arc::from(*name),
        bytes: text.as_bytes().into(),
    };
    TOKYO.iter().map(file).collect()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T02:14:07+09:00").unwrap()
}

fn asks(from: &str, method: &str, path: &str) -> ScenarioFlow {
    ScenarioFlow {
        from: Some(from.parse().unwrap()),
        to: Some(name("intermediate-server")),
        method: Some(Method::parse(method).unwrap()),
        path: Some(path.to_owned()),
        ..ScenarioFlow::default()
    }
}

fn asked(facts: ScenarioFlow) -> Asked {
    Asked { facts, ..Asked::default() }
}

fn proposed(facts: ScenarioFlow) -> Proposal {
    let law = understand(&tokyo(), None).unwrap();
    propose(&tokyo(), None, &law.engine, (&asked(facts), now()))
}

/// `file -old +new`, hunk by hunk; the line is the one that has the old text.
fn patch(proposal: &Proposal) -> Vec<String> {
    let shown = |hunk: &super::Hunk| {
        let (_, text) = TOKYO.iter().find(|(file, _)| *file == &*hunk.file).unwrap();
        let stays = text.lines().nth(hunk.line - 1) == hunk.removed.first().map(String::as_str);
        assert!(stays || hunk.removed[0].contains("until"), "{hunk:?}");
        let trimmed = |lines: &[String]| {
            lines.iter().map(|it| it.trim().to_owned()).collect::<Vec<_>>().join("|")
        };
        format!("{} -{} +{}", hunk.file, trimmed(&hunk.removed), trimmed(&hunk.added))
    };
    proposal.hunks.iter().map(shown).collect()
}

/// The patch of an edit that makes the flow pass.
#[track_caller]
fn permitted(facts: ScenarioFlow) -> Vec<String> {
    let proposal = proposed(facts);
    assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
    patch(&proposal)
}

#[test]
fn the_road_ends_at_the_first_refusal_and_every_rule_says_what_stops_it() {
    let law = understand(&tokyo(), None).unwrap();
    let told =
        explain(&law.engine, &asked(asks("10.13.10.5", "DELETE", "/exchange/results")), now());
    assert_eq!(told.verdict.reason(), Some(Reason::Method));
    let road: Vec<_> = told.road.iter().map(|step| (step.stage, step.verdict.code())).collect();
    assert_eq!(
        road,
        [
            (Stage::Arrival, "not_yet"),
            (Stage::Hello, "not_yet"),
            (Stage::Identity, "not_yet"),
            (Stage::Request, "deny")
        ]
    );
    let rules: Vec<_> =
        told.candidates.iter().map(|it| (it.rule.as_str(), it.stopped_by.join(" "))).collect();
    assert_eq!(
        rules,
        [("register", "method".to_owned()), ("inquire", "source method path".to_owned())]
    );
    assert_eq!(told.candidates[0].fits, ["source", "to", "dates", "protocol", "path"]);
    assert_eq!(told.gates, []);
}

#[test]
fn the_road_ends_where_the_answer_falls_whatever_fact_it_falls_by() {
    let law = understand(&tokyo(), None).unwrap();
    let passes = asked(asks("10.13.10.5", "GET", "/exchange/x")).flow(&law.engine, now());
    let check = |change: &dyn Fn(&mut Flow), stage, reason| {
        let mut flow = passes.clone();
        change(&mut flow);
        let told = explain(&law.engine, &Asked { recorded: Some(flow), ..Asked::default() }, now());
        assert_eq!((told.verdict.reason(), told.road.last().unwrap().stage), (reason, stage));
        assert_eq!(told.road.last().unwrap().verdict.reason(), reason);
    };
    let old = |flow: &mut Flow| {
        let hello = flow.hello.as_deref().unwrap().clone();
        flow.hello = Some(Arc::new(Hello { version: TlsVersion::Tls12, ..hello }));
    };
    check(&|flow| flow.transport = Transport::Udp, Stage::Arrival, Some(Reason::Protocol));
    check(&old, Stage::Hello, Some(Reason::TlsVersion));
    check(&|flow| (flow.hello, flow.in_clear) = (None, true), Stage::Hello, Some(Reason::Protocol));
    let stranger = |flow: &mut Flow| flow.paper = Some(Arc::new(Paper::Absent));
    check(&stranger, Stage::Identity, Some(Reason::IdentityMissing));
    let deletes = |flow: &mut Flow| {
        flow.request.as_mut().unwrap().method = Method::parse("DELETE").unwrap();
    };
    check(&deletes, Stage::Request, Some(Reason::Method));
    let elsewhere = |flow: &mut Flow| flow.endpoint = Some("10.200.1.99:443".parse().unwrap());
    check(&elsewhere, Stage::Dial, Some(Reason::CountryUnknown));
}

#[test]
fn a_recorded_flow_is_judged_at_the_moment_that_is_asked_about() {
    let law = understand(&tokyo(), None).unwrap();
    let recorded = asked(asks("10.13.10.5", "GET", "/exchange/x")).flow(&law.engine, now());
    let asked = Asked { recorded: Some(recorded), ..Asked::default() };
    let before = Timestamp::parse("2019-01-01T00:00:00+09:00").unwrap();
    assert_eq!(explain(&law.engine, &asked, now()).verdict.reason(), None);
    let then = explain(&law.engine, &asked, before).verdict;
    assert_eq!(then.reason(), Some(Reason::BeforeConnectionDate));
}

#[test]
fn a_guardrail_is_named_even_where_something_else_refuses_first() {
    let law = understand(&tokyo(), None).unwrap();
    let facts = ScenarioFlow {
        identities: vec![Identity::parse("dns:oqs.center.example").unwrap()],
        ..asks("192.0.2.1", "GET", "/exchange/x")
    };
    let told = explain(&law.engine, &asked(facts), now());
    assert_eq!(told.verdict.reason(), Some(Reason::UnknownSource));
    assert!(told.gates.contains(&(Stage::Arrival, Reason::UnknownSource)), "{:?}", told.gates);
}

#[test]
fn the_smallest_edit_is_one_line_and_was_tried() {
    let method = permitted(asks("10.13.10.5", "DELETE", "/exchange/results"));
    assert_eq!(
        method,
        ["tokyo/20-rules.yaml -methods: [GET, POST, PUT] +methods: [GET, POST, PUT, DELETE]"]
    );
    let path = permitted(asks("10.13.10.5", "GET", "/report"));
    assert_eq!(
        path,
        ["tokyo/20-rules.yaml -paths: [\"/exchange/**\"] +paths: [\"/exchange/**\", /report]"]
    );
    let both = permitted(asks("10.13.10.5", "DELETE", "/report"));
    assert_eq!(both.len(), 1, "{both:?}");
    let source = permitted(asks("10.13.20.3", "POST", "/exchange/x"));
    assert_eq!(
        source,
        [
            "tokyo/20-rules.yaml -from: [existing-system] +from: [existing-system, dedicated-terminal]"
        ]
    );
    let source = permitted(asks("10.13.20.3", "GET", "/exchange/x"));
    assert_eq!(
        source,
        ["tokyo/20-rules.yaml -paths: [\"/inquiry/*\"] +paths: [\"/inquiry/*\", /exchange/x]"]
    );
}

#[test]
fn several_edits_are_found_one_after_the_other() {
    let facts = ScenarioFlow {
        identities: vec![Identity::parse("dns:kizon.union.example").unwrap()],
        ..asks("10.14.0.1", "GET", "/exchange/x")
    };
    let edits = permitted(facts);
    assert_eq!(
        edits,
        [
            "tokyo/10-systems.yaml -addresses: [10.13.10.0/26] +addresses: [10.13.10.0/26, 10.14.0.1/32]"
        ]
    );
}

#[test]
fn a_site_that_waits_for_a_declaration_is_opened_by_declaring_not_by_an_edit() {
    let site = ScenarioFlow {
        endpoint: Some("10.201.1.10:443".parse().unwrap()),
        ..asks("10.13.10.5", "GET", "/exchange/x")
    };
    let proposal = proposed(site.clone());
    assert_eq!(patch(&proposal), ["tokyo/10-systems.yaml -dial: declared +dial: always"]);
    let Proven::Forbidden { faults } = proposal.proven else {
        panic!("the declaration would wait for nothing")
    };
    assert_eq!(faults.0[0].code, "declaration_site");
    let law = understand(&tokyo(), None).unwrap();
    let declared = asked(ScenarioFlow { declared: vec![name("dr-osaka")], ..site });
    assert!(matches!(explain(&law.engine, &declared, now()).verdict, Verdict::Allow(_)));
}

#[test]
fn a_certificate_of_nobody_is_given_to_the_system_of_the_address() {
    let certificate = ScenarioFlow {
        identities: vec![Identity::parse("dns:new.union.example").unwrap()],
        ..asks("10.13.10.5", "GET", "/exchange/x")
    };
    assert_eq!(
        permitted(certificate),
        [
            "tokyo/10-systems.yaml -identities: [\"dns:kizon.union.example\"] +identities: [\"dns:kizon.union.example\", \"dns:new.union.example\"]"
        ]
    );
}

#[test]
fn the_laws_own_scenarios_that_expect_the_old_answer_are_named() {
    let Proven::Permitted { scenarios, approval, verdict } =
        proposed(asks("10.13.10.5", "DELETE", "/exchange/results")).proven
    else {
        panic!("the guardrails allow it")
    };
    assert_eq!(approval, Some(name("r1-5")));
    assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
    let messages: Vec<_> = scenarios.0.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].starts_with("scenario `nothing is deleted` expects deny `method`"),
        "{messages:?}"
    );
}

#[test]
fn what_a_guardrail_refuses_no_edit_of_a_rule_brings_back() {
    let reverse = proposed(ScenarioFlow {
        from: Some("10.210.0.9".parse().unwrap()),
        ..ScenarioFlow::default()
    });
    let Proven::Council { what, place, clause } = &reverse.proven else { panic!("{reverse:?}") };
    assert_eq!(
        (*what, clause.as_deref(), patch(&reverse).len()),
        ("reverse_access", Some("別添1(2)1"), 0)
    );
    assert!(place.as_ref().unwrap().text.contains("reverse_access:"), "{place:?}");
    let old =
        ScenarioFlow { tls: Some(TlsVersion::Tls12), ..asks("10.13.10.5", "GET", "/exchange/x") };
    assert!(matches!(proposed(old).proven, Proven::Council { what: "encryption", .. }));
}

#[test]
fn an_edit_that_the_proofs_refuse_is_shown_with_the_reason() {
    let mut files = tokyo();
    let law = understand(&files, None).unwrap();
    let facts = ScenarioFlow {
        endpoint: Some("10.201.1.10:443".parse().unwrap()),
        ..asks("10.13.10.5", "GET", "/exchange/x")
    };
    let abroad = String::from_utf8(files[1].bytes.to_vec()).unwrap();
    let osaka = abroad.find("osaka:").unwrap();
    let (head, tail) = abroad.split_at(osaka);
    files[1].bytes =
        format!("{head}{}", tail.replacen("country: JP", "country: US", 1)).into_bytes().into();
    // Under the sound law the endpoint waits for a declaration; in the files its site has moved abroad meanwhile.
    let proposal = propose(&files, None, &law.engine, (&asked(facts), now()));
    let Proven::Forbidden { faults } = &proposal.proven else { panic!("{proposal:?}") };
    assert!(faults.0.iter().any(|fault| fault.code == "outside_country"), "{faults:?}");
    assert_eq!(patch(&proposal), ["tokyo/10-systems.yaml -dial: declared +dial: always"]);
}

#[test]
fn no_edit_helps_where_the_client_is_wrong() {
    let host = ScenarioFlow {
        host: Some("elsewhere.example".to_owned()),
        ..asks("10.13.10.5", "GET", "/exchange/x")
    };
    let Proven::Nothing { why } = proposed(host).proven else { panic!("an edit was found") };
    assert_eq!(why, "the client has to ask for the same name in TLS and HTTP");
}

#[test]
fn what_passes_is_stopped_by_one_line_less() {
    let proposal = proposed(asks("10.13.10.5", "PUT", "/exchange/x"));
    assert_eq!(
        patch(&proposal),
        ["tokyo/20-rules.yaml -methods: [GET, POST, PUT] +methods: [GET, POST]"]
    );
    let Proven::Permitted { verdict, .. } = proposal.proven else { panic!("an edit was found") };
    assert_eq!(verdict.reason(), Some(Reason::Method));
}

#[test]
fn an_ended_approval_is_moved_to_the_day_that_is_asked_about() {
    let mut files = tokyo();
    files.pop();
    let council = String::from_utf8(files[0].bytes.to_vec()).unwrap();
    let ended = council
        .replace("    since: 2020-06-15\n", "    since: 2020-06-15\n    until: 2026-03-31\n");
    files[0].bytes = ended.into_bytes().into();
    let law = understand(&files, None).unwrap();
    let question = asked(asks("10.13.10.5", "GET", "/exchange/x"));
    assert_eq!(
        explain(&law.engine, &question, now()).verdict.reason(),
        Some(Reason::AfterApproval)
    );
    let proposal = propose(&files, None, &law.engine, (&question, now()));
    assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
    assert_eq!(patch(&proposal), ["tokyo/00-council.yaml -until: 2026-03-31 +until: 2026-11-22"]);
}

#[test]
fn a_listener_that_is_another_is_dropped_and_one_that_answers_nothing_is_the_box_files() {
    let on = |listener: &str| ScenarioFlow {
        listener: Some(name(listener)),
        ..asks("10.13.10.5", "GET", "/exchange/x")
    };
    let patch = permitted(on("other-lan"));
    assert_eq!(patch.len(), 1, "{patch:?}");
    assert!(patch[0].starts_with("tokyo/20-rules.yaml -listener: union-lan "), "{patch:?}");
    assert!(patch[0].ends_with(" +"), "{patch:?}");
    let text = include_str!("../../../policies/tokyo.appliance.yaml");
    let file =
        SourceFile { name: Arc::from("tokyo.appliance.yaml"), bytes: text.as_bytes().into() };
    let appliance = crate::appliance::understand(&file).unwrap();
    let law = understand(&tokyo(), Some(&appliance)).unwrap();
    let question = asked(on("center-guard"));
    let proposal = propose(&tokyo(), Some(&appliance), &law.engine, (&question, now()));
    let Proven::Nothing { why } = proposal.proven else { panic!("an edit was found") };
    assert_eq!(why, "the listener answers nothing: that is said in the box file");
}

#[test]
fn a_switch_of_protocols_is_permitted_by_a_line_of_its_own() {
    let upgrade = true;
    let proposal = proposed(ScenarioFlow { upgrade, ..asks("10.13.10.5", "GET", "/exchange/x") });
    assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
    let [hunk] = proposal.hunks.as_slice() else { panic!("{proposal:?}") };
    assert_eq!((hunk.removed.len(), hunk.added.join("|")), (0, "    upgrade: true".to_owned()));
}

#[test]
fn an_endpoint_has_days_of_its_own() {
    let dated = |written: &str| {
        let mut files = tokyo();
        files.pop();
        let systems = String::from_utf8(files[1].bytes.to_vec()).unwrap();
        let own = "site: tokyo, approval: r1-5";
        let edited = systems.replacen(own, &format!("{own}, {written}"), 1);
        files[1].bytes = edited.into_bytes().into();
        let law = understand(&files, None).unwrap();
        let facts = ScenarioFlow {
            endpoint: Some("10.200.1.10:443".parse().unwrap()),
            ..asks("10.13.10.5", "GET", "/exchange/x")
        };
        let proposal = propose(&files, None, &law.engine, (&asked(facts), now()));
        assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
        let [hunk] = proposal.hunks.as_slice() else { panic!("{proposal:?}") };
        let line = |key: &str| {
            format!("        - {{ address: \"10.200.1.10:443\", {own}, {key}: 2026-11-22 }}")
        };
        assert!([line("since"), line("until")].contains(&hunk.added[0]), "{hunk:?}");
        hunk.removed[0].contains(written)
    };
    assert!(dated("until: 2026-03-31"));
    assert!(dated("since: 2027-01-01"));
}

#[test]
fn a_rule_that_lets_one_thing_pass_has_nothing_to_lose() {
    let proposal = proposed(asks("10.13.20.3", "GET", "/inquiry/7"));
    let Proven::Nothing { why } = proposal.proven else { panic!("{proposal:?}") };
    assert_eq!(why, "only without the rule that it passes by");
}

/// The shipped law without its scenarios, with `old` replaced by `new` once in its rules.
fn with_rules(old: &str, new: &str) -> Vec<SourceFile> {
    let mut files = tokyo();
    files.pop();
    let rules = String::from_utf8(files[2].bytes.to_vec()).unwrap();
    assert!(rules.contains(old), "{old}");
    files[2].bytes = rules.replacen(old, new, 1).into_bytes().into();
    files
}

#[test]
fn an_ended_rule_is_moved_and_not_the_endpoint_it_leads_to() {
    let ended = "    approval: r1-5\n    until: 2026-11-21\n";
    let files = with_rules("    approval: r1-5 ", &format!("{ended}    # "));
    let law = understand(&files, None).unwrap();
    let question = asked(asks("10.13.10.5", "GET", "/exchange/x"));
    // The last day is over in this very moment.
    let midnight = Timestamp::parse("2026-11-22T00:00:00+09:00").unwrap();
    let told = explain(&law.engine, &question, midnight);
    assert_eq!(told.verdict.reason(), Some(Reason::AfterApproval));
    let proposal = propose(&files, None, &law.engine, (&question, midnight));
    assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
    assert_eq!(patch(&proposal), ["tokyo/20-rules.yaml -until: 2026-11-21 +until: 2026-11-22"]);
}

#[test]
fn what_passes_by_one_path_of_several_is_stopped_without_it() {
    let files = with_rules("paths: [\"/inquiry/*\"]", "paths: [\"/inquiry/*\", /list]");
    let law = understand(&files, None).unwrap();
    let question = asked(asks("10.13.20.3", "GET", "/inquiry/7"));
    let proposal = propose(&files, None, &law.engine, (&question, now()));
    let [hunk] = proposal.hunks.as_slice() else { panic!("{proposal:?}") };
    assert_eq!(hunk.added, ["      paths: [/list]"]);
}

#[test]
fn a_switch_that_fits_is_told_and_what_nobody_asked_is_not() {
    let files = with_rules("    individual_number:", "    upgrade: true\n    individual_number:");
    let law = understand(&files, None).unwrap();
    let fits = |facts: ScenarioFlow| {
        let told = explain(&law.engine, &asked(facts), now());
        let found = told.candidates.into_iter().find(|it| it.rule == name("register"));
        found.map(|it| (it.fits.join(" "), it.stopped_by.join(" "))).unwrap()
    };
    let asking = |upgrade| ScenarioFlow { upgrade, ..asks("10.13.10.5", "GET", "/exchange/x") };
    let plain = "source to dates protocol method path".to_owned();
    assert_eq!(fits(asking(true)), (format!("{plain} upgrade"), String::new()));
    assert_eq!(fits(asking(false)), (plain, String::new()));
    let unknown = ScenarioFlow {
        from: Some("10.13.10.5".parse().unwrap()),
        server_name: Some("no.example".to_owned()),
        ..ScenarioFlow::default()
    };
    assert_eq!(fits(unknown), ("source dates protocol".to_owned(), "to".to_owned()));
}

#[test]
fn a_rule_of_the_two_systems_comes_before_one_of_others() {
    let law = understand(&tokyo(), None).unwrap();
    let told = explain(&law.engine, &asked(asks("10.13.10.5", "GET", "/inquiry/7")), now());
    let rules: Vec<_> =
        told.candidates.iter().map(|it| (it.rule.as_str(), it.stopped_by.join(" "))).collect();
    assert_eq!(rules, [("register", "path".to_owned()), ("inquire", "source".to_owned())]);
}

/// The shipped law without its scenarios, with a text of one file replaced once.
fn edited(file: usize, old: &str, new: &str) -> Vec<SourceFile> {
    let mut files = tokyo();
    files.pop();
    let text = String::from_utf8(files[file].bytes.to_vec()).unwrap();
    assert!(text.contains(old), "{old}");
    files[file].bytes = text.replacen(old, new, 1).into_bytes().into();
    files
}

fn proposed_for(files: &[SourceFile], question: &Asked, at: Timestamp) -> Proposal {
    let law = understand(files, None).unwrap();
    propose(files, None, &law.engine, (question, at))
}

#[test]
fn an_address_that_is_no_endpoint_of_the_destination_has_to_be_described_first() {
    let elsewhere = ScenarioFlow {
        endpoint: Some("10.200.9.9:443".parse().unwrap()),
        ..asks("10.13.10.5", "GET", "/exchange/x")
    };
    let files = edited(0, "  residency:\n    countries: [JP]\n    round_trip: observe\n", "");
    let mut files = files;
    let council = String::from_utf8(files[0].bytes.to_vec()).unwrap();
    files[0].bytes =
        council.replacen("    clause: \"4(1)ア(ア)～(ウ)\"\n", "", 1).into_bytes().into();
    let law = understand(&files, None).unwrap();
    let question = asked(elsewhere);
    let verdict = explain(&law.engine, &question, now()).verdict;
    assert_eq!(verdict.reason(), Some(Reason::NoRule));
    let proposal = proposed_for(&files, &question, now());
    let Proven::Nothing { why } = proposal.proven else { panic!("{proposal:?}") };
    assert_eq!(why, "the address is no endpoint of the destination: it has to be described first");
}

#[test]
fn an_address_is_given_to_a_system_that_a_rule_leads_where_it_asks_to_go() {
    // A second destination, with a rule of its own from another system.
    let center = "  online-eligibility:\n    title";
    let archive = "  archive:\n    side: center\n    owner: 社会保険診療報酬支払基金\n    identities: [\"dns:archive.center.example\"]\n    upstream: { server_name: archive.center.example, line: ip-vpn, trust: center-ca, certificate: center-facing, endpoints: [{ address: \"10.202.1.10:443\", site: tokyo, approval: r1-5 }] }\n  reader:\n    side: union\n    addresses: [10.13.30.0/27]\n    identities: [\"dns:reader.union.example\"]\n";
    let mut files = edited(1, center, &format!("{archive}{center}"));
    let text = |file: &SourceFile| String::from_utf8(file.bytes.to_vec()).unwrap();
    let rule = "  a-read:\n    approval: r1-5\n    from: [reader]\n    to: archive\n    protocol: https\n    http: { methods: [GET], paths: [\"/exchange/**\"] }\n    individual_number: permitted\n";
    let rules = text(&files[2]).replacen("rules:\n", &format!("rules:\n{rule}"), 1);
    files[2].bytes = rules.into_bytes().into();
    let council =
        text(&files[0]).replacen("[intermediate-server]", "[intermediate-server, archive]", 1);
    files[0].bytes = council.into_bytes().into();
    let proposal = proposed_for(&files, &asked(asks("10.14.0.1", "GET", "/exchange/x")), now());
    assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
    assert_eq!(
        proposal.hunks[0].added,
        ["    addresses: [10.13.10.0/26, 10.14.0.1/32]"],
        "not to `reader`, which no rule leads there"
    );
}

#[test]
fn a_rule_that_begins_in_this_moment_is_left_as_it_is() {
    let begins = "2026-11-22T02:14:07+09:00";
    let files = edited(
        2,
        "    approval: r1-5 ",
        &format!("    approval: later\n    since: {begins}\n    # "),
    );
    let mut files = files;
    let council = String::from_utf8(files[0].bytes.to_vec()).unwrap();
    let later = "approvals:\n  later: { consultation: 令和八年度諮問第１号, since: 2026-12-01 }\n";
    files[0].bytes = council.replacen("approvals:\n", later, 1).into_bytes().into();
    let proposal = proposed_for(&files, &asked(asks("10.13.10.5", "GET", "/exchange/x")), now());
    assert!(matches!(proposal.proven, Proven::Permitted { .. }), "{proposal:?}");
    let added: Vec<_> = proposal.hunks.iter().map(|hunk| hunk.added.join("|")).collect();
    assert_eq!(
        added,
        ["  later: { consultation: 令和八年度諮問第１号, since: 2026-11-22 }"],
        "only the approval begins too late"
    );
}

/// A stranger's address and certificate, a method that no rule has, and an endpoint whose days are over.
fn far_off(endpoint: &str) -> Asked {
    asked(ScenarioFlow {
        endpoint: Some(endpoint.parse().unwrap()),
        identities: vec![Identity::parse("dns:new.union.example").unwrap()],
        ..asks("10.14.0.1", "DELETE", "/exchange/x")
    })
}

#[test]
fn four_edits_one_after_the_other_are_found_and_five_are_not_looked_for() {
    let ended = |site: &str| {
        let own = format!("site: {site}, approval: r1-5");
        let mut files = edited(1, &own, &format!("{own}, until: 2026-03-31"));
        // Without a declaration the site may be opened by an edit.
        let rules = String::from_utf8(files[2].bytes.to_vec()).unwrap();
        let (rules, _) = rules.split_once("\ndeclarations:\n").unwrap();
        files[2].bytes = rules.as_bytes().into();
        files
    };
    // Address, certificate, method, day.
    let four = proposed_for(&ended("tokyo"), &far_off("10.200.1.10:443"), now());
    assert!(matches!(four.proven, Proven::Permitted { .. }), "{four:?}");
    assert_eq!(four.hunks.iter().map(|hunk| hunk.added.len()).sum::<usize>(), 4, "{four:?}");
    // And the site.
    let five = proposed_for(&ended("osaka"), &far_off("10.201.1.10:443"), now());
    let Proven::Nothing { why } = five.proven else { panic!("{five:?}") };
    assert_eq!(why, "no small edit was found");
}
