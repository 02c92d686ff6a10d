//! The head of an answer: where it ends, what it says, and how the body behind it is framed (RFC 9112 §6.3).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{Method, Response, StatusCode, Version};
use httparse::{ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use super::Broken;
use crate::proxy::header::says_close;
use crate::proxy::wire::FIELDS_MAX;

/// The largest head that is read; as on HTTP/2.
const SIZE_MAX: usize = 64 << 10;

/// A head and what follows from it.
#[derive(Debug)]
pub(super) struct Head {
    /// In a box: it is handed on many times before it leaves.
    pub(super) response: Box<Parts>,
    pub(super) framing: Framing,
    /// Whether the connection stays after it.
    pub(super) keeps: bool,
}

/// How the body behind a head ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Another head follows: this one was not the answer.
    Interim,
    /// After so many bytes.
    Length(u64),
    /// As its chunks say.
    Chunked,
    /// With the connection.
    UntilClose,
    /// It is not HTTP any more.
    Switched,
}

/// What the fields say of framing and connection.
#[derive(Debug, Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    close: bool,
}

/// How long the head at the front of `held` is, if it is complete; `searched` bytes have no end in them.
pub(super) fn length(held: &[u8], searched: &mut usize) -> Result<Option<usize>, Broken> {
    let from = *searched;
    let ends =
        |feed: &usize| matches!(held.get(..from + feed), Some([.., b'\n'] | [.., b'\n', b'\r']));
    let rest = held.get(from..).unwrap_or_default();
    let found = memchr::memchr_iter(b'\n', rest).find(ends).map(|feed| from + feed + 1);
    *searched = held.len();
    match found {
        Some(length) if length <= SIZE_MAX => Ok(Some(length)),
        None if held.len() < SIZE_MAX => Ok(None),
        Some(_) | None => Err(Broken::Malformed),
    }
}

/// Reads the whole head `bytes`, an answer to a request with the method `to`.
///
/// # Errors
/// [`Broken::Malformed`] where it is no head of HTTP/1, or its body could be framed in two ways.
pub(super) fn parse(bytes: &Bytes, to: &Method) -> Result<Head, Broken> {
    let mut fields = [MaybeUninit::uninit(); FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) | Err(_) => return Err(Broken::Malformed),
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Broken::Malformed)?;
    let is_http11 = parsed.version == Some(1);
    let mut response = Box::new(Response::new(()).into_parts().0);
    let (headers, said) = read_fields(bytes, parsed.headers)?;
    response.status = status;
    response.version = if is_http11 { Version::HTTP_11 } else { Version::HTTP_10 };
    response.headers = headers;
    keep_phrase(&mut response, parsed.reason);
    let framing = framing(status, to, &said, is_http11)?;
    let keeps = is_http11 && !said.close && framing != Framing::UntilClose;
    Ok(Head { response, framing, keeps })
}

fn read_fields(
    bytes: &Bytes,
    fields: &[httparse::Header<'_>],
) -> Result<(HeaderMap, Said), Broken> {
    let mut headers = HeaderMap::with_capacity(fields.len() + 1);
    let mut said = Said::default();
    for field in fields {
        let name =
            HeaderName::from_bytes(field.name.as_bytes()).map_err(|_why| Broken::Malformed)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
            .map_err(|_why| Broken::Malformed)?;
        // The same length twice is one (RFC 9110 §8.6).
        if said.hear(&name, field.value)? {
            headers.append(name, value);
        }
    }
    Ok((headers, said))
}

impl Said {
    /// Whether the field is to be passed on.
    fn hear(&mut self, name: &HeaderName, value: &[u8]) -> Result<bool, Broken> {
        if *name == CONTENT_LENGTH {
            let length = decimal(value).ok_or(Broken::Malformed)?;
            return match self.length.replace(length) {
                None => Ok(true),
                Some(before) if before == length => Ok(false),
                Some(_) => Err(Broken::Malformed),
            };
        } else if *name == TRANSFER_ENCODING {
            // Another coding would have to be undone here, or told to the client, who did not ask for it.
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Broken::Malformed);
            }
            self.chunked = true;
        } else if *name == CONNECTION {
            self.close |= says_close(value);
        }
        Ok(true)
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let is_plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_plain)?.parse().ok()
}

fn framing(
    status: StatusCode,
    to: &Method,
    said: &Said,
    is_http11: bool,
) -> Result<Framing, Broken> {
    let has_none = *to == Method::HEAD || matches!(status.as_u16(), 204 | 304);
    match (status.as_u16(), said.length, said.chunked) {
        (101, _, _) => Ok(Framing::Switched),
        (100..200, _, _) => Ok(Framing::Interim),
        // Whoever stands behind us could take the other one (RFC 9112 §6.3, 3).
        (_, Some(_), true) => Err(Broken::Malformed),
        (_, _, true) if !is_http11 => Err(Broken::Malformed),
        _ if has_none => Ok(Framing::Length(0)),
        (_, None, true) => Ok(Framing::Chunked),
        (_, Some(length), false) => Ok(Framing::Length(length)),
        (_, None, false) => Ok(Framing::UntilClose),
    }
}

/// A phrase that the status does not have anyway is passed on.
fn keep_phrase(response: &mut Parts, phrase: Option<&str>) {
    let phrase = phrase.filter(|phrase| response.status.canonical_reason() != Some(phrase));
    if let Some(phrase) = phrase.and_then(|phrase| ReasonPhrase::try_from(phrase.as_bytes()).ok()) {
        response.extensions.insert(phrase);
    }
}
