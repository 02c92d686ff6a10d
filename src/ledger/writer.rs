//! The one thread that writes: takes the whole batch, writes it, syncs it, tells those who wait. Knows neither
//! entries nor JSON.
//!
//! A batch stays in its hand until it is on disk. After a failed sync the kernel may have dropped what was
//! written, so an attempt that failed is undone (the segment is cut back to its last synced line) and done again.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::batch::Batch;
use super::keeper::News;
use super::segment::{Sink, Store};
use super::shared::{Job, Shared};
use super::signer::Signer;
use super::state::Obstacle;

/// The segment that is written now.
pub(super) struct Segment {
    pub(super) sink: Box<dyn Sink>,
    /// Bytes that are on disk; always whole lines.
    pub(super) length: u64,
    /// The day of its lines; `None` while it is empty.
    pub(super) day: Option<i64>,
    /// Whether there may be bytes behind `length`.
    pub(super) torn: bool,
}

impl Segment {
    /// An empty one.
    pub(super) fn new(sink: Box<dyn Sink>) -> Self {
        Self { sink, length: 0, day: None, torn: false }
    }

    /// Puts whole lines (or notes) on disk, or leaves the segment as it was as soon as the disk lets it.
    pub(super) fn append(&mut self, lines: &[u8], day: i64) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        let written = self.sink.write(lines).and_then(|()| self.sink.sync());
        if written.is_err() {
            // Where this fails too, the next attempt begins with it.
            let _again = self.mend();
            return written;
        }
        self.torn = false;
        self.length += lines.len() as u64;
        self.day = Some(day);
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.sink.cut(self.length)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Owned by the writer's thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    segment: Segment,
    signer: Signer,
    /// Who is told of closed segments and checkpoints.
    keeper: Option<SyncSender<News>>,
    hand: Batch,
    last_look: Instant,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        store: Box<dyn Store>,
        (segment, signer): (Segment, Signer),
        keeper: Option<SyncSender<News>>,
    ) -> Self {
        let (hand, last_look) = (Batch::default(), Instant::now());
        Self { shared, store, segment, signer, keeper, hand, last_look }
    }

    /// Starts the thread, and the one that watches it.
    pub(super) fn spawn(self) -> io::Result<[JoinHandle<()>; 2]> {
        let watched = Arc::clone(&self.shared);
        let watch =
            thread::Builder::new().name("ledger-watch".into()).spawn(move || watched.watch())?;
        let writer = thread::Builder::new().name("ledger-writer".into());
        // Where the thread cannot be made, dropping this ends the watch.
        let end = End(Arc::clone(&self.shared));
        let writer = writer.spawn(move || {
            let _end = end;
            self.run();
        })?;
        Ok([writer, watch])
    }

    fn run(mut self) {
        let mut last_commit = Instant::now();
        loop {
            match self.shared.next_job(&mut self.hand, last_commit, self.last_look) {
                Job::Commit => {
                    last_commit = Instant::now();
                    if !self.commit_at_last() {
                        return;
                    }
                    // Nobody waits for this any more: what is on disk was told.
                    self.signer.tree.append(self.hand.bytes());
                    self.look_if_due();
                }
                Job::Look => self.look(),
                Job::End => {
                    self.put_hints();
                    return self.sign();
                }
            }
        }
    }

    /// Tries until the batch is on disk. `false` where the ledger was closed before that.
    fn commit_at_last(&mut self) -> bool {
        let mut goes_on = true;
        loop {
            let began = Instant::now();
            let Err(error) = self.commit() else {
                self.shared.committed(self.hand.end(), began.elapsed());
                return true;
            };
            tracing::error!(%error, "the ledger cannot be written");
            self.shared.obstruct(Obstacle::Failed);
            if !goes_on {
                return false;
            }
            self.measure();
            goes_on = self.shared.wait_to_retry();
        }
    }

    /// Writes and syncs what is in the hand.
    fn commit(&mut self) -> io::Result<()> {
        if self.is_next_segment_due() {
            self.end_segment()?;
            self.begin_segment()?;
        }
        self.segment.append(self.hand.bytes(), self.hand.day())
    }

    fn is_next_segment_due(&self) -> bool {
        let Segment { length, day, .. } = self.segment;
        let grown = length + self.hand.bytes().len() as u64 > self.shared.settings.segment_size;
        length > 0 && (grown || day.is_some_and(|day| day != self.hand.day()))
    }

    /// Not with every commit: it is another write, in which serving threads may have to wait.
    fn put_hints(&mut self) {
        let (first, hints) = self.signer.tree.take_hints();
        self.store.hint(first, &hints);
    }

    /// A checkpoint covers the segment before its subtrees are kept, which a start believes for that reason.
    fn end_segment(&mut self) -> io::Result<()> {
        self.put_checkpoint()?;
        if let Some(subtrees) = self.signer.tree.segment(self.segment.day.unwrap_or(0)) {
            self.store.end(&subtrees)?;
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let sink = self.store.begin(self.hand.first())?;
        self.put_hints();
        self.segment = Segment::new(sink);
        self.signer.tree.turn();
        self.tell(News::Closed);
        Ok(())
    }

    fn put_checkpoint(&mut self) -> io::Result<()> {
        if let Some((checkpoint, note)) = self.signer.sign()? {
            self.shared.signed(checkpoint);
            self.tell(News::Signed(note));
        }
        Ok(())
    }

    /// A checkpoint of everything on disk. Where it cannot be written, the ledger cannot: what is unsigned can be
    /// changed unseen.
    fn sign(&mut self) {
        self.shared.signing(Some(Instant::now()));
        match self.put_checkpoint() {
            Ok(()) => self.shared.signing(None),
            Err(error) => {
                tracing::error!(%error, "the ledger's checkpoint cannot be written");
                self.shared.obstruct(Obstacle::Unsigned);
            }
        }
    }

    /// What does not fit now is found at the keeper's next look; a newer checkpoint takes the place of this one.
    fn tell(&self, news: News) {
        if let Some(keeper) = &self.keeper {
            let _full = keeper.try_send(news);
        }
    }

    fn look_if_due(&mut self) {
        if self.last_look.elapsed().as_secs() >= 1 || self.signer.is_due() {
            self.look();
        }
    }

    fn look(&mut self) {
        self.put_hints();
        self.measure();
        if self.signer.is_due() {
            self.sign();
        }
    }

    fn measure(&mut self) {
        self.last_look = Instant::now();
        match self.store.free() {
            Ok(free) => self.shared.measured(free),
            Err(error) => tracing::error!(%error, "the free space of the ledger cannot be told"),
        }
    }
}

/// Says that the writer has ended, also where it panicked.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.obstruct(Obstacle::Dead);
        }
        self.0.ended();
    }
}
