//! The fields of a message that is passed on: what belongs to one hop goes, who passed it comes, what a
//! client says of itself is not believed. Framing is `wire`'s, `single`'s and `outgoing`'s, and that of HTTP/2 hyper's.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::{Authority, InvalidUri, PathAndQuery, Scheme, Uri};
use http::{Version, uri};

use crate::flow::{Host, Name, Path};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that `Connection` cannot take away: they are for every recipient (RFC 9110 §7.6.1), and what
/// was judged, framed or recorded stands on them.
const END_TO_END: [&str; 16] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "forwarded",
    "host",
    "location",
    "set-cookie",
    "trailer",
    "via",
    "www-authenticate",
];

/// Fields by which some frameworks take another method, path, host or source than the one that was judged.
const NOT_BELIEVED: [&str; 13] = [
    "client-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-method",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// The message can be read in two ways, or has what its version forbids: `malformed_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// HTTP/2 with a field of HTTP/1's connections (RFC 9113 §8.2.2).
    ConnectionSpecific,
    /// `:authority` and `Host` differ, or there are several, or one that is no text (RFC 9113 §8.3.1).
    Authority,
}

impl Malformed {
    /// What is wrong, in our own words.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::ConnectionSpecific => "a connection-specific field stands in an HTTP/2 request",
            Self::Authority => "the request does not name one authority",
        }
    }
}

/// Takes away what belongs to the hop the message came by (RFC 9110 §7.6.1), in either direction, and what is `so`, in
/// one look at the names: most messages have nothing of it. `Trailer` and `TE: trailers` stay: trailers are passed on.
fn strip(headers: &mut HeaderMap, is_so: impl Fn(&str) -> bool) {
    let goes = |name: &HeaderName| {
        let text = name.as_str();
        // As CGI does, `_` is read as `-`.
        is_hop_by_hop(text)
            || is_so(text)
            || (text.contains('_') && {
                let dashed = text.replace('_', "-");
                dashed == "proxy" || dashed.starts_with("proxy-") || is_so(&dashed)
            })
    };
    let mut found = headers.keys().filter(|name| goes(name)).cloned().peekable();
    if found.peek().is_none() {
        return;
    }
    let mut names: Vec<HeaderName> = found.collect();
    let trailers = takes_trailers(headers);
    names.extend(nominated(headers));
    for name in names {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "transfer-encoding" | "upgrade" | "proxy")
        || name.starts_with("proxy-")
}

/// The fields that `Connection` names and may take away.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !END_TO_END.contains(&name.as_str()) && *name != TE)
        .collect()
}

/// Whether the sender of `headers` takes trailers (RFC 9110 §6.5.1).
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"))
}

/// What stands between the commas of every field of this `name` (RFC 9110 §5.6.1); a value that is no text has nothing.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether this value of `Connection` says that no message follows (RFC 9112 §9.6). Also one that is no text.
pub(super) fn says_close(value: &[u8]) -> bool {
    let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tokens.any(|token| token.eq_ignore_ascii_case(b"close"))
}

/// Refuses what no HTTP/2 message may have (RFC 9113 §8.2.2).
///
/// # Errors
/// [`Malformed::ConnectionSpecific`].
pub(crate) fn check_http2(headers: &HeaderMap) -> Result<(), Malformed> {
    let forbidden = [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE];
    let te = headers.get_all(TE).iter().all(|value| value == "trailers");
    if te && !forbidden.iter().any(|name| headers.contains_key(name)) {
        Ok(())
    } else {
        Err(Malformed::ConnectionSpecific)
    }
}

/// What a request asks for as its authority: the target's, which must not differ from a `Host` beside it, or `Host`.
///
/// # Errors
/// [`Malformed::Authority`] where there are two of them, none, or one that is no text.
pub(crate) fn authority(request: &Parts) -> Result<&str, Malformed> {
    let mut hosts = request.headers.get_all(HOST).iter().map(HeaderValue::to_str);
    let target = request.uri.authority().map(Authority::as_str);
    match (target, hosts.next(), hosts.next()) {
        (Some(target), None, None) => Ok(target),
        (Some(target), Some(Ok(host)), None) if target.eq_ignore_ascii_case(host) => Ok(host),
        (None, Some(Ok(host)), None) => Ok(host),
        _ => Err(Malformed::Authority),
    }
}

