//! The measuring bench of the edge: an own load generator with client certificates, an upstream stand-in and a
//! driver that starts the real program as a process of its own. It measures and prints; it judges nothing, and its
//! exit code says only whether it could measure.
//!
//! `cargo bench --bench edge -- idle|hostile|throughput|peers`; without a word, the first three. How to read the figures:
//! `docs/performance.md`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark shows its figures on a terminal, and beside them how far it is"
)]

mod affinity;
mod argument;
mod attack;
mod check;
mod child;
mod client;
mod counter;
mod door;
mod figure;
mod hostile;
mod idle;
mod latency;
mod law;
mod machine;
#[path = "../peers/mod.rs"]
mod peers;
mod pki;
mod procfs;
mod reply;
mod site;
mod subject;
mod throughput;
mod tls;
mod turn;
mod upstream;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::argument::{Arguments, Setting, Work};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("it could not be measured: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    match arguments.work {
        Some(Work::Upstream(settings)) => upstream::run(&arguments.setting, &settings),
        Some(Work::Attack(settings)) => attack::run(&arguments.setting, &settings),
        Some(Work::Idle(settings)) => {
            prepare(&arguments.setting)?;
            idle::measure(&arguments.setting, &settings)
        }
        Some(Work::Hostile(settings)) => {
            prepare(&arguments.setting)?;
            hostile::measure(&arguments.setting, &settings)
        }
        Some(Work::Throughput(settings)) => {
            prepare(&arguments.setting)?;
            throughput::measure(&arguments.setting, &settings)
        }
        Some(Work::Peers(settings)) => {
            prepare(&arguments.setting)?;
            peers::measure(&arguments.setting, &settings)
        }
        None => all(&arguments.setting),
    }
}

/// Everything, with the figures that the words alone would use.
fn all(setting: &Setting) -> io::Result<()> {
    prepare(setting)?;
    throughput::measure(setting, &argument::Throughput::default())?;
    hostile::measure(setting, &argument::Hostile::default())?;
    idle::measure(setting, &argument::Idle::default())
}

/// Says on what it is measured, makes room for descriptors and goes to the load's core.
fn prepare(setting: &Setting) -> io::Result<()> {
    let descriptors = machine::raise_descriptors();
    machine::describe(&setting.directory, descriptors)?;
    affinity::Core::Load.pin()
}
