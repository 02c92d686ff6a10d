//! Certificates and lists for the tests of this crate, made on the spot. Only what a test asks for.

use std::sync::OnceLock;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    SigningKey,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;

use super::provider;
use crate::flow::Timestamp;

/// The day that the tests stand on.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T02:14:07+09:00").unwrap()
}

/// A day from the day of the tests, in days.
pub(crate) fn day(days: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(now().as_seconds() + days * 86_400).unwrap()
}

/// A client that believes any server; what is tested is the server.
#[derive(Debug)]
pub(crate) struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The clock of the day of the tests.
#[derive(Debug)]
pub(crate) struct Day;

impl TimeProvider for Day {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(now().as_seconds()).unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A subject alternative name.
pub(crate) enum San<'a> {
    Dns(&'a str),
    Uri(&'a str),
    Other(SanType),
}

impl San<'_> {
    fn made(&self) -> SanType {
        match self {
            Self::Dns(name) => SanType::DnsName((*name).try_into().unwrap()),
            Self::Uri(name) => SanType::URI((*name).try_into().unwrap()),
            Self::Other(name) => name.clone(),
        }
    }
}

/// A certification authority.
pub(crate) struct Authority {
    pub(crate) certificate: rcgen::Certificate,
    name: DistinguishedName,
    issuer: Issuer<'static, KeyPair>,
    above: Vec<rcgen::Certificate>,
}

/// A leaf and what leads up from it.
pub(crate) struct Leaf {
    pub(crate) certificate: CertificateDer<'static>,
    certificates: Vec<rcgen::Certificate>,
    pub(crate) key: KeyPair,
}

impl Authority {
    /// A root.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, day(-365), day(365))
    }

    /// A root with dates.
    pub(crate) fn with(name: &str, from: OffsetDateTime, to: OffsetDateTime) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name, from, to);
        let certificate = params.self_signed(&key).unwrap();
        let name = params.distinguished_name.clone();
        Self { certificate, name, issuer: Issuer::new(params, key), above: Vec::new() }
    }

    /// One that many cases may share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(|| Self::new("shared"))
    }

    /// An authority under this one; its serial number is 9.
    pub(crate) fn intermediate(&self, name: &str, from: i64, to: i64) -> Self {
        self.intermediate_with(name, from, to, |_| {})
    }

    /// The same with something changed.
    pub(crate) fn intermediate_with(
        &self,
        name: &str,
        from: i64,
        to: i64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority_params(name, day(from), day(to));
        params.serial_number = Some(SerialNumber::from(9));
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = std::iter::once(certificate.clone()).chain(self.above.clone()).collect();
        let name = params.distinguished_name.clone();
        Self { certificate, name, issuer: Issuer::new(params, key), above }
    }

    /// A leaf for both sides of TLS, valid a month around today; its serial number is 7.
    pub(crate) fn leaf(&self, names: &[San<'_>]) -> Leaf {
        self.leaf_with(names, |_| {})
    }

    /// The same with something changed.
    pub(crate) fn leaf_with(
        &self,
        names: &[San<'_>],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = self.signed(&key, names, change);
        self.made(certificate, key)
    }

    /// A leaf for a key that there already is.
    pub(crate) fn leaf_of(&self, key: &KeyPair, names: &[San<'_>]) -> Leaf {
        let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        let certificate = self.signed(&key, names, |_| {});
        self.made(certificate, key)
    }

    /// A list that revokes these serial numbers, PEM.
    pub(crate) fn list(&self, revoked: &[u8], next_update: i64) -> Vec<u8> {
        list(revoked, next_update, &self.issuer).pem().unwrap().into_bytes()
    }

    /// The same, DER.
    pub(crate) fn list_der(&self, revoked: &[u8], next_update: i64) -> Vec<u8> {
        list(revoked, next_update, &self.issuer).der().to_vec()
    }

    /// A list by an authority that may sign none.
    pub(crate) fn forged_list(&self, revoked: &[u8], next_update: i64) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.name.clone();
        let issuer = Issuer::new(params, self.issuer.key());
        list(revoked, next_update, &issuer).pem().unwrap().into_bytes()
    }

    /// The root, PEM.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn signed(
        &self,
        key: &KeyPair,
        names: &[San<'_>],
        change: impl FnOnce(&mut CertificateParams),
    ) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "kizon.union.example");
        params.subject_alt_names = names.iter().map(San::made).collect();
        (params.not_before, params.not_after) = (day(-15), day(15));
        params.serial_number = Some(SerialNumber::from(7));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        params.signed_by(key, &self.issuer).unwrap()
    }

    fn made(&self, certificate: rcgen::Certificate, key: KeyPair) -> Leaf {
        let der = certificate.der().clone();
        let certificates = std::iter::once(certificate).chain(self.above.clone()).collect();
        Leaf { certificate: der, certificates, key }
    }
}

impl Leaf {
    /// The chain, PEM.
    pub(crate) fn chain_pem(&self) -> String {
        self.certificates.iter().map(rcgen::Certificate::pem).collect()
    }

    /// The chain, DER.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.certificates.iter().map(|certificate| certificate.der().clone()).collect()
    }

    /// The key, PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

fn list(
    revoked: &[u8],
    next_update: i64,
    issuer: &Issuer<'_, impl SigningKey>,
) -> CertificateRevocationList {
    let entry = |serial: &u8| RevokedCertParams {
        serial_number: SerialNumber::from(u64::from(*serial)),
        revocation_time: day(-1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: day(-400),
        next_update: day(next_update),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap()
}

fn authority_params(name: &str, from: OffsetDateTime, to: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (from, to);
    params
}
