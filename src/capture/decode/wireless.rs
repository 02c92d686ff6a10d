//! IEEE 802.11: data frames that are not encrypted. What is encrypted is counted as such, the rest is no traffic.

use super::{Decoder, Kind, Layer, Next, Outcome, Receive, head, malformed, skip};
use crate::capture::Reason;

impl Decoder {
    /// The radiotap header, whose length stands in it.
    pub(super) fn radiotap<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, _) = head::<4>(bytes)?;
        let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
        if header[0] != 0 || length < 8 {
            return malformed();
        }
        self.push(Layer::Radiotap)?;
        Ok((Kind::Wlan, skip(bytes, length)?))
    }

    /// IEEE 802.11-2020 §9.2.3: only data frames with a body carry traffic.
    pub(super) fn wlan<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (control, _) = head::<2>(bytes)?;
        let (kind, subkind) = ((control[0] >> 2) & 3, control[0] >> 4);
        if control[0] & 3 != 0 {
            return malformed();
        }
        if kind != 2 || subkind & 4 != 0 {
            return Err(Outcome::Outside("wlan"));
        }
        if control[1] & 0x40 != 0 {
            return Err(Outcome::Unjudged(Reason::Encrypted));
        }
        self.push(Layer::Wlan)?;
        let (body, several) = body(bytes, *control)?;
        if several { Err(self.aggregate(body, out)) } else { Ok((Kind::Llc, body)) }
    }

    /// Several frames in one (§9.3.2.2): each with its addresses, its length, and padding to four bytes.
    fn aggregate(&mut self, mut bytes: &[u8], out: &mut dyn Receive) -> Outcome {
        let mut worst = Outcome::Outside("wlan");
        let stack = self.stack;
        while let Ok((header, rest)) = head::<14>(bytes) {
            let length = usize::from(u16::from_be_bytes([header[12], header[13]]));
            let Some(frame) = rest.get(..length).filter(|frame| !frame.is_empty()) else {
                return Outcome::Unjudged(Reason::BadLength);
            };
            self.stack = stack;
            worst = worse(worst, self.run(Kind::Llc, frame, out));
            bytes = rest.get((length + 14).next_multiple_of(4) - 14..).unwrap_or_default();
        }
        worst
    }
}

/// The body of a data frame, and whether it holds several.
fn body(bytes: &[u8], control: [u8; 2]) -> Result<(&[u8], bool), Outcome> {
    let addresses = if control[1] & 3 == 3 { 30 } else { 24 };
    if control[0] & 0x80 == 0 {
        return Ok((skip(bytes, addresses)?, false));
    }
    let (quality, _) = head::<2>(skip(bytes, addresses)?)?;
    let ordered = if control[1] & 0x80 == 0 { 0 } else { 4 };
    Ok((skip(bytes, addresses + 2 + ordered)?, quality[0] & 0x80 != 0))
}

/// What a packet of several frames became: unjudged if one is.
const fn worse(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::Unjudged(_), _) | (Outcome::Shortened, Outcome::Judged | Outcome::Outside(_)) => {
            one
        }
        (Outcome::Judged, Outcome::Outside(_) | Outcome::Held) => one,
        _ => other,
    }
}
