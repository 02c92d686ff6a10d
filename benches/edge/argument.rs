//! What can be asked for on the command line, with the figures that hold where nothing is said.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "edge", about = "measures the edge; without a word: throughput, hostile, idle")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) work: Option<Work>,
    #[command(flatten)]
    pub(crate) setting: Setting,
    /// What `cargo bench` adds to every bench.
    #[arg(long = "bench", hide = true, global = true)]
    _bench: bool,
}

/// What is the same for every measurement.
#[derive(Debug, Clone, Args)]
pub(crate) struct Setting {
    /// The program that is measured.
    #[arg(long, global = true, default_value = env!("CARGO_BIN_EXE_sekisho"))]
    pub(crate) sekisho: PathBuf,
    /// What stands in the middle, measured in alternation; `direct` is nothing: the ceiling. Without it, `sekisho`; for
    /// `peers` it and its three peers.
    #[arg(long, global = true, value_delimiter = ',')]
    pub(crate) subject: Vec<SubjectName>,
    /// Another build of the program, to be measured beside it.
    #[arg(long, global = true, default_value = env!("CARGO_BIN_EXE_sekisho"))]
    pub(crate) earlier: PathBuf,
    /// haproxy's program.
    #[arg(long, global = true, default_value = "haproxy")]
    pub(crate) haproxy: PathBuf,
    /// nginx's program.
    #[arg(long, global = true, default_value = "nginx")]
    pub(crate) nginx: PathBuf,
    /// nginx's module that relays bytes, where it is not built in.
    #[arg(long, global = true, default_value = "/usr/lib/nginx/modules/ngx_stream_module.so")]
    pub(crate) nginx_stream: PathBuf,
    /// Envoy's program.
    #[arg(long, global = true, default_value = "envoy")]
    pub(crate) envoy: PathBuf,
    /// The HTTP version that the upstream agrees to.
    #[arg(long, global = true, value_enum, default_value = "http1")]
    pub(crate) upstream: UpstreamHttp,
    /// The key exchange that client and upstream agree to.
    #[arg(long, global = true, value_enum, default_value = "x25519")]
    pub(crate) exchange: Exchange,
    /// Where the ledger and everything else is written; on a disk, not in memory.
    #[arg(long, global = true, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) directory: PathBuf,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubjectName {
    /// The program of this project.
    Sekisho,
    /// Another build of it.
    Earlier,
    /// haproxy, at its best.
    Haproxy,
    /// nginx, at its best.
    Nginx,
    /// Envoy, at its best.
    Envoy,
    /// The stand-in itself.
    Direct,
}

/// What the upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UpstreamHttp {
    /// RFC 9112 only.
    Http1,
    /// RFC 9113 where it is offered.
    Http2,
}

/// What client and upstream use to agree on keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Exchange {
    /// RFC 7748.
    X25519,
    /// X25519 with ML-KEM-768, as shipped.
    Hybrid,
}

/// The measurements, and the two helpers that run as processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// Memory of an idle connection.
    Idle(Idle),
    /// A permitted client's latency with and without hostile ones.
    Hostile(Hostile),
    /// Requests and megabytes, by second and by processor second.
    Throughput(Throughput),
    /// All of it against haproxy, nginx and Envoy, in one table.
    Peers(Peers),
    #[command(hide = true)]
    Upstream(Upstream),
    #[command(hide = true)]
    Attack(Attack),
}

/// How idle connections are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Idle {
    /// `https` connections.
    #[arg(long, default_value_t = Self::default().https)]
    pub(crate) https: usize,
    /// `tls` relays, each with its upstream leg.
    #[arg(long, default_value_t = Self::default().tls)]
    pub(crate) tls: usize,
    /// How long they are left alone after the last one was opened, in seconds.
    #[arg(long, default_value_t = Self::default().hold)]
    pub(crate) hold: u64,
}

