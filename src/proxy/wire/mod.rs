//! The guard for HTTP/1 bytes from clients, before hyper: which bytes may go on, and in which order.
//!
//! hyper lets bare LF, `Content-Length` beside `Transfer-Encoding`, chunk extensions and none or two
//! `Host` pass. [`Wire`] is a pure machine that knows one strict subset of RFC 9112 and withholds each
//! head until it is complete and inside it; [`Guard`] applies it to a stream; [`Exchange`] is what the
//! guard, the service and the connection's task share. What a request *means* is not judged here.
//!
//! Property: whatever is let through, hyper frames the same.

mod chunk;
mod exchange;
mod field;
mod guard;
mod head;
mod octet;
mod patience;
#[cfg(test)]
mod tests;
mod violation;

pub(crate) use exchange::{Answer, Ending, Exchange};
pub(crate) use guard::Guard;
pub(crate) use patience::{Late, Patience, Watch};
#[cfg(test)]
pub(crate) use violation::Violation;
pub(crate) use violation::{Breach, Place};

use chunk::{Chunked, Step};
use head::{Framing, Head};

/// The header lines that one head may have: what hyper takes by default.
pub(crate) const FIELDS_MAX: usize = 100;

/// The state of one client connection's request bytes. Pure: no I/O, no clock; it owns no buffer.
#[derive(Debug)]
pub(crate) struct Wire {
    size_max: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In a head, or between two requests.
    Head(Head),
    /// So many bytes before the end of a body.
    Length(u64),
    /// In a body in chunks.
    Chunked(Chunked),
    /// Nothing passes any more.
    Broken(Breach),
}

impl Wire {
    /// At the beginning of a connection; no head may be larger than `size_max` bytes (its last CRLF counts).
    pub(crate) fn new(size_max: usize) -> Self {
        Self { size_max, state: State::Head(Head::default()) }
    }

    /// How many leading bytes of `input` may go on now. `input` begins with the first byte that was not
    /// let go before; bytes that were withheld are shown again with those that followed. Never more than
    /// to the end of one request: ask again for the next when it may come.
    ///
    /// # Errors
    /// The [`Breach`] that begins with the first byte of `input`; from then on always.
    pub(crate) fn release(&mut self, input: &[u8]) -> Result<usize, Breach> {
        let mut released = 0;
        loop {
            match self.step(input.get(released..).unwrap_or_default()) {
                Ok(Step::Passed(0)) => return Ok(released),
                Ok(Step::Passed(more)) => released += more,
                Ok(Step::Ended(more)) => {
                    self.state = State::Head(Head::default());
                    return Ok(released + more);
                }
                Err(breach) => {
                    self.state = State::Broken(breach);
                    return if released == 0 { Err(breach) } else { Ok(released) };
                }
            }
        }
    }

    /// Whether the next byte to go begins a request.
    pub(crate) const fn is_between(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    fn step(&mut self, input: &[u8]) -> Result<Step, Breach> {
        let in_body = |violation| Breach { violation, place: Place::Body };
        match &mut self.state {
            State::Head(head) => {
                let read = head.read(input, self.size_max);
                let complete =
                    read.map_err(|violation| Breach { violation, place: Place::Head })?;
                Ok(complete
                    .map_or(Step::Passed(0), |(length, framing)| self.enter(length, framing)))
            }
            State::Length(left) => {
                let passed = chunk::passing(*left, input);
                *left -= passed as u64;
                Ok(if *left == 0 { Step::Ended(passed) } else { Step::Passed(passed) })
            }
            State::Chunked(chunked) => chunked.step(input).map_err(in_body),
            State::Broken(breach) => Err(*breach),
        }
    }

    fn enter(&mut self, length: usize, framing: Framing) -> Step {
        self.state = match framing {
            Framing::Empty => return Step::Ended(length),
            Framing::Length(left) => State::Length(left),
            Framing::Chunked => State::Chunked(Chunked::default()),
        };
        Step::Passed(length)
    }
}
