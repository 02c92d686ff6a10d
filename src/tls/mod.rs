//! TLS on both legs: `terminate` mirrors `originate`; `peer` turns certificates into facts. No resumption anywhere.
//!
//! On the client leg the handshake proves possession of the key and nothing more: chain, dates, names and
//! revocation become facts that the law judges. On the upstream leg the same facts are judged inside the
//! handshake, so that our certificate is never shown to a stranger. No files are read here.

mod credential;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod handshake;
mod hello;
mod originate;
mod peer;
mod provider;
mod refusal;
mod revocation;
mod terminate;
mod trust;

use std::collections::BTreeSet;
use std::fmt;

pub use credential::{Credential, chain};
pub use hello::{agreed, hello, offered};
pub use originate::{Expected, originate};
pub use peer::{chain_digest, identities};
pub use provider::{draw_entropy, provider};
pub use refusal::{client_refusal, upstream_refusal};
pub use terminate::terminate;
pub use trust::TrustStore;

use crate::flow::TlsVersion;

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterialError(pub String);

impl fmt::Display for MaterialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MaterialError {}

/// The protocols offered or answered by ALPN (RFC 7301), best first; none where the bytes are not HTTP.
fn protocols(http: bool) -> Vec<Vec<u8>> {
    if http { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { Vec::new() }
}

/// The versions to speak, in the terms of rustls. Nothing older than 1.2 is ever spoken.
fn protocol_versions(
    versions: &BTreeSet<TlsVersion>,
) -> Vec<&'static rustls::SupportedProtocolVersion> {
    versions
        .iter()
        .filter_map(|version| match version {
            TlsVersion::Old => None,
            TlsVersion::Tls12 => Some(&rustls::version::TLS12),
            TlsVersion::Tls13 => Some(&rustls::version::TLS13),
        })
        .collect()
}

/// What rustls says of a configuration that cannot work, in our words.
fn unusable(error: &rustls::Error) -> MaterialError {
    MaterialError(format!("TLS cannot be set up with these versions and this certificate: {error}"))
}
