//! What ends soon or has ended: warnings, never errors, since the engine refuses by itself when the time comes.

use std::time::Duration;

use super::model::Model;
use crate::flow::Timestamp;
use crate::yaml::{Fault, Faults, Place};

/// How long before its end something is warned of.
const SOON: Duration = Duration::from_hours(60 * 24);

/// Warns of everything that has ended at `now` or ends within 60 days.
pub fn ending(model: &Model, now: Timestamp) -> Faults {
    let documents = model
        .documents
        .iter()
        .map(|(name, it)| (format!("document `{name}`"), it.until, &it.place));
    let approvals = model
        .approvals
        .iter()
        .map(|(name, it)| (format!("approval `{name}`"), it.period.until, &it.place));
    let rules =
        model.rules.iter().map(|(name, it)| (format!("rule `{name}`"), it.period.until, &it.place));
    let upstreams = model.systems.values().filter_map(|system| system.upstream.as_ref());
    let endpoints = upstreams.flat_map(|upstream| &upstream.endpoints);
    let endpoints =
        endpoints.map(|it| (format!("endpoint `{}`", it.address), it.period.until, &it.place));
    let geography = model.geography.iter();
    let geography =
        geography.map(|it| ("the geography file".to_owned(), Some(it.until), &it.place));
    let all = documents.chain(approvals).chain(rules).chain(endpoints).chain(geography);
    Faults(
        all.filter_map(|(what, until, place)| warning(&what, until?, place, (model, now)))
            .collect(),
    )
}

fn warning(
    what: &str,
    until: Timestamp,
    place: &Place,
    (model, now): (&Model, Timestamp),
) -> Option<Fault> {
    let day = last_day(until, model.timezone.offset);
    if until <= now {
        return Some(Fault::warning(
            "ended",
            place,
            format!("{what} has ended: {day} was its last day"),
        ));
    }
    let left = until.since(now);
    let days = left.as_secs() / 86_400;
    (left <= SOON)
        .then(|| Fault::warning("ends_soon", place, format!("{what} ends {day} ({days} days)")))
}

/// The day of the last moment that still belongs, in the law's zone.
fn last_day(until: Timestamp, offset: i32) -> String {
    let last = until.as_seconds().saturating_sub(1).saturating_add(i64::from(offset));
    let text = Timestamp::from_seconds(last).to_string();
    text.chars().take(10).collect()
}
