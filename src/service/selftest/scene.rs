//! The stage: stand-ins for the destination, the data path between them and whoever tries, and what of an attempt can be
//! seen by each of the three: the client, the ledger, the stand-ins.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::papers::Papers;
use super::passage::Passage;
use super::probe::{Caller, Under};
use super::twin::{Twin, places};
use crate::flow::{Name, TlsVersion};
use crate::ledger::{self, Kind, Ledger, Noted};
use crate::policy::model::Protocol;
use crate::proxy::{Rehearsal, Snapshot};
use crate::source::Loaded;
use crate::standin::{Ask, Client, Speak, Talk, Upstream};

/// The longest that one attempt is waited for.
const PATIENCE: Duration = Duration::from_secs(8);
/// For an attempt's last entry to be placed.
const LAST_WORD: Duration = Duration::from_secs(2);
/// What is left when it is over is cut after this.
const DRAIN: Duration = Duration::from_secs(1);
/// What a passage that is no HTTP carries, in bytes.
const CARRIED: u64 = 64;

/// Everything that a probe is tried on.
#[derive(Debug)]
pub(super) struct Scene {
    rehearsal: Rehearsal,
    noted: ledger::Rehearsal,
    stand_ins: Vec<Upstream>,
    home: Arc<Snapshot>,
    abroad: Arc<Snapshot>,
    under: Under,
    versions: BTreeSet<TlsVersion>,
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) struct Attempt {
    /// What the client saw.
    pub(super) seen: Seen,
    /// What the ledger recorded.
    pub(super) noted: Vec<Noted>,
    /// Connections and bytes that reached a stand-in.
    pub(super) reached: u64,
}

/// What the client saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// What it sent came back, or was answered well.
    Passed,
    /// A refusal in words, with its reason.
    Refused(String),
    /// The connection was closed.
    Closed,
    /// Nothing happened in time.
    Nothing,
}

impl Scene {
    /// Sets the stage for `passage`.
    ///
    /// # Errors
    /// Why it cannot be set.
    pub(super) fn set(
        loaded: &Loaded,
        passage: &Passage,
        papers: &Papers,
        ledger: &Ledger,
    ) -> Result<Self, String> {
        let engine = &loaded.law.engine;
        let (stand_ins, endpoints) = stand_ins(loaded, passage, papers)?;
        let twin = Twin { loaded, passage, papers, endpoints: &endpoints };
        let (home, abroad) = (twin.home()?, twin.abroad()?);
        let noted = ledger::Rehearsal::default();
        let rehearsal = Rehearsal::start(Arc::clone(&home), Arc::clone(engine), (ledger, &noted));
        let rehearsal = rehearsal.map_err(|error| error.to_string())?;
        let encryption = engine.model().guardrails.encryption.as_ref();
        let versions = encryption.map(|guardrail| guardrail.what.versions.clone());
        let versions = versions.unwrap_or_else(|| BTreeSet::from([TlsVersion::Tls13]));
        Ok(Self { rehearsal, noted, stand_ins, home, abroad, under: Under::Home, versions })
    }

    /// What flags what is recorded.
    pub(super) const fn noted(&self) -> &ledger::Rehearsal {
        &self.noted
    }

    /// Lets `caller` try to pass.
    ///
    /// # Errors
    /// Why it could not be tried at all.
    pub(super) async fn attempt(
        &mut self,
        (passage, papers): (&Passage, &Papers),
        caller: &Caller,
        under: Under,
    ) -> Result<Attempt, String> {
        self.go(under).await?;
        let (before, reached) = (self.noted.count(), self.reached());
        let tried = timeout(PATIENCE, self.pass(passage, papers, caller)).await;
        let seen = match tried {
            Ok(tried) => tried.map_err(|error| error.to_string())?,
            Err(_late) => Seen::Nothing,
        };
        self.settle().await;
        let reached = self.reached() - reached;
        Ok(Attempt { seen, noted: self.noted.since(before), reached })
    }

    /// Ends everything that was set up.
    pub(super) async fn end(self) {
        self.rehearsal.end(DRAIN).await;
        for mut stand_in in self.stand_ins {
            stand_in.stop().await;
        }
    }

    async fn go(&mut self, under: Under) -> Result<(), String> {
        if self.under == under {
            return Ok(());
        }
        let law = match under {
            Under::Home => &self.home,
            Under::Abroad => &self.abroad,
        };
        self.rehearsal.swap(Arc::clone(law)).await.map_err(|error| error.to_string())?;
        self.under = under;
        Ok(())
    }

    /// Until the last entry of the attempt is placed.
    async fn settle(&self) {
        let quiet = async {
            while self.rehearsal.connections() > 0 {
                sleep(Duration::from_millis(2)).await;
            }
        };
        // One that does not end is cut with the rest.
        let _late = timeout(LAST_WORD, quiet).await;
    }

    /// Connections and requests at the stand-ins, and bytes within them.
    fn reached(&self) -> u64 {
        let witnesses = self.stand_ins.iter().map(Upstream::witness);
        witnesses.map(|it| it.accepted() + it.requests() + it.received()).sum()
    }

