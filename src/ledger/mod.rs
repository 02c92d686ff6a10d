//! The audit ledger: numbered JSON lines, one lock-ordered batch, one writer, group commit. What an entry means
//! to the law is not known here.
//!
//! The way of an entry: `line` renders it in the caller's thread; `shared` gives it its number under a short lock
//! and places it in the `batch`; the `writer` puts whole batches on disk (`segment`) and tells those who wait.
//! `recover` is what a start makes of what it finds; `limit` keeps strangers from filling the disk.
//!
//! Evidence: every line is a leaf of the `tree` (pure); the `signer` puts checkpoints ([`note`]) of what is on disk into
//! `checkpoints`; a closed segment leaves its [`Subtrees`]; the `keeper` compresses and prunes; `resume` holds a start to
//! what was signed. The files are a public format: `docs/ledger.md`.
//!
//! Whoever reads it, also beside a running writer: `reading` gives the lines, [`Record`] an entry, `show` those somebody
//! wants to see; `verify` holds lines, checkpoints and outsiders' heads against each other; `prove` makes one entry stand
//! for itself; `seal` ends it.
//!
//! A [`Receipt`] is made here and nowhere else; it is what a permit is claimed from.

mod batch;
mod checkpoints;
mod entry;
mod file;
mod hint;
mod json;
mod keeper;
mod key;
mod limit;
mod line;
pub mod note;
pub mod prove;
pub mod reading;
pub mod recall;
mod receipt;
mod record;
mod recover;
mod rehearsal;
mod resume;
pub mod seal;
mod segment;
mod settings;
mod shared;
pub mod show;
mod signer;
mod state;
mod stats;
mod subtree;
pub mod tree;
pub mod verify;
mod writer;

#[cfg(test)]
mod test;

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use entry::{Body, ClientFacts, ConnectionId, Entry, Kind, PolicyDigest, RequestFacts};
pub use key::verifier;
pub use receipt::{Kept, Receipt, Unwritable};
pub use record::{Head, Record};
pub use rehearsal::{Noted, Rehearsal};
pub use settings::{LedgerError, Settings};
pub use stats::{Durations, Stats};
pub use subtree::Subtrees;

use crate::appliance::WhenUnwritable;
use crate::flow::Timestamp;
use keeper::Keeper;
use limit::{Counted, Limit};
use recover::{Recovered, stepped};
use segment::{Directory, Store};
use shared::Shared;
use state::{Draft, Placement, Waiting};
use writer::Writer;

/// A handle on the ledger; clones share one batch and one writer. When the last one is dropped without
/// [`Ledger::close`], what was placed is still written, but the next start records an unclean stop.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
    /// Where a self-test looks at what it has recorded; its entries are flagged.
    rehearsal: Option<Rehearsal>,
}

