//! What an outsider can hold the ledger to: checkpoints, subtrees of closed segments, compression, retention, the clock.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::{
    Disk, append, at, causes, close, durable, eventually, kinds, lines, operation, recorded,
    segments, settings,
};
use crate::appliance::WhenUnwritable::{Continue, Refuse};
use crate::ledger::note::Checkpoint;
use crate::ledger::tree::{Frontier, Hash, leaf};
use crate::ledger::{Entry, Kept, Ledger, Settings, Subtrees, Unwritable, verifier};

const DAY: i64 = 86_400;

/// A ledger with three closed segments and more, written by two starts in order.
pub(super) async fn grown() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let ledger = Ledger::open(small(directory.path())).unwrap();
        for _ in 0..8 {
            recorded(&ledger, "status").await;
        }
        close(ledger).await;
    }
    directory
}

pub(super) fn small(directory: &Path) -> Settings {
    Settings { segment_size: 700, ..settings(directory) }
}

/// Every leaf, from the lines on disk.
pub(super) fn leaves(directory: &Path) -> Vec<Hash> {
    let text: String = segments(directory).into_values().collect();
    text.lines().map(|line| leaf(line.as_bytes())).collect()
}

pub(super) fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(*leaf);
    }
    frontier.root()
}

/// The checkpoints on disk; each must be signed by the key in the state directory.
pub(super) fn checkpoints(directory: &Path) -> Vec<Checkpoint> {
    let key = verifier(&directory.join("state")).unwrap();
    let text = fs::read_to_string(directory.join("checkpoints")).unwrap();
    let parts: Vec<_> = text.split("\n\n").collect();
    let notes = parts.chunks_exact(2);
    assert_eq!(notes.remainder(), [""], "each note is followed by an empty line");
    notes
        .map(|note| Checkpoint::open(&format!("{}\n\n{}\n", note[0], note[1]), &key).unwrap())
        .collect()
}

