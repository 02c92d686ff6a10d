//! How fast a ledger is verified: entries a second on one core, plain and compressed, the file cache warm. Writes its
//! own ledger into a temporary folder; prints figures and judges none.
//!
//! `cargo bench --bench verify [-- ENTRIES]`

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::expect_used, reason = "a bench that cannot measure has nothing to say")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use sekisho::ledger::note::{Checkpoint, SigningKey};
use sekisho::ledger::tree::{Frontier, leaf};
use sekisho::ledger::verify::{Outcome, verify};

/// As the proxy writes them: a request with its facts.
fn line(seq: u64) -> String {
    let digest = "4f".repeat(32);
    format!(
        r#"{{"seq":{seq},"boot":17,"at":"2026-11-22T02:14:{:02}.{:06}Z","kind":"request","connection":{},"policy":"{digest}","stage":"dial","verdict":"allow","rule":"register","facts":{{"method":"POST","host":"intermediate-server","path":"/exchange/*","endpoint":"10.200.1.10:443"}}}}"#,
        seq / 1_000_000 % 60,
        seq % 1_000_000,
        seq / 7
    )
}

/// Segments of 64 MiB, a checkpoint every 10 000 entries.
fn write(directory: &Path, entries: u64, key: &SigningKey) -> u64 {
    let mut notes = String::new();
    let mut tree = Frontier::default();
    let (mut bytes, mut room) = (0, 0);
    let mut segment: Option<BufWriter<fs::File>> = None;
    for seq in 1..=entries {
        let text = line(seq);
        if room < text.len() {
            let path = directory.join(format!("{seq:012}.jsonl"));
            segment = Some(BufWriter::new(fs::File::create(path).expect("a segment")));
            room = 64 << 20;
        }
        let file = segment.as_mut().expect("a segment is open");
        writeln!(file, "{text}").expect("a line is written");
        room -= text.len();
        bytes += text.len() as u64 + 1;
        tree.append(leaf(text.as_bytes()));
        if seq.is_multiple_of(10_000) || seq == entries {
            let origin = key.verifier().name().to_owned();
            notes += &Checkpoint { origin, size: seq, root: tree.root() }.sign(key);
            notes += "\n";
        }
    }
    segment.expect("a segment").flush().expect("the last lines are written");
    fs::write(directory.join("checkpoints"), notes).expect("the checkpoints are written");
    bytes
}

fn compress(directory: &Path) {
    for file in fs::read_dir(directory).expect("the directory").flatten() {
        let path = file.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let packed = fs::File::create(path.with_extension("jsonl.zst")).expect("a file");
            let plain = fs::File::open(&path).expect("a segment");
            zstd::stream::copy_encode(plain, packed, 3).expect("it is compressed");
            fs::remove_file(path).expect("the lines are removed");
        }
    }
}

fn measure(name: &str, (directory, key): (&Path, &SigningKey), entries: u64) {
    let mut best = Duration::MAX;
    for _round in 0..3 {
        let began = Instant::now();
        let found = verify((directory, key.verifier()), &[], &mut |_| {}).expect("it is read");
        best = best.min(began.elapsed());
        assert_eq!((found.outcome(), found.signed), (Outcome::Intact, entries), "{found:?}");
    }
    let rate = entries as f64 / best.as_secs_f64();
    println!(
        "{name}: {:.2} s, {rate:.0} entries/s, {:.0} ns an entry",
        best.as_secs_f64(),
        1e9 / rate
    );
}

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let entries: u64 = asked.unwrap_or(2_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let key = SigningKey::generate("bench/ledger").expect("a key");
    let bytes = write(folder.path(), entries, &key);
    println!("{entries} entries, {} bytes each, one thread, file cache warm", bytes / entries);
    measure("plain", (folder.path(), &key), entries);
    compress(folder.path());
    measure("zstd", (folder.path(), &key), entries);
}
