//! The TCP socket under TLS, with large reads and no buffer of its own while it is quiet; and the
//! lingering close. TLS and HTTP are not here.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;

/// rustls asks for 4 KiB at a time; a system call brings up to this much instead.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    /// One per worker: every socket of the thread reads into it and keeps only what was not taken at once.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// A TCP stream. `poll_shutdown` closes the writing half only.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// Read from the kernel, not taken yet. Freed when it is empty.
    left: BytesMut,
}

impl Socket {
    /// Takes a connected stream.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, left: BytesMut::new() }
    }

    /// The stream, for its addresses and options.
    #[cfg(test)]
    pub(crate) const fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether nothing has come from the kernel; costs no system call then.
    pub(crate) fn is_quiet(&self, context: &mut Context<'_>) -> bool {
        let ready = poll_fn(|context| self.stream.poll_read_ready(context));
        // A task that has used up its budget would find every socket quiet.
        self.left.is_empty() && pin!(unconstrained(ready)).poll(context).is_pending()
    }

    fn take_left(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.left.len().min(buffer.remaining());
        buffer.put_slice(self.left.get(..length).unwrap_or_default());
        self.left.advance(length);
        if self.left.is_empty() {
            self.left = BytesMut::new();
        }
    }

    fn poll_scratch(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<()>> {
        let mut read = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        let taken = read.filled().len().min(buffer.remaining());
        let (now, later) = read.filled().split_at_checked(taken).unwrap_or_default();
        buffer.put_slice(now);
        self.left.extend_from_slice(later);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        if !socket.left.is_empty() {
            socket.take_left(buffer);
            return Poll::Ready(Ok(()));
        }
        if buffer.remaining() >= SCRATCH {
            return Pin::new(&mut socket.stream).poll_read(context, buffer);
        }
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        READ.with_borrow_mut(|scratch| socket.poll_scratch(context, buffer, scratch))
    }
}

impl AsyncWrite for Socket {
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
        let stream = Pin::new(&mut self.get_mut().stream);
        match slices {
            // `send` is a cheaper call than `writev`.
            [slice] => stream.poll_write(context, slice),
            slices => stream.poll_write_vectored(context, slices),
        }
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

/// How a lingering close ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lingered {
    /// The peer closed too: it has read our last bytes.
    Closed,
    /// The peer sent more than the bound.
    Bytes,
    /// It took longer than the bound.
    Time,
    /// The connection broke.
    Failed,
}

/// Closes our half and then reads and throws away what still comes, until the peer closes, at most `bytes` and for
/// `time` in all. Closed at once with unread bytes, the kernel would send a reset, and the peer could lose our last
/// bytes before it has read them (RFC 9112 §9.6).
pub(crate) async fn linger<S>(stream: &mut S, bytes: u64, time: Duration) -> Lingered
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = async {
        match stream.shutdown().await {
            Ok(()) => discard(stream, bytes).await,
            Err(_) => Lingered::Failed,
        }
    };
    tokio::time::timeout(time, close).await.unwrap_or(Lingered::Time)
}

async fn discard<S: AsyncRead + Unpin>(stream: &mut S, mut bytes: u64) -> Lingered {
    loop {
        match poll_fn(|context| poll_discard(stream, context)).await {
            Ok(0) => return Lingered::Closed,
            Ok(length) if length > bytes => return Lingered::Bytes,
            Ok(length) => bytes -= length,
            Err(_) => return Lingered::Failed,
        }
    }
}

fn poll_discard<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
) -> Poll<io::Result<u64>> {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut buffer = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len() as u64))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{Lingered, Socket, linger};

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, Socket::new(listener.accept().await.unwrap().0))
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn small_reads_cost_one_system_call_and_leave_nothing_behind() {
        let (mut client, mut socket) = pair().await;
        let sent = pattern(60_000);
        client.write_all(&sent).await.unwrap();
        // All of it is there before the first read.
        while socket.get_ref().peek(&mut vec![0; 60_000]).await.unwrap() < 60_000 {}
        let mut got = vec![0; 4096];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(socket.left.len(), 60_000 - 4096);
        let mut rest = vec![0; 60_000 - 4096];
        socket.read_exact(&mut rest).await.unwrap();
        assert_eq!([got, rest].concat(), sent);
        assert_eq!(socket.left.capacity(), 0);
    }

    #[tokio::test]
    async fn two_sockets_of_a_thread_do_not_mix_their_bytes() {
        let ((mut a_client, mut a), (mut b_client, mut b)) = (pair().await, pair().await);
        a_client.write_all(&[b'a'; 1000]).await.unwrap();
        b_client.write_all(&[b'b'; 1000]).await.unwrap();
        let (mut of_a, mut of_b) = (vec![0; 1000], vec![0; 1000]);
        for at in (0..1000).step_by(10) {
            a.read_exact(&mut of_a[at..at + 10]).await.unwrap();
            b.read_exact(&mut of_b[at..at + 10]).await.unwrap();
        }
        assert_eq!((of_a, of_b), (vec![b'a'; 1000], vec![b'b'; 1000]));
    }

    #[tokio::test]
    async fn a_half_closed_socket_goes_on_reading_and_both_ways_are_counted() {
        let (mut client, mut socket) = pair().await;
        socket.write_all(b"last words").await.unwrap();
        socket.shutdown().await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last words");
        let sent = pattern(1 << 20);
        let write = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(socket.read_to_end(&mut got), write);
        read.unwrap();
        assert!(got == sent);
    }

    #[tokio::test]
    async fn vectored_writes_are_passed_on() {
        let (mut client, mut socket) = pair().await;
        assert!(socket.is_write_vectored());
        let slices = [std::io::IoSlice::new(b"one "), std::io::IoSlice::new(b"two")];
        assert_eq!(socket.write_vectored(&slices).await.unwrap(), 7);
        let mut got = [0; 7];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"one two");
    }

    #[tokio::test]
    async fn the_last_bytes_reach_a_peer_that_is_still_sending() {
        let (mut client, mut socket) = pair().await;
        client.write_all(&pattern(200_000)).await.unwrap();
        socket.write_all(b"refused").await.unwrap();
        let server = linger(&mut socket, 1 << 20, Duration::from_secs(5));
        let client = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.write_all(&pattern(10_000)).await.unwrap();
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            drop(client);
            heard
        };
        let (lingered, heard) = tokio::join!(server, client);
        assert_eq!(heard, b"refused");
        assert_eq!(lingered, Lingered::Closed);
    }

    #[tokio::test]
    async fn lingering_is_bounded_in_bytes_and_in_time() {
        let (mut client, mut socket) = pair().await;
        client.write_all(&pattern(20_000)).await.unwrap();
        let lingered = linger(&mut socket, 10_000, Duration::from_mins(1)).await;
        assert_eq!(lingered, Lingered::Bytes);
        let (_client, mut socket) = pair().await;
        let lingered = linger(&mut socket, 10_000, Duration::from_millis(20)).await;
        assert_eq!(lingered, Lingered::Time);
    }
}
