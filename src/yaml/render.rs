//! Faults as people see them: the line, a caret under the mistake, what it collides with, what to do.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{
    AnnotationKind, Element, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use super::{Fault, Faults, Place, Severity};

/// A remedy that is longer stands on a line of its own.
const LABEL_MAX: usize = 72;

impl Faults {
    /// All of them as text, a blank line between two; empty where there are none.
    pub fn render(&self, colour: bool) -> String {
        let style = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = style.decor_style(DecorStyle::Ascii);
        let texts: Vec<_> = self.0.iter().map(|fault| render(fault, &renderer)).collect();
        texts.join("\n\n")
    }
}

fn render(fault: &Fault, renderer: &Renderer) -> String {
    let level = match fault.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let (caret, footer) = split_remedy(fault);
    let mut group =
        level.primary_title(&*fault.message).id(fault.code).elements([] as [Element<'_>; 0]);
    for (index, (place, label)) in fault.places.iter().enumerate() {
        let text = if index == 0 && !caret.is_empty() { caret } else { label };
        group = group.element(snippet(place, text, index == 0));
    }
    for note in &fault.notes {
        let (name, text) = note.split_once(": ").unwrap_or(("note", note));
        group = group
            .element(Level::NOTE.with_name(name.to_owned()).message(normalize_untrusted_str(text)));
    }
    if let Some(remedy) = footer {
        group =
            group.element(Level::HELP.with_name("remedy").message(normalize_untrusted_str(remedy)));
    }
    renderer.render(&[group])
}

/// A short remedy stands under the caret where nothing else does.
fn split_remedy(fault: &Fault) -> (&str, Option<&str>) {
    let bare = fault
        .places
        .first()
        .is_some_and(|(place, label)| label.is_empty() && !place.text.is_empty());
    match fault.remedy.as_deref() {
        Some(remedy) if bare && remedy.chars().count() <= LABEL_MAX => (remedy, None),
        remedy => ("", remedy),
    }
}

fn snippet<'a>(place: &'a Place, label: &'a str, first: bool) -> Element<'a> {
    if place.text.is_empty() {
        return Origin::path(normalize_untrusted_str(&place.file))
            .line(place.line as usize)
            .char_column(place.column as usize)
            .into();
    }
    let kind = if first { AnnotationKind::Primary } else { AnnotationKind::Context };
    let annotation = kind.span(bytes(place));
    let annotation = if label.is_empty() {
        annotation
    } else {
        annotation.label(normalize_untrusted_str(label))
    };
    let snippet = Snippet::source(&*place.text)
        .line_start(place.line as usize)
        .path(normalize_untrusted_str(&place.file));
    snippet.annotation(annotation).into()
}

/// The stretch in bytes of its line.
fn bytes(place: &Place) -> std::ops::Range<usize> {
    let offset = |chars: u32| {
        place.text.char_indices().nth(chars as usize).map_or(place.text.len(), |(at, _)| at)
    };
    let start = place.column.saturating_sub(1);
    offset(start)..offset(start.saturating_add(place.length))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::yaml::{Fault, Faults, Place};

    fn place(file: &str, line: u32, text: &str, what: &str) -> Place {
        let before = text.split(what).next().unwrap();
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap();
        Place {
            file: Arc::from(file),
            line,
            column: count(before) + 1,
            length: count(what),
            text: Arc::from(text),
        }
    }

    fn rendered(fault: Fault) -> String {
        Faults::from(fault).render(false)
    }

    #[test]
    fn a_fault_shows_its_line_and_what_was_probably_meant() {
        let from =
            place("policies/20-rules.yaml", 6, "    from: [existing-sytem]", "existing-sytem");
        let fault = Fault::error("unknown_name", &from, "no system `existing-sytem`");
        insta::assert_snapshot!(rendered(fault.remedy("did you mean `existing-system`?")), @r"
error[unknown_name]: no system `existing-sytem`
 --> policies/20-rules.yaml:6:12
  |
6 |     from: [existing-sytem]
  |            ^^^^^^^^^^^^^^ did you mean `existing-system`?
");
    }

    #[test]
    fn both_places_the_notes_and_a_long_remedy_are_shown() {
        let addresses = place(
            "policies/10-systems.yaml",
            15,
            "    addresses: [198.51.100.0/24]",
            "198.51.100.0/24",
        );
        let line = "  reverse_access: { never_initiates: [online-eligibility] }";
        let guardrail = place("policies/00-council.yaml", 20, line, "reverse_access");
        let fault = Fault::error(
            "reverse_access",
            &addresses,
            "`online-eligibility` could pass by rule `results`",
        )
        .label("includes 198.51.100.192/28 of `online-eligibility`")
        .and(&guardrail, "別添1(2)1")
        .note("example: 198.51.100.193 → intermediate-server")
        .remedy("narrow line 15 to 198.51.100.0/25");
        insta::assert_snapshot!(rendered(fault), @r"
error[reverse_access]: `online-eligibility` could pass by rule `results`
  --> policies/10-systems.yaml:15:17
   |
15 |     addresses: [198.51.100.0/24]
   |                 ^^^^^^^^^^^^^^^ includes 198.51.100.192/28 of `online-eligibility`
   |
  ::: policies/00-council.yaml:20:3
   |
20 |   reverse_access: { never_initiates: [online-eligibility] }
   |   -------------- 別添1(2)1
   |
   = example: 198.51.100.193 → intermediate-server
   = remedy: narrow line 15 to 198.51.100.0/25
");
    }

    #[test]
    fn carets_stand_under_wide_characters() {
        let line = "r: { title: 中間サーバー, owner: 支払基金～ }";
        let fault =
            Fault::warning("w", &place("a.yaml", 3, line, "支払基金～"), "not a counterparty");
        insta::assert_snapshot!(rendered(fault.label("相手方")), @r"
warning[w]: not a counterparty
 --> a.yaml:3:28
  |
3 | r: { title: 中間サーバー, owner: 支払基金～ }
  |                                  ^^^^^^^^^^ 相手方
");
    }

    #[test]
    fn nothing_that_moves_a_cursor_reaches_the_terminal() {
        let line = "a: \u{1b}[2J\u{202e}";
        let fault = Fault::error("e", &place("a\u{1b}.yaml", 1, line, "a"), "x \u{1b}[31m")
            .label("\u{1b}l");
        let text = rendered(fault.note("\u{1b}n").remedy("\u{1b}r"));
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn a_fault_without_a_line_and_one_without_a_place_are_still_told() {
        let file = Place::file(&Arc::from("a.yaml"));
        insta::assert_snapshot!(rendered(Fault::error("too_large", &file, "the file is too large")), @r"
error[too_large]: the file is too large
--> a.yaml:1:1
");
        insta::assert_snapshot!(rendered(Fault::nowhere("no_files", "the law has no files")), @"error[no_files]: the law has no files");
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let faults = Faults::from(Fault::nowhere("no_files", "the law has no files"));
        assert!(faults.render(true).contains('\u{1b}'));
        assert!(!faults.render(false).contains('\u{1b}'));
    }
}
