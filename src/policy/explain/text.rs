//! Small edits of the law's text that leave everything else as it is: a value more in a list, one less, another value.
//! What an edit means is for whoever asks for it; a text that is written in an unusual way is not edited.

use std::sync::Arc;

use crate::yaml::{Faults, Kind, Node, Place, SourceFile, parse};

/// The law's files while they are edited.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) files: Vec<SourceFile>,
}

/// Where something is written: the file's number and its tree.
#[derive(Debug, Clone)]
pub(super) struct Found {
    file: usize,
    pub(super) node: Node,
}

impl Draft {
    /// The value behind these keys, in whichever file it is.
    pub(super) fn find(&self, keys: &[&str]) -> Option<Found> {
        self.files.iter().enumerate().find_map(|(file, source)| {
            let root = parse(source, &mut Faults::new())?;
            let node = keys.iter().try_fold(root, |node, key| child(&node, key))?;
            Some(Found { file, node })
        })
    }

    /// With one more value at the end of the list behind `keys`.
    pub(super) fn appended(&self, keys: &[&str], value: &str) -> Option<Self> {
        let found = self.find(keys)?;
        let last = items(&found.node)?.last()?;
        let written = written(value);
        if is_flow(&found.node.place) {
            return self.spliced(&found, end(&last.place)?, 0, &format!(", {written}"));
        }
        // A list in lines: the new one looks like the last one.
        let dash = last.place.text.find('-')?;
        let indent = last.place.text.get(..dash).filter(|indent| indent.trim().is_empty())?;
        self.inserted(&found, last.place.line, &format!("{indent}- {written}"))
    }

    /// Without the first value that reads `value` of the list behind `keys`; never the only one.
    pub(super) fn without(&self, keys: &[&str], value: &str) -> Option<Self> {
        let found = self.find(keys)?;
        let items = items(&found.node)?;
        let index = items.iter().position(|item| reads(item, value)).filter(|_| items.len() > 1)?;
        let place = &items.get(index)?.place;
        if !is_flow(&found.node.place) {
            return self.cut(&found, place.line);
        }
        let (from, to) = match index.checked_sub(1).and_then(|before| items.get(before)) {
            Some(before) => (end(&before.place)?, end(place)?),
            None => (start(place), start(&items.get(1)?.place)),
        };
        let one_line = items.iter().all(|item| item.place.line == place.line);
        let length = to.1.checked_sub(from.1).filter(|_| one_line)?;
        self.spliced(&found, from, length, "")
    }

    /// With another value behind `keys`.
    pub(super) fn replaced(&self, keys: &[&str], value: &str) -> Option<Self> {
        let found = self.find(keys)?;
        let Kind::Scalar(..) = found.node.kind else { return None };
        let length = found.node.place.length as usize;
        self.spliced(&found, start(&found.node.place), length, &written(value))
    }

    /// Without the key that ends `keys`, where it stands on a line of its own.
    pub(super) fn dropped(&self, keys: &[&str]) -> Option<Self> {
        let found = self.find(keys)?;
        let Kind::Scalar(..) = found.node.kind else { return None };
        let label = found.node.label.as_ref()?;
        let (before, _) = split(&label.text, label.column.checked_sub(1)? as usize)?;
        let behind = split(&found.node.place.text, end(&found.node.place)?.1)?.1.trim_start();
        let alone = before.trim().is_empty() && (behind.is_empty() || behind.starts_with('#'));
        alone.then(|| self.cut(&found, label.line)).flatten()
    }

    /// With `key: value` behind the first key of the mapping behind `keys`, written as that one is.
    pub(super) fn keyed(&self, keys: &[&str], key: &str, value: &str) -> Option<Self> {
        let found = self.find(keys)?;
        let Kind::Mapping(entries) = &found.node.kind else { return None };
        let first = entries.first()?;
        if is_flow(&found.node.place) {
            return self.spliced(&found, start(&first.place), 0, &format!("{key}: {value}, "));
        }
        let (indent, _) = split(&first.place.text, first.place.column.checked_sub(1)? as usize)?;
        let blank = indent.trim().is_empty();
        let above = first.place.line.checked_sub(1)?;
        blank.then(|| self.inserted(&found, above, &format!("{indent}{key}: {value}"))).flatten()
    }

    /// With `length` characters behind `at` (line and column from 0) replaced.
    fn spliced(
        &self,
        found: &Found,
        at: (usize, usize),
        length: usize,
        text: &str,
    ) -> Option<Self> {
        self.rewritten(found, |lines| {
            let line = lines.get_mut(at.0)?;
            let (before, rest) = split(line, at.1)?;
            let (_, after) = split(rest, length)?;
            *line = format!("{before}{text}{after}");
            Some(())
        })
    }

    /// With a line behind that number (from 1).
    fn inserted(&self, found: &Found, behind: u32, line: &str) -> Option<Self> {
        self.rewritten(found, |lines| {
            let at = (behind as usize).min(lines.len());
            // A file that ends each line with CR LF goes on to.
            let returns = lines.first().is_some_and(|first| first.ends_with('\r'));
            lines.insert(at, if returns { format!("{line}\r") } else { line.to_owned() });
            Some(())
        })
    }

    /// Without the line of that number (from 1).
    fn cut(&self, found: &Found, line: u32) -> Option<Self> {
        self.rewritten(found, |lines| {
            let behind = lines.get(line as usize..)?.to_vec();
            lines.truncate((line as usize).checked_sub(1)?);
            lines.extend(behind);
            Some(())
        })
    }

