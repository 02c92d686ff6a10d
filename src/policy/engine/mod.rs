//! What RUNS: the law as tables, and the one function that answers a flow. No clock, no sockets, no files.
//!
//! # The law of the laws
//!
//! A flow is judged stage by stage, in the order of its life, by the facts that it has; the first stage that
//! refuses gives the reason. So a refusal stays what it was whatever is learned later, and only a flow with a
//! hello, a paper, for `https` a request, and an endpoint can be allowed; until then the answer is *not yet*. Of
//! `tls_passthrough` nobody sees the paper, of `tcp` not even the hello: there the address alone is the destination.
//! Within a stage guardrails come first, in the order in which the law lists them, then what the stage has to
//! know at all, then the connection date, then the rules.
//!
//! **Arrival**: the source address and the time.
//! 1. It lies in a prefix of a system that may never initiate: `reverse_access`.
//! 2. It belongs to no system: `unknown_source`.
//! 3. Before the connection date: `before_connection_date`.
//! 4. The listener is a refusing one: `listener`.
//! 5. The source's rules are narrowed by transport (a rule whose protocol `encryption` refuses has none), listener and dates. A source that no rule names is `no_rule`.
//!    Where the listener is not known (a capture), a rule that names one may still fit.
//!
//! IPv4 inside IPv6 is judged as the IPv4 that it is. A system's addresses are its prefixes and its endpoints.
//!
//! **Hello**: the server name and the version. Bytes in clear where a `ClientHello` is due fit no rule: `protocol`.
//! 1. It names a system that `destinations` does not list: `destination_not_listed`.
//! 2. The version is not in `encryption.tls` (without the guardrail: not 1.3): `tls_version`.
//! 3. There is no server name, or one that is no name: `host_mismatch`; the name of no system: `unknown_destination`.
//!    A system that cannot be reached is known by the `dns:` names of its certificates.
//! 4. The rules that join source and destination; none is `no_rule`. They are narrowed by the facts of arrival, then
//!    by the application protocol (a `tls` rule agrees on none).
//!
//! **Identity**: the client certificate. Mutual TLS is not optional.
//! 1. Any of its names is one of a system that may never initiate: `reverse_access`; also a name in a certificate that
//!    is not trusted, since it is believed only to refuse.
//! 2. There is none: `identity_missing`.
//! 3. It does not chain to the trust: `certificate_invalid`; is on a list: `certificate_revoked`; is before its first
//!    or after its last moment: `certificate_expired`; no list covers it or that list is due: `revocation_unknown`.
//! 4. It names no system: `identity_unknown`; several, or another than the address's: `identity_mismatch`. Names of
//!    nobody beside one of the system do no harm.
//!
//! **Request**: the host is not the server name of the connection: `host_mismatch`; it asks for another protocol by
//! `CONNECT`, or toward a system that may never initiate: `upgrade`; then rules are narrowed by protocol (a `tls` rule
//! has no requests), method, path, and whether they permit a switch of protocols. A rule that observes is not narrowed
//! by method, path and switch: where no other rule fits, it lets the flow pass and says what would have refused it.
//!
//! **Dial**: the very address about to be dialled.
//! 1. `residency`: its site lies in no permitted country, or a public address is registered in none: `outside_country`.
//!    The geography does not know a public address or is too old, the site's paper has ended, or the address has no
//!    site: `country_unknown`.
//! 2. It is no endpoint of the destination: `no_rule`.
//! 3. Its site is never dialled, or only when declared and no declaration that is open opens it for a rule that may
//!    still fit: `site_not_declared`.
//! 4. Its approval or its own period: `before_approval`, `after_approval`.
//!
//! **Peer**: it was refused by the handshake, or carries none of the destination's identities: `upstream_identity`.
//!
//! # The nearest rules
//!
//! Where the rules run out, the *nearest* are those that fitted longest, through the most of: joins source and
//! destination; facts of arrival; application protocol; request. Among them, those with the fewest kinds of facts in
//! the way. If one kind of fact alone stops every one of them, its code is the reason; otherwise `no_rule` lists them.
//! So an ended rule does not blur the answer as long as one in force came further.
//!
//! The `content` guardrail is proven when the law is checked; there is nothing for a flow to add to it yet.

