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
        return Origin::path(&*place.file)
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
    let snippet = Snippet::source(&*place.text).line_start(place.line as usize).path(&*place.file);
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
