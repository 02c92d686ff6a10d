//! What the dialled server turned out to be.

use super::Identity;

/// The upstream's side of a handshake. webpki judges it inside the handshake, so that our certificate
/// is never shown to a stranger; its error becomes this fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The chain, the dates, the name and the revocation lists were in order; these are its identities.
    Verified(Vec<Identity>),
    /// It was refused by the handshake.
    Refused,
}
