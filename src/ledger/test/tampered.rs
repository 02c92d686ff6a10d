//! What a start makes of a ledger that somebody's hand was in: rolled back, forked, cut, signed by another.

use std::fs;
use std::path::Path;

use super::evidence::{checkpoints, grown, leaves, root, small, trees};
use super::{causes, close, kinds, lines, recorded, segments, settings};
use crate::appliance::WhenUnwritable::Continue;
use crate::ledger::tree::{Hash, Range};
use crate::ledger::{Ledger, LedgerError, Subtrees};

/// What opening says, and that nothing was moved by it.
fn refused(directory: &Path) -> LedgerError {
    let before = segments(directory);
    let error = Ledger::open(small(directory)).unwrap_err();
    assert_eq!(segments(directory), before, "what is evidence stays as it is");
    error
}

/// Opens under `continue`; gives the cause that the new ledger begins with.
async fn begun_anew(directory: &Path) -> String {
    let old = fs::read_to_string(directory.join("state/ledger.pub")).unwrap();
    let mut again = small(directory);
    again.when_unwritable = Continue;
    let ledger = Ledger::open(again).unwrap();
    let aside = ledger.stats().aside.expect("the status says so");
    close(ledger).await;
    let lines = lines(directory);
    assert_eq!(kinds(&lines), ["gap", "stop"]);
    assert_eq!(fs::read_to_string(aside.join("ledger.pub")).unwrap(), old);
    assert_ne!(fs::read_to_string(directory.join("state/ledger.pub")).unwrap(), old);
    assert_eq!(checkpoints(directory).last().unwrap().size, 2);
    causes(&lines)[0].to_owned()
}

#[tokio::test]
async fn an_old_copy_of_the_ledger_is_rolled_back() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(small(directory.path())).unwrap();
    recorded(&ledger, "status").await;
    close(ledger).await;
    let copy: Vec<_> = ["000000000001.jsonl", "checkpoints"]
        .map(|name| (name, fs::read(directory.path().join(name)).unwrap()))
        .into();
    let ledger = Ledger::open(small(directory.path())).unwrap();
    recorded(&ledger, "status").await;
    close(ledger).await;
    for file in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        if file.file_name() != "state" {
            fs::remove_file(file.path()).unwrap();
        }
    }
    for (name, bytes) in copy {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::RolledBack { signed: 4, last: 2, .. }), "{error}");
    assert_eq!(begun_anew(directory.path()).await, "rolled back");
}

#[tokio::test]
async fn a_ledger_that_is_gone_altogether_is_rolled_back() {
    let directory = grown().await;
    for file in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        if file.file_name() != "state" {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::RolledBack { signed: 18, last: 0, .. }), "{error}");
}

#[tokio::test]
async fn a_cut_tail_is_rolled_back_also_without_the_copy_of_the_head() {
    let directory = grown().await;
    fs::remove_file(directory.path().join("state/ledger.head")).unwrap();
    let (first, text) = segments(directory.path()).pop_last().unwrap();
    let path = directory.path().join(format!("{first:012}.jsonl"));
    let cut: String = text.split_inclusive('\n').take(text.lines().count() - 1).collect();
    fs::write(&path, cut).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::RolledBack { signed: 18, last: 17, .. }), "{error}");
}

#[tokio::test]
async fn a_line_that_was_changed_after_it_was_signed_is_a_fork() {
    let directory = grown().await;
    let (first, text) = segments(directory.path()).pop_last().unwrap();
    let path = directory.path().join(format!("{first:012}.jsonl"));
    fs::write(
        &path,
        text.replacen("\"kind\":\"stop\",\"policy\":\"4f", "\"kind\":\"stop\",\"policy\":\"5f", 1),
    )
    .unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::Forked { size: 18, .. }), "{error}");
    assert_eq!(begun_anew(directory.path()).await, "forked");
}

#[tokio::test]
async fn subtrees_that_were_changed_are_a_fork_and_a_missing_segment_is_named() {
    let directory = grown().await;
    let newest = trees(directory.path()).pop().unwrap();
    let path = directory.path().join(format!("{:012}.tree", newest.first()));
    let span = newest.within.span();
    let mut within = Range::new(span.begin);
    for _ in span.begin..span.end {
        within.append(Hash([1; 32]));
    }
    let other = Subtrees { within, ..newest };
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, other.to_string()).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::Forked { .. }), "{error}");
    fs::write(&path, text).unwrap();

    let second = trees(directory.path())[1].first();
    fs::remove_file(directory.path().join(format!("{second:012}.jsonl.zst"))).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::Missing { entry, .. } if entry == second), "{error}");
    assert_eq!(begun_anew(directory.path()).await, "missing segment");
}

#[tokio::test]
async fn checkpoints_of_another_key_are_foreign() {
    let directory = grown().await;
    let other = grown().await;
    fs::copy(other.path().join("checkpoints"), directory.path().join("checkpoints")).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::Foreign { .. }), "{error}");
    fs::remove_file(directory.path().join("state/ledger.key")).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, LedgerError::Foreign { .. }), "also where there is no key: {error}");
    assert_eq!(begun_anew(directory.path()).await, "foreign key");
}

#[tokio::test]
async fn checkpoints_that_are_gone_are_begun_again_with_the_copy() {
    let directory = grown().await;
    fs::remove_file(directory.path().join("checkpoints")).unwrap();
    let ledger = Ledger::open(small(directory.path())).unwrap();
    close(ledger).await;
    let sizes: Vec<_> = checkpoints(directory.path()).iter().map(|head| head.size).collect();
    assert_eq!(sizes, [18, 19]);
}

#[tokio::test]
async fn a_ledger_from_before_there_were_checkpoints_is_signed_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    recorded(&ledger, "status").await;
    close(ledger).await;
    fs::remove_file(directory.path().join("checkpoints")).unwrap();
    fs::remove_dir_all(directory.path().join("state")).unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    close(ledger).await;
    let newest = checkpoints(directory.path()).pop().unwrap();
    assert_eq!((newest.size, newest.root), (3, root(&leaves(directory.path()))));
}