    async fn pass(&self, passage: &Passage, papers: &Papers, caller: &Caller) -> io::Result<Seen> {
        let (ours, theirs) = pair().await?;
        let source = SocketAddr::new(caller.source, ours.local_addr()?.port());
        let client = Client::new(
            Ipv4Addr::LOCALHOST.into(),
            &papers.edge,
            Some(&caller.credential),
            &self.versions,
        )?;
        let between = (source, passage.to_address);
        self.rehearsal.meet(theirs, between, &passage.listener).await?;
        Ok(match passage.protocol {
            Protocol::Https => ask(&client, ours, passage).await,
            Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp => {
                carry(&client, ours, passage).await
            }
        })
    }
}

/// Asks what the rule permits.
async fn ask(client: &Client, stream: TcpStream, passage: &Passage) -> Seen {
    let host = passage.server_name.as_str();
    let method = passage.request.as_ref().map_or("GET", |request| request.method.as_str());
    let path = passage.request.as_ref().map_or("/", |request| request.path.as_str());
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return Seen::Nothing };
    let opened = client.over(stream, Some(host), Speak::Either).await;
    let Ok(mut connection) = opened else { return Seen::Closed };
    match connection.ask(Ask::new(method, host, path)).await {
        Ok(answer) if (200..300).contains(&answer.status) => Seen::Passed,
        Ok(answer) => Seen::Refused(answer.reason.unwrap_or_else(|| answer.status.to_string())),
        Err(_broken) => Seen::Closed,
    }
}

/// Carries bytes there and back.
async fn carry(client: &Client, stream: TcpStream, passage: &Passage) -> Seen {
    let host = passage.server_name.as_str();
    let Ok(raw) = client.raw_over(stream, Some(host)).await else { return Seen::Closed };
    match raw.exchange(CARRIED).await {
        Ok(exchanged) if exchanged.bytes == CARRIED => Seen::Passed,
        Ok(_) | Err(_) => Seen::Closed,
    }
}

/// A connection of this process with itself; whoever else finds the door in the meantime is left outside.
async fn pair() -> io::Result<(TcpStream, StdStream)> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let ours = TcpStream::connect(door.local_addr()?).await?;
    ours.set_nodelay(true)?;
    loop {
        let (theirs, from) = door.accept().await?;
        if from == ours.local_addr()? {
            return Ok((ours, theirs.into_std()?));
        }
    }
}

type Standing = (Vec<Upstream>, BTreeMap<SocketAddr, SocketAddr>);

/// A stand-in for each endpoint of the destination, and an address of this machine for each of the others, where nobody
/// listens.
fn stand_ins(loaded: &Loaded, passage: &Passage, papers: &Papers) -> Result<Standing, String> {
    let engine = &loaded.law.engine;
    let places = places(engine)?;
    let talk = match passage.protocol {
        Protocol::Https => Talk::Http,
        Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp => Talk::Echo,
    };
    let (mut standing, mut endpoints) = (Vec::new(), BTreeMap::new());
    for (name, place, address) in endpoints_of(loaded, &places) {
        if *name == passage.to {
            let started =
                Upstream::start((place, 0).into(), talk, &papers.server, &papers.edge_roots);
            let stand_in = started.map_err(|error| format!("no stand-in at `{place}`: {error}"))?;
            endpoints.insert(address, stand_in.address());
            standing.push(stand_in);
        } else {
            let port = u16::try_from(endpoints.len() + 1).unwrap_or(u16::MAX);
            endpoints.insert(address, (place, port).into());
        }
    }
    Ok((standing, endpoints))
}

fn endpoints_of<'a>(
    loaded: &'a Loaded,
    places: &'a BTreeMap<Name, std::net::IpAddr>,
) -> impl Iterator<Item = (&'a Name, std::net::IpAddr, SocketAddr)> {
    let systems = &loaded.law.engine.model().systems;
    let stand = places.iter().filter_map(|(name, place)| Some((name, *place, systems.get(name)?)));
    stand.flat_map(|(name, place, system)| {
        let endpoints = system.upstream.iter().flat_map(|upstream| &upstream.endpoints);
        endpoints.map(move |endpoint| (name, place, endpoint.address))
    })
}

impl Attempt {
    /// Whether something was dialled or sent.
    pub(super) fn went_out(&self) -> bool {
        let out = |noted: &Noted| matches!(noted.kind, Kind::Dialled | Kind::Request);
        self.reached > 0 || self.noted.iter().any(out)
    }

    /// The reason that the ledger gives; `allow` where something went out and nothing was refused.
    pub(super) fn recorded(&self) -> Option<&'static str> {
        let refused = |noted: &&Noted| matches!(noted.kind, Kind::Refused | Kind::Failed);
        let reason = self.noted.iter().filter(refused).find_map(|noted| noted.reason);
        let out = |noted: &Noted| noted.kind == Kind::Dialled;
        let allowed = self.noted.iter().any(out).then_some("allow");
        reason.map_or(allowed, |reason| Some(reason.code()))
    }
}
