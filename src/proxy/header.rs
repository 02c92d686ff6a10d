//! What is added to and taken from header fields on the way (RFC 9110 §7.6, RFC 7239). Decides nothing.

use std::net::IpAddr;

use http::header::{
    CONNECTION, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::{Response, Uri, Version};

use crate::flow::Request;

/// Fields that belong to one connection (RFC 9110 §7.6.1) besides what `Connection` nominates.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// Fields by which others say what [`FORWARDED`] says; a client's own are not believed.
const CLAIMS: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-real-ip",
    "proxy-connection",
];

/// Fields that a `Connection` may not take away: they are end-to-end, and their loss would change the message.
const END_TO_END: [&str; 8] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "authorization",
    "cookie",
    "forwarded",
    "via",
];

/// Prepares a request for the next hop: `client` asks through the box `name`.
pub(super) fn request(parts: &mut Parts, judged: &Request, client: IpAddr, name: &str) {
    let takes_trailers = takes_trailers(&parts.headers);
    strip(&mut parts.headers);
    parts.headers.remove(EXPECT);
    parts.headers.remove(FORWARDED);
    for claim in CLAIMS {
        parts.headers.remove(claim);
    }
    if takes_trailers {
        parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    append_via(&mut parts.headers, parts.version, name);
    if let Some(forwarded) = forwarded(client, judged) {
        parts.headers.insert(FORWARDED, forwarded);
    }
}

/// Gives the request the target of the version it is sent in: the judged path, the client's query, the judged host.
pub(super) fn target(parts: &mut Parts, judged: &Request, is_http2: bool) {
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", judged.path);
    let host = judged.host.as_ref().map(ToString::to_string).unwrap_or_default();
    let builder = Uri::builder().path_and_query(path);
    let uri = if is_http2 {
        builder.scheme("https").authority(host.as_str()).build()
    } else {
        builder.build()
    };
    // A judged path and the query of a parsed target always make a target.
    parts.uri = uri.unwrap_or_default();
    parts.headers.remove(HOST);
    if is_http2 {
        parts.version = Version::HTTP_2;
    } else {
        parts.version = Version::HTTP_11;
        if let Ok(host) = HeaderValue::from_str(&host) {
            parts.headers.insert(HOST, host);
        }
    }
}

/// Prepares a response for the client.
pub(super) fn response<B>(response: &mut Response<B>, name: &str, is_http1: bool) {
    let version = response.version();
    strip(response.headers_mut());
    append_via(response.headers_mut(), version, name);
    *response.version_mut() = if is_http1 { Version::HTTP_11 } else { Version::HTTP_2 };
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
        })
    })
}

/// Takes away what belongs to one connection. `Trailer` stays: it announces what is passed on.
fn strip(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|token| token.trim().parse().ok())
        .filter(|name: &HeaderName| !END_TO_END.contains(&name.as_str()) && *name != TRAILER)
        .collect();
    for name in nominated.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(TE);
}

fn append_via(headers: &mut HeaderMap, version: Version, name: &str) {
    let received = if version == Version::HTTP_2 { "2" } else { "1.1" };
    if let Ok(via) = HeaderValue::from_str(&format!("{received} {name}")) {
        headers.append(VIA, via);
    }
}

/// RFC 7239 §4: an IPv6 address stands in brackets and quotes.
fn forwarded(client: IpAddr, judged: &Request) -> Option<HeaderValue> {
    let client = match client {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let host = judged.host.as_ref()?;
    HeaderValue::from_str(&format!("for={client};host={host};proto=https")).ok()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::{Response, Version};

    use crate::flow::{Host, Method, Path, Request};

    fn judged() -> Request {
        Request {
            method: Method::parse("GET").unwrap(),
            host: Host::parse("chukan.center.example").ok(),
            path: Path::parse("/exchange/%75p").unwrap(),
            upgrade: false,
        }
    }

    fn sent(fields: &[(&str, &str)], is_http2: bool) -> (String, Vec<(String, String)>) {
        let mut builder = http::Request::builder()
            .uri("/exchange/%75p?q=1%20")
            .header("host", "Chukan.Center.Example");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let (mut parts, ()) = builder.body(()).unwrap().into_parts();
        super::request(&mut parts, &judged(), IpAddr::from([10, 13, 10, 5]), "edge-1");
        super::target(&mut parts, &judged(), is_http2);
        let all = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let mut all: Vec<_> = all.collect();
        all.sort();
        (parts.uri.to_string(), all)
    }

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const FORWARDED: (&str, &str) =
        ("forwarded", "for=10.13.10.5;host=chukan.center.example;proto=https");

    #[test]
    fn the_judged_path_is_sent_and_the_query_as_it_came() {
        let (uri, fields) = sent(&[], false);
        assert_eq!(uri, "/exchange/up?q=1%20");
        assert_eq!(
            fields,
            pairs(&[FORWARDED, ("host", "chukan.center.example"), ("via", "1.1 edge-1")])
        );
        let (uri, fields) = sent(&[], true);
        assert_eq!(uri, "https://chukan.center.example/exchange/up?q=1%20");
        assert_eq!(fields, pairs(&[FORWARDED, ("via", "1.1 edge-1")]));
    }

    #[test]
    fn what_belongs_to_one_connection_ends_here() {
        let (_, fields) = sent(
            &[
                ("connection", "keep-alive, x-secret, cookie, host"),
                ("keep-alive", "timeout=5"),
                ("x-secret", "1"),
                ("cookie", "a=b"),
                ("te", "trailers, deflate"),
                ("expect", "100-continue"),
                ("upgrade", "websocket"),
                ("proxy-authorization", "x"),
                ("forwarded", "for=1.2.3.4"),
                ("x-forwarded-for", "1.2.3.4"),
                ("via", "1.0 before"),
            ],
            false,
        );
        let expected = pairs(&[
            ("cookie", "a=b"),
            FORWARDED,
            ("host", "chukan.center.example"),
            ("te", "trailers"),
            ("via", "1.0 before"),
            ("via", "1.1 edge-1"),
        ]);
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_response_loses_the_fields_of_its_own_hop_too() {
        let mut response = Response::builder()
            .header("connection", "close, x-hop")
            .header("x-hop", "1")
            .header("transfer-encoding", "chunked")
            .header("trailer", "x-sum")
            .body(())
            .unwrap();
        super::response(&mut response, "edge-1", false);
        assert_eq!(response.version(), Version::HTTP_2);
        let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["trailer", "via"]);
    }
}
