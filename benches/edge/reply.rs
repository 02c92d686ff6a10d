//! HTTP/1.1 replies as a client has to read them (RFC 9112): a head, then a body by Content-Length or in chunks.
//! Bytes in, nothing kept but the head; no I/O.

use std::io;

use memchr::memmem;

/// The longest head that is read.
const HEAD_MAX: usize = 64 << 10;

/// The longest line that announces a chunk.
const LINE_MAX: usize = 256;

/// A reply that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// The bytes of its body.
    pub(crate) body: u64,
    /// The server ends the connection after it.
    pub(crate) last: bool,
}

/// Reads one reply out of the pieces it comes in.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
    line: Vec<u8>,
    reply: Option<Reply>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Head,
    Counted(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
}

#[derive(Debug)]
struct Framing {
    reply: Reply,
    state: State,
}

impl Reader {
    /// Takes the next piece. The reply, once it is whole; the reader then begins anew.
    ///
    /// # Errors
    /// Where it is no reply, or where bytes come after its end: nothing was asked yet.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> io::Result<Option<Reply>> {
        loop {
            piece = match self.state {
                State::Head => self.head(piece)?,
                State::Counted(left) => self.counted(piece, left),
                State::ChunkSize => self.chunk_size(piece)?,
                State::Chunk(left) => self.chunk(piece, left),
                State::ChunkEnd => self.chunk_end(piece)?,
                State::Trailer => self.trailer(piece)?,
            };
            if matches!(self.state, State::Counted(0)) {
                return if piece.is_empty() {
                    Ok(self.whole())
                } else {
                    Err(bad("bytes after its end"))
                };
            }
            if piece.is_empty() {
                return Ok(None);
            }
        }
    }

    fn whole(&mut self) -> Option<Reply> {
        self.state = State::Head;
        self.reply.take()
    }

    fn head<'a>(&mut self, piece: &'a [u8]) -> io::Result<&'a [u8]> {
        let known = self.line.len().saturating_sub(3);
        self.line.extend_from_slice(piece);
        let searched = self.line.get(known..).unwrap_or_default();
        let Some(found) = memmem::find(searched, b"\r\n\r\n") else {
            return if self.line.len() > HEAD_MAX { Err(bad("an endless head")) } else { Ok(&[]) };
        };
        let end = known + found + 4;
        let body = self.line.len() - end;
        self.line.truncate(end);
        let framing = Framing::read(&self.line);
        self.line.clear();
        if let Some(framing) = framing? {
            self.state = framing.state;
            self.reply = Some(framing.reply);
        }
        Ok(tail(piece, body))
    }

    fn counted<'a>(&mut self, piece: &'a [u8], left: u64) -> &'a [u8] {
        let taken = least(piece.len(), left);
        self.count(taken);
        self.state = State::Counted(left - wide(taken));
        piece.get(taken..).unwrap_or_default()
    }

    fn chunk<'a>(&mut self, piece: &'a [u8], left: u64) -> &'a [u8] {
        let taken = least(piece.len(), left);
        self.count(taken);
        let left = left - wide(taken);
        self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
        piece.get(taken..).unwrap_or_default()
    }

    fn chunk_size<'a>(&mut self, piece: &'a [u8]) -> io::Result<&'a [u8]> {
        let Some(rest) = self.line(piece)? else { return Ok(&[]) };
        let text = std::str::from_utf8(&self.line).ok().and_then(|text| text.split(';').next());
        let size = text.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
        self.line.clear();
        self.state = match size.ok_or_else(|| bad("no size of a chunk"))? {
            0 => State::Trailer,
            size => State::Chunk(size),
        };
        Ok(rest)
    }

    fn chunk_end<'a>(&mut self, piece: &'a [u8]) -> io::Result<&'a [u8]> {
        let Some(rest) = self.line(piece)? else { return Ok(&[]) };
        if !self.line.is_empty() {
            return Err(bad("a chunk longer than it said"));
        }
        self.state = State::ChunkSize;
        Ok(rest)
    }

    fn trailer<'a>(&mut self, piece: &'a [u8]) -> io::Result<&'a [u8]> {
        let Some(rest) = self.line(piece)? else { return Ok(&[]) };
        if self.line.is_empty() {
            self.state = State::Counted(0);
        }
        self.line.clear();
        Ok(rest)
    }

    /// Gathers one line, without its end, and gives what follows; `None` while its end has not come.
    fn line<'a>(&mut self, piece: &'a [u8]) -> io::Result<Option<&'a [u8]>> {
        let Some(end) = memchr::memchr(b'\n', piece) else {
            self.line.extend_from_slice(piece);
            return if self.line.len() > LINE_MAX { Err(bad("an endless line")) } else { Ok(None) };
        };
        self.line.extend_from_slice(piece.get(..end).unwrap_or_default());
        if self.line.pop_if(|last| *last == b'\r').is_none() {
            return Err(bad("a line without its end"));
        }
        Ok(Some(piece.get(end + 1..).unwrap_or_default()))
    }

    fn count(&mut self, bytes: usize) {
        if let Some(reply) = &mut self.reply {
            reply.body += wide(bytes);
        }
    }
}

impl Framing {
    /// `None` for an interim reply (RFC 9110 §15.2), which another follows.
    fn read(head: &[u8]) -> io::Result<Option<Self>> {
        let text = std::str::from_utf8(head).map_err(|_bytes| bad("a head that is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(status).ok_or_else(|| bad("no status line"))?;
        let mut framing = Self {
            reply: Reply { status, body: 0, last: false },
            state: if status == 204 || status == 304 { State::Counted(0) } else { State::Head },
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            framing.field(name, value.trim())?;
        }
        match (status, framing.state) {
            (101, _) => Err(bad("a switch of protocols")),
            (100..200, _) => Ok(None),
            (_, State::Head) => Err(bad("a body without a length")),
            _ => Ok(Some(framing)),
        }
    }

    fn field(&mut self, name: &str, value: &str) -> io::Result<()> {
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_text| bad("a length that is no number"))?;
            self.state = State::Counted(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.state = State::ChunkSize;
        } else if name.eq_ignore_ascii_case("connection") {
            self.reply.last = value.eq_ignore_ascii_case("close");
        }
        Ok(())
    }
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn tail(piece: &[u8], length: usize) -> &[u8] {
    piece.get(piece.len().saturating_sub(length)..).unwrap_or_default()
}

fn least(length: usize, left: u64) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn bad(what: &str) -> io::Error {
    io::Error::other(format!("the reply has {what}"))
}
