//! What a start makes of what a crash, a hand or a bad disk left.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{append, causes, close, kinds, lines, recorded, settings};
use crate::appliance::WhenUnwritable;
use crate::ledger::{Ledger, LedgerError};

/// A directory whose last process was ended after `calls` entries without a word.
async fn killed(calls: u64) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    for _ in 1..calls {
        let _queued = append(&ledger, "reload").await;
    }
    recorded(&ledger, "reload").await;
    directory
}

/// Opens, appends one entry, closes; the lines that are there then.
async fn next_start(directory: &Path) -> Vec<Value> {
    let ledger = Ledger::open(settings(directory)).unwrap();
    let boot = ledger.boot();
    let receipt = append(&ledger, "after").await;
    close(ledger).await;
    let lines = lines(directory);
    let index = usize::try_from(receipt.seq()).unwrap() - 1;
    assert_eq!(lines[index]["facts"]["call"], "after");
    assert_eq!(lines[index]["boot"], boot);
    lines
}

/// A crash tears only what no checkpoint covers yet.
fn unsigned(directory: &Path) {
    fs::remove_file(directory.join("checkpoints")).unwrap();
    fs::remove_dir_all(directory.join("state")).unwrap();
}

fn first_segment(directory: &Path) -> PathBuf {
    directory.join("000000000001.jsonl")
}

#[tokio::test]
async fn a_clean_stop_leaves_no_gap_and_the_numbering_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    for boot in 1..=3 {
        let ledger = Ledger::open(settings(directory.path())).unwrap();
        assert_eq!(ledger.boot(), boot);
        assert_eq!(append(&ledger, "status").await.reference(), format!("{boot}-{}", 2 * boot - 1));
        close(ledger).await;
    }
    assert_eq!(kinds(&lines(directory.path())), ["operation", "stop"].repeat(3));
}

#[tokio::test]
async fn a_kill_is_recorded_as_an_unclean_stop() {
    let directory = killed(2).await;
    let lines = next_start(directory.path()).await;
    assert_eq!(kinds(&lines), ["operation", "operation", "gap", "operation", "stop"]);
    assert_eq!(causes(&lines), ["unclean stop"]);
    assert_eq!(lines[2]["facts"]["since"], lines[1]["at"], "the gap begins with the last entry");
    assert_eq!(lines[2]["facts"].get("lost"), None, "how many is not known");
    assert_eq!(lines[2]["boot"], 2);
}

#[tokio::test]
async fn a_file_cut_anywhere_goes_on_after_its_last_whole_line() {
    let directory = killed(3).await;
    let whole = fs::read(first_segment(directory.path())).unwrap();
    let line = whole.len() / 3;
    let near =
        |length: &usize| [0, 1, line - 1].contains(&(length % line)) || length % line == line / 2;
    for length in (0..=whole.len()).filter(near) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("boot"), "1\n").unwrap();
        fs::write(first_segment(directory.path()), &whole[..length]).unwrap();
        let lines = next_start(directory.path()).await;
        let kept = length / line;
        let expected: &[&str] = match (kept, length % line) {
            (0, 0) => &[],
            (_, 0) => &["unclean stop"],
            _ => &["torn line", "unclean stop"],
        };
        let expected =
            if kept == 0 && length > 0 { &["torn line", "unclean stop"] } else { expected };
        assert_eq!(causes(&lines), expected, "{length} bytes");
        assert_eq!(lines.len(), kept + expected.len() + 2, "{length} bytes");
        if length % line > 0 {
            assert_eq!(lines[kept]["facts"]["cut"], length % line);
        }
        assert!(lines[kept..].iter().all(|line| line["boot"] == 2), "a boot is never reused");
    }
}

#[tokio::test]
async fn zeros_behind_the_last_line_are_cut_too() {
    let directory = killed(2).await;
    let mut file = OpenOptions::new().append(true).open(first_segment(directory.path())).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    let lines = next_start(directory.path()).await;
    assert_eq!(causes(&lines), ["torn line", "unclean stop"]);
    assert_eq!(lines[2]["facts"]["cut"], 4096);
}

#[tokio::test]
async fn a_crash_between_recording_and_cutting_is_finished_and_not_recorded_twice() {
    let directory = killed(2).await;
    let torn = fs::read(first_segment(directory.path())).unwrap();
    let torn = &torn[..torn.len() - 10];
    fs::write(first_segment(directory.path()), torn).unwrap();
    unsigned(directory.path());
    drop(Ledger::open(settings(directory.path())).unwrap());
    fs::write(first_segment(directory.path()), torn).unwrap();
    let lines = next_start(directory.path()).await;
    assert_eq!(causes(&lines), ["torn line", "unclean stop", "unclean stop"]);
}

#[tokio::test]
async fn a_start_without_an_entry_still_uses_up_its_boot() {
    let directory = tempfile::tempdir().unwrap();
    for boot in 1..=3 {
        assert_eq!(Ledger::open(settings(directory.path())).unwrap().boot(), boot);
    }
    assert_eq!(next_start(directory.path()).await[0]["boot"], 4);
    fs::remove_file(directory.path().join("boot")).unwrap();
    assert_eq!(
        Ledger::open(settings(directory.path())).unwrap().boot(),
        5,
        "the entries know it too"
    );
}

#[tokio::test]
async fn damage_before_the_end_is_named_and_refused() {
    let directory = killed(4).await;
    let path = first_segment(directory.path());
    let whole = fs::read_to_string(&path).unwrap();
    let parts: Vec<_> = whole.split_inclusive('\n').collect();
    let table = [
        (
            [parts[0], &parts[1].replacen("\"boot\":1", "", 1), parts[2], parts[3]].concat(),
            2,
            "bytes gone from a line",
        ),
        ([parts[0], parts[2], parts[1], parts[3]].concat(), 2, "two lines swapped"),
        ([parts[0], parts[1], parts[3]].concat(), 3, "a line dropped"),
        ([parts[1], parts[2]].concat(), 1, "the first line dropped"),
        (whole.replace("\"seq\":3", "\"seq\":2"), 3, "a number twice"),
    ];
    for (damaged, at, what) in table {
        fs::write(&path, damaged).unwrap();
        let said = Ledger::open(settings(directory.path())).unwrap_err();
        let LedgerError::Damaged { line, path: named } = said else { panic!("{what}: {said}") };
        assert_eq!((line, named), (at, path.clone()), "{what}");
    }
}

#[tokio::test]
async fn a_missing_segment_before_the_last_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        next_start(directory.path()).await;
    }
    fs::remove_file(directory.path().join("000000000003.jsonl")).unwrap();
    let said = Ledger::open(settings(directory.path())).unwrap_err();
    assert!(said.to_string().contains("000000000001.jsonl"), "{said}");
}

#[tokio::test]
async fn under_continue_a_damaged_ledger_is_set_aside_and_a_new_one_says_so() {
    let directory = killed(3).await;
    let path = first_segment(directory.path());
    let damaged = fs::read_to_string(&path).unwrap().replacen("{\"seq\":2", "{\"seq\":7", 1);
    fs::write(&path, &damaged).unwrap();
    let mut settings = settings(directory.path());
    settings.when_unwritable = WhenUnwritable::Continue;
    let ledger = Ledger::open(settings).unwrap();
    close(ledger).await;
    let lines = lines(directory.path());
    assert_eq!((kinds(&lines), causes(&lines)), (vec!["gap", "stop"], vec!["damaged line"]));
    let aside = directory.path().join("quarantine-2/000000000001.jsonl");
    assert_eq!(fs::read_to_string(aside).unwrap(), damaged, "the evidence is as it was");
}
