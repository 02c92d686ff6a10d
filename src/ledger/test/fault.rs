//! Disks that are full, slow or broken, a writer that dies; under both answers of the box file.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::{
    Disk, append, at, causes, close, durable, eventually, kinds, operation, recorded, settings,
    stop,
};
use crate::appliance::WhenUnwritable::{Continue, Refuse};
use crate::ledger::{Kept, Ledger, Unwritable};

/// Breaks the disk and waits until the ledger knows.
async fn broken(disk: &Arc<Disk>, ledger: &Ledger, breaks: impl FnOnce(&Disk)) {
    breaks(disk);
    let queued = append(ledger, "queued").await;
    assert_eq!(queued.kept(), Kept::Queued);
    eventually("the failure", || !ledger.is_writable()).await;
}

#[tokio::test]
async fn a_disk_full_in_mid_line_keeps_whole_lines_and_heals() {
    let disk = Disk::new();
    let ledger = disk.ledger(|settings| settings.when_unwritable = Refuse);
    recorded(&ledger, "before").await;
    broken(&disk, &ledger, |disk| disk.room.store(20, SeqCst)).await;
    assert_eq!(disk.lines().len(), 1, "the torn line is gone again");
    assert_eq!(ledger.append(&operation("refused")).await.unwrap_err(), Unwritable);
    assert_eq!(ledger.append(&operation("refused")).await.unwrap_err(), Unwritable);
    assert_eq!(ledger.stats().lost, 2);

    disk.room.store(u64::MAX, SeqCst);
    eventually("the healing", || ledger.is_writable()).await;
    assert_eq!(disk.lines().len(), 2, "what had its number was kept");
    recorded(&ledger, "after").await;
    let lines = disk.lines();
    assert_eq!(kinds(&lines), ["operation", "operation", "gap", "operation"]);
    assert_eq!((&lines[2]["facts"]["lost"], causes(&lines)), (&2.into(), vec!["unwritable"]));
}

#[tokio::test]
async fn a_torn_line_that_cannot_be_cut_at_once_is_cut_before_the_next_attempt() {
    let disk = Disk::new();
    let ledger = disk.ledger(|_| ());
    recorded(&ledger, "before").await;
    let breaks = |disk: &Disk| {
        disk.room.store(20, SeqCst);
        disk.cut_fails.store(true, SeqCst);
    };
    broken(&disk, &ledger, breaks).await;
    disk.room.store(u64::MAX, SeqCst);
    disk.cut_fails.store(false, SeqCst);
    eventually("the healing", || ledger.is_writable()).await;
    assert_eq!(kinds(&disk.lines()), ["operation", "operation"]);
}

#[tokio::test]
async fn after_a_failed_sync_everything_since_the_last_one_is_written_again() {
    let disk = Disk::new();
    let ledger = disk.ledger(|_| ());
    recorded(&ledger, "before").await;
    disk.sync_fails.store(true, SeqCst);
    let receipt = append(&ledger, "during").await;
    assert_eq!(ledger.sync(receipt).await.unwrap_err(), Unwritable);
    assert_eq!(disk.lines().len(), 1, "what is not synced is not there");
    disk.sync_fails.store(false, SeqCst);
    eventually("the healing", || ledger.is_writable()).await;
    assert_eq!(disk.lines()[1]["facts"]["call"], "during");
}

#[tokio::test]
async fn under_continue_what_is_waived_is_counted_and_becomes_a_gap() {
    let disk = Disk::new();
    let ledger = disk.ledger(|settings| settings.when_unwritable = Continue);
    recorded(&ledger, "before").await;
    broken(&disk, &ledger, |disk| disk.sync_fails.store(true, SeqCst)).await;
    let mut numbers = Vec::new();
    for _ in 0..7 {
        let receipt = durable(&ledger, "waived").await;
        assert_eq!(receipt.kept(), Kept::Waived);
        numbers.push(receipt.seq());
    }
    assert_eq!(numbers, [3; 7], "each refers to the gap entry to come");
    disk.sync_fails.store(false, SeqCst);
    eventually("the healing", || ledger.is_writable()).await;
    ledger.tick(at(9)).await;
    ledger.tick(at(10)).await;
    close(ledger).await;
    let lines = disk.lines();
    assert_eq!(kinds(&lines), ["operation", "operation", "gap", "stop"]);
    assert_eq!(lines[2]["facts"]["lost"], 7);
    assert_eq!(lines[2]["facts"]["since"], at(1).to_string());
    assert_eq!(lines[2]["at"], at(9).to_string());
}