/// The host of an authority in the compared form: without the listener's own `port`, lower-cased, without a trailing
/// dot. `None` where it is an address, has another port, or is no name. Nearly always it is the one that is `expected`,
/// letter by letter.
pub(crate) fn host(authority: &str, port: u16, expected: Option<&Host>) -> Option<Host> {
    if let Some(expected) = expected.filter(|expected| expected.as_str() == authority) {
        return Some(expected.clone());
    }
    let name = match authority.rsplit_once(':') {
        Some((name, digits)) if !digits.starts_with('+') && digits.parse() == Ok(port) => name,
        Some(_) => return None,
        None => authority,
    };
    Host::parse(name).ok()
}

/// How this box names itself behind the others that passed a message (RFC 9110 §7.6.3); made once for a law.
#[derive(Debug)]
pub(crate) struct Via {
    http1: Option<HeaderValue>,
    http2: Option<HeaderValue>,
}

impl Via {
    /// The names of the box `appliance`.
    pub(crate) fn new(appliance: &Name) -> Self {
        let value = |version| HeaderValue::try_from(format!("{version} {appliance}")).ok();
        Self { http1: value("1.1"), http2: value("2") }
    }

    /// Stands for the hop that the message came by.
    fn append(&self, headers: &mut HeaderMap, received: Version) {
        let value = if received == Version::HTTP_2 { &self.http2 } else { &self.http1 };
        if let Some(value) = value {
            headers.append(VIA, value.clone());
        }
    }
}

/// What is told to an upstream of the way requests came: the same for all that one client asks of one host.
#[derive(Debug)]
pub(crate) struct Way {
    /// The host that was asked for and judged.
    pub host: Host,
    authority: HeaderValue,
    forwarded: HeaderValue,
}

impl Way {
    /// From `source` to `host`. `None` cannot be: neither has a character that a field may not have.
    pub(crate) fn new(source: IpAddr, host: Host) -> Option<Self> {
        let authority = HeaderValue::from_str(host.as_str()).ok()?;
        let forwarded = HeaderValue::try_from(forwarded(source, &host)).ok()?;
        Some(Self { host, authority, forwarded })
    }
}

/// The hop that a request goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop<'a> {
    /// This box.
    pub via: &'a Via,
    /// The way up to it.
    pub way: &'a Way,
    /// The version the upstream is spoken to in.
    pub version: Version,
}

/// Turns a judged request into the one that is sent: hop-by-hop fields, `Expect` and whatever a client says of its
/// own way go; `Via`, `Forwarded` (RFC 7239) and the authority as this version has it come; the path is the one that was judged.
///
/// # Errors
/// Where path and query do not make a target; cannot be after [`Path::parse`] and the type's own look at the query.
pub(crate) fn forward(request: &mut Parts, path: &Path, hop: &Hop<'_>) -> Result<(), InvalidUri> {
    let headers = &mut request.headers;
    strip(headers, |name| name == "expect" || is_not_believed(name));
    headers.insert(FORWARDED, hop.way.forwarded.clone());
    hop.via.append(headers, request.version);
    aim(request, path, hop)
}

