//! Clear HTTP/1 requests (RFC 9112): every head of a connection, with bodies skipped by their framing.

use memchr::memmem;

use crate::capture::HttpHead;

use super::listen::{Heard, retract};
use super::stream::{Hearing, Speaker};
use super::tls::begins_tls;

/// Methods by which a request is known: those of HTTP and of its common extensions.
const METHODS: [&str; 19] = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "SEARCH",
    "REPORT",
    "MERGE",
];

/// Bytes of a chunk's size line.
const SIZE_LINE_MAX: usize = 1024;

/// Whether a request line begins here.
pub(super) fn begins_request(bytes: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        bytes.strip_prefix(method.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' '))
    })
}

/// Reads requests one after the other.
#[derive(Default)]
pub(super) struct Requests {
    state: State,
    /// Bytes of an unfinished head or line.
    held: Vec<u8>,
    /// Heads seen.
    count: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of body are left.
    Body(u64),
    ChunkSize,
    /// So many bytes of chunk are left, its line end included.
    Chunk(u64),
    Trailer,
    /// The framing was lost; a head may begin with a segment.
    Lost,
}

/// A head taken apart.
struct Head {
    told: HttpHead,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// It contradicts itself.
    Unclear,
}

impl Requests {
    /// Hears the next bytes of the stream.
    pub(super) fn hear(
        &mut self,
        bytes: &[u8],
        speaker: &Speaker,
        hearing: &mut Hearing<'_>,
    ) -> Heard {
        if self.state == State::Lost && begins_tls(bytes) {
            return Heard::Upgrade;
        }
        if self.state == State::Lost && begins_request(bytes) {
            self.state = State::Head;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Lost => return Heard::More,
                State::Head => match self.head(rest, speaker, hearing) {
                    Some(rest) => rest,
                    None => return Heard::Enough,
                },
                State::Body(left) => self.skip(rest, left, State::Body, State::Head),
                State::Chunk(left) => self.skip(rest, left, State::Chunk, State::ChunkSize),
                State::ChunkSize => self.chunk_size(rest, hearing),
                State::Trailer => self.trailer(rest),
            };
        }
        Heard::More
    }

    /// Bytes are missing: inside a body that is no harm.
    pub(super) fn miss(&mut self, count: u64, hearing: &mut Hearing<'_>) {
        self.state = match self.state {
            State::Body(left) if left >= count => State::Body(left - count),
            State::Chunk(left) if left >= count => State::Chunk(left - count),
            State::Head | State::Body(_) | State::Chunk(_) | State::ChunkSize | State::Trailer => {
                hearing.found.heads_lost += 1;
                State::Lost
            }
            State::Lost => State::Lost,
        };
        self.held.clear();
    }

    /// Gathers a head; nothing where this is no HTTP at all.
    fn head<'a>(
        &mut self,
        bytes: &'a [u8],
        speaker: &Speaker,
        hearing: &mut Hearing<'_>,
    ) -> Option<&'a [u8]> {
        let before = self.held.len();
        let limit = hearing.limits.head_bytes.saturating_sub(before).min(bytes.len());
        self.held.extend_from_slice(bytes.get(..limit).unwrap_or_default());
        let Some(end) = head_end(&self.held, before) else {
            if self.held.len() >= hearing.limits.head_bytes {
                self.lose(hearing);
            }
            return Some(&[]);
        };
        let rest = bytes.get(end.saturating_sub(before)..).unwrap_or_default();
        self.held.truncate(end);
        let head = std::mem::take(&mut self.held);
        self.take_head(&head, speaker, hearing).then_some(rest)
    }

    /// Keeps a whole head; false where it is none and none was before it.
    fn take_head(&mut self, bytes: &[u8], speaker: &Speaker, hearing: &mut Hearing<'_>) -> bool {
        let blank = bytes.iter().all(|c| matches!(c, b'\r' | b'\n'));
        if blank {
            return true;
        }
        let Some(head) = parse(bytes, speaker) else {
            if self.count == 0 {
                retract(hearing.entry);
                return false;
            }
            self.lose(hearing);
            return true;
        };
        self.count += 1;
        self.state = match head.framing {
            // What follows an upgrade may be another protocol, or HTTP where it was refused.
            _ if head.told.upgrade => State::Lost,
            Framing::Length(0) => State::Head,
            Framing::Length(length) => State::Body(length),
            Framing::Chunked => State::ChunkSize,
            Framing::Unclear => State::Lost,
        };
        if hearing.found.heads.len() < hearing.limits.heads {
            hearing.found.heads.push(head.told);
        } else {
            hearing.found.heads_lost += 1;
        }
        true
    }

    fn lose(&mut self, hearing: &mut Hearing<'_>) {
        hearing.found.heads_lost += 1;
        self.held.clear();
        self.state = State::Lost;
    }

    fn skip<'a>(
        &mut self,
        bytes: &'a [u8],
        left: u64,
        on: fn(u64) -> State,
        then: State,
    ) -> &'a [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        self.state = if left == 0 { then } else { on(left) };
        bytes.get(count..).unwrap_or_default()
    }

    /// RFC 9112 §7.1: hexadecimal, perhaps extensions.
    fn chunk_size<'a>(&mut self, bytes: &'a [u8], hearing: &mut Hearing<'_>) -> &'a [u8] {
        let Some(rest) = self.line(bytes) else {
            if self.held.len() > SIZE_LINE_MAX {
                self.lose(hearing);
            }
            return &[];
        };
        let line = std::mem::take(&mut self.held);
        let digits = line.iter().take_while(|c| c.is_ascii_hexdigit()).count();
        let text = line.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
        match text.and_then(|text| u64::from_str_radix(text, 16).ok()) {
            Some(0) => self.state = State::Trailer,
            Some(size) => self.state = State::Chunk(size.saturating_add(2)),
            None => self.lose(hearing),
        }
        rest
    }

    /// Lines up to an empty one.
    fn trailer<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(rest) = self.line(bytes) else {
            self.held.truncate(SIZE_LINE_MAX);
            return &[];
        };
        let line = std::mem::take(&mut self.held);
        if matches!(line.as_slice(), b"\n" | b"\r\n") {
            self.state = State::Head;
        }
        rest
    }

    /// Gathers a line with its end; nothing where its end is not there.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1))?;
        self.held.extend_from_slice(line);
        end.map(|_| rest)
    }
}