/// How hostile clients are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Hostile {
    /// Pairs of windows, one calm and one hostile each.
    #[arg(long, default_value_t = Self::default().rounds)]
    pub(crate) rounds: usize,
    /// The length of a window, in seconds.
    #[arg(long, default_value_t = Self::default().window)]
    pub(crate) window: u64,
    /// Requests a second of the permitted client.
    #[arg(long, default_value_t = Self::default().rate)]
    pub(crate) rate: u32,
    /// Its connections.
    #[arg(long, default_value_t = Self::default().connections)]
    pub(crate) connections: u32,
    /// Which attacks run together.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Self::default().attacks)]
    pub(crate) attacks: Vec<AttackName>,
}

/// How throughput is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Throughput {
    /// How often each row is measured, alternating between the subjects.
    #[arg(long, default_value_t = Self::default().rounds)]
    pub(crate) rounds: usize,
    /// The length of a window, in seconds.
    #[arg(long, default_value_t = Self::default().window)]
    pub(crate) window: u64,
    /// Connections at a time for small requests.
    #[arg(long, default_value_t = Self::default().connections)]
    pub(crate) connections: usize,
    /// Connections at a time for large bodies.
    #[arg(long, default_value_t = Self::default().bulk)]
    pub(crate) bulk: usize,
    /// Only rows whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
}

/// How the peers are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Peers {
    #[command(flatten)]
    pub(crate) throughput: Throughput,
    /// Idle connections of each kind.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) idle: usize,
    /// How long they are left alone before their memory is read, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) hold: u64,
    /// Requests a second while latency is measured.
    #[arg(long, default_value_t = Hostile::default().rate)]
    pub(crate) rate: u32,
    /// Connections that take turns at them.
    #[arg(long, default_value_t = Hostile::default().connections)]
    pub(crate) paced: u32,
    /// Prints the table as Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Writes every window as a line of tab-separated values to this file.
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
}

/// One kind of hostile client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum AttackName {
    /// 200 handshakes that stop half-way and are held.
    Half,
    /// 200 connections that send one byte of a header every 10 s.
    Slow,
    /// 200 connections a second that send garbage before TLS.
    Garbage,
    /// 50 connections a second whose header never ends.
    Endless,
    /// One HTTP/2 client that resets every stream it opens.
    Reset,
}

/// The stand-in's process.
#[derive(Debug, Args)]
pub(crate) struct Upstream {
    /// Where HTTP is answered.
    #[arg(long)]
    pub(crate) https: SocketAddr,
    /// Where bytes that came by a relay are answered.
    #[arg(long)]
    pub(crate) tls: SocketAddr,
    /// The folder of its certificates.
    #[arg(long)]
    pub(crate) certificates: PathBuf,
    /// Which of its certificates is shown.
    #[arg(long, default_value = "upstream")]
    pub(crate) paper: String,
}

/// The attackers' process.
#[derive(Debug, Args)]
pub(crate) struct Attack {
    /// Whom they attack.
    #[arg(long)]
    pub(crate) at: SocketAddr,
    /// The folder of their certificates.
    #[arg(long)]
    pub(crate) certificates: PathBuf,
    /// Which of them run.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) attacks: Vec<AttackName>,
}

impl Default for Idle {
    fn default() -> Self {
        Self { https: 10_000, tls: 2_000, hold: 30 }
    }
}

impl Default for Hostile {
    fn default() -> Self {
        let attacks = AttackName::value_variants().to_vec();
        Self { rounds: 5, window: 5, rate: 500, connections: 8, attacks }
    }
}

impl Default for Throughput {
    fn default() -> Self {
        Self { rounds: 5, window: 5, connections: 64, bulk: 4, only: Vec::new() }
    }
}

impl Throughput {
    /// The length of a window.
    pub(crate) const fn length(&self) -> Duration {
        Duration::from_secs(self.window)
    }

    /// Whether a row of this name is asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| row.contains(part))
    }
}

impl Idle {
    /// How long the connections are left alone.
    pub(crate) const fn hold(&self) -> Duration {
        Duration::from_secs(self.hold)
    }
}

/// The word for this value on the command line.
pub(crate) fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
