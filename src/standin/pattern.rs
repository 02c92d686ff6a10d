//! Bytes that can be made and checked anywhere: letters only, so that no detector ever mistakes them for a number,
//! and each block with its own number, so that nothing can be left out, repeated or swapped unseen.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Bytes of a block.
const BLOCK: usize = 64 << 10;

/// A body of so many bytes, always the same ones.
#[derive(Debug)]
pub struct Pattern {
    left: u64,
    block: u64,
    pace: Option<Pace>,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
struct Pace {
    every: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Pattern {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self { left: bytes, block: 0, pace: None, trailers: None }
    }

    /// The same, with a pause before every block of 64 KiB.
    #[must_use]
    pub fn paced(mut self, every: Duration) -> Self {
        let sleep = Box::pin(tokio::time::sleep(every));
        self.pace = Some(Pace { every, sleep });
        self
    }

    /// The same, with trailers behind it.
    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The next block; `None` at the end.
    pub fn block(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.left).map_or(BLOCK, |left| left.min(BLOCK));
        if length == 0 {
            return None;
        }
        let mut bytes = BytesMut::with_capacity(BLOCK);
        let number = (0..16).rev().map(|nibble| letter((self.block >> (nibble * 4)) & 0xf));
        bytes.extend(number.chain((16_u64..).map(|at| letter(at ^ (at >> 8)))).take(length));
        self.left -= length as u64;
        self.block += 1;
        Some(bytes.freeze())
    }

    /// SHA-256 of that many bytes, hexadecimal.
    pub fn sha256(bytes: u64) -> String {
        let mut tally = Tally::default();
        let mut pattern = Self::new(bytes);
        while let Some(block) = pattern.block() {
            tally.add(&block);
        }
        tally.sha256()
    }
}

const fn letter(number: u64) -> u8 {
    b'a' + (number % 26) as u8
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(pace) = self.pace.as_mut() {
            ready!(pace.sleep.as_mut().poll(context));
            let next = Instant::now() + pace.every;
            pace.sleep.as_mut().reset(next);
        }
        let frame = match self.block() {
            Some(block) => Some(Frame::data(block)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // A body with trailers goes out in chunks.
        if self.trailers.is_some() { SizeHint::default() } else { SizeHint::with_exact(self.left) }
    }
}

/// Counts and hashes what goes by.
#[derive(Clone)]
pub(super) struct Tally {
    bytes: u64,
    hash: digest::Context,
}

impl Default for Tally {
    fn default() -> Self {
        Self { bytes: 0, hash: digest::Context::new(&digest::SHA256) }
    }
}

impl Tally {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn sha256(self) -> String {
        let hash = self.hash.finish();
        let digits = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Pattern};

    #[test]
    fn every_block_is_another_and_none_has_a_digit() {
        let mut pattern = Pattern::new(3 * BLOCK as u64 + 5);
        let blocks: Vec<_> = std::iter::from_fn(|| pattern.block()).collect();
        assert_eq!(
            blocks.iter().map(bytes::Bytes::len).collect::<Vec<_>>(),
            [BLOCK, BLOCK, BLOCK, 5]
        );
        assert_ne!(blocks[0], blocks[1]);
        assert!(blocks.concat().iter().all(u8::is_ascii_lowercase));
    }

    #[test]
    fn the_digest_is_known_beforehand() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Pattern::sha256(0), empty);
        assert_ne!(Pattern::sha256(BLOCK as u64), Pattern::sha256(BLOCK as u64 + 1));
    }
}
