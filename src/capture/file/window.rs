//! A window that slides over an input: records are slices of it, so that no packet is copied.

use std::io::{ErrorKind, Read};

/// Bytes asked of the system at a time; small enough to stay in the processor's second-level cache.
const CHUNK: usize = 512 << 10;

/// The bytes of an input that were read and not yet used.
pub(super) struct Window {
    source: Box<dyn Read>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    fault: Option<ErrorKind>,
    ended: bool,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read>) -> Self {
        Self { source, bytes: vec![0; CHUNK], start: 0, end: 0, fault: None, ended: false }
    }

    /// Everything at hand.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// `length` bytes from `offset` of what is at hand; nothing where there are fewer.
    pub(super) fn slice(&self, offset: usize, length: usize) -> &[u8] {
        self.rest().get(offset..).and_then(|bytes| bytes.get(..length)).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Reads on until `need` bytes are at hand; false where the input ends or fails before.
    #[inline]
    pub(super) fn ensure(&mut self, need: usize) -> bool {
        self.end - self.start >= need || self.refill(need)
    }

    /// What the system said when reading failed.
    pub(super) const fn fault(&self) -> Option<ErrorKind> {
        self.fault
    }

    /// Reads the rest of the input away and says how many bytes it was, those at hand included.
    pub(super) fn drain(&mut self) -> u64 {
        let mut count = 0;
        loop {
            count += (self.end - self.start) as u64;
            self.start = self.end;
            if !self.ensure(1) {
                return count;
            }
        }
    }

    #[cold]
    fn refill(&mut self, need: usize) -> bool {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.bytes.len() < need {
            self.bytes.resize(need.next_power_of_two(), 0);
        }
        while self.end < need && !self.ended {
            self.read_once();
        }
        self.end >= need
    }

    fn read_once(&mut self) {
        let Some(room) = self.bytes.get_mut(self.end..) else { return };
        match self.source.read(room) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count.min(room.len()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                self.fault = Some(error.kind());
                self.ended = true;
            }
        }
    }
}
