//! `sekisho capture` from outside: captures made by hand, the shipped law and box, exit codes, lines.

mod wire;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

use wire::{Recording, client_hello};

const CLIENT: &str = "10.13.10.5:40000";
const LISTENER: &str = "10.13.0.1:8443";
const LINE: &str = "10.200.0.2:50000";
const TOKYO: &str = "10.200.1.10:443";
const CHUKAN: &str = "chukan.center.example";

/// 2026-11-22T02:14:07+09:00.
const SECOND: u64 = 1_795_281_247;

/// The shipped box and law in a folder of their own.
struct Desk {
    folder: tempfile::TempDir,
}

/// What a run came to.
struct Run {
    code: i32,
    out: String,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        fs::create_dir(folder.path().join("tokyo")).unwrap();
        for file in fs::read_dir(shipped.join("tokyo")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join("tokyo").join(file.file_name())).unwrap();
        }
        fs::copy(shipped.join("tokyo.appliance.yaml"), folder.path().join("box.yaml")).unwrap();
        Self { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let run = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .current_dir(self.folder.path())
            .arg("capture")
            .args(arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8(run.stderr).unwrap();
        assert!(!errors.contains("panicked"), "{errors}");
        Run {
            code: run.status.code().unwrap(),
            out: String::from_utf8(run.stdout).unwrap() + &errors,
        }
    }

    fn boxed(&self, arguments: &[&str]) -> Run {
        self.run(&[&["-c", "box.yaml"], arguments].concat())
    }
}

impl Run {
    fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines of one kind.
    fn kind(&self, kind: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["kind"] == kind).collect()
    }
}

/// A passage: the client's leg and the box's own.
fn passage(recording: &mut Recording) {
    let hello = client_hello(CHUKAN, &[0x0304]);
    let (first, second) = hello.split_at(40);
    recording.conversation(
        CLIENT,
        LISTENER,
        &[first, second, &[23, 3, 3, 0, 1, 0]],
        &[23, 3, 3, 0, 1, 0],
    );
    recording.conversation(LINE, TOKYO, &[&hello], &[23, 3, 3, 0, 1, 0]);
}

#[test]
fn what_the_law_permits_is_clean() {
    let desk = Desk::new();
    let mut good = Recording::new(SECOND);
    good.arp();
    passage(&mut good);
    good.save(&desk.at("good.pcap"));
    let run = desk.boxed(&["good.pcap"]);
    assert_eq!(run.code, 0, "{}", run.out);
    let last = run.out.lines().last().unwrap();
    assert!(
        last.starts_with(
            "clean: 2 connections judged: 0 allowed, 2 not yet, 0 outside the law; policy "
        ),
        "{}",
        run.out
    );
    assert!(run.out.contains("1 outside the law (arp 1), 0 unjudged"), "{}", run.out);
}

#[test]
fn each_violation_is_told_with_its_time_packet_file_reason_and_clause() {
    let desk = Desk::new();
    let mut bad = Recording::new(SECOND);
    passage(&mut bad);
    bad.conversation("10.210.0.9:1000", "10.13.10.20:443", &[b"x"], &[]);
    bad.refused("192.0.2.7:1000", LISTENER);
    bad.conversation(
        "10.13.10.5:1001",
        LISTENER,
        &[b"POST /exchange/a HTTP/1.1\r\nHost: chukan.center.example\r\n\r\n"],
        &[],
    );
    bad.conversation("10.13.10.5:1002", LISTENER, &[&client_hello(CHUKAN, &[0x0303])], &[]);
    bad.conversation(LINE, "203.0.113.9:443", &[&client_hello(CHUKAN, &[0x0304])], &[]);
    bad.udp("10.13.10.5:1003", "10.200.1.10:53", b"x");
    bad.save(&desk.at("bad.pcap"));
    let run = desk.boxed(&["--format", "json", "bad.pcap"]);
    assert_eq!(run.code, 1, "{}", run.out);
    let mut found: Vec<_> = run
        .kind("violation")
        .iter()
        .map(|it| {
            (
                it["packet"].as_u64().unwrap(),
                it["reason"].as_str().unwrap().to_owned(),
                it["clause"].as_str().unwrap_or("-").to_owned(),
            )
        })
        .collect();
    found.sort();
    let due = [
        (19, "reverse_access", "別添1(2)1"),
        (26, "unknown_source", "-"),
        (31, "protocol", "4(1)イ"),
        (38, "tls_version", "4(1)イ"),
        (42, "country_unknown", "4(1)ア(ア)～(ウ)"),
        (49, "protocol", "-"),
    ];
    assert_eq!(
        found,
        due.map(|(packet, reason, clause)| (packet, reason.to_owned(), clause.to_owned()))
    );
    let reverse =
        &run.kind("violation").into_iter().find(|it| it["reason"] == "reverse_access").unwrap();
    assert_eq!(
        (&reverse["file"], &reverse["at"]),
        (&"bad.pcap".into(), &"2026-11-21T17:14:07.018000Z".into())
    );
    assert_eq!(
        (&reverse["initiator"], &reverse["responder"]),
        (&"10.210.0.9:1000".into(), &"10.13.10.20:443".into())
    );
    let coverage = &run.kind("coverage")[0];
    assert_eq!(
        (&coverage["violations"], &coverage["complete"], &coverage["clean"]),
        (&6.into(), &true.into(), &false.into())
    );
}

