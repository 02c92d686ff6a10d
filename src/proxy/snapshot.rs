//! One law in force with everything it needs: taken once per stage, swapped whole, never changed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
// What is stored comes from box and law alone: no client can make keys collide.
use rustc_hash::FxHashMap as HashMap;
use rustls_pki_types::ServerName;

use super::header::Via;
use super::upstream::UpstreamPeer;
use crate::appliance::{Appliance, Limits, Line, Mode};
use crate::flow::{Host, Name, Peer, Timestamp, TlsVersion};
use crate::ledger::PolicyDigest;
use crate::policy::model::{Guardrails, System, Upstream};
use crate::policy::{Engine, unserved};
use crate::source::Loaded;
use crate::tls::{Credential, Expected, TrustStore, originate, terminate};
use crate::yaml::{Fault, Faults, Place, Severity};

/// Everything that one stage of a connection is judged and carried by.
#[derive(Debug)]
pub struct Snapshot {
    /// The law.
    pub engine: Arc<Engine>,
    /// Its digest.
    pub digest: PolicyDigest,
    /// The box.
    pub appliance: Arc<Appliance>,
    /// How this box names itself to those it passes messages to.
    pub(super) via: Via,
    listeners: HashMap<Name, Arc<ListenerTls>>,
    upstreams: HashMap<Host, Arc<UpstreamLeg>>,
}

/// How a listener that terminates TLS does it.
#[derive(Debug)]
pub(super) struct ListenerTls {
    /// For `https`: offers h2 and http/1.1.
    pub(super) https: Arc<rustls::ServerConfig>,
    /// For `tls`: offers no application protocol.
    pub(super) plain: Arc<rustls::ServerConfig>,
    /// What client certificates must chain to.
    pub(super) clients: TrustStore,
}

/// How a system is dialled.
#[derive(Debug)]
pub(super) struct UpstreamLeg {
    /// The system.
    pub(super) system: Name,
    /// For `https`: offers h2 and http/1.1.
    pub(super) https: Arc<rustls::ClientConfig>,
    /// For a switch of protocols: offers http/1.1 alone.
    pub(super) http1: Arc<rustls::ClientConfig>,
    /// For `tls`: offers no application protocol.
    pub(super) plain: Arc<rustls::ClientConfig>,
    /// The name its certificate must carry.
    pub(super) server_name: ServerName<'static>,
    expected: Expected,
    host: Host,
    /// Trust, certificate, names and versions in one digest: a pooled connection is used only under the same.
    pub(super) material: [u8; 32],
    /// The way out of the building.
    pub(super) line: Line,
    /// The name of that line.
    pub(super) line_name: Name,
    /// The most connections to each endpoint, of all workers.
    pub(super) connections: u32,
    /// Its endpoints in order of preference.
    pub(super) endpoints: Vec<SocketAddr>,
}

/// Connections to one endpoint where the law names no number: as many as the box takes clients, so that
/// only the box's own bound counts.
fn connections_max(upstream: &Upstream, limits: &Limits) -> u32 {
    upstream.connections.unwrap_or(limits.connections)
}

impl Snapshot {
    /// Builds the TLS configurations around a law.
    ///
    /// # Errors
    /// Faults where this version cannot serve what the law says, a name cannot be found in the box, or a credential
    /// cannot serve the permitted versions.
    pub fn build(loaded: &Loaded) -> Result<Self, Faults> {
        let unserved = unserved(loaded.law.engine.model(), &loaded.appliance);
        if !unserved.is_empty() {
            return Err(unserved);
        }
        let mut building = Building { loaded, faults: Vec::new() };
        let listeners = building.listeners();
        let upstreams = building.upstreams();
        if !building.faults.is_empty() {
            return Err(Faults(building.faults));
        }
        Ok(Self {
            engine: Arc::clone(&loaded.law.engine),
            digest: loaded.digest,
            appliance: Arc::new(loaded.appliance.clone()),
            via: Via::new(&loaded.appliance.name),
            listeners,
            upstreams,
        })
    }

    /// The bounds of the box.
    pub fn limits(&self) -> &Limits {
        &self.appliance.limits
    }

    pub(super) fn listener(&self, name: &Name) -> Option<&Arc<ListenerTls>> {
        self.listeners.get(name)
    }

    /// How the system of this server name is reached.
    pub(super) fn upstream(&self, server_name: &Host) -> Option<&Arc<UpstreamLeg>> {
        self.upstreams.get(server_name)
    }

    /// What an upstream that was dialled earlier is under the trust, the lists and the clock of now.
    pub(super) fn peer(&self, peer: &UpstreamPeer, now: Timestamp) -> Peer {
        let leg = self.upstreams.values().find(|leg| leg.system == peer.system);
        match leg.map(|leg| leg.expected.verify(&peer.chain, &leg.host, now)) {
            Some(Ok(())) => Peer::Verified(peer.identities.clone()),
            Some(Err(_)) | None => Peer::Refused,
        }
    }

    /// The leg that this endpoint belongs to, where it is dialled with this material.
    pub(super) fn has_leg(&self, endpoint: SocketAddr, material: &[u8; 32]) -> bool {
        let mut legs = self.upstreams.values();
        legs.any(|leg| leg.material == *material && leg.endpoints.contains(&endpoint))
    }

    pub(super) fn idle_timeout(&self, rule: Option<&Name>) -> Duration {
        let own = rule.and_then(|rule| self.engine.rule(rule)).and_then(|rule| rule.idle_timeout);
        own.unwrap_or_else(|| self.limits().idle_timeout)
    }

