//! One packet record, as both formats give it.

use crate::flow::Timestamp;

/// One packet as it was stored. Borrows from the window of its file.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct Record<'a> {
    /// When it was seen.
    pub(in crate::capture) at: Timestamp,
    /// The link type of its interface (`LINKTYPE_`…), `None` where the interface is not described.
    pub(in crate::capture) link: Option<u16>,
    /// Whether the capture kept less of it than went by.
    pub(in crate::capture) cut: bool,
    /// Its bytes.
    pub(in crate::capture) bytes: &'a [u8],
}

/// Where the record in front of the window lies, and what its header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Timestamp,
    pub(super) link: Option<u16>,
    pub(super) original: u64,
    /// Position of the packet's first byte in the window.
    pub(super) offset: usize,
    /// Bytes kept of the packet.
    pub(super) kept: usize,
    /// Bytes of the record, header and padding included.
    pub(super) length: usize,
}

/// What stands in front of the window.
pub(super) enum Front {
    /// A packet.
    Packet(Place),
    /// A block without a packet; it was taken in and is consumed.
    Other,
    /// The end, with nothing left over.
    End,
    /// The input ends inside a record.
    Short,
    /// It makes no sense.
    Damaged,
    /// It is over a bound.
    Bound,
}
