//! Texts that are safe to record: what a client wrote, with everything hidden that could be an individual number.

use std::fmt;

/// As many digits, wherever they stand in a text, make every one of them too many.
const DIGITS_MAX: usize = 7;

/// What Base64 makes of that many digits and one more.
const BASE64_MIN: usize = 11;

/// A text that may be recorded. Made only by the masks of the law in force, or of a text of our own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Masked(Box<str>);

impl Masked {
    /// A text of the program itself.
    pub fn own(text: &'static str) -> Self {
        Self(Box::from(text))
    }

    /// Any text: where it has 8 or more digits in all (full-width ones too, separators ignored), every digit is `*`.
    /// Digits in `%`-escapes count; a word that is Base64 of digits, or that in such a text mixes letters and
    /// digits as Base64 does, is one `*`.
    /// Control characters, bidi marks and what is not printable are escaped by the ledger's JSON, not here.
    pub fn text(text: &str) -> Self {
        let many = text.chars().filter(|c| c.is_numeric()).count() > DIGITS_MAX;
        let plain = hide_words(text, many);
        Self(if many { hide_digits(&plain) } else { plain.into_boxed_str() })
    }

    /// A text of the law in force.
    pub(super) fn literal(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    /// A masked text behind a label of our own.
    pub(super) fn labelled(label: &'static str, masked: &str) -> Self {
        Self(format!("{label}{masked}").into_boxed_str())
    }

    /// The recorded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every digit becomes `*`; also the letter that is the second half of a full-width digit in an escaped Shift_JIS
/// text (`%82P` is `１`), which no digit gives away.
fn hide_digits(text: &str) -> Box<str> {
    let mut hidden = String::with_capacity(text.len());
    let (mut before, mut last) = ('\0', '\0');
    for c in text.chars() {
        let second_half = before == '8' && last == '2' && ('O'..='X').contains(&c);
        hidden.push(if c.is_numeric() || second_half { '*' } else { c });
        (before, last) = (last, c);
    }
    hidden.into_boxed_str()
}

/// Words of the Base64 alphabets (RFC 4648 §4, §5) that hide digits become `*`.
fn hide_words(text: &str, many: bool) -> String {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let mut hidden = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if is_base64(c) {
            word.push(c);
        } else {
            push_word(&mut hidden, &word, many);
            word.clear();
            hidden.push(c);
        }
    }
    push_word(&mut hidden, &word, many);
    hidden
}

fn push_word(hidden: &mut String, word: &str, many: bool) {
    if word.len() >= BASE64_MIN && hides_digits(word.as_bytes()) {
        hidden.push('*');
    } else if many {
        // A host name is folded to lower case, and such Base64 cannot be read back here, but by others.
        let parts = word.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        hidden.extend(parts.map(|part| if is_mixed(part) { "*" } else { part }));
    } else {
        hidden.push_str(word);
    }
}

fn is_mixed(part: &str) -> bool {
    let digit = part.bytes().any(|c| c.is_ascii_digit());
    let letter = part.bytes().any(|c| c.is_ascii_alphabetic());
    part.len() >= BASE64_MIN && digit && letter
}

/// Whether the word is Base64 of digits, from any of the four places where a group can begin.
fn hides_digits(word: &[u8]) -> bool {
    (0..4)
        .filter_map(|start| word.get(start..))
        .any(|word| has_digits(&decode(word)) || folded_digits(word) >= BASE64_MIN)
}

fn decode(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for sextet in word.iter().map(|c| sextet(*c)) {
        bits = (bits << 6 | u32::from(sextet)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.extend(u8::try_from(bits >> held & 0xff));
        }
    }
    bytes
}

const fn sextet(c: u8) -> u8 {
    match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    }
}

/// Whether 8 or more digits stand in a row, in any encoding of them; what separates groups of digits, and the zero
/// bytes of UTF-16, do not end the row.
fn has_digits(mut bytes: &[u8]) -> bool {
    let mut count = 0;
    loop {
        bytes = match bytes {
            [] => return false,
            [0xef, 0xbc, 0x90..=0x99, rest @ ..]
            | [0x82, 0x4f..=0x58, rest @ ..]
            | [0xa3, 0xb0..=0xb9, rest @ ..]
            | [0xff, 0x10..=0x19, rest @ ..]
            | [0x10..=0x19, 0xff, rest @ ..]
            | [b'0'..=b'9', rest @ ..] => {
                count += 1;
                rest
            }
            [0 | b' ' | b'-' | b'.' | b'_' | b',', rest @ ..] => rest,
            [_, rest @ ..] => {
                count = 0;
                rest
            }
        };
        if count > DIGITS_MAX {
            return true;
        }
    }
}

/// How many letters in a row can be Base64 of ASCII digits when case is lost. Three digits make four letters, of which
/// each has few values: `0011dddd 0011dddd 0011dddd`.
fn folded_digits(word: &[u8]) -> usize {
    const GROUP: [&[u8]; 4] = [b"mno", b"dtjz", b"aeimquycgk", b"wxyz012345"];
    let mut longest = 0;
    let mut run = 0;
    for (c, wanted) in word.iter().zip(GROUP.iter().cycle()) {
        run = if wanted.contains(&c.to_ascii_lowercase()) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}
