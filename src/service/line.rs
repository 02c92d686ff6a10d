//! Whether the interface of a line is up, as the kernel says under `/sys/class/net`. Whether anybody answers at
//! the other end is for the dials to find out.

use std::fs;
use std::path::Path;

/// Where the kernel lists the interfaces.
pub(super) const INTERFACES: &str = "/sys/class/net";

/// `IFF_UP`: the administrator wants it.
const WANTED: u32 = 1;

/// Whether `interface` is wanted by the administrator and has not lost its carrier. Interfaces without a
/// carrier to lose (`lo`, tunnels) are `unknown` to the kernel and count as up.
pub(super) fn is_up(interfaces: &Path, interface: &str) -> bool {
    let read = |file: &str| fs::read_to_string(interfaces.join(interface).join(file));
    let flags = read("flags").ok().and_then(|text| flags(&text));
    let state = read("operstate").unwrap_or_default();
    flags.is_some_and(|flags| flags & WANTED != 0) && matches!(state.trim(), "up" | "unknown")
}

fn flags(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{INTERFACES, is_up};

    #[test]
    fn an_interface_is_up_when_it_is_wanted_and_has_its_carrier() {
        let folder = tempfile::tempdir().unwrap();
        for (name, flags, state, up) in [
            ("eth0", "0x1003\n", "up\n", true),
            ("eth1", "0x1003\n", "down\n", false),
            ("eth2", "0x1002\n", "up\n", false),
            ("tun0", "0x1003\n", "unknown\n", true),
            ("odd", "3\n", "up\n", false),
        ] {
            let files = folder.path().join(name);
            fs::create_dir(&files).unwrap();
            fs::write(files.join("flags"), flags).unwrap();
            fs::write(files.join("operstate"), state).unwrap();
            assert_eq!(is_up(folder.path(), name), up, "{name}");
        }
        assert!(!is_up(folder.path(), "missing"));
    }

    #[test]
    fn the_loopback_of_this_machine_is_up() {
        assert!(is_up(Path::new(INTERFACES), "lo"));
    }
}
