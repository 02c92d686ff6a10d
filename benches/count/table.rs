//! The profile of a case for people: where the instructions of one unit go, by kind, by crate and by function.

use std::collections::BTreeMap;
use std::io;

use crate::command::Arguments;
use crate::counted::Kind;
use crate::figure::{Table, float};
use crate::measure::{self, Counted, Plan};
use crate::profile::{Cost, Profile};

/// Profiles each case that was asked for.
///
/// # Errors
/// Where one cannot be counted.
pub(crate) fn show(arguments: &Arguments) -> io::Result<()> {
    for case in arguments.cases() {
        let counted = measure::count(&arguments.setting, Plan::of(case, 1))?;
        println!("{}: instructions by unit, {} units\n", case.title(), case.units());
        if let Some(profile) = counted.rounds.first() {
            let units = f64::from(case.units());
            println!("{}", kinds(&counted));
            println!("{}", crates(profile, units));
            println!("{}", functions(profile, units, arguments.top, "own", |cost| cost.own));
            println!("{}", functions(profile, units, arguments.top, "whole", |cost| cost.whole));
        }
    }
    Ok(())
}

fn kinds(counted: &Counted) -> Table {
    let mut table = Table::new(&["instructions", "by unit"]);
    for kind in [Kind::Counted, Kind::Cryptography, Kind::Chosen, Kind::Loader] {
        table.row(vec![kind.title().to_owned(), format!("{:.0}", counted.each(kind))]);
    }
    table
}

/// Counted instructions by where their line stands: a crate, or a module of this project.
fn crates(profile: &Profile, units: f64) -> Table {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (file, count) in &profile.files {
        *sums.entry(origin(file)).or_default() += count;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut table = Table::new(&["written in (with what was inlined elsewhere)", "by unit"]);
    for (origin, count) in sums.into_iter().take(30) {
        table.row(vec![origin, format!("{:.0}", float(count) / units)]);
    }
    table
}

/// The crate of a source file: `NAME-VERSION` of a registry, a library of Rust's own, or `src/MODULE` of this project.
pub(crate) fn origin(file: &str) -> String {
    let after = |mark: &str| file.split_once(mark).map(|(_, rest)| rest);
    let first = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    if let Some(rest) = after("/rust/deps/") {
        return first(rest);
    }
    if let Some(rest) = after("/registry/src/") {
        return rest.split('/').nth(1).unwrap_or_default().to_owned();
    }
    if let Some(rest) = after("/library/") {
        return format!("rust {}", first(rest));
    }
    match file.rsplit_once("/src/") {
        Some((_, rest)) => format!("src/{}", first(rest)),
        // The C library's files have short names.
        None if file.contains(".c") => "libc".to_owned(),
        None => "unknown".to_owned(),
    }
}

fn functions(
    profile: &Profile,
    units: f64,
    top: usize,
    word: &str,
    of: impl Fn(&Cost) -> u64,
) -> Table {
    let mut costs: Vec<_> = profile.functions.iter().collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(of(cost)));
    let mut table = Table::new(&["function", word, "calls"]);
    for ((_, function), cost) in costs.into_iter().take(top) {
        let each = |count: u64| float(count) / units;
        let name: String = function.chars().take(150).collect();
        table.row(vec![name, format!("{:.0}", each(of(cost))), format!("{:.2}", each(cost.calls))]);
    }
    table
}
