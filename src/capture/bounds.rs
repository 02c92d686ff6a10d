//! How much a capture may cost: every table and buffer has its limit here.

/// Limits of one reading. What goes over a limit is counted in the coverage, never dropped in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections held at a time; the one idle for longest is handed on early to make room.
    pub connections: usize,
    /// Bytes of one packet record; a longer one ends the reading of its file.
    pub packet: usize,
    /// Interfaces of one pcapng section.
    pub interfaces: usize,
    /// Layers of one packet, tunnels included.
    pub layers: usize,
    /// IP datagrams waiting for fragments.
    pub datagrams: usize,
    /// Bytes of fragments held at a time, all datagrams together.
    pub fragment_bytes: usize,
    /// Bytes of segments held at a time, all streams together.
    pub stream_bytes: usize,
    /// Bytes of segments and of an unfinished message held for one direction of one connection.
    pub stream_window: usize,
    /// HTTP heads kept of one connection.
    pub heads: usize,
    /// Bytes of one HTTP head.
    pub head_bytes: usize,
    /// Bytes that a compressed file may expand to.
    pub expanded: u64,
    /// Files open at a time.
    pub files: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1 << 21,
            packet: 16 << 20,
            interfaces: 4096,
            layers: 24,
            datagrams: 4096,
            fragment_bytes: 32 << 20,
            stream_bytes: 64 << 20,
            stream_window: 256 << 10,
            heads: 1024,
            head_bytes: 64 << 10,
            expanded: 1 << 44,
            files: 16,
        }
    }
}