/// Gives a request that [`forward`] has made the form of another connection's version, where it is tried again.
///
/// # Errors
/// As [`forward`].
pub(crate) fn aim(request: &mut Parts, path: &Path, hop: &Hop<'_>) -> Result<(), InvalidUri> {
    if !is_aimed(&request.uri, path, hop.version) {
        request.uri = target(path, request.uri.query(), hop)?;
    }
    request.version = hop.version;
    let headers = &mut request.headers;
    let is_http1 = hop.version < Version::HTTP_2;
    if is_http1 {
        headers.insert(HOST, hop.way.authority.clone());
        join_cookies(headers);
    } else {
        headers.remove(HOST);
    }
    if headers.contains_key(TE) {
        headers.remove(CONNECTION);
        // RFC 9110 §10.1.4: `TE` is for this hop only and says so.
        if is_http1 {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    Ok(())
}

/// Whether the target is already the one to send: an origin-form of HTTP/1.1 whose path came in its normal form.
fn is_aimed(target: &Uri, path: &Path, version: Version) -> bool {
    let is_origin = target.scheme().is_none() && target.authority().is_none();
    version < Version::HTTP_2 && is_origin && target.path() == path.as_str()
}

/// HTTP/2 may cut `Cookie` into crumbs, HTTP/1.1 knows one field (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}

/// Frames a body for a hop of HTTP/1.1: one without a length goes in chunks, and a length that was said twice (HTTP/2
/// lets the same pass) is said once.
pub(crate) fn frame(request: &mut Parts) {
    if request.version >= Version::HTTP_2 {
        return;
    }
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next().cloned(), lengths.next().is_some()) {
        (None, _) => {
            request.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        (Some(length), true) => {
            request.headers.insert(CONTENT_LENGTH, length);
        }
        (Some(_), false) => {}
    }
}

/// The protocols that a request asks to switch to (RFC 9110 §7.8).
///
/// # Errors
/// In our own words: it does not say so twice, as it must, or it asks for HTTP by another name, in which requests would
/// pass that nobody judges.
pub(crate) fn asked_protocol(headers: &HeaderMap) -> Result<HeaderValue, &'static str> {
    let mut values = headers.get_all(UPGRADE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err("a switch of protocols needs one `Upgrade`");
    };
    if !names_upgrade(headers) {
        return Err("`Connection` does not name `Upgrade`");
    }
    let protocols = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let is_http = |token: &str| ["http", "h2", "h2c", "h3", "tls"].contains(&token);
    let mut names =
        protocols.split(',').map(|token| token.trim().split('/').next().unwrap_or_default());
    if names.any(|name| name.is_empty() || is_http(name)) {
        return Err("a switch to another HTTP, or to nothing, is not passed on");
    }
    Ok(value.clone())
}

/// Whether `Connection` says that another protocol is asked for (RFC 9110 §7.8).
pub(super) fn names_upgrade(headers: &HeaderMap) -> bool {
    tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Gives a message of HTTP/1.1 the two fields of a switch of protocols, which are this hop's own.
pub(crate) fn switch(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Takes out of trailers, in either direction, what only a head may have (RFC 9110 §6.5.1): framing, routing,
/// credentials, and what a head is cleaned of.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    let head_only = |name: &str| END_TO_END.contains(&name) || name == "expect";
    strip(trailers, |name| head_only(name) || is_not_believed(name));
    trailers.remove(TE);
}

/// Whether a name is one of [`NOT_BELIEVED`], or of the `X-Forwarded` family. Most names are told by their first letter.
fn is_not_believed(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'c' | b'f' | b't' | b'x'))
        && (NOT_BELIEVED.contains(&name) || name.starts_with("x-forwarded"))
}

/// Turns the upstream's answer into the one that is passed on.
pub(crate) fn backward(headers: &mut HeaderMap, received: Version, via: &Via) {
    strip(headers, |name| name == "te");
    headers.remove(TE);
    via.append(headers, received);
}

/// An address of IPv6 needs brackets, and so quotes (RFC 7239 §6).
fn forwarded(source: IpAddr, host: &Host) -> String {
    match source.to_canonical() {
        IpAddr::V4(address) => format!("for={address};proto=https;host={host}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\";proto=https;host={host}"),
    }
}

