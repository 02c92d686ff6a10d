//! The words and small values of the law's files: what each may be.

use serde_json::{Value, json};

use super::model::{
    Dial, Enforcement, Flaw, IndividualNumber, PathPattern, Protocol, RoundTrip, Side, Zone,
};
use super::pattern;
use crate::flow::TlsVersion;
use crate::verdict::Reason;
use crate::yaml::{Scalar, Shape, Word, Written, Wrong, quoted, text_shape, unknown_word};

/// ISO 3166-1 alpha-2, upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Country(pub(super) String);

impl Scalar for Country {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.text("a country such as `JP`")?;
        let is_country =
            |text: &str| text.len() == 2 && text.bytes().all(|c| c.is_ascii_uppercase());
        if is_country(text) {
            return Ok(Self(text.to_owned()));
        }
        let wrong = Wrong::value(format!(
            "{} is not a country: two upper-case letters of ISO 3166-1",
            quoted(text)
        ));
        let upper = text.to_ascii_uppercase();
        Err(if is_country(&upper) {
            wrong.remedy(format!("did you mean `{upper}`?"))
        } else {
            wrong
        })
    }
}

impl Scalar for Zone {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.text("a time zone")?;
        let zone = match text {
            "Asia/Tokyo" => Some(9 * 3600),
            "UTC" => Some(0),
            offset => fixed_offset(offset),
        };
        let wrong =
            || Wrong::value(format!("{} is not a time zone that is known here", quoted(text)));
        zone.map(|offset| Self { offset }).ok_or_else(|| {
            wrong()
                .remedy("write `Asia/Tokyo`, `UTC` or a fixed offset such as `+09:00`".to_owned())
        })
    }
}

/// `+09:00`, at most 14 hours from UTC.
fn fixed_offset(text: &str) -> Option<i32> {
    let (sign, clock) = match text.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|c| c.is_ascii_digit());
        two.then(|| digits.parse::<i32>().ok()).flatten()
    };
    let seconds = number(hours)? * 3600 + number(minutes).filter(|minutes| *minutes < 60)? * 60;
    (seconds <= 14 * 3600).then_some(sign * seconds)
}

impl Scalar for Reason {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.text("a reason")?;
        let codes = Self::ALL.iter().map(|reason| reason.code());
        Self::from_code(text).ok_or_else(|| unknown_word(text, "a reason", codes))
    }
}

impl Scalar for PathPattern {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        pattern::parse(written.text("a path such as `/exchange/**`")?)
    }
}

impl Word for Enforcement {
    const DUE: &'static str = "a word for `enforcement`";
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("observe", Self::Observe)];
}

impl Word for RoundTrip {
    const DUE: &'static str = "a word for `round_trip`";
    const WORDS: &'static [(&'static str, Self)] =
        &[("observe", Self::Observe), ("enforce", Self::Enforce)];
}

/// A SHA-256 digest as `sha256sum` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl Scalar for Sha256 {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let due = "a SHA-256 digest: 64 hexadecimal digits, lower case";
        // All digits would be a number to some readers, so that quotes may be there.
        let text = written.text.trim();
        digest(text).map(Self).ok_or_else(|| Wrong::value(format!("{} is not {due}", quoted(text))))
    }
}

/// 64 hexadecimal digits in lower case as bytes.
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    let lower = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if text.len() != 64 || !text.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// What a scenario says is wrong with the client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CertificateFlaw(pub(super) Flaw);

impl Word for CertificateFlaw {
    const DUE: &'static str = "a word for `certificate`";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("absent", Self(Flaw::Absent)),
        ("untrusted", Self(Flaw::Untrusted)),
        ("expired", Self(Flaw::Expired)),
        ("revoked", Self(Flaw::Revoked)),
        ("unlisted", Self(Flaw::Unlisted)),
    ];
}

/// What a scenario says of the upstream: only that it is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerWord;

