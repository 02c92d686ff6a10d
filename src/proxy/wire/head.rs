//! The head of a request, line by line, withheld until its last: request line, fields, and what they
//! say of the body. The body itself is not here.

use std::ops::Range;

use super::FIELDS_MAX;
use super::field::{Field, Lines};
use super::octet;
use super::violation::Violation;

/// What the type of a URI takes at most, in bytes.
const TARGET_MAX: usize = 65_534;
/// As `flow::Method`.
const METHOD_MAX: usize = 32;
/// No body is 10^18 bytes long; what has more digits is read differently by somebody.
const LENGTH_DIGITS_MAX: usize = 18;

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// By its chunks.
    Chunked,
}

/// A head that is complete, and inside the subset. Ranges are within its bytes.
#[derive(Debug)]
pub(crate) struct Heading {
    /// How many bytes it has, the empty line included.
    pub(super) length: usize,
    /// How its body is framed.
    pub(super) framing: Framing,
    /// The length of the method, which stands at the front.
    pub(super) method: usize,
    /// The target.
    pub(super) target: Range<usize>,
    /// Name and value of every field line.
    pub(super) fields: Vec<(Range<usize>, Range<usize>)>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects: bool,
}

/// Where the target of a request line names an authority, if it does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// `/…`, or `*` of `OPTIONS`.
    Origin,
    /// `https://AUTHORITY/…`.
    Absolute(Range<usize>),
    /// `AUTHORITY` of `CONNECT`.
    Connect(Range<usize>),
}

/// The request line of a head.
#[derive(Debug, Clone)]
struct RequestLine {
    method: usize,
    target: Range<usize>,
    form: Target,
}

/// A head that is being read. Ranges are within the withheld bytes, which begin with the head.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    lines: Lines,
    line: Option<RequestLine>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
    expects: bool,
}

impl Head {
    /// Reads on in `input`, all bytes of this head so far.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        size_max: usize,
    ) -> Result<Option<Heading>, Violation> {
        let block = input.get(..size_max).unwrap_or(input);
        while let Some((begin, end)) = self.lines.next(block)? {
            let line = block.get(begin..end).unwrap_or_default();
            match self.line.take() {
                None => self.line = Some(request_line(line)?),
                Some(first) if line.is_empty() => return self.complete(first, block).map(Some),
                first @ Some(_) => {
                    self.line = first;
                    self.field(line, begin)?;
                }
            }
        }
        if block.len() >= size_max { Err(Violation::HeadTooLarge) } else { Ok(None) }
    }

    fn complete(&mut self, line: RequestLine, block: &[u8]) -> Result<Heading, Violation> {
        Ok(Heading {
            length: self.lines.length(),
            framing: self.framing(&line.form, block)?,
            method: line.method,
            target: line.target,
            fields: std::mem::take(&mut self.fields),
            expects: self.expects,
        })
    }

    fn field(&mut self, line: &[u8], begin: usize) -> Result<(), Violation> {
        if self.fields.len() >= FIELDS_MAX {
            return Err(Violation::TooManyFields);
        }
        let field = Field::parse(line)?;
        let value = begin + field.begin..begin + field.begin + field.value.len();
        self.fields.push((begin..begin + field.name.len(), value.clone()));
        // By length first: nearly every field is none of these.
        match field.name.len() {
            4 if field.is(b"host") => self.host(field, value),
            6 if field.is(b"expect") => self.expect(field.value),
            14 if field.is(b"content-length") => self.content_length(field.value),
            17 if field.is(b"transfer-encoding") => self.transfer_encoding(field.value),
            14 if field.is_alike(b"content-length") => Err(Violation::FieldName),
            17 if field.is_alike(b"transfer-encoding") => Err(Violation::FieldName),
            _ => Ok(()),
        }
    }

    fn host(&mut self, field: Field<'_>, value: Range<usize>) -> Result<(), Violation> {
        if self.host.is_some() {
            return Err(Violation::HostRepeated);
        }
        if !octet::is_authority(field.value) {
            return Err(Violation::HostForm);
        }
        self.host = Some(value);
        Ok(())
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Violation> {
        let known = value.eq_ignore_ascii_case(b"100-continue");
        if !known || self.expects {
            return Err(Violation::Expectation);
        }
        self.expects = true;
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() {
            return Err(Violation::LengthRepeated);
        }
        self.length = Some(decimal(value).ok_or(Violation::LengthForm)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::Coding);
        }
        self.chunked = true;
        Ok(())
    }

    fn framing(&self, target: &Target, block: &[u8]) -> Result<Framing, Violation> {
        let host = self.host.clone().ok_or(Violation::HostMissing)?;
        let differs = |authority: &Range<usize>| {
            let same = block
                .get(authority.clone())
                .zip(block.get(host.clone()))
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
            !same
        };
        let connect = matches!(target, Target::Connect(_));
        match (target, self.length, self.chunked) {
            (Target::Absolute(authority) | Target::Connect(authority), _, _)
                if differs(authority) =>
            {
                Err(Violation::HostDiffers)
            }
            (_, Some(_), true) => Err(Violation::LengthAndCoding),
            // What follows a CONNECT is read as a body by some and as the tunnel by others (RFC 9110 §9.3.6).
            (_, Some(_), false) | (_, None, true) if connect => Err(Violation::ConnectBody),
            (_, None, true) => Ok(Framing::Chunked),
            (_, None | Some(0), false) => Ok(Framing::Empty),
            (_, Some(length), false) => Ok(Framing::Length(length)),
        }
    }
}

