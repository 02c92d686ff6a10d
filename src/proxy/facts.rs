//! What the law looks at in a request: method, host, path, in their one normal form; and what the ledger says of them.

use http::header::UPGRADE;
use http::request::Parts;
use http::{Method as HttpMethod, Version};

use super::header::{self, Malformed};
use super::snapshot::Snapshot;
use crate::flow::{Hello, Host, Method, Path, Request, ServerName};
use crate::ledger::RequestFacts;

/// The facts of a request that came to `port` of a connection whose server name is `expected`.
///
/// # Errors
/// What is malformed, in our own words: it could be read in two ways.
pub(super) fn request(
    parts: &Parts,
    port: u16,
    expected: Option<&Host>,
) -> Result<Request, &'static str> {
    let method = Method::parse(parts.method.as_str());
    let method = method.map_err(|_other| "the method is not a token of at most 32 characters")?;
    if parts.version == Version::HTTP_2 {
        header::check_http2(&parts.headers).map_err(Malformed::description)?;
    }
    let authority = header::authority(parts).map_err(Malformed::description)?;
    Ok(Request {
        method,
        host: header::host(authority, port, expected),
        path: path(parts)?,
        upgrade: is_upgrade(parts),
    })
}

fn path(parts: &Parts) -> Result<Path, &'static str> {
    // CONNECT has no path (RFC 9110 §9.3.6); it is an upgrade to the law, wherever it wants to go.
    let text = if parts.method == HttpMethod::CONNECT { "/" } else { parts.uri.path() };
    Path::parse(text).map_err(
        |_why| "the path can be read in two ways, or has characters that a path cannot have",
    )
}

/// Whether it asks for another protocol. HTTP/2 knows only extended CONNECT (RFC 8441), which is not offered.
fn is_upgrade(parts: &Parts) -> bool {
    parts.method == HttpMethod::CONNECT
        || header::names_upgrade(&parts.headers)
        || parts.headers.contains_key(UPGRADE)
}

/// What the ledger says of a request.
pub(super) fn request_facts(
    snapshot: &Snapshot,
    hello: Option<&Hello>,
    request: &Request,
) -> RequestFacts {
    let engine = &snapshot.engine;
    // The host is told only where it is not the server name that *opened* has already told.
    let told = hello.is_some_and(|hello| match (&hello.server_name, &request.host) {
        (ServerName::Name(name), Some(host)) => name == host,
        (ServerName::Name(_) | ServerName::Missing | ServerName::Unusable, _) => false,
    });
    let host = request.host.as_ref().filter(|_| !told);
    RequestFacts {
        method: engine.mask_method(&request.method),
        host: host.map(|host| engine.mask_host(host.as_str())),
        path: engine.mask_path(&request.path),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::request;

    fn check(
        uri: &str,
        fields: &[(&str, &str)],
        expected: Result<(Option<&str>, &str, bool), &str>,
    ) {
        let mut builder = Request::builder().uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let facts = request(&parts, 8443, None);
        let seen = facts.as_ref().map(|facts| {
            (facts.host.as_ref().map(crate::flow::Host::as_str), facts.path.as_str(), facts.upgrade)
        });
        assert_eq!(seen.map_err(|e| *e), expected, "{uri} {fields:?}");
    }

    const AUTHORITY: &str = "the request does not name one authority";

    #[test]
    fn host_and_path_come_out_in_the_form_that_is_judged() {
        let host = |name| [("host", name)];
        check(
            "/exchange/%75pload?q=1",
            &host("Chukan.Center.Example."),
            Ok((Some("chukan.center.example"), "/exchange/upload", false)),
        );
        check(
            "/",
            &host("chukan.center.example:8443"),
            Ok((Some("chukan.center.example"), "/", false)),
        );
        check("/", &host("chukan.center.example:443"), Ok((None, "/", false)));
        check("/", &host("chukan.center.example:+8443"), Ok((None, "/", false)));
        check("/", &host("10.0.0.1"), Ok((None, "/", false)));
        check(
            "/a/../b",
            &host("a.example"),
            Err("the path can be read in two ways, or has characters that a path cannot have"),
        );
        check("/", &[], Err(AUTHORITY));
        check("/", &[("host", "a.example"), ("host", "a.example")], Err(AUTHORITY));
        check("https://a.example/x", &host("b.example"), Err(AUTHORITY));
        check("https://a.example/x", &[], Ok((Some("a.example"), "/x", false)));
    }

    #[test]
    fn a_wish_for_another_protocol_is_a_fact() {
        check(
            "/",
            &[("host", "a.example"), ("connection", "keep-alive, Upgrade")],
            Ok((Some("a.example"), "/", true)),
        );
        check(
            "/",
            &[("host", "a.example"), ("upgrade", "websocket")],
            Ok((Some("a.example"), "/", true)),
        );
    }
}
