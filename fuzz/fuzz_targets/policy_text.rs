//! Any bytes as a file of the law: faults or a law, never a panic, and every fault can be shown. Its corpus is run by
//! `cargo test` too.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sekisho::policy;
use sekisho::yaml::SourceFile;

fuzz_target!(|bytes: &[u8]| {
    let file = SourceFile { name: Arc::from("fuzz.yaml"), bytes: bytes.into() };
    match policy::understand(&[file], None) {
        Ok(law) => drop(law.warnings.render(true)),
        Err(faults) => drop(faults.render(true)),
    }
});
