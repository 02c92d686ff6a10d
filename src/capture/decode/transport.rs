//! What stands above IP: TCP, UDP, ICMP, ESP, and protocols that are only named.

use super::{
    Datagram, Decoder, Kind, Layer, Next, Outcome, Receive, Segment, head, malformed, skip, tunnel,
};
use crate::capture::Reason;

const ICMP: u8 = 1;
const IGMP: u8 = 2;
const IPV4: u8 = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const ETHERIP: u8 = 97;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;
const MPLS: u8 = 137;

impl Decoder {
    #[inline]
    pub(super) fn transport<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        match self.around.protocol {
            TCP => self.tcp(bytes, out),
            UDP => self.udp(bytes, out),
            ICMP => self.icmp(bytes, out),
            ICMPV6 => self.icmpv6(bytes, out),
            IPV4 | IPV6 => Ok(self.carried(Kind::Ip, bytes, out)),
            GRE => Ok(self.carried(Kind::Gre, bytes, out)),
            MPLS => Ok(self.carried(Kind::Mpls, bytes, out)),
            ETHERIP => self.etherip(bytes, out),
            AUTHENTICATION => self.authentication(bytes),
            IGMP => Err(Outcome::Outside("igmp")),
            SCTP | UDP_LITE | DCCP => self.with_ports(bytes, out),
            _ => {
                self.report([0, 0], bytes, out);
                Err(Outcome::Judged)
            }
        }
    }

    /// RFC 9293 §3.1.
    #[inline]
    fn tcp<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, _) = head::<20>(bytes)?;
        let size = usize::from(header[12] >> 4) * 4;
        if size < 20 {
            return malformed();
        }
        // Options that were cut off say nothing that matters here; the payload is cut off with them.
        let payload = match bytes.get(size..) {
            Some(payload) => payload,
            None if self.cut => &[],
            None => return Err(Outcome::Unjudged(Reason::BadLength)),
        };
        let Some(length) = self.around.length.checked_sub(u32::try_from(size).unwrap_or(0)) else {
            return Err(Outcome::Unjudged(Reason::BadLength));
        };
        let segment = Segment {
            sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            acknowledged: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            flags: header[13],
        };
        self.tell(
            &Datagram {
                length,
                segment: Some(segment),
                ..self.datagram(ports([header[0], header[1], header[2], header[3]]), payload)
            },
            out,
        );
        Err(Outcome::Judged)
    }

    /// RFC 768. A length of 0 is that of a jumbogram (RFC 2675 §4).
    #[inline]
    fn udp<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, rest) = head::<8>(bytes)?;
        let told = u32::from(u16::from_be_bytes([header[4], header[5]]));
        let told = if told == 0 { self.around.length } else { told };
        let holds = told <= self.around.length || self.cut;
        let Some(length) = told.checked_sub(8).filter(|_| holds) else {
            return Err(Outcome::Unjudged(Reason::BadLength));
        };
        let payload = rest.get(..length as usize).unwrap_or(rest);
        let ports = ports([header[0], header[1], header[2], header[3]]);
        let inner = tunnel::behind_udp(ports, payload);
        let carrier = inner.is_some();
        self.tell(&Datagram { length, carrier, ..self.datagram(ports, payload) }, out);
        let Some((layer, kind, inside)) = inner else { return Err(Outcome::Judged) };
        self.push(Layer::Udp)?;
        layer.map_or(Ok(()), |layer| self.push(layer))?;
        // From here on the length is the inner header's to tell.
        Ok((kind, inside))
    }

    /// RFC 792: the type stands for the asking port, the type of the answer or the code for the answering one.
    fn icmp<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, rest) = head::<4>(bytes)?;
        let ports = match header[0] {
            9 | 10 => return Err(Outcome::Outside("router-discovery")),
            kind => [kind, counterpart(kind).unwrap_or(header[1])],
        };
        self.report(ports.map(u16::from), rest, out);
        Err(Outcome::Judged)
    }

    /// RFC 4443. Neighbour and listener discovery run the segment, as ARP does.
    fn icmpv6<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, rest) = head::<4>(bytes)?;
        let ports = match header[0] {
            128 => [128, 129],
            129 => [129, 128],
            133..=137 => return Err(Outcome::Outside("ndp")),
            130..=132 | 143 => return Err(Outcome::Outside("mld")),
            kind => [u16::from(kind), u16::from(header[1])],
        };
        self.report(ports, rest, out);
        Err(Outcome::Judged)
    }

    fn with_ports<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (header, rest) = head::<4>(bytes)?;
        self.report(ports(*header), rest, out);
        Err(Outcome::Judged)
    }

    /// RFC 4302: not encrypted, so what it protects is read.
    fn authentication<'a>(&mut self, bytes: &'a [u8]) -> Next<'a> {
        let (header, _) = head::<12>(bytes)?;
        let size = usize::from(header[1]) * 4 + 8;
        self.around.protocol = header[0];
        self.around.length = self.around.length.saturating_sub(u32::try_from(size).unwrap_or(0));
        self.push(Layer::Ah)?;
        Ok((Kind::Transport, skip(bytes, size)?))
    }

    /// RFC 3378: two bytes, then an Ethernet frame.
    fn etherip<'a>(&mut self, bytes: &'a [u8], out: &mut dyn Receive) -> Next<'a> {
        let (_, inside) = head::<2>(bytes)?;
        let next = self.carried(Kind::Ethernet, inside, out);
        self.push(Layer::Etherip)?;
        Ok(next)
    }

    /// The outer packet of a tunnel is a connection too.
    fn carried<'a>(
        &mut self,
        kind: Kind,
        bytes: &'a [u8],
        out: &mut dyn Receive,
    ) -> (Kind, &'a [u8]) {
        let length = self.around.length;
        self.tell(&Datagram { length, carrier: true, ..self.datagram([0, 0], bytes) }, out);
        (kind, bytes)
    }

    fn report(&mut self, ports: [u16; 2], payload: &[u8], out: &mut dyn Receive) {
        self.tell(&self.datagram(ports, payload), out);
    }

    fn datagram<'a>(&self, ports: [u16; 2], payload: &'a [u8]) -> Datagram<'a> {
        Datagram {
            source: self.around.source,
            destination: self.around.destination,
            protocol: self.around.protocol,
            ports,
            payload,
            length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            segment: None,
            carrier: false,
        }
    }

    #[inline]
    fn tell(&mut self, datagram: &Datagram<'_>, out: &mut dyn Receive) {
        self.shortened |= (datagram.payload.len() as u64) < u64::from(datagram.length);
        out.datagram(datagram, &self.stack, self.stamp);
    }
}

const fn ports([a, b, c, d]: [u8; 4]) -> [u16; 2] {
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// The type of ICMP message on the other side of a question and its answer (RFC 792, RFC 950).
const fn counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        13 | 15 | 17 => kind + 1,
        14 | 16 | 18 => kind - 1,
        _ => return None,
    })
}
