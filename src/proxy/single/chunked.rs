//! The body of an answer in chunks (RFC 9112 §7.1): where its data stand, and the trailers behind them. Chunk
//! extensions are read and forgotten, as §7.1.1 asks.

use bytes::{Buf, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use httparse::{EMPTY_HEADER, Status};

use super::{Broken, head};

/// The longest line with the size of a chunk, extensions included.
const SIZE_LINE_MAX: usize = 1 << 10;

/// What all extensions of one body may come to, in bytes.
const EXTENSIONS_MAX: usize = 16 << 10;

/// All trailers of one body, in bytes and in number.
const TRAILERS_SIZE_MAX: usize = 16 << 10;
const TRAILERS_MAX: usize = 64;

/// Where in its body an answer is.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions so far.
    extensions: usize,
    trailers: Option<HeaderMap>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// At the size of a chunk.
    #[default]
    Size,
    /// So many bytes before the end of its data.
    Data(u64),
    /// At the CRLF behind its data.
    DataEnd,
    /// In the trailers, of which so much was searched for their end; there may be none.
    Trailers(usize),
    /// Behind the last byte.
    End,
}

/// What stands at the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Data, so many bytes at most.
    Data(u64),
    /// Something that is not complete.
    Unknown,
    /// The end of the body.
    End,
}

impl Chunked {
    /// Goes on to the next data, or to the end.
    ///
    /// # Errors
    /// [`Broken::Malformed`].
    pub(super) fn advance(&mut self, held: &mut BytesMut) -> Result<Place, Broken> {
        loop {
            let next = match self.state {
                State::Data(left) => return Ok(Place::Data(left)),
                State::End => return Ok(Place::End),
                State::Size => self.read_size(held)?,
                State::DataEnd => data_end(held)?,
                State::Trailers(searched) => self.read_trailers(held, searched)?,
            };
            match next {
                Some(state) => self.state = state,
                None => return Ok(Place::Unknown),
            }
        }
    }

    /// So many bytes of the data were taken.
    pub(super) const fn passed(&mut self, bytes: u64) {
        if let State::Data(left) = self.state {
            let left = left.saturating_sub(bytes);
            self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        }
    }

    /// Whether something stood behind the data that was not taken.
    pub(super) const fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// What stood behind the data, once.
    pub(super) const fn trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    fn read_size(&mut self, held: &mut BytesMut) -> Result<Option<State>, Broken> {
        let Some(feed) = memchr::memchr(b'\n', held) else {
            return if held.len() < SIZE_LINE_MAX { Ok(None) } else { Err(Broken::Malformed) };
        };
        let line = held.get(..feed).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.filter(|line| line.len() < SIZE_LINE_MAX).ok_or(Broken::Malformed)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        self.extensions += line.len() - digits;
        // Without a digit it would be read as the last chunk: a body cut short would seem whole.
        if digits == 0 || self.extensions > EXTENSIONS_MAX {
            return Err(Broken::Malformed);
        }
        let size = match httparse::parse_chunk_size(held) {
            Ok(Status::Complete((_, size))) => size,
            Ok(Status::Partial) | Err(_) => return Err(Broken::Malformed),
        };
        held.advance(feed + 1);
        Ok(Some(if size == 0 { State::Trailers(0) } else { State::Data(size) }))
    }

    fn read_trailers(
        &mut self,
        held: &mut BytesMut,
        mut searched: usize,
    ) -> Result<Option<State>, Broken> {
        if held.starts_with(b"\r\n") {
            held.advance(2);
            return Ok(Some(State::End));
        }
        let Some(length) = head::length(held, &mut searched)? else {
            self.state = State::Trailers(searched);
            return if held.len() < TRAILERS_SIZE_MAX { Ok(None) } else { Err(Broken::Malformed) };
        };
        let block = held.split_to(length);
        let mut fields = [EMPTY_HEADER; TRAILERS_MAX];
        match httparse::parse_headers(&block, &mut fields) {
            Ok(Status::Complete((_, fields))) if length <= TRAILERS_SIZE_MAX => {
                self.trailers = Some(map(fields)?);
                Ok(Some(State::End))
            }
            Ok(_) | Err(_) => Err(Broken::Malformed),
        }
    }
}

fn data_end(held: &mut BytesMut) -> Result<Option<State>, Broken> {
    match held.get(..2) {
        Some(b"\r\n") => {
            held.advance(2);
            Ok(Some(State::Size))
        }
        Some(_) => Err(Broken::Malformed),
        None => Ok(None),
    }
}

fn map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Broken> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_why| Broken::Malformed)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_why| Broken::Malformed)?;
        map.append(name, value);
    }
    Ok(map)
}
