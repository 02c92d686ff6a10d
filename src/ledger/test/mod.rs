//! The ledger as a whole: entries, ledgers in temporary directories, and a disk that can be told to fail.

mod crash;
mod evidence;
mod fault;
mod format;
mod order;
mod secrecy;
mod tampered;
mod verified;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::note::SigningKey;
use super::recover::Recovered;
use super::segment::{Sink, Store};
use super::signer::{Signer, Tree};
use super::subtree::Subtrees;
use super::tree::Frontier;
use super::writer::Segment;
use super::{Body, Entry, Ledger, PolicyDigest, Receipt, Settings};
use crate::appliance::WhenUnwritable;
use crate::flow::{Name, Timestamp};
use crate::policy::Masked;

const LAW: PolicyDigest = PolicyDigest([0x4f; 32]);

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        state: directory.join("state"),
        appliance: name("edge-1"),
        retain: Duration::from_hours(24 * 365 * 7),
        when_unwritable: WhenUnwritable::Refuse,
        sync: Duration::from_millis(5),
        sync_timeout: Duration::from_secs(5),
        disk_reserve: 0,
        batch_entries: 1024,
        batch_size: 1 << 20,
        segment_size: 1 << 20,
        started: at(1),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_313_647 + second)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn entry(body: Body) -> Entry {
    Entry { at: at(1), policy: LAW, connection: None, body }
}

fn operation(call: &'static str) -> Entry {
    let call = Masked::own(call);
    entry(Body::Operation {
        call,
        uid: None,
        pid: None,
        outcome: Masked::own("done"),
        detail: Vec::new(),
    })
}

fn stop() -> Entry {
    entry(Body::Stop { cause: Masked::own("drained") })
}

async fn append(ledger: &Ledger, call: &'static str) -> Receipt {
    ledger.append(&operation(call)).await.unwrap()
}

async fn durable(ledger: &Ledger, call: &'static str) -> Receipt {
    ledger.sync(append(ledger, call).await).await.unwrap()
}

async fn recorded(ledger: &Ledger, call: &'static str) {
    let _receipt = durable(ledger, call).await;
}

async fn close(ledger: Ledger) {
    let _receipt = ledger.close(stop()).await.unwrap();
}

/// Every line of the directory; each must be one object, numbered without gaps from 1, in the segment that its
/// number belongs to.
fn lines(directory: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    for (first, text) in segments(directory) {
        assert_eq!(first, lines.len() + 1, "a segment is named by its first number");
        lines.extend(parse(&text));
    }
    numbered_from_one(&lines);
    lines
}

/// The segments with what is in them, compressed or not. One that is being compressed meanwhile is looked for again.
fn segments(directory: &Path) -> BTreeMap<usize, String> {
    loop {
        if let Ok(found) = segments_at_once(directory) {
            return found;
        }
    }
}

fn segments_at_once(directory: &Path) -> io::Result<BTreeMap<usize, String>> {
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let Some((digits, suffix)) = name.split_once('.') else { continue };
        let bytes = || std::fs::read(file.path());
        let bytes = match suffix {
            "jsonl" => bytes()?,
            "jsonl.zst" => zstd::stream::decode_all(bytes()?.as_slice()).unwrap(),
            _ => continue,
        };
        found.insert(digits.parse().unwrap(), String::from_utf8(bytes).unwrap());
    }
    Ok(found)
}

fn parse(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole: {text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn numbered_from_one(lines: &[Value]) {
    for (line, seq) in lines.iter().zip(1_u64..) {
        assert_eq!(line["seq"], seq, "{line}");
    }
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["kind"].as_str().unwrap()).collect()
}

fn causes(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter(|line| line["kind"] == "gap")
        .filter_map(|line| line["facts"]["cause"].as_str())
        .collect()
}

/// A disk in memory that does as it is told.
#[derive(Debug)]
struct Disk {
    bytes: Mutex<Vec<u8>>,
    /// Where the checkpoints go; `None` for that disk itself.
    notes: Option<Arc<Self>>,
    /// How many lines each write brought.
    writes: Mutex<Vec<usize>>,
    syncs: AtomicU64,
    /// Bytes that still fit.
    room: AtomicU64,
    free: AtomicU64,
    sync_takes: AtomicU64,
    sync_fails: AtomicBool,
    cut_fails: AtomicBool,
    panics: AtomicBool,
}

#[derive(Debug)]
struct Handle(Arc<Disk>);

impl Disk {
    fn new() -> Arc<Self> {
        Self::with(Some(Self::with(None)))
    }

    fn with(notes: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            notes,
            bytes: Mutex::default(),
            writes: Mutex::default(),
            syncs: AtomicU64::new(0),
            room: AtomicU64::new(u64::MAX),
            free: AtomicU64::new(u64::MAX),
            sync_takes: AtomicU64::new(0),
            sync_fails: AtomicBool::new(false),
            cut_fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        })
    }

    fn ledger(self: &Arc<Self>, change: impl FnOnce(&mut Settings)) -> Ledger {
        let mut settings = settings(Path::new("disk"));
        change(&mut settings);
        let handle = || Handle(Arc::clone(self));
        let segment = Segment::new(Box::new(handle()));
        let notes = Segment::new(Box::new(Handle(Arc::clone(self.notes.as_ref().unwrap()))));
        let key = SigningKey::generate("edge-1/ledger").unwrap();
        let signer = Signer::new(key, Tree::new(Frontier::default()), notes, None);
        let recovered = Recovered { boot: 3, next: 1, segment, signer, aside: None, prunes: false };
        Ledger::start(settings, Box::new(handle()), recovered, false).unwrap()
    }

    /// The whole lines; fails where the last one is torn.
    fn lines(&self) -> Vec<Value> {
        let lines = parse(std::str::from_utf8(&self.bytes.lock().unwrap()).unwrap());
        numbered_from_one(&lines);
        lines
    }
}

impl Store for Handle {
    fn begin(&mut self, _first: u64) -> io::Result<Box<dyn Sink>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn end(&mut self, _subtrees: &Subtrees) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(self.0.free.load(SeqCst))
    }
}

impl Sink for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(!self.0.panics.load(SeqCst), "told to panic");
        let room = usize::try_from(self.0.room.load(SeqCst)).unwrap_or(usize::MAX);
        let fits = &bytes[..bytes.len().min(room)];
        self.0.bytes.lock().unwrap().extend_from_slice(fits);
        self.0.writes.lock().unwrap().push(bytes.split(|byte| *byte == b'\n').count() - 1);
        if fits.len() < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        thread::sleep(Duration::from_millis(self.0.sync_takes.load(SeqCst)));
        self.0.syncs.fetch_add(1, SeqCst);
        if self.0.sync_fails.load(SeqCst) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.0.cut_fails.load(SeqCst) {
            return Err(io::ErrorKind::Other.into());
        }
        self.0.bytes.lock().unwrap().truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

/// Waits, for at most ten seconds, until `holds`.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came: {what}");
}
