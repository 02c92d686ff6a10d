//! A law of any size: what is added to the law of `benches/edge` until it has so many rules and so many prefixes.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// The rules that the law has before anything is added.
pub(crate) const RULES: usize = 20;

/// The rules of one added file.
const RULES_EACH: usize = 1_000;

/// The prefixes of one added system.
const PREFIXES_EACH: usize = 10_000;

/// How large the law becomes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Its rules.
    pub(crate) rules: usize,
    /// The prefixes that are added.
    pub(crate) prefixes: usize,
}

/// Adds files to the law in `folder`, each well below the number of values that one may have.
///
/// # Errors
/// Where one cannot be written.
pub(crate) fn write(folder: &Path, size: Size) -> io::Result<()> {
    let policies = folder.join("policies");
    for first in (RULES..size.rules).step_by(RULES_EACH) {
        let mut text = "version: 1\nrules:\n".to_owned();
        (first..size.rules.min(first + RULES_EACH)).for_each(|number| rule(&mut text, number));
        fs::write(policies.join(format!("30-rules-{first}.yaml")), text)?;
    }
    for first in (0..size.prefixes).step_by(PREFIXES_EACH) {
        let text = system(first, first..size.prefixes.min(first + PREFIXES_EACH));
        fs::write(policies.join(format!("40-prefixes-{first}.yaml")), text)?;
    }
    Ok(())
}

/// Every other one joins the two systems whose requests are measured, and stands before theirs in the order of names.
fn rule(text: &mut String, number: usize) {
    let (from, to) = match number % 8 {
        1 => ("terminal", "intermediate-server"),
        3 => ("ward-east", "notice-server"),
        5 => ("ward-west", "insurer-server"),
        7 => ("ward-north", "intermediate-server"),
        _ => ("existing-system", "intermediate-server"),
    };
    let _infallible = write!(
        text,
        "  added-{number}:\n    approval: r1-5\n    from: [{from}]\n    to: {to}\n    protocol: https\n    http: {{ methods: [GET, POST], paths: [\"/added-{number}/**\"] }}\n    individual_number: permitted\n"
    );
}

/// A system with so many prefixes, in a file of its own.
fn system(number: usize, prefixes: std::ops::Range<usize>) -> String {
    // One a line: a line has a bound too.
    let prefixes: Vec<_> = prefixes.map(prefix).collect();
    let prefixes = prefixes.join("\n      - ");
    format!(
        "version: 1\nsystems:\n  added-{number}:\n    side: union\n    identities: [\"dns:added-{number}.union.example\"]\n    addresses:\n      - {prefixes}\n"
    )
}

/// Neighbours that do not touch, from 172.16.0.0/12.
fn prefix(number: usize) -> String {
    let address = (172_u32 << 24 | 16 << 16) + u32::try_from(number).unwrap_or(0) * 8;
    format!("{}/30", std::net::Ipv4Addr::from(address))
}
