//! What a law that is put in force means for the series: its rules exist at 0, its dates stand.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::family::Families;
use super::{RuleMetrics, State};
use crate::flow::{Name, Timestamp};
use crate::ledger::PolicyDigest;
use crate::policy::model::{Enforcement, Model, Protocol, Rule};
use crate::verdict::Reason;

/// A law that is put in force, with the dates of what it leans on.
#[derive(Debug)]
pub struct InForce<'a> {
    /// The law.
    pub model: &'a Model,
    /// Its digest.
    pub digest: PolicyDigest,
    /// `limits.connections` of the box.
    pub connections_limit: u32,
    /// The lines of the box.
    pub lines: Vec<Name>,
    /// Each certificate of the box, what it is for, and when it ends.
    pub certificates: Vec<(Name, Role, Timestamp)>,
    /// Each trust that keeps revocation lists, and when the first of them ends.
    pub next_updates: Vec<(Name, Timestamp)>,
}

/// What a certificate of the box is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Shown to clients by a listener.
    Server,
    /// Shown to an upstream.
    Client,
    /// Named by nobody.
    Unused,
}

impl Role {
    /// The label.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Unused => "unused",
        }
    }
}

impl State {
    pub(super) fn install(&mut self, families: &Families, law: &InForce<'_>) {
        self.sides = law.model.systems.iter().map(|(name, s)| (name.clone(), s.side)).collect();
        self.install_rules(families, law.model);
        self.install_endpoints(families, law.model);
        install_dates(families, law);
        families.connections_limit.set(i64::from(law.connections_limit));
        families.policy_info.reset();
        families.policy_info.with_label_values(&[&law.digest.to_string()]).set(1);
        for line in &law.lines {
            drop(families.line_up.with_label_values(&[line.as_str()]));
        }
    }

    /// The side of a system may have changed, so the cache is made anew; its series are the same ones.
    fn install_rules(&mut self, families: &Families, model: &Model) {
        self.rules.clear();
        for (name, rule) in &model.rules {
            let Some(system) = model.systems.get(&rule.to) else { continue };
            let children = Arc::new(RuleMetrics::new(families, name, &rule.to, system.side));
            match rule.protocol {
                Protocol::Https => children.expect_requests(),
                Protocol::Tls | Protocol::TlsPassthrough | Protocol::Tcp => {}
            }
            for reason in observed(rule) {
                drop(families.would_deny.with_label_values(&[name.as_str(), reason.code()]));
            }
            self.rules.insert((name.clone(), rule.to.clone()), children);
        }
    }

    fn install_endpoints(&mut self, families: &Families, model: &Model) {
        let mut law = BTreeSet::new();
        for (name, system) in &model.systems {
            for endpoint in system.upstream.iter().flat_map(|upstream| &upstream.endpoints) {
                let labels = [name.as_str(), &endpoint.address.to_string()];
                drop(families.upstream_connections.with_label_values(&labels));
                law.insert((name.clone(), endpoint.address, endpoint.site.clone()));
            }
        }
        self.endpoints.retain(families, &law);
    }
}

/// What a rule that observes may let pass, so that each reason exists at 0.
const fn observed(rule: &Rule) -> &'static [Reason] {
    match rule.enforcement {
        Enforcement::Enforce => &[],
        Enforcement::Observe => &[Reason::Method, Reason::Path, Reason::Upgrade, Reason::NoRule],
    }
}

fn install_dates(families: &Families, law: &InForce<'_>) {
    families.certificate_not_after.reset();
    for (name, role, until) in &law.certificates {
        let labels = [name.as_str(), role.code()];
        let gauge = families.certificate_not_after.with_label_values(&labels);
        gauge.set(until.as_seconds_f64());
    }
    families.revocation_next_update.reset();
    for (trust, until) in &law.next_updates {
        let gauge = families.revocation_next_update.with_label_values(&[trust.as_str()]);
        gauge.set(until.as_seconds_f64());
    }
    families.approval_until.reset();
    for (name, approval) in &law.model.approvals {
        let Some(until) = approval.period.until else { continue };
        families.approval_until.with_label_values(&[name.as_str()]).set(until.as_seconds_f64());
    }
}
