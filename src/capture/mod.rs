//! Captures: what was on the wire, from files to connections, with a count of everything that could not be read.
//!
//! ```text
//! input ─ format ─ decode ─ fragment ─ table ─ stream ─ Connection
//! (gzip,   (pcap,   (link,   (IPv4,     (who     (hello,   handed to the [`Sink`]
//!  zstd)   pcapng)  tunnel)   IPv6)     began)    heads)
//! ```
//!
//! [`read`] is the only way in. Nothing here knows the law.

mod bounds;
mod connection;
mod coverage;
mod read;
mod sink;

pub use bounds::Bounds;
pub use connection::{
    Application, Chain, Connection, Gap, Handshake, HttpHead, Protocol, State, TlsHello,
};
pub use coverage::{Coverage, FileCoverage, FileFault, Reason};
pub use read::{Input, ReadError, read};
pub use sink::{Inspect, Part, Side, Sink};
