//! A ledger of a few lines against connections: found, gone by, or missing, with times.

use std::fmt::Write as _;
use std::fs;

use super::{Due, Reconciled, Witness};
use crate::capture::Connection;
use crate::capture::fixture::{BEGAN, after, tcp};
use crate::capture::judge::Leg;
use crate::flow::Timestamp;
use crate::policy::imagined::moment;

const CLIENT: &str = "10.13.10.5:40000";
const LISTENER: &str = "10.13.0.1:8443";
const LINE: &str = "10.200.0.2:50000";
const TOKYO: &str = "10.200.1.10:443";

/// A connection that lasted from this second of the test on, for 5 seconds.
fn at(second: u64, from: &str, to: &str) -> Connection {
    let at = second_of(second);
    Connection { at, ended: after(at, 5), ..tcp(from, to) }
}

fn second_of(second: u64) -> Timestamp {
    after(moment(BEGAN), second)
}

/// A capture of a minute, in which these went by.
fn witness(connections: &[(Leg, Due, Connection)]) -> Witness {
    let mut witness = Witness::default();
    for second in [0, 60] {
        let other = at(second, "192.0.2.1:1", "192.0.2.2:2");
        witness.take(&other, Leg::Beside, Due::Nothing);
    }
    for (leg, due, connection) in connections {
        witness.take(connection, *leg, *due);
    }
    witness
}

