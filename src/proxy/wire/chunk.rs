//! A body in chunks (RFC 9112 §7.1) without extensions: sizes, data, trailers. A size line and the
//! trailers are withheld until they are complete.

use super::field::{Field, Lines};
use super::violation::Violation;

/// 2^60 bytes: nobody's counter overflows, here or upstream.
const SIZE_DIGITS_MAX: usize = 15;
/// All trailers of one body, in bytes.
const TRAILER_SIZE_MAX: usize = 8 * 1024;
/// The trailers of one body.
const TRAILERS_MAX: usize = 32;

/// Fields that frame, route, authenticate or describe the content: they mean nothing, or something
/// else, after it (RFC 9110 §6.5.1).
const FORBIDDEN: [&[u8]; 33] = [
    b"age",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expect",
    b"forwarded",
    b"host",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"keep-alive",
    b"max-forwards",
    b"pragma",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"range",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
];

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone, Default)]
pub(super) enum Chunked {
    /// At the beginning of a size line.
    #[default]
    Size,
    /// So many bytes before the end of the data.
    Data(u64),
    /// At the CRLF behind the data.
    DataEnd,
    /// In the trailers; there may be none.
    Trailers(Lines, usize),
}

/// A piece of a body, at the front of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// More bytes are needed first.
    More,
    /// So many bytes of content.
    Data(usize),
    /// So many bytes that say where the content ends.
    Framing(usize),
    /// So many bytes of trailers, the empty line behind them included: the body ends with them.
    Trailers(usize),
}

impl Chunked {
    /// Takes the next piece from the front of `input`.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Piece, Violation> {
        match self {
            Self::Size => self.size(input),
            Self::Data(left) => {
                let piece = data(left, input);
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                Ok(piece)
            }
            Self::DataEnd => match input {
                [] | [b'\r'] => Ok(Piece::More),
                [b'\r', b'\n', ..] => {
                    *self = Self::Size;
                    Ok(Piece::Framing(2))
                }
                _ => Err(Violation::ChunkEnd),
            },
            Self::Trailers(lines, count) => trailers(lines, count, input),
        }
    }

    fn size(&mut self, input: &[u8]) -> Result<Piece, Violation> {
        let digits = input.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > SIZE_DIGITS_MAX {
            return Err(Violation::ChunkSize);
        }
        match input.get(digits..).unwrap_or_default() {
            [] => Ok(Piece::More),
            _ if digits == 0 => Err(Violation::ChunkSize),
            [b'\r'] => Ok(Piece::More),
            [b'\r', b'\n', ..] => {
                let size = hexadecimal(input.get(..digits).unwrap_or_default());
                *self = match size {
                    0 => Self::Trailers(Lines::default(), 0),
                    _ => Self::Data(size),
                };
                Ok(Piece::Framing(digits + 2))
            }
            [b'\r', ..] => Err(Violation::BareCarriageReturn),
            [b'\n', ..] => Err(Violation::BareLineFeed),
            [b';' | b' ' | b'\t', ..] => Err(Violation::ChunkExtension),
            _ => Err(Violation::ChunkSize),
        }
    }
}

/// What of `input` belongs to content of which `left` bytes are to come.
pub(super) fn data(left: &mut u64, input: &[u8]) -> Piece {
    let length = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= length as u64;
    if length == 0 { Piece::More } else { Piece::Data(length) }
}

fn trailers(lines: &mut Lines, count: &mut usize, input: &[u8]) -> Result<Piece, Violation> {
    let block = input.get(..TRAILER_SIZE_MAX).unwrap_or(input);
    while let Some((begin, end)) = lines.next(block)? {
        let line = block.get(begin..end).unwrap_or_default();
        if line.is_empty() {
            return Ok(Piece::Trailers(lines.length()));
        }
        *count += 1;
        check_trailer(line, *count)?;
    }
    let full = block.len() >= TRAILER_SIZE_MAX;
    if full { Err(Violation::TrailerTooLarge) } else { Ok(Piece::More) }
}

fn check_trailer(line: &[u8], count: usize) -> Result<(), Violation> {
    if count > TRAILERS_MAX {
        return Err(Violation::TrailerTooLarge);
    }
    let field = Field::parse(line)?;
    let forbidden = |name: &&[u8]| field.is(name) || field.is_alike(name);
    if FORBIDDEN.iter().any(forbidden) { Err(Violation::TrailerName) } else { Ok(()) }
}

fn hexadecimal(digits: &[u8]) -> u64 {
    let value = |digit: &u8| char::from(*digit).to_digit(16).map_or(0, u64::from);
    digits.iter().fold(0, |sum, digit| (sum << 4) | value(digit))
}