#[test]
fn a_flow_line_has_both_directions_in_bytes_and_the_server_name_across_segments() {
    let desk = Desk::new();
    let mut good = Recording::new(SECOND);
    passage(&mut good);
    good.save(&desk.at("good.pcap"));
    let run = desk.boxed(&["--format", "json", "good.pcap"]);
    let flows = run.kind("flow");
    let client = flows.iter().find(|flow| flow["initiator"] == CLIENT).unwrap();
    let hello = client_hello(CHUKAN, &[0x0304]).len() as u64;
    assert_eq!(client["server_name"], CHUKAN);
    assert_eq!(
        (&client["bytes_to_responder"], &client["bytes_to_initiator"]),
        (&(hello + 6).into(), &6.into())
    );
    assert_eq!(
        (&client["verdict"], &client["inferred"], &client["leg"]),
        (&"not_yet".into(), &false.into(), &"inbound".into())
    );
    assert_eq!(client["layers"], "eth/ipv4");
}

#[test]
fn what_was_not_read_to_its_end_is_incomplete_and_a_violation_beats_that() {
    let desk = Desk::new();
    let mut recording = Recording::new(SECOND);
    passage(&mut recording);
    recording.save_without(3, &desk.at("cut.pcap"));
    let run = desk.boxed(&["cut.pcap"]);
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(run.out.lines().last().unwrap().starts_with("incomplete: "), "{}", run.out);
    recording.refused("10.210.0.9:1000", LISTENER);
    recording.refused("10.210.0.9:1000", LISTENER);
    recording.save_without(3, &desk.at("worse.pcap"));
    let run = desk.boxed(&["--format", "json", "worse.pcap"]);
    assert_eq!(run.code, 1, "{}", run.out);
    let coverage = &run.kind("coverage")[0];
    assert_eq!((&coverage["complete"], &coverage["violations"]), (&false.into(), &2.into()));
}

#[test]
fn what_cannot_be_run_says_why_and_is_two() {
    let desk = Desk::new();
    for arguments in [
        &["-c", "box.yaml", "nowhere.pcap"][..],
        &["-c", "nowhere.yaml", "nowhere.pcap"],
        &["-p", "nowhere", "nowhere.pcap"],
        &["-c", "box.yaml", "--ledger", "nowhere", "box.yaml"],
        &["-c", "box.yaml"],
        &["-c", "box.yaml", "--appliance", "10.0.0.1", "box.yaml"],
    ] {
        let run = desk.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.out);
        assert!(!run.out.is_empty());
    }
}

#[test]
fn a_law_alone_needs_to_be_told_the_appliances_addresses() {
    let desk = Desk::new();
    let mut good = Recording::new(SECOND);
    passage(&mut good);
    good.save(&desk.at("good.pcap"));
    let run = desk.run(&[
        "-p",
        "tokyo",
        "--appliance",
        "10.13.0.1",
        "--appliance",
        "10.200.0.2",
        "good.pcap",
    ]);
    assert_eq!(run.code, 0, "{}", run.out);
    let run = desk.run(&["-p", "tokyo", "good.pcap"]);
    assert_eq!(run.code, 1, "{}", run.out);
    assert!(run.out.contains("no `--appliance` is named"), "{}", run.out);
}