    pub(super) fn response_timeout(&self, rule: &Name) -> Duration {
        let own = self.engine.rule(rule).and_then(|rule| rule.response_timeout);
        own.unwrap_or_else(|| self.limits().response_timeout)
    }
}

/// The work of [`Snapshot::build`]: goes on after a fault, so that all are told at once.
struct Building<'a> {
    loaded: &'a Loaded,
    faults: Vec<Fault>,
}

impl Building<'_> {
    fn listeners(&mut self) -> HashMap<Name, Arc<ListenerTls>> {
        let mut built = HashMap::default();
        for (name, listener) in &self.loaded.appliance.listeners {
            let Mode::Reverse { certificate, clients } = &listener.mode else { continue };
            if let Some(tls) = self.listener(certificate, clients, &listener.place) {
                built.insert(name.clone(), Arc::new(tls));
            }
        }
        built
    }

    fn listener(
        &mut self,
        certificate: &Name,
        clients: &Name,
        place: &Place,
    ) -> Option<ListenerTls> {
        let credential = self.credential(certificate, place);
        let trust = self.trust(clients, place);
        let (credential, clients) = credential.zip(trust)?;
        let versions = versions(&self.loaded.law.engine.model().guardrails);
        Some(ListenerTls {
            https: self.usable(terminate(&credential, &versions, true), place)?,
            plain: self.usable(terminate(&credential, &versions, false), place)?,
            clients,
        })
    }

    fn upstreams(&mut self) -> HashMap<Host, Arc<UpstreamLeg>> {
        let mut built = HashMap::default();
        for (name, system) in &self.loaded.law.engine.model().systems {
            let Some(upstream) = &system.upstream else { continue };
            if let Some(leg) = self.upstream(name, system, upstream) {
                built.insert(leg.host.clone(), Arc::new(leg));
            }
        }
        built
    }

    fn upstream(
        &mut self,
        name: &Name,
        system: &System,
        upstream: &Upstream,
    ) -> Option<UpstreamLeg> {
        let credential = self.credential(&upstream.certificate, &upstream.certificate_place);
        let trust = self.trust(&upstream.trust, &system.place);
        let line = self.line(&upstream.line, &upstream.line_place);
        let ((credential, trust), line) = credential.zip(trust).zip(line)?;
        let versions = versions(&self.loaded.law.engine.model().guardrails);
        let offer = |http| originate(&credential, &trust, &system.identities, &versions, http);
        let (https, plain) = (offer(true), offer(false));
        let server_name = ServerName::try_from(upstream.server_name.as_str().to_owned());
        let https = self.usable(https, &system.place)?;
        Some(UpstreamLeg {
            system: name.clone(),
            http1: http1_only(&https),
            https,
            plain: self.usable(plain, &system.place)?,
            server_name: self.usable(server_name, &system.place)?,
            expected: Expected::new(trust.clone(), &system.identities),
            host: upstream.server_name.clone(),
            material: material(&credential, &trust, system, upstream, &versions),
            line,
            line_name: upstream.line.clone(),
            connections: connections_max(upstream, &self.loaded.appliance.limits),
            endpoints: upstream.endpoints.iter().map(|endpoint| endpoint.address).collect(),
        })
    }

    fn credential(&mut self, name: &Name, place: &Place) -> Option<Credential> {
        let found = self.loaded.certificates.get(name).cloned();
        self.found(found, "certificate", name, place)
    }

    fn trust(&mut self, name: &Name, place: &Place) -> Option<TrustStore> {
        let found = self.loaded.trust.get(name).cloned();
        self.found(found, "trust", name, place)
    }

    fn line(&mut self, name: &Name, place: &Place) -> Option<Line> {
        let found = self.loaded.appliance.lines.get(name).cloned();
        self.found(found, "line", name, place)
    }

    fn found<T>(&mut self, found: Option<T>, what: &str, name: &Name, place: &Place) -> Option<T> {
        if found.is_none() {
            self.fault("unknown_name", format!("no {what} `{name}`"), place);
        }
        found
    }

    fn usable<T, E: std::fmt::Display>(&mut self, made: Result<T, E>, place: &Place) -> Option<T> {
        made.map_err(|error| self.fault("unusable_certificate", error.to_string(), place)).ok()
    }

    fn fault(&mut self, code: &'static str, message: String, place: &Place) {
        self.faults.push(Fault {
            code,
            severity: Severity::Error,
            message,
            places: vec![(place.clone(), String::new())],
            notes: Vec::new(),
            remedy: None,
        });
    }
}

/// The same leg where HTTP/2 is of no use: it has no switch of protocols (RFC 9113 §8.6).
fn http1_only(https: &Arc<rustls::ClientConfig>) -> Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::clone(https);
    config.alpn_protocols.retain(|protocol| protocol == b"http/1.1");
    Arc::new(config)
}

/// The TLS versions that the law permits: without the guardrail 1.3 alone.
fn versions(guardrails: &Guardrails) -> BTreeSet<TlsVersion> {
    guardrails.encryption.as_ref().map_or_else(
        || BTreeSet::from([TlsVersion::Tls13]),
        |guardrail| guardrail.what.versions.clone(),
    )
}

fn material(
    credential: &Credential,
    trust: &TrustStore,
    system: &System,
    upstream: &Upstream,
    versions: &BTreeSet<TlsVersion>,
) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&credential.fingerprint());
    context.update(&trust.fingerprint());
    let names = system.identities.iter().map(ToString::to_string);
    let rest = [upstream.server_name.to_string(), upstream.line.to_string()];
    let versions = versions.iter().map(|version| version.as_str().to_owned());
    for text in names.chain(rest).chain(versions) {
        context.update(text.as_bytes());
        context.update(&[0]);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
