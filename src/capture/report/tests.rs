//! What people and programs are shown of a capture, from connections to the last line.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use super::{Outcome, Shown, Survey, write_textfile};
use crate::appliance;
use crate::capture::fixture::{tcp, tls};
use crate::capture::judge::{Judge, Own};
use crate::capture::reconcile::{Reconciled, Witness};
use crate::capture::{
    Application, Connection, Coverage, FileCoverage, FileFault, Protocol, Reason, Sink,
};
use crate::flow::TlsVersion;
use crate::policy::imagined::{law, moment};
use crate::yaml::SourceFile;

const CHUKAN: &str = "chukan.center.example";

fn judge() -> Judge {
    let text = include_str!("../../../policies/tokyo.appliance.yaml");
    let file = SourceFile { name: Arc::from("box.yaml"), bytes: text.as_bytes().into() };
    let own = Own::of_box(&appliance::understand(&file).expect("the shipped box is sound"));
    let mut law = law();
    for (name, title) in [
        ("existing-system", "既存システム"),
        ("online-eligibility", "オンライン資格確認等システム"),
    ] {
        law.systems.get_mut(name).expect("it is there").title = Some(title.to_owned());
    }
    Judge::new(&law, own, BTreeMap::new())
}

/// Good and forbidden traffic of one edge.
fn traffic() -> Vec<Connection> {
    let good = tls("10.13.10.5:40000", "10.13.0.1:8443", CHUKAN, TlsVersion::Tls13);
    let reverse = |port| Connection {
        first_packet: port,
        ..tcp(&format!("10.210.0.9:{port}"), "10.13.0.1:8443")
    };
    let odd =
        tls("10.13.10.5:40001", "10.13.0.1:8443", "1234-5678-9018.example", TlsVersion::Tls13);
    vec![
        good,
        Connection {
            application: Application::Http,
            ..tls("10.13.10.5:40002", "10.13.0.1:8443", CHUKAN, TlsVersion::Tls13)
        },
        reverse(2001),
        Connection { inferred: true, ..reverse(2002) },
        odd,
        tls("10.200.0.2:50000", "10.200.1.10:443", CHUKAN, TlsVersion::Tls13),
        tls("10.13.10.5:40000", "10.200.1.10:443", CHUKAN, TlsVersion::Tls13),
        Connection { protocol: Protocol::Udp, ..tcp("0.0.0.0:68", "255.255.255.255:67") },
    ]
}

fn whole() -> FileCoverage {
    FileCoverage {
        file: Arc::from("captures/edge.pcap"),
        packets: 100,
        judged: 96,
        shortened: 0,
        outside: BTreeMap::from([("arp", 4)]),
        unjudged: BTreeMap::new(),
        drops: Some(0),
        clock_steps: 0,
        tail_bytes: 0,
        fault: None,
        first: Some(moment("2026-11-22T02:14:07+09:00")),
        last: Some(moment("2026-11-22T02:14:08+09:00")),
    }
}

fn surveyed(connections: Vec<Connection>, shown: Shown, file: FileCoverage) -> (Outcome, String) {
    let judge = judge();
    let (mut out, mut progress) = (Vec::new(), |_, _| ());
    let mut survey = Survey::new(&judge, shown, &mut out, &mut progress);
    for connection in connections {
        survey.connection(connection);
    }
    let tally = survey.tally;
    let coverage = Coverage { files: vec![file], ..Coverage::default() };
    let outcome =
        Outcome { coverage, tally, reconciled: None, policy: Some("4f1c9a02".to_owned()) };
    (outcome, String::from_utf8(out).unwrap())
}

fn text(outcome: &Outcome) -> String {
    outcome.text(judge().engine().model(), false)
}

#[test]
fn people_are_shown_groups_the_worst_first_and_one_last_line() {
    let (outcome, shown) = surveyed(traffic(), Shown::Nothing, whole());
    assert_eq!(shown, "");
    insta::assert_snapshot!(text(&outcome));
}

