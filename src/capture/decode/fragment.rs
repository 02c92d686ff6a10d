//! IP datagrams that wait for their fragments, in a bounded table.
//!
//! Where fragments overlap, the bytes that came first stay (receivers differ; RFC 5722 drops such datagrams whole).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{Address, Stack, Stamp};
use crate::capture::{Bounds, Reason};
use crate::flow::Timestamp;

/// How long a datagram waits (RFC 8200 §4.5).
const PATIENCE: Duration = Duration::from_mins(1);
/// The largest datagram that IP can name.
const LARGEST: u32 = 65_535;

/// Fragments of one datagram: more than the largest datagram has on the smallest network (RFC 791 §3.1: 68 bytes).
const PIECES_MAX: usize = 1400;

/// What tells the datagrams of two hosts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) protocol: u8,
    pub(super) identification: u32,
}

/// One fragment.
pub(super) struct Piece<'a> {
    pub(super) offset: u32,
    pub(super) more: bool,
    pub(super) bytes: &'a [u8],
    /// Whether the capture kept only part of it.
    pub(super) cut: bool,
}

/// What became of a fragment.
pub(super) enum Added {
    /// It waits.
    Held,
    /// Its datagram is complete.
    Whole(Box<Partial>),
    /// It was not taken.
    Refused(Reason),
}

/// A datagram of which some fragments came.
pub(super) struct Partial {
    key: Key,
    stack: Stack,
    stamp: Stamp,
    pieces: Vec<Held>,
    /// Bytes of the whole, once its last fragment came.
    total: Option<u32>,
    held: usize,
}

struct Held {
    offset: u32,
    file: u32,
    bytes: Box<[u8]>,
    cut: bool,
}

/// Every datagram that waits.
pub(in crate::capture) struct Fragments {
    waiting: HashMap<Key, Partial>,
    /// In the order in which their first fragments came; may name datagrams that are gone.
    order: VecDeque<(Key, Timestamp)>,
    held: usize,
    datagrams_max: usize,
    bytes_max: usize,
}

impl Fragments {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            waiting: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
            datagrams_max: bounds.datagrams,
            bytes_max: bounds.fragment_bytes,
        }
    }

    /// Takes a fragment in.
    pub(super) fn add(
        &mut self,
        key: Key,
        piece: &Piece<'_>,
        stack: &Stack,
        stamp: Stamp,
    ) -> Added {
        let end = u64::from(piece.offset) + piece.bytes.len() as u64;
        if end > u64::from(LARGEST) {
            return Added::Refused(Reason::BadLength);
        }
        let many = self.waiting.get(&key).is_some_and(|known| known.pieces.len() >= PIECES_MAX);
        if many || self.held.saturating_add(piece.bytes.len()) > self.bytes_max {
            return Added::Refused(Reason::Bound);
        }
        if !self.waiting.contains_key(&key) {
            self.order.push_back((key, stamp.at));
        }
        let partial = self.waiting.entry(key).or_insert_with(|| Partial::new(key, *stack, stamp));
        let before = partial.held;
        partial.add(piece, stamp, stack);
        self.held += partial.held - before;
        if !partial.is_whole() {
            return Added::Held;
        }
        self.remove(&key).map_or(Added::Held, |whole| Added::Whole(Box::new(whole)))
    }

    /// The oldest datagram, if it waited too long or there are too many.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Option<Partial> {
        self.forget_gone();
        let (key, since) = *self.order.front()?;
        let late = now.since(since) > PATIENCE || self.waiting.len() >= self.datagrams_max;
        if late { self.remove(&key) } else { None }
    }

    /// The oldest datagram, whatever its age.
    pub(super) fn oldest(&mut self) -> Option<Partial> {
        self.forget_gone();
        let (key, _) = *self.order.front()?;
        self.remove(&key)
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.waiting.remove(key)?;
        self.held = self.held.saturating_sub(partial.held);
        Some(partial)
    }

    /// Drops the gone ones from the front, and from everywhere once they are most of the order.
    fn forget_gone(&mut self) {
        if self.order.len() > 4 * self.datagrams_max.max(64) {
            let waiting = &self.waiting;
            self.order.retain(|(key, since)| {
                waiting.get(key).is_some_and(|partial| partial.stamp.at == *since)
            });
        }
        while let Some((key, since)) = self.order.front() {
            if self.waiting.get(key).is_some_and(|partial| partial.stamp.at == *since) {
                return;
            }
            self.order.pop_front();
        }
    }
}

impl Partial {
    fn new(key: Key, stack: Stack, stamp: Stamp) -> Self {
        Self { key, stack, stamp, pieces: Vec::new(), total: None, held: 0 }
    }

    /// Keeps the pieces in the order of their offsets.
    fn add(&mut self, piece: &Piece<'_>, stamp: Stamp, stack: &Stack) {
        if !piece.more {
            self.total = Some(piece.offset + u32::try_from(piece.bytes.len()).unwrap_or(LARGEST));
        }
        if piece.offset == 0 {
            self.stack = *stack;
        }
        let held = Held {
            offset: piece.offset,
            file: stamp.file,
            bytes: Box::from(piece.bytes),
            cut: piece.cut,
        };
        self.held += piece.bytes.len() + size_of::<Held>();
        // Behind those of the same offset: the first to come is read first.
        let place = self.pieces.partition_point(|other| other.offset <= held.offset);
        self.pieces.insert(place, held);
    }

    fn is_whole(&self) -> bool {
        let Some(total) = self.total else { return false };
        let mut covered = 0;
        for piece in &self.pieces {
            if piece.offset > covered || piece.cut {
                return false;
            }
            covered = covered.max(piece.offset + u32::try_from(piece.bytes.len()).unwrap_or(0));
        }
        covered >= total
    }

    /// The datagram in one piece.
    pub(super) fn joined(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.total.unwrap_or(0) as usize);
        for piece in &self.pieces {
            let known = whole.len().saturating_sub(piece.offset as usize);
            whole.extend_from_slice(piece.bytes.get(known..).unwrap_or_default());
        }
        whole.truncate(self.total.unwrap_or(0) as usize);
        whole
    }

    /// The first fragment's bytes, if it came.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.pieces.first().filter(|piece| piece.offset == 0).map(|piece| &*piece.bytes)
    }

    /// The input of each fragment.
    pub(super) fn files(&self) -> impl Iterator<Item = u32> {
        self.pieces.iter().map(|piece| piece.file)
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn stack(&self) -> &Stack {
        &self.stack
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Bytes of the whole as far as they are known.
    pub(super) fn length(&self) -> u32 {
        let ends = self
            .pieces
            .iter()
            .map(|piece| piece.offset + u32::try_from(piece.bytes.len()).unwrap_or(0));
        self.total.unwrap_or(0).max(ends.max().unwrap_or(0))
    }
}
