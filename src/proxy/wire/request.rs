//! What stands in a head or in trailers that the wire has let pass, as the types that everybody reads.

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

use super::field::{Field, Lines};
use super::head::Heading;
use super::violation::Violation;
use crate::proxy::header::says_close;

/// The request whose head is `bytes`, in a box: it is handed on many times before it leaves.
///
/// # Errors
/// Where the types do not take what the wire let pass; cannot be, as far as their documents say.
pub(super) fn request(bytes: &Bytes, heading: &Heading) -> Result<Box<Parts>, Violation> {
    let piece = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
    let mut request = Box::new(Request::new(()).into_parts().0);
    let method = Method::from_bytes(piece(&(0..heading.method)));
    request.method = method.map_err(|_why| Violation::Method)?;
    let target = Uri::from_maybe_shared(bytes.slice_ref(piece(&heading.target)));
    request.uri = target.map_err(|_why| Violation::Target)?;
    request.version = Version::HTTP_11;
    // Some come on the way upstream: `Forwarded`, `Via`.
    let mut headers = HeaderMap::with_capacity(heading.fields.len() + 2);
    for (name, value) in &heading.fields {
        headers.append(self::name(piece(name))?, self::value(bytes, piece(value))?);
    }
    request.headers = headers;
    Ok(request)
}

/// The fields of the trailers `bytes`, their empty line included.
///
/// # Errors
/// As [`request`].
pub(super) fn trailers(bytes: &Bytes) -> Result<HeaderMap, Violation> {
    let (mut lines, mut map) = (Lines::default(), HeaderMap::new());
    while let Some((begin, end)) = lines.next(bytes)? {
        let line = bytes.get(begin..end).unwrap_or_default();
        if !line.is_empty() {
            let field = Field::parse(line)?;
            map.append(name(field.name)?, value(bytes, field.value)?);
        }
    }
    Ok(map)
}

/// Whether the client asks for no more behind this request (RFC 9112 §9.6).
pub(crate) fn is_last(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| says_close(value.as_bytes()))
}

fn name(name: &[u8]) -> Result<HeaderName, Violation> {
    HeaderName::from_bytes(name).map_err(|_why| Violation::FieldName)
}

/// Not copied: it keeps the bytes of its head alive.
fn value(bytes: &Bytes, value: &[u8]) -> Result<HeaderValue, Violation> {
    HeaderValue::from_maybe_shared(bytes.slice_ref(value)).map_err(|_why| Violation::Control)
}
