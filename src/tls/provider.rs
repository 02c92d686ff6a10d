//! The cryptography in use, said explicitly: never a process-wide default.

use std::sync::{Arc, LazyLock};

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};

/// TLS 1.3, and ECDHE with AEAD for 1.2 where the law lists it: IPA TLS 暗号設定ガイドライン 高セキュリティ型, best first.
const SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), ..default_provider() })
});

/// The one provider of both legs: aws-lc-rs with the permitted suites only.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Makes this thread ready to shake hands. The first random number of a process, and to a lesser degree of a thread,
/// waits for a tenth of a second of entropy: better before there is anybody to wait with it.
pub fn draw_entropy() {
    // Where there is none, the first handshake fails and says so.
    let _unready = aws_lc_rs::rand::fill(&mut [0; 32]);
}

#[cfg(test)]
mod tests {
    use rustls::SignatureScheme;

    use super::provider;

    #[test]
    fn nothing_rests_on_sha1() {
        let provider = provider();
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        assert!(!schemes.is_empty());
        assert!(!schemes.contains(&SignatureScheme::RSA_PKCS1_SHA1));
        assert!(!schemes.contains(&SignatureScheme::ECDSA_SHA1_Legacy));
    }

    #[test]
    fn every_suite_is_ephemeral_and_authenticated() {
        for suite in &provider().cipher_suites {
            let name = format!("{:?}", suite.suite());
            assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
            assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
        }
    }
}
