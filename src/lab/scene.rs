//! Everything in its place: network, directory, papers, servers, clients, the gate. Set up once, taken down in order.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;

use super::Error;
use super::cast::{self, Center, Papers};
use super::folder::Folder;
use super::gate::Gate;
use super::ground::Ground;
use super::record::{Line, Record};
use super::row::{Found, Shown};
use crate::proxy::clock;
use crate::standin::{Client, Issued};
use crate::verdict::Reason;

/// Where the lab's HTTP port is when it is free.
const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 9617);

/// A lab that is up.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) gate: Gate,
    pub(super) center: Center,
    pub(super) papers: Papers,
    pub(super) record: Record,
    pub(super) ground: Rc<Ground>,
    kizon: Issued,
    tanmatsu: Issued,
    oqs: Issued,
    /// The last to go: everything else lies in it.
    pub(super) folder: Folder,
}

impl Scene {
    /// Sets everything up on `ground`, in `directory` or in one that goes with the scene.
    pub(super) fn set(ground: Rc<Ground>, directory: Option<&Path>) -> Result<Self, Error> {
        let folder = directory.map_or_else(Folder::temporary, Folder::kept)?;
        folder.furnish(&ground, admin(&ground))?;
        let papers = Papers::new(&folder.certificates(), clock::now())?;
        let center = Center::start(&papers, &ground)?;
        let (union, centre) = (&papers.pki.union, &papers.pki.center);
        let (kizon, tanmatsu) =
            (cast::issue(union, &[cast::KIZON])?, cast::issue(union, &[cast::TANMATSU])?);
        let oqs = cast::issue(centre, &[cast::OQS])?;
        let gate = Gate::start(&folder.box_file(), WORKERS).map_err(Error::Service)?;
        let record = Record::new(folder.ledger());
        Ok(Self { gate, center, papers, record, ground, kizon, tanmatsu, oqs, folder })
    }

    /// Where the union's systems are served.
    pub(super) fn listener(&self) -> SocketAddr {
        self.ground.socket(0, 1)
    }

    /// The existing system at its address, with this certificate.
    pub(super) fn existing(&self, shown: Shown) -> Result<Client, Error> {
        let shown = match shown {
            Shown::Nothing => None,
            Shown::Kizon => Some(&self.kizon),
            Shown::Tanmatsu => Some(&self.tanmatsu),
            Shown::Oqs => Some(&self.oqs),
        };
        Ok(self.papers.client(self.ground.address(13, 5), shown)?)
    }

    /// The existing system's second machine, with a certificate of its own.
    pub(super) fn second(&self) -> Result<(Client, u64), Error> {
        let issued = cast::issue(&self.papers.pki.union, &[cast::KIZON])?;
        let client = self.papers.client(self.ground.address(13, 6), Some(&issued))?;
        Ok((client, issued.serial))
    }

    /// The dedicated terminal at its address.
    pub(super) fn terminal(&self) -> Result<Client, Error> {
        Ok(self.papers.client(self.ground.address(14, 5), Some(&self.tanmatsu))?)
    }

    /// The site that an address stands at, as people say it.
    pub(super) fn site(&self, line: &Line) -> &'static str {
        let endpoint = line.fact("endpoint").unwrap_or_default();
        let is_at = |third, fourth| self.ground.socket(third, fourth).to_string() == endpoint;
        if is_at(101, 10) || is_at(101, 20) {
            "Tokyo"
        } else if is_at(102, 10) {
            "Osaka"
        } else {
            "elsewhere"
        }
    }

    /// What passed: `whole` is what the two ends say of it, the site is the ledger's word.
    pub(super) async fn allowed(&self, mark: u64, kind: &str, whole: bool) -> Result<Found, Error> {
        let line = self.record.wait(mark, |line| line.is(kind, None)).await?;
        let site = line.as_ref().map(|line| self.site(line));
        let happened = match (site, whole) {
            (Some(site), true) => format!("allow {site}"),
            (Some(_), false) => "not byte-exact".to_owned(),
            (None, _) => "nothing recorded".to_owned(),
        };
        let fits = whole && site.is_some_and(|site| site != "elsewhere");
        Ok(Found { happened, seq: line.map(|line| line.seq), fits })
    }

    /// What was refused: `answer` is what the client was told, nothing where it was only closed.
    pub(super) async fn denied(
        &self,
        mark: u64,
        reason: Reason,
        answer: Result<(), String>,
    ) -> Result<Found, Error> {
        let wanted = |line: &Line| line.is("refused", Some(reason.code()));
        let line = self.record.wait(mark, wanted).await?;
        let happened = match (&answer, &line) {
            (Ok(()), Some(_)) => reason.code().to_owned(),
            (Ok(()), None) => "nothing recorded".to_owned(),
            (Err(other), _) => other.clone(),
        };
        let fits = answer.is_ok() && line.is_some();
        Ok(Found { happened, seq: line.map(|line| line.seq), fits })
    }
}

/// Two, so that what is shared between workers is shared.
const WORKERS: usize = 2;

/// The well-known address where this is the first lab and nobody else has it, else one of our own network.
fn admin(ground: &Ground) -> SocketAddr {
    let wanted = SocketAddr::from(ADMIN);
    let is_free = ground.is_first() && TcpListener::bind(wanted).is_ok();
    if is_free { wanted } else { ground.socket(0, 2) }
}
