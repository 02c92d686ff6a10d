//! The facts as they are given on the command line, a certificate file among them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::appliance::Appliance;
use crate::cli::law::Written;
use crate::flow::{Certificate, Chain, Identity, Method, Name, Paper, Timestamp, TlsVersion};
use crate::policy::Model;
use crate::policy::explain::Asked;
use crate::policy::model::ScenarioFlow;
use crate::source;
use crate::tls::{self, TrustStore};
use crate::yaml::suggest;

/// What is known of the flow.
#[derive(Debug, Args)]
pub(super) struct Facts {
    /// The address that opens the connection
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// A name in the client certificate: `dns:…`, `uri:…` or `spki-sha256:…`; may be repeated
    #[arg(long, value_name = "IDENTITY", value_parser = identity, conflicts_with = "certificate")]
    identity: Vec<Identity>,
    /// The client certificate itself with its chain, PEM; judged by the trust of the listener
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The system it goes to
    #[arg(long, value_name = "SYSTEM", value_parser = name)]
    to: Option<Name>,
    /// The server name it asks for (SNI), where that is not the system's own
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The host of the request, where that is not the server name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The HTTP method
    #[arg(long, value_name = "METHOD", value_parser = method)]
    method: Option<Method>,
    /// The path of the request
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The address that would be dialled
    #[arg(long, value_name = "ADDRESS:PORT")]
    endpoint: Option<SocketAddr>,
    /// The TLS version: `1.3`, `1.2` or `old`
    #[arg(long, value_name = "VERSION", value_parser = version)]
    tls: Option<TlsVersion>,
    /// Whether the request asks for another protocol
    #[arg(long)]
    upgrade: bool,
    /// A declaration that is open meanwhile; may be repeated
    #[arg(long, value_name = "NAME", value_parser = name)]
    declared: Vec<Name>,
    /// The address it was opened to
    #[arg(long, value_name = "ADDRESS:PORT")]
    to_address: Option<SocketAddr>,
    /// The listener that took it
    #[arg(long, value_name = "NAME", value_parser = name)]
    listener: Option<Name>,
}

fn identity(text: &str) -> Result<Identity, String> {
    Identity::parse(text).map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn method(text: &str) -> Result<Method, String> {
    Method::parse(text).map_err(|error| error.to_string())
}

fn version(text: &str) -> Result<TlsVersion, String> {
    let all = [TlsVersion::Tls13, TlsVersion::Tls12, TlsVersion::Old];
    let found = all.into_iter().find(|version| version.as_str() == text);
    found.ok_or_else(|| "a version is `1.3`, `1.2` or `old`".to_owned())
}

impl Facts {
    /// The question, and what should be known about how it was understood.
    pub(super) fn read(
        &self,
        law: &Written,
        at: Timestamp,
    ) -> Result<(Asked, Vec<String>), String> {
        let model = law.engine.model();
        if let Some(to) = self.to.as_ref().filter(|to| !model.systems.contains_key(*to)) {
            return Err(unknown("system", to, &model.systems));
        }
        if let Some(name) =
            self.declared.iter().find(|name| !model.declarations.contains_key(*name))
        {
            return Err(unknown("declaration", name, &model.declarations));
        }
        let listeners = law.appliance.as_ref().map(|appliance| &appliance.listeners);
        if let Some((listener, known)) = self.listener.as_ref().zip(listeners)
            && !known.contains_key(listener)
        {
            return Err(unknown("listener", listener, known));
        }
        let mut notes = Vec::new();
        let paper = self.certificate.as_deref().map(|file| self.paper(file, law, at, &mut notes));
        Ok((Asked { facts: self.facts(), paper: paper.transpose()?, recorded: None }, notes))
    }

    fn facts(&self) -> ScenarioFlow {
        ScenarioFlow {
            from: self.from,
            to_address: self.to_address,
            listener: self.listener.clone(),
            identities: self.identity.clone(),
            to: self.to.clone(),
            server_name: self.server_name.clone(),
            host: self.host.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            endpoint: self.endpoint,
            tls: self.tls,
            upgrade: self.upgrade,
            declared: self.declared.clone(),
            ..ScenarioFlow::default()
        }
    }

    /// The papers that a certificate file is, by the trust of the listener where its files are at hand.
    fn paper(
        &self,
        file: &Path,
        law: &Written,
        at: Timestamp,
        notes: &mut Vec<String>,
    ) -> Result<Paper, String> {
        let unreadable = |error: String| format!("certificate `{}`: {error}", file.display());
        let bytes = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
        let chain = tls::chain(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if chain.is_empty() {
            return Err(unreadable("there is no certificate in it, in the form of PEM".to_owned()));
        }
        let stores = self.trust(law);
        let judged = stores.iter().map(|store| store.certificate(&chain, at));
        let mut judged: Vec<Certificate> = judged.collect();
        judged.sort_by_key(|certificate| certificate.chain == Chain::Untrusted);
        if let Some(certificate) = judged.into_iter().next() {
            return Ok(Paper::Presented(certificate));
        }
        notes.push(
            "no file of a trust can be read here: chain and revocation are taken as in order"
                .to_owned(),
        );
        let untried = TrustStore::names_only(&chain)
            .ok_or_else(|| unreadable("it cannot be read".to_owned()))?;
        Ok(Paper::Presented(untried))
    }

    /// The trust of the listener's clients; without a box every trust that can be read.
    fn trust(&self, law: &Written) -> Vec<TrustStore> {
        let model = law.engine.model();
        let named = law.appliance.as_ref().and_then(|appliance| self.clients(appliance));
        source::trust(model)
            .into_iter()
            .filter(|(name, _)| named.as_ref().is_none_or(|clients| clients == name))
            .map(|(_, store)| store)
            .collect()
    }

    fn clients(&self, appliance: &Appliance) -> Option<Name> {
        let listeners = appliance.listeners.iter();
        let mut here =
            listeners.filter(|(name, _)| self.listener.as_ref().is_none_or(|it| it == *name));
        here.find_map(|(_, listener)| listener.mode.clients().cloned())
    }
}

fn unknown<T>(kind: &str, name: &Name, known: &BTreeMap<Name, T>) -> String {
    let near = suggest(name.as_str(), known.keys().map(Name::as_str));
    let near = near.map(|near| format!("; did you mean `{near}`?"));
    format!("no {kind} `{name}`{}", near.unwrap_or_default())
}

/// The title of a system, where it has one.
pub(super) fn title<'a>(model: &'a Model, name: Option<&Name>) -> &'a str {
    name.and_then(|name| model.systems.get(name)?.title.as_deref()).unwrap_or_default()
}
