//! An entry as it is read back from its line. The counterpart of `line`; nothing here writes or judges.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::flow::Timestamp;

/// One entry of the public format `sekisho.ledger/1`. Members that a later version adds are passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    /// Its number; the first entry of a ledger has 1.
    pub seq: u64,
    /// The start of the process that wrote it.
    pub boot: u64,
    /// When.
    #[serde(deserialize_with = "moment")]
    pub at: Timestamp,
    /// Its kind, a code.
    pub kind: String,
    /// The client connection it speaks of, unique within its boot.
    #[serde(default)]
    pub connection: Option<u64>,
    /// The law in force, 64 hexadecimal digits.
    #[serde(default)]
    pub policy: Option<String>,
    /// The stage, a code.
    #[serde(default)]
    pub stage: Option<String>,
    /// `allow`, `deny` or `not_yet`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The reason, a code.
    #[serde(default)]
    pub reason: Option<String>,
    /// The rule.
    #[serde(default)]
    pub rule: Option<String>,
    /// What else is recorded; which members there are depends on the kind.
    #[serde(default)]
    pub facts: Map<String, Value>,
}

impl Record {
    /// Reads one line, with or without its line break; `None` where it is no entry.
    pub fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// A text among the facts.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name)?.as_str()
    }

    /// A number among the facts.
    pub fn count(&self, name: &str) -> Option<u64> {
        self.facts.get(name)?.as_u64()
    }

    /// As entries are named outside the ledger, `BOOT-SEQ`.
    pub fn reference(&self) -> String {
        format!("{}-{}", self.boot, self.seq)
    }

    /// The connection, unique within the ledger.
    pub fn connection(&self) -> Option<(u64, u64)> {
        self.connection.map(|number| (self.boot, number))
    }
}

impl fmt::Display for Record {
    /// One line for people: what every entry has, then its facts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9}  {}  {:<9}", self.reference(), self.at, self.kind)?;
        let judged = [&self.verdict, &self.reason, &self.rule];
        for word in judged.into_iter().flatten() {
            write!(f, "  {word}")?;
        }
        if let Some(connection) = self.connection {
            write!(f, "  connection={connection}")?;
        }
        self.facts.iter().try_for_each(|(name, value)| write!(f, "  {name}={}", plain(value)))
    }
}

/// A text without its quotes, anything else as JSON. The ledger's own escapes stay, so that nothing that was
/// recorded reaches a terminal.
fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) if text.chars().all(is_plain) => Cow::Borrowed(text),
        Value::String(text) => Cow::Owned(text.chars().map(escaped).collect()),
        Value::Array(_) | Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            Cow::Owned(value.to_string().chars().map(escaped).collect())
        }
    }
}

fn escaped(c: char) -> String {
    if is_plain(c) { c.to_string() } else { c.escape_unicode().to_string() }
}

/// Whether it shows as itself on a terminal and leaves the direction of what follows alone.
fn is_plain(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !c.is_control() && !turns
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    Timestamp::parse(&text).map_err(serde::de::Error::custom)
}

/// What a line says of itself in its first members, found without reading the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its number.
    pub seq: u64,
    /// Its boot.
    pub boot: u64,
    /// When, as written.
    pub at: &'a [u8],
    /// Its kind, a code.
    pub kind: &'a [u8],
}

impl<'a> Head<'a> {
    /// Of a line without its line break; `None` where it does not begin and end as every line does.
    pub fn of(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"seq\":")?.strip_suffix(b"}")?;
        let (seq, rest) = number(rest)?;
        let (boot, rest) = number(rest.strip_prefix(b",\"boot\":")?)?;
        let rest = rest.strip_prefix(b",\"at\":\"")?;
        let (at, rest) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
        let rest = rest.strip_prefix(b"\",\"kind\":\"")?;
        let (kind, _) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
        Some(Self { seq, boot, at, kind })
    }
}

/// Decimal digits in front, as the writer writes them.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    let plain = !digits.is_empty() && (digits == b"0" || !digits.starts_with(b"0"));
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let value = digits.iter().try_fold(0, add)?;
    plain.then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::{Head, Record};

    const LINE: &str = r#"{"seq":48213,"boot":17,"at":"2026-11-22T02:14:08.000000Z","kind":"refused","connection":5,"stage":"request","verdict":"deny","reason":"method","facts":{"method":"DELETE","detail":"a\u000a\u202eb","nearest":[{"rule":"register"}]}}"#;

    #[test]
    fn an_entry_is_one_line_for_people_whatever_a_client_wrote() {
        let record = Record::parse(LINE.as_bytes()).unwrap();
        assert_eq!(
            record.to_string(),
            r#" 17-48213  2026-11-22T02:14:08.000000Z  refused    deny  method  connection=5  detail=a\u{a}\u{202e}b  method=DELETE  nearest=[{"rule":"register"}]"#
        );
        assert_eq!((record.connection(), record.fact("method")), (Some((17, 5)), Some("DELETE")));
    }

    #[test]
    fn the_head_of_a_line_is_read_without_the_rest() {
        let head = Head::of(LINE.as_bytes()).unwrap();
        assert_eq!((head.seq, head.boot, head.kind), (48213, 17, b"refused".as_slice()));
        for broken in [
            "",
            "{}",
            "{\"seq\":07,\"boot\":1,",
            LINE.trim_start_matches('{'),
            LINE.trim_end_matches('}'),
        ] {
            assert_eq!(Head::of(broken.as_bytes()), None, "{broken}");
        }
        let long = LINE.replace("48213", "99999999999999999999");
        assert_eq!(Head::of(long.as_bytes()), None, "a number beyond 64 bits");
    }
}
