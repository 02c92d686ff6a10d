//! The parts of the language that lean on something else: declarations, geography, protocols that are not terminated, IPv4
//! inside IPv6, days and zones. Each is an edit of the seed's law.

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};

use super::{check, edited, file, lines, tokyo, tokyo_box};
use crate::flow::{Name, Timestamp};
use crate::policy::model::{ScenarioFlow, Zone};
use crate::policy::resolve::geography::hex;
use crate::policy::{Engine, Law, Opened, geography_file, scenario, understand, unserved};
use crate::verdict::{Reason, Verdict};
use crate::yaml::{Faults, SourceFile};

const DECLARATION: &str =
    "declarations:\n  dr: { site: osaka, rules: [register], at_most: 72h, approval: r1-5 }\n";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The seed's law without its scenarios, with `more` in a file of its own.
fn with(more: &str) -> Result<Law, Faults> {
    let mut files = tokyo();
    files.pop();
    files.push(file("tokyo/40-more.yaml", &format!("version: 1\n{more}")));
    understand(&files, Some(&tokyo_box()))
}

fn faults(law: Result<Law, Faults>) -> String {
    lines(&law.unwrap_err())
}

/// What becomes of a dial of Osaka by `register`.
fn osaka(engine: &Engine, path: &str, at: Timestamp) -> Result<String, Reason> {
    let flow = ScenarioFlow {
        from: "10.13.10.5".parse().ok(),
        path: Some(path.to_owned()),
        endpoint: "10.201.1.10:443".parse().ok(),
        ..ScenarioFlow::default()
    };
    match scenario::verdict(engine, &flow, at) {
        Verdict::Allow(allowed) => Ok(allowed.rule.to_string()),
        Verdict::Deny(denied) => Err(denied.reason),
        Verdict::NotYet(not_yet) => panic!("{not_yet:?}"),
    }
}

#[test]
fn a_declaration_opens_its_site_for_its_rules_and_its_time() {
    let engine = with(DECLARATION).unwrap().engine;
    let opened = |since: &str, until: &str| {
        engine.with_declarations(&[Opened {
            declaration: Name::parse("dr").unwrap(),
            since: at(since),
            until: at(until),
        }])
    };
    let closed = Err(Reason::SiteNotDeclared);
    let open = Ok("register".to_owned());
    let noon = "2026-11-22T12:00:00+09:00";
    assert_eq!(osaka(&engine, "/exchange/x", at(noon)), closed);
    let day = opened(noon, "2026-11-23T12:00:00+09:00");
    assert_eq!(osaka(&day, "/exchange/x", at("2026-11-22T11:59:59+09:00")), closed);
    assert_eq!(osaka(&day, "/exchange/x", at(noon)), open);
    assert_eq!(osaka(&day, "/exchange/x", at("2026-11-23T11:59:59+09:00")), open);
    assert_eq!(osaka(&day, "/exchange/x", at("2026-11-23T12:00:00+09:00")), closed);
    assert_eq!(day.next_change(at(noon)), Some(at("2026-11-23T12:00:00+09:00")));
    // The law's 72 hours end it, however long somebody wanted it.
    let year = opened(noon, "2027-11-22T12:00:00+09:00");
    assert_eq!(osaka(&year, "/exchange/x", at("2026-11-25T11:59:59+09:00")), open);
    assert_eq!(osaka(&year, "/exchange/x", at("2026-11-25T12:00:00+09:00")), closed);
    assert_eq!(year.next_change(at(noon)), Some(at("2026-11-25T12:00:00+09:00")));
    assert_eq!(engine.next_change(at(noon)), None);
    // The terminal's rule is not in it.
    let flow = ScenarioFlow {
        from: "10.13.20.3".parse().ok(),
        endpoint: "10.201.1.10:443".parse().ok(),
        ..ScenarioFlow::default()
    };
    assert_eq!(scenario::verdict(&day, &flow, at(noon)).reason(), Some(Reason::SiteNotDeclared));
}

