//! What an entry costs: appended by several threads with shared fsyncs, hashed into the tree, found again by a start,
//! compressed. `cargo bench --bench ledger [ENTRIES]`. The disk is the one under the temporary directory.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench that cannot measure has nothing to say"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sekisho::appliance::WhenUnwritable;
use sekisho::flow::{Name, Timestamp};
use sekisho::ledger::tree::{Frontier, leaf};
use sekisho::ledger::{Body, Entry, Ledger, PolicyDigest, RequestFacts, Settings};
use sekisho::policy::Masked;
use sekisho::verdict::{Denied, Reason, Stage, Verdict};

const THREADS: u64 = 2;

fn main() {
    // `cargo bench` passes `--bench`.
    let entries = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let directory = tempfile::tempdir().unwrap();
    syncs(directory.path());
    let path = directory.path().join("ledger");
    append(&path, entries);
    restart(&path);
    let lines = segment(&path);
    hash(&lines);
    compress(&lines);
}

fn settings(path: &Path) -> Settings {
    Settings {
        directory: path.to_owned(),
        state: path.join("state"),
        appliance: Name::parse("bench").unwrap(),
        retain: Duration::from_hours(24 * 365),
        when_unwritable: WhenUnwritable::Refuse,
        sync: Duration::from_millis(50),
        sync_timeout: Duration::from_secs(20),
        disk_reserve: 0,
        batch_entries: 8192,
        batch_size: 4 << 20,
        segment_size: 64 << 20,
        started: Timestamp::from_seconds(1_795_313_647),
    }
}

/// What a request on a busy day looks like.
fn entry(number: u64) -> Entry {
    let micros = i64::try_from(number).unwrap() * 1000;
    let facts = RequestFacts {
        method: Masked::own("POST"),
        host: Some(Masked::own("intermediate-server")),
        path: Masked::own("/exchange/*"),
    };
    let verdict = Verdict::Deny(Denied::plain(Reason::Method, Stage::Request));
    Entry {
        at: Timestamp::from_nanos(1_795_313_647_000_000_000 + micros),
        policy: PolicyDigest([0x4f; 32]),
        connection: None,
        body: Body::Refused {
            client: None,
            request: Some(facts),
            endpoint: Some("10.200.1.10:443".parse().unwrap()),
            verdict,
            detail: None,
        },
    }
}

/// What the disk takes for a small write with its sync, without any ledger.
fn syncs(path: &Path) {
    let mut file = fs::File::create(path.join("probe")).unwrap();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            file.write_all(&[b'x'; 350]).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let rank = |rank: usize| times.iter().copied().nth(rank).expect("200 times");
    println!("disk      fdatasync of 350 bytes: median {:?}, p99 {:?}", rank(100), rank(197));
}

/// The ledger as the data path uses it: entries queued, every 4096th waited for.
fn append(path: &Path, entries: u64) {
    let ledger = Ledger::open(settings(path)).unwrap();
    let began = Instant::now();
    let appended = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let ledger = ledger.clone();
                scope.spawn(move || appender(&ledger, entries / THREADS))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<Duration>()
    });
    let took = began.elapsed();
    let own = ledger_cpu();
    let stats = ledger.stats();
    println!(
        "append    {:.0} entries/s by {THREADS} threads, {} syncs, mean {:?}",
        entries as f64 / took.as_secs_f64(),
        stats.syncs.count,
        stats.syncs.sum / u32::try_from(stats.syncs.count).unwrap()
    );
    let per = |time: Duration| time.as_secs_f64() * 1e6 / entries as f64;
    let all = appended + own.iter().map(|(_, time)| *time).sum::<Duration>();
    println!("          CPU per entry {:.3} us: appending {:.3} us", per(all), per(appended));
    for (name, time) in own {
        println!("          {name} {:.3} us", per(time));
    }
}

/// Gives the CPU time of its own thread.
fn appender(ledger: &Ledger, entries: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = thread_cpu();
    runtime.block_on(async {
        for number in 0..entries {
            let receipt = ledger.append(&entry(number)).await.unwrap();
            if number % 4096 == 0 {
                let _durable = ledger.sync(receipt).await.unwrap();
            }
        }
    });
    thread_cpu().saturating_sub(began)
}

/// A start after a kill: only what no closed segment covers is read.
fn restart(path: &Path) {
    let began = Instant::now();
    let ledger = Ledger::open(settings(path)).unwrap();
    println!("restart   {:?}, {} entries in all", began.elapsed(), ledger.stats().durable);
}

/// The lines of the first segment, as they were written.
fn segment(path: &Path) -> Vec<u8> {
    let plain = path.join("000000000001.jsonl");
    fs::read(&plain).unwrap_or_else(|_| {
        let packed = fs::read(path.join("000000000001.jsonl.zst")).unwrap();
        zstd::stream::decode_all(packed.as_slice()).unwrap()
    })
}

fn hash(lines: &[u8]) {
    let lines: Vec<_> = lines.split(|byte| *byte == b'\n').collect();
    let (began, mut frontier) = (Instant::now(), Frontier::default());
    for line in &lines {
        frontier.append(leaf(line));
    }
    let took = began.elapsed();
    black_box(frontier.root());
    println!("tree      {:.0} ns an entry", took.as_nanos() as f64 / lines.len() as f64);
}

fn compress(lines: &[u8]) {
    for level in [1, 3, 9] {
        let (began, busy) = (Instant::now(), thread_cpu());
        let packed = zstd::stream::encode_all(lines, level).unwrap();
        let (took, busy) = (began.elapsed(), thread_cpu().saturating_sub(busy));
        let back = Instant::now();
        assert_eq!(zstd::stream::decode_all(packed.as_slice()).unwrap().len(), lines.len());
        println!(
            "zstd {level}    {:.1} MiB to {:.1} %, {took:?} ({busy:?} CPU), back in {:?}",
            lines.len() as f64 / f64::from(1 << 20),
            100.0 * packed.len() as f64 / lines.len() as f64,
            back.elapsed()
        );
    }
}

/// The CPU time of the calling thread.
fn thread_cpu() -> Duration {
    scheduled(Path::new("/proc/thread-self/schedstat"))
}

/// The CPU time of the ledger's own threads, each with its name.
fn ledger_cpu() -> Vec<(String, Duration)> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named = tasks.map(|task| (fs::read_to_string(task.join("comm")).unwrap(), task));
    let ours = named.filter(|(name, _)| name.starts_with("ledger-"));
    ours.map(|(name, task)| (name.trim_end().to_owned(), scheduled(&task.join("schedstat"))))
        .collect()
}

fn scheduled(path: &Path) -> Duration {
    let text = fs::read_to_string(path).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().expect("nanoseconds"))
}