#[test]
fn the_ledger_is_compared_and_what_went_by_it_is_named() {
    let desk = Desk::new();
    let mut recording = Recording::new(SECOND);
    recording.wait(10);
    let passed = recording.now();
    passage(&mut recording);
    recording.wait(10);
    recording.conversation(
        "10.13.10.5:41000",
        TOKYO,
        &[&client_hello(CHUKAN, &[0x0304])],
        &[23, 3, 3, 0, 1, 0],
    );
    recording.wait(20);
    recording.udp("0.0.0.0:68", "255.255.255.255:67", b"x");
    recording.save(&desk.at("edge.pcap"));
    fs::create_dir(desk.at("ledger")).unwrap();
    let mut ledger = String::new();
    let entries = [
        (
            "opened",
            format!(r#"{{"source":"{CLIENT}","to_address":"{LISTENER}","listener":"union-lan"}}"#),
        ),
        (
            "dialled",
            format!(r#"{{"system":"intermediate-server","endpoint":"{TOKYO}","local":"{LINE}"}}"#),
        ),
    ];
    for (seq, (kind, facts)) in entries.iter().enumerate() {
        let micros = passed % 1_000_000;
        writeln!(ledger, r#"{{"seq":{seq},"boot":1,"at":"2026-11-21T17:14:17.{micros:06}Z","kind":"{kind}","facts":{facts}}}"#).unwrap();
    }
    fs::write(desk.at("ledger/000000000000.jsonl"), &ledger).unwrap();
    let run = desk.boxed(&["--ledger", "ledger", "--format", "json", "edge.pcap"]);
    assert_eq!(run.code, 1, "{}", run.out);
    let bypasses = run.kind("violation");
    assert_eq!(bypasses.len(), 1, "{}", run.out);
    assert_eq!(
        (&bypasses[0]["violation"], &bypasses[0]["initiator"]),
        (&"bypass".into(), &"10.13.10.5:41000".into())
    );
    let compared = &run.kind("coverage")[0]["ledger"];
    assert_eq!(
        (&compared["matched"], &compared["recorded"], &compared["unseen"]),
        (&2.into(), &2.into(), &0.into())
    );
    let run = desk.boxed(&["--ledger", "ledger", "edge.pcap"]);
    assert!(run.out.contains("on the wire without an entry (bypass): 1"), "{}", run.out);
    assert!(run.out.contains("1 connection between systems goes by the appliance"), "{}", run.out);
}

#[test]
fn rules_are_proposed_and_the_proposal_is_law() {
    let desk = Desk::new();
    let rules = fs::read_to_string(desk.at("tokyo/20-rules.yaml")).unwrap();
    let (register, rest) = rules.split_once("  inquire:").unwrap();
    let (_, after) = rest.split_once("\n# Degraded").unwrap();
    fs::write(
        desk.at("tokyo/20-rules.yaml"),
        format!("{register}\n# {after}").replace(", inquire]", "]"),
    )
    .unwrap();
    let scenarios = fs::read_to_string(desk.at("tokyo/30-scenarios.yaml")).unwrap();
    let kept: Vec<&str> = scenarios
        .split("  - title: ")
        .filter(|it| !it.contains("a terminal inquires") && !it.contains("terminal's"))
        .collect();
    fs::write(desk.at("tokyo/30-scenarios.yaml"), kept.join("  - title: ")).unwrap();
    let mut recording = Recording::new(SECOND);
    recording.conversation("10.13.20.3:40000", LISTENER, &[&client_hello(CHUKAN, &[0x0304])], &[]);
    recording.refused("10.210.0.9:1000", LISTENER);
    recording.save(&desk.at("wanted.pcap"));
    let run = desk.boxed(&["--learn", "wanted.pcap"]);
    assert_eq!(run.code, 1, "{}", run.out);
    assert!(run.out.contains("# Not proposed: 1 connections, `reverse_access`"), "{}", run.out);
    fs::write(desk.at("tokyo/90-proposal.yaml"), &run.out).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .arg("check")
        .arg("-p")
        .arg(desk.at("tokyo"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{}\n{}", run.out, String::from_utf8_lossy(&check.stdout));
    fs::remove_file(desk.at("tokyo/90-proposal.yaml")).unwrap();
    fs::write(desk.at("tokyo/90-proposal.yaml"), &run.out).unwrap();
    let run = desk.boxed(&["--format", "json", "wanted.pcap"]);
    let reasons: Vec<_> = run.kind("violation").iter().map(|it| it["reason"].clone()).collect();
    assert_eq!(
        reasons,
        ["reverse_access"],
        "the proposal covers what was wanted, and nothing else"
    );
}

#[test]
fn the_metrics_of_a_run_are_written_for_the_collector() {
    let desk = Desk::new();
    let mut good = Recording::new(SECOND);
    passage(&mut good);
    good.save(&desk.at("good.pcap"));
    let run = desk.boxed(&["--textfile", "sekisho.prom", "good.pcap"]);
    assert_eq!(run.code, 0, "{}", run.out);
    let text = fs::read_to_string(desk.at("sekisho.prom")).unwrap();
    assert!(text.contains("sekisho_capture_state{is=\"clean\"} 1\n"), "{text}");
    assert!(text.contains("sekisho_capture_violations{reason=\"reverse_access\"} 0\n"), "{text}");
    let run = desk.boxed(&["--textfile", "nowhere/sekisho.prom", "good.pcap"]);
    assert_eq!(run.code, 2, "{}", run.out);
}

#[test]
fn a_captures_texts_reach_no_terminal_as_commands() {
    let desk = Desk::new();
    let mut odd = Recording::new(SECOND);
    odd.conversation(
        CLIENT,
        LISTENER,
        &[&client_hello("a\u{1b}[2Jb\r\nc.example", &[0x0304])],
        &[],
    );
    odd.conversation(
        "10.13.10.5:40001",
        LISTENER,
        &[&client_hello("id-123456789018.example", &[0x0304])],
        &[],
    );
    odd.save(&desk.at("odd\u{1b}[2J.pcap"));
    for extra in [&["--flows"][..], &["--format", "json"], &[]] {
        let run = desk.boxed(&[extra, &["odd\u{1b}[2J.pcap"]].concat());
        assert_eq!(run.code, 1, "{}", run.out);
        assert!(run.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", run.out);
        assert!(!run.out.contains("123456789018"), "{}", run.out);
    }
}