#[test]
fn a_scenario_says_what_is_declared() {
    let scenario = |declared: &str, expect: &str| {
        let flow = "from: 10.13.10.5, path: /exchange/x, endpoint: \"10.201.1.10:443\"";
        with(&format!(
            "{DECLARATION}scenarios:\n  - flow: {{ {flow}{declared} }}\n    expect: {{ {expect} }}\n"
        ))
    };
    assert!(scenario(", declared: [dr]", "allow: register").is_ok());
    assert!(scenario("", "deny: site_not_declared").is_ok());
    assert!(faults(scenario("", "allow: register")).contains("scenario "));
    assert!(
        faults(scenario(", declared: [drr]", "allow: register"))
            .contains("no declaration `drr`; did you mean `dr`?")
    );
}

#[test]
fn a_scenario_without_a_title_is_called_by_its_number() {
    let wrong = "{ flow: { from: 10.13.10.5 }, expect: { deny: path } }";
    let told = faults(with(&format!("scenarios:\n  - {wrong}\n  - {wrong}\n")));
    let due = "expects deny `path`, happened: allow by `register`";
    for number in 1..=2 {
        assert!(told.contains(&format!("scenario `scenario {number}` {due}")), "{told}");
    }
}

#[test]
fn a_declaration_names_what_exists_and_a_site_that_waits_for_it() {
    let wrong = |from: &str, to: &str| faults(with(&DECLARATION.replace(from, to)));
    assert!(wrong("osaka", "osakaa").contains("no site `osakaa`; did you mean `osaka`?"));
    assert!(
        wrong("[register]", "[registr]").contains("no rule `registr`; did you mean `register`?")
    );
    assert!(wrong("r1-5", "r9").contains("no approval `r9`"));
    assert!(wrong("72h", "72").contains("wrong_type a duration"));
    assert!(wrong("site: osaka", "site: tokyo").starts_with(
        "tokyo/40-more.yaml:3:3 tokyo/10-systems.yaml:10:3 declaration_site declaration `dr` names site `tokyo`, which waits for none"
    ));
}

/// The seed's law with Tokyo at a public address, and a geography file of this text.
fn public(geography: &str, named: Option<&str>) -> Result<Law, Faults> {
    let sum = hex(digest(&SHA256, geography.as_bytes()).as_ref());
    let sum = named.unwrap_or(&sum);
    let mut files = tokyo();
    files.pop();
    for file in &mut files {
        let text = std::str::from_utf8(&file.bytes).unwrap();
        file.bytes = text.replace("10.200.1.10:443", "8.8.8.8:443").into_bytes().into();
    }
    let law = format!(
        "version: 1\ngeography: {{ file: ../geography/list.txt, sha256: \"{sum}\", age_max: 90d }}\n"
    );
    files.push(file("tokyo/40-more.yaml", &law));
    if named != Some("absent") {
        files.push(file("tokyo/../geography/list.txt", geography));
    }
    understand(&files, Some(&tokyo_box()))
}

const HOME: &str = "# Country: Japan (JP)\n# Date: 2026-02-01\n8.8.8.0/24\n";

#[test]
fn a_public_address_counts_by_the_pinned_geography() {
    let engine = public(HOME, None).unwrap().engine;
    let flow = ScenarioFlow { from: "10.13.10.5".parse().ok(), ..ScenarioFlow::default() };
    let verdict = |at| scenario::verdict(&engine, &flow, at).reason();
    assert_eq!(verdict(at("2026-05-01T23:59:59Z")), None);
    // 90 days after its own date it is too old to be believed; the box goes on, the dial does not.
    assert_eq!(verdict(at("2026-05-02T00:00:00Z")), Some(Reason::CountryUnknown));
    assert_eq!(engine.next_change(at("2026-04-01T00:00:00Z")), Some(at("2026-05-02T00:00:00Z")));
    let abroad = HOME.replace("Japan (JP)", "Australia (AU)");
    assert!(faults(public(&abroad, None)).contains(
        "outside_country endpoint `8.8.8.8:443` of `intermediate-server` is registered in `AU`, whatever its site says; only `JP` is permitted"
    ));
    let elsewhere = HOME.replace("8.8.8.0", "9.9.9.0");
    assert!(faults(public(&elsewhere, None)).contains("country_unknown"));
}