/// The request line without its CRLF, the first of its head (RFC 9112 §3).
fn request_line(line: &[u8]) -> Result<RequestLine, Violation> {
    let after_method = octet::token_length(line);
    match line.get(after_method) {
        Some(b' ') if (1..=METHOD_MAX).contains(&after_method) => (),
        Some(b' ') => return Err(Violation::Method),
        Some(_) | None => return Err(Violation::RequestLine),
    }
    let method = line.get(..after_method).unwrap_or_default();
    let rest = line.get(after_method + 1..).unwrap_or_default();
    let space = memchr::memchr(b' ', rest).ok_or(Violation::RequestLine)?;
    let (target, version) = rest.split_at_checked(space).ok_or(Violation::RequestLine)?;
    check_version(version)?;
    if target.len() > TARGET_MAX {
        return Err(Violation::TargetTooLong);
    }
    let begin = after_method + 1;
    let form = target_form(method, target, begin)?;
    Ok(RequestLine { method: after_method, target: begin..begin + target.len(), form })
}

/// `version` still has its space. Whatever is not exactly HTTP/1.1 is refused, 1.0 too: proxies and
/// servers disagree about the framing of its messages.
fn check_version(version: &[u8]) -> Result<(), Violation> {
    match version {
        b" HTTP/1.1" => Ok(()),
        [b' ', b'H', b'T', b'T', b'P', b'/', rest @ ..] if !rest.contains(&b' ') => {
            Err(Violation::Version)
        }
        _ => Err(Violation::RequestLine),
    }
}

/// The four forms of RFC 9112 §3.2; `begin` is where the target begins within the head.
fn target_form(method: &[u8], target: &[u8], begin: usize) -> Result<Target, Violation> {
    if !octet::is_target(target) {
        return Err(Violation::Target);
    }
    match (method, target) {
        (b"CONNECT", _) if octet::is_authority(target) => {
            Ok(Target::Connect(begin..begin + target.len()))
        }
        (b"CONNECT", _) => Err(Violation::Target),
        (_, [b'/', ..]) | (b"OPTIONS", b"*") => Ok(Target::Origin),
        _ => absolute(target, begin),
    }
}

/// `https` only: this is what arrives here. The path may not be left out, so that nobody has to add it.
fn absolute(target: &[u8], begin: usize) -> Result<Target, Violation> {
    const SCHEME: &[u8] = b"https://";
    let (scheme, rest) = target.split_at_checked(SCHEME.len()).ok_or(Violation::Target)?;
    let length = memchr::memchr(b'/', rest).ok_or(Violation::Target)?;
    let authority = rest.get(..length).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(SCHEME) || !octet::is_authority(authority) {
        return Err(Violation::Target);
    }
    let start = begin + SCHEME.len();
    Ok(Target::Absolute(start..start + length))
}

/// Digits only, no leading zero: an octal reader reads the same.
fn decimal(value: &[u8]) -> Option<u64> {
    let plain = match value {
        [] => false,
        [b'0', rest @ ..] => rest.is_empty(),
        digits => digits.len() <= LENGTH_DIGITS_MAX && digits.iter().all(u8::is_ascii_digit),
    };
    plain.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0f)))
}