#[cfg(test)]
mod answers;
mod decide;
#[cfg(test)]
mod decisions;
pub(super) mod declared;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod outward;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(super) mod random;
#[cfg(test)]
mod relaxed;
mod sift;
mod stop;

pub(super) use decide::flaw;
pub use declared::Opened;
pub(super) use sift::{Sieve, Sift, Sifted};
pub(super) use stop::{Stops, matches};

use declared::Standing;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::flow::{Flow, Host, Identity, Method, Name, Path, ServerName, Timestamp};
use crate::policy::compile::{RuleId, Tables};
use crate::policy::mask::Masked;
use crate::policy::model::{Model, Protocol, Rule, System, Upstream};
use crate::verdict::{Reason, Verdict};

/// A law in force.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
    tables: Arc<Tables>,
    refusing: BTreeSet<Name>,
    open: Vec<Standing>,
}

/// A system that can be reached, as the proxy needs it.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// Its name.
    pub name: &'a Name,
    /// The system.
    pub system: &'a System,
    /// How it is reached.
    pub upstream: &'a Upstream,
}

impl Engine {
    /// Makes the tables.
    pub fn compile(model: Model) -> Self {
        let tables = Arc::new(Tables::of(&model));
        Self { model: Arc::new(model), tables, refusing: BTreeSet::new(), open: Vec::new() }
    }

    /// The same law on a box whose listeners of these names answer nothing.
    #[must_use]
    pub fn with_listeners(self, refusing: BTreeSet<Name>) -> Self {
        Self { refusing, ..self }
    }

    /// The same law while these declarations, and no others, are open. One that the law does not know opens nothing.
    #[must_use]
    pub fn with_declarations(&self, opened: &[Opened]) -> Self {
        Self {
            model: Arc::clone(&self.model),
            tables: Arc::clone(&self.tables),
            refusing: self.refusing.clone(),
            open: opened.iter().filter_map(|it| Standing::of(&self.model, it)).collect(),
        }
    }

    /// Another law on the same box, whose listeners answer what they answer: the self-test's.
    #[must_use]
    pub fn under(&self, model: Model) -> Self {
        Self { refusing: self.refusing.clone(), ..Self::compile(model) }
    }

    /// Answers a flow by the facts it has. The only place that decides who may pass.
    pub fn decide(&self, flow: &Flow) -> Verdict {
        decide::decide(&self.tables, (&self.refusing, &self.open), flow)
    }