    fn rewritten(
        &self,
        found: &Found,
        edit: impl FnOnce(&mut Vec<String>) -> Option<()>,
    ) -> Option<Self> {
        let mut files = self.files.clone();
        let file = files.get_mut(found.file)?;
        let text = std::str::from_utf8(&file.bytes).ok()?;
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        edit(&mut lines)?;
        file.bytes = Arc::from(lines.join("\n").into_bytes());
        Some(Self { files })
    }
}

fn child(node: &Node, key: &str) -> Option<Node> {
    match &node.kind {
        Kind::Mapping(entries) => {
            entries.iter().find(|entry| &*entry.key == key).map(|entry| entry.value.clone())
        }
        Kind::Sequence(items) => items.get(key.parse::<usize>().ok()?).cloned(),
        Kind::Scalar(..) => None,
    }
}

fn items(node: &Node) -> Option<&[Node]> {
    match &node.kind {
        Kind::Sequence(items) => Some(items),
        Kind::Scalar(..) | Kind::Mapping(_) => None,
    }
}

fn reads(node: &Node, value: &str) -> bool {
    matches!(&node.kind, Kind::Scalar(text, _) if &**text == value)
}

/// Whether a list or mapping is written in brackets.
fn is_flow(place: &Place) -> bool {
    split(&place.text, start(place).1).is_some_and(|(_, rest)| rest.starts_with(['[', '{']))
}

/// Line and column, from 0.
fn start(place: &Place) -> (usize, usize) {
    (place.line.saturating_sub(1) as usize, place.column.saturating_sub(1) as usize)
}

/// Behind the last character.
fn end(place: &Place) -> Option<(usize, usize)> {
    let (line, column) = start(place);
    Some((line, column.checked_add(place.length as usize)?))
}

/// Behind `at` characters.
fn split(text: &str, at: usize) -> Option<(&str, &str)> {
    let byte = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at)?;
    text.split_at_checked(byte)
}

/// As a value is written: in quotes where YAML could read it as something else.
fn written(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/');
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    if begins && value.chars().all(plain) { value.to_owned() } else { format!("\"{value}\"") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Draft;
    use crate::yaml::SourceFile;

    fn draft(text: &str) -> Draft {
        let file = SourceFile { name: Arc::from("a.yaml"), bytes: text.as_bytes().into() };
        Draft { files: vec![file] }
    }

    fn text(draft: Option<Draft>) -> Option<String> {
        let file = draft?.files.pop()?;
        Some(String::from_utf8(file.bytes.to_vec()).unwrap())
    }

    #[test]
    fn a_value_is_added_as_the_list_is_written() {
        let table = [
            ("a: { b: [GET, \"x\"] } # why\n", "a: { b: [GET, \"x\", PUT] } # why\n"),
            ("a:\n  b:\n    - GET # 既存\n", "a:\n  b:\n    - GET # 既存\n    - PUT\n"),
            ("a:\n  b: # 方法\n  - GET\nc: 1\n", "a:\n  b: # 方法\n  - GET\n  - PUT\nc: 1\n"),
            ("a:\r\n  b:\r\n  - GET\r\n", "a:\r\n  b:\r\n  - GET\r\n  - PUT\r\n"),
            ("a:\n  b: [\n    GET,\n    POST\n  ]\n", "a:\n  b: [\n    GET,\n    POST, PUT\n  ]\n"),
        ];
        for (before, after) in table {
            assert_eq!(text(draft(before).appended(&["a", "b"], "PUT")).as_deref(), Some(after));
        }
        let quoted = text(draft("a: [x]\n").appended(&["a"], "dns:y.example"));
        assert_eq!(quoted.as_deref(), Some("a: [x, \"dns:y.example\"]\n"));
    }

    #[test]
    fn a_value_goes_with_its_comma_or_its_line_but_never_the_only_one() {
        let table = [
            ("a: [x, y, z]\n", "y", Some("a: [x, z]\n")),
            ("a: [x, y, z]\n", "x", Some("a: [y, z]\n")),
            ("a: [x, \"y\"]\n", "y", Some("a: [x]\n")),
            ("a:\n- x\n- y\n", "x", Some("a:\n- y\n")),
            ("a: [x]\n", "x", None),
            ("a:\n- x\n", "x", None),
            ("a: [x, y]\n", "q", None),
        ];
        for (before, value, after) in table {
            assert_eq!(text(draft(before).without(&["a"], value)).as_deref(), after, "{before}");
        }
    }

    #[test]
    fn a_value_is_replaced_and_a_line_dropped() {
        let law = "r:\n  o: { dial: declared, x: 1 }\n  listener: lan # 庁内\n  to: x\n";
        let always = text(draft(law).replaced(&["r", "o", "dial"], "always")).unwrap();
        assert!(always.contains("o: { dial: always, x: 1 }"), "{always}");
        let dropped = text(draft(law).dropped(&["r", "listener"])).unwrap();
        assert!(!dropped.contains("listener") && dropped.contains("  to: x"), "{dropped}");
        assert_eq!(text(draft(law).dropped(&["r", "o", "dial"])), None);
        // What shares its line with the end of the mapping stays.
        let shared = "r: { to: x,\n  listener: lan }\n";
        assert_eq!(text(draft(shared).dropped(&["r", "listener"])), None);
        let keyed = text(draft(law).keyed(&["r"], "upgrade", "true")).unwrap();
        assert!(keyed.starts_with("r:\n  upgrade: true\n  o:"), "{keyed}");
    }
}
