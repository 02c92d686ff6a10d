//! The door: everything is behind it, in [`sekisho::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho::cli::main()
}
