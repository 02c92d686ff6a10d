//! What callgrind wrote, read (the format: Valgrind's manual, "Callgrind Format Specification"): instructions by
//! function and by source file. Text in, figures out.

use std::collections::{BTreeMap, HashMap};

use crate::counted::Kind;

/// Instructions of one stretch of work.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// By object and function.
    pub(crate) functions: BTreeMap<(String, String), Cost>,
    /// By source file, of counted functions: code that was inlined is found where it was written.
    pub(crate) files: BTreeMap<String, u64>,
}

/// Instructions of a function.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Its own.
    pub(crate) own: u64,
    /// With those of all it called.
    pub(crate) whole: u64,
    /// How often it was called.
    pub(crate) calls: u64,
}

/// Names are written once and then by number, each kind of name with numbers of its own.
#[derive(Debug, Default)]
struct Names(HashMap<String, String>);

#[derive(Debug, Default)]
struct Reader {
    profile: Profile,
    objects: Names,
    files: Names,
    functions: Names,
    object: String,
    file: String,
    function: String,
    called_object: Option<String>,
    called: String,
    /// How often the call was made whose cost is in the next line.
    calls: Option<u64>,
}

impl Profile {
    /// Reads one dump.
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        reader.profile
    }

    /// Instructions of this kind.
    pub(crate) fn sum(&self, kind: Kind) -> u64 {
        let of_kind = |((object, function), _): &(&(String, String), &Cost)| {
            Kind::of(object, function) == kind
        };
        self.functions.iter().filter(of_kind).map(|(_, cost)| cost.own).sum()
    }
}

impl Reader {
    fn line(&mut self, line: &str) {
        match line.split_once('=') {
            Some(("ob", name)) => self.object = self.objects.name(name),
            Some(("fl" | "fi" | "fe", name)) => self.file = self.files.name(name),
            Some(("fn", name)) => self.function = self.functions.name(name),
            Some(("cob", name)) => self.called_object = Some(self.objects.name(name)),
            Some(("cfi" | "cfl", name)) => drop(self.files.name(name)),
            Some(("cfn", name)) => self.called = self.functions.name(name),
            Some(("calls", counts)) => {
                self.calls = counts.split(' ').next().and_then(|count| count.parse().ok());
            }
            Some(_) | None => self.cost(line),
        }
    }

    /// `LINE COUNT`, where LINE may be relative; everything else says nothing of costs.
    fn cost(&mut self, line: &str) {
        if !line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            return;
        }
        let Some(count) = line.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok()) else {
            return;
        };
        let here = (self.object.clone(), self.function.clone());
        if let Some(calls) = self.calls.take() {
            let object = self.called_object.take().unwrap_or_else(|| self.object.clone());
            let called = (object, self.called.clone());
            // What calls itself has its cost already.
            if called != here {
                self.profile.functions.entry(here).or_default().whole += count;
            }
            self.profile.functions.entry(called).or_default().calls += calls;
        } else {
            if Kind::of(&here.0, &here.1) == Kind::Counted {
                *self.profile.files.entry(self.file.clone()).or_default() += count;
            }
            let cost = self.profile.functions.entry(here).or_default();
            cost.own += count;
            cost.whole += count;
        }
    }
}

impl Names {
    /// `(NUMBER) NAME` the first time, `(NUMBER)` later.
    fn name(&mut self, text: &str) -> String {
        let (number, name) =
            text.split_once(") ").unwrap_or_else(|| (text.trim_end_matches(')'), ""));
        if name.is_empty() {
            self.0.get(number).cloned().unwrap_or_default()
        } else {
            let _first = self.0.insert(number.to_owned(), name.to_owned());
            name.to_owned()
        }
    }
}
