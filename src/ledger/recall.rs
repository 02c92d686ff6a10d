//! Recorded entries back to flows, so that a law can be asked about them once more. What was masked stays so: a segment
//! `*` of a path stands for any that was no literal of the law then in force.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::record::Record;
use crate::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Host, Identity, Method, Name, Paper, Path, Peer,
    Request, Revocation, ServerName, Timestamp, TlsVersion,
};
use crate::verdict::{Reason, Stage};

/// As many open connections are remembered with their client's facts; the oldest are forgotten.
const REMEMBERED_MAX: usize = 1 << 18;

/// What an entry says of a client, as far as it is known from the entry that opened its connection.
type Facts = Map<String, Value>;

/// Remembers who opened which connection while entries go by in order.
#[derive(Debug, Default)]
pub struct Recall {
    open: BTreeMap<(u64, u64), Facts>,
}

/// A recorded flow.
#[derive(Debug, Clone)]
pub struct Recalled {
    /// The flow as far as it was recorded.
    pub flow: Flow,
    /// Whether a name in it was masked, so that it may be one that a law knows.
    pub masked_name: bool,
    /// Whether a segment of its path was masked.
    pub masked_path: bool,
}

impl Recall {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The flow that an entry judges; `None` where it judges none, or its client is not known.
    pub fn flow(&mut self, record: &Record) -> Option<Recalled> {
        let own = record.facts.contains_key("source").then_some(&record.facts);
        if let (Some(connection), Some(facts)) = (record.connection(), own) {
            self.open.insert(connection, facts.clone());
            if self.open.len() > REMEMBERED_MAX {
                self.open.pop_first();
            }
        }
        if record.kind == "closed" {
            drop(self.open.remove(&record.connection()?));
            return None;
        }
        let judges = ["opened", "dialled", "request", "refused"].contains(&&*record.kind);
        let client = match own {
            Some(facts) => facts,
            None => self.open.get(&record.connection()?)?,
        };
        judges.then(|| Told { client, record }.flow()).flatten()
    }
}

/// An entry with what is known of its client.
struct Told<'a> {
    client: &'a Facts,
    record: &'a Record,
}

impl Told<'_> {
    fn flow(&self) -> Option<Recalled> {
        let source: SocketAddr = text(self.client, "source")?.parse().ok()?;
        let to_address = text(self.client, "to_address")?.parse().ok()?;
        let listener = text(self.client, "listener").and_then(|name| Name::parse(name).ok());
        let request = self.request();
        let path = request.as_ref().map_or("", |request| request.path.as_str());
        let masked_path = path.split('/').any(|segment| segment == "*");
        Some(Recalled {
            masked_path,
            masked_name: self.masked_name(),
            flow: Flow {
                hello: self.hello().map(Arc::new),
                paper: self.paper().map(Arc::new),
                request,
                endpoint: self.record.fact("endpoint").and_then(|text| text.parse().ok()),
                peer: self.is_refused(Reason::UpstreamIdentity).then_some(Peer::Refused),
                ..Flow::arrival(self.record.at, source.ip(), to_address, listener)
            },
        })
    }

    fn is_refused(&self, reason: Reason) -> bool {
        self.record.reason.as_deref() == Some(reason.code())
    }

    fn masked_name(&self) -> bool {
        let names = ["server_name", "host"]
            .into_iter()
            .filter_map(|key| self.client.get(key).or_else(|| self.record.facts.get(key)));
        let identities =
            self.client.get("identities").and_then(Value::as_array).into_iter().flatten();
        names
            .chain(identities)
            .filter_map(Value::as_str)
            .any(|text| text.contains('*') && !text.starts_with("spki"))
    }

    fn hello(&self) -> Option<Hello> {
        let version = match text(self.client, "tls")? {
            "1.3" => TlsVersion::Tls13,
            "1.2" => TlsVersion::Tls12,
            _ => TlsVersion::Old,
        };
        let server_name = match text(self.client, "server_name").map(Host::parse) {
            Some(Ok(host)) => ServerName::Name(host),
            Some(Err(_)) => ServerName::Unusable,
            None => ServerName::Missing,
        };
        let alpn = self.record.facts.contains_key("method").then_some(Alpn::Http11);
        Some(Hello { server_name, version, alpn })
    }

    fn paper(&self) -> Option<Paper> {
        let names = self.client.get("identities")?.as_array()?;
        if names.is_empty() {
            return Some(Paper::Absent);
        }
        let texts = names.iter().filter_map(Value::as_str);
        let end = text(self.client, "not_after").and_then(|text| Timestamp::parse(text).ok());
        let early = self.is_refused(Reason::CertificateExpired)
            && end.is_none_or(|end| end >= self.record.at);
        let beginning = if early { Timestamp::MAX } else { Timestamp::from_nanos(i64::MIN) };
        let untrusted = self.is_refused(Reason::CertificateInvalid);
        Some(Paper::Presented(Certificate {
            identities: texts.filter_map(|text| Identity::parse(text).ok()).collect(),
            chain: if untrusted { Chain::Untrusted } else { Chain::Trusted },
            not_before: beginning,
            not_after: end.unwrap_or(Timestamp::MAX),
            revocation: self.revocation(),
            fingerprint: [0; 32],
        }))
    }

    fn revocation(&self) -> Revocation {
        if self.is_refused(Reason::CertificateRevoked) {
            Revocation::Revoked
        } else if self.is_refused(Reason::RevocationUnknown) {
            Revocation::Unknown
        } else {
            Revocation::NotKept
        }
    }

    fn request(&self) -> Option<Request> {
        let method = Method::parse(self.record.fact("method")?).ok()?;
        let path = Path::parse(self.record.fact("path")?).ok()?;
        let server_name =
            || text(self.client, "server_name").and_then(|text| Host::parse(text).ok());
        let host = match self.record.fact("host") {
            Some(text) => Host::parse(text).ok(),
            // It is told only where it is not the server name.
            None if self.is_refused(Reason::HostMismatch) => None,
            None => server_name(),
        };
        let upgrade = self.is_refused(Reason::Upgrade)
            && self.record.stage.as_deref() == Some(Stage::Request.code());
        Some(Request { method, host, path, upgrade })
    }
}