/// HTTP/1.1 has the authority in `Host`, HTTP/2 in the target.
fn target(path: &Path, query: Option<&str>, hop: &Hop<'_>) -> Result<Uri, InvalidUri> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_string(),
    };
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(PathAndQuery::try_from(text)?);
    if hop.version == Version::HTTP_2 {
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(Authority::try_from(hop.way.host.as_str())?);
    }
    // Scheme and authority stand together or not at all, so the parts always fit.
    Ok(Uri::from_parts(parts).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::request::Parts;
    use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};

    use super::{
        Hop, Malformed, Via, Way, authority, backward, check_http2, forward, frame, host, strip,
        strip_trailers,
    };
    use crate::flow::{Host, Name, Path};

    fn map(fields: &str) -> HeaderMap {
        let parse = |field: &str| {
            let (name, value) = field.split_once(": ").unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields.split(" | ").filter(|field| !field.is_empty()).map(parse) {
            map.append(name, value);
        }
        map
    }

    fn listed(headers: &HeaderMap) -> String {
        let mut fields: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        fields.sort();
        fields.join(" | ")
    }

    fn via(appliance: &str) -> Via {
        Via::new(&Name::parse(appliance).unwrap())
    }

    fn way(source: &str, host: &str) -> Way {
        Way::new(source.parse().unwrap(), Host::parse(host).unwrap()).unwrap()
    }

    #[test]
    fn crumbs_of_a_cookie_become_one_field_and_a_body_is_framed() {
        let request = Request::builder().version(Version::HTTP_2).uri("/x").method("GET");
        let request = request.header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        let (via, way) = (via("edge"), way("10.0.0.1", "a.example"));
        let hop = Hop { via: &via, way: &way, version: Version::HTTP_11 };
        forward(&mut parts, &Path::parse("/x").unwrap(), &hop).unwrap();
        frame(&mut parts);
        let cookies: Vec<_> = parts.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
        assert_eq!(parts.headers["transfer-encoding"], "chunked");
    }

    #[test]
    fn what_belongs_to_the_hop_goes_and_the_rest_stays() {
        let table = [
            ("", ""),
            ("accept: a | x: y", "accept: a | x: y"),
            ("connection: close | keep-alive: timeout=5", ""),
            ("connection: x, Y | x: 1 | y: 2 | z: 3", "z: 3"),
            ("connection: x | connection: y | x: 1 | y: 2", ""),
            ("connection: ,, x@, x | x: 1 | x: 2", ""),
            ("transfer-encoding: chunked | upgrade: h2c", ""),
            ("proxy-connection: x | proxy-authorization: x | proxy-foo: x | proxy: x", ""),
            ("proxy_authorization: x", ""),
            ("te: trailers", "te: trailers"),
            ("te: deflate;q=0.5, Trailers", "te: trailers"),
            ("te: deflate", ""),
            ("connection: te | te: trailers", "te: trailers"),
            ("trailer: x-sum", "trailer: x-sum"),
            // A client cannot take away what was judged or framed.
            (
                "connection: host, content-length, Forwarded, cookie | host: a | content-length: 3 | forwarded: x | cookie: c",
                "content-length: 3 | cookie: c | forwarded: x | host: a",
            ),
        ];
        for (before, after) in table {
            let mut headers = map(before);
            strip(&mut headers, |_| false);
            assert_eq!(listed(&headers), after, "{before}");
        }
    }

    #[test]
    fn http2_has_no_fields_of_http1_connections() {
        for good in ["", "te: trailers", "accept: x"] {
            assert_eq!(check_http2(&map(good)), Ok(()), "{good}");
        }
        let bad = [
            "connection: close",
            "keep-alive: x",
            "proxy-connection: x",
            "transfer-encoding: chunked",
            "upgrade: x",
            "te: deflate",
            "te: trailers | te: gzip",
        ];
        for bad in bad {
            assert_eq!(check_http2(&map(bad)), Err(Malformed::ConnectionSpecific), "{bad}");
        }
    }

    fn request(version: Version, uri: &str, fields: &str) -> Parts {
        let mut request = Request::builder().version(version).uri(uri).body(()).unwrap();
        *request.headers_mut() = map(fields);
        request.into_parts().0
    }

    #[test]
    fn the_authority_is_one_or_the_request_is_malformed() {
        let table = [
            ("/", "host: a.example", Ok("a.example")),
            ("https://a.example/", "", Ok("a.example")),
            ("https://a.example/", "host: A.example", Ok("A.example")),
            ("https://a.example/", "host: b.example", Err(Malformed::Authority)),
            ("https://a.example/", "host: a.example | host: a.example", Err(Malformed::Authority)),
            ("/", "host: a.example | host: a.example", Err(Malformed::Authority)),
            ("/", "", Err(Malformed::Authority)),
        ];
        for (uri, fields, due) in table {
            assert_eq!(authority(&request(Version::HTTP_2, uri, fields)), due, "{uri} {fields}");
        }
    }

    #[test]
    fn a_host_is_compared_without_dot_case_and_own_port() {
        let table = [
            ("a.example", Some("a.example")),
            ("A.Example.", Some("a.example")),
            ("a.example:8443", Some("a.example")),
            ("a.example:443", None),
            ("a.example:", None),
            ("10.0.0.1", None),
            ("[::1]", None),
            ("[::1]:8443", None),
            ("", None),
        ];
        for (text, due) in table {
            let due = due.map(|name| Host::parse(name).unwrap());
            for expected in [None, Host::parse("a.example").ok(), Host::parse("b.example").ok()] {
                assert_eq!(host(text, 8443, expected.as_ref()), due, "{text}");
            }
        }
    }

    const OWN: &str = "forwarded: for=1.1.1.1 | x-forwarded-for: 1.1.1.1 | X_Forwarded_Proto: http | x-real-ip: 1.1.1.1 \
         | x-http-method-override: DELETE | x-original-url: /admin | via: 1.0 old | expect: 100-continue | te: trailers \
         | connection: keep-alive, via | accept: x";

    #[test]
    fn who_passed_it_is_said_by_us_alone() {
        let via = via("edge-1");
        let path = Path::parse("/exchange/%7ea").unwrap();
        let table = [
            (
                Version::HTTP_11,
                "10.13.10.5",
                "/exchange/~a?q=%7e",
                "accept: x | connection: te | forwarded: for=10.13.10.5;proto=https;host=chukan.example \
                 | host: chukan.example | te: trailers | via: 1.0 old | via: 1.1 edge-1",
            ),
            (
                Version::HTTP_2,
                "2001:db8::5",
                "https://chukan.example/exchange/~a?q=%7e",
                "accept: x | forwarded: for=\"[2001:db8::5]\";proto=https;host=chukan.example \
                 | te: trailers | via: 1.0 old | via: 1.1 edge-1",
            ),
            (
                Version::HTTP_2,
                "::ffff:10.13.10.5",
                "https://chukan.example/exchange/~a?q=%7e",
                "accept: x | forwarded: for=10.13.10.5;proto=https;host=chukan.example \
                 | te: trailers | via: 1.0 old | via: 1.1 edge-1",
            ),
        ];
        for (version, source, target, fields) in table {
            let mut sent = request(Version::HTTP_11, "/exchange/%7ea?q=%7e", OWN);
            let way = way(source, "chukan.example");
            let hop = Hop { via: &via, way: &way, version };
            forward(&mut sent, &path, &hop).unwrap();
            assert_eq!(sent.uri.to_string(), target);
            assert_eq!(sent.version, version);
            assert_eq!(listed(&sent.headers), fields);
        }
    }

    #[test]
    fn an_answer_says_who_passed_it_back() {
        let mut headers = map("connection: close | te: trailers | server: x | via: 1.1 far");
        backward(&mut headers, Version::HTTP_2, &via("edge-1"));
        assert_eq!(listed(&headers), "server: x | via: 1.1 far | via: 2 edge-1");
    }

    #[test]
    fn trailers_have_nothing_that_only_a_head_may_have() {
        let mut trailers = map(
            "x-sum: 1 | host: a | content-length: 3 | te: trailers | x-forwarded-for: x | expect: x",
        );
        strip_trailers(&mut trailers);
        assert_eq!(listed(&trailers), "x-sum: 1");
    }
}
