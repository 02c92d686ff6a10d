//! The judgement itself, stage by stage as the engine's page says it. What stops a rule is in `stop`.

use std::collections::BTreeSet;

use super::declared::{self, Standing};
use super::stop::{Left, Phase, Pool};
use crate::flow::{Certificate, Chain, Flow, Identity, Name, Paper, Peer, Revocation, ServerName};
use crate::flow::{Hello, Request, Timestamp};
use crate::policy::compile::{EndpointEntry, RuleEntry, SystemId, Tables};
use crate::policy::model::{Dial, Protocol};
use crate::verdict::{Allowed, Denied, NotYet, Reason, Stage, Verdict};

/// Answers `flow` by the facts it has, on a box whose `refusing` listeners answer nothing, while `open` is declared.
pub(super) fn decide(
    tables: &Tables,
    (refusing, open): (&BTreeSet<Name>, &[Standing]),
    flow: &Flow,
) -> Verdict {
    let case = Case { tables, refusing, open, flow };
    case.judge().unwrap_or_else(Verdict::Deny)
}

/// One flow before the law.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) tables: &'a Tables,
    pub(super) refusing: &'a BTreeSet<Name>,
    pub(super) open: &'a [Standing],
    pub(super) flow: &'a Flow,
}

/// Whose names a certificate carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Nobody,
    One(SystemId),
    Several,
    /// One of them may never initiate.
    Closed,
}

