//! What was found out about one connection from its bytes.

use crate::capture::{Chain, Gap, Handshake, HttpHead, TlsHello};

/// The findings, by end where they belong to one.
#[derive(Debug, Default)]
pub(in crate::capture) struct Found {
    pub(in crate::capture) hello: Option<TlsHello>,
    pub(in crate::capture) handshake: Option<Handshake>,
    pub(in crate::capture) chains: [Option<Chain>; 2],
    pub(in crate::capture) heads: Vec<HttpHead>,
    pub(in crate::capture) heads_lost: u64,
    pub(in crate::capture) gaps: [Gap; 2],
}

impl Found {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.hello.is_none()
            && self.handshake.is_none()
            && self.chains.iter().all(Option::is_none)
            && self.heads.is_empty()
            && self.heads_lost == 0
            && self.gaps == [Gap::default(); 2]
    }
}