    /// The same judgement taken apart, for whoever explains or compares laws: what refuses at each stage, and what stops
    /// each of these rules. It decides nothing.
    pub(super) fn sift(&self, flow: &Flow, rules: &[RuleId]) -> Sift<'_> {
        sift::sift(&self.tables, (&self.refusing, &self.open), flow, rules)
    }

    /// As [`Engine::sift`], of every rule of the law whomever it joins.
    pub(super) fn sift_all(&self, flow: &Flow) -> Sift<'_> {
        sift::sift_all(&self.tables, (&self.refusing, &self.open), flow)
    }

    /// The tables, for whoever compares laws.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The listeners that answer nothing.
    pub(super) fn refusing(&self) -> &BTreeSet<Name> {
        &self.refusing
    }

    /// The next moment after `now` at which time alone changes an answer of the law. Certificates and revocation
    /// lists have times of their own: they are facts of a flow.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let later = self.tables.changes.partition_point(|change| *change <= now);
        let written = self.tables.changes.get(later).copied();
        let declared = self.open.iter().flat_map(Standing::changes).filter(|change| *change > now);
        written.into_iter().chain(declared).min()
    }

    /// The law behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The system that has this server name and can be reached.
    pub fn destination(&self, server_name: &Host) -> Option<Destination<'_>> {
        let id = self.tables.hosts.get(server_name)?;
        let (name, system) =
            self.model.systems.get_key_value(&self.tables.systems.get(*id)?.name)?;
        Some(Destination { name, system, upstream: system.upstream.as_ref()? })
    }

    /// The protocol that the rules of this listener, source and destination share, dates aside; `None` where no
    /// rule joins them.
    pub fn protocol(
        &self,
        listener: &Name,
        source: IpAddr,
        server_name: &ServerName,
    ) -> Option<Protocol> {
        self.protocol_of(Some(listener), source, server_name)
    }

    /// The system that an address belongs to, by its `addresses` or its endpoints.
    pub fn system_of(&self, address: IpAddr) -> Option<&Name> {
        let owner = self.tables.owner(address)?;
        self.tables.systems.get(owner.system).map(|system| &system.name)
    }

    /// The site of an endpoint.
    pub fn site_of(&self, endpoint: SocketAddr) -> Option<&Name> {
        self.tables.endpoint(endpoint).map(|entry| &entry.site)
    }

    /// A rule by its name.
    pub fn rule(&self, name: &Name) -> Option<&Rule> {
        self.model.rules.get(name)
    }

    /// The path as it may be recorded: every segment that is no literal of this law is `*`. Under this law it
    /// decides exactly as the real one: a pattern that takes the segment can only have `*` or `**` there.
    pub fn mask_path(&self, path: &Path) -> Masked {
        let mut masked = String::with_capacity(path.as_str().len());
        for segment in path.segments() {
            let known = segment.is_empty() || self.tables.literals.segments.contains(segment);
            masked.push('/');
            masked.push_str(if known { segment } else { "*" });
        }
        Masked::literal(masked)
    }

    /// A host name as it may be recorded: as it is where it is a literal of this law, else with its digits masked.
    pub fn mask_host(&self, host: &str) -> Masked {
        match Host::parse(host) {
            Ok(name) if self.tables.literals.hosts.contains(&name) => {
                Masked::literal(name.to_string())
            }
            Ok(_) | Err(_) => Masked::text(host),
        }
    }

    /// An identity as it may be recorded: as it is where the law names it, else with its digits masked.
    pub fn mask_identity(&self, identity: &Identity) -> Masked {
        if self.tables.identities.contains_key(identity) {
            return Masked::literal(identity.to_string());
        }
        match identity {
            Identity::Dns(host) => Masked::labelled("dns:", self.mask_host(host.as_str()).as_str()),
            Identity::Uri(uri) => Masked::labelled("uri:", Masked::text(uri).as_str()),
            // Only what the law pins is worth reading; a stranger's key is as good as any text of his.
            Identity::Spki(_) => Masked::labelled("spki-sha256:", "*"),
        }
    }

    /// A method as it may be recorded: as it is where it is registered or named by the law, else with its digits masked.
    pub fn mask_method(&self, method: &Method) -> Masked {
        if method.is_registered() || self.tables.literals.methods.contains(method) {
            Masked::literal(method.as_str().to_owned())
        } else {
            Masked::text(method.as_str())
        }
    }

    /// As [`Engine::protocol`], on any listener where none is named.
    pub(super) fn protocol_of(
        &self,
        listener: Option<&Name>,
        source: IpAddr,
        server_name: &ServerName,
    ) -> Option<Protocol> {
        let ServerName::Name(host) = server_name else { return None };
        let source = self.tables.owner(source)?.system;
        let destination = self.tables.hosts.get(host).copied()?;
        let joined = self.tables.joined(source, Some(destination))?;
        let mut rules = joined.ids.iter().filter_map(|id| self.tables.rules.get(*id));
        rules.find(|rule| stop::takes(rule, listener)).map(|rule| rule.protocol)
    }

    /// Why an endpoint of its own system may not be dialled at `at`, whoever asks.
    pub(super) fn dial_refusal(&self, endpoint: SocketAddr, at: Timestamp) -> Option<Reason> {
        let declared = |site: &Name| declared::opens(&self.open, site, None, at);
        decide::barred(&self.tables, (self.tables.endpoint(endpoint), at), None, declared)
    }
}