fn text<'a>(facts: &'a Facts, key: &str) -> Option<&'a str> {
    facts.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::{Recall, Recalled};
    use crate::flow::{Chain, Paper, Peer, ServerName};
    use crate::ledger::Record;

    const OPENED: &str = r#"{"seq":2,"boot":1,"at":"2026-11-22T02:00:01Z","kind":"opened","connection":1,"facts":{"source":"10.13.10.5:40001","to_address":"10.13.0.1:8443","listener":"union-lan","system":"existing-system","server_name":"chukan.center.example","tls":"1.3","identities":["dns:kizon.union.example"],"not_after":"2027-02-01T00:00:00Z"}}"#;

    fn recalled(lines: &[&str]) -> Vec<Option<Recalled>> {
        let mut recall = Recall::new();
        lines.iter().map(|line| recall.flow(&Record::parse(line.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn a_request_has_the_facts_of_the_connection_that_it_came_on() {
        let request = r#"{"seq":3,"boot":1,"at":"2026-11-22T02:00:02Z","kind":"request","connection":1,"rule":"register","facts":{"method":"GET","path":"/exchange/*","endpoint":"10.200.1.10:443"}}"#;
        let found = recalled(&[OPENED, request]);
        let flow = &found[1].as_ref().unwrap().flow;
        assert_eq!(flow.source.to_string(), "10.13.10.5");
        assert!(
            matches!(&flow.hello.as_ref().unwrap().server_name, ServerName::Name(host) if host.as_str() == "chukan.center.example")
        );
        assert_eq!(
            flow.request.as_ref().unwrap().host.as_ref().unwrap().as_str(),
            "chukan.center.example"
        );
        assert_eq!(flow.endpoint.unwrap().to_string(), "10.200.1.10:443");
        assert!(found[1].as_ref().unwrap().masked_path && !found[1].as_ref().unwrap().masked_name);
        let alone = recalled(&[request]);
        assert!(alone[0].is_none(), "nobody knows who asked");
    }

    #[test]
    fn why_a_certificate_was_refused_is_in_the_flow_again() {
        let refused = OPENED.replace("\"opened\"", "\"refused\"").replace(
            "\"connection\":1,",
            "\"connection\":1,\"stage\":\"identity\",\"reason\":\"certificate_invalid\",",
        );
        let found = recalled(&[&refused]);
        let Some(Paper::Presented(certificate)) = found[0].as_ref().unwrap().flow.paper.as_deref()
        else {
            panic!("a certificate was shown")
        };
        assert_eq!(certificate.chain, Chain::Untrusted);
        let peer = r#"{"seq":3,"boot":1,"at":"2026-11-22T02:00:02Z","kind":"refused","connection":1,"stage":"peer","reason":"upstream_identity","facts":{"endpoint":"10.200.1.10:443"}}"#;
        let found = recalled(&[OPENED, peer]);
        assert_eq!(found[1].as_ref().unwrap().flow.peer, Some(Peer::Refused));
    }

    #[test]
    fn a_connection_is_forgotten_when_it_ends() {
        let closed = r#"{"seq":3,"boot":1,"at":"2026-11-22T02:00:02Z","kind":"closed","connection":1,"facts":{}}"#;
        let request = r#"{"seq":4,"boot":1,"at":"2026-11-22T02:00:03Z","kind":"request","connection":1,"facts":{"method":"GET","path":"/x"}}"#;
        let found = recalled(&[OPENED, closed, request]);
        assert!(found[0].is_some() && found[1].is_none() && found[2].is_none());
    }
}
