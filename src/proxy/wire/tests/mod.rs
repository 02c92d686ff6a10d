//! The wire shown to a corpus of smuggling, to every split of a stream, and to hyper itself.

mod corpus;
pub(super) mod framing;
mod served;

use super::chunk::Piece;
use super::{Breach, Place, Violation, Wire};

pub(super) const HEAD_MAX: usize = 4096;

/// What a stream of bytes comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) released: Vec<u8>,
    pub(super) breach: Option<(Violation, Place)>,
}

/// How many leading bytes of `input` pass, never more than to the end of one request.
pub(super) fn release(wire: &mut Wire, input: &[u8]) -> Result<usize, Breach> {
    let mut released = 0;
    loop {
        let rest = &input[released..];
        let step = if wire.is_between() {
            wire.head(rest).map(|heading| heading.map_or(0, |heading| heading.length))
        } else {
            wire.piece(rest).map(|piece| match piece {
                Piece::More => 0,
                Piece::Data(length) | Piece::Framing(length) | Piece::Trailers(length) => length,
            })
        };
        match step {
            Ok(0) => return Ok(released),
            Ok(length) => released += length,
            Err(breach) if released == 0 => return Err(breach),
            Err(_) => return Ok(released),
        }
        if wire.is_between() {
            return Ok(released);
        }
    }
}

/// Shows `stream` to a wire in pieces that end at `cuts`.
pub(super) fn run(stream: &[u8], cuts: &[usize]) -> Outcome {
    let mut wire = Wire::new(HEAD_MAX);
    let mut outcome = Outcome::default();
    let mut shown = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        shown = shown.max(end.min(stream.len()));
        loop {
            let from = outcome.released.len();
            match release(&mut wire, &stream[from..shown]) {
                Ok(0) => break,
                Ok(more) => outcome.released.extend(&stream[from..from + more]),
                Err(breach) => {
                    outcome.breach = Some((breach.violation, breach.place));
                    return outcome;
                }
            }
        }
    }
    outcome
}

pub(super) fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}