struct Inner {
    shared: Arc<Shared>,
    limit: Mutex<Limit>,
    /// What the clock said last, and how long the process had run by then.
    clock: Mutex<Option<(Timestamp, Duration)>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A clock that is this far off from one second to the next was set; what keeps it right moves it slower.
const STEP: Duration = Duration::from_millis(500);

thread_local! {
    /// The room that entries are rendered into, one after the other.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Ledger {
    /// Continues the ledger in its directory, or begins one, and starts the writer's thread. What an earlier
    /// process left undone is recorded and on disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError`]: another process writes it, the file system says no, or what is there is damaged and the
    /// box file says `refuse` (under `continue` it is set aside and a new one begins, which a gap entry records).
    pub fn open(settings: Settings) -> Result<Self, LedgerError> {
        let directory = Directory::lock(&settings.directory)?;
        if seal::is_sealed(&settings.directory) {
            return Err(LedgerError::Sealed { directory: settings.directory });
        }
        let recovered = recover::recover(&directory, &settings)?;
        Self::start(settings, Box::new(directory), recovered, true)
    }

    fn start(
        settings: Settings,
        store: Box<dyn Store>,
        recovered: Recovered,
        is_kept: bool,
    ) -> Result<Self, LedgerError> {
        let path = settings.directory.clone();
        let free = store.free().map_err(LedgerError::io("tell the free space of", &path))?;
        let shared = Arc::new(Shared::new(settings, &recovered, free));
        let Recovered { segment, signer, prunes, .. } = recovered;
        let failed = || LedgerError::io("start the writer of", &path);
        let keeper = is_kept.then(|| Keeper::new(Arc::clone(&shared), prunes).spawn());
        let (news, keeper) = keeper.transpose().map_err(failed())?.unzip();
        let writer = Writer::new(Arc::clone(&shared), store, (segment, signer), news);
        let threads = writer.spawn().map_err(failed())?.into_iter().chain(keeper);
        let inner = Inner {
            limit: Mutex::default(),
            clock: Mutex::default(),
            threads: Mutex::new(threads.collect()),
            shared,
        };
        Ok(Self { inner: Arc::new(inner), rehearsal: None })
    }

    /// Numbers `entry` and places it in the batch. Waits only while the batch is full. After a
    /// [`Body::Stop`] nothing more is taken.
    ///
    /// # Errors
    /// [`Unwritable`] under `when_unwritable: refuse`; under `continue` the receipt is [`Kept::Waived`].
    pub async fn append(&self, entry: &Entry) -> Result<Receipt, Unwritable> {
        let draft = draft(entry, self.rehearsal.is_some());
        let placement = self.place(&draft).await;
        SCRATCH.set(draft.rendered);
        let (seq, kept) = match placement {
            Placement::Placed(seq) => (seq, Kept::Queued),
            Placement::Away(gap) if self.waives() => (gap, Kept::Waived),
            Placement::Away(_) | Placement::Over | Placement::Full => return Err(Unwritable),
        };
        let Entry { at, connection, body, .. } = entry;
        let (kind, boot) = (body.kind(), self.boot());
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.note(Noted { seq, kind, reason: body.reason() });
        }
        let (connection, verdict) = (*connection, body.verdict().cloned());
        Ok(Receipt { seq, boot, kind, at: *at, connection, verdict, kept })
    }

    async fn place(&self, draft: &Draft) -> Placement {
        let shared = &self.inner.shared;
        loop {
            let placement = shared.place(draft);
            if placement != Placement::Full {
                return placement;
            }
            // Room that is made between the two attempts is not missed.
            let mut room = pin!(shared.room.notified());
            room.as_mut().enable();
            let placement = shared.place(draft);
            if placement != Placement::Full {
                return placement;
            }
            room.await;
        }
    }

    /// Waits until the entry of `receipt`, and so every earlier one, is on disk. At once where it is already
    /// durable or waived.
    ///
    /// # Errors
    /// [`Unwritable`] under `when_unwritable: refuse` when the sync fails or takes longer than `sync_timeout`;
    /// under `continue` the receipt is then [`Kept::Waived`].
    pub async fn sync(&self, receipt: Receipt) -> Result<Receipt, Unwritable> {
        if receipt.kept != Kept::Queued {
            return Ok(receipt);
        }
        let durable = match self.inner.shared.wait_for(receipt.seq) {
            Waiting::Durable => true,
            Waiting::Told(answer) => answer.await.unwrap_or(false),
            Waiting::Away => false,
        };
        if durable {
            Ok(Receipt { kept: Kept::Durable, ..receipt })
        } else if self.waives() {
            self.inner.shared.waive(receipt.at);
            Ok(Receipt { kept: Kept::Waived, ..receipt })
        } else {
            Err(Unwritable)
        }
    }

    /// Records a refusal that needed no identity: 20 a minute per source and reason as entries of their own
    /// (then `Some(receipt)`), the rest counted into a summary (`None`).
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub async fn append_limited(
        &self,
        source: IpAddr,
        entry: &Entry,
    ) -> Result<Option<Receipt>, Unwritable> {
        let Some(reason) = entry.body.reason().filter(|_| self.rehearsal.is_none()) else {
            return self.append(entry).await.map(Some);
        };
        let admission = self.limit().admit(source, reason, entry.at, entry.policy);
        if let Some(counted) = admission.ended {
            self.summarise(counted, entry.at).await;
        }
        if admission.listed { self.append(entry).await.map(Some) } else { Ok(None) }
    }

    /// Records what is due at `now`: summaries of minutes that are over, and the gap entry after the ledger could
    /// not be written. To be called every second or so.
    pub async fn tick(&self, now: Timestamp) {
        self.inner.shared.settle(now);
        if self.is_writable() {
            let ended = self.limit().expire(Some(now));
            for counted in ended {
                self.summarise(counted, now).await;
            }
        }
    }

