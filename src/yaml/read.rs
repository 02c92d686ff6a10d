//! [`Node`] → values: keys, lists and mappings of names, with every mistake put among the faults and the reading
//! going on. What is missing or wrong becomes `None`, reported once and here.

use std::sync::Arc;

use super::compare::{folded, suggest};
use super::node::{Entry, Kind, Node, Style};
use super::value::{Scalar, Written, Wrong, quoted};
use super::{Fault, Faults, Place};
use crate::flow::Name;

/// What can be read from a node.
pub(crate) trait Read: Sized {
    /// Reads it; `None` where it is wrong, with the reasons among `faults`.
    fn read(node: &Node, faults: &mut Faults) -> Option<Self>;
}

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Its place.
    pub(crate) place: Place,
}

impl<T: Scalar> Read for At<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match scalar(node) {
            Ok(value) => Some(Self { value, place: node.place.clone() }),
            Err(wrong) => {
                faults.push(fault(wrong, &node.place));
                None
            }
        }
    }
}

fn scalar<T: Scalar>(node: &Node) -> Result<T, Wrong> {
    let (text, style) = match &node.kind {
        Kind::Scalar(text, style) => (text, *style),
        Kind::Sequence(_) | Kind::Mapping(_) => {
            let message = format!("one value is due here, not {}", node.kind_name());
            return Err(Wrong { code: "wrong_type", message, remedy: None });
        }
    };
    let plain = style == Style::Plain;
    T::parse(Written { text, plain }).map_err(|wrong| {
        let fold = folded(text).trim().to_owned();
        let candidates = [fold.to_lowercase(), fold];
        let meant = candidates.iter().find(|candidate| {
            **candidate != **text && T::parse(Written { text: candidate, plain }).is_ok()
        });
        match meant {
            Some(meant) => wrong.remedy(format!("did you mean `{meant}`?")),
            None => wrong,
        }
    })
}

fn fault(wrong: Wrong, place: &Place) -> Fault {
    Fault::error(wrong.code, place, wrong.message).remedy_if(wrong.remedy)
}

/// A list; an empty one is a mistake, since none of the law's lists says anything by being empty.
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        match &node.kind {
            Kind::Sequence(items) if items.is_empty() => {
                faults.push(Fault::error("bad_value", &node.place, "the list is empty"));
                None
            }
            Kind::Sequence(items) => {
                Some(items.iter().filter_map(|item| T::read(item, faults)).collect())
            }
            Kind::Scalar(text, _) if !node.is_null() => {
                faults.push(wrong_kind("a list", node).remedy(format!("write `[{text}]`")));
                None
            }
            Kind::Scalar(..) | Kind::Mapping(_) => {
                faults.push(wrong_kind("a list", node));
                None
            }
        }
    }
}

/// A value that may be `null`.
#[derive(Debug, Clone)]
pub(crate) struct Nullable<T>(pub(crate) Option<T>);

impl<T: Read> Read for Nullable<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        if node.is_null() {
            Some(Self(None))
        } else {
            T::read(node, faults).map(|value| Self(Some(value)))
        }
    }
}

/// A mapping whose keys are names. A name stays known where what it stands for is wrong, so that one mistake does
/// not look like many.
#[derive(Debug)]
pub(crate) struct Named<T> {
    /// The names in the order of the file, with what they stand for.
    pub(crate) entries: Vec<(At<Name>, Option<T>)>,
}

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Kind::Mapping(entries) = &node.kind else {
            faults.push(wrong_kind("a mapping", node));
            return None;
        };
        let mut named = Vec::with_capacity(entries.len());
        for entry in entries.iter() {
            let name = name(entry, faults).or_else(|| meant_name(entry));
            let value = T::read(&entry.value, faults);
            named.extend(name.map(|name| (name, value)));
        }
        Some(Self { entries: named })
    }
}

fn name(entry: &Entry, faults: &mut Faults) -> Option<At<Name>> {
    let kind = Kind::Scalar(Arc::clone(&entry.key), entry.style);
    let node = Node { place: entry.place.clone(), label: None, kind, size: 1 };
    At::read(&node, faults)
}

/// The name that a wrong one was meant to be, so that those who use it are not blamed for it.
fn meant_name(entry: &Entry) -> Option<At<Name>> {
    let value = Name::parse(folded(&entry.key).trim().to_lowercase().as_str()).ok()?;
    Some(At { value, place: entry.place.clone() })
}

fn wrong_kind(due: &str, node: &Node) -> Fault {
    Fault::error("wrong_type", &node.place, format!("{due} is due here, not {}", node.kind_name()))
}