fn opened(second: u64, from: &str) -> (u64, &'static str, String) {
    (second, "opened", format!(r#"{{"source":"{from}","to_address":"{LISTENER}"}}"#))
}

fn dialled(second: u64, local: &str) -> (u64, &'static str, String) {
    (second, "dialled", format!(r#"{{"endpoint":"{TOKYO}","local":"{local}"}}"#))
}

fn compare(witness: Witness, entries: &[(u64, &'static str, String)]) -> Reconciled {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for (number, (second, kind, facts)) in entries.iter().enumerate() {
        let at = second_of(*second);
        let head = format!(r#""seq":{number},"boot":3,"at":"{at}","kind":"{kind}""#);
        writeln!(text, r#"{{{head},"connection":1,"stage":"dial","facts":{facts}}}"#).unwrap();
    }
    fs::write(folder.path().join("000000000000.jsonl"), text).unwrap();
    witness.compare(folder.path()).unwrap()
}

#[test]
fn both_legs_of_a_passage_are_found_by_their_ends() {
    let seen = witness(&[
        (Leg::Inbound, Due::Entry, at(10, CLIENT, LISTENER)),
        (Leg::Outbound, Due::Entry, at(11, LINE, TOKYO)),
    ]);
    let found = compare(seen, &[opened(11, CLIENT), dialled(11, LINE)]);
    assert_eq!((found.recorded, found.matched, found.entries), (2, 2, 2));
    assert_eq!((found.bypassed, found.unseen, found.elsewhere), (0, 0, 0));
    assert!(found.is_complete());
}

#[test]
fn a_connection_without_an_entry_is_a_bypass_also_beside_the_box() {
    let seen = witness(&[
        (Leg::Beside, Due::Entry, at(20, CLIENT, TOKYO)),
        (Leg::Inbound, Due::Entry, at(10, CLIENT, LISTENER)),
        (Leg::Outbound, Due::Entry, at(11, "10.200.0.2:50001", TOKYO)),
        (Leg::Inbound, Due::Nothing, at(30, "10.13.10.6:1", LISTENER)),
    ]);
    let found = compare(seen, &[opened(11, CLIENT), dialled(11, "10.200.0.2:50002")]);
    assert_eq!((found.recorded, found.bypassed), (1, 2));
    let legs: Vec<Leg> = found.bypasses.iter().map(|it| it.leg).collect();
    assert_eq!(legs, [Leg::Outbound, Leg::Beside]);
    assert_eq!(found.bypasses[1].at, second_of(20));
    assert_eq!(
        (found.unseen, found.missing[0].initiator),
        (1, "10.200.0.2:50002".parse().unwrap())
    );
}

#[test]
fn the_same_ends_at_another_time_are_another_connection() {
    let seen = witness(&[(Leg::Inbound, Due::Entry, at(10, CLIENT, LISTENER))]);
    let found = compare(seen, &[opened(40, CLIENT)]);
    assert_eq!((found.bypassed, found.unseen), (1, 1));
    assert_eq!(
        (found.missing[0].boot, found.missing[0].seq, found.missing[0].at),
        (3, 0, second_of(40))
    );
    let early = Connection { inferred: true, ..at(10, CLIENT, LISTENER) };
    let found = compare(witness(&[(Leg::Inbound, Due::Entry, early)]), &[opened(1, CLIENT)]);
    assert_eq!((found.bypassed, found.recorded), (0, 1), "it was open before the capture began");
}

#[test]
fn an_entry_is_missed_only_where_its_leg_is_seen_and_inside_the_capture() {
    let seen = || witness(&[(Leg::Inbound, Due::Entry, at(10, CLIENT, LISTENER))]);
    let found = compare(seen(), &[opened(11, CLIENT), dialled(11, LINE)]);
    assert_eq!((found.unseen, found.elsewhere), (0, 1), "the capture is on the union's side");
    let found = compare(seen(), &[opened(11, CLIENT), opened(500, "10.13.10.9:1")]);
    assert_eq!((found.unseen, found.elsewhere, found.entries), (0, 0, 1), "after the capture");
}

#[test]
fn a_dial_that_never_left_the_box_is_missed_by_nobody() {
    let seen = || witness(&[(Leg::Outbound, Due::Entry, at(30, LINE, TOKYO))]);
    let failed = |endpoint| (11, "failed", format!(r#"{{"endpoint":"{endpoint}"}}"#));
    let after = |failed| {
        let found = compare(seen(), &[dialled(10, "10.200.0.2:50001"), failed, dialled(31, LINE)]);
        assert_eq!(found.missing.len() as u64, found.unseen);
        (found.unseen, found.entries, found.matched)
    };
    assert_eq!(after(failed(TOKYO)), (0, 1, 1));
    assert_eq!(after(failed("10.201.1.10:443")), (1, 2, 1), "another dial's failure");
}

#[test]
fn a_counted_summary_speaks_for_refusals_and_for_nobody_else() {
    let summary = |source: &str| {
        let since = second_of(5);
        (50, "summary", format!(r#"{{"source":"{source}","count":80,"since":"{since}"}}"#))
    };
    let seen = |due| witness(&[(Leg::Inbound, due, at(10, "192.0.2.7:9", LISTENER))]);
    let bypassed = |due, source| compare(seen(due), &[summary(source)]).bypassed;
    assert_eq!(bypassed(Due::Refusal, "192.0.2.7"), 0);
    assert_eq!(bypassed(Due::Refusal, "192.0.2.8"), 1);
    assert_eq!(bypassed(Due::Entry, "192.0.2.7"), 1, "what is allowed has an entry of its own");
}

#[test]
fn a_ledger_with_gaps_or_damage_leaves_the_comparison_open() {
    let gap = (10, "gap", r#"{"cause":"unwritable"}"#.to_owned());
    let found = compare(witness(&[]), &[gap]);
    assert_eq!((found.gaps, found.is_complete()), (1, false));
    let torn = (10, "opened", r#"{"source":"#.to_owned());
    let found = compare(witness(&[]), &[torn]);
    assert_eq!((found.damaged, found.is_complete()), (1, false));
}

#[test]
fn a_directory_without_a_ledger_cannot_be_compared() {
    let folder = tempfile::tempdir().unwrap();
    let error = witness(&[]).compare(folder.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_compressed_segment_is_read_and_a_pruned_one_is_missed_where_the_capture_reaches_back_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let line = |second: u64, seq: u64| {
        let at = second_of(second);
        let facts = format!(r#"{{"source":"{CLIENT}","to_address":"{LISTENER}"}}"#);
        format!(r#"{{"seq":{seq},"boot":3,"at":"{at}","kind":"opened","facts":{facts}}}"#) + "\n"
    };
    let packed = zstd::encode_all(line(11, 8).as_bytes(), 0).unwrap();
    fs::write(folder.path().join("000000000008.jsonl.zst"), packed).unwrap();
    fs::write(folder.path().join("000000000001.tree"), "sekisho.tree/1\n").unwrap();
    // The writer is in the middle of a line.
    fs::write(folder.path().join("000000000009.jsonl"), line(12, 9) + "{\"seq\":10,").unwrap();
    let seen = || witness(&[(Leg::Inbound, Due::Entry, at(10, CLIENT, LISTENER))]);
    let found = seen().compare(folder.path()).unwrap();
    assert_eq!((found.recorded, found.matched, found.damaged), (1, 2, 0));
    assert_eq!((found.pruned, found.is_complete()), (1, false));
    let earlier = line(0, 2).replace("2026-11-21", "2026-11-20");
    fs::write(folder.path().join("000000000002.jsonl"), earlier).unwrap();
    let found = seen().compare(folder.path()).unwrap();
    assert_eq!(
        (found.pruned, found.is_complete()),
        (0, true),
        "the ledger begins before the capture"
    );
    fs::write(folder.path().join("000000000008.jsonl.zst"), b"no zstd at all").unwrap();
    let found = seen().compare(folder.path()).unwrap();
    assert_eq!((found.damaged, found.is_complete()), (1, false));
}
