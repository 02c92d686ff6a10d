//! Who is told what was found: each connection, each clear byte, and how far the reading has come.

use std::net::SocketAddr;

use super::Connection;

/// Takes what a reading finds.
pub trait Sink {
    /// Called once for each connection, when it ended or, at the end of all input, where it is still open.
    fn connection(&mut self, connection: Connection);

    /// Called every few megabytes: bytes taken from the files so far (compressed ones as stored), and packets.
    fn progress(&mut self, bytes: u64, packets: u64) {
        let _ = (bytes, packets);
    }

    /// Who wants to see the clear bytes of reassembled TCP streams; nobody unless overridden.
    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        None
    }
}

/// A closure that takes connections is a sink.
impl<F: FnMut(Connection)> Sink for F {
    fn connection(&mut self, connection: Connection) {
        self(connection);
    }
}

/// Looks into the clear bytes of TCP streams. A stream that turned out to be TLS is not shown.
pub trait Inspect {
    /// How many bytes from the start of each direction it wants to see.
    fn depth(&self) -> u64;

    /// Takes the next bytes of one direction. They come in order, each byte once; a hole in the capture shows as
    /// an `offset` beyond the end of the part before.
    fn part(&mut self, part: &Part<'_>);
}

/// Consecutive bytes of one direction of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// [`Connection::number`] of the connection.
    pub connection: u64,
    /// Whose bytes they are.
    pub side: Side,
    /// Who sent them.
    pub sender: SocketAddr,
    /// Who is to receive them.
    pub receiver: SocketAddr,
    /// Position of the first byte in its direction, from 0.
    pub offset: u64,
    /// Number of the packet that completed them, from 1 in its file.
    pub packet: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// One of the two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who opened it.
    Initiator,
    /// Whom it was opened to.
    Responder,
}
