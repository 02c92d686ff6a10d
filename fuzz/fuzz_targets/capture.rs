//! Any bytes as a capture: reading ends, nothing panics, every packet that was read is counted once. Its corpus is run
//! by `cargo test` too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho::capture::{Bounds, Connection, read_bytes};

fuzz_target!(|bytes: &[u8]| {
    let bounds = Bounds { connections: 64, datagrams: 8, stream_bytes: 1 << 16, expanded: 1 << 20, ..Bounds::default() };
    let mut handed = 0;
    let coverage = read_bytes("fuzz", bytes.to_vec(), &bounds, &mut |_: Connection| handed += 1);
    assert_eq!(handed, coverage.connections);
    for file in &coverage.files {
        assert_eq!(file.packets, file.judged + file.outside() + file.unjudged());
    }
});
