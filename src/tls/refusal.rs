//! Why a handshake failed, as a reason of the law and a sentence of our own. What the peer wrote is never repeated.

use std::io;

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved,
};

use crate::verdict::Reason;

/// Why the client's handshake failed.
pub fn client_refusal(error: &io::Error) -> (Reason, &'static str) {
    match tls_error(error) {
        Some(error) => client(error),
        None if error.kind() == io::ErrorKind::TimedOut => {
            (Reason::Timeout, "the handshake took too long")
        }
        None => (Reason::Handshake, "the client broke off the handshake"),
    }
}

/// Why the handshake with an upstream failed, or why it broke off later: with TLS 1.3 it refuses our certificate
/// only after the handshake, on the first read.
pub fn upstream_refusal(error: &io::Error) -> (Reason, &'static str) {
    match tls_error(error) {
        Some(error) => upstream(error),
        None if error.kind() == io::ErrorKind::TimedOut => {
            (Reason::Timeout, "the handshake took too long")
        }
        None => (Reason::UpstreamFailed, "the upstream broke off"),
    }
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of rustls are an open set")]
fn client(error: &Error) -> (Reason, &'static str) {
    match error {
        Error::PeerIncompatible(what) => client_incompatible(what),
        Error::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName)
        | Error::InvalidMessage(InvalidMessage::InvalidServerName) => {
            (Reason::HostMismatch, "the server name asked for is no host name")
        }
        Error::PeerMisbehaved(PeerMisbehaved::ServerNameDifferedOnRetry) => {
            (Reason::HostMismatch, "the client asked for two server names")
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            (Reason::Handshake, "the client did not prove that it holds the key of its certificate")
        }
        Error::InvalidCertificate(_) => {
            (Reason::CertificateInvalid, "the client's certificate cannot be read")
        }
        Error::NoApplicationProtocol => {
            (Reason::Protocol, "the client offers no application protocol that is spoken here")
        }
        Error::AlertReceived(alert) => client_alert(*alert),
        Error::InvalidMessage(_) => (Reason::Handshake, "the client does not speak TLS"),
        _ => (Reason::Handshake, "the client broke the rules of TLS"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of rustls are an open set")]
fn client_incompatible(what: &PeerIncompatible) -> (Reason, &'static str) {
    match what {
        // A client of TLS 1.1 and before sends no signature algorithms, which is noticed first.
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            (Reason::TlsVersion, "the client offers no TLS version that the law permits")
        }
        _ => (Reason::Handshake, "the client offers no cipher, group or signature in common"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the alerts of TLS are an open set")]
fn client_alert(alert: AlertDescription) -> (Reason, &'static str) {
    match alert {
        AlertDescription::ProtocolVersion => {
            (Reason::TlsVersion, "the client accepts no TLS version that the law permits")
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate => {
            (Reason::Handshake, "the client does not accept the certificate of this box")
        }
        _ => (Reason::Handshake, "the client ended the handshake with an alert"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of rustls are an open set")]
fn upstream(error: &Error) -> (Reason, &'static str) {
    match error {
        Error::InvalidCertificate(what) => (Reason::UpstreamIdentity, upstream_certificate(what)),
        Error::InvalidCertRevocationList(_) => {
            (Reason::UpstreamIdentity, "the revocation status of the upstream cannot be told")
        }
        Error::NoCertificatesPresented => {
            (Reason::UpstreamIdentity, "the upstream shows no certificate")
        }
        Error::UnsupportedNameType => {
            (Reason::UpstreamIdentity, "the server name of the upstream is no host name")
        }
        Error::PeerIncompatible(_) => (
            Reason::UpstreamFailed,
            "the upstream speaks no TLS version or cipher that the law permits",
        ),
        Error::AlertReceived(alert) => (Reason::UpstreamFailed, upstream_alert(*alert)),
        _ => (Reason::UpstreamFailed, "the upstream does not speak TLS as it should"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the errors of rustls are an open set")]
fn upstream_certificate(what: &CertificateError) -> &'static str {
    match what {
        CertificateError::UnknownIssuer => {
            "the upstream's certificate does not lead to the trust of the law, or is not for servers"
        }
        CertificateError::Revoked => "the upstream's certificate is revoked",
        CertificateError::UnknownRevocationStatus => "no revocation list covers the upstream",
        CertificateError::ExpiredRevocationList => {
            "the revocation list for the upstream is overdue"
        }
        CertificateError::NotValidYet => "the upstream's certificate is not valid yet",
        CertificateError::Expired => "the upstream's certificate has expired",
        CertificateError::NotValidForName => {
            "the upstream's certificate is for another server name"
        }
        CertificateError::ApplicationVerificationFailure => {
            "the upstream's certificate has none of the system's identities"
        }
        CertificateError::BadSignature => "the upstream did not prove that it holds its key",
        _ => "the upstream's certificate cannot be used",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the alerts of TLS are an open set")]
fn upstream_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::ProtocolVersion => "the upstream refused the TLS version",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRequired
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => "the upstream refused the certificate of this box",
        _ => "the upstream ended the connection with an alert",
    }
}
