//! Certification authorities made on the spot, with leaves and revocation lists. Nothing here is for production.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::flow::{Identity, Timestamp};

const DAY: Duration = Duration::from_hours(24);

/// Three authorities: the union's, the centre's and one that nobody trusts.
#[derive(Debug)]
pub struct Pki {
    /// Issues to the union's systems and to the box's face toward them.
    pub union: Authority,
    /// Issues to the centre's systems and to the box's face toward them.
    pub center: Authority,
    /// Trusted by nobody.
    pub rogue: Authority,
}

/// A certification authority. Its `Debug` shows no key.
#[derive(Debug)]
pub struct Authority {
    name: String,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    /// The certificates between it and its root, itself first; none for a root.
    above: String,
    next: AtomicU64,
    now: Timestamp,
}

/// What a leaf is to be.
#[derive(Debug, Clone)]
pub struct Order {
    names: Vec<Identity>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// A leaf with its key.
pub struct Issued {
    /// PEM, leaf first.
    pub chain: String,
    /// PEM, PKCS#8.
    pub key: String,
    /// What a revocation list calls it.
    pub serial: u64,
}

impl Pki {
    /// New authorities, valid from a day before `now` for ten years.
    ///
    /// # Errors
    /// Where keys cannot be made.
    pub fn new(now: Timestamp) -> io::Result<Self> {
        Ok(Self {
            union: Authority::new("union-ca", now)?,
            center: Authority::new("center-ca", now)?,
            rogue: Authority::new("rogue-ca", now)?,
        })
    }
}

impl Order {
    /// For these names, valid from a day ago for 90 days, on both sides of TLS. A pin is no name and is left out.
    pub fn new(names: &[Identity]) -> Self {
        Self { names: names.to_vec(), from: None, until: None }
    }

    /// With dates of its own.
    #[must_use]
    pub const fn valid(mut self, from: Timestamp, until: Timestamp) -> Self {
        (self.from, self.until) = (Some(from), Some(until));
        self
    }
}

impl Authority {
    /// A root.
    ///
    /// # Errors
    /// Where a key cannot be made.
    pub fn new(name: &str, now: Timestamp) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(failed)?;
        let params = authority(name, now)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let issuer = Issuer::new(params, key);
        Ok(Self {
            name: name.to_owned(),
            certificate,
            issuer,
            above: String::new(),
            next: 1_000.into(),
            now,
        })
    }

    /// An authority under this one.
    ///
    /// # Errors
    /// Where a key cannot be made.
    pub fn intermediate(&self, name: &str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = authority(name, self.now)?;
        params.serial_number = Some(SerialNumber::from(self.serial()));
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let above = certificate.pem() + &self.above;
        let issuer = Issuer::new(params, key);
        let next = AtomicU64::new(1_000);
        Ok(Self { name: name.to_owned(), certificate, issuer, above, next, now: self.now })
    }

    /// A leaf and what leads up from it.
    ///
    /// # Errors
    /// Where a key cannot be made, or a name is none for a certificate.
    pub fn issue(&self, order: &Order) -> io::Result<Issued> {
        let serial = self.serial();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{} stand-in", self.name));
        params.subject_alt_names = names(&order.names)?;
        params.not_before = moment(order.from.unwrap_or_else(|| earlier(self.now, DAY)))?;
        params.not_after = moment(order.until.unwrap_or_else(|| self.now.plus(DAY * 89)))?;
        params.serial_number = Some(SerialNumber::from(serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Issued { chain: leaf.pem() + &self.above, key: key.serialize_pem(), serial })
    }

    /// A revocation list, PEM, made at `at` with the next one due at `next_update`; call it again for a newer one.
    ///
    /// # Errors
    /// Where `next_update` is not after `at`.
    pub fn list(
        &self,
        revoked: &[u64],
        at: Timestamp,
        next_update: Timestamp,
    ) -> io::Result<String> {
        let this_update = moment(at)?;
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update,
            next_update: moment(next_update)?,
            crl_number: SerialNumber::from(self.serial()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(failed)
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Writes its certificate to `NAME.pem` in `folder`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        write(&folder.join(format!("{}.pem", self.name)), &self.pem(), 0o644)
    }

    /// Writes a list to `NAME.crl` in `folder`, in one step, so that nobody reads half of it.
    ///
    /// # Errors
    /// As [`Authority::list`], or where it cannot be written.
    pub fn write_list(
        &self,
        folder: &Path,
        revoked: &[u64],
        at: Timestamp,
        next_update: Timestamp,
    ) -> io::Result<()> {
        let list = self.list(revoked, at, next_update)?;
        write(&folder.join(format!("{}.crl", self.name)), &list, 0o644)
    }

    fn serial(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key` (for the owner alone) in `folder`, the key first.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        write(&folder.join(format!("{name}.key")), &self.key, 0o600)?;
        write(&folder.join(format!("{name}.pem")), &self.chain, 0o644)
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (serial, chain) = (&self.serial, &self.chain);
        f.debug_struct("Issued")
            .field("serial", serial)
            .field("chain", chain)
            .field("key", &"Secret(…)")
            .finish()
    }
}

/// Writes beside the file and renames.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    let _old = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    fs::rename(&new, path)
}

fn authority(name: &str, now: Timestamp) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment(earlier(now, DAY))?;
    params.not_after = moment(now.plus(DAY * 3650))?;
    Ok(params)
}

fn names(identities: &[Identity]) -> io::Result<Vec<SanType>> {
    let made = identities.iter().filter_map(|identity| match identity {
        Identity::Dns(host) => Some(host.as_str().try_into().map(SanType::DnsName)),
        Identity::Uri(uri) => Some(uri.to_string().try_into().map(SanType::URI)),
        Identity::Spki(_) => None,
    });
    made.collect::<Result<_, _>>().map_err(failed)
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(now.as_nanos().saturating_sub(by))
}

fn moment(at: Timestamp) -> io::Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.as_seconds()).map_err(io::Error::other)
}

fn failed(error: rcgen::Error) -> io::Error {
    io::Error::other(error)
}
