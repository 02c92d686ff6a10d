//! Lays the functions that a request runs side by side in the program, where the linker can do that: `layout/request.ld`
//! says which. Scattered over the 12 MB of the program a request meets 146 pages of them on its way upstream instead of 100,
//! each of which has to be found anew after the processor has slept (`docs/performance.md` has what that costs).

#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script by variables")]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layout, from the folder of the project.
const LAYOUT: &str = "layout/request.ld";

/// As Cargo separates what it hands on in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: char = '\u{1f}';

fn main() {
    println!("cargo:rerun-if-changed={LAYOUT}");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let (Some(project), Some(out)) = (folder("CARGO_MANIFEST_DIR"), folder("OUT_DIR")) else {
        return;
    };
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let argument = format!("-Wl,-T,{}", project.join(LAYOUT).display());
        if links(&argument, &out) {
            println!("cargo:rustc-link-arg-bins={argument}");
        } else {
            println!(
                "cargo:warning=the linker cannot lay the functions of a request side by side: requests take longer"
            );
        }
    }
}

fn folder(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

/// Whether an empty program links with this argument. Linkers differ in what they understand, and which one is used is
/// known to the compiler alone.
fn links(argument: &str, out: &Path) -> bool {
    let source = out.join("empty.rs");
    if fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let mut compiler = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    compiler.arg("--edition=2024").arg(&source).arg("-o").arg(out.join("empty"));
    if let Some(target) = env::var_os("TARGET") {
        compiler.arg("--target").arg(target);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        compiler.arg(option);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    compiler.args(flags.split(SEPARATOR).filter(|flag| !flag.is_empty()));
    compiler.arg("-C").arg(format!("link-arg={argument}"));
    compiler.output().is_ok_and(|said| said.status.success())
}
