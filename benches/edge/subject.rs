//! What is measured. Another proxy is one more type that implements [`Subject`]: how it is configured and started;
//! everything else (papers, clients, stand-in, figures) is the same for all.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::affinity::Core;
use crate::argument::{Setting, SubjectName, word};
use crate::child::Child;
use crate::client::{Caller, Paper, SMALL};
use crate::law;
use crate::site::{Addresses, HTTPS_NAME, Site, TLS_NAME, source};

/// How long a subject may take until a permitted request passes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What can stand between the clients and the stand-in.
pub(crate) trait Subject {
    /// As shown in a table.
    fn name(&self) -> &'static str;

    /// Starts it, and the stand-in behind it, each on its core.
    ///
    /// # Errors
    /// Where a process does not start.
    fn start(&self, site: &Site, addresses: &Addresses) -> io::Result<Running>;
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
}

/// One way in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// How it is treated.
    pub(crate) way: Way,
    /// Where it is.
    pub(crate) address: std::net::SocketAddr,
    /// The server name that is asked for, and the Host.
    pub(crate) name: &'static str,
}

/// How a connection is treated in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each request is judged.
    Https,
    /// Bytes are relayed.
    Tls,
}

/// This project's program, under a law of realistic size, its ledger on disk.
#[derive(Debug)]
struct Sekisho {
    program: PathBuf,
}

/// Nothing in the middle: the stand-in is what is measured.
#[derive(Debug)]
struct Direct;

/// The subjects that were asked for, each with addresses of its own.
pub(crate) fn chosen(setting: &Setting) -> Vec<(Box<dyn Subject>, Addresses)> {
    let make = |name: &SubjectName| -> Box<dyn Subject> {
        match name {
            SubjectName::Sekisho => Box::new(Sekisho { program: setting.sekisho.clone() }),
            SubjectName::Direct => Box::new(Direct),
        }
    };
    (0..).zip(&setting.subject).map(|(number, name)| (make(name), Addresses::of(number))).collect()
}

impl Subject for Sekisho {
    fn name(&self) -> &'static str {
        "sekisho"
    }

    fn start(&self, site: &Site, addresses: &Addresses) -> io::Result<Running> {
        let upstream = stand_in(site, addresses, Core::Load)?;
        let folder = site.folder().join(self.name());
        // Each start is a first one: no archive, no ledger of the measurement before.
        let _not_there = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("state"))?;
        law::write(&folder, addresses)?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("-c").arg(folder.join("appliance.yaml"));
        let process = Child::server(command, Core::Subject, &folder.join("log"))?;
        let https = Door { way: Way::Https, address: addresses.edge, name: HTTPS_NAME };
        let tls = Door { way: Way::Tls, address: addresses.edge, name: TLS_NAME };
        Running { name: self.name(), process, upstream: Some(upstream), https, tls }.ready(site)
    }
}

impl Subject for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn start(&self, site: &Site, addresses: &Addresses) -> io::Result<Running> {
        let process = stand_in(site, addresses, Core::Subject)?;
        let https = Door { way: Way::Https, address: addresses.https, name: HTTPS_NAME };
        let tls = Door { way: Way::Tls, address: addresses.tls, name: TLS_NAME };
        Running { name: self.name(), process, upstream: None, https, tls }.ready(site)
    }
}

impl Running {
    /// Waits until a permitted request passes by both doors, then sees that one without a certificate does not.
    fn ready(mut self, site: &Site) -> io::Result<Self> {
        for door in [self.https, self.tls] {
            self.wait_for(site, &door)?;
            let caller = Caller::new(site, &door, Paper::Missing)?;
            if caller.once(source(0), SMALL).is_ok_and(|status| status == 200) {
                return Err(self.process.failure("a client without a certificate was let through"));
            }
        }
        Ok(self)
    }

    fn wait_for(&mut self, site: &Site, door: &Door) -> io::Result<()> {
        let caller = Caller::new(site, door, Paper::Permitted)?;
        let began = Instant::now();
        loop {
            let answer = caller.once(source(0), SMALL);
            if matches!(answer, Ok(200)) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE || !self.process.is_running() {
                let what =
                    format!("`{}` does not let a permitted request pass: {answer:?}", self.name);
                return Err(self.process.failure(&what));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
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

impl Way {
    /// As in a rule's `protocol`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Tls => "tls",
        }
    }
}

fn stand_in(site: &Site, addresses: &Addresses, core: Core) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["upstream", "--upstream", &word(&site.upstream)]);
    command.args(["--exchange", &word(&site.exchange)]);
    command.args(["--https", &addresses.https.to_string(), "--tls", &addresses.tls.to_string()]);
    command.arg("--certificates").arg(site.certificates());
    let log = site.folder().join(format!("upstream-{}.log", addresses.https));
    Child::helper(command, core, &log)
}
