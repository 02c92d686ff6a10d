//! Stand-ins for everybody around the box: authorities, an upstream, a client. For the lab, the self-test and tests.
//!
//! They are peers, not parts of the proxy: they know nothing of rules or verdicts. Everything runs on the caller's
//! tokio runtime, of one thread or many, and ends with the value that started it.

mod client;
mod pattern;
mod pki;
mod route;
mod upstream;
mod witness;

pub use client::{Answer, Ask, Broken, Client, Connection, Content, Exchanged, Raw, Speak};
pub use pattern::Pattern;
pub use pki::{Authority, Issued, Order, Pki};
pub use upstream::{Talk, Upstream};
pub use witness::{Seen, Witness};
