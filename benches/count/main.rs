//! The regression guard: how many instructions a decision, a ledger entry, a request and a handshake cost, counted by
//! callgrind and compared with `baseline.json`. No clock is read. What is measured by time is in `benches/edge`, whose
//! law, papers, client and stand-in are used here.
//!
//! `cargo bench --bench count`; what the figures mean: `docs/performance.md`.

#![expect(clippy::print_stdout, reason = "a benchmark shows its figures on a terminal")]
#![expect(
    dead_code,
    reason = "the measurements by time use the rest of the files of `benches/edge`"
)]

#[path = "../edge/affinity.rs"]
mod affinity;
#[path = "../edge/argument.rs"]
mod argument;
#[path = "../edge/child.rs"]
mod child;
#[path = "../edge/client.rs"]
mod client;
#[path = "../edge/door.rs"]
mod door;
#[path = "../edge/figure.rs"]
mod figure;
#[path = "../edge/law.rs"]
mod law;
#[path = "../edge/machine.rs"]
mod machine;
#[path = "../edge/pki.rs"]
mod pki;
#[path = "../edge/procfs.rs"]
mod procfs;
#[path = "../edge/reply.rs"]
mod reply;
#[path = "../edge/site.rs"]
mod site;
#[path = "../edge/tls.rs"]
mod tls;
#[path = "../edge/upstream.rs"]
mod upstream;

mod baseline;
mod callgrind;
mod case;
mod command;
mod counted;
mod inside;
mod layout;
mod measure;
mod outcome;
mod placed;
mod profile;
mod scale;
mod served;
mod svg;
mod table;
mod wide;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::command::{Arguments, Helper};

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("it could not be counted: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing has become worse.
fn run(arguments: &Arguments) -> io::Result<bool> {
    match &arguments.helper {
        Some(Helper::Upstream(settings)) => {
            upstream::run(&arguments.setting, settings).map(|()| true)
        }
        Some(Helper::Inside(settings)) => inside::run(settings).map(|()| true),
        None if arguments.workers => scale::workers(arguments).map(|()| true),
        None if arguments.scale.is_some() => scale::measure(arguments).map(|()| true),
        None if arguments.layout => placed::write(arguments).map(|()| true),
        None if arguments.profile => table::show(arguments).map(|()| true),
        None => baseline::hold(arguments),
    }
}
