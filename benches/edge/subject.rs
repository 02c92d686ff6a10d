//! What is measured. Another proxy is one more type that implements [`Subject`]: how it is configured and started;
//! everything else (papers, clients, stand-in, figures) is the same for all.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::affinity::Core;
use crate::argument::{Setting, SubjectName, word};
use crate::check;
use crate::child::Child;
use crate::client::{Caller, Paper, SMALL};
use crate::door::{Door, Way};
use crate::law;
use crate::peers::Peer;
use crate::site::{Addresses, Site, source};

/// How long a subject may take until a permitted request passes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What can stand between the clients and the stand-in.
pub(crate) trait Subject: fmt::Debug {
    /// As shown in a table.
    fn name(&self) -> &'static str;

    /// What it says of its version; nothing where it is built with the bench.
    fn version(&self) -> Option<String> {
        None
    }

    /// Starts it on its core, with all that it writes in `folder`.
    ///
    /// # Errors
    /// Where it does not start.
    fn start(&self, site: &Site, folder: &Path, addresses: &Addresses) -> io::Result<Child>;

    /// Starts the stand-in behind it, where it is not itself what is measured.
    ///
    /// # Errors
    /// Where it does not start.
    fn stand_in(
        &self,
        site: &Site,
        addresses: &Addresses,
        paper: &str,
    ) -> io::Result<Option<Child>> {
        stand_in(site, addresses, Core::Load, paper).map(Some)
    }

    /// Where clients find it.
    fn door(&self, addresses: &Addresses, way: Way) -> Door;
}

/// A subject and where it stands.
#[derive(Debug)]
pub(crate) struct Candidate {
    subject: Box<dyn Subject>,
    addresses: Addresses,
}

/// A subject that takes connections.
#[derive(Debug)]
pub(crate) struct Running {
    /// As shown in a table.
    pub(crate) name: &'static str,
    /// The measured process.
    pub(crate) process: Child,
    /// The stand-in, where it is not itself what is measured.
    pub(crate) upstream: Option<Child>,
    /// Where `https` requests go.
    pub(crate) https: Door,
    /// Where the same goes without being read.
    pub(crate) tls: Door,
    /// Where requests go without a subject in the middle.
    pub(crate) behind: Door,
}

/// This project's program, under a law of realistic size, its ledger on disk.
#[derive(Debug)]
struct Sekisho {
    name: &'static str,
    program: PathBuf,
}

/// Nothing in the middle: the stand-in is what is measured.
#[derive(Debug)]
struct Direct;

/// The subjects that were asked for, else `default`, each with addresses of its own.
pub(crate) fn chosen(setting: &Setting, site: &Site, default: &[SubjectName]) -> Vec<Candidate> {
    let make = |name: &SubjectName| -> Box<dyn Subject> {
        match name {
            SubjectName::Sekisho => Box::new(Sekisho::new("sekisho", &setting.sekisho)),
            SubjectName::Earlier => Box::new(Sekisho::new("earlier", &setting.earlier)),
            SubjectName::Haproxy => Box::new(Peer::haproxy(setting)),
            SubjectName::Nginx => Box::new(Peer::nginx(setting)),
            SubjectName::Envoy => Box::new(Peer::envoy(setting)),
            SubjectName::Direct => Box::new(Direct),
        }
    };
    let names = if setting.subject.is_empty() { default } else { &setting.subject };
    let numbered = (0..).zip(names);
    numbered
        .map(|(number, name)| Candidate {
            subject: make(name),
            addresses: Addresses::of(site.block, number),
        })
        .collect()
}

impl Candidate {
    /// As shown in a table.
    pub(crate) fn name(&self) -> &'static str {
        self.subject.name()
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> Option<String> {
        self.subject.version()
    }

    /// Starts it, and the stand-in behind it, each on its core; seen to let the permitted pass and nobody else.
    ///
    /// # Errors
    /// Where a process does not start, or the subject does not do what it must.
    pub(crate) fn start(&self, site: &Site) -> io::Result<Running> {
        let upstream = self.stand_in(site, "upstream")?;
        self.start_before(site, upstream)?.ready(site)
    }