#[test]
fn a_listener_of_the_box_that_refuses_takes_nobody_whatever_the_rules_say() {
    let law = edited("listener: union-lan                  # from", "# from").unwrap();
    let reason = |listener: &str| {
        let from = "10.13.10.5".parse().ok();
        let listener = Name::parse(listener).ok();
        let flow = ScenarioFlow { from, listener, ..ScenarioFlow::default() };
        scenario::verdict(&law.engine, &flow, at("2026-11-22T12:00:00+09:00")).reason()
    };
    assert_eq!(reason("center-guard"), Some(Reason::Listener));
    assert_eq!(reason("union-lan"), None);
}

#[test]
fn the_file_that_a_law_names_for_its_geography_lies_beside_it() {
    let named = "version: 1\ngeography: { file: ../geography/list.txt, age_max: 90d }\n";
    let found = geography_file(&[file("tokyo/40-more.yaml", named)]);
    assert_eq!(found, Some(PathBuf::from("tokyo/../geography/list.txt")));
    assert_eq!(geography_file(&tokyo()), None);
}

#[test]
fn a_geography_that_was_swapped_truncated_or_is_not_there_is_a_fault() {
    let zeros = "0".repeat(64);
    let swapped = faults(public(HOME, Some(&zeros)));
    assert!(
        swapped.contains("geography_digest `tokyo/../geography/list.txt` is not the file"),
        "{swapped}"
    );
    assert!(faults(public(HOME, Some("absent"))).contains("bad_value"));
    let cut = "2|apnic|20260201|5|19830613|20260131|+1000\napnic|JP|ipv4|8.8.8.0|256|20110412|allocated|B\n";
    assert!(faults(public(cut, None)).contains("4 records that its header promises are missing"));
    let missing =
        with(&format!("geography: {{ file: gone.txt, sha256: \"{zeros}\", age_max: 90d }}\n"));
    assert_eq!(
        faults(missing),
        "tokyo/40-more.yaml:2:20 file_missing the geography file `tokyo/gone.txt` cannot be read\n"
    );
}

#[test]
fn a_paper_that_has_ended_no_longer_shows_where_a_site_is() {
    let law = edited(
        "reference: \"契約書綴り（保険部管理課で保管）\"",
        "reference: a\n    until: 2026-12-31",
    );
    let engine = law.unwrap().engine;
    let flow = ScenarioFlow { from: "10.13.10.5".parse().ok(), ..ScenarioFlow::default() };
    let verdict = |at| scenario::verdict(&engine, &flow, at).reason();
    assert_eq!(verdict(at("2026-12-31T23:59:59+09:00")), None);
    assert_eq!(verdict(at("2027-01-01T00:00:00+09:00")), Some(Reason::CountryUnknown));
    let next = engine.next_change(at("2026-12-01T00:00:00Z"));
    assert_eq!(next, Some(at("2027-01-01T00:00:00+09:00")));
}

const HTTP: &str = "    http:\n      methods: [GET]\n      paths: [\"/inquiry/*\"]\n    individual_number: permitted\n";

fn inquire(protocol: &str, number: &str, council: (&str, &str)) -> Vec<SourceFile> {
    let mut files = tokyo();
    files.pop();
    let edits = [
        (HTTP, format!("    individual_number: {number}\n")),
        (
            "from: [dedicated-terminal]\n    to: intermediate-server\n    protocol: https",
            format!(
                "from: [dedicated-terminal]\n    to: intermediate-server\n    protocol: {protocol}"
            ),
        ),
        (council.0, council.1.to_owned()),
    ];
    for file in &mut files {
        let mut text = std::str::from_utf8(&file.bytes).unwrap().to_owned();
        for (from, to) in &edits {
            text = text.replace(from, to);
        }
        file.bytes = text.into_bytes().into();
    }
    files
}