#[test]
fn each_connection_is_a_line_where_that_is_asked_for() {
    let (_, shown) = surveyed(traffic(), Shown::Text, whole());
    insta::assert_snapshot!(shown);
}

#[test]
fn programs_are_shown_each_flow_with_the_fields_of_the_contract_in_their_order() {
    let (outcome, shown) = surveyed(traffic(), Shown::Json, whole());
    let first = shown.lines().next().unwrap();
    let begins = concat!(
        r#"{"kind":"flow","file":"edge.pcap","protocol":"tcp","initiator":"10.13.10.5:40000","responder":"10.13.0.1:8443","#,
        r#""inferred":false,"layers":"eth/ipv4","server_name":"chukan.center.example","bytes_to_responder":1000,"#,
        r#""bytes_to_initiator":2000,"first_packet":17,"at":"2026-11-21T17:14:07.000000Z","verdict":"not_yet","#,
        r#""reason":null,"rule":null,"#,
    );
    assert!(first.starts_with(begins), "{first}");
    let lines: Vec<serde_json::Value> = shown
        .lines()
        .chain([outcome.json().as_str()])
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((kinds("flow"), kinds("violation"), kinds("coverage")), (8, 4, 1));
    assert!(lines.iter().all(|line| line["format"] == "sekisho.capture/1"));
    let reverse = lines
        .iter()
        .find(|line| line["kind"] == "violation" && line["reason"] == "reverse_access")
        .unwrap();
    assert_eq!(
        (&reverse["guardrail"], &reverse["clause"]),
        (&"reverse_access".into(), &"4(1)イ".into())
    );
    assert_eq!((&reverse["packet"], &reverse["file"]), (&2001.into(), &"edge.pcap".into()));
    assert_eq!(reverse["from"], "online-eligibility");
}

#[test]
fn the_last_json_line_says_violations_and_completeness_both() {
    let damaged = FileCoverage { fault: Some(FileFault::Truncated), tail_bytes: 7, ..whole() };
    let (outcome, _) = surveyed(traffic(), Shown::Nothing, damaged);
    let line: serde_json::Value = serde_json::from_str(&outcome.json()).unwrap();
    assert_eq!(
        (&line["clean"], &line["complete"], &line["violations"]),
        (&false.into(), &false.into(), &4.into())
    );
    assert_eq!(line["reasons"]["reverse_access"], 2);
    assert_eq!(line["verdicts"]["not_yet"], 3);
    assert_eq!(line["files"][0]["fault"], "truncated");
}

#[test]
fn what_could_not_be_judged_is_never_clean() {
    let last = |file| {
        let (outcome, _) = surveyed(vec![traffic().remove(0)], Shown::Nothing, file);
        let text = text(&outcome);
        let word = text.lines().last().unwrap().split([' ', ':']).next().unwrap().to_owned();
        (word, outcome.is_clean())
    };
    assert_eq!(last(whole()), ("clean".to_owned(), true));
    let one = |reason| FileCoverage { unjudged: BTreeMap::from([(reason, 1)]), ..whole() };
    for flawed in [
        one(Reason::BadLength),
        one(Reason::Snaplen),
        one(Reason::UnknownLink),
        one(Reason::Bound),
        FileCoverage { drops: Some(1), ..whole() },
        FileCoverage { tail_bytes: 1, ..whole() },
        FileCoverage { shortened: 1, ..whole() },
        FileCoverage { fault: Some(FileFault::Empty), ..whole() },
    ] {
        assert_eq!(last(flawed), ("incomplete".to_owned(), false));
    }
}

#[test]
fn an_individual_number_in_a_server_name_is_shown_nowhere() {
    for shown in [Shown::Text, Shown::Json] {
        let (outcome, mut lines) = surveyed(traffic(), shown, whole());
        lines.push_str(&text(&outcome));
        lines.push_str(&outcome.json());
        assert!(!lines.contains("5678"), "{lines}");
        assert!(lines.contains("****-****-****.example"));
    }
}

