//! Which functions a request runs, as a script for the linker that lays them side by side (`layout/request.ld`; the form:
//! the GNU linker's manual, "SECTIONS Command" and "INSERT"). Names go in without the digest that the compiler adds to
//! them, so that another version of it or of a library finds most of them again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::profile::Profile;

/// Where the digest begins in Rust's name of a function.
const DIGEST: &str = "17h";

/// The digits of the digest, and the letter behind them.
const DIGEST_LENGTH: usize = 17;

/// Of so many functions under one name most are of other types, which no request runs: they come last.
const SEVERAL: usize = 4;

/// In a dump, before the number of a function that calls itself.
const RECURSION: char = '\'';

/// What Rust's names begin with, by the older scheme and by the newer (RFC 2603).
const RUST: [&str; 2] = ["_ZN", "_R"];

/// In a name by the newer scheme, before the digest of a crate.
const CRATE: &str = "Cs";

/// What stands before the name of a function in the name of its section.
const SECTION: &str = ".text.";

/// What callgrind calls the object of a function outside `.text`: of those that are laid out already, and of the kernel's.
const OUTSIDE: &str = "???";

/// The functions by what runs them first.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    parts: Vec<(&'static str, Vec<String>)>,
    known: BTreeSet<String>,
}

impl Layout {
    /// Adds the functions of `program` that cost at least `least` instructions in `profile`, whose names are the linker's.
    pub(crate) fn add(
        &mut self,
        title: &'static str,
        profile: &Profile,
        program: &str,
        least: u64,
    ) {
        let run = profile.functions.iter().filter(|((object, _), cost)| {
            (object == program || object == OUTSIDE) && cost.own >= least
        });
        let names = run.map(|((_, function), _)| pattern(function));
        let mut names: Vec<_> = names.filter(|name| self.known.insert(name.clone())).collect();
        names.sort_unstable();
        self.parts.push((title, names));
    }

    /// The script; `symbols` are all functions of the program.
    pub(crate) fn render(&self, symbols: &[&str]) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for symbol in symbols {
            *counts.entry(pattern(symbol)).or_default() += 1;
        }
        let count = |name: &String| counts.get(name).copied().unwrap_or_default();
        let mut several = Vec::new();
        let mut text = HEAD.to_owned();
        for (title, names) in &self.parts {
            let there = names.iter().filter(|name| count(name) > 0);
            let (one, others): (Vec<_>, Vec<_>) = there.partition(|name| count(name) < SEVERAL);
            part(&mut text, title, &one);
            several.extend(others);
        }
        part(&mut text, "under one name with functions that no request runs", &several);
        text + FOOT
    }
}

const HEAD: &str = "/* The functions that a request runs, to lie side by side in the program.
   Written by `cargo bench --bench count -- --layout`; used by `build.rs`. */
SECTIONS
{
  .text.request :
  {
";

const FOOT: &str = "  }
}
INSERT BEFORE .text;
";

fn part(text: &mut String, title: &str, names: &[&String]) {
    let _infallible = writeln!(text, "    /* {title} */");
    for name in names {
        let _infallible = writeln!(text, "    *({SECTION}{name})");
    }
}

/// The names in a script that none of the functions of a program has, and how many names there are.
pub(crate) fn stale(script: &str, symbols: &[&str]) -> (usize, usize) {
    let there: BTreeSet<String> = symbols.iter().map(|symbol| pattern(symbol)).collect();
    let start = format!("*({SECTION}");
    let named = script.lines().filter_map(|line| line.trim().strip_prefix(start.as_str()));
    let named: Vec<_> = named.map(|name| name.trim_end_matches(')')).collect();
    (named.iter().filter(|name| !there.contains(**name)).count(), named.len())
}

/// The name of a function without what changes with the version of a compiler or a library.
fn pattern(function: &str) -> String {
    let name = function.split(RECURSION).next().unwrap_or_default();
    let [older, newer] = RUST;
    match name.rfind(DIGEST).and_then(|at| name.split_at_checked(at)) {
        Some((path, digest)) if name.starts_with(older) && is_digest(digest) => format!("{path}*"),
        Some(_) | None if name.starts_with(newer) => without_crates(name),
        Some(_) | None => without_version(name),
    }
}

/// `Cs` DIGEST `_` LENGTH NAME is how a crate is named.
fn without_crates(name: &str) -> String {
    let mut parts = name.split(CRATE);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(CRATE);
        match part.split_once('_') {
            Some((digest, rest)) if is_crate(digest, rest) => {
                text.push_str("*_");
                text.push_str(rest);
            }
            Some(_) | None => text.push_str(part),
        }
    }
    text
}

fn is_crate(digest: &str, rest: &str) -> bool {
    digest.bytes().all(|digit| digit.is_ascii_alphanumeric())
        && rest.starts_with(|first: char| first.is_ascii_digit())
}

/// The compiler may add a part of its own behind the digest.
fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix(DIGEST).and_then(|rest| rest.get(..DIGEST_LENGTH));
    digits
        .and_then(|digits| digits.strip_suffix('E'))
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// AWS-LC puts its version before each of its names: `aws_lc_0_47_0_`.
fn without_version(name: &str) -> String {
    let of_library = name.strip_prefix("aws_lc_").map(|rest| {
        rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '_')
    });
    of_library.map_or_else(|| name.to_owned(), |rest| format!("aws_lc_*_{rest}"))
}
