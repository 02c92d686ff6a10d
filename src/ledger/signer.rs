//! The tree as it grows, and its checkpoints: what is signed, and when. Owned by the writer's thread, which appends
//! to it what is on disk, so a checkpoint never covers what is not.

use std::io;
use std::time::{Duration, Instant};

use super::hint;
use super::note::{Checkpoint, SigningKey};
use super::subtree::Subtrees;
use super::tree::{Frontier, Hash, Range, leaf};
use super::writer::Segment;

/// Entries are signed at most this long after they were written, give or take the second between two looks.
const EVERY: Duration = Duration::from_secs(9);

/// The tree of all entries on disk.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    before: Frontier,
    within: Range,
    /// Of appended lines, until they are taken.
    hints: Vec<u8>,
}

impl Tree {
    /// The tree at the beginning of a segment.
    pub(super) const fn new(before: Frontier) -> Self {
        let within = Range::new(before.size());
        Self { before, within, hints: Vec::new() }
    }

    /// How many entries it has.
    pub(super) const fn size(&self) -> u64 {
        self.within.span().end
    }

    /// Appends one entry.
    pub(super) fn push(&mut self, leaf: Hash) {
        self.within.append(leaf);
    }

    /// Appends whole lines, each with its line break.
    pub(super) fn append(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while let Some(end) = memchr::memchr(b'\n', rest)
            && let Some((line, after)) = rest.split_at_checked(end)
        {
            let leaf = leaf(line);
            self.hints.extend_from_slice(&hint::of(leaf));
            self.within.append(leaf);
            rest = after.get(1..).unwrap_or_default();
        }
    }

    /// The first entry of the segment, and the hints of lines that were appended since the last time.
    pub(super) fn take_hints(&mut self) -> (u64, Vec<u8>) {
        (self.within.span().begin + 1, std::mem::take(&mut self.hints))
    }

    /// The whole tree.
    pub(super) fn frontier(&self) -> Frontier {
        let mut whole = self.before.clone();
        // `within` begins where `before` ends.
        let _follows = whole.extend(&self.within);
        whole
    }

    /// The subtrees of the segment that ends here; `None` where it has no entry.
    pub(super) fn segment(&self, until: i64) -> Option<Subtrees> {
        let (before, within) = (self.before.clone(), self.within.clone());
        (!within.nodes().is_empty()).then_some(Subtrees { before, within, until })
    }

    /// Another segment begins.
    pub(super) fn turn(&mut self) {
        *self = Self::new(self.frontier());
    }
}

/// Signs the tree.
pub(super) struct Signer {
    key: SigningKey,
    pub(super) tree: Tree,
    /// The file `checkpoints`.
    notes: Segment,
    newest: Option<Checkpoint>,
    last: Option<Instant>,
}

impl Signer {
    /// Goes on with `tree`, whose newest checkpoint is the last of `notes`.
    pub(super) const fn new(
        key: SigningKey,
        tree: Tree,
        notes: Segment,
        newest: Option<Checkpoint>,
    ) -> Self {
        Self { key, tree, notes, newest, last: None }
    }

    /// The newest checkpoint.
    pub(super) const fn newest(&self) -> Option<&Checkpoint> {
        self.newest.as_ref()
    }

    /// The public half of the key, as text.
    pub(super) fn public(&self) -> String {
        self.key.verifier().to_string()
    }

    /// The head of the tree as of now.
    pub(super) fn head(&self) -> Checkpoint {
        let whole = self.tree.frontier();
        let origin = self.key.verifier().name().to_owned();
        Checkpoint { origin, size: whole.size(), root: whole.root() }
    }

    /// Whether the newest checkpoint covers everything.
    pub(super) fn covers_all(&self) -> bool {
        self.newest.as_ref().map_or(0, |newest| newest.size) >= self.tree.size()
    }

    /// Whether it is time for a checkpoint.
    pub(super) fn is_due(&self) -> bool {
        !self.covers_all() && self.last.is_none_or(|last| last.elapsed() >= EVERY)
    }

    /// Puts a checkpoint of everything on disk; gives it and its note, `None` where the newest one covers all.
    pub(super) fn sign(&mut self) -> io::Result<Option<(Checkpoint, String)>> {
        if self.covers_all() {
            return Ok(None);
        }
        let head = self.head();
        let note = head.sign(&self.key);
        self.notes.append(format!("{note}\n").as_bytes(), 0)?;
        self.newest = Some(head.clone());
        self.last = Some(Instant::now());
        Ok(Some((head, note)))
    }
}
