//! The answer to a refused request: RFC 9457 problem details, in Japanese and English, silent about the inside.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::verdict::Reason;

/// A refusal as it is shown to the client.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// Why.
    pub(super) reason: Reason,
    /// The HTTP status.
    pub(super) status: u16,
    /// The ledger's reference, where the refusal has an entry of its own.
    pub(super) reference: Option<String>,
}

/// RFC 9457 §3.1, with members of our own.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

impl Refusal {
    /// As a response; on HTTP/1.1 it is the last one of its connection.
    pub(super) fn response(&self, is_http1: bool) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::FORBIDDEN);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_http1 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// As the bytes of an HTTP/1.1 response, for a request that no server has seen.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let body = self.body();
        let phrase =
            StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.status,
            phrase.unwrap_or("Refused"),
            body.len()
        );
        [head.into_bytes(), body].concat()
    }

    fn body(&self) -> Vec<u8> {
        let problem = Problem {
            r#type: format!("urn:sekisho:reason:{}", self.reason.code()),
            title: self.reason.japanese(),
            status: self.status,
            detail: self.reason.english(),
            reason: self.reason.code(),
            reference: self.reference.as_deref(),
        };
        // Texts and a number always become JSON.
        serde_json::to_vec(&problem).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use crate::verdict::Reason;

    #[test]
    fn a_refusal_says_why_in_both_languages_and_nothing_of_the_inside() {
        let refusal =
            Refusal { reason: Reason::Method, status: 403, reference: Some("17-48213".to_owned()) };
        let response = refusal.response(true);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["connection"], "close");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["reason"], "method");
        assert_eq!(body["status"], 403);
        assert_eq!(body["reference"], "17-48213");
        assert_eq!(body["title"], Reason::Method.japanese());
        assert_eq!(body["detail"], Reason::Method.english());
        assert!(refusal.response(false).headers().get("connection").is_none());
    }

    #[test]
    fn the_raw_form_is_framed_by_its_length() {
        let refusal = Refusal { reason: Reason::MalformedRequest, status: 400, reference: None };
        let text = String::from_utf8(refusal.bytes()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(!body.contains("reference"));
    }
}
