//! Counts what a client sends over HTTP/2 that asks for nothing: control frames, empty frames (RFC 9113 §10.5). h2
//! bounds resets, pieces of heads and small DATA; pings, settings, priorities and window updates it answers for ever.
//! Frames are only counted here, never judged nor changed.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;
use super::ended::is_tls_fault;
use crate::verdict::Reason;

/// What every HTTP/2 connection begins with (RFC 9113 §3.4): so many bytes.
const PREFACE: usize = 24;

/// Length, kind, flags, stream.
const HEAD: usize = 9;

/// What asks for nothing is free up to here, however fast it comes.
const FREE: u64 = 4096;

/// And so much of it a second.
const FREE_EACH_SECOND: u64 = 500;

/// And so much for each answer: resets, window updates.
const FREE_EACH_ANSWER: u64 = 8;

/// Whoever receives opens the window again; seldom more than twice for so many bytes.
const BYTES_EACH_UPDATE: u64 = 1024;

/// The stream of a client that speaks HTTP/2, counted. Beyond the bound the connection is cut.
#[derive(Debug)]
pub(super) struct Meter<S> {
    stream: S,
    connection: Rc<Connection>,
    scan: Scan,
    seen: Rc<Seen>,
}

/// What is known of a client's bytes before h2 has made anything of them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whether the preface is whole.
    pub(super) begun: Cell<bool>,
    /// Whether its records are not what TLS allows. h2 tells an error of its own or none, as it happens to look.
    pub(super) broke_tls: Cell<bool>,
}

/// Finds the heads of frames in a stream of bytes.
#[derive(Debug)]
struct Scan {
    /// Bytes up to the next head.
    skip: usize,
    head: [u8; HEAD],
    /// How much of the head is there.
    filled: usize,
    /// Whether the preface is whole.
    begun: bool,
    /// Frames that asked for nothing.
    idle: u64,
}

impl<S> Meter<S> {
    /// Counts for `connection`, and tells what it has seen.
    pub(super) fn new(stream: S, connection: &Rc<Connection>, seen: &Rc<Seen>) -> Self {
        let (connection, seen) = (Rc::clone(connection), Rc::clone(seen));
        Self { stream, connection, scan: Scan::new(), seen }
    }

    fn is_flooded(&self) -> bool {
        self.scan.idle > FREE && self.scan.idle > self.free()
    }

    fn free(&self) -> u64 {
        let connection = &self.connection;
        FREE + connection.age().as_secs() * FREE_EACH_SECOND
            + connection.answered() * FREE_EACH_ANSWER
            + connection.bytes_to_client() / BYTES_EACH_UPDATE
    }
}

impl Scan {
    const fn new() -> Self {
        Self { skip: PREFACE, head: [0; HEAD], filled: 0, begun: false, idle: 0 }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.skip > 0 { self.pass(bytes) } else { self.fill(bytes) };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    fn pass(&mut self, bytes: &[u8]) -> usize {
        let taken = self.skip.min(bytes.len());
        self.skip -= taken;
        self.begun |= self.skip == 0;
        taken
    }

    fn fill(&mut self, bytes: &[u8]) -> usize {
        let free = self.head.get_mut(self.filled..).unwrap_or_default();
        let taken = free.len().min(bytes.len());
        for (to, from) in free.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.filled += taken;
        if self.filled == HEAD {
            self.filled = 0;
            self.count();
        }
        taken
    }

    fn count(&mut self) {
        let [high, middle, low, kind, ..] = self.head;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        // DATA, HEADERS and CONTINUATION ask for something, unless they are empty.
        let asks = matches!(kind, 0 | 1 | 9) && self.skip > 0;
        self.idle += u64::from(!asks);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Err(error) = ready!(Pin::new(&mut this.stream).poll_read(context, buffer)) {
            this.seen.broke_tls.set(is_tls_fault(&error));
            return Poll::Ready(Err(error));
        }
        this.scan.read(buffer.filled().get(before..).unwrap_or_default());
        this.seen.begun.set(this.scan.begun);
        if this.is_flooded() {
            // Whoever watches the connection is woken by this; nothing more is read for it.
            this.connection.cut(Reason::Limit);
            buffer.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Scan;

    /// A kind and a length.
    fn wire(frames: &[(u8, u16)]) -> Vec<u8> {
        let mut wire = vec![0xff; super::PREFACE];
        for (kind, length) in frames {
            let [high, low] = length.to_be_bytes();
            wire.extend([0, high, low, *kind, 0, 0, 0, 0, 1]);
            wire.resize(wire.len() + usize::from(*length), 0xff);
        }
        wire
    }

    #[test]
    fn what_asks_for_something_is_not_counted_unless_it_is_empty() {
        for (kind, length, counted) in [
            (0, 1, 0),
            (0, 0, 1),
            (1, 5, 0),
            (9, 5, 0),
            (9, 0, 1),
            (3, 4, 1),
            (6, 8, 1),
            (77, 3, 1),
        ] {
            let mut scan = Scan::new();
            scan.read(&wire(&[(kind, length)]));
            assert_eq!(scan.idle, counted, "kind {kind} of {length} bytes");
        }
    }

    #[test]
    fn the_preface_has_come_with_its_last_byte() {
        let mut scan = Scan::new();
        scan.read(&[0xff; super::PREFACE - 1]);
        assert!(!scan.begun);
        scan.read(&[0xff]);
        assert!(scan.begun);
    }

    proptest! {
        /// However the bytes are cut, the same frames are found.
        #[test]
        fn pieces_do_not_matter(
            frames in prop::collection::vec((0u8..12, 0u16..40), 0..40),
            piece in 1usize..50,
        ) {
            let bytes = wire(&frames);
            let (mut whole, mut cut) = (Scan::new(), Scan::new());
            whole.read(&bytes);
            bytes.chunks(piece).for_each(|piece| cut.read(piece));
            let asking = |(kind, length): &&(u8, u16)| matches!(kind, 0 | 1 | 9) && *length > 0;
            let due = frames.len() - frames.iter().filter(asking).count();
            prop_assert_eq!(whole.idle, due as u64);
            prop_assert_eq!((cut.idle, cut.skip, cut.filled), (whole.idle, 0, 0));
        }
    }
}
