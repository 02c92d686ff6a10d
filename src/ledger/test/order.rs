//! Numbers, order, group commit, back-pressure, segments, summaries.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::{
    Disk, LAW, append, at, close, durable, entry, kinds, lines, operation, recorded, segments,
    settings, stop,
};
use crate::ledger::{Body, Entry, Kept, Kind, Ledger, LedgerError, Unwritable};
use crate::policy::Masked;
use crate::verdict::{Denied, Reason, Stage, Verdict};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn refused(second: i64) -> Entry {
    let verdict = Verdict::Deny(Denied::plain(Reason::UnknownSource, Stage::Arrival));
    let body = Body::Refused { client: None, request: None, endpoint: None, verdict, detail: None };
    Entry { at: at(second), ..entry(body) }
}

#[tokio::test]
async fn a_receipt_says_what_was_recorded_and_how_it_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    let connection = Some(ledger.next_connection());
    let receipt = ledger.append(&Entry { connection, ..refused(1) }).await.unwrap();
    assert_eq!(
        (receipt.seq(), receipt.reference().as_str(), receipt.kept()),
        (1, "1-1", Kept::Queued)
    );
    assert_eq!((receipt.kind(), receipt.connection()), (Kind::Refused, connection));
    assert_eq!(receipt.verdict().and_then(Verdict::reason), Some(Reason::UnknownSource));

    let receipt = ledger.sync(receipt).await.unwrap();
    assert_eq!(receipt.kept(), Kept::Durable);
    assert_eq!(lines(directory.path()).len(), 1, "what is durable can be read");
    assert_ne!(ledger.next_connection(), ledger.next_connection());
}

#[tokio::test]
async fn an_entry_nobody_waits_for_is_on_disk_within_the_sync_interval() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    let receipt = append(&ledger, "status").await;
    super::eventually("the sync", || ledger.stats().durable == receipt.seq()).await;
    assert_eq!(lines(directory.path()).len(), 1);
}

/// Whether a quiet moment that comes `after` the entry makes the writer write before `sync` says so; `None` where this
/// machine stood still for too long to tell.
async fn written_at_rest(sync: Duration, after: Duration) -> Option<bool> {
    let disk = Disk::new();
    let ledger = disk.ledger(|settings| settings.sync = sync);
    let receipt = append(&ledger, "status").await;
    let placed = Instant::now();
    let is_written = || ledger.stats().durable == receipt.seq();
    tokio::time::sleep(after).await;
    let before = is_written();
    ledger.rest();
    tokio::time::sleep(sync.saturating_sub(after) / 2).await;
    let written = is_written() && !before;
    (placed.elapsed() < sync).then_some(written)
}

#[tokio::test]
async fn a_quiet_moment_is_taken_for_what_would_be_written_soon_and_for_nothing_younger() {
    let sync = Duration::from_secs(1);
    for (after, expected) in [(0, false), (300, false), (800, true)] {
        let written = loop {
            let tried = written_at_rest(sync, Duration::from_millis(after)).await;
            if let Some(written) = tried {
                break written;
            }
        };
        assert_eq!(written, expected, "{after} ms after the entry");
    }
}

#[test]
fn several_runtimes_append_in_one_order_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    let numbers: Vec<Vec<u64>> = thread::scope(|scope| {
        let one = |ledger| move || runtime().block_on(append_many(ledger));
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one(ledger.clone()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(numbers.iter().all(|of_one| of_one.is_sorted()), "the order of each is kept");
    let mut all = numbers.concat();
    all.sort_unstable();
    assert_eq!(all, (1..=2004).collect::<Vec<_>>(), "no number twice, none missing");
    assert_eq!(lines(directory.path()).len(), 2004);
}

async fn append_many(ledger: Ledger) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..500 {
        numbers.push(append(&ledger, "status").await.seq());
    }
    numbers.push(durable(&ledger, "reload").await.seq());
    numbers
}

#[tokio::test]
async fn a_hundred_waiters_share_a_few_syncs() {
    let disk = Disk::new();
    disk.sync_takes.store(10, SeqCst);
    let ledger = disk.ledger(|_| ());
    let mut waiters = JoinSet::new();
    for _ in 0..100 {
        let ledger = ledger.clone();
        waiters.spawn(async move { durable(&ledger, "reload").await.kept() });
    }
    let kept = waiters.join_all().await;
    assert!(kept.len() == 100 && kept.iter().all(|kept| *kept == Kept::Durable));
    assert!(disk.syncs.load(SeqCst) <= 3, "{} syncs", disk.syncs.load(SeqCst));
    assert_eq!(disk.lines().len(), 100);
    assert_eq!(ledger.stats().syncs.count, disk.syncs.load(SeqCst));
}

#[tokio::test]
async fn a_full_batch_makes_an_append_wait_and_drops_nothing() {
    let disk = Disk::new();
    disk.sync_takes.store(5, SeqCst);
    let ledger = disk.ledger(|settings| settings.batch_entries = 4);
    let mut appends = JoinSet::new();
    for _ in 0..50 {
        let ledger = ledger.clone();
        appends.spawn(async move { append(&ledger, "status").await.seq() });
    }
    let mut numbers = appends.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    close(ledger).await;
    assert_eq!(disk.lines().len(), 51);
    assert!(disk.writes.lock().unwrap().iter().all(|lines| *lines <= 4), "the bound holds");
}

#[tokio::test]
async fn segments_follow_each_other_by_size_and_by_day() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    recorded(&ledger, "today").await;
    for _ in 0..2 {
        let tomorrow = Entry { at: at(86_400), ..operation("tomorrow") };
        let receipt = ledger.append(&tomorrow).await.unwrap();
        let _durable = ledger.sync(receipt).await.unwrap();
    }
    assert_eq!(segments(directory.path()).into_keys().collect::<Vec<_>>(), [1, 2]);
    close(ledger).await;

    let small = |settings: &mut crate::ledger::Settings| settings.segment_size = 700;
    let mut again = settings(directory.path());
    small(&mut again);
    let ledger = Ledger::open(again).unwrap();
    for _ in 0..10 {
        recorded(&ledger, "again").await;
    }
    close(ledger).await;
    let found = segments(directory.path());
    assert!(found.len() > 5 && found.len() < 14, "{:?}", found.keys());
    lines(directory.path());
    assert!(found.values().all(|lines| lines.len() <= 700));
    for file in fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7137, 0, "{}: 0640 at most", file.path().display());
        }
    }
}