#[test]
fn tls_that_is_not_terminated_is_in_the_language_and_plainly_not_served_yet() {
    let allowed = ("passthrough: refused", "passthrough: allowed");
    let law =
        understand(&inquire("tls_passthrough", "unseen", allowed), Some(&tokyo_box())).unwrap();
    let flow = ScenarioFlow { from: "10.13.20.3".parse().ok(), ..ScenarioFlow::default() };
    let verdict = scenario::verdict(&law.engine, &flow, at("2026-11-22T00:00:00Z"));
    assert_eq!(verdict.rule().map(Name::as_str), Some("inquire"), "{verdict:?}");
    let named = unserved(law.engine.model(), &tokyo_box());
    assert_eq!(
        lines(&named),
        "tokyo/20-rules.yaml:22:3 not_served_yet this version cannot serve protocol `tls_passthrough` yet: `run` refuses it\n"
    );
    let judged = |protocol, number, council| {
        faults(understand(&inquire(protocol, number, council), Some(&tokyo_box())))
    };
    let refused = judged("tls_passthrough", "unseen", ("", ""));
    assert!(refused.contains("encryption rule `inquire` speaks `tls_passthrough`"), "{refused}");
    let dishonest = judged("tls_passthrough", "permitted", allowed);
    assert!(
        dishonest.contains("contradiction nobody here can read inside `tls_passthrough`"),
        "{dishonest}"
    );
    let clear = judged("tcp", "unseen", allowed);
    assert!(clear.contains("encryption rule `inquire` speaks `tcp`"), "{clear}");
    assert!(clear.contains("protocol_conflict `tcp` says nothing of its destination"), "{clear}");
    // Nor does any other listener of the box learn it.
    let mut anywhere = inquire("tcp", "unseen", ("", ""));
    let text = std::str::from_utf8(&anywhere[2].bytes).unwrap();
    let text = text.replace("protocol: tcp\n    listener: union-lan\n", "protocol: tcp\n");
    anywhere[2] = file("tokyo/20-rules.yaml", &text);
    let clear = faults(understand(&anywhere, Some(&tokyo_box())));
    assert!(clear.contains("protocol_conflict `tcp` says nothing of its destination"), "{clear}");
}

#[test]
fn what_is_forbidden_has_to_be_read() {
    check(
        "individual_number: permitted\n    idle_timeout: 2m",
        "individual_number: forbidden\n    upgrade: true",
        "tokyo/20-rules.yaml:33:14 tokyo/20-rules.yaml:32:24 contradiction what comes after a switch of protocols is read by nobody; leave `upgrade` out",
    );
    let law =
        edited("individual_number: permitted         #", "individual_number: forbidden #").unwrap();
    assert!(
        lines(&unserved(law.engine.model(), &tokyo_box()))
            .contains("`individual_number: forbidden`")
    );
    let toward = edited(
        "no_individual_number_to: [online-eligibility]",
        "no_individual_number_to: [intermediate-server]",
    );
    assert_eq!(faults(toward).matches("does not say `forbidden`").count(), 2);
    let law = edited("round_trip: observe", "round_trip: enforce").unwrap();
    assert!(lines(&unserved(law.engine.model(), &tokyo_box())).contains("`round_trip: enforce`"));
}