#[test]
fn a_million_strangers_are_a_bounded_number_of_groups_and_all_are_counted() {
    let judge = judge();
    let (mut out, mut progress) = (Vec::new(), |_, _| ());
    let mut survey = Survey::new(&judge, Shown::Nothing, &mut out, &mut progress);
    for number in 0..10_000_u32 {
        let source = std::net::Ipv4Addr::from(0xc000_0200 + number * 256);
        survey.connection(tcp(&format!("{source}:9"), "10.13.0.1:8443"));
    }
    let tally = survey.tally;
    let outcome = Outcome { coverage: Coverage::default(), tally, reconciled: None, policy: None };
    let sorted = outcome.tally.groups.sorted();
    assert!(sorted.len() <= 4097, "{}", sorted.len());
    assert_eq!(sorted.iter().map(|(_, group)| group.connections).sum::<u64>(), 10_000);
    let table = text(&outcome);
    assert!(table.lines().count() < 50, "{table}");
    assert!(table.contains("(various)"), "{table}");
}

#[test]
fn what_went_by_the_ledger_is_a_violation_and_what_the_capture_missed_is_incomplete() {
    let (mut outcome, _) = surveyed(vec![traffic().remove(0)], Shown::Nothing, whole());
    outcome.reconciled = Some(Reconciled { recorded: 3, ..Reconciled::default() });
    assert!(outcome.is_clean());
    outcome.reconciled = Some(Reconciled { unseen: 1, ..Reconciled::default() });
    assert_eq!((outcome.violations(), outcome.is_complete()), (0, false));
    assert!(text(&outcome).contains("entries without packets: 1"));
    outcome.reconciled = Some(Reconciled { bypassed: 1, ..Reconciled::default() });
    assert_eq!((outcome.violations(), outcome.is_complete()), (1, true));
    assert!(
        text(&outcome).lines().last().unwrap().starts_with("1 violation; "),
        "{}",
        text(&outcome)
    );
}

#[test]
fn the_survey_gives_the_witness_what_the_ledger_is_due() {
    let judge = judge();
    let (mut out, mut progress) = (Vec::new(), |_, _| ());
    let mut survey = Survey::new(&judge, Shown::Nothing, &mut out, &mut progress);
    survey.witness = Some(Witness::default());
    for connection in traffic() {
        survey.connection(connection);
    }
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"seq":0,"boot":1,"at":"2026-11-21T17:14:07.500000Z","kind":"opened","facts":{"source":"10.13.10.5:40000","to_address":"10.13.0.1:8443"}}"#;
    fs::write(folder.path().join("000000000000.jsonl"), format!("{line}\n")).unwrap();
    let found = survey.witness.take().unwrap().compare(folder.path()).unwrap();
    // The clear one, the odd one, the box's own leg, and the one that went by the box. Attempts that said nothing are none.
    assert_eq!((found.recorded, found.bypassed), (1, 4));
}

#[test]
fn the_textfile_is_whole_and_has_every_reason_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sekisho.prom");
    let (outcome, _) = surveyed(traffic(), Shown::Nothing, whole());
    write_textfile(&outcome, moment("2026-11-22T03:00:00Z"), &path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for line in [
        r#"sekisho_capture_violations{reason="reverse_access"} 2"#,
        r#"sekisho_capture_violations{reason="outside_country"} 0"#,
        r#"sekisho_capture_connections{verdict="not_yet"} 3"#,
        r#"sekisho_capture_packets{outcome="judged"} 96"#,
        r#"sekisho_capture_state{is="clean"} 0"#,
        r#"sekisho_capture_state{is="complete"} 1"#,
        "sekisho_capture_last_run_timestamp_seconds 1795316400",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    let nowhere = folder.path().join("none/sekisho.prom");
    assert!(write_textfile(&outcome, moment("2026-11-22T03:00:00Z"), &nowhere).is_err());
}
