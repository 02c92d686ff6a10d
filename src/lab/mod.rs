//! The embedded lab: the whole system on one machine, unprivileged, on 127.0.0.0/8. It writes `policies/lab`, makes a PKI,
//! starts the stand-ins of the centre and the real service, drives good and forbidden traffic over real sockets and
//! tells each finding with its number in the ledger. It is a user of the service like any other: what it knows it
//! has from sockets, files and the control socket.

mod cast;
mod change;
mod folder;
mod gate;
mod ground;
mod record;
mod row;
mod scene;
mod sheet;
mod traffic;
mod witness;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

pub use cast::{CHUKAN, CHUKEI, Center, KIZON, OQS, Papers, RELAYED, Seen, TANMATSU, issue};
pub use folder::Folder;
pub use gate::Gate;
pub use ground::Ground;
pub use record::{Line, Record};

use row::{Act, Due, Found, ROWS, Row};
use scene::Scene;
use sheet::Sheet;
use witness::{Leak, Witness};

use crate::service;
use crate::verdict::Reason;

/// How the lab is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ends when all rows are told, instead of staying up.
    pub once: bool,
    /// Where everything is written and stays; else in a directory that goes with the lab.
    pub directory: Option<PathBuf>,
}

/// Why the lab could not be run.
#[derive(Debug)]
pub enum Error {
    /// The operating system, or a stand-in.
    Io(io::Error),
    /// The service.
    Service(service::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the lab cannot go on: {error}"),
            Self::Service(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs the lab and writes what it finds to `out`. `true` where everything was as expected.
///
/// # Errors
/// Where it could not be set up, or could not go on.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<bool, Error> {
    // Given back after the runtime with all its sockets is gone.
    let ground = Rc::new(Ground::claim()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tell(&ground, options, out))
}

async fn tell(ground: &Rc<Ground>, options: &Options, out: &mut dyn Write) -> Result<bool, Error> {
    let began = Instant::now();
    let mut sheet = Sheet::new(out);
    let mut scene = Scene::set(Rc::clone(ground), options.directory.as_deref())?;
    let policy = scene.gate.policy();
    sheet.line(&format!(
        "lab: 127.0.0.0/8, no root; PKI, servers and gate up in {:.1} s; policy {policy:.8}",
        began.elapsed().as_secs_f64()
    ))?;
    let as_expected = tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => return interrupted.map(|()| false).map_err(Error::Io),
        told = rows(&mut scene, &mut sheet) => told?,
    };
    sheet.line(&format!(
        "Look: `sekisho lab`, then http://{}/metrics   Next: `sekisho check -p policies/tokyo`",
        scene.gate.admin()
    ))?;
    if !options.once {
        stay(&scene, &mut sheet).await?;
    }
    close(scene).await?;
    Ok(as_expected)
}

/// Tries everything, and lets both ends say at the close what they have counted.
async fn rows(scene: &mut Scene, sheet: &mut Sheet<'_>) -> Result<bool, Error> {
    let mut leak = Leak::default();
    sheet.head()?;
    for row in ROWS {
        let (mark, before) = (scene.record.head()?, scene.center.seen());
        let found = Box::pin(act(scene, row, mark)).await?;
        if matches!(row.due, Due::Deny(_)) {
            leak.add(&before, &scene.center.seen());
        }
        sheet.row(row, &found)?;
    }
    let as_expected = sheet.sum()?;
    let witness = Witness::compare(&scene.center.seen(), leak, &scene.record)?;
    sheet.line(&witness.text())?;
    Ok(as_expected && witness.agrees())
}

async fn act(scene: &mut Scene, row: &Row, mark: u64) -> Result<Found, Error> {
    // What is no denial has no reason of its own.
    let reason = match row.due {
        Due::Deny(reason) => reason,
        Due::Allow | Due::Refused | Due::Cut => Reason::NoRule,
    };
    match row.act {
        Act::Upload(speak) => scene.upload(mark, speak).await,
        Act::Download(speak) => scene.download(mark, speak).await,
        Act::Passage => scene.passage(mark).await,
        Act::Arrive(from, to) => scene.arrive(mark, reason, (from, to)).await,
        Act::Ask(shown, wish) => scene.forbidden(mark, reason, (shown, wish)).await,
        Act::TooEarly => scene.too_early(mark, reason).await,
        Act::RelayDead => scene.relay_dead(mark, reason).await,
        Act::TokyoDead => scene.tokyo_dead(mark, reason).await,
        Act::TokyoBack => scene.tokyo_back(mark).await,
        Act::Abroad => scene.abroad(mark).await,
        Act::Faulty => scene.faulty(mark).await,
        Act::Revoked => Box::pin(scene.revoked(mark)).await,
    }
}

/// Stays up, for whoever wants to look around.
async fn stay(scene: &Scene, sheet: &mut Sheet<'_>) -> Result<(), Error> {
    let admin = scene.gate.admin();
    sheet.line(&format!(
        "up until Ctrl-C: status page http://{admin}/  metrics http://{admin}/metrics\n\
         files in {}; `sekisho status -c {}`",
        scene.folder.path().display(),
        scene.folder.box_file().display()
    ))?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Drains and ends the service while the servers still answer.
async fn close(scene: Scene) -> Result<(), Error> {
    let Scene { gate, folder, center, .. } = scene;
    let ended = tokio::task::spawn_blocking(|| gate.stop()).await.map_err(io::Error::other)?;
    drop((center, folder));
    ended.map_err(Error::Service)
}
