//! A ledger's directory read from its beginning: entries with the flows that they judge.

use std::io;
use std::path::Path;

use crate::flow::{Alpn, Flow, Hello};
use crate::ledger::recall::{Recall, Recalled};
use crate::ledger::show::Feed;
use crate::ledger::{PolicyDigest, Record};
use crate::policy::Engine;
use crate::policy::model::Protocol;

/// Gives every entry to `look`, with its flow where it judges one of somebody's: what a self-test leaves is between
/// stand-ins.
///
/// # Errors
/// Where directory or file cannot be read; what cannot be read as an entry is counted.
pub(super) fn each(
    directory: &Path,
    mut look: impl FnMut(&Record, Option<Recalled>),
) -> io::Result<u64> {
    let (mut feed, mut recall, mut unread) = (Feed::new(directory), Recall::new(), 0);
    while let Some(line) = feed.next()? {
        match Record::parse(&line) {
            Some(record) => {
                let recalled = if record.selftest { None } else { recall.flow(&record) };
                look(&record, recalled);
            }
            None => unread += 1,
        }
    }
    Ok(unread)
}

/// The law that an entry was judged by.
pub(super) fn policy(record: &Record) -> Option<PolicyDigest> {
    record.policy.as_deref().and_then(PolicyDigest::parse)
}

/// The flow as a law would have had it: the application protocol is not recorded, since the law says it.
pub(super) fn agreed(engine: &Engine, flow: &Flow) -> Flow {
    let https = |hello: &Hello| {
        let listener = flow.listener.as_ref()?;
        engine.protocol(listener, flow.source, &hello.server_name)
    };
    let Some(hello) = flow.hello.as_deref() else { return flow.clone() };
    let spoken = https(hello) == Some(Protocol::Https);
    let alpn = hello.alpn.or_else(|| spoken.then_some(Alpn::Http11));
    Flow { hello: Some(std::sync::Arc::new(Hello { alpn, ..hello.clone() })), ..flow.clone() }
}
