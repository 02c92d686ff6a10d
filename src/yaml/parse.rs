//! Bytes → [`Node`]. The only file that knows the YAML crate: YAML 1.2 in one document, without merge keys and tags;
//! aliases are followed, and everything has a bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::fault::duplicate;
use super::node::{Entry, Kind, Node, Style};
use super::place::Lines;
use super::value::quoted;
use super::{Fault, Faults, Place, SourceFile};

/// The longest line, in characters.
const LINE_MAX: usize = 4096;
/// The most values of one file, those reached through aliases counted each time.
const NODES_MAX: usize = 400_000;
/// The deepest nesting; the law's own is six.
const DEPTH_MAX: usize = 32;

/// Reads one file as YAML. `None` where it cannot be read to its end; why is among `faults`.
pub(crate) fn parse(file: &SourceFile, faults: &mut Faults) -> Option<Node> {
    let text = text(file).map_err(|fault| faults.push(fault)).ok()?;
    let lines = Lines::of(&file.name, text);
    if let Err(fault) = check_characters(&lines, text) {
        faults.push(fault);
        return None;
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEPTH_MAX + 1;
    options.block_nesting_limit = DEPTH_MAX + 1;
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, lines: &lines, faults, anchors: BTreeMap::new(), nodes: 0 };
    builder.stream().map_err(|fault| builder.faults.push(fault)).ok()
}

/// What ends the reading of a file.
type Fatal = Fault;

fn text(file: &SourceFile) -> Result<&str, Fatal> {
    let whole = Place::file(&file.name);
    if file.bytes.len() > SourceFile::BYTES_MAX {
        let message = format!("the file has more than {} bytes", SourceFile::BYTES_MAX);
        return Err(Fault::error("too_large", &whole, message));
    }
    let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let lines = Lines::of(&file.name, &String::from_utf8_lossy(before));
        let fault = Fault::error("encoding", &lines.end(), "the file is not UTF-8 from here on");
        fault.remedy("save it as UTF-8")
    })
}

/// Printable characters only (YAML 1.2.2 §5.1), and none that make a line look other than it reads.
fn check_characters(lines: &Lines, text: &str) -> Result<(), Fatal> {
    let (line, length) = lines.longest();
    if length > LINE_MAX {
        let message = format!("the line has {length} characters, at most {LINE_MAX} are read");
        return Err(Fault::error("too_large", &lines.number(line), message));
    }
    let Some(at) = text.find(is_forbidden) else { return Ok(()) };
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let code = rest.chars().next().map_or(0, u32::from);
    let place = lines.place_after(before);
    Err(Fault::error(
        "syntax",
        &place,
        format!("the character U+{code:04X} has no place in a file"),
    ))
}

