//! Small phrases: days, stretches of time, prefixes, paths.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{Ipv4Subnets, Ipv6Subnets};

use super::path::Paths;
use crate::flow::Timestamp;

/// The most prefixes that are named.
const NETS_MAX: usize = 6;

/// A day in a law's time zone, with the time where it is not midnight.
pub(super) fn day(at: Timestamp, offset: i32) -> String {
    let local =
        Timestamp::from_seconds(at.as_seconds().saturating_add(i64::from(offset))).to_string();
    let (day, time) = local.split_once('T').unwrap_or((&local, ""));
    match time.get(..8) {
        Some("00:00:00") | None => day.to_owned(),
        Some(time) => format!("{day} {time}"),
    }
}

/// A duration in the largest unit that it is a whole number of.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let fits = units.into_iter().find(|(_, unit)| millis.is_multiple_of(*unit));
    fits.map_or_else(|| "0s".to_owned(), |(word, unit)| format!("{}{word}", millis / unit))
}

/// The stretches of time that these moments begin, those next to each other as one: `from 2026-04-01`, `until …`.
/// Empty where it is always, as far as both laws know a beginning.
pub(super) fn times(
    moments: &[Timestamp],
    picked: &[usize],
    begin: Timestamp,
    offset: i32,
) -> String {
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for at in picked {
        match stretches.last_mut() {
            Some((_, end)) if *end == *at => *end = at + 1,
            _ => stretches.push((*at, at + 1)),
        }
    }
    let shown = |(first, end): &(usize, usize)| {
        let from = moments.get(*first).filter(|from| **from > begin);
        let until = moments.get(*end);
        match (from, until) {
            (None, None) => String::new(),
            (Some(from), None) => format!("from {}", day(*from, offset)),
            (None, Some(until)) => format!("before {}", day(*until, offset)),
            (Some(from), Some(until)) => {
                format!("from {} and before {}", day(*from, offset), day(*until, offset))
            }
        }
    };
    stretches.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Stretches of addresses as prefixes.
pub(super) fn nets(stretches: &[(IpAddr, IpAddr)]) -> Vec<String> {
    let nets = stretches.iter().flat_map(|(first, last)| match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let nets = Ipv4Subnets::new(*first, *last, 0).take(NETS_MAX + 1);
            nets.map(|net| net.to_string()).collect::<Vec<_>>()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let nets = Ipv6Subnets::new(*first, *last, 0).take(NETS_MAX + 1);
            nets.map(|net| net.to_string()).collect()
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
    });
    let mut found: Vec<_> = nets.take(NETS_MAX + 1).collect();
    if found.len() > NETS_MAX {
        found.truncate(NETS_MAX);
        found.push("…".to_owned());
    }
    found
}

/// Pieces of paths in terms of the patterns: whole patterns first, then what is left of one without others.
pub(super) fn paths(cut: &Paths, pieces: &BTreeSet<usize>) -> String {
    if pieces.len() == cut.len() {
        return "any path".to_owned();
    }
    let patterns: Vec<_> =
        cut.patterns().map(|(pattern, taken)| (pattern.to_string(), taken)).collect();
    let mut left = pieces.clone();
    let mut found = Vec::new();
    // The widest first, so that `/a/**` is not told as `/a/b` and the rest.
    let mut whole: Vec<_> = patterns.iter().filter(|(_, taken)| taken.is_subset(pieces)).collect();
    whole.sort_by_key(|(text, taken)| (std::cmp::Reverse(taken.len()), text.len()));
    for (text, taken) in whole {
        if !taken.is_disjoint(&left) {
            found.push(text.clone());
            left.retain(|piece| !taken.contains(piece));
        }
    }
    while let Some(piece) = left.first().copied() {
        let (text, taken) = part(cut, &patterns, pieces, piece);
        found.push(text);
        left.retain(|piece| !taken.contains(piece));
    }
    found.join(", ")
}

