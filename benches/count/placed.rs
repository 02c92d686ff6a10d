//! The layout of the program beside its functions: written anew from what requests run, or found to be old.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::callgrind::Names;
use crate::case::Case;
use crate::command::Arguments;
use crate::layout::{self, Layout};
use crate::measure::{self, Plan};

/// What stands side by side, in this order: what every request runs, then what only some do.
const CASES: [Case; 3] = [Case::Https, Case::Tls, Case::Handshake];

/// From how many old names in a hundred on a notice is due.
const OLD: usize = 10;

/// Writes the script.
///
/// # Errors
/// Where requests cannot be counted or the functions of the program cannot be read.
pub(crate) fn write(arguments: &Arguments) -> io::Result<()> {
    let program = arguments.setting.sekisho.canonicalize()?;
    let mut layout = Layout::default();
    for case in CASES {
        let plan = Plan { names: Names::Linked, ..Plan::of(case, 1) };
        let counted = measure::count(&arguments.setting, plan)?;
        for round in &counted.rounds {
            // What costs less than an instruction a unit is not run by requests, but beside them.
            let least = u64::from(case.units());
            layout.add(case.title(), round, &program.display().to_string(), least);
        }
    }
    let symbols = symbols(&program)?;
    fs::write(&arguments.script, layout.render(&functions(&symbols)))?;
    println!("written: {}", arguments.script.display());
    Ok(())
}

/// Says where many names of the script are of no function any more.
///
/// # Errors
/// Where one of them cannot be read.
pub(crate) fn check(arguments: &Arguments) -> io::Result<()> {
    let symbols = symbols(&arguments.setting.sekisho)?;
    let script = fs::read_to_string(&arguments.script)?;
    let (old, all) = layout::stale(&script, &functions(&symbols));
    if old * 100 > all * OLD {
        let file = arguments.script.display();
        println!(
            "notice: {old} of {all} names in {file} are of no function; `-- --layout` writes it anew"
        );
    }
    Ok(())
}

/// What `nm` says of the program: `ADDRESS KIND NAME`, a line each.
fn symbols(program: &Path) -> io::Result<String> {
    let said = Command::new("nm").arg("--defined-only").arg(program).output()?;
    if said.status.success() {
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    } else {
        Err(io::Error::other(format!("`nm`: {}", String::from_utf8_lossy(&said.stderr).trim())))
    }
}

/// The names of what can be run.
fn functions(symbols: &str) -> Vec<&str> {
    let mut functions = Vec::new();
    for line in symbols.lines() {
        if let [_address, "t" | "T" | "w" | "W", name] = *line.split(' ').collect::<Vec<_>>() {
            functions.push(name);
        }
    }
    functions
}
