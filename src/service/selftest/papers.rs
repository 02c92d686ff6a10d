//! An authority made on the spot for each trust of the law, and the certificates of everybody who takes part in the
//! self-test. They end with it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use super::passage::Passage;
use crate::flow::{Host, Identity, Name, Timestamp};
use crate::policy::Model;
use crate::policy::model::{RevocationLists, Side, System};
use crate::source::Loaded;
use crate::standin::{Authority, Issued, Order};
use crate::tls::{Credential, TrustStore};

/// How long its lists are good for.
const LIST: Duration = Duration::from_hours(1);

/// The material of one self-test.
#[derive(Debug)]
pub(super) struct Papers {
    /// What stands in for the trust of the law.
    pub(super) trust: BTreeMap<Name, TrustStore>,
    /// What stands in for the certificates of the box.
    pub(super) certificates: BTreeMap<Name, Credential>,
    /// What the box's certificates chain to.
    pub(super) edge: TrustStore,
    /// The same, PEM.
    pub(super) edge_roots: String,
    /// The system that asks.
    pub(super) caller: Credential,
    /// The same system, by a certificate that is on the list.
    pub(super) revoked: Credential,
    /// The system that may never initiate, and its certificate.
    pub(super) reversed: Option<(Name, Credential)>,
    /// The destination.
    pub(super) server: Credential,
}

impl Papers {
    /// Makes everything that `passage` needs.
    ///
    /// # Errors
    /// Why keys or certificates cannot be made.
    pub(super) fn make(loaded: &Loaded, passage: &Passage, now: Timestamp) -> Result<Self, String> {
        let model = loaded.law.engine.model();
        let authorities = authorities(model, now)?;
        let clients =
            authorities.get(&passage.clients).ok_or("the listener's trust is not there")?;
        let edge = Authority::new("selftest-edge", now).map_err(said)?;
        let caller = named(model, &passage.system);
        let revoked = clients.issue(&Order::new(&caller)).map_err(said)?;
        let reversed = reversed(model).map(|name| {
            let issued = clients.issue(&Order::new(&named(model, name))).map_err(said)?;
            Ok::<_, String>((name.clone(), credential(&issued)?))
        });
        Ok(Self {
            caller: credential(&clients.issue(&Order::new(&caller)).map_err(said)?)?,
            trust: trust(model, &authorities, (&passage.clients, revoked.serial), now)?,
            revoked: credential(&revoked)?,
            reversed: reversed.transpose()?,
            server: server(model, &authorities, passage)?,
            certificates: certificates(loaded, &edge)?,
            edge: TrustStore::parse(edge.pem().as_bytes(), None).map_err(said)?,
            edge_roots: edge.pem(),
        })
    }

    /// A system that is known by the pins of its keys alone is known by those of its stand-ins.
    pub(super) fn pin(&self, model: &mut Model, passage: &Passage) {
        let caller = &passage.system;
        let mut shown: BTreeMap<&Name, Vec<&Credential>> = BTreeMap::new();
        shown.entry(caller).or_default().extend([&self.caller, &self.revoked]);
        shown.entry(&passage.to).or_default().push(&self.server);
        if let Some((name, credential)) = &self.reversed {
            shown.entry(name).or_default().push(credential);
        }
        for (system, credentials) in shown {
            repin(model, system, &credentials);
        }
    }
}

fn authorities(model: &Model, now: Timestamp) -> Result<BTreeMap<Name, Authority>, String> {
    let made = model.trust.keys().map(|name| {
        let authority = Authority::new(&format!("selftest-{name}"), now);
        authority.map(|authority| (name.clone(), authority)).map_err(said)
    });
    made.collect()
}

/// Each trust keeps a list where the law's keeps one; on that of the clients stands one certificate.
fn trust(
    model: &Model,
    authorities: &BTreeMap<Name, Authority>,
    (clients, serial): (&Name, u64),
    now: Timestamp,
) -> Result<BTreeMap<Name, TrustStore>, String> {
    let stores = model.trust.iter().filter_map(|(name, trust)| {
        let authority = authorities.get(name)?;
        let revoked = [serial];
        let revoked = if name == clients { revoked.as_slice() } else { &[] };
        let lists = match trust.revocation {
            RevocationLists::Lists(_) => Some(authority.list(revoked, now, now.plus(LIST))),
            RevocationLists::NotKept(_) => None,
        };
        let lists = lists.transpose().map_err(said).map(|it| it.map(|pem| vec![pem.into_bytes()]));
        let roots = authority.pem();
        let parsed = |lists: Option<Vec<Vec<u8>>>| {
            TrustStore::parse(roots.as_bytes(), lists.as_deref()).map_err(said)
        };
        Some(lists.and_then(parsed).map(|store| (name.clone(), store)))
    });
    stores.collect()
}

fn certificates(loaded: &Loaded, edge: &Authority) -> Result<BTreeMap<Name, Credential>, String> {
    let made = loaded.certificates.iter().map(|(name, own)| {
        let issued = edge.issue(&Order::new(own.identities())).map_err(said)?;
        Ok((name.clone(), credential(&issued)?))
    });
    made.collect()
}

fn server(
    model: &Model,
    authorities: &BTreeMap<Name, Authority>,
    passage: &Passage,
) -> Result<Credential, String> {
    let upstream = model.systems.get(&passage.to).and_then(|system| system.upstream.as_ref());
    let authority = upstream.and_then(|upstream| authorities.get(&upstream.trust));
    let authority = authority.ok_or("the destination's trust is not there")?;
    let name = Identity::Dns(Host::clone(&passage.server_name));
    let mut names = named(model, &passage.to);
    if !names.contains(&name) {
        names.push(name);
    }
    credential(&authority.issue(&Order::new(&names)).map_err(said)?)
}

/// The first name that a system's certificate may carry; none where it is known by pins alone.
fn named(model: &Model, system: &Name) -> Vec<Identity> {
    let identities = model.systems.get(system).map_or(&[][..], |system| &system.identities);
    identities.iter().find(|identity| is_name(identity)).cloned().into_iter().collect()
}

const fn is_name(identity: &Identity) -> bool {
    matches!(identity, Identity::Dns(_) | Identity::Uri(_))
}

/// The first system that may never initiate, one with addresses of its own before others. Without the guardrail one of
/// the centre's that nobody dials: its refusal then has another reason, and the probe fails as it has to.
fn reversed(model: &Model) -> Option<&Name> {
    let has_addresses = |system: &System| !system.addresses.is_empty();
    let known = |name: &&Name| model.systems.get(*name).is_some_and(has_addresses);
    if let Some(guardrail) = &model.guardrails.reverse_access {
        return guardrail.what.iter().find(known).or_else(|| guardrail.what.first());
    }
    let of_center = |system: &System| {
        system.side == Side::Center && system.upstream.is_none() && has_addresses(system)
    };
    model.systems.iter().find(|(_, system)| of_center(system)).map(|(name, _)| name)
}

fn repin(model: &mut Model, system: &Name, credentials: &[&Credential]) {
    let Some(system) = model.systems.get_mut(system) else { return };
    if system.identities.iter().any(is_name) {
        return;
    }
    let pins = credentials.iter().flat_map(|credential| credential.identities());
    system.identities = pins.filter(|identity| !is_name(identity)).cloned().collect();
}

fn credential(issued: &Issued) -> Result<Credential, String> {
    Credential::parse(issued.chain.as_bytes(), issued.key.as_bytes()).map_err(said)
}

fn said(error: impl Display) -> String {
    error.to_string()
}