/// Where a head ends: behind its empty line. Looks only at what is new since `before`.
fn head_end(bytes: &[u8], before: usize) -> Option<usize> {
    let from = before.saturating_sub(3);
    let new = bytes.get(from..)?;
    let strict = memmem::find(new, b"\r\n\r\n").map(|at| at + 4);
    let loose = memmem::find(new, b"\n\n").map(|at| at + 2);
    let blank = bytes.starts_with(b"\r\n").then_some(2);
    let ends = [strict, loose].into_iter().flatten().map(|end| from + end);
    ends.chain(blank).min()
}

fn parse(bytes: &[u8], speaker: &Speaker) -> Option<Head> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || words.next().is_some() || !is_token(method) {
        return None;
    }
    let fields: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let told = HttpHead {
        method: Box::from(method),
        host: host(target, &fields).map(Box::from),
        path: Box::from(path(method, target)),
        upgrade: method == "CONNECT" || all(&fields, "upgrade").next().is_some(),
        packet: speaker.stamp.number,
        at: speaker.stamp.at,
    };
    Some(Head { told, framing: framing(&fields) })
}

fn is_token(method: &str) -> bool {
    !method.is_empty()
        && method.len() <= 32
        && method.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}

fn all<'a>(fields: &'a [(&'a str, &'a str)], name: &'a str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// An absolute target names the host over the field (RFC 9112 §3.2.2); two fields name none.
fn host<'a>(target: &'a str, fields: &'a [(&'a str, &'a str)]) -> Option<&'a str> {
    if let Some((_, rest)) = target.split_once("://") {
        return rest.split(['/', '?']).next();
    }
    let mut hosts = all(fields, "host");
    let first = hosts.next()?;
    hosts.next().is_none().then_some(first)
}

/// The path of a target, without query and fragment.
fn path<'a>(method: &str, target: &'a str) -> &'a str {
    let plain = target.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://") {
        Some((_, rest)) if method != "CONNECT" => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => plain,
    }
}

/// RFC 9112 §6.3.
fn framing(fields: &[(&str, &str)]) -> Framing {
    let coded = all(fields, "transfer-encoding").last();
    let mut lengths = all(fields, "content-length");
    let length = lengths.next();
    let same = lengths.all(|other| Some(other) == length);
    match (coded, length.map(str::parse)) {
        (Some(coded), None) if coded.to_ascii_lowercase().ends_with("chunked") => Framing::Chunked,
        (None, Some(Ok(length))) if same => Framing::Length(length),
        (None, None) => Framing::Length(0),
        _ => Framing::Unclear,
    }
}