pub(super) fn trees(directory: &Path) -> Vec<Subtrees> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "tree"));
    names.sort();
    names.iter().map(|name| Subtrees::parse(&fs::read_to_string(name).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn every_line_is_a_leaf_and_a_stop_leaves_nothing_unsigned() {
    let directory = grown().await;
    let leaves = leaves(directory.path());
    let checkpoints = checkpoints(directory.path());
    assert_eq!(checkpoints.last().unwrap().size, 18);
    for checkpoint in checkpoints {
        let covered = &leaves[..usize::try_from(checkpoint.size).unwrap()];
        assert_eq!(checkpoint.root, root(covered), "{checkpoint}");
        assert!(checkpoint.origin.starts_with("edge-1/ledger-20261122T021408Z"), "{checkpoint}");
    }
}

#[tokio::test]
async fn the_secret_is_for_its_owner_alone_and_stays_the_same() {
    let directory = grown().await;
    let state = directory.path().join("state");
    let mode = |name| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ledger.key"), mode("ledger.pub")), (0o600, 0o644));
    let key = verifier(&state).unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    assert_eq!(ledger.stats().key, key.to_string());
    assert!(fs::read_to_string(state.join("ledger.key")).unwrap().starts_with("PRIVATE+KEY+"));
}

#[tokio::test]
async fn a_closed_segment_has_its_checkpoint_its_subtrees_and_its_lines_compressed() {
    let directory = grown().await;
    let (leaves, checkpoints) = (leaves(directory.path()), checkpoints(directory.path()));
    let trees = trees(directory.path());
    assert!(trees.len() >= 5, "{}", trees.len());
    for subtrees in &trees {
        let after = subtrees.after();
        assert_eq!(after.root(), root(&leaves[..usize::try_from(after.size()).unwrap()]));
        let covered = checkpoints.iter().any(|head| head.size == after.size());
        assert!(covered, "no checkpoint at {}", after.size());
    }
    let packed = directory.path().join("000000000001.jsonl.zst");
    assert!(packed.exists() && !directory.path().join("000000000001.jsonl").exists());
}

#[tokio::test]
async fn todays_small_segments_stay_readable_and_yesterdays_are_compressed() {
    let directory = tempfile::tempdir().unwrap();
    let name = |suffix: &str| directory.path().join(format!("000000000001.{suffix}"));
    for _ in 0..2 {
        let ledger = Ledger::open(settings(directory.path())).unwrap();
        recorded(&ledger, "status").await;
        close(ledger).await;
    }
    assert!(name("jsonl").exists() && !name("jsonl.zst").exists());
    let tomorrow = Settings { started: at(DAY), ..settings(directory.path()) };
    let ledger = Ledger::open(tomorrow).unwrap();
    eventually("the compression", || !name("jsonl").exists()).await;
    drop(ledger);
    assert_eq!(lines(directory.path())[0]["facts"]["call"], "status");
}

#[tokio::test]
async fn a_crash_while_compressing_loses_nothing_and_is_done_again() {
    let directory = grown().await;
    let name = |suffix: &str| directory.path().join(format!("000000000001.{suffix}"));
    let packed = fs::read(name("jsonl.zst")).unwrap();
    fs::write(name("jsonl"), zstd::stream::decode_all(packed.as_slice()).unwrap()).unwrap();
    fs::write(name("jsonl.zst"), &packed[..packed.len() / 2]).unwrap();
    fs::write(name("jsonl.zst.draft"), b"half").unwrap();
    let ledger = Ledger::open(small(directory.path())).unwrap();
    eventually("the compression", || !name("jsonl").exists()).await;
    drop(ledger);
    assert_eq!(fs::read(name("jsonl.zst")).unwrap(), packed);
}

#[tokio::test]
async fn a_closed_segment_that_was_changed_is_not_compressed_away() {
    let directory = grown().await;
    let name = |suffix: &str| directory.path().join(format!("000000000001.{suffix}"));
    let lines = zstd::stream::decode_all(fs::read(name("jsonl.zst")).unwrap().as_slice()).unwrap();
    let changed = String::from_utf8(lines).unwrap().replacen("status", "reload", 1);
    fs::remove_file(name("jsonl.zst")).unwrap();
    fs::write(name("jsonl"), &changed).unwrap();
    let ledger = Ledger::open(small(directory.path())).unwrap();
    recorded(&ledger, "status").await;
    close(ledger).await;
    assert_eq!(fs::read_to_string(name("jsonl")).unwrap(), changed);
    assert!(!name("jsonl.zst").exists() && !name("jsonl.zst.draft").exists());
}

#[tokio::test]
async fn what_is_older_than_retain_goes_is_recorded_and_the_tree_stands() {
    let directory = grown().await;
    let before = leaves(directory.path());
    let old = segments(directory.path());
    let later = Settings {
        retain: Duration::from_hours(48),
        started: at(3 * DAY),
        ..settings(directory.path())
    };
    let ledger = Ledger::open(later).unwrap();
    let first = directory.path().join("000000000001.jsonl.zst");
    eventually("the pruning", || !first.exists() && segments(directory.path()).len() <= 2).await;
    recorded(&ledger, "after").await;
    close(ledger).await;

    let kept = segments(directory.path());
    let text: String = kept.values().cloned().collect();
    let prunes = text.matches(r#""call":"prune","outcome":"done","detail":["entries "#).count();
    let gone = old.keys().filter(|first| !kept.contains_key(first)).count();
    assert_eq!(prunes, gone);
    assert!(gone >= old.len() - 1, "{gone} of {}", old.len());

    let trees = trees(directory.path());
    let (first, text) = kept.first_key_value().unwrap();
    let stands = trees.iter().find(|tree| tree.first() == *first as u64).unwrap();
    assert_eq!(stands.before.root(), root(&before[..first - 1]));
    let mut whole = stands.before.clone();
    kept.values()
        .flat_map(|text| text.lines())
        .for_each(|line| whole.append(leaf(line.as_bytes())));
    let newest = checkpoints(directory.path()).pop().unwrap();
    assert_eq!((newest.size, newest.root), (whole.size(), whole.root()), "from {text}");

    // And the next start finds its place without them.
    let again = Settings { started: at(3 * DAY), ..settings(directory.path()) };
    let ledger = Ledger::open(again).unwrap();
    assert_eq!(append(&ledger, "next").await.seq(), newest.size + 1);
}

#[tokio::test]
async fn what_is_younger_than_retain_stays_and_so_does_everything_where_the_clock_may_be_wrong() {
    let directory = grown().await;
    let before = segments(directory.path());
    for (days, retain) in [(3, 3), (400, 1)] {
        let later = Settings {
            retain: Duration::from_hours(24 * retain),
            started: at(days * DAY),
            ..settings(directory.path())
        };
        let ledger = Ledger::open(later).unwrap();
        // The keeper looks once before it ends.
        drop(ledger);
        let after = segments(directory.path());
        assert!(before.keys().all(|first| after.contains_key(first)), "{days} days");
    }
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_makes_the_ledger_unwritable_until_it_can() {
    for (policy, kept) in [(Refuse, Err(Unwritable)), (Continue, Ok(Kept::Waived))] {
        let disk = Disk::new();
        let notes = Arc::clone(disk.notes.as_ref().unwrap());
        notes.sync_fails.store(true, SeqCst);
        let ledger = disk.ledger(|settings| settings.when_unwritable = policy);
        recorded(&ledger, "first").await;
        eventually("the failure", || !ledger.is_writable()).await;
        assert_eq!(ledger.append(&operation("next")).await.map(|receipt| receipt.kept()), kept);
        assert_eq!(ledger.stats().checkpoint, None);
        notes.sync_fails.store(false, SeqCst);
        eventually("the healing", || ledger.is_writable()).await;
        assert_eq!(ledger.stats().checkpoint.map(|head| head.size), Some(1));
        assert_eq!(durable(&ledger, "after").await.kept(), Kept::Durable);
        let lines = disk.lines();
        assert_eq!(
            (kinds(&lines), &lines[1]["facts"]["lost"]),
            (vec!["operation", "gap", "operation"], &1.into())
        );
    }
}

#[tokio::test]
async fn a_checkpoint_that_hangs_is_unwritable_within_the_timeout_and_heals() {
    let disk = Disk::new();
    let notes = Arc::clone(disk.notes.as_ref().unwrap());
    notes.sync_takes.store(1500, SeqCst);
    let ledger = disk.ledger(|settings| settings.sync_timeout = Duration::from_millis(100));
    recorded(&ledger, "first").await;
    eventually("the slowness", || !ledger.is_writable()).await;
    assert_eq!(ledger.append(&operation("next")).await.unwrap_err(), Unwritable);
    notes.sync_takes.store(0, SeqCst);
    eventually("the healing", || ledger.is_writable()).await;
    assert_eq!(durable(&ledger, "after").await.kept(), Kept::Durable);
}

#[tokio::test]
async fn a_clock_that_is_set_is_recorded_while_running_and_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    let seconds = Duration::from_secs;
    ledger.keep_time(at(10), seconds(5));
    ledger.keep_time(at(11), seconds(6));
    ledger.keep_time(at(111), seconds(7));
    ledger.keep_time(at(112), seconds(8));
    ledger.keep_time(at(50), seconds(9));
    let late = Entry { at: at(50), ..operation("status") };
    let receipt = ledger.append(&late).await.unwrap();
    let _durable = ledger.sync(receipt).await.unwrap();
    drop(ledger);
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    close(ledger).await;
    let lines = lines(directory.path());
    assert_eq!(causes(&lines), ["clock step", "clock step", "unclean stop", "clock step"]);
    let since: Vec<_> = lines
        .iter()
        .filter(|line| line["facts"]["lost"] == 0)
        .map(|line| (line["facts"]["since"].clone(), line["at"].clone()))
        .collect();
    let text = |second| serde_json::Value::from(at(second).to_string());
    assert_eq!(since, [(text(11), text(111)), (text(112), text(50)), (text(50), text(1))]);
}

#[tokio::test]
async fn a_copy_of_the_head_lies_in_the_state_directory() {
    let directory = grown().await;
    let note = fs::read_to_string(directory.path().join("state/ledger.head")).unwrap();
    let key = verifier(&directory.path().join("state")).unwrap();
    assert_eq!(
        Checkpoint::open(&note, &key).as_ref(),
        Ok(checkpoints(directory.path()).last().unwrap())
    );
}
