//! What is done with segments once they are closed, off the writer's way: compressed, held against their subtrees,
//! and after `retain` removed. A thread of its own, at the lowest priority.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::entry::{Body, Kind};
use super::file;
use super::hint;
use super::key;
use super::line;
use super::resume;
use super::segment::{Directory, Stored};
use super::shared::Shared;
use super::state::{Draft, Placement, Waiting};
use super::subtree::Subtrees;
use super::tree::{Range, leaf};
use crate::policy::Masked;

/// How often it looks whether a day is over.
const LOOK: Duration = Duration::from_mins(1);
/// How many things may wait for it. What does not fit is done at its next look.
const WAITING: usize = 16;
/// Zstandard's default, measured in `docs/ledger.md`.
const LEVEL: i32 = 3;
const DAY: i64 = 86_400;
const DAY_LENGTH: Duration = Duration::from_hours(24);

/// What the writer tells it.
#[derive(Debug)]
pub(super) enum News {
    /// A checkpoint was written; a copy belongs into the state directory.
    Signed(String),
    /// A segment was closed.
    Closed,
}

/// Owned by its thread.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    directory: PathBuf,
    begun: Instant,
    /// Whether the time of the start is believed: not where it lies a month behind the last entry.
    prunes: bool,
    /// Segments that are not what their subtrees say; said once.
    spoiled: BTreeSet<u64>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, prunes: bool) -> Self {
        let directory = shared.settings.directory.clone();
        Self { shared, directory, begun: Instant::now(), prunes, spoiled: BTreeSet::new() }
    }

    /// Starts the thread; it ends when the sender is dropped.
    pub(super) fn spawn(mut self) -> io::Result<(SyncSender<News>, JoinHandle<()>)> {
        let (sender, news) = sync_channel(WAITING);
        let keeper = thread::Builder::new().name("ledger-keeper".into());
        let thread = keeper.spawn(move || {
            // Of this thread only: Linux counts them apart. Where it is refused, it only takes more of the machine.
            let _nice = rustix::process::setpriority_process(None, 19);
            self.run(&news);
        })?;
        Ok((sender, thread))
    }

    fn run(&mut self, news: &Receiver<News>) {
        self.look();
        loop {
            match news.recv_timeout(LOOK) {
                Ok(News::Signed(note)) => self.keep_head(&note),
                Ok(News::Closed) | Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn keep_head(&self, note: &str) {
        if let Err(error) = key::keep_head(&self.shared.settings.state, note) {
            tracing::error!(%error, "the copy of the ledger's head could not be written");
        }
    }

    fn look(&mut self) {
        if let Err(error) = self.compress_due().and_then(|()| self.prune_due()) {
            tracing::error!(%error, "closed segments of the ledger could not be kept in order; tried again in a minute");
        }
    }

    /// The day, by the clock at the start and by steady time since: a clock that is set forward removes nothing.
    fn today(&self) -> i64 {
        let now = self.shared.settings.started.plus(self.begun.elapsed());
        now.as_seconds().div_euclid(DAY)
    }

    /// The segments of past days, and large ones; those of today stay as they are, to be looked at.
    fn compress_due(&mut self) -> io::Result<()> {
        let large = self.shared.settings.segment_size / 2;
        for (segment, subtrees) in self.closed()? {
            let due = subtrees.until < self.today() || fs::metadata(&segment.path)?.len() >= large;
            if due && !segment.packed && !self.spoiled.contains(&segment.first) {
                if self.shared.has_ended() {
                    break;
                }
                self.compress(&segment, &subtrees)?;
            }
        }
        Ok(())
    }

    /// Closed segments that have their lines, with their subtrees. The last one with lines is left to the next start.
    fn closed(&self) -> io::Result<Vec<(Stored, Subtrees)>> {
        let mut stored = Directory::stored_in(&self.directory)?;
        let has_lines = |segment: &Stored| segment.packed || length(&segment.path) > 0;
        let last = stored.iter().rposition(has_lines).unwrap_or(0);
        stored.truncate(last);
        let mut closed = Vec::new();
        for segment in stored {
            let name = self.directory.join(format!("{:012}.tree", segment.first));
            let subtrees = file::read(&name)?.and_then(|text| Subtrees::parse(&text));
            closed.extend(subtrees.map(|subtrees| (segment, subtrees)));
        }
        Ok(closed)
    }

    /// The lines go only once what stands in their place was read back and hashed as they were.
    fn compress(&mut self, segment: &Stored, subtrees: &Subtrees) -> io::Result<()> {
        let mut name = segment.path.clone().into_os_string();
        name.push(".zst");
        let name = PathBuf::from(name);
        let (draft, out) = file::draft(&name, 0o640)?;
        let mut encoder = zstd::stream::Encoder::new(out, LEVEL)?;
        encoder.include_checksum(true)?;
        io::copy(&mut fs::File::open(&segment.path)?, &mut encoder)?;
        let out = encoder.finish()?;
        if hashed(&draft, subtrees)? != subtrees.within {
            tracing::error!(file = %segment.path.display(), "a closed segment is not what was written; it is left as it is");
            self.spoiled.insert(segment.first);
            return fs::remove_file(&draft);
        }
        file::settle(&out, &draft, &name)?;
        fs::remove_file(&segment.path)?;
        file::sync_parent(&segment.path)
    }

    /// Segments whose last day is longer ago than `retain`, the oldest first. Each is recorded before it goes.
    fn prune_due(&self) -> io::Result<()> {
        if !self.prunes {
            return Ok(());
        }
        let retain = self.shared.settings.retain.as_nanos().div_ceil(DAY_LENGTH.as_nanos());
        let oldest = self.today().saturating_sub(i64::try_from(retain).unwrap_or(i64::MAX));
        for (segment, subtrees) in self.closed()? {
            if subtrees.until >= oldest || !self.record(&subtrees) {
                break;
            }
            fs::remove_file(&segment.path)?;
            // Whoever wrote before there were hints has none.
            let _gone = fs::remove_file(hint::path(&self.directory, segment.first));
            file::sync_parent(&segment.path)?;
            tracing::info!(
                from = subtrees.first(),
                to = subtrees.last(),
                "a segment of the ledger was pruned"
            );
        }
        Ok(())
    }

    /// Whether it is on disk that these entries are removed.
    fn record(&self, subtrees: &Subtrees) -> bool {
        let at = self.shared.settings.started.plus(self.begun.elapsed());
        let body = Body::Operation {
            call: Masked::own("prune"),
            uid: None,
            pid: None,
            outcome: Masked::own("done"),
            detail: vec![Masked::entries(subtrees.first(), subtrees.last())],
        };
        let mut rendered = Vec::new();
        line::render_parts(&mut rendered, (at, None, None), &body);
        let draft = Draft { at, policy: None, kind: Kind::Operation, rendered };
        let Placement::Placed(seq) = self.shared.place(&draft) else { return false };
        match self.shared.wait_for(seq) {
            Waiting::Durable => true,
            Waiting::Told(answer) => answer.blocking_recv().unwrap_or(false),
            Waiting::Away => false,
        }
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// What the compressed lines hash to.
fn hashed(path: &Path, subtrees: &Subtrees) -> io::Result<Range> {
    let mut lines = resume::open(path, true)?;
    let mut range = Range::new(subtrees.first() - 1);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        range.append(leaf(line.strip_suffix(b"\n").unwrap_or(&line)));
        line.clear();
    }
    Ok(range)
}
