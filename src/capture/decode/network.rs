//! IPv4 and IPv6 with their extension headers and fragments.

use super::fragment::{Added, Key, Partial, Piece};
use super::{Address, Around, Decoder, Kind, Layer, Next, Outcome, Receive, head, malformed, skip};
use crate::capture::Reason;

/// What the header of a fragment says (RFC 791 §3.1, RFC 8200 §4.5).
#[derive(Clone, Copy)]
struct Part {
    identification: u32,
    /// Bytes from the start of the datagram.
    offset: u32,
    more: bool,
}

impl Decoder {
    #[inline]
    pub(super) fn ip<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        match bytes.first() {
            Some(0x40..=0x4f) => self.ipv4(bytes, out),
            Some(0x60..=0x6f) => self.ipv6(bytes, out),
            Some(_) => malformed(),
            None => Err(Outcome::Unjudged(Reason::BadLength)),
        }
    }

    /// RFC 791 §3.1.
    #[inline]
    fn ipv4<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, _) = head::<20>(bytes)?;
        let size = usize::from(header[0] & 0x0f) * 4;
        if size < 20 {
            return malformed();
        }
        self.push(Layer::Ipv4)?;
        let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let payload = self.payload(skip(bytes, size)?, total.checked_sub(size), total == 0)?;
        self.around.protocol = header[9];
        self.around.source = mapped([header[12], header[13], header[14], header[15]]);
        self.around.destination = mapped([header[16], header[17], header[18], header[19]]);
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        if matches!(fragment & 0x3fff, 0) {
            return Ok((Kind::Transport, payload));
        }
        let identification = u32::from(u16::from_be_bytes([header[4], header[5]]));
        let offset = u32::from(fragment & 0x1fff) * 8;
        let part = Part { identification, offset, more: fragment & 0x2000 != 0 };
        Err(self.fragment(part, payload, out))
    }

    /// RFC 8200 §3 and §4.
    fn ipv6<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, rest) = head::<40>(bytes)?;
        self.push(Layer::Ipv6)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        // A length of 0 stands for one told elsewhere: a jumbo payload, or a card that cuts segments itself.
        let untold = length == 0 && header[6] != 59;
        let payload = self.payload(rest, Some(length), untold)?;
        self.around.source = address(header, 8);
        self.around.destination = address(header, 24);
        self.extensions(header[6], payload, out)
    }

    /// Walks over extension headers until the transport (RFC 8200 §4.1, RFC 4302 §2.2).
    fn extensions<'a>(
        &mut self,
        mut next: u8,
        payload: &'a [u8],
        out: &mut dyn Receive,
    ) -> Next<'a> {
        let mut rest = payload;
        loop {
            let size = match next {
                0 | 43 | 60 | 135 | 139 | 140 => {
                    head::<2>(rest).map(|(header, _)| usize::from(header[1]) * 8 + 8)?
                }
                44 => return self.fragment_header(rest, out),
                _ => break,
            };
            next = head::<1>(rest)?.0[0];
            rest = skip(rest, size)?;
            self.around.length =
                self.around.length.saturating_sub(u32::try_from(size).unwrap_or(u32::MAX));
        }
        self.around.protocol = next;
        Ok((Kind::Transport, rest))
    }

    fn fragment_header<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, rest) = head::<8>(bytes)?;
        let field = u16::from_be_bytes([header[2], header[3]]);
        self.around.protocol = header[0];
        self.around.length = self.around.length.saturating_sub(8);
        if field & 0xfff9 == 0 {
            // An atomic fragment (RFC 6946) is whole, but may still have extension headers behind it.
            return self.extensions(header[0], rest, out);
        }
        let identification = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let part = Part { identification, offset: u32::from(field & 0xfff8), more: field & 1 == 1 };
        Err(self.fragment(part, rest, out))
    }

    /// What a header says is its payload: the rest is padding; where less is there, it must have been cut off.
    #[inline]
    fn payload<'a>(
        &mut self,
        rest: &'a [u8],
        length: Option<usize>,
        untold: bool,
    ) -> Result<&'a [u8], Outcome> {
        let length =
            if untold { rest.len() } else { length.ok_or(Outcome::Unjudged(Reason::BadLength))? };
        if length > rest.len() && !self.cut {
            return Err(Outcome::Unjudged(Reason::BadLength));
        }
        self.around.length = u32::try_from(length).unwrap_or(u32::MAX);
        Ok(rest.get(..length).unwrap_or(rest))
    }

    /// A fragment waits until its datagram is whole; a cut one never completes it.
    fn fragment(&mut self, part: Part, payload: &[u8], out: &mut dyn Receive) -> Outcome {
        let whole_piece = payload.len() as u64 == u64::from(self.around.length);
        if part.more && !payload.len().is_multiple_of(8) && whole_piece {
            return Outcome::Unjudged(Reason::Malformed);
        }
        while let Some(late) = self.fragments.overdue(self.stamp.at) {
            self.aside(late, out);
        }
        let key = Key {
            source: self.around.source,
            destination: self.around.destination,
            protocol: self.around.protocol,
            identification: part.identification,
        };
        let piece =
            Piece { offset: part.offset, more: part.more, bytes: payload, cut: !whole_piece };
        match self.fragments.add(key, &piece, &self.stack, self.stamp) {
            Added::Held => Outcome::Held,
            Added::Refused(reason) => Outcome::Unjudged(reason),
            Added::Whole(datagram) => self.whole(&datagram, out),
        }
    }

    /// A datagram is put together: every packet that brought a fragment is what the whole one is.
    fn whole(&mut self, datagram: &Partial, out: &mut dyn Receive) -> Outcome {
        let bytes = datagram.joined();
        self.around.length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let outcome = self.behind_fragments(&bytes, out);
        // The packet at hand is told by who asked for it.
        datagram.files().skip(1).for_each(|file| out.outcome(file, outcome));
        outcome
    }

    /// In IPv6, extension headers may stand behind the fragment header.
    fn behind_fragments(&mut self, bytes: &[u8], out: &mut dyn Receive) -> Outcome {
        match self.extensions(self.around.protocol, bytes, out) {
            Ok((kind, rest)) => self.run(kind, rest, out),
            Err(outcome) => outcome,
        }
    }

    /// Gives up another datagram while a packet is at hand.
    fn aside(&mut self, partial: Partial, out: &mut dyn Receive) {
        let (stack, around, stamp) = (self.stack, self.around, self.stamp);
        let (cut, shortened) = (self.cut, self.shortened);
        self.give_up(partial, out);
        (self.stack, self.around, self.stamp) = (stack, around, stamp);
        (self.cut, self.shortened) = (cut, shortened);
    }

    /// A datagram that never became whole is judged by its first fragment, if that came.
    #[expect(clippy::needless_pass_by_value, reason = "it is given up: nobody has it after this")]
    pub(super) fn give_up(&mut self, partial: Partial, out: &mut dyn Receive) {
        let outcome = match partial.first() {
            Some(bytes) => {
                self.begin_again(&partial);
                shortened(self.behind_fragments(bytes, out))
            }
            None => Outcome::Unjudged(Reason::Fragment),
        };
        partial.files().for_each(|file| out.outcome(file, outcome));
    }

    fn begin_again(&mut self, partial: &Partial) {
        let key = partial.key();
        self.stack = *partial.stack();
        self.stamp = partial.stamp();
        self.cut = true;
        self.shortened = false;
        self.around = Around {
            source: key.source,
            destination: key.destination,
            protocol: key.protocol,
            length: partial.length(),
        };
    }
}

/// Of a datagram that is judged, some is missing.
fn shortened(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Judged { Outcome::Shortened } else { outcome }
}

fn mapped([a, b, c, d]: [u8; 4]) -> Address {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

fn address(header: &[u8; 40], at: usize) -> Address {
    header.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
}
