//! The socket under TLS: reads in large steps, holds what TLS has not taken only while there is something to hold.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// How much is read from the kernel at once. rustls asks for 4 KiB at a time: 61 reads for a megabyte become 16.
const SCRATCH: usize = 64 * 1024;

/// A lingering close reads at most this much more, for at most this long.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// A TCP stream with one read buffer per worker in front of it.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    held: Bytes,
}

impl Socket {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, held: Bytes::new() }
    }

    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.held.len().min(buffer.remaining());
        buffer.put_slice(self.held.get(..length).unwrap_or_default());
        self.held.advance(length);
        if self.held.is_empty() {
            // Gives the space back: an idle connection holds nothing.
            self.held = Bytes::new();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.held.is_empty() {
            this.hand_on(buffer);
            return Poll::Ready(Ok(()));
        }
        if buffer.remaining() >= SCRATCH {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        BUFFER.with_borrow_mut(|scratch| {
            let mut wide = ReadBuf::new(scratch);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut wide))?;
            let (now, later) = wide.filled().split_at(wide.filled().len().min(buffer.remaining()));
            buffer.put_slice(now);
            if !later.is_empty() {
                this.held = Bytes::copy_from_slice(later);
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Ends our direction only: the other one may still have much to say.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The second half of a lingering close (RFC 9112 §9.6): our direction has ended; what the peer still sends is read and
/// thrown away for a while, so that it reads our last words instead of a reset.
pub(super) async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    let deadline = Instant::now() + LINGER_TIME;
    let mut left = LINGER_BYTES;
    let mut bin = vec![0; 16 * 1024];
    while let Ok(Ok(read)) = timeout_at(deadline, stream.read(&mut bin)).await {
        if read == 0 || read >= left {
            return;
        }
        left -= read;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::Socket;

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (client, Socket::new(server))
    }

    #[tokio::test]
    async fn small_reads_lose_nothing_and_leave_nothing_held() {
        let (mut client, mut socket) = pair().await;
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let sending = tokio::task::spawn(async move { client.write_all(&sent).await });
        let mut got = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = socket.read(&mut piece).await.unwrap();
            if read == 0 {
                break;
            }
            got.extend_from_slice(&piece[..read]);
        }
        sending.await.unwrap().unwrap();
        assert_eq!(got, expected);
        assert!(socket.held.is_empty());
    }

    #[tokio::test]
    async fn shutting_down_ends_one_direction_only() {
        let (mut client, mut socket) = pair().await;
        socket.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        client.write_all(b"still here").await.unwrap();
        drop(client);
        let mut rest = String::new();
        socket.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "still here");
    }
}
