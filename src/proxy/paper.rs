//! Client certificates as facts, verified once and remembered: by what was presented and by the trust it was
//! verified against, so that a new revocation list is never answered from memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::flow::{Paper, Timestamp};
use crate::tls::{self, TrustStore};

/// How many verified chains a worker remembers.
const REMEMBERED_MAX: usize = 1024;

/// A chain as it was presented, and what it says. Shared by all connections that present the same.
#[derive(Debug)]
pub(super) struct Presented {
    /// The chain, leaf first; empty where there was no certificate.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Its facts under the trust of today.
    pub(super) paper: Arc<Paper>,
}

/// What a worker remembers.
#[derive(Debug, Default)]
pub(super) struct Papers {
    verified: RefCell<HashMap<[u8; 64], Arc<Presented>>>,
}

impl Papers {
    /// The facts of a chain under `trust`.
    pub(super) fn present(
        &self,
        chain: &[CertificateDer<'_>],
        trust: &TrustStore,
        now: Timestamp,
    ) -> Arc<Presented> {
        let key = key(chain, trust);
        if let Some(known) = self.verified.borrow().get(&key) {
            return Arc::clone(known);
        }
        let presented = Arc::new(verify(chain, trust, now));
        let mut verified = self.verified.borrow_mut();
        if verified.len() >= REMEMBERED_MAX {
            verified.clear();
        }
        verified.insert(key, Arc::clone(&presented));
        presented
    }

    /// Forgets everything: there is a new trust.
    pub(super) fn forget(&self) {
        self.verified.borrow_mut().clear();
    }
}

fn verify(chain: &[CertificateDer<'_>], trust: &TrustStore, now: Timestamp) -> Presented {
    let paper = if chain.is_empty() {
        Paper::Absent
    } else {
        Paper::Presented(trust.certificate(chain, now))
    };
    let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
    Presented { chain, paper: Arc::new(paper) }
}

fn key(chain: &[CertificateDer<'_>], trust: &TrustStore) -> [u8; 64] {
    let mut key = [0; 64];
    let (of_trust, of_chain) = key.split_at_mut(32);
    of_trust.copy_from_slice(&trust.fingerprint());
    of_chain.copy_from_slice(&tls::chain_digest(chain));
    key
}
