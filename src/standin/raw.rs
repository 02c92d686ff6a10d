//! One connection of the stand-in client for bytes: sent, half-closed, read to the end.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::pattern::{Pattern, Tally};

/// What a raw exchange came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Bytes that came back.
    pub bytes: u64,
    /// Their SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether the other side said that this was all (TLS `close_notify`).
    pub whole: bool,
}

/// A connection for bytes.
#[derive(Debug)]
pub struct Raw {
    pub(super) stream: TlsStream<TcpStream>,
}

impl Raw {
    /// Its own end.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.local_addr()
    }

    /// The stream inside TLS, for whoever wants to speak slowly or in pieces.
    pub const fn stream(&mut self) -> &mut TlsStream<TcpStream> {
        &mut self.stream
    }

    /// Sends so many bytes of the pattern and says that this was all (half-close), while reading what comes to its end.
    ///
    /// # Errors
    /// Where it is broken off; an end without `close_notify` is none, but not whole.
    pub async fn exchange(self, bytes: u64) -> io::Result<Exchanged> {
        let (mut reader, mut writer) = tokio::io::split(self.stream);
        let send = async move {
            let mut pattern = Pattern::new(bytes);
            while let Some(block) = pattern.block() {
                writer.write_all(&block).await?;
            }
            writer.shutdown().await?;
            io::Result::Ok(writer)
        };
        let receive = async move {
            let (mut tally, mut buffer) = (Tally::default(), vec![0; 64 << 10]);
            let whole = loop {
                match reader.read(&mut buffer).await {
                    Ok(0) => break true,
                    Ok(length) => tally.add(buffer.get(..length).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break false,
                    Err(error) => return Err(error),
                }
            };
            Ok(Exchanged { bytes: tally.bytes(), sha256: tally.sha256(), whole })
        };
        // The write half lives until all is read: dropping it would close the socket.
        let (_writer, exchanged) = tokio::try_join!(send, receive)?;
        Ok(exchanged)
    }
}
