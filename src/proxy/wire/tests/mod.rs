//! The wire shown to a corpus of smuggling, to every split of a stream, and to hyper itself.

mod corpus;
pub(super) mod framing;

use super::{Place, Violation, Wire};

pub(super) const HEAD_MAX: usize = 4096;

/// What a stream of bytes comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) released: Vec<u8>,
    pub(super) breach: Option<(Violation, Place)>,
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
            match wire.release(&stream[from..shown]) {
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