#[test]
fn no_spelling_of_an_address_makes_it_another() {
    for hidden in [
        "::ffff:10.13.20.0/123",
        "64:ff9b::10.13.20.3/128",
        "2002:0a0d:1403::/48",
        "2001:0:0:0:0:0:f5f2:ebfc/128",
    ] {
        let law = edited(
            "addresses: [10.13.10.0/26]",
            &format!("addresses: [10.13.10.0/26, \"{hidden}\"]"),
        );
        let said = faults(law);
        let told = ["overlap addresses of `", "an IPv4 address inside an IPv6 one"];
        assert!(told.iter().any(|it| said.contains(it)), "{hidden}: {said}");
    }
    let twice = edited(
        "        - { address: \"10.201.1.10:443\", site: osaka, approval: r1-5 }",
        "        - { address: \"[::ffff:10.200.1.10]:443\", site: osaka, approval: r1-5 }",
    );
    let said = faults(twice);
    assert!(said.contains("is there twice") || said.contains("inside an IPv6 one"), "{said}");
}

#[test]
fn a_day_is_a_day_of_the_laws_zone() {
    let ends = |zone: &str| {
        let mut files = tokyo();
        files.pop();
        for file in &mut files {
            let text = std::str::from_utf8(&file.bytes).unwrap();
            let text = text.replace("timezone: Asia/Tokyo", &format!("timezone: {zone}"));
            let text =
                text.replace("since: 2020-06-15", "since: 2020-06-15\n    until: 2026-11-30");
            file.bytes = text.into_bytes().into();
        }
        let model = understand(&files, None).unwrap().engine.model().clone();
        let approval = &model.approvals["r1-5"].period;
        (model.timezone, approval.since.unwrap().to_string(), approval.until.unwrap().to_string())
    };
    let due = |offset, since: &str, until: &str| {
        (Zone { offset }, format!("{since}:00:00.000000Z"), format!("{until}:00:00.000000Z"))
    };
    assert_eq!(ends("Asia/Tokyo"), due(32_400, "2020-06-14T15", "2026-11-30T15"));
    assert_eq!(ends("UTC"), due(0, "2020-06-15T00", "2026-12-01T00"));
    assert_eq!(ends("\"-05:00\""), due(-18_000, "2020-06-15T05", "2026-12-01T05"));
}

#[test]
fn how_revocation_is_known_is_said_once_and_in_one_way() {
    let with = |new: &str| edited("    revocation: { lists: [../certs/union-ca.crl] }", new);
    assert!(with("    revocation: { none: \"why there is none\" }").is_ok());
    for wrong in [
        "{ lists: 5, none: \"why\" }",
        "{ lists: [a.crl], none: [] }",
        "{ lists: 5 }",
        "{ none: [] }",
    ] {
        let told = faults(with(&format!("    revocation: {wrong}")));
        assert_eq!(told.matches("wrong_type").count(), 1, "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn what_rests_on_a_mistake_is_left_out_with_it() {
    let told = |revocation: &str| {
        let mut files = tokyo();
        files.pop();
        for file in &mut files {
            let text = std::str::from_utf8(&file.bytes).unwrap();
            let silent = "never_initiates: [online-eligibility, existing-system]";
            let text = text.replace("never_initiates: [online-eligibility]", silent);
            let text = text.replace("{ lists: [../certs/center-ca.crl] }", revocation);
            file.bytes = text.into_bytes().into();
        }
        faults(understand(&files, Some(&tokyo_box())))
    };
    assert!(told("{ lists: [a.crl] }").contains("`existing-system` could pass by rule `register`"));
    for wrong in ["{ lists: [a.crl], none: [] }", "{ lists: 5, none: why }"] {
        // Neither the trust nor the upstream, the system and the rules that rest on it.
        let told = told(wrong);
        assert_eq!((told.matches("wrong_type").count(), told.lines().count()), (1, 1), "{told}");
    }
}

#[test]
fn what_nobody_can_dial_is_no_endpoint() {
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        let new = format!("\"{address}:443\"");
        let told = faults(edited("\"10.200.1.10:443\"", &new));
        assert!(told.contains(&format!("`{address}:443`")), "{address}: {told}");
        assert!(told.contains("bad_address"), "{address}: {told}");
    }
}
