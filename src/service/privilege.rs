//! Giving up what only binding needed. Called before the first thread is started, which would keep it else.

use std::io;

use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

/// Takes `CAP_NET_BIND_SERVICE` from this thread and all it starts: no port below 1024 can be bound any more.
///
/// # Errors
/// Where the kernel refuses.
pub(super) fn drop_bind() -> io::Result<()> {
    let bind = CapabilitySet::NET_BIND_SERVICE;
    let mut sets = capabilities(None)?;
    configure_capability_in_ambient_set(bind, false)?;
    sets.effective.remove(bind);
    sets.permitted.remove(bind);
    sets.inheritable.remove(bind);
    set_capabilities(None, sets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CapabilitySet, capabilities};

    #[test]
    fn after_it_no_thread_started_from_here_may_bind_low_ports() {
        // Capabilities belong to a thread: what is given up here the other tests keep.
        let sets = std::thread::spawn(|| {
            super::drop_bind().unwrap();
            std::thread::spawn(|| capabilities(None).unwrap()).join().unwrap()
        });
        let sets = sets.join().unwrap();
        for set in [sets.effective, sets.permitted, sets.inheritable] {
            assert!(!set.contains(CapabilitySet::NET_BIND_SERVICE));
        }
    }
}
