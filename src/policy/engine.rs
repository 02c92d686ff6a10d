//! What RUNS: the law as tables, and the one function that answers a flow. No clock, no sockets, no files.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::mask::Masked;
use super::model::{Model, Protocol, Rule, System, Upstream};
use crate::flow::{Flow, Host, Identity, Method, Name, Path, ServerName, Timestamp};
use crate::verdict::Verdict;

/// A law in force.
#[derive(Debug)]
pub struct Engine {
    model: Arc<Model>,
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
        Self { model: Arc::new(model) }
    }

    /// Answers a flow by the facts it has. The only place that decides who may pass.
    pub fn decide(&self, flow: &Flow) -> Verdict {
        todo!()
    }

    /// The next moment after `now` at which time alone changes an answer.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        todo!()
    }

    /// The law behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The system that has this server name and can be reached.
    pub fn destination(&self, server_name: &Host) -> Option<Destination<'_>> {
        todo!()
    }

    /// The protocol that the rules of this listener, source and destination share; `None` where no rule joins them.
    pub fn protocol(
        &self,
        listener: &Name,
        source: IpAddr,
        server_name: &ServerName,
    ) -> Option<Protocol> {
        todo!()
    }

    /// The system that an address belongs to, by its `addresses` or its endpoints.
    pub fn system_of(&self, address: IpAddr) -> Option<&Name> {
        todo!()
    }

    /// The site of an endpoint.
    pub fn site_of(&self, endpoint: SocketAddr) -> Option<&Name> {
        todo!()
    }

    /// A rule by its name.
    pub fn rule(&self, name: &Name) -> Option<&Rule> {
        todo!()
    }

    /// The path as it may be recorded: every segment that is no literal of this law is `*`.
    pub fn mask_path(&self, path: &Path) -> Masked {
        todo!()
    }

    /// A host name as it may be recorded: as it is where it is a literal of this law, else with its digits masked.
    pub fn mask_host(&self, host: &str) -> Masked {
        todo!()
    }

    /// An identity as it may be recorded.
    pub fn mask_identity(&self, identity: &Identity) -> Masked {
        todo!()
    }

    /// A method as it may be recorded.
    pub fn mask_method(&self, method: &Method) -> Masked {
        todo!()
    }
}