    /// Starts the stand-in alone, showing the certificate of this name.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn stand_in(&self, site: &Site, paper: &str) -> io::Result<Option<Child>> {
        self.subject.stand_in(site, &self.addresses, paper)
    }

    /// Starts it in an empty folder, with a stand-in that runs already; nothing is asked yet.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn start_before(&self, site: &Site, upstream: Option<Child>) -> io::Result<Running> {
        let folder = site.folder().join(self.name());
        // Each start is a first one: no archive, no ledger of the measurement before.
        let _not_there = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(Running {
            name: self.name(),
            process: self.subject.start(site, &folder, &self.addresses)?,
            upstream,
            https: self.subject.door(&self.addresses, Way::Https),
            tls: self.subject.door(&self.addresses, Way::Tls),
            behind: Direct.door(&self.addresses, Way::Https),
        })
    }
}

impl Sekisho {
    fn new(name: &'static str, program: &Path) -> Self {
        Self { name, program: program.to_owned() }
    }
}

impl Subject for Sekisho {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&self, _site: &Site, folder: &Path, addresses: &Addresses) -> io::Result<Child> {
        fs::create_dir(folder.join("state"))?;
        law::write(folder, addresses)?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("-c").arg(folder.join("appliance.yaml"));
        Child::server(command, Core::Subject, &folder.join("log"))
    }

    /// One address: the server name says where it goes.
    fn door(&self, addresses: &Addresses, way: Way) -> Door {
        Door { way, address: addresses.edge, name: way.host() }
    }
}

impl Subject for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn start(&self, site: &Site, _folder: &Path, addresses: &Addresses) -> io::Result<Child> {
        stand_in(site, addresses, Core::Subject, "upstream")
    }

    fn stand_in(&self, _: &Site, _: &Addresses, _paper: &str) -> io::Result<Option<Child>> {
        Ok(None)
    }

    fn door(&self, addresses: &Addresses, way: Way) -> Door {
        let address = match way {
            Way::Https => addresses.https,
            Way::Tls => addresses.tls,
        };
        Door { way, address, name: way.host() }
    }
}

impl Running {
    /// Waits until a permitted request passes by both doors, then sees who does not pass.
    fn ready(mut self, site: &Site) -> io::Result<Self> {
        for door in [self.https, self.tls] {
            self.wait_for(site, &door)?;
        }
        let refused = check::refusals(site, &self);
        refused.map_err(|error| self.process.failure(&format!("`{}`: {error}", self.name)))?;
        Ok(self)
    }

    /// Waits until a permitted request passes by this door.
    ///
    /// # Errors
    /// Where none does.
    pub(crate) fn wait_for(&mut self, site: &Site, door: &Door) -> io::Result<()> {
        let caller = Caller::new(site, door, Paper::Permitted)?;
        self.wait_until(|| match caller.once(source(0), SMALL)? {
            200 => Ok(()),
            status => Err(io::Error::other(format!("a permitted request got {status}"))),
        })
    }

    /// Waits until it shakes hands, whatever it then does with a request.
    ///
    /// # Errors
    /// Where it does not.
    pub(crate) fn wait_for_hello(&mut self, site: &Site) -> io::Result<()> {
        let caller = Caller::new(site, &self.https, Paper::Permitted)?;
        self.wait_until(|| caller.open_exact(source(0)).map(drop))
    }

    fn wait_until(&mut self, holds: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let began = Instant::now();
        while let Err(error) = holds() {
            if began.elapsed() > PATIENCE || !self.process.is_running() {
                return Err(self.process.failure(&format!("`{}`: {error}", self.name)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Prints what the subject's log complains of; a ledger that stalled explains a figure.
    pub(crate) fn print_complaint(&self) {
        if let Some(complaint) = self.process.complaint() {
            println!("notice: {}: {complaint}", self.name);
        }
    }

    /// The way in of this kind.
    pub(crate) const fn door(&self, way: Way) -> &Door {
        match way {
            Way::Https => &self.https,
            Way::Tls => &self.tls,
        }
    }
}

fn stand_in(site: &Site, addresses: &Addresses, core: Core, paper: &str) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["upstream", "--upstream", &word(&site.upstream)]);
    command.args(["--exchange", &word(&site.exchange)]);
    command.args(["--https", &addresses.https.to_string(), "--tls", &addresses.tls.to_string()]);
    command.arg("--certificates").arg(site.certificates()).args(["--paper", paper]);
    let log = site.folder().join(format!("upstream-{}.log", addresses.https));
    Child::helper(command, core, &log)
}