fn is_forbidden(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    control
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

struct Builder<'a, 'f> {
    parser: Parser<'a, StrInput<'a>>,
    lines: &'a Lines,
    faults: &'f mut Faults,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate keeps its events open; what is not due is a fault"
)]
impl<'a> Builder<'a, '_> {
    fn stream(&mut self) -> Result<Node, Fatal> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_none() => root = Some(self.document()?),
                _ => {
                    return Err(self.fatal(
                        "syntax",
                        span,
                        "a second document begins here; a file has one",
                    ));
                }
            }
        }
        root.ok_or_else(|| Fault::error("syntax", &self.lines.number(1), "the file is empty"))
    }

    fn document(&mut self) -> Result<Node, Fatal> {
        let (event, span) = self.next()?;
        self.node(event, span, 0)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fatal> {
        if depth > DEPTH_MAX {
            return Err(self.fatal(
                "too_deep",
                span,
                &format!("more than {DEPTH_MAX} levels deep"),
            ));
        }
        let (anchor, tag, mut node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, tag, self.scalar(&text, style, span))
            }
            Event::SequenceStart(_, anchor, tag) => (anchor, tag, self.sequence(span, depth)?),
            Event::MappingStart(_, anchor, tag) => (anchor, tag, self.mapping(span, depth)?),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(self.fatal("syntax", span, "a value is due here")),
        };
        if tag.is_some() {
            self.complain("syntax", &node.place, "tags such as `!name` have no place here");
        }
        node.size = self.count(&node, span)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Adds the node itself; its children have been counted when they were made.
    fn count(&mut self, node: &Node, span: Span) -> Result<usize, Fatal> {
        self.add(1, span)?;
        Ok(match &node.kind {
            Kind::Scalar(..) => 1,
            Kind::Sequence(items) => 1 + items.iter().map(|item| item.size).sum::<usize>(),
            Kind::Mapping(entries) => {
                1 + entries.iter().map(|entry| entry.value.size).sum::<usize>()
            }
        })
    }

    fn add(&mut self, nodes: usize, span: Span) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err(self.fatal(
                "too_large",
                span,
                &format!("more than {NODES_MAX} values in a file, aliases counted"),
            ));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Fatal> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.fatal("syntax", span, "this alias is inside its own anchor"));
        };
        self.add(node.size, span)?;
        Ok(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Node {
        let style = if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted };
        Node {
            place: self.place(span),
            label: None,
            kind: Kind::Scalar(Arc::from(text), style),
            size: 1,
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(self.collection(start, span, Kind::Sequence(items.into())));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut known: BTreeMap<Arc<str>, Place> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(self.collection(start, span, Kind::Mapping(entries.into())));
            }
            let entry = self.entry(event, span, depth)?;
            if let Some(first) = known.get(&entry.key) {
                self.faults.push(duplicate(&entry.key, &entry.place, first));
            } else {
                known.insert(Arc::clone(&entry.key), entry.place.clone());
                entries.push(entry);
            }
        }
    }

    fn entry(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Entry, Fatal> {
        let key = self.node(event, span, depth + 1)?;
        let Kind::Scalar(text, style) = key.kind else {
            return Err(self.fatal("syntax", span, "a key is a text, not a list or a mapping"));
        };
        if &*text == "<<" && style == Style::Plain {
            self.complain("syntax", &key.place, "merge keys (`<<`) have no place here");
        }
        let (event, span) = self.next()?;
        let mut value = self.node(event, span, depth + 1)?;
        value.label = Some(key.place.clone());
        Ok(Entry { key: text, style, place: key.place, value })
    }

    fn collection(&self, start: Span, end: Span, kind: Kind) -> Node {
        let place = self.lines.place(position(start.start), position(end.end));
        Node { place, label: None, kind, size: 1 }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fatal> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Err(Fault::error("syntax", &self.lines.end(), "the file ends too early")),
        }
    }

    fn scan_error(&self, error: &ScanError) -> Fatal {
        let at = position(*error.marker());
        let place = self.lines.place(at, (at.0, at.1 + 1));
        let tab = place.text.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
        let fault =
            Fault::error("syntax", &place, format!("this is not YAML: {}", quoted(&error.info())));
        fault.remedy_if(tab.then_some("indent with spaces; YAML knows no tabs there"))
    }

    fn complain(&mut self, code: &'static str, place: &Place, message: &str) {
        self.faults.push(Fault::error(code, place, message));
    }

    fn fatal(&self, code: &'static str, span: Span, message: &str) -> Fatal {
        Fault::error(code, &self.place(span), message)
    }

    fn place(&self, span: Span) -> Place {
        self.lines.place(position(span.start), position(span.end))
    }
}

