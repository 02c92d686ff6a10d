//! The lines that have their number and are not yet on disk. No lock, no thread, no file.

use super::line;

/// Whole lines with consecutive numbers, in the order in which they were placed.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    count: usize,
    first: u64,
    day: i64,
}

/// How much a batch may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Lines.
    pub(super) count: usize,
    /// Bytes; one line may exceed it.
    pub(super) size: usize,
}

impl Batch {
    /// Gives `rendered` its number and puts the line behind the others. The line is complete here and nowhere
    /// earlier: what is to be computed over it in the caller's thread belongs here.
    pub(super) fn place(&mut self, seq: u64, boot: u64, rendered: &[u8], day: i64) {
        if self.count == 0 {
            self.first = seq;
        }
        line::number(&mut self.bytes, seq, boot, rendered);
        self.count += 1;
        self.day = day;
    }

    /// The lines, each with its line break.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of the first line.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number after the last line.
    pub(super) const fn end(&self) -> u64 {
        self.first + self.count as u64
    }

    /// The day of the last line, counted from the epoch in UTC.
    pub(super) const fn day(&self) -> i64 {
        self.day
    }

    /// Whether there is nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether nothing more may be placed.
    pub(super) fn is_full(&self, bound: Bound) -> bool {
        self.count >= bound.count || self.bytes.len() >= bound.size
    }

    /// Whether the writer should begin, lest it become full.
    pub(super) fn is_half_full(&self, bound: Bound) -> bool {
        self.is_full(Bound { count: bound.count.div_ceil(2), size: bound.size / 2 })
    }

    /// Forgets the lines, keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Bound};

    const WIDE: usize = 1 << 20;

    fn filled(lines: u64) -> Batch {
        let mut batch = Batch::default();
        for seq in 7..7 + lines {
            batch.place(seq, 3, br#""kind":"start""#, 20);
        }
        batch
    }

    #[test]
    fn a_line_has_its_number_first_and_ends_with_a_line_break() {
        let batch = filled(2);
        let lines = "{\"seq\":7,\"boot\":3,\"kind\":\"start\"}\n{\"seq\":8,\"boot\":3,\"kind\":\"start\"}\n";
        assert_eq!(std::str::from_utf8(batch.bytes()), Ok(lines));
        assert_eq!((batch.first(), batch.end(), batch.day()), (7, 9, 20));
    }

    #[test]
    fn lines_and_bytes_are_both_bounded() {
        let check = |lines, count, size| {
            let batch = filled(lines);
            (batch.is_half_full(Bound { count, size }), batch.is_full(Bound { count, size }))
        };
        assert_eq!(check(0, 4, WIDE), (false, false));
        assert_eq!(check(1, 4, WIDE), (false, false));
        assert_eq!(check(2, 4, WIDE), (true, false));
        assert_eq!(check(4, 4, WIDE), (true, true));
        assert_eq!(check(1, 1, WIDE), (true, true));
        assert_eq!(check(1, 4, 60), (true, false));
        assert_eq!(check(2, 4, 60), (true, true));
    }

    #[test]
    fn a_cleared_batch_begins_anew() {
        let mut batch = filled(2);
        batch.clear();
        assert!(batch.is_empty() && batch.bytes().is_empty());
        batch.place(42, 3, b"", 21);
        assert_eq!((batch.first(), batch.end()), (42, 43));
    }
}