    /// Holds the clock against steady time, to be called every second or so with both of one moment: where they
    /// disagree, the clock was set or the machine slept, and the entries around it are flagged by a gap entry.
    pub fn keep_time(&self, now: Timestamp, steady: Duration) {
        let mut last = self.inner.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = last.map(|(then, was)| (then, then.plus(steady.saturating_sub(was))));
        if let Some((then, expected)) = expected
            && now.since(expected).max(expected.since(now)) >= STEP
        {
            tracing::warn!(%expected, %now, "the clock was set, or the machine slept");
            let mut rendered = Vec::new();
            line::render_parts(&mut rendered, (now, None, None), &stepped(then));
            let draft = Draft { at: now, policy: None, kind: Kind::Gap, rendered };
            if !matches!(self.inner.shared.place(&draft), Placement::Placed(_)) {
                // It is recorded once the ledger can be written: the clock stays as far off till then.
                return;
            }
        }
        *last = Some((now, steady));
    }

    /// Records what was counted, then `stop` as the last entry, and returns once everything is on disk and the
    /// writer has ended. Clones of the handle take nothing more.
    ///
    /// # Errors
    /// [`Unwritable`] where not everything could be put on disk, under `continue` too.
    pub async fn close(self, stop: Entry) -> Result<Receipt, Unwritable> {
        let counted = self.limit().expire(None);
        for counted in counted {
            self.summarise(counted, stop.at).await;
        }
        let stopped = match self.append(&stop).await {
            Ok(receipt) => self.sync(receipt).await,
            Err(Unwritable) => Err(Unwritable),
        };
        self.inner.shared.close();
        let receipt = stopped.ok().filter(|receipt| receipt.kept == Kept::Durable);
        if receipt.is_some() {
            self.inner.join();
        }
        receipt.ok_or(Unwritable)
    }

    /// This boot's number; grows by one at every start.
    pub fn boot(&self) -> u64 {
        self.inner.shared.boot
    }

    /// Says that the calling thread serves nobody for the moment, so that the writer may have the core: what must be on disk
    /// soon is written now, not in the middle of the next request.
    pub fn rest(&self) {
        self.inner.shared.rest();
    }

    /// Whether entries can be written now.
    pub fn is_writable(&self) -> bool {
        self.inner.shared.is_writable()
    }

    /// Whether the writer died. Nothing heals this: the process must end.
    pub fn is_dead(&self) -> bool {
        self.inner.shared.is_dead()
    }

    /// The ledger's numbers, as of now.
    pub fn stats(&self) -> Stats {
        self.inner.shared.stats()
    }

    /// The same ledger for a self-test: whatever is written through `rehearsal` is flagged, and can be looked at there.
    #[must_use]
    pub fn rehearse(&self, rehearsal: &Rehearsal) -> Self {
        Self { inner: Arc::clone(&self.inner), rehearsal: Some(rehearsal.clone()) }
    }

    /// A number for a new client connection, unique within this boot.
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.inner.shared.connections.fetch_add(1, Ordering::Relaxed))
    }

    async fn summarise(&self, counted: Counted, at: Timestamp) {
        let body = counted.body();
        let entry = Entry { at, policy: counted.policy(), connection: None, body };
        let kept = self.append(&entry).await.map(|receipt| receipt.kept);
        if kept != Ok(Kept::Queued) {
            self.limit().put_back(counted);
        }
    }

    fn waives(&self) -> bool {
        self.inner.shared.settings.when_unwritable == WhenUnwritable::Continue && !self.is_dead()
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.inner.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn draft(entry: &Entry, is_selftest: bool) -> Draft {
    let mut rendered = SCRATCH.take();
    rendered.clear();
    line::render(&mut rendered, entry, is_selftest);
    Draft { at: entry.at, policy: Some(entry.policy), kind: entry.body.kind(), rendered }
}

impl Inner {
    fn join(&self) {
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A writer that panicked has said so itself.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        self.join();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("boot", &self.shared.boot)
            .field("stats", &self.shared.stats())
            .finish_non_exhaustive()
    }
}