#[tokio::test]
async fn a_slow_sync_is_unwritable_within_the_timeout_and_heals() {
    for (policy, kept) in [(Refuse, Err(Unwritable)), (Continue, Ok(Kept::Waived))] {
        let disk = Disk::new();
        let ledger = disk.ledger(|settings| {
            settings.when_unwritable = policy;
            settings.sync_timeout = Duration::from_millis(100);
        });
        disk.sync_takes.store(1500, SeqCst);
        let receipt = append(&ledger, "slow").await;
        let began = Instant::now();
        assert_eq!(ledger.sync(receipt).await.map(|receipt| receipt.kept()), kept);
        let waited = began.elapsed();
        assert!(
            waited >= Duration::from_millis(90) && waited < Duration::from_millis(1200),
            "{waited:?}"
        );
        assert!(!ledger.is_writable());
        assert_eq!(ledger.append(&operation("next")).await.map(|receipt| receipt.kept()), kept);
        disk.sync_takes.store(0, SeqCst);
        eventually("the healing", || ledger.is_writable()).await;
        assert_eq!(durable(&ledger, "after").await.kept(), Kept::Durable);
        let lines = disk.lines();
        assert_eq!(
            (kinds(&lines), &lines[1]["facts"]["lost"]),
            (vec!["operation", "gap", "operation"], &1.into())
        );
    }
}

#[tokio::test]
async fn an_append_that_waits_for_room_does_not_wait_for_a_disk_that_hangs() {
    let disk = Disk::new();
    let ledger = disk.ledger(|settings| {
        settings.batch_entries = 2;
        settings.sync_timeout = Duration::from_millis(100);
    });
    disk.sync_takes.store(1000, SeqCst);
    let began = Instant::now();
    let mut last = Ok(());
    for _ in 0..8 {
        last = ledger.append(&operation("status")).await.map(drop);
    }
    assert_eq!(last, Err(Unwritable));
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn too_little_space_is_unwritable_before_the_disk_is_full() {
    let disk = Disk::new();
    disk.free.store(1000, SeqCst);
    let ledger = disk.ledger(|settings| settings.disk_reserve = 1000);
    recorded(&ledger, "enough").await;
    disk.free.store(999, SeqCst);
    eventually("the look at the disk", || !ledger.is_writable()).await;
    assert_eq!(ledger.append(&operation("refused")).await.unwrap_err(), Unwritable);
    assert_eq!(ledger.stats().free, 999);
    disk.free.store(1000, SeqCst);
    eventually("the healing", || ledger.is_writable()).await;
    recorded(&ledger, "after").await;
    assert_eq!(causes(&disk.lines()), ["unwritable"]);
}

#[tokio::test]
async fn a_dead_writer_is_fatal_under_either_answer() {
    for policy in [Refuse, Continue] {
        let disk = Disk::new();
        let ledger = disk.ledger(|settings| settings.when_unwritable = policy);
        disk.panics.store(true, SeqCst);
        let receipt = append(&ledger, "last").await;
        assert_eq!(ledger.sync(receipt).await.unwrap_err(), Unwritable);
        assert!(ledger.is_dead() && !ledger.is_writable());
        assert_eq!(ledger.append(&operation("next")).await.unwrap_err(), Unwritable);
        assert_eq!(ledger.close(stop()).await.unwrap_err(), Unwritable);
    }
}

#[tokio::test]
async fn a_close_that_cannot_write_ends_and_says_so() {
    let disk = Disk::new();
    let ledger = disk.ledger(|_| ());
    broken(&disk, &ledger, |disk| disk.sync_fails.store(true, SeqCst)).await;
    assert_eq!(ledger.close(stop()).await.unwrap_err(), Unwritable);
}

#[tokio::test]
async fn a_deleted_segment_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    recorded(&ledger, "before").await;
    fs::remove_file(directory.path().join("000000000001.jsonl")).unwrap();
    let receipt = append(&ledger, "after").await;
    assert_eq!(ledger.sync(receipt).await.unwrap_err(), Unwritable);
}
