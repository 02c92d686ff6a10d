//! Everybody around the gate: the authorities, the union's systems with their papers, the centre's servers.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::ground::Ground;
use crate::flow::{Identity, Timestamp, TlsVersion};
use crate::standin::{Authority, Client, Issued, Order, Pki, Talk, Upstream};
use crate::tls::{Credential, TrustStore};

/// The server name of the intermediate server.
pub const CHUKAN: &str = "chukan.center.example";
/// The server name of the stand-in for what is no HTTP.
pub const CHUKEI: &str = "chukei.center.example";
/// The existing system's name.
pub const KIZON: &str = "dns:kizon.union.example";
/// The dedicated terminal's name.
pub const TANMATSU: &str = "dns:tanmatsu.union.example";
/// The eligibility system's name.
pub const OQS: &str = "dns:oqs.center.example";

/// What the relay server sends back once the client has said that this was all, in bytes.
pub const RELAYED: u64 = 100 << 20;

/// How long the lab's revocation lists are good for.
const LIST: Duration = Duration::from_hours(24 * 7);

/// The authorities, and the certificates of the box.
#[derive(Debug)]
pub struct Papers {
    /// All authorities.
    pub pki: Pki,
    now: Timestamp,
}

impl Papers {
    /// New authorities; certificates of the box and empty revocation lists in `folder`, as the lab's box file names them.
    ///
    /// # Errors
    /// Where keys cannot be made or files not be written.
    pub fn new(folder: &Path, now: Timestamp) -> io::Result<Self> {
        let papers = Self { pki: Pki::new(now)?, now };
        papers.pki.union.write(folder)?;
        papers.pki.center.write(folder)?;
        papers.revoke(folder, &[])?;
        papers.pki.center.write_list(folder, &[], now, now.plus(LIST))?;
        let faces = ["dns:chukan.center.example", "dns:chukei.center.example"];
        issue(&papers.pki.union, &faces)?.write(folder, "union-facing")?;
        issue(&papers.pki.center, &["dns:sekisho.union.example"])?
            .write(folder, "center-facing")?;
        Ok(papers)
    }

    /// A list of the union's authority on which these certificates stand.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn revoke(&self, folder: &Path, serials: &[u64]) -> io::Result<()> {
        self.pki.union.write_list(folder, serials, self.now, self.now.plus(LIST))
    }

    /// A client at `source` that shows `shown`, if any.
    ///
    /// # Errors
    /// Where the material cannot be used.
    pub fn client(&self, source: impl Into<IpAddr>, shown: Option<&Issued>) -> io::Result<Client> {
        let server = TrustStore::parse(self.pki.union.pem().as_bytes(), None);
        let credential = shown.map(credential).transpose()?;
        let versions = BTreeSet::from([TlsVersion::Tls13]);
        let server = server.map_err(io::Error::other)?;
        Client::new(source.into(), &server, credential.as_ref(), &versions)
    }

    /// A server of the centre at `address` with a certificate for `name`.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub fn upstream(&self, address: SocketAddr, name: &str, talk: Talk) -> io::Result<Upstream> {
        let issued = issue(&self.pki.center, &[&format!("dns:{name}")])?;
        Upstream::start(address, talk, &credential(&issued)?, &self.pki.center.pem())
    }
}

/// A certificate with these names.
///
/// # Errors
/// Where a key cannot be made or a name is none.
pub fn issue(authority: &Authority, names: &[&str]) -> io::Result<Issued> {
    let parsed = names.iter().map(|name| Identity::parse(name).map_err(io::Error::other));
    authority.issue(&Order::new(&parsed.collect::<io::Result<Vec<_>>>()?))
}

fn credential(issued: &Issued) -> io::Result<Credential> {
    let made = Credential::parse(issued.chain.as_bytes(), issued.key.as_bytes());
    made.map_err(io::Error::other)
}

/// The centre's servers.
#[derive(Debug)]
pub struct Center {
    /// The intermediate server in Tokyo.
    pub tokyo: Upstream,
    /// The intermediate server in Osaka.
    pub osaka: Upstream,
    /// The server for what is no HTTP; in Tokyo.
    pub relay: Upstream,
}

impl Center {
    /// Starts all three where the lab's law has them.
    ///
    /// # Errors
    /// Where an address cannot be bound.
    pub fn start(papers: &Papers, ground: &Ground) -> io::Result<Self> {
        Ok(Self {
            tokyo: papers.upstream(ground.socket(101, 10), CHUKAN, Talk::Http)?,
            osaka: papers.upstream(ground.socket(102, 10), CHUKAN, Talk::Http)?,
            relay: papers.upstream(ground.socket(101, 20), CHUKEI, Talk::AfterEnd(RELAYED))?,
        })
    }

    /// What all of them have seen.
    pub fn seen(&self) -> Seen {
        let all = [&self.tokyo, &self.osaka, &self.relay].map(Upstream::witness);
        Seen {
            requests: all.iter().map(|witness| witness.requests()).sum(),
            bytes: all.iter().map(|witness| witness.received()).sum(),
            peers: all.iter().flat_map(|witness| witness.peers()).collect(),
        }
    }
}

/// What the centre's servers have counted.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Requests.
    pub requests: u64,
    /// Bytes inside TLS: of bodies where HTTP is spoken.
    pub bytes: u64,
    /// Who opened connections, in the order of each server.
    pub peers: Vec<SocketAddr>,
}
