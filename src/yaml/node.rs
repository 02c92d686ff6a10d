//! The tree that a file is: texts, lists and mappings with their places. No meaning, no types.

use std::sync::Arc;

use super::Place;

/// One value. Cheap to clone: an alias shares what its anchor has.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it is written.
    pub(crate) place: Place,
    /// Where its key is written, if it has one.
    pub(crate) label: Option<Place>,
    /// What it is.
    pub(crate) kind: Kind,
    /// How many values it is made of, itself included and aliases followed.
    pub(crate) size: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// One text.
    Scalar(Arc<str>, Style),
    /// A list.
    Sequence(Arc<[Node]>),
    /// A mapping; its keys differ.
    Mapping(Arc<[Entry]>),
}

/// How a text was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is; it may be a number, a truth value or nothing at all.
    Plain,
    /// In quotes or as a block: always a text.
    Quoted,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: Arc<str>,
    /// How the key was written.
    pub(crate) style: Style,
    /// Where the key is.
    pub(crate) place: Place,
    /// Its value.
    pub(crate) value: Node,
}

impl Node {
    /// Where people look for it: its key, else itself.
    pub(crate) fn name_place(&self) -> &Place {
        self.label.as_ref().unwrap_or(&self.place)
    }

    /// What it is, for a sentence.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(text, Style::Plain) => plain_name(text),
            Kind::Scalar(_, Style::Quoted) => "a text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }

    /// Whether nothing stands there (`null`, `~` or blank).
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if is_null(text))
    }
}

/// What programs that read YAML take a plain text for; YAML 1.1 readers are counted in, since nobody can see on the
/// page which version was meant.
pub(crate) fn plain_name(text: &str) -> &'static str {
    if is_null(text) {
        "nothing"
    } else if is_truth_value(text) {
        "a truth value"
    } else if is_number(text) {
        "a number"
    } else {
        "a text"
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_truth_value(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = body.replace('_', "");
    let float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.parse::<f64>().is_ok();
    let radix = |prefix: &str, base: u32| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    let special = [".inf", ".nan"].iter().any(|word| body.eq_ignore_ascii_case(word));
    float || special || radix("0x", 16) || radix("0o", 8) || radix("0b", 2)
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn a_plain_text_is_what_any_reader_could_take_it_for() {
        let table = [
            ("", "nothing"),
            ("~", "nothing"),
            ("null", "nothing"),
            ("no", "a truth value"),
            ("NO", "a truth value"),
            ("true", "a truth value"),
            ("010", "a number"),
            ("1_000", "a number"),
            ("0x1f", "a number"),
            ("1e3", "a number"),
            (".5", "a number"),
            ("-.INF", "a number"),
            ("1.3", "a number"),
            ("10.13.10.5", "a text"),
            ("2020-06-15", "a text"),
            ("::1", "a text"),
            ("nan", "a text"),
            ("infinity", "a text"),
            ("JP", "a text"),
            ("５", "a text"),
        ];
        for (text, name) in table {
            assert_eq!(plain_name(text), name, "{text}");
        }
    }
}
