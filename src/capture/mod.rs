//! Captures: what was on the wire, from files to connections, with a count of everything that could not be read.
//!
//! ```text
//! file ──────── decode ─────────── table ──── talk ──────── Connection
//! gzip, zstd    link, tunnels      who        hello, heads,   handed to
//! pcap, pcapng  IP and fragments   began      certificates    the [`Sink`]
//! ```
//!
//! [`read()`] is the only way in, and nothing on this way knows the law. [`judge`] asks it, [`reconcile`] compares with the
//! ledger, [`learn`] proposes rules, [`report`] says what it comes to.

mod bounds;
mod connection;
mod coverage;
mod decode;
mod describe;
mod entry;
mod file;
#[cfg(test)]
pub(crate) mod fixture;
pub mod judge;
pub mod learn;
mod read;
pub mod reconcile;
pub mod report;
mod sink;
mod table;
mod talk;
mod tally;

pub use bounds::Bounds;
pub use connection::{
    Application, Chain, Connection, Gap, Handshake, HttpHead, Protocol, State, TlsHello,
};
pub use coverage::{Coverage, FileCoverage, FileFault, Reason};
pub use read::{Input, ReadError, read, read_bytes};
pub use sink::{Inspect, Part, Side, Sink};

#[cfg(test)]
mod tests;
