//! The self-test of a running service: what it finds, what it leaves in the ledger, and what it leaves alone.

use std::sync::Arc;
use std::time::Duration;

use sekisho::lab::{Folder, Line};
use sekisho::ledger::{self, Ledger, Settings};
use sekisho::proxy::{NotRehearsed, Rehearsal, Snapshot, clock};
use sekisho::service::{Fate, SelfTested, control};
use sekisho::source;
use sekisho::standin::Speak;

use crate::fixture::{COUNCIL, Checkpoint, RULES, SCENARIOS, SYSTEMS, get_ask};

const PASSED: [(&str, &str); 6] = [
    ("allowed_passage", "allow"),
    ("unknown_source", "unknown_source"),
    ("reverse_access_by_address", "reverse_access"),
    ("reverse_access_by_identity", "reverse_access"),
    ("revoked_certificate", "certificate_revoked"),
    ("foreign_endpoint", "outside_country"),
];

fn ask(checkpoint: &Checkpoint) -> control::Answer {
    checkpoint.run(checkpoint.gate().call("selftest")).unwrap()
}

fn tested(checkpoint: &Checkpoint) -> SelfTested {
    let answer = ask(checkpoint);
    answer.selftest.unwrap_or_else(|| panic!("{:?}", answer.message))
}

fn happened(tested: &SelfTested) -> Vec<(&str, &str, Fate)> {
    let probes = tested.probes.iter();
    probes.map(|it| (it.probe.as_str(), it.happened.as_str(), it.outcome)).collect()
}

fn due() -> Vec<(&'static str, &'static str, Fate)> {
    PASSED.iter().map(|(probe, happened)| (*probe, *happened, Fate::Passed)).collect()
}

fn is_flagged(line: &Line) -> bool {
    line.entry.get("selftest").is_some_and(|flag| flag == true)
}

/// Every probe as it is due but this one, which failed with what is named.
#[track_caller]
fn assert_one_fails(tested: &SelfTested, probe: &str, happened_instead: &str) {
    let due = due()
        .into_iter()
        .map(|row| if row.0 == probe { (row.0, happened_instead, Fate::Failed) } else { row });
    assert_eq!(happened(tested), due.collect::<Vec<_>>(), "{}", tested.text());
    assert!(!tested.is_passed());
}

#[test]
fn every_control_operates_and_each_probe_is_recorded_with_what_it_left() {
    let checkpoint = Checkpoint::new();
    let mark = checkpoint.head();
    let tested = tested(&checkpoint);
    assert_eq!(happened(&tested), due(), "{}", tested.text());
    checkpoint.run(checkpoint.entry(mark, "operation", None));
    let lines = checkpoint.record.since(mark).unwrap();
    for probed in &tested.probes {
        let of_probe = |line: &&Line| line.entry["facts"]["probe"] == probed.probe.as_str();
        let line = lines.iter().find(of_probe).unwrap();
        assert_eq!((line.kind.as_str(), is_flagged(line)), ("probe", true));
        assert_eq!(line.entry["facts"]["outcome"], "passed");
        assert_eq!(line.entry["facts"]["expected"], line.entry["facts"]["happened"]);
        let (first, last) = probed.entries.unwrap();
        assert!(mark < first && first <= last && last < line.seq);
        assert_eq!(line.entry["facts"]["first_entry"], first);
    }
    let unflagged: Vec<_> = lines.iter().filter(|line| !is_flagged(line)).collect();
    let kinds: Vec<_> = unflagged.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["operation"], "only the call itself is no part of the test");
    assert_eq!(unflagged[0].entry["facts"]["outcome"], "ok");
    let policy = &unflagged[0].entry["policy"];
    assert!(lines.iter().all(|line| line.entry["policy"] == *policy), "under the law in force");
}

