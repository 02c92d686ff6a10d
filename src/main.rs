//! The door: everything is behind it, in [`sekisho::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request takes and gives back some forty blocks; glibc's allocator costs three times as much for them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    sekisho::cli::main()
}
