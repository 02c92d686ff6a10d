//! Mistakes of the operator: what, where, and what to do about it. How they look is in `render`.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Place;
use super::compare::suggest;
use super::value::quoted;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The law cannot be put in force.
    Error,
    /// It can, but somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A mistake of the operator: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable code, snake case.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one sentence in lower case without a full stop.
    pub message: String,
    /// Where; the first place is the mistake, further ones say what it collides with.
    pub places: Vec<(Place, String)>,
    /// An example flow or other notes, `example: …`.
    pub notes: Vec<String>,
    /// What to do.
    pub remedy: Option<String>,
}

impl Fault {
    /// A mistake that keeps the law from being put in force.
    pub fn error(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::at(Severity::Error, code, vec![(place.clone(), String::new())], message.into())
    }

    /// Something that somebody should look at.
    pub fn warning(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::at(Severity::Warning, code, vec![(place.clone(), String::new())], message.into())
    }

    /// A mistake that is at no place in a file, such as a folder that cannot be read.
    pub fn nowhere(code: &'static str, message: impl Into<String>) -> Self {
        Self::at(Severity::Error, code, Vec::new(), message.into())
    }

    /// With a text under the first caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some((_, label)) = self.places.first_mut() {
            *label = text.into();
        }
        self
    }

    /// With one more place, and what it has to do with it.
    #[must_use]
    pub fn and(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.places.push((place.clone(), label.into()));
        self
    }

    /// With a note, `example: …`.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }

    /// With a remedy where there is one.
    #[must_use]
    pub fn remedy_if(mut self, text: Option<impl Into<String>>) -> Self {
        self.remedy = text.map(Into::into).or(self.remedy);
        self
    }

    fn at(
        severity: Severity,
        code: &'static str,
        places: Vec<(Place, String)>,
        message: String,
    ) -> Self {
        Self { code, severity, message, places, notes: Vec::new(), remedy: None }
    }

    fn order(&self) -> (Severity, Option<&Place>, &'static str, &str) {
        (self.severity, self.places.first().map(|(place, _)| place), self.code, &self.message)
    }
}

/// The fault of a key that is there twice.
pub(crate) fn duplicate(key: &str, second: &Place, first: &Place) -> Fault {
    let message = format!("key {} is there twice", quoted(key));
    Fault::error("duplicate_key", second, message).label("again here").and(first, "first here")
}

/// The fault of a name that nothing of this kind has.
pub(crate) fn unknown_name(kind: &str, name: &str, place: &Place, names: &[&str]) -> Fault {
    let near = suggest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let few = || match names {
        [] => format!("there is no {kind} at all"),
        names => {
            let few: Vec<_> = names.iter().take(6).map(|name| quoted(name)).collect();
            let more = if names.len() > few.len() { " …" } else { "" };
            format!("there is {}{more}", few.join(" "))
        }
    };
    let remedy = near.unwrap_or_else(few);
    Fault::error("unknown_name", place, format!("no {kind} {}", quoted(name))).remedy(remedy)
}

/// All mistakes found in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// The most that are shown; the rest is counted.
    pub const SHOWN_MAX: usize = 200;

    /// No fault yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Adds all of `more`.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Whether there is none at all, not even a warning.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether the law can be put in force in spite of them.
    pub fn is_sound(&self) -> bool {
        self.errors() == 0
    }

    /// Errors first, each kind by place, without repetitions; what is beyond [`Self::SHOWN_MAX`] becomes a count.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| a.order().cmp(&b.order()));
        self.0.dedup();
        let beyond = self.0.len().saturating_sub(Self::SHOWN_MAX);
        if beyond > 0 {
            let severity = if self.is_sound() { Severity::Warning } else { Severity::Error };
            self.0.truncate(Self::SHOWN_MAX);
            let message = format!("and {beyond} more, not shown");
            self.0.push(Fault::at(severity, "more_faults", Vec::new(), message));
        }
        self
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|fault| fault.severity == severity).count()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// `sekisho.check/1`: `{format, sound, faults: [{code, severity, places, message, notes, remedy}]}`.
impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Faults", 3)?;
        object.serialize_field("format", "sekisho.check/1")?;
        object.serialize_field("sound", &self.is_sound())?;
        object.serialize_field("faults", &self.0)?;
        object.end()
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let places: Vec<_> =
            self.places.iter().map(|(place, label)| Labelled { place, label }).collect();
        let mut object = serializer.serialize_struct("Fault", 6)?;
        object.serialize_field("code", self.code)?;
        object.serialize_field("severity", self.severity.as_str())?;
        object.serialize_field("places", &places)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("notes", &self.notes)?;
        object.serialize_field("remedy", &self.remedy)?;
        object.end()
    }
}

struct Labelled<'a> {
    place: &'a Place,
    label: &'a str,
}

impl Serialize for Labelled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Place", 6)?;
        object.serialize_field("file", &*self.place.file)?;
        object.serialize_field("line", &self.place.line)?;
        object.serialize_field("column", &self.place.column)?;
        object.serialize_field("length", &self.place.length)?;
        object.serialize_field("text", &*self.place.text)?;
        object.serialize_field("label", self.label)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Fault, Faults, Severity};
    use crate::yaml::Place;

    fn place(line: u32) -> Place {
        Place { line, ..Place::file(&Arc::from("a.yaml")) }
    }

    #[test]
    fn errors_come_first_and_each_kind_by_place() {
        let faults = Faults(vec![
            Fault::warning("w", &place(1), "a"),
            Fault::error("e", &place(9), "b"),
            Fault::error("e", &place(2), "c"),
            Fault::error("e", &place(2), "c"),
        ]);
        let order: Vec<_> = faults.sorted().0.into_iter().map(|fault| fault.message).collect();
        assert_eq!(order, ["c", "b", "a"]);
    }

    #[test]
    fn beyond_two_hundred_they_are_counted() {
        let many = Faults((1..=1000).map(|line| Fault::error("e", &place(line), "x")).collect());
        let shown = many.sorted();
        assert_eq!(shown.0.len(), Faults::SHOWN_MAX + 1);
        let last = shown.0.last().unwrap();
        assert_eq!(
            (last.code, last.severity, &*last.message),
            ("more_faults", Severity::Error, "and 800 more, not shown")
        );
    }

    #[test]
    fn the_json_is_the_contract() {
        let faults = Faults::from(
            Fault::error("unknown_name", &place(3), "no system `a`").remedy("name one"),
        );
        let json = serde_json::to_value(&faults).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "format": "sekisho.check/1", "sound": false,
                "faults": [{
                    "code": "unknown_name", "severity": "error", "message": "no system `a`",
                    "places": [{"file": "a.yaml", "line": 3, "column": 1, "length": 0, "text": "", "label": ""}],
                    "notes": [], "remedy": "name one",
                }],
            })
        );
        assert_eq!(serde_json::to_value(Faults::new()).unwrap()["sound"], true);
    }
}
