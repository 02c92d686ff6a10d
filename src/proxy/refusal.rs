//! What a refused client is told: RFC 9457 problem details in Japanese and English, with the reason's
//! code and the ledger's reference. Nothing of the inside, nothing that the client sent.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, HeaderValue,
};
use http::{HeaderMap, Response, StatusCode, Version};
use serde::Serialize;

use crate::verdict::Reason;

/// Which side of this box the reason lies on; it decides between statuses that share a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client's request, or this box.
    Client,
    /// The size of the client's head: 431 (RFC 6585 §5).
    Head,
    /// The upstream: a timeout is 504 (RFC 9110 §15.6.5).
    Upstream,
}

/// A refusal of one request, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub reason: Reason,
    /// On which side.
    pub side: Side,
    /// The ledger's reference (`17-48213`), where the refusal got an entry of its own.
    pub reference: Option<String>,
}

/// The members of the problem details object, in the order in which a person reads them.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    title_en: &'a str,
    status: u16,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

impl Refusal {
    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        let status = match self.side {
            Side::Client => self.reason.status(),
            Side::Head => self.reason.header_status(),
            Side::Upstream => self.reason.upstream_status(),
        };
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The response; on HTTP/1 it ends the connection.
    pub(crate) fn response(&self, version: Version) -> Response<Bytes> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        *response.headers_mut() = headers();
        if version <= Version::HTTP_11 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn body(&self) -> Bytes {
        let problem = Problem {
            r#type: format!("urn:sekisho:reason:{}", self.reason.code()),
            title: self.reason.japanese(),
            title_en: self.reason.english(),
            status: self.status().as_u16(),
            reason: self.reason.code(),
            reference: self.reference.as_deref(),
        };
        // A struct of texts and a number cannot fail; an empty body would still be a refusal.
        serde_json::to_vec(&problem).map(Bytes::from).unwrap_or_default()
    }
}

fn headers() -> HeaderMap {
    let fields = [
        (CONTENT_TYPE, "application/problem+json; charset=utf-8"),
        (CONTENT_LANGUAGE, "ja, en"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

#[cfg(test)]
mod tests {
    use http::Version;
    use serde_json::{Value, json};

    use super::{Refusal, Side};
    use crate::verdict::Reason;

    #[test]
    fn the_side_decides_between_statuses() {
        let table = [
            (Reason::Method, Side::Client, 403),
            (Reason::HostMismatch, Side::Client, 421),
            (Reason::MalformedRequest, Side::Head, 400),
            (Reason::Limit, Side::Client, 503),
            (Reason::Limit, Side::Head, 431),
            (Reason::Limit, Side::Upstream, 503),
            (Reason::Timeout, Side::Client, 408),
            (Reason::Timeout, Side::Upstream, 504),
            (Reason::UpstreamIdentity, Side::Upstream, 502),
            (Reason::LedgerUnwritable, Side::Client, 503),
        ];
        for (reason, side, status) in table {
            let refusal = Refusal { reason, side, reference: None };
            assert_eq!(refusal.status().as_u16(), status, "{reason} {side:?}");
        }
    }

    #[test]
    fn a_person_reads_why_and_where_to_ask() {
        let refusal = Refusal {
            reason: Reason::Method,
            side: Side::Client,
            reference: Some("17-48213".to_owned()),
        };
        let response = refusal.response(Version::HTTP_11);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let due = json!({
            "type": "urn:sekisho:reason:method",
            "title": "この規則では認められていないHTTPメソッドです",
            "title_en": "the method is not in the rule",
            "status": 403,
            "reason": "method",
            "reference": "17-48213",
        });
        assert_eq!(body, due);
        let field = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(field("content-type"), Some("application/problem+json; charset=utf-8"));
        assert_eq!(field("content-language"), Some("ja, en"));
        assert_eq!(field("cache-control"), Some("no-store"));
        assert_eq!(field("connection"), Some("close"));
    }

    #[test]
    fn every_reason_says_itself_and_nothing_else() {
        for reason in Reason::ALL {
            let refusal = Refusal { reason: *reason, side: Side::Client, reference: None };
            let body: Value = serde_json::from_slice(&refusal.body()).unwrap();
            let members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
            assert_eq!(members, ["reason", "status", "title", "title_en", "type"]);
            assert_eq!(body["title"], reason.japanese());
            assert_eq!(body["status"], reason.status());
        }
    }

    #[test]
    fn http2_has_no_connection_field() {
        let refusal =
            Refusal { reason: Reason::UpstreamFailed, side: Side::Upstream, reference: None };
        assert!(!refusal.response(Version::HTTP_2).headers().contains_key("connection"));
    }
}