/// The keys of one mapping while they are taken out.
pub(crate) struct Keys<'a, 'f> {
    entries: &'a [Entry],
    place: &'a Place,
    known: Vec<&'static str>,
    faults: &'f mut Faults,
}

impl<'a, 'f> Keys<'a, 'f> {
    /// The keys of `node`, if it is a mapping.
    pub(crate) fn of(node: &'a Node, faults: &'f mut Faults) -> Option<Self> {
        if let Kind::Mapping(entries) = &node.kind {
            return Some(Self { entries, place: node.name_place(), known: Vec::new(), faults });
        }
        faults.push(wrong_kind("a mapping", node));
        None
    }

    /// All keys that are there.
    pub(crate) fn written(&self) -> Vec<Arc<str>> {
        self.entries.iter().map(|entry| Arc::clone(&entry.key)).collect()
    }

    /// A key that must be there.
    pub(crate) fn required<T: Read>(&mut self, key: &'static str) -> Option<T> {
        if self.entries.iter().all(|entry| &*entry.key != key) {
            self.faults.push(Fault::error(
                "missing_key",
                self.place,
                format!("key `{key}` is missing"),
            ));
        }
        self.optional(key)
    }

    /// A key that may be left out.
    pub(crate) fn optional<T: Read>(&mut self, key: &'static str) -> Option<T> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| &*entry.key == key)?;
        T::read(&entry.value, self.faults)
    }

    /// Ends with a fault for every key that was not asked for.
    pub(crate) fn finish(self) {
        let unknown = |entry: &&Entry| !self.known.contains(&&*entry.key);
        for entry in self.entries.iter().filter(unknown) {
            let message = format!("there is no key {} here", quoted(&entry.key));
            let near = suggest(&entry.key, self.known.iter().copied())
                .map(|key| format!("did you mean `{key}`?"));
            let all = || {
                format!(
                    "the keys here are {}",
                    self.known.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(" ")
                )
            };
            self.faults.push(
                Fault::error("unknown_key", &entry.place, message).remedy(near.unwrap_or_else(all)),
            );
        }
    }
}

/// A mapping that was read.
pub(crate) trait Mapped {
    /// Where it is written.
    fn place(&self) -> &Place;

    /// Whether the key is not there at all; one with a wrong value is there.
    fn lacks(&self, key: &str) -> bool;
}

/// Declares a mapping of the file as a struct with the same keys, and the same keys as a part of the JSON Schema: both
/// come from this one list. What is written wrongly or left out is `None`; keys that are `checked` must be right but say
/// nothing more.
macro_rules! mapping {
    (
        $(#[doc = $doc:literal])+ $name:ident {
            $($(#[doc = $note:literal])+ $need:ident $key:ident: $type:ty,)+
        }
        $(checked { $($(#[doc = $remark:literal])+ $rule:ident $checked:ident: $kind:ty,)+ })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) struct $name {
            pub(crate) place: crate::yaml::Place,
            pub(crate) written: Vec<std::sync::Arc<str>>,
            $($(#[doc = $note])+ pub(crate) $key: Option<$type>,)+
        }

        impl crate::yaml::Mapped for $name {
            fn place(&self) -> &crate::yaml::Place {
                &self.place
            }

            fn lacks(&self, key: &str) -> bool {
                self.written.iter().all(|written| &**written != key)
            }
        }

        impl crate::yaml::Read for $name {
            fn read(node: &crate::yaml::Node, faults: &mut crate::yaml::Faults) -> Option<Self> {
                let mut keys = crate::yaml::Keys::of(node, faults)?;
                let place = node.name_place().clone();
                let written = keys.written();
                let read = Self { place, written, $($key: keys.$need(stringify!($key)),)+ };
                $($(drop(keys.$rule::<$kind>(stringify!($checked)));)+)?
                keys.finish();
                Some(read)
            }
        }

        impl crate::yaml::Shape for $name {
            fn shape() -> serde_json::Value {
                crate::yaml::mapping_shape(concat!($($doc),+), vec![
                    $(crate::yaml::KeyShape {
                        key: stringify!($key),
                        need: stringify!($need),
                        note: concat!($($note),+),
                        shape: <$type as crate::yaml::Shape>::shape(),
                    },)+
                    $($(crate::yaml::KeyShape {
                        key: stringify!($checked),
                        need: stringify!($rule),
                        note: concat!($($remark),+),
                        shape: <$kind as crate::yaml::Shape>::shape(),
                    },)+)?
                ])
            }
        }
    };
}

pub(crate) use mapping;
