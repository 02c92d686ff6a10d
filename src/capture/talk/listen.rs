//! One direction listened to: what is spoken there, then the reader for it.

use crate::capture::entry::{Entry, Spoken, seen};

use super::http::{Requests, begins_request};
use super::stream::{Hearing, Speaker};
use super::tls::{Records, begins_tls, old_hello, resembles_tls};

/// Whether more bytes can tell more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    More,
    Enough,
    /// TLS begins with these bytes, of which none was taken.
    Upgrade,
}

/// Hears the bytes of one direction in order.
pub(super) enum Listener {
    /// What is spoken is not known yet; the first bytes.
    Start(Vec<u8>),
    Tls(Box<Records>),
    Http(Box<Requests>),
    /// Nothing more can be told.
    Deaf,
}

impl Default for Listener {
    fn default() -> Self {
        Self::Start(Vec::new())
    }
}

/// What the first bytes of a direction are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    Tls,
    /// A `ClientHello` in the form of SSL 2 (RFC 5246 appendix E.2).
    OldHello,
    Request,
    Response,
    /// The preface of HTTP/2 (RFC 9113 §3.4).
    Preface,
    Other,
    /// Too few bytes.
    Unclear,
}

/// Bytes by which every kind shows itself.
const ENOUGH: usize = 24;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Listener {
    /// For a direction in which TLS begins.
    pub(super) fn for_tls() -> Self {
        Self::Tls(Box::default())
    }

    /// Whether it hears TLS already.
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Hears the next bytes.
    pub(super) fn hear(
        &mut self,
        bytes: &[u8],
        speaker: &Speaker,
        hearing: &mut Hearing<'_>,
    ) -> Heard {
        match self {
            Self::Start(_) => self.start(bytes, speaker, hearing),
            Self::Tls(records) => records.hear(bytes, speaker, hearing),
            Self::Http(requests) => match requests.hear(bytes, speaker, hearing) {
                Heard::Upgrade => {
                    hearing.entry.spoken = Spoken::Upgraded;
                    *self = Self::for_tls();
                    self.hear(bytes, speaker, hearing)
                }
                heard @ (Heard::More | Heard::Enough) => heard,
            },
            Self::Deaf => Heard::Enough,
        }
    }

    /// So many bytes were not captured.
    pub(super) fn miss(&mut self, count: u64, hearing: &mut Hearing<'_>) {
        match self {
            Self::Http(requests) => requests.miss(count, hearing),
            Self::Start(_) => {
                speak(hearing.entry, Spoken::Unknown);
                *self = Self::Deaf;
            }
            Self::Tls(_) | Self::Deaf => *self = Self::Deaf,
        }
    }

    fn start(&mut self, bytes: &[u8], speaker: &Speaker, hearing: &mut Hearing<'_>) -> Heard {
        let Self::Start(held) = self else { return Heard::Enough };
        let all = if held.is_empty() { bytes.to_vec() } else { [held.as_slice(), bytes].concat() };
        let middle = hearing.entry.has(seen::MIDDLE, speaker.from);
        let guess = if middle { guess_middle(&all) } else { guess(&all) };
        if guess == Guess::Unclear {
            *held = all;
            return Heard::More;
        }
        *self = Self::chosen(guess, &all, speaker, hearing);
        self.hear(&all, speaker, hearing)
    }

    fn chosen(guess: Guess, all: &[u8], speaker: &Speaker, hearing: &mut Hearing<'_>) -> Self {
        let (entry, from) = (&mut *hearing.entry, speaker.from);
        match guess {
            Guess::Tls => {
                speak(entry, Spoken::Tls);
                return Self::for_tls();
            }
            Guess::Request => {
                speak(entry, Spoken::Http);
                entry.mark(seen::CLIENT, from);
                return Self::Http(Box::default());
            }
            Guess::OldHello => {
                speak(entry, Spoken::Tls);
                entry.mark(seen::CLIENT, from);
                hearing.found.hello.get_or_insert_with(|| old_hello(all, speaker.stamp.number));
            }
            Guess::Response => {
                speak(entry, Spoken::Http);
                entry.mark(seen::CLIENT, 1 - from);
            }
            Guess::Preface => {
                speak(entry, Spoken::Http);
                entry.mark(seen::CLIENT, from);
                // Its heads are compressed and not read here: at least one is there.
                hearing.found.heads_lost += 1;
            }
            Guess::Other if entry.has(seen::MIDDLE, from) => speak(entry, Spoken::Unknown),
            Guess::Other | Guess::Unclear => speak(entry, Spoken::Other),
        }
        Self::Deaf
    }
}

/// What is spoken is said once; only ignorance gives way.
pub(super) fn speak(entry: &mut Entry, spoken: Spoken) {
    if matches!(entry.spoken, Spoken::Silent | Spoken::Unknown) {
        entry.spoken = spoken;
    }
}

/// What was taken for HTTP is none.
pub(super) fn retract(entry: &mut Entry) {
    if entry.spoken == Spoken::Http {
        entry.spoken = Spoken::Other;
    }
}

fn guess(all: &[u8]) -> Guess {
    match all {
        [0x16, 3, ..] if begins_tls(all) => Guess::Tls,
        [0x16] | [0x16, 3] | [0x16, 3, _] | [0x16, 3, _, _] | [0x16, 3, _, _, _] => Guess::Unclear,
        [0x15, 3, 0..=4, 0, 2, ..] => Guess::Tls,
        [0x80..=0xff, _, 1, 0 | 3, 0..=4, ..] => Guess::OldHello,
        _ if all.starts_with(PREFACE) => Guess::Preface,
        _ if all.starts_with(b"HTTP/1.") => Guess::Response,
        _ if begins_request(all) => Guess::Request,
        _ if all.len() < ENOUGH && all.iter().all(u8::is_ascii_uppercase) => Guess::Unclear,
        _ if all.len() < PREFACE.len() && PREFACE.starts_with(all) => Guess::Unclear,
        _ if all.len() < 7 && b"HTTP/1.".starts_with(all) => Guess::Unclear,
        _ => Guess::Other,
    }
}

/// The first bytes seen are not the first that were sent: nothing is unclear, it is either plain or lost.
fn guess_middle(all: &[u8]) -> Guess {
    match guess(all) {
        Guess::Tls | Guess::OldHello if begins_tls(all) => Guess::Tls,
        Guess::Request => Guess::Request,
        Guess::Response => Guess::Response,
        _ if resembles_tls(all) => Guess::Tls,
        Guess::Tls | Guess::OldHello | Guess::Preface | Guess::Other | Guess::Unclear => {
            Guess::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Guess, guess};

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        let table: &[(&[u8], Guess)] = &[
            (b"\x16\x03\x01\x02\x00\x01\x00", Guess::Tls),
            (b"\x16\x03", Guess::Unclear),
            (b"\x80\x2e\x01\x03\x01\x00\x15", Guess::OldHello),
            (b"GET / HTTP/1.1\r\n", Guess::Request),
            (b"GE", Guess::Unclear),
            (b"GETTING", Guess::Unclear),
            (b"HTTP/1.1 200 OK", Guess::Response),
            (b"HTT", Guess::Unclear),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Guess::Preface),
            (b"PRI * H", Guess::Unclear),
            (b"220 mail.example ESMTP", Guess::Other),
            (b"EHLO a.example", Guess::Other),
            (b"SSH-2.0-x", Guess::Other),
            (b"\x00\x00", Guess::Other),
        ];
        for (bytes, what) in table {
            assert_eq!(guess(bytes), *what, "{}", bytes.escape_ascii());
        }
    }
}