impl Case<'_> {
    /// What refuses at each stage by itself, in the order of travel and whatever the stages before it say: the very
    /// checks that [`decide`] makes, but without the rules.
    pub(super) fn gates(self) -> Vec<(Stage, Reason)> {
        let (source, destination) = self.ends();
        let of = |stage, refused: Option<Reason>| refused.map(|reason| (stage, reason));
        let reason = |denied: Denied| denied.reason;
        let admitted = self.admitted().err().map(reason);
        let hello = || Some(self.destination(self.flow.hello.as_deref()?).err()?.reason);
        let identity = source.and_then(|source| self.identity(source).err()).map(reason);
        let request =
            self.flow.request.as_ref().and_then(|request| self.unaskable(request, destination));
        // What is left of the rules only gives a refusal its rule.
        let left = Left::default();
        let entry = self.entry();
        let dial =
            |source| self.dial((destination, entry), self.pool(source, destination), left).err();
        let dial = source.and_then(dial).map(reason);
        let peer = self.peer(destination, left).err().map(reason);
        let all = [
            of(Stage::Arrival, admitted),
            of(Stage::Hello, hello()),
            of(Stage::Identity, identity),
            of(Stage::Request, request),
            of(Stage::Dial, dial),
            of(Stage::Peer, peer),
        ];
        all.into_iter().flatten().collect()
    }

    /// Whose address it comes from, and whose name it asks for, as far as the law knows them.
    pub(super) fn ends(self) -> (Option<SystemId>, Option<SystemId>) {
        let source = self.tables.owner(self.flow.source).map(|owner| owner.system);
        let asked = self.flow.hello.as_deref().map(|hello| &hello.server_name);
        let destination = match asked {
            Some(ServerName::Name(host)) => self.tables.hosts.get(host).copied(),
            Some(ServerName::Missing | ServerName::Unusable) | None => None,
        };
        (source, destination)
    }

    fn judge(self) -> Result<Verdict, Denied> {
        let source = self.arrival()?;
        let destination = self.hello(source)?;
        self.identity(source)?;
        let pool = self.pool(source, destination);
        let left = self.request(pool, destination)?;
        let entry = self.entry();
        self.dial((destination, entry), pool, left)?;
        self.peer(destination, left)?;
        Ok(self.conclude((source, destination), entry, left))
    }

    fn arrival(self) -> Result<SystemId, Denied> {
        let source = self.admitted()?;
        self.pool(source, None).narrow(Phase::Standing, Stage::Arrival)?;
        Ok(source)
    }

    /// What refuses an arrival whatever the rules say.
    fn admitted(self) -> Result<SystemId, Denied> {
        let deny = |reason| Err(Denied::plain(reason, Stage::Arrival));
        let Some(owner) = self.tables.owner(self.flow.source) else {
            return deny(Reason::UnknownSource);
        };
        if owner.closed {
            return deny(Reason::ReverseAccess);
        }
        if self.flow.at < self.tables.connection_date {
            return deny(Reason::BeforeConnectionDate);
        }
        if self.flow.listener.as_ref().is_some_and(|name| self.refusing.contains(name)) {
            return deny(Reason::Listener);
        }
        Ok(owner.system)
    }

    fn hello(self, source: SystemId) -> Result<Option<SystemId>, Denied> {
        if self.flow.in_clear {
            self.pool(source, None).narrow(Phase::Protocol, Stage::Hello)?;
        }
        let Some(hello) = self.flow.hello.as_deref() else { return Ok(None) };
        let destination = self.destination(hello)?;
        let pool = self.pool(source, Some(destination));
        pool.narrow(Phase::Standing, Stage::Hello)?;
        pool.narrow(Phase::Protocol, Stage::Hello)?;
        Ok(Some(destination))
    }

    /// Guardrails first: what the name and the version break is said even where the other is of no use.
    fn destination(self, hello: &Hello) -> Result<SystemId, Denied> {
        let deny = |reason| Err(Denied::plain(reason, Stage::Hello));
        let named = match &hello.server_name {
            ServerName::Name(host) => {
                self.tables.hosts.get(host).copied().ok_or(Reason::UnknownDestination)
            }
            ServerName::Missing | ServerName::Unusable => Err(Reason::HostMismatch),
        };
        let listed = |id: &SystemId| self.tables.systems.get(*id).is_some_and(|it| it.listed);
        if named.as_ref().is_ok_and(|id| !listed(id)) {
            return deny(Reason::DestinationNotListed);
        }
        if !self.tables.versions.contains(&hello.version) {
            return deny(Reason::TlsVersion);
        }
        named.or_else(deny)
    }

    fn identity(self, source: SystemId) -> Result<(), Denied> {
        let deny = |reason| Err(Denied::plain(reason, Stage::Identity));
        let certificate = match self.flow.paper.as_deref() {
            None => return Ok(()),
            Some(Paper::Absent) => return deny(Reason::IdentityMissing),
            Some(Paper::Presented(certificate)) => certificate,
        };
        let named = self.named(&certificate.identities);
        if named == Named::Closed {
            return deny(Reason::ReverseAccess);
        }
        if let Some(flaw) = flaw(certificate, self.flow.at) {
            return deny(flaw);
        }
        match named {
            Named::One(system) if system == source => Ok(()),
            Named::Nobody => deny(Reason::IdentityUnknown),
            Named::One(_) | Named::Several | Named::Closed => deny(Reason::IdentityMismatch),
        }
    }

    /// What is left of the pool by all that is known so far.
    fn request<'a>(
        &self,
        pool: Pool<'a>,
        destination: Option<SystemId>,
    ) -> Result<Left<'a>, Denied> {
        let Some(request) = &self.flow.request else { return Ok(pool.left_over()) };
        if let Some(reason) = self.unaskable(request, destination) {
            let rule = pool.only(Phase::Protocol);
            return Err(Denied { rule, ..Denied::plain(reason, Stage::Request) });
        }
        let left = pool.left_over();
        if left.is_empty() {
            return Err(pool.nearest(Phase::Request, Stage::Request));
        }
        Ok(left)
    }

    /// What refuses a request whatever the rules say.
    fn unaskable(self, request: &Request, destination: Option<SystemId>) -> Option<Reason> {
        if !self.is_host(request) {
            return Some(Reason::HostMismatch);
        }
        let closed = request.upgrade && self.is_closed_to_switches(request, destination);
        closed.then_some(Reason::Upgrade)
    }

    /// After a switch either side may speak first: what may never initiate must not get that chance. And `CONNECT`
    /// (RFC 9110 §9.3.6) asks for a tunnel to a place of its own choice.
    fn is_closed_to_switches(self, request: &Request, destination: Option<SystemId>) -> bool {
        let system = destination.and_then(|id| self.tables.systems.get(id));
        request.method.as_str() == "CONNECT" || system.is_some_and(|system| !system.may_initiate)
    }

    /// What is known of the address that is dialled.
    fn entry(&self) -> Option<&EndpointEntry> {
        self.tables.endpoint(self.flow.endpoint?)
    }

    fn dial(
        self,
        (destination, entry): (Option<SystemId>, Option<&EndpointEntry>),
        pool: Pool<'_>,
        left: Left<'_>,
    ) -> Result<(), Denied> {
        if self.flow.endpoint.is_none() {
            return Ok(());
        }
        let declared =
            |site: &Name| pool.left(Phase::Request).any(|rule| self.opens(site, &rule.name));
        match barred(self.tables, (entry, self.flow.at), destination, declared) {
            None => Ok(()),
            Some(reason) => Err(Denied { rule: left.only(), ..Denied::plain(reason, Stage::Dial) }),
        }
    }

    fn peer(self, destination: Option<SystemId>, left: Left<'_>) -> Result<(), Denied> {
        let expected = match &self.flow.peer {
            None => true,
            Some(Peer::Refused) => false,
            Some(Peer::Verified(identities)) => {
                destination.is_none_or(|system| self.speaks_for(identities, system))
            }
        };
        if expected {
            return Ok(());
        }
        let plain = Denied::plain(Reason::UpstreamIdentity, Stage::Peer);
        Err(Denied { rule: left.only(), ..plain })
    }

    /// Nothing refuses it: it is allowed where no fact is missing that a rule asks for.
    fn conclude(
        self,
        ends: (SystemId, Option<SystemId>),
        entry: Option<&EndpointEntry>,
        left: Left<'_>,
    ) -> Verdict {
        let passes = entry.and_then(|entry| self.passes_by(ends, entry, left));
        match (self.flow.endpoint, passes) {
            (Some(endpoint), Some((rule, would_deny))) => Verdict::Allow(Allowed {
                rule: rule.name.clone(),
                system: rule.to.clone(),
                endpoint,
                would_deny,
            }),
            _ => Verdict::NotYet(NotYet { stage: self.stage(), rule: left.only() }),
        }
    }

    /// The rule of which no fact is missing, the address that is dialled included.
    fn passes_by<'a>(
        &'a self,
        (source, destination): (SystemId, Option<SystemId>),
        entry: &EndpointEntry,
        left: Left<'a>,
    ) -> Option<(&'a RuleEntry, Option<Reason>)> {
        let (paper, asked) = (self.flow.paper.is_some(), self.flow.request.is_some());
        let complete = |rule: &RuleEntry| {
            let known = match rule.protocol {
                Protocol::Https => destination.is_some() && paper && asked,
                Protocol::Tls => destination.is_some() && paper,
                Protocol::TlsPassthrough => destination.is_some(),
                // Its destination is the address.
                Protocol::Tcp => true,
            };
            known && (entry.dial == Dial::Always || self.opens(&entry.site, &rule.name))
        };
        match left.first.filter(|rule| destination.is_some() && complete(rule)) {
            Some(rule) => Some((rule, None)),
            None => {
                self.pool(source, Some(destination.unwrap_or(entry.system))).passes_by(complete)
            }
        }
    }

    fn opens(self, site: &Name, rule: &Name) -> bool {
        declared::opens(self.open, site, Some(rule), self.flow.at)
    }

    /// The stage of the last fact present.
    fn stage(self) -> Stage {
        let facts = [
            (self.flow.peer.is_some(), Stage::Peer),
            (self.flow.endpoint.is_some(), Stage::Dial),
            (self.flow.request.is_some(), Stage::Request),
            (self.flow.paper.is_some(), Stage::Identity),
            (self.flow.hello.is_some(), Stage::Hello),
        ];
        facts.into_iter().find(|(known, _)| *known).map_or(Stage::Arrival, |(_, stage)| stage)
    }

    fn pool(&self, source: SystemId, destination: Option<SystemId>) -> Pool<'_> {
        let joined = self.tables.joined(source, destination);
        Pool { rules: &self.tables.rules, joined, flow: self.flow }
    }

    fn is_host(self, request: &Request) -> bool {
        match (self.flow.hello.as_deref().map(|hello| &hello.server_name), &request.host) {
            (Some(ServerName::Name(asked)), Some(host)) => asked == host,
            (None, Some(_)) => true,
            (Some(_) | None, _) => false,
        }
    }

    fn named(self, identities: &[Identity]) -> Named {
        let mut named = Named::Nobody;
        for system in identities.iter().filter_map(|it| self.tables.identities.get(it)).flatten() {
            if self.tables.systems.get(*system).is_some_and(|it| !it.may_initiate) {
                return Named::Closed;
            }
            named = match named {
                Named::Nobody => Named::One(*system),
                Named::One(before) if before == *system => named,
                Named::One(_) | Named::Several | Named::Closed => Named::Several,
            };
        }
        named
    }

    fn speaks_for(self, identities: &[Identity], system: SystemId) -> bool {
        let owners = |identity| self.tables.identities.get(identity);
        identities.iter().filter_map(owners).any(|owners| owners.contains(&system))
    }
}

