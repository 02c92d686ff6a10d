//! The path of a request in its one normal form: the form that is judged is the form that is sent.

use std::fmt;
use std::sync::Arc;

/// A normalised absolute path (RFC 3986 §3.3, §6.2.2): begins with `/`, unreserved characters are
/// plain, other escapes are upper case. It has no dot segment, no empty segment but a last one, no
/// encoded slash, backslash or control character: policy and upstream cannot read it differently. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Arc<str>);

/// Why a text is not a [`Path`]. All of these are refused as `malformed_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `.` or `..` as a segment, plain, encoded or before a `;`.
    DotSegment,
    /// `//`.
    EmptySegment,
    /// `%2F` or `%5C`, or a plain backslash.
    Separator,
    /// An encoded control character.
    Control,
    /// `%` that is not followed by two hexadecimal digits.
    Escape,
    /// A character that has no place in a path (RFC 3986 §3.3).
    Character,
}

impl Path {
    /// Normalises `text`, a path without its query.
    ///
    /// # Errors
    /// [`PathError`] where two readers could understand it differently.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if !text.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let plain = |c: u8| is_pchar(c) || c == b'/';
        if text.bytes().all(plain) {
            check_segments(text)?;
            return Ok(Self(Arc::from(text)));
        }
        let normal = normalise(text.as_bytes())?;
        check_segments(&normal)?;
        Ok(Self(Arc::from(normal)))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes; the last one is empty where the path ends with `/`.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        segments(&self.0)
    }
}

fn normalise(text: &[u8]) -> Result<String, PathError> {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let escaped = escaped_byte(rest.next(), rest.next())?;
                push_decoded(&mut normal, escaped)?;
            }
            b'\\' => return Err(PathError::Separator),
            b'/' => normal.push('/'),
            _ if is_pchar(byte) => normal.push(char::from(byte)),
            _ => return Err(PathError::Character),
        }
    }
    Ok(normal)
}

fn escaped_byte(high: Option<u8>, low: Option<u8>) -> Result<u8, PathError> {
    let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
    let (high, low) = digit(high).zip(digit(low)).ok_or(PathError::Escape)?;
    u8::try_from(high << 4 | low).ok().ok_or(PathError::Escape)
}

fn push_decoded(normal: &mut String, byte: u8) -> Result<(), PathError> {
    match byte {
        b'/' | b'\\' => Err(PathError::Separator),
        0..=0x1f | 0x7f => Err(PathError::Control),
        _ if is_unreserved(byte) => {
            normal.push(char::from(byte));
            Ok(())
        }
        _ => {
            let digit = |nibble: u8| {
                char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
            };
            normal.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            Ok(())
        }
    }
}

/// What stands behind each slash. Segments are short: to look at every byte is faster than to search for the slashes.
fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    let mut rest = path.strip_prefix('/');
    std::iter::from_fn(move || {
        let path = rest?;
        let end = path.bytes().position(|c| c == b'/');
        let (segment, behind) = path.split_at_checked(end.unwrap_or(path.len()))?;
        rest = end.and_then(|_| behind.strip_prefix('/'));
        Some(segment)
    })
}

fn check_segments(normal: &str) -> Result<(), PathError> {
    // Only a dot, a `;` or an empty segment can be wrong, and few paths have a segment that begins so.
    let odd = |(before, c): (u8, u8)| before == b'/' && matches!(c, b'.' | b';' | b'/');
    if !normal.bytes().zip(normal.bytes().skip(1)).any(odd) {
        return Ok(());
    }
    let mut segments = segments(normal).peekable();
    while let Some(segment) = segments.next() {
        // Java servers cut a segment at `;`, so that `..;` is `..` to them.
        let name = segment.split(';').next().unwrap_or(segment);
        if name == "." || name == ".." {
            return Err(PathError::DotSegment);
        }
        if name.is_empty() && (segments.peek().is_some() || !segment.is_empty()) {
            return Err(PathError::EmptySegment);
        }
    }
    Ok(())
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "a path begins with `/`",
            Self::DotSegment => "`.` and `..` have no place in a path here",
            Self::EmptySegment => "`//` has no place in a path here",
            Self::Separator => "an encoded slash and a backslash have no place in a path here",
            Self::Control => "control characters have no place in a path",
            Self::Escape => "`%` is followed by two hexadecimal digits",
            Self::Character => "a character that a path cannot have unless it is %-encoded",
        })
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Path, PathError};

    #[test]
    fn one_normal_form() {
        let table = [
            ("/", "/"),
            ("/exchange/upload", "/exchange/upload"),
            ("/%65xchange/%7euser", "/exchange/~user"),
            ("/a%3ab%e3%81%82", "/a%3Ab%E3%81%82"),
            ("/a/", "/a/"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/%252e%252e", "/%252e%252e"),
        ];
        for (text, normal) in table {
            assert_eq!(Path::parse(text).map(|p| p.to_string()), Ok(normal.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let table = [
            ("", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("/..", PathError::DotSegment),
            ("/a/./b", PathError::DotSegment),
            ("/a/%2e%2E/b", PathError::DotSegment),
            ("/a/..;/b", PathError::DotSegment),
            ("//", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/a/;/b", PathError::EmptySegment),
            ("/a%2fb", PathError::Separator),
            ("/a%5cb", PathError::Separator),
            ("/a\\b", PathError::Separator),
            ("/a%00", PathError::Control),
            ("/a%0d%0a", PathError::Control),
            ("/a%4", PathError::Escape),
            ("/a%zz", PathError::Escape),
            ("/a b", PathError::Character),
            ("/a?b", PathError::Character),
            ("/あ", PathError::Character),
        ];
        for (text, why) in table {
            assert_eq!(Path::parse(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own_normal_form(text in "/[a-zA-Z0-9%;./~\\-]{0,40}") {
            if let Ok(path) = Path::parse(&text) {
                let again = Path::parse(path.as_str());
                prop_assert_eq!(again, Ok(path));
            }
        }
    }
}
