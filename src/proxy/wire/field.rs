//! One field line, of a head or of trailers, and the lines that end with CRLF. What a field means is not here.

use super::octet;
use super::violation::Violation;

/// A field line in its two parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// As sent.
    pub(super) name: &'a [u8],
    /// Without the white space around it.
    pub(super) value: &'a [u8],
    /// Where the value begins in the line.
    pub(super) begin: usize,
}

impl<'a> Field<'a> {
    /// Takes a line without its CRLF apart (RFC 9112 §5).
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Violation> {
        let length = octet::token_length(line);
        let (name, rest) = line.split_at_checked(length).ok_or(Violation::FieldName)?;
        match rest {
            [b':', value @ ..] if !name.is_empty() => {
                check_value(value)?;
                let (leading, value) = octet::trim(value);
                Ok(Self { name, value, begin: length + 1 + leading })
            }
            [b' ' | b'\t', ..] if name.is_empty() => Err(Violation::Fold),
            [b' ' | b'\t', ..] => Err(Violation::SpaceBeforeColon),
            [b'\r', ..] => Err(Violation::BareCarriageReturn),
            _ => Err(Violation::FieldName),
        }
    }

    /// Whether this is the field `name` (lower case), whatever its case.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether somebody who takes `_` for `-`, as CGI does, would read the field `name` where we do not.
    pub(super) fn is_alike(&self, name: &[u8]) -> bool {
        let alike = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-');
        self.name.len() == name.len() && !self.is(name) && self.name.iter().zip(name).all(alike)
    }
}

fn check_value(value: &[u8]) -> Result<(), Violation> {
    if !octet::has_control(value) {
        Ok(())
    } else if value.contains(&b'\r') {
        Err(Violation::BareCarriageReturn)
    } else {
        Err(Violation::Control)
    }
}

/// The lines of a withheld block, found one after the other, no byte looked at twice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lines {
    /// Where the current line begins.
    begin: usize,
    /// Up to where no LF was found.
    scanned: usize,
}

impl Lines {
    /// The next complete line of `block` without its CRLF, as its begin and end.
    pub(super) fn next(&mut self, block: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
        let Some(offset) = block.get(self.scanned..).and_then(|rest| memchr::memchr(b'\n', rest))
        else {
            self.scanned = block.len();
            return Ok(None);
        };
        let feed = self.scanned + offset;
        let begin = self.begin;
        match block.get(begin..feed) {
            Some([.., b'\r']) => {
                self.begin = feed + 1;
                self.scanned = feed + 1;
                Ok(Some((begin, feed - 1)))
            }
            Some(_) | None => Err(Violation::BareLineFeed),
        }
    }

    /// Where the line after the last one begins: the length of what was read.
    pub(super) const fn length(&self) -> usize {
        self.begin
    }
}
