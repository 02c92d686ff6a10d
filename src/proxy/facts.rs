//! What the law looks at in a request: method, host, path, in their one normal form.

use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method as HttpMethod, Version};

use crate::flow::{Host, Method, Path, Request};

/// The facts of a request that came to `port`.
///
/// # Errors
/// What is malformed, in our own words: it could be read in two ways.
pub(super) fn request(parts: &Parts, port: u16) -> Result<Request, &'static str> {
    let method = Method::parse(parts.method.as_str());
    let method = method.map_err(|_other| "the method is not a token of at most 32 characters")?;
    if parts.version == Version::HTTP_2 {
        check_http2(&parts.headers)?;
    }
    Ok(Request { method, host: host(parts, port)?, path: path(parts)?, upgrade: is_upgrade(parts) })
}

fn path(parts: &Parts) -> Result<Path, &'static str> {
    // CONNECT has no path (RFC 9110 §9.3.6); it is an upgrade to the law, wherever it wants to go.
    let text = if parts.method == HttpMethod::CONNECT { "/" } else { parts.uri.path() };
    Path::parse(text).map_err(
        |_why| "the path can be read in two ways, or has characters that a path cannot have",
    )
}

/// `:authority`, the absolute form or `Host`: where there are two they must be equal (RFC 9113 §8.3.1).
fn host(parts: &Parts, port: u16) -> Result<Option<Host>, &'static str> {
    let mut fields = parts.headers.get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err("there is more than one `Host`");
    }
    let field =
        field.map(|value| value.to_str().map_err(|_bytes| "`Host` is not one name")).transpose()?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    if let (Some(field), Some(authority)) = (field, authority)
        && !field.eq_ignore_ascii_case(authority)
    {
        return Err("`Host` is not the authority of the request target");
    }
    let named = authority.or(field).ok_or("there is no `Host`")?;
    Ok(compared(named, port))
}

/// The compared form: lower case, no trailing dot, without the listener's own port. Anything else (an address,
/// another port, a user) is no host of ours, which the law calls `host_mismatch`.
fn compared(named: &str, port: u16) -> Option<Host> {
    let name = match named.rsplit_once(':') {
        Some((name, written)) if written.parse() == Ok(port) && !written.starts_with('+') => name,
        Some(_) => return None,
        None => named,
    };
    Host::parse(name).ok()
}

/// Whether it asks for another protocol. HTTP/2 knows only extended CONNECT (RFC 8441), which is not offered.
fn is_upgrade(parts: &Parts) -> bool {
    let nominated = parts.headers.get_all(CONNECTION).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
        })
    });
    parts.method == HttpMethod::CONNECT || nominated || parts.headers.contains_key(UPGRADE)
}

/// Connection-specific fields make an HTTP/2 request malformed (RFC 9113 §8.2.2).
fn check_http2(headers: &HeaderMap) -> Result<(), &'static str> {
    const FORBIDDEN: [&str; 5] =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    if FORBIDDEN.iter().any(|name| headers.contains_key(*name)) {
        return Err("a connection-specific field stands in an HTTP/2 request");
    }
    let te_fits = headers
        .get_all("te")
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    if te_fits { Ok(()) } else { Err("`TE` is not `trailers` in an HTTP/2 request") }
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
        let facts = request(&parts, 8443);
        let seen = facts.as_ref().map(|facts| {
            (facts.host.as_ref().map(crate::flow::Host::as_str), facts.path.as_str(), facts.upgrade)
        });
        assert_eq!(seen.map_err(|e| *e), expected, "{uri} {fields:?}");
    }

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
        check("/", &[], Err("there is no `Host`"));
        check(
            "/",
            &[("host", "a.example"), ("host", "a.example")],
            Err("there is more than one `Host`"),
        );
        check(
            "https://a.example/x",
            &host("b.example"),
            Err("`Host` is not the authority of the request target"),
        );
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
