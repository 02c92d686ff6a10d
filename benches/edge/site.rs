//! Where everything of one run stands: a folder with the papers, and the names and addresses on 127.0.0.0/8. What
//! runs there is not known here.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::argument::{Exchange, Setting, UpstreamHttp};
use crate::pki;

/// The name behind which HTTP is answered, by an `https` rule.
pub(crate) const HTTPS_NAME: &str = "chukan.center.example";

/// The name behind which bytes are relayed, by a `tls` rule.
pub(crate) const TLS_NAME: &str = "stream.center.example";

/// The lowest block of addresses: the second byte of those that edges have; stand-ins have the next.
pub(crate) const BLOCK: u8 = 64;

/// How many addresses the permitted clients have.
pub(crate) const SOURCES: u8 = 40;

/// The addresses of one subject: the edge's own, and those of the stand-in behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// Where clients are taken.
    pub(crate) edge: SocketAddr,
    /// Where metrics are shown.
    pub(crate) admin: SocketAddr,
    /// What upstreams are dialled from.
    pub(crate) line: IpAddr,
    /// The stand-in behind the `https` name.
    pub(crate) https: SocketAddr,
    /// The stand-in behind the `tls` name.
    pub(crate) tls: SocketAddr,
}

/// The folder of a run, gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    /// The block of its addresses; see [`BLOCK`].
    pub(crate) block: u8,
    /// What the upstream agrees to.
    pub(crate) upstream: UpstreamHttp,
    /// How keys are agreed.
    pub(crate) exchange: Exchange,
}

impl Site {
    /// Makes the folder and the papers in it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn make(setting: &Setting) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("edge").tempdir_in(&setting.directory)?;
        let block = free_block().ok_or_else(|| io::Error::other("no addresses are free"))?;
        let site = Self { folder, block, upstream: setting.upstream, exchange: setting.exchange };
        fs::create_dir(site.certificates())?;
        pki::write(&site.certificates())?;
        Ok(site)
    }

    /// The folder of this run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the papers.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.folder().join("certs")
    }
}

impl Addresses {
    /// Those of the subject with this number in a block; no two share one.
    pub(crate) fn of(block: u8, number: u8) -> Self {
        let edge = |last| IpAddr::from(Ipv4Addr::new(127, block, number, last));
        let behind = |last| IpAddr::from(Ipv4Addr::new(127, block + 1, number, last));
        Self {
            edge: SocketAddr::new(edge(1), 8443),
            admin: SocketAddr::new(edge(1), 9617),
            line: edge(2),
            https: SocketAddr::new(behind(1), 9443),
            tls: SocketAddr::new(behind(2), 9443),
        }
    }
}

/// The first block that no other run on this machine has taken.
fn free_block() -> Option<u8> {
    (BLOCK..254).step_by(2).find(|block| {
        let Addresses { edge, https, .. } = Addresses::of(*block, 0);
        TcpListener::bind(edge).is_ok() && TcpListener::bind(https).is_ok()
    })
}

/// The address of a permitted client; they take turns.
pub(crate) fn source(number: usize) -> IpAddr {
    let last = u8::try_from(number % usize::from(SOURCES)).unwrap_or(0) + 1;
    IpAddr::from(Ipv4Addr::new(127, 1, 0, last))
}