impl Word for PeerWord {
    const DUE: &'static str = "a word for `peer`";
    const WORDS: &'static [(&'static str, Self)] = &[("stranger", Self)];
}

/// Whether TLS may pass unterminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passthrough {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

impl Word for Passthrough {
    const DUE: &'static str = "a word for `passthrough`";
    const WORDS: &'static [(&'static str, Self)] =
        &[("allowed", Self::Allowed), ("refused", Self::Refused)];
}

/// The version that a scenario's client offers: also one that no law can permit.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfferedVersion(pub(super) TlsVersion);

impl Word for OfferedVersion {
    const DUE: &'static str = "a TLS version";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("1.3", Self(TlsVersion::Tls13)),
        ("1.2", Self(TlsVersion::Tls12)),
        ("old", Self(TlsVersion::Old)),
    ];
}

impl Word for Dial {
    const DUE: &'static str = "a word for `dial`";
    const WORDS: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("declared", Self::Declared), ("never", Self::Never)];
}

impl Word for Side {
    const DUE: &'static str = "a side";
    const WORDS: &'static [(&'static str, Self)] =
        &[("union", Self::Union), ("center", Self::Center)];
}

impl Word for Protocol {
    const DUE: &'static str = "a protocol";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("https", Self::Https),
        ("tls", Self::Tls),
        ("tls_passthrough", Self::TlsPassthrough),
        ("tcp", Self::Tcp),
    ];
}

impl Word for IndividualNumber {
    const DUE: &'static str = "a word for `individual_number`";
    const WORDS: &'static [(&'static str, Self)] =
        &[("permitted", Self::Permitted), ("forbidden", Self::Forbidden), ("unseen", Self::Unseen)];
}

impl Shape for Country {
    fn shape() -> Value {
        text_shape("a country, ISO 3166-1 alpha-2", "^[A-Z]{2}$")
    }
}

impl Shape for Zone {
    fn shape() -> Value {
        let zone = "`Asia/Tokyo`, `UTC` or a fixed offset such as `+09:00`";
        text_shape(zone, "^(Asia/Tokyo|UTC|[+-][0-9]{2}:[0-9]{2})$")
    }
}

impl Shape for Sha256 {
    fn shape() -> Value {
        text_shape("64 hexadecimal digits, as `sha256sum` writes them", "^[0-9a-f]{64}$")
    }
}

impl Shape for Reason {
    fn shape() -> Value {
        let codes: Vec<_> = Self::ALL.iter().map(|reason| reason.code()).collect();
        json!({ "enum": codes, "description": "a reason; `sekisho reason CODE` explains it" })
    }
}

impl Shape for PathPattern {
    fn shape() -> Value {
        text_shape("a path: `*` is one segment, `**` (last only) one or more", "^/")
    }
}

#[cfg(test)]
mod tests {
    use super::{digest, fixed_offset};

    #[test]
    fn an_offset_is_hours_and_minutes_within_fourteen_hours() {
        assert_eq!(fixed_offset("+09:00"), Some(9 * 3600));
        assert_eq!(fixed_offset("-03:30"), Some(-(3 * 3600 + 30 * 60)));
        assert_eq!(fixed_offset("+00:59"), Some(59 * 60));
        assert_eq!(fixed_offset("+14:00"), Some(14 * 3600));
        assert_eq!(fixed_offset("-14:00"), Some(-14 * 3600));
        for wrong in [
            "", "09:00", "+9:00", "+09:0", "+009:00", "+09:60", "+14:01", "+0a:00", "+09", "+-9:00",
        ] {
            assert_eq!(fixed_offset(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits_in_lower_case() {
        assert_eq!(digest(&"0f".repeat(32)), Some([0x0f; 32]));
        assert_eq!(digest(&"a9".repeat(32)), Some([0xa9; 32]));
        for wrong in ["0F".repeat(32), "0f".repeat(31), "0f".repeat(33), "0g".repeat(32)] {
            assert_eq!(digest(&wrong), None, "{wrong}");
        }
    }
}
