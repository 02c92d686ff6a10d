//! TLS records as far as they are in clear: hellos and, before TLS 1.3, certificates. Nothing is decrypted.

use crate::capture::{
    Chain, Handshake, TlsHello,
    entry::{End, seen},
};
use crate::flow::{Alpn, Host, ServerName, TlsVersion};

use super::found::Found;
use super::listen::Heard;
use super::stream::{Hearing, Speaker};

/// The largest handshake message that is put together; chains of real certificates are a tenth of it.
const MESSAGE_MAX: usize = 256 << 10;
/// The largest record (RFC 5246 §6.2.3).
const RECORD_MAX: usize = (1 << 14) + 2048;
/// Application protocols that are kept of an offer.
const ALPN_MAX: usize = 16;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Whether a handshake record with a hello begins here (RFC 8446 §5.1).
#[inline]
pub(in crate::capture) fn begins_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 3, 0..=4, _, _, CLIENT_HELLO | SERVER_HELLO, ..])
}

/// Whether any record begins here.
pub(super) fn resembles_tls(bytes: &[u8]) -> bool {
    match bytes {
        [0x14..=0x17, 3, 0..=4, high, low, ..] => {
            (1..=RECORD_MAX).contains(&usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => false,
    }
}

/// The facts of a hello in the form of SSL 2: it has no place for a name.
pub(super) fn old_hello(bytes: &[u8], packet: u64) -> TlsHello {
    let version = match bytes {
        [_, _, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    TlsHello {
        server_name: ServerName::Missing,
        best: meaning(version),
        versions: vec![version],
        alpn: Vec::new(),
        packet,
    }
}

/// Puts records and messages together.
#[derive(Default)]
pub(super) struct Records {
    /// Bytes of an unfinished record.
    record: Vec<u8>,
    /// Bytes of an unfinished message.
    message: Vec<u8>,
}

impl Records {
    /// Hears the next bytes of the stream.
    pub(super) fn hear(
        &mut self,
        bytes: &[u8],
        speaker: &Speaker,
        hearing: &mut Hearing<'_>,
    ) -> Heard {
        if self.record.is_empty() {
            return self.records(bytes, speaker, hearing);
        }
        // Gathered without looking until the record is whole, so that tiny segments cost no more than large ones.
        self.record.extend_from_slice(bytes);
        if self.record.len() < whole_record(&self.record) {
            return Heard::More;
        }
        let held = std::mem::take(&mut self.record);
        self.records(&held, speaker, hearing)
    }

    fn records(&mut self, mut rest: &[u8], speaker: &Speaker, hearing: &mut Hearing<'_>) -> Heard {
        while let Some((head, behind)) = rest.split_first_chunk::<5>() {
            let size = usize::from(u16::from_be_bytes([head[3], head[4]]));
            if head[1] != 3 || size > RECORD_MAX {
                return Heard::Enough;
            }
            let Some((body, next)) = behind.split_at_checked(size) else { break };
            rest = next;
            if self.record(head[0], body, speaker, hearing) == Heard::Enough {
                return Heard::Enough;
            }
        }
        self.record = rest.to_vec();
        Heard::More
    }

    fn record(
        &mut self,
        kind: u8,
        body: &[u8],
        speaker: &Speaker,
        hearing: &mut Hearing<'_>,
    ) -> Heard {
        match kind {
            22 => self.handshake(body, speaker, hearing),
            21 => Heard::More,
            // Everything behind ChangeCipherSpec and application data is encrypted.
            _ => Heard::Enough,
        }
    }

    fn handshake(&mut self, body: &[u8], speaker: &Speaker, hearing: &mut Hearing<'_>) -> Heard {
        self.message.extend_from_slice(body);
        while let Some((head, behind)) = self.message.split_first_chunk::<4>() {
            let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            if size > MESSAGE_MAX {
                return Heard::Enough;
            }
            let Some(body) = behind.get(..size) else { return Heard::More };
            if tell(head[0], body, speaker, hearing) == Heard::Enough {
                return Heard::Enough;
            }
            self.message.drain(..4 + size);
        }
        Heard::More
    }
}

/// Bytes of the record that begins here, its header included; those of the header where that is not whole.
fn whole_record(bytes: &[u8]) -> usize {
    match bytes {
        [_, _, _, high, low, ..] => {
            5 + usize::from(u16::from_be_bytes([*high, *low])).min(RECORD_MAX)
        }
        _ => 5,
    }
}

/// Takes one whole message in. What follows the last clear one of a direction is not waited for.
fn tell(kind: u8, body: &[u8], speaker: &Speaker, hearing: &mut Hearing<'_>) -> Heard {
    let (from, packet) = (speaker.from, speaker.stamp.number);
    match kind {
        CLIENT_HELLO => {
            hearing.entry.mark(seen::CLIENT, from);
            let Some(hello) = client_hello(body, packet) else { return Heard::Enough };
            hearing.found.hello.get_or_insert(hello);
            Heard::More
        }
        SERVER_HELLO => {
            hearing.entry.mark(seen::CLIENT, 1 - from);
            let Some(chosen) = server_hello(body, packet) else { return Heard::Enough };
            hearing.found.handshake.get_or_insert(chosen);
            if chosen.version == TlsVersion::Tls13 { Heard::Enough } else { Heard::More }
        }
        CERTIFICATE => keep_chain(body, from, packet, hearing.found),
        SERVER_HELLO_DONE | CLIENT_KEY_EXCHANGE => Heard::Enough,
        _ => Heard::More,
    }
}

fn keep_chain(body: &[u8], from: End, packet: u64, found: &mut Found) -> Heard {
    let chain = certificates(body).map(|certificates| Chain { certificates, packet });
    if let Some(place) = found.chains.get_mut(from) {
        *place = place.take().or(chain);
    }
    Heard::More
}

/// RFC 8446 §4.1.2; the same shape since SSL 3.
fn client_hello(body: &[u8], packet: u64) -> Option<TlsHello> {
    let mut reader = Reader(body);
    let legacy = reader.number()?;
    reader.take(32)?;
    reader.short()?;
    reader.long()?;
    reader.short()?;
    let mut hello = TlsHello {
        server_name: ServerName::Missing,
        best: meaning(legacy),
        versions: vec![legacy],
        alpn: Vec::new(),
        packet,
    };
    // SSL 3 and the first TLS have no extensions.
    let mut extensions = Reader(reader.long().unwrap_or_default());
    while let Some((kind, value)) = extensions.extension() {
        match kind {
            0 => hello.server_name = server_name(value),
            16 => hello.alpn = offered(value),
            43 => hello.offer(value),
            _ => {}
        }
    }
    Some(hello)
}

impl TlsHello {
    /// `supported_versions` (RFC 8446 §4.2.1) replaces the version field.
    fn offer(&mut self, value: &[u8]) {
        let Some(list) = Reader(value).short() else { return };
        let (pairs, _) = list.as_chunks::<2>();
        // Versions that no server knows are sent to keep servers tolerant (RFC 8701).
        let real = pairs
            .iter()
            .map(|pair| u16::from_be_bytes(*pair))
            .filter(|code| code & 0x0f0f != 0x0a0a);
        self.versions = real.collect();
        self.best =
            self.versions.iter().map(|code| meaning(*code)).max().unwrap_or(TlsVersion::Old);
    }
}

/// RFC 8446 §4.1.3, for the version and protocol chosen.
fn server_hello(body: &[u8], packet: u64) -> Option<Handshake> {
    let mut reader = Reader(body);
    let mut version = meaning(reader.number()?);
    reader.take(32)?;
    reader.short()?;
    reader.take(3)?;
    let mut alpn = None;
    let mut extensions = Reader(reader.long().unwrap_or_default());
    while let Some((kind, value)) = extensions.extension() {
        match kind {
            16 => alpn = offered(value).first().and_then(|name| protocol(name)),
            43 => version = Reader(value).number().map_or(version, meaning),
            _ => {}
        }
    }
    Some(Handshake { version, alpn, packet })
}

/// RFC 5246 §7.4.2.
fn certificates(body: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut list = Reader(Reader(body).longest()?);
    let mut found = Vec::new();
    while let Some(certificate) = list.longest() {
        found.push(Box::from(certificate));
    }
    Some(found)
}

/// RFC 6066 §3: the first name of type `host_name`.
fn server_name(value: &[u8]) -> ServerName {
    let mut list = Reader(Reader(value).long().unwrap_or_default());
    let name = list.take(1).filter(|kind| *kind == [0]).and_then(|_| list.long());
    name.and_then(|name| std::str::from_utf8(name).ok())
        .and_then(|name| Host::parse(name).ok())
        .map_or(ServerName::Unusable, ServerName::Name)
}

/// RFC 7301 §3.1; only names that can be shown.
fn offered(value: &[u8]) -> Vec<Box<str>> {
    let mut list = Reader(Reader(value).long().unwrap_or_default());
    std::iter::from_fn(|| list.short())
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| name.bytes().all(|c| c.is_ascii_graphic()))
        .take(ALPN_MAX)
        .map(Box::from)
        .collect()
}

fn protocol(name: &str) -> Option<Alpn> {
    match name {
        "h2" => Some(Alpn::H2),
        "http/1.1" => Some(Alpn::Http11),
        _ => None,
    }
}

/// What a version number on the wire means; `0x7f..` were the drafts of TLS 1.3.
const fn meaning(code: u16) -> TlsVersion {
    match code {
        0x0303 => TlsVersion::Tls12,
        0x0304.. => TlsVersion::Tls13,
        _ => TlsVersion::Old,
    }
}

/// Reads the vectors of RFC 8446 §3.4 from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A vector whose length takes one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let count = *self.take(1)?.first()?;
        self.take(usize::from(count))
    }

    /// A vector whose length takes two bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(usize::from(count))
    }

    /// A vector whose length takes three bytes.
    fn longest(&mut self) -> Option<&'a [u8]> {
        let [a, b, c] = *self.take(3)?.first_chunk()?;
        self.take(u32::from_be_bytes([0, a, b, c]) as usize)
    }

    fn extension(&mut self) -> Option<(u16, &'a [u8])> {
        Some((self.number()?, self.long()?))
    }
}
