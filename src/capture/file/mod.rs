//! Files: from bytes on disk to packet records. Nothing here looks into a packet.

mod expand;
mod pcap;
mod pcapng;
mod record;
mod recording;
mod window;

pub(super) use expand::{Meter, expand, open};
pub(super) use recording::Recording;
