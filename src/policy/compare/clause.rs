//! What changes among the guardrails, and the connection date with them: the council's words, told apart from all else.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::rename::Renames;
use crate::flow::{Name, Timestamp};
use crate::policy::guardrail::{Encryption, Guardrail, RoundTrip};
use crate::policy::model::Model;

/// Something that is written otherwise in the new law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is of: ``guardrail `destinations` ``, ``trust `union-ca` ``.
    pub subject: String,
    /// What is other.
    pub text: String,
    /// What it does to what may pass.
    pub effect: Effect,
}

/// What a change does to what may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// More may pass than the council had said.
    Wider,
    /// Less may pass.
    Tighter,
    /// Neither, as far as it can be said of the change alone.
    Neither,
}

impl Effect {
    /// `wider`, `tighter` or `neither`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Wider => "wider",
            Self::Tighter => "tighter",
            Self::Neither => "neither",
        }
    }
}

/// Whether naming more in a guardrail lets more pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Permits,
    Forbids,
}

impl More {
    const fn effect(self, added: bool) -> Effect {
        match (self, added) {
            (Self::Permits, true) | (Self::Forbids, false) => Effect::Wider,
            (Self::Permits, false) | (Self::Forbids, true) => Effect::Tighter,
        }
    }
}

/// The changes among the guardrails.
pub(super) fn guardrails(old: &Model, new: &Model, renames: &Renames) -> Vec<Change> {
    let (was, is) = (&old.guardrails, &new.guardrails);
    let system = |name: &Name| renames.system(name).to_string();
    let same = |text: &String| text.clone();
    let mut found =
        lists("destinations", (&was.destinations, &is.destinations), More::Permits, system);
    found.extend(lists(
        "reverse_access",
        (&was.reverse_access, &is.reverse_access),
        More::Forbids,
        system,
    ));
    found.extend(lists("residency", (&was.residency, &is.residency), More::Permits, same));
    found.extend(lists("content", (&was.content, &is.content), More::Forbids, system));
    found.extend(encryption(was.encryption.as_ref(), is.encryption.as_ref()));
    found.extend(round_trip(was.round_trip, is.round_trip));
    found.extend(connection_date(old, new));
    found
}

fn round_trip(was: RoundTrip, is: RoundTrip) -> Option<Change> {
    let (text, effect) = match (was, is) {
        (RoundTrip::Observe, RoundTrip::Enforce) => {
            ("`round_trip` was observe, is enforce", Effect::Tighter)
        }
        (RoundTrip::Enforce, RoundTrip::Observe) => {
            ("`round_trip` was enforce, is observe", Effect::Wider)
        }
        (RoundTrip::Observe, RoundTrip::Observe) | (RoundTrip::Enforce, RoundTrip::Enforce) => {
            return None;
        }
    };
    Some(change("residency", text.to_owned(), effect))
}

fn change(guardrail: &str, text: String, effect: Effect) -> Change {
    Change { subject: format!("guardrail `{guardrail}`"), text, effect }
}

/// A guardrail that is there in one law only, or whose clause is another.
fn frame<T>(name: &str, was: Option<&Guardrail<T>>, is: Option<&Guardrail<T>>) -> Option<Change> {
    match (was, is) {
        (None, Some(_)) => Some(change(name, "is new".to_owned(), Effect::Tighter)),
        (Some(_), None) => Some(change(name, "is gone".to_owned(), Effect::Wider)),
        (Some(was), Some(is)) if was.clause != is.clause => {
            let cites =
                |clause: &Option<String>| clause.clone().unwrap_or_else(|| "none".to_owned());
            let text = format!("cites clause {}, not {}", cites(&is.clause), cites(&was.clause));
            Some(change(name, text, Effect::Neither))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

type Versions<'a, T> = (&'a Option<Guardrail<BTreeSet<T>>>, &'a Option<Guardrail<BTreeSet<T>>>);

fn lists<T: Display + Ord>(
    name: &str,
    (was, is): Versions<'_, T>,
    more: More,
    shown: impl Fn(&T) -> String,
) -> Vec<Change> {
    let framed = frame(name, was.as_ref(), is.as_ref());
    let (Some(was), Some(is)) = (was, is) else { return framed.into_iter().collect() };
    let before: BTreeSet<String> = was.what.iter().map(shown).collect();
    let after: BTreeSet<String> = is.what.iter().map(ToString::to_string).collect();
    framed.into_iter().chain(sets(name, &before, &after, more)).collect()
}

fn sets(
    name: &str,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
    more: More,
) -> Vec<Change> {
    let added = after
        .difference(before)
        .map(|it| change(name, format!("names `{it}` too"), more.effect(true)));
    let gone = before.difference(after);
    let gone = gone.map(|it| change(name, format!("no longer names `{it}`"), more.effect(false)));
    added.chain(gone).collect()
}

fn encryption(
    was: Option<&Guardrail<Encryption>>,
    is: Option<&Guardrail<Encryption>>,
) -> Vec<Change> {
    let name = "encryption";
    let mut found: Vec<_> = frame(name, was, is).into_iter().collect();
    let (Some(was), Some(is)) = (was, is) else { return found };
    let versions = |it: &Encryption| {
        it.versions.iter().map(|version| format!("TLS {}", version.as_str())).collect()
    };
    found.extend(sets(name, &versions(&was.what), &versions(&is.what), More::Permits));
    let words = [
        ("mutual", was.what.mutual, is.what.mutual, More::Forbids),
        ("passthrough", was.what.passthrough, is.what.passthrough, More::Permits),
    ];
    for (word, before, after, more) in
        words.into_iter().filter(|(_, before, after, _)| before != after)
    {
        let text = format!("`{word}` was {before}, is {after}");
        found.push(change(name, text, more.effect(after)));
    }
    found
}

fn connection_date(old: &Model, new: &Model) -> Option<Change> {
    let (was, is) = (old.interconnection.connection_date, new.interconnection.connection_date);
    let effect = match is.cmp(&was) {
        std::cmp::Ordering::Less => Effect::Wider,
        std::cmp::Ordering::Greater => Effect::Tighter,
        std::cmp::Ordering::Equal => return None,
    };
    let day = |at: Timestamp, model: &Model| super::phrase::day(at, model.timezone.offset);
    let text = format!("was {}, is {}", day(was, old), day(is, new));
    Some(Change { subject: "the connection date".to_owned(), text, effect })
}
