//! JSON on one printable line, written by hand into a buffer that is reused. Knows nothing of entries.
//!
//! Whatever the texts hold, a line has no line break, no terminal sequence and nothing that changes the
//! direction of what is shown: such characters are `\u` escapes (RFC 8259 §7).

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use time::OffsetDateTime;

use crate::flow::Timestamp;

/// An object that is being written: members in the order of the calls. The braces are the caller's at the
/// top level, so that a line can be begun elsewhere.
#[derive(Debug)]
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Writes members to the end of `out`; the braces are the caller's.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    /// A text member.
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.key(key);
        push_text(self.out, text);
    }

    /// A text member, where there is one.
    pub(super) fn optional(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// An address.
    pub(super) fn address(&mut self, key: &'static str, address: IpAddr) {
        self.key(key);
        self.out.push(b'"');
        push_address(self.out, address);
        self.out.push(b'"');
    }

    /// An address with its port.
    pub(super) fn socket(&mut self, key: &'static str, socket: SocketAddr) {
        self.key(key);
        self.out.push(b'"');
        match socket {
            SocketAddr::V4(socket) => {
                push_address(self.out, IpAddr::V4(*socket.ip()));
                self.out.push(b':');
                push_number(self.out, socket.port().into());
            }
            SocketAddr::V6(socket) => push_shown(self.out, socket),
        }
        self.out.push(b'"');
    }

    /// A number member.
    pub(super) fn number(&mut self, key: &'static str, number: u64) {
        self.key(key);
        push_number(self.out, number);
    }

    /// A number member that may be negative.
    pub(super) fn signed(&mut self, key: &'static str, number: i64) {
        self.key(key);
        if number < 0 {
            self.out.push(b'-');
        }
        push_number(self.out, number.unsigned_abs());
    }

    /// A duration in seconds, with microseconds.
    pub(super) fn seconds(&mut self, key: &'static str, duration: std::time::Duration) {
        self.key(key);
        push_number(self.out, duration.as_secs());
        self.out.push(b'.');
        self.out.extend_from_slice(&padded::<6>(duration.subsec_micros()));
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, flag: bool) {
        self.key(key);
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// A moment, RFC 3339 in UTC with microseconds.
    pub(super) fn time(&mut self, key: &'static str, time: Timestamp) {
        self.key(key);
        push_time(self.out, time);
    }

    /// Bytes in hexadecimal.
    pub(super) fn hex(&mut self, key: &'static str, bytes: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        for part in bytes.chunks(32) {
            let mut digits = [[0; 2]; 32];
            for (pair, byte) in digits.iter_mut().zip(part) {
                *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
            }
            self.out.extend(digits.as_flattened().iter().take(part.len() * 2));
        }
        self.out.push(b'"');
    }

    /// An object member.
    pub(super) fn object(&mut self, key: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        braced(self.out, fill);
    }

    /// A member whose key is a number, as in a table by status code.
    pub(super) fn numbered(&mut self, key: u64, number: u64) {
        self.comma();
        self.out.push(b'"');
        push_number(self.out, key);
        self.out.extend_from_slice(b"\":");
        push_number(self.out, number);
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, texts: impl IntoIterator<Item: AsRef<str>>) {
        self.list(key, texts, |out, text| push_text(out, text.as_ref()));
    }

    /// A list of objects.
    pub(super) fn objects<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        fill: impl Fn(&mut Object<'_>, T),
    ) {
        self.list(key, items, |out, item| braced(out, |object| fill(object, item)));
    }

    fn list<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        push: impl Fn(&mut Vec<u8>, T),
    ) {
        self.key(key);
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            push(self.out, item);
        }
        self.out.push(b']');
    }

    fn key(&mut self, key: &'static str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }
}

/// Lets `write!` put ASCII and UTF-8 behind what is there.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn braced(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object::new(out));
    out.push(b'}');
}

/// A text in quotes. Runs that need nothing are copied whole.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let plain = |c: u8| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\';
    if text.bytes().all(plain) {
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    let mut rest = text;
    while let Some((index, odd)) = rest.char_indices().find(|(_, c)| needs_escape(*c)) {
        let (run, tail) = rest.split_at(index);
        out.extend_from_slice(run.as_bytes());
        push_escaped(out, odd);
        rest = tail.get(odd.len_utf8()..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, odd: char) {
    if odd == '"' || odd == '\\' {
        out.push(b'\\');
        push_char(out, odd);
        return;
    }
    let mut units = [0; 2];
    for unit in odd.encode_utf16(&mut units) {
        let _infallible = write!(Bytes(out), "\\u{unit:04x}");
    }
}

fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Whether a character would break the line, act on a terminal, turn the direction of text, or not be seen.
fn needs_escape(c: char) -> bool {
    match c {
        '"' | '\\' => true,
        ' '..='~' => false,
        _ if c.is_control() => true,
        _ => is_unseen(c),
    }
}

/// The general categories Cf, Zl, Zp and Co of Unicode 16, with the fillers, which are letters without a shape.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// An address holds nothing that needs an escape. Those of IPv4 are written without the machinery of formatting.
fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else { return push_shown(out, address) };
    let [first, rest @ ..] = address.octets();
    push_number(out, first.into());
    for octet in rest {
        out.push(b'.');
        push_number(out, octet.into());
    }
}

fn push_shown(out: &mut Vec<u8>, shown: impl fmt::Display) {
    // Writing into a vector of bytes cannot fail.
    let _infallible = write!(Bytes(out), "{shown}");
}

/// A number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut width) = (number, 0);
    for place in digits.iter_mut().rev() {
        (*place, rest, width) = (digit(rest % 10), rest / 10, width + 1);
        if rest == 0 {
            break;
        }
    }
    let (_zeros, number) = digits.split_at(digits.len() - width);
    out.extend_from_slice(number);
}

