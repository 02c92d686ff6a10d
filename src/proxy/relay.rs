//! A `tls` passage: bytes both ways, half-close kept. One scratch buffer per worker; a direction holds bytes of
//! its own only while its reader is slower than its writer.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::clock;
use super::connection::Connection;
use super::ended::Ended;
use super::patience::Patience;
use crate::metrics::RuleMetrics;
use crate::verdict::Reason;

/// How much is read at once.
const SCRATCH: usize = 64 * 1024;

/// Reads in one go before others get their turn.
const TURNS: usize = 16;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// One direction of a relay.
#[derive(Debug)]
struct Direction<F> {
    /// Read, but not taken by the other side yet.
    held: Vec<u8>,
    taken: usize,
    state: State,
    count: F,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The reader has ended; the writer is not told yet.
    Ended,
    /// The writer is told.
    Closed,
}

/// Which end broke.
#[derive(Debug)]
enum Guilty {
    Reader,
    Writer,
}

/// Relays until both directions have ended, one broke, nothing moved for too long, or the law cut it.
pub(super) async fn relay<C, U>(
    connection: &Rc<Connection>,
    metrics: &Arc<RuleMetrics>,
    mut client: C,
    mut upstream: U,
    mut patience: Patience,
) -> Ended
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let moved = Cell::new(clock::woken());
    let mut up = Direction::new(|bytes| {
        moved.set(clock::woken());
        connection.count_to_upstream(bytes);
        metrics.to_upstream(bytes);
    });
    let mut down = Direction::new(|bytes| {
        moved.set(clock::woken());
        connection.count_to_client(bytes);
        metrics.to_client(bytes);
    });
    let mut first = None;
    poll_fn(|cx| {
        if let Poll::Ready(reason) = connection.cut.poll(cx) {
            return Poll::Ready(Ended::Cut(reason));
        }
        let upward = up.poll(cx, &mut client, &mut upstream);
        let downward = down.poll(cx, &mut upstream, &mut client);
        match (upward, downward) {
            (Poll::Ready(Err(guilty)), _) => {
                return Poll::Ready(broken(matches!(guilty, Guilty::Reader)));
            }
            (_, Poll::Ready(Err(guilty))) => {
                return Poll::Ready(broken(matches!(guilty, Guilty::Writer)));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                return Poll::Ready(first.unwrap_or(Ended::Client));
            }
            (Poll::Ready(Ok(())), Poll::Pending) => first = first.or(Some(Ended::Client)),
            (Poll::Pending, Poll::Ready(Ok(()))) => first = first.or(Some(Ended::Upstream)),
            (Poll::Pending, Poll::Pending) => {}
        }
        patience.poll_elapsed(cx, moved.get()).map(|()| Ended::Idle)
    })
    .await
}

/// Whose fault it was: a client may leave as it likes, an upstream that breaks off has failed.
const fn broken(by_client: bool) -> Ended {
    if by_client { Ended::Client } else { Ended::Broken(Reason::UpstreamFailed) }
}

impl<F: Fn(u64)> Direction<F> {
    const fn new(count: F) -> Self {
        Self { held: Vec::new(), taken: 0, state: State::Open, count }
    }

    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<Result<(), Guilty>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _turn in 0..TURNS {
            ready!(self.poll_held(cx, writer)).map_err(|_error| Guilty::Writer)?;
            match self.state {
                State::Closed => return Poll::Ready(Ok(())),
                State::Ended => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))
                        .map_err(|_error| Guilty::Writer)?;
                    self.state = State::Closed;
                }
                State::Open => match self.poll_move(cx, reader, writer) {
                    Poll::Ready(moved) => moved?,
                    Poll::Pending => {
                        ready!(Pin::new(&mut *writer).poll_flush(cx))
                            .map_err(|_error| Guilty::Writer)?;
                        return Poll::Pending;
                    }
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is held; the space is given back when it is empty.
    fn poll_held<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.held.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *writer).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.taken += written,
            }
        }
        if self.taken > 0 {
            self.held = Vec::new();
            self.taken = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// One read, written at once as far as the other side takes it.
    fn poll_move<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<Result<(), Guilty>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        BUFFER.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(reader).poll_read(cx, &mut buffer)).map_err(|_error| Guilty::Reader)?;
            let mut rest = buffer.filled();
            if rest.is_empty() {
                self.state = State::Ended;
                return Poll::Ready(Ok(()));
            }
            (self.count)(rest.len() as u64);
            while !rest.is_empty() {
                match Pin::new(&mut *writer).poll_write(cx, rest) {
                    Poll::Ready(Ok(written)) if written > 0 => {
                        rest = rest.get(written..).unwrap_or_default();
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(Guilty::Writer)),
                    Poll::Pending => {
                        self.held = rest.to_vec();
                        break;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}
