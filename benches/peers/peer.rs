//! The peers as subjects: how each is configured and started. What their files mean stands in `haproxy.cfg`,
//! `nginx.conf` and `envoy.yaml`, which hold `@WORD@` where an address, a name or a folder comes.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::affinity::Core;
use crate::argument::Setting;
use crate::child::Child;
use crate::door::{Door, Way};
use crate::site::{Addresses, Site};
use crate::subject::Subject;

/// The port of the door whose bytes are relayed; the other door has the edge's own.
const TLS_PORT: u16 = 8444;

/// Another proxy: one thread or worker, nothing logged.
#[derive(Debug)]
pub(crate) struct Peer {
    name: &'static str,
    program: PathBuf,
    /// What makes it tell its version.
    version: &'static str,
    /// The name of its file, and what stands in it.
    file: (&'static str, &'static str),
    /// What it is started with, before the path of its file.
    arguments: &'static [&'static str],
    /// The module that nginx loads.
    module: PathBuf,
}

impl Peer {
    /// haproxy in one process with one thread.
    pub(crate) fn haproxy(setting: &Setting) -> Self {
        Self {
            name: "haproxy",
            program: setting.haproxy.clone(),
            version: "-v",
            file: ("haproxy.cfg", include_str!("haproxy.cfg")),
            arguments: &["-db", "-f"],
            module: PathBuf::new(),
        }
    }

    /// nginx: a master that sleeps, and one worker.
    pub(crate) fn nginx(setting: &Setting) -> Self {
        Self {
            name: "nginx",
            program: setting.nginx.clone(),
            version: "-v",
            file: ("nginx.conf", include_str!("nginx.conf")),
            arguments: &["-e", "stderr", "-p", ".", "-c"],
            module: setting.nginx_stream.clone(),
        }
    }

    /// Envoy with one worker beside its main thread.
    pub(crate) fn envoy(setting: &Setting) -> Self {
        Self {
            name: "envoy",
            program: setting.envoy.clone(),
            version: "--version",
            file: ("envoy.yaml", include_str!("envoy.yaml")),
            arguments: &[
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "error",
                "-c",
            ],
            module: PathBuf::new(),
        }
    }

    fn words(&self, site: &Site, addresses: &Addresses) -> Vec<(String, String)> {
        let mut words = vec![
            ("@CERTS@".to_owned(), site.certificates().display().to_string()),
            ("@LINE@".to_owned(), addresses.line.to_string()),
            ("@NGINX_STREAM@".to_owned(), self.module.display().to_string()),
        ];
        for (way, prefix, upstream) in
            [(Way::Https, "HTTPS", addresses.https), (Way::Tls, "TLS", addresses.tls)]
        {
            let door = self.door(addresses, way);
            words.push((format!("@{prefix}_NAME@"), door.name.to_owned()));
            words.push((format!("@{prefix}_DOOR@"), door.address.to_string()));
            words.push((format!("@{prefix}_HOST@"), door.address.ip().to_string()));
            words.push((format!("@{prefix}_PORT@"), door.address.port().to_string()));
            words.push((format!("@{prefix}_UPSTREAM@"), upstream.to_string()));
            words.push((format!("@{prefix}_UPSTREAM_HOST@"), upstream.ip().to_string()));
            words.push((format!("@{prefix}_UPSTREAM_PORT@"), upstream.port().to_string()));
        }
        words
    }
}

impl Subject for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> Option<String> {
        let said = Command::new(&self.program).arg(self.version).output().ok()?;
        // nginx says it on the standard error.
        let text = [said.stdout, said.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    fn start(&self, site: &Site, folder: &Path, addresses: &Addresses) -> io::Result<Child> {
        let (name, text) = self.file;
        let words = self.words(site, addresses);
        let text = words.iter().fold(text.to_owned(), |text, (word, by)| text.replace(word, by));
        let file = folder.join(name);
        fs::write(&file, text)?;
        let openssl = folder.join("openssl.cnf");
        fs::write(&openssl, include_str!("openssl.cnf"))?;
        let mut command = Command::new(&self.program);
        command.current_dir(folder).env("OPENSSL_CONF", openssl).args(self.arguments).arg(file);
        Child::server(command, Core::Subject, &folder.join("log"))
    }

    fn door(&self, addresses: &Addresses, way: Way) -> Door {
        let address = match way {
            Way::Https => addresses.edge,
            Way::Tls => SocketAddr::new(addresses.edge.ip(), TLS_PORT),
        };
        Door { way, address, name: way.host() }
    }
}