/// Why a socket address may not be dialled, as far as the address, its site and the time say it; `declared` tells
/// whether a site that waits for a declaration has one.
pub(super) fn barred(
    tables: &Tables,
    (entry, at): (Option<&EndpointEntry>, Timestamp),
    destination: Option<SystemId>,
    declared: impl Fn(&Name) -> bool,
) -> Option<Reason> {
    let Some(entry) = entry else {
        return Some(if tables.residency { Reason::CountryUnknown } else { Reason::NoRule });
    };
    if entry.residency.is_some() {
        return entry.residency;
    }
    if at >= entry.known_until {
        return Some(Reason::CountryUnknown);
    }
    if destination.is_some_and(|destination| destination != entry.system) {
        return Some(Reason::NoRule);
    }
    match entry.dial {
        Dial::Always => entry.term.refuses(at),
        Dial::Declared if declared(&entry.site) => entry.term.refuses(at),
        Dial::Declared | Dial::Never => Some(Reason::SiteNotDeclared),
    }
}

/// What is wrong with a certificate itself. A revocation weighs more than an end that comes anyway.
pub(in crate::policy) fn flaw(certificate: &Certificate, at: Timestamp) -> Option<Reason> {
    if certificate.chain == Chain::Untrusted {
        return Some(Reason::CertificateInvalid);
    }
    if certificate.revocation == Revocation::Revoked {
        return Some(Reason::CertificateRevoked);
    }
    if at < certificate.not_before || at > certificate.not_after {
        return Some(Reason::CertificateExpired);
    }
    match certificate.revocation {
        Revocation::Good { until } if at < until => None,
        Revocation::NotKept => None,
        Revocation::Good { .. } | Revocation::Unknown | Revocation::Revoked => {
            Some(Reason::RevocationUnknown)
        }
    }
}