/// What a piece is a part of, without what is not meant.
fn part(
    cut: &Paths,
    patterns: &[(String, BTreeSet<usize>)],
    meant: &BTreeSet<usize>,
    piece: usize,
) -> (String, BTreeSet<usize>) {
    let holding = patterns.iter().filter(|(_, taken)| taken.contains(&piece));
    let narrowest = holding.min_by_key(|(_, taken)| taken.difference(meant).count());
    let (text, taken) = match narrowest {
        Some((text, taken)) => (text.clone(), taken.clone()),
        None => ("any other path".to_owned(), BTreeSet::from([piece])),
    };
    let mut others: BTreeSet<usize> = taken.difference(meant).copied().collect();
    let mut without = Vec::new();
    for (text, part) in patterns.iter().filter(|(_, part)| part.is_disjoint(meant)) {
        if !part.is_disjoint(&others) {
            without.push(text.clone());
            others.retain(|piece| !part.contains(piece));
        }
    }
    if others.is_empty() {
        let without = if without.is_empty() {
            String::new()
        } else {
            format!(" but not {}", without.join(", "))
        };
        return (format!("{text}{without}"), taken);
    }
    // No pattern says it: an example has to do.
    let example = cut.example(piece).map_or_else(String::new, ToString::to_string);
    (format!("paths such as {example}"), BTreeSet::from([piece]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::{day, duration, nets, paths, times};
    use crate::flow::{Path, Timestamp};
    use crate::policy::compare::path::Paths;
    use crate::policy::imagined::pattern;

    fn said(patterns: &[&str], meant: &[&str]) -> String {
        let patterns: Vec<_> = patterns.iter().map(|text| pattern(text)).collect();
        let cut = Paths::of(&patterns.iter().collect::<Vec<_>>()).unwrap();
        let pieces = meant.iter().map(|text| cut.piece(&Path::parse(text).unwrap()).unwrap());
        paths(&cut, &pieces.collect::<BTreeSet<_>>())
    }

    #[test]
    fn paths_are_said_in_the_words_of_the_law() {
        assert_eq!(said(&["/exchange/**", "/report"], &["/report"]), "/report");
        assert_eq!(said(&["/a/**", "/a/b"], &["/a/x"]), "/a/** but not /a/b");
        assert_eq!(said(&["/a/**", "/a/b"], &["/a/x", "/a/b"]), "/a/**");
        assert_eq!(said(&["/a/**"], &["/a/x", "/"]), "any path");
        assert_eq!(said(&["/a/**", "/b"], &["/z"]), "any other path");
        assert_eq!(said(&["/a/*", "/a/**"], &["/a/x", "/a/x/y"]), "/a/**", "the widest will do");
    }

    #[test]
    fn times_and_prefixes_are_short() {
        let at = Timestamp::from_seconds;
        let moments = [at(0), at(86_400), at(2 * 86_400)];
        assert_eq!(times(&moments, &[0, 1, 2], at(0), 0), "");
        assert_eq!(times(&moments, &[1, 2], at(0), 0), "from 1970-01-02");
        assert_eq!(times(&moments, &[0], at(0), 0), "before 1970-01-02");
        assert_eq!(times(&moments, &[1], at(0), 0), "from 1970-01-02 and before 1970-01-03");
        assert_eq!(
            times(&moments, &[0, 2], at(0), 0),
            "before 1970-01-02, from 1970-01-03",
            "the day between is another matter"
        );
        assert_eq!(day(at(86_399), 0), "1970-01-01 23:59:59");
        let ip = |text: &str| text.parse().unwrap();
        assert_eq!(nets(&[(ip("10.0.0.0"), ip("10.0.1.127"))]), ["10.0.0.0/24", "10.0.1.0/25"]);
        let six = nets(&[(ip("10.0.0.1"), ip("10.0.0.63"))]);
        assert_eq!((six.len(), six.last().unwrap().as_str()), (6, "10.0.0.32/27"));
        let seven = nets(&[(ip("10.0.0.1"), ip("10.0.0.127"))]);
        assert_eq!((seven.len(), seven.last().unwrap().as_str()), (7, "…"));
        assert_eq!(
            [duration(Duration::from_mins(2)), duration(Duration::from_millis(250))],
            ["2m", "250ms"]
        );
    }
}
