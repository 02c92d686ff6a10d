//! Certificates that a capture shows (before TLS 1.3 they are sent in clear), as the facts that the law judges.

use std::collections::BTreeMap;

use rustls_pki_types::CertificateDer;

use crate::capture::Chain as Shown;
use crate::flow::{Certificate, Chain, Name, Paper, Peer, Revocation, Timestamp};
use crate::policy::model::Model;
use crate::tls::{TrustStore, identities};

/// The trusts of the law, as far as their files were at hand.
#[derive(Debug, Default)]
pub(super) struct Papers {
    trust: BTreeMap<Name, TrustStore>,
}

impl Papers {
    pub(super) fn new(trust: BTreeMap<Name, TrustStore>) -> Self {
        Self { trust }
    }

    /// The client's paper under the trust of the listener; `None` where that trust is not known here.
    pub(super) fn client(
        &self,
        shown: &Shown,
        trust: Option<&Name>,
        at: Timestamp,
    ) -> Option<Paper> {
        let store = self.trust.get(trust?)?;
        Some(store.paper(Some(&chain(shown)), at))
    }

    /// The client's names alone. Names in a certificate that is not trusted are believed only to refuse.
    pub(super) fn names(shown: &Shown) -> Option<Paper> {
        let leaf = chain(shown).into_iter().next()?;
        Some(Paper::Presented(Certificate {
            identities: identities(&leaf)?,
            chain: Chain::Untrusted,
            not_before: Timestamp::from_nanos(i64::MIN),
            not_after: Timestamp::MAX,
            revocation: Revocation::Unknown,
            fingerprint: [0; 32],
        }))
    }

    /// What the dialled server turned out to be, by the trust of the system that it should be.
    pub(super) fn peer(
        &self,
        shown: &Shown,
        model: &Model,
        system: &Name,
        at: Timestamp,
    ) -> Option<Peer> {
        let upstream = model.systems.get(system)?.upstream.as_ref()?;
        let store = self.trust.get(&upstream.trust)?;
        let certificate = store.server_certificate(&chain(shown), at);
        let dated = certificate.not_before <= at && at <= certificate.not_after;
        let revoked = match certificate.revocation {
            Revocation::Good { until } => at >= until,
            Revocation::NotKept => false,
            Revocation::Revoked | Revocation::Unknown => true,
        };
        let good = certificate.chain == Chain::Trusted && dated && !revoked;
        Some(if good { Peer::Verified(certificate.identities) } else { Peer::Refused })
    }
}

fn chain(shown: &Shown) -> Vec<CertificateDer<'_>> {
    shown.certificates.iter().map(|der| CertificateDer::from(&**der)).collect()
}
