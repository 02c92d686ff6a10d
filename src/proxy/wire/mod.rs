//! HTTP/1.1 from clients: one strict subset of RFC 9112, read once.
//!
//! Other servers let bare LF, `Content-Length` beside `Transfer-Encoding`, chunk extensions and none or two `Host` pass.
//! [`Wire`] is a pure machine that knows the subset and withholds each head until it is complete and inside it;
//! [`Served`] is a connection on which requests come through it and answers go back; [`Watch`] knows how long a client
//! may take. What a request *means* is not judged here.
//!
//! Property: whatever is let through, hyper frames the same.

mod chunk;
mod field;
mod head;
mod line;
mod octet;
mod patience;
mod request;
mod served;
#[cfg(test)]
mod tests;
mod violation;

pub(crate) use line::Ending;
pub(crate) use patience::{Late, Patience, Watch};
pub(crate) use request::is_last;
pub(crate) use served::{Asked, Content, Served};
pub(crate) use violation::{Breach, Place, Violation};

use chunk::{Chunked, Piece};
use head::{Framing, Head, Heading};

/// The header lines that one head may have.
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

    /// The head of the next request, once `input` has all of it. `input` begins with the first byte behind what was
    /// taken before; bytes of an incomplete head are shown again with those that followed.
    ///
    /// # Errors
    /// The [`Breach`] that begins with the first byte of `input`; from then on always.
    pub(crate) fn head(&mut self, input: &[u8]) -> Result<Option<Heading>, Breach> {
        let read = match &mut self.state {
            State::Head(head) => head.read(input, self.size_max),
            State::Length(_) | State::Chunked(_) => return Ok(None),
            State::Broken(breach) => return Err(*breach),
        };
        let heading = read.map_err(|violation| self.broken(violation, Place::Head))?;
        if let Some(heading) = &heading {
            self.state = match heading.framing {
                Framing::Empty => State::Head(Head::default()),
                Framing::Length(left) => State::Length(left),
                Framing::Chunked => State::Chunked(Chunked::default()),
            };
        }
        Ok(heading)
    }

    /// The next piece of the body under way; behind its last piece it is [`Self::is_between`] two requests.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub(crate) fn piece(&mut self, input: &[u8]) -> Result<Piece, Breach> {
        let (piece, ended) = match &mut self.state {
            State::Head(_) => return Ok(Piece::More),
            State::Length(left) => (Ok(chunk::data(left, input)), *left == 0),
            State::Chunked(chunked) => {
                let piece = chunked.step(input);
                (piece, matches!(piece, Ok(Piece::Trailers(_))))
            }
            State::Broken(breach) => return Err(*breach),
        };
        if ended {
            self.state = State::Head(Head::default());
        }
        piece.map_err(|violation| self.broken(violation, Place::Body))
    }

    fn broken(&mut self, violation: Violation, place: Place) -> Breach {
        let breach = Breach { violation, place };
        self.state = State::Broken(breach);
        breach
    }

    /// How much of the body under way is to come, where that is known.
    pub(crate) const fn left(&self) -> Option<u64> {
        match self.state {
            State::Head(_) => Some(0),
            State::Length(left) => Some(left),
            State::Chunked(_) | State::Broken(_) => None,
        }
    }

    /// Whether the next byte to go begins a request.
    pub(crate) const fn is_between(&self) -> bool {
        matches!(self.state, State::Head(_))
    }
}
