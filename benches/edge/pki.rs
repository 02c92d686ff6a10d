//! The papers of both sides, made on the spot with rcgen: two authorities, their empty revocation lists, four leaves,
//! and a stranger's authority that certifies the same names. Keys are ECDSA P-256. What is shown to whom is decided elsewhere.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::site::{HTTPS_NAME, TLS_NAME};

/// How long everything is valid; a bench is over long before.
const VALID: Duration = Duration::days(7);

/// Writes authorities, lists, chains and keys into `folder`.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    let union = Authority::make("union-ca")?;
    let center = Authority::make("center-ca")?;
    union.write(folder, "union-ca")?;
    center.write(folder, "center-ca")?;
    fs::write(folder.join("both-ca.pem"), format!("{}{}", union.pem, center.pem))?;
    union.leaf(folder, "client", &["kizon.union.example"])?;
    union.leaf(folder, "union-facing", &[HTTPS_NAME, TLS_NAME])?;
    center.leaf(folder, "center-facing", &["edge.union.example"])?;
    center.leaf(folder, "upstream", &[HTTPS_NAME, TLS_NAME])?;
    let stranger = Authority::make("stranger-ca")?;
    stranger.leaf(folder, "stranger", &["kizon.union.example"])?;
    stranger.leaf(folder, "impostor", &[HTTPS_NAME, TLS_NAME])
}

struct Authority {
    pem: String,
    list: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn make(name: &str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = dated(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(params, key);
        let list = empty_list().signed_by(&issuer).and_then(|list| list.pem());
        Ok(Self { pem, list: list.map_err(io::Error::other)?, issuer })
    }

    fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{name}.pem")), &self.pem)?;
        fs::write(folder.join(format!("{name}.crl")), &self.list)
    }

    fn leaf(&self, folder: &Path, name: &str, hosts: &[&str]) -> io::Result<()> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = dated(name);
        for host in hosts {
            let host = (*host).try_into().map_err(io::Error::other)?;
            params.subject_alt_names.push(rcgen::SanType::DnsName(host));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let chain = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?.pem();
        let key = key.serialize_pem();
        fs::write(folder.join(format!("{name}.pem")), &chain)?;
        fs::write(folder.join(format!("{name}.key")), &key)?;
        // HAProxy wants both in one file.
        fs::write(folder.join(format!("{name}.both.pem")), chain + &key)
    }
}

fn dated(name: &str) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (now - Duration::HOUR, now + VALID);
    params
}

fn empty_list() -> CertificateRevocationListParams {
    let now = OffsetDateTime::now_utc();
    CertificateRevocationListParams {
        this_update: now - Duration::HOUR,
        next_update: now + VALID,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}
