//! What is said on TCP connections: streams put together within bounds, and what their first bytes tell.
//!
//! Most connections need this only at their beginning; after that their entry alone counts them.

mod found;
mod http;
mod listen;
mod order;
mod quic;
mod stream;
mod tls;

pub(super) use found::Found;
pub(super) use quic::quic_version;
pub(super) use stream::{Speaker, Talks};
pub(super) use tls::begins_tls;