/// The last `WIDTH` digits of a number, with leading zeros.
fn padded<const WIDTH: usize>(mut number: u32) -> [u8; WIDTH] {
    let mut digits = [b'0'; WIDTH];
    for place in digits.iter_mut().rev() {
        (*place, number) = (digit((number % 10).into()), number / 10);
    }
    digits
}

/// The same text as the moment's own `Display`, without the machinery of formatting.
fn push_time(out: &mut Vec<u8>, time: Timestamp) {
    let moment = OffsetDateTime::from_unix_timestamp(time.as_seconds())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let micros = time.as_nanos().rem_euclid(1_000_000_000) / 1_000;
    let year = padded::<4>(moment.year().unsigned_abs());
    let date = [u8::from(moment.month()), moment.day()].map(|part| padded::<2>(part.into()));
    let clock = [moment.hour(), moment.minute(), moment.second()];
    let [hour, minute, second] = clock.map(|part| padded::<2>(part.into()));
    let [month, day] = date;
    let micros = padded::<6>(u32::try_from(micros).unwrap_or(0));
    out.reserve(29);
    for part in [
        &b"\""[..],
        &year,
        b"-",
        &month,
        b"-",
        &day,
        b"T",
        &hour,
        b":",
        &minute,
        b":",
        &second,
        b".",
        &micros,
        b"Z\"",
    ] {
        out.extend_from_slice(part);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "one decimal digit")]
const fn digit(number: u64) -> u8 {
    b'0' + number as u8
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Object, push_number, push_text, push_time};
    use crate::flow::Timestamp;

    fn shown(text: &str) -> String {
        let mut out = Vec::new();
        push_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        let table = [
            ("a\r\n{\"seq\":9}", r#""a\u000d\u000a{\"seq\":9}""#),
            ("\u{1b}[31mred\u{7}", r#""\u001b[31mred\u0007""#),
            ("\u{9b}31m\u{7f}", r#""\u009b31m\u007f""#),
            ("a\u{202e}b\u{2066}c\u{200f}", r#""a\u202eb\u2066c\u200f""#),
            ("a\u{2028}b\u{2029}\u{85}", r#""a\u2028b\u2029\u0085""#),
            ("\u{feff}\u{ad}\u{200b}\u{e0041}", r#""\ufeff\u00ad\u200b\udb40\udc41""#),
            ("back\\slash", r#""back\\slash""#),
            ("既存システム～５", "\"既存システム～５\""),
            ("", "\"\""),
        ];
        for (text, line) in table {
            assert_eq!(shown(text), line, "{text:?}");
        }
    }

    #[test]
    fn members_stand_in_the_order_of_the_calls() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.number("n", 10);
        object.signed("s", -7);
        object.flag("f", true);
        object.optional("none", None);
        object.hex("h", &[0, 0xaf]);
        object.seconds("d", std::time::Duration::from_micros(1_000_042));
        object.object("o", |inner| inner.numbered(200, 3));
        object.texts("t", ["a", "b"]);
        object.objects("e", [1, 2], |inner, n| inner.number("i", n));
        let line = r#""n":10,"s":-7,"f":true,"h":"00af","d":1.000042,"o":{"200":3},"t":["a","b"],"e":[{"i":1},{"i":2}]"#;
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }

    #[test]
    fn numbers_are_decimal_to_both_ends() {
        for number in [0, 1, 9, 10, 99, 100, 48_213, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    proptest! {
        #[test]
        fn a_text_comes_back_as_it_was_and_is_one_printable_line(text in any::<String>()) {
            let line = shown(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            let odd = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
            prop_assert!(!line.chars().any(odd));
        }

        #[test]
        fn a_moment_is_written_as_it_displays(nanos in any::<i64>()) {
            let moment = Timestamp::from_nanos(nanos);
            let mut out = Vec::new();
            push_time(&mut out, moment);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("\"{moment}\""));
        }
    }
}