#[tokio::test]
async fn a_second_writer_is_refused_and_the_first_is_not_hurt() {
    let directory = tempfile::tempdir().unwrap();
    let first = Ledger::open(settings(directory.path())).unwrap();
    let second = Ledger::open(settings(directory.path()));
    let said = second.unwrap_err();
    assert!(matches!(said, LedgerError::Busy { .. }), "{said}");
    assert!(said.to_string().ends_with("is written by another process"));
    assert_eq!(durable(&first, "status").await.seq(), 1);
    drop(first);
    assert_eq!(Ledger::open(settings(directory.path())).unwrap().boot(), 2);
}

#[tokio::test]
async fn after_a_stop_nothing_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    let other = ledger.clone();
    recorded(&ledger, "status").await;
    let receipt = ledger.close(stop()).await.unwrap();
    assert_eq!((receipt.kind(), receipt.kept()), (Kind::Stop, Kept::Durable));
    assert_eq!(other.append(&operation("late")).await.unwrap_err(), Unwritable);
    assert!(!other.is_writable() && !other.is_dead());
    assert_eq!(kinds(&lines(directory.path())), ["operation", "stop"]);
}

#[tokio::test]
async fn what_a_stranger_causes_is_listed_twenty_times_a_minute_and_then_counted() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(settings(directory.path())).unwrap();
    let stranger = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
    let mut listed = 0;
    for _ in 0..100 {
        listed += u32::from(ledger.append_limited(stranger, &refused(1)).await.unwrap().is_some());
    }
    let neighbour = Ipv4Addr::new(192, 0, 2, 8).into();
    assert!(ledger.append_limited(neighbour, &refused(2)).await.unwrap().is_some(), "not hurt");
    assert_eq!(listed, 20);
    ledger.tick(at(60)).await;
    ledger.tick(at(61)).await;
    for _ in 0..21 {
        let _listed = ledger.append_limited(stranger, &refused(62)).await.unwrap();
    }
    let _stop = ledger.close(Entry { at: at(70), ..stop() }).await.unwrap();
    let lines = lines(directory.path());
    let summaries: Vec<_> = lines.iter().filter(|line| line["kind"] == "summary").collect();
    assert_eq!(summaries[0]["facts"]["count"], 80);
    assert_eq!(summaries[0]["facts"]["source"], "192.0.2.7");
    assert_eq!(summaries[0]["reason"], "unknown_source");
    assert_eq!(summaries[1]["facts"]["count"], 1, "at the close what is left");
    assert_eq!((summaries.len(), lines.last().unwrap()["kind"].as_str()), (2, Some("stop")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_goes_in_every_line_is_one_numbered_object(texts in prop::collection::vec(any::<String>(), 1..20)) {
        let disk = Disk::new();
        let ledger = disk.ledger(|_| ());
        runtime().block_on(async {
            for text in &texts {
                let text = Masked::own(Box::leak(text.clone().into_boxed_str()));
                let body = Body::Operation { call: text.clone(), uid: Some(0), pid: None, outcome: text, detail: Vec::new() };
                let _receipt = ledger.append(&Entry { policy: LAW, ..entry(body) }).await.unwrap();
            }
            close(ledger).await;
        });
        let lines = disk.lines();
        prop_assert_eq!(lines.len(), texts.len() + 1);
        for (line, text) in lines.iter().zip(&texts) {
            prop_assert_eq!(line["facts"]["call"].as_str(), Some(text.as_str()));
        }
    }
}
