//! The papers a client showed: its certificate as facts, not yet as an opinion.

use super::{Identity, Timestamp};

/// What a client presented in the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paper {
    /// No certificate at all.
    Absent,
    /// A certificate whose private key the client has proved to hold.
    Presented(Certificate),
}

/// A presented certificate. Possession of its key is proved; everything else is for the law to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Every identity it carries, the pin of its key included.
    pub identities: Vec<Identity>,
    /// Whether it chains to the listener's trust.
    pub chain: Chain,
    /// First moment of validity (of the shortest-lived certificate in the path).
    pub not_before: Timestamp,
    /// Last moment of validity (of the shortest-lived certificate in the path).
    pub not_after: Timestamp,
    /// What the revocation lists say.
    pub revocation: Revocation,
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: [u8; 32],
}

/// Whether a certificate chains to a trusted root, dates and revocation aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// It does.
    Trusted,
    /// It does not: unknown issuer, bad signature, wrong usage, broken or doubtful names.
    Untrusted,
}

/// What the revocation lists of the trust say about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// Every certificate of the path is covered and none is revoked, until the first list is due.
    Good {
        /// `nextUpdate` of the list that is due first.
        until: Timestamp,
    },
    /// A certificate of the path is on a list.
    Revoked,
    /// No list covers a certificate of the path.
    Unknown,
    /// The trust says `none`: there is no list, with its reason in the law.
    NotKept,
}