#[test]
fn nothing_of_it_reaches_a_real_endpoint_or_the_numbers_of_real_traffic() {
    let checkpoint = Checkpoint::new();
    checkpoint.run(async {
        let mut open = checkpoint.open(Speak::H2).await;
        assert_eq!(open.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        drop(open);
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    checkpoint.wait_metric("sekisho_connections_open{rule=\"register\"}", "0");
    let of_traffic = |text: &str| {
        let families =
            ["connections", "denials", "requests", "transferred", "handshake", "upstream"];
        let is = |line: &&str| families.iter().any(|it| line.starts_with(&format!("sekisho_{it}")));
        text.lines().filter(is).map(str::to_owned).collect::<Vec<_>>()
    };
    let (before, seen) = (of_traffic(&checkpoint.metrics()), checkpoint.center.seen());
    assert!(tested(&checkpoint).is_passed());
    let after = checkpoint.center.seen();
    assert_eq!((after.requests, after.bytes), (seen.requests, seen.bytes));
    assert_eq!(after.peers, seen.peers, "not even a connection");
    assert_eq!(of_traffic(&checkpoint.metrics()), before);
    assert_eq!(checkpoint.metric("sekisho_selftest_runs_total{result=\"passed\"}"), "1");
    assert_eq!(
        checkpoint.metric("sekisho_selftest_probe_success{probe=\"foreign_endpoint\"}"),
        "1"
    );
    assert_ne!(checkpoint.metric("sekisho_selftest_last_success_timestamp_seconds"), "0");
}

/// Without scenarios, since those of the lab ask for what is taken away.
fn sabotaged(edit: impl FnOnce(&Folder)) -> SelfTested {
    let checkpoint = Checkpoint::with(|folder| {
        folder.write(SCENARIOS, "version: 1\n").unwrap();
        edit(folder);
    });
    let answer = ask(&checkpoint);
    assert_eq!(answer.outcome, control::Outcome::Failed, "{:?}", answer.message);
    assert_eq!(checkpoint.metric("sekisho_selftest_runs_total{result=\"failed\"}"), "1");
    assert_eq!(checkpoint.metric("sekisho_selftest_last_success_timestamp_seconds"), "0");
    let tested = answer.selftest.unwrap();
    for probed in tested.probes.iter().filter(|it| it.outcome == Fate::Failed) {
        let series = format!("sekisho_selftest_failures_total{{probe=\"{}\"}}", probed.probe);
        assert_eq!(checkpoint.metric(&series), "1");
    }
    tested
}

#[test]
fn a_law_without_residency_lets_the_probe_pass_and_that_is_a_failure() {
    let rail = "  residency:      { countries: [JP], round_trip: observe, clause: \"4(1)ア(ア)～(ウ)\" }\n";
    let tested = sabotaged(|folder| drop(folder.edit(COUNCIL, rail, "").unwrap()));
    assert_one_fails(&tested, "foreign_endpoint", "allow");
}

#[test]
fn a_law_that_lets_the_eligibility_system_initiate_fails_both_ways() {
    let rail =
        "  reverse_access: { never_initiates: [online-eligibility], clause: \"別添1(2)1\" }\n";
    let tested = sabotaged(|folder| {
        folder.edit(COUNCIL, rail, "").unwrap();
        folder
            .edit(RULES, "from: [existing-system]", "from: [existing-system, online-eligibility]")
            .unwrap();
    });
    let found = happened(&tested);
    assert_eq!(found[2], ("reverse_access_by_address", "allow", Fate::Failed), "{}", tested.text());
    assert_eq!(found[3].2, Fate::Failed);
    assert_eq!(found[5].2, Fate::Passed);
}

#[test]
fn a_source_that_everybody_is_part_of_is_no_longer_unknown() {
    let tested = sabotaged(|folder| {
        let everybody =
            ".13.0/26, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, \"2001:db8::/32\"]";
        folder.edit(SYSTEMS, ".13.0/26]", everybody).unwrap();
    });
    let row = happened(&tested)[1];
    assert_eq!(row, ("unknown_source", "-", Fate::Failed), "{}", tested.text());
}

#[test]
fn an_approval_that_has_ended_fails_the_passage_that_has_to_be_allowed() {
    let tested = sabotaged(|folder| {
        let ended = "since: 2020-06-15, until: 2021-01-01 }";
        folder.edit(COUNCIL, "since: 2020-06-15 }", ended).unwrap();
    });
    let row = happened(&tested)[0];
    assert_eq!(row, ("allowed_passage", "after_approval", Fate::Failed), "{}", tested.text());
}

#[test]
fn where_the_law_keeps_no_list_the_probe_says_so_and_does_not_claim_to_have_operated() {
    let checkpoint = Checkpoint::with(|folder| {
        let kept = "union-ca.pem,  revocation: { lists: [../certs/union-ca.crl] }";
        let not = "union-ca.pem,  revocation: { none: \"the terminals are few\" }";
        folder.edit(SYSTEMS, kept, not).unwrap();
    });
    let tested = tested(&checkpoint);
    assert!(tested.is_passed());
    let revoked = &tested.probes[4];
    assert_eq!((revoked.outcome, revoked.happened.as_str()), (Fate::NotInLaw, "-"));
    assert_eq!(
        revoked.detail.as_deref(),
        Some("trust `union-ca` keeps no revocation list: the terminals are few")
    );
}

#[test]
fn two_at_a_time_are_one_and_a_refusal_and_live_traffic_goes_on() {
    let checkpoint = Checkpoint::new();
    checkpoint.run(async {
        let mut open = checkpoint.open(Speak::Http11).await;
        let both = async {
            tokio::join!(checkpoint.gate().call("selftest"), checkpoint.gate().call("selftest"))
        };
        let traffic = async {
            for _ in 0..50 {
                assert_eq!(open.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ((first, second), ()) = tokio::join!(both, traffic);
        let answers = [first.unwrap(), second.unwrap()];
        let done = answers.iter().filter(|answer| answer.selftest.is_some()).count();
        let busy = Some("another self-test is running");
        let refused = answers.iter().filter(|answer| answer.message.as_deref() == busy).count();
        assert_eq!(done + refused, 2);
        assert!(done >= 1);
    });
}

#[test]
fn a_service_that_drains_tests_nothing_any_more() {
    let checkpoint = Checkpoint::new();
    checkpoint.run(async {
        // A live connection keeps the drain going.
        let mut open = checkpoint.open(Speak::Http11).await;
        let slow = open.ask(get_ask("/exchange/slow?head=1500"));
        let drained = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            checkpoint.gate().drain();
            tokio::time::sleep(Duration::from_millis(300)).await;
            checkpoint.gate().call("selftest").await.unwrap()
        };
        let (_answered, answer) = tokio::join!(slow, drained);
        assert_eq!(answer.outcome, control::Outcome::Error);
        let draining = "the service is draining and tests nothing any more";
        assert_eq!(answer.message.as_deref(), Some(draining));
    });
}

#[test]
fn a_law_that_names_a_real_endpoint_is_never_rehearsed() {
    let checkpoint = Checkpoint::new();
    let loaded = source::load(&checkpoint.folder.box_file()).unwrap();
    let snapshot = Arc::new(Snapshot::build(&loaded).unwrap());
    let elsewhere = Folder::temporary().unwrap();
    let mut appliance = loaded.appliance.clone();
    appliance.ledger.directory = elsewhere.path().join("ledger");
    appliance.state = elsewhere.path().join("state");
    let ledger = Ledger::open(Settings::new(&appliance, clock::now())).unwrap();
    let noted = ledger::Rehearsal::default();
    let started = Rehearsal::start(snapshot, loaded.law.engine, (&ledger, &noted));
    let Err(NotRehearsed::Real(address)) = started else { panic!("it began: {started:?}") };
    assert!(address.ip().is_loopback(), "on this machine, and yet an endpoint of the law");
    assert_eq!(noted.count(), 0);
}