fn position(marker: serde_yaml::granit_parser::Marker) -> (usize, usize) {
    (marker.line().max(1), marker.col() + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::parse;
    use crate::yaml::{Faults, Kind, Node, SourceFile};

    fn read(bytes: impl Into<Vec<u8>>) -> (Option<Node>, Faults) {
        let mut faults = Faults::new();
        let file = SourceFile { name: Arc::from("a.yaml"), bytes: bytes.into().into() };
        (parse(&file, &mut faults), faults.sorted())
    }

    /// `line:column code message` of each fault.
    fn faults(bytes: impl Into<Vec<u8>>) -> Vec<String> {
        let shown =
            |(place, _): &(crate::yaml::Place, String)| format!("{}:{}", place.line, place.column);
        let fault = |fault: &crate::yaml::Fault| {
            let places: Vec<_> = fault.places.iter().map(shown).collect();
            format!("{} {} {}", places.join(" "), fault.code, fault.message)
        };
        read(bytes).1.0.iter().map(fault).collect()
    }

    #[test]
    fn both_places_of_a_duplicate_are_named_at_any_depth() {
        assert_eq!(
            faults("a: 1\nb:\n  c: 1\n  d: { e: 1, e: 2 }\n  c: 2\na: 2\n"),
            [
                "4:14 4:8 duplicate_key key `e` is there twice",
                "5:3 3:3 duplicate_key key `c` is there twice",
                "6:1 1:1 duplicate_key key `a` is there twice",
            ]
        );
        assert_eq!(faults("a: 1\n\"a\": 2\n"), ["2:1 1:1 duplicate_key key `a` is there twice"]);
    }

    #[test]
    fn what_yaml_allows_and_the_law_does_not_is_a_fault_at_its_place() {
        let table = [
            ("", "1:1 syntax the file is empty"),
            ("# only a comment\n", "1:1 syntax the file is empty"),
            ("a: 1\n---\nb: 1\n", "2:1 syntax a second document begins here; a file has one"),
            ("a: !secret 1\n", "1:12 syntax tags such as `!name` have no place here"),
            ("a: !!str 1\n", "1:10 syntax tags such as `!name` have no place here"),
            ("b: &b { c: 1 }\na:\n  <<: *b\n", "3:3 syntax merge keys (`<<`) have no place here"),
            ("? [a, b]\n: 1\n", "1:3 syntax a key is a text, not a list or a mapping"),
            ("a: \u{202e}evil\n", "1:4 syntax the character U+202E has no place in a file"),
            ("a: \u{7}\n", "1:4 syntax the character U+0007 has no place in a file"),
            ("a: 1\n\u{feff}b: 1\n", "2:1 syntax the character U+FEFF has no place in a file"),
        ];
        for (text, fault) in table {
            assert_eq!(faults(text), [fault], "{text}");
        }
    }

    #[test]
    fn a_tab_as_indentation_says_so() {
        let (_, faults) = read("a:\n\tb: 1\n");
        let fault = &faults.0[0];
        assert_eq!((fault.code, fault.places[0].0.line), ("syntax", 2));
        assert_eq!(fault.remedy.as_deref(), Some("indent with spaces; YAML knows no tabs there"));
    }

    #[test]
    fn broken_yaml_and_broken_encoding_have_a_place() {
        for (text, line) in [
            ("a: [1, 2\nb: 3\n", 2),
            ("a: \"open\nb: 1\n", 2),
            ("a: *nobody\n", 1),
            ("a: b: c\n", 1),
        ] {
            let (node, faults) = read(text);
            assert!(node.is_none());
            assert_eq!(
                (faults.0[0].code, faults.0[0].places[0].0.line),
                ("syntax", line),
                "{text}: {faults:?}"
            );
        }
        assert_eq!(faults(b"a: 1\nb: \xff\n"), ["2:4 encoding the file is not UTF-8 from here on"]);
        assert_eq!(faults(b"\xff\xfea\0:\0"), ["1:1 encoding the file is not UTF-8 from here on"]);
    }

    #[test]
    fn a_byte_order_mark_and_crlf_are_read_as_yaml_1_2_does() {
        let (node, faults) = read("\u{feff}version: 1\r\nname: edge\r\nold: mac\rlast: 1\n");
        assert!(faults.is_empty(), "{faults:?}");
        let Kind::Mapping(entries) = node.unwrap().kind else { panic!("a mapping") };
        let places: Vec<_> = entries
            .iter()
            .map(|entry| (&*entry.key, entry.place.line, &*entry.place.text))
            .collect();
        assert_eq!(
            places,
            [
                ("version", 1, "version: 1"),
                ("name", 2, "name: edge"),
                ("old", 3, "old: mac"),
                ("last", 4, "last: 1"),
            ]
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(
            faults("{ 中間: 1, 中間: 2 }\n"),
            ["1:10 1:3 duplicate_key key `中間` is there twice"]
        );
    }

    #[test]
    fn an_alias_is_what_its_anchor_is() {
        let (node, faults) = read("a: &x [1, 2]\nb: *x\n");
        assert!(faults.is_empty());
        assert_eq!(node.unwrap().size, 7);
        assert_eq!(faults_codes("a: &x [*x]\n"), ["syntax"]);
    }

    fn faults_codes(text: &str) -> Vec<&'static str> {
        read(text).1.0.iter().map(|fault| fault.code).collect()
    }

    /// The processor's time that this thread has had: how busy the machine is does not matter (proc(5), schedstat).
    fn spent() -> Duration {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    }

    /// Each ends with one fault, at a place, in time.
    #[test]
    fn bombs_are_faults_in_milliseconds() {
        let laughs = (1..30).fold("a0: &a0 [lol, lol]\n".to_owned(), |text, n| {
            let list = vec![format!("*a{}", n - 1); 10].join(", ");
            text + &format!("a{n}: &a{n} [{list}]\n")
        });
        let table = [
            ("laughs", laughs.into_bytes(), "too_large"),
            ("flow nesting", "[".repeat(4000).into_bytes(), "syntax"),
            ("flow nesting over lines", "[\n".repeat(100_000).into_bytes(), "syntax"),
            ("block nesting", "- ".repeat(2000).into_bytes(), "syntax"),
            ("nested mappings", "{a: ".repeat(1000).into_bytes(), "syntax"),
            ("one long line", vec![b'['; 100_000], "too_large"),
            (
                "many keys",
                (0..300_000)
                    .fold(String::new(), |text, n| text + &format!("k{n}: 1\n"))
                    .into_bytes(),
                "too_large",
            ),
            ("many duplicates", "a: 1\n".repeat(60_000).into_bytes(), "duplicate_key"),
            ("garbage", vec![b'x'; 100 << 20], "too_large"),
            ("zeros", vec![0; 1 << 20], "too_large"),
            ("binary", (0..=255).cycle().take(1 << 20).collect(), "encoding"),
        ];
        for (name, bytes, code) in table {
            let begin = spent();
            let (_, faults) = read(bytes);
            let took = spent().saturating_sub(begin);
            // Without optimisation; the real bound is measured outside. What grows with the square takes minutes.
            assert!(took < Duration::from_secs(20), "{name}: {took:?}");
            assert_eq!(faults.0[0].code, code, "{name}: {:?}", faults.0[0]);
            assert!(!faults.0[0].places.is_empty(), "{name}");
        }
    }
}
