//! Which local port an upstream connection has. It is chosen here and not by the kernel, because the ledger names it before
//! the dial: asked that early, the kernel refuses every port that any connection of the last minute had, and searches the longer
//! the more there were. Not which address: that is the line's.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand;
use socket2::Socket;

/// Where Linux says from which ports it would choose (ip-sysctl: `ip_local_port_range`, for IPv6 too).
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Where Linux says which of them are kept for somebody (ip-sysctl: `ip_local_reserved_ports`).
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Ports that may be taken by others, one after the other, before the line counts as full: a millisecond's work.
const TRIED: usize = 512;

/// The ports in the order of their use: shuffled, so that nobody outside can foresee the next one (RFC 6056 §2), and in turn,
/// so that a port rests as long as can be before it is used again. All workers share one order.
///
/// In two halves, as Linux has it: whoever binds has the ports at an odd distance from the lowest first, whoever only
/// connects the others, and a port that was bound is no longer one of his.
#[derive(Debug)]
pub(super) struct Ports {
    ours: Turns,
    spare: Turns,
}

#[derive(Debug)]
struct Turns {
    order: Box<[u16]>,
    turn: AtomicUsize,
}

impl Ports {
    /// Those that the kernel would choose from. Where it does not say, it chooses itself.
    pub(super) fn of_machine() -> Self {
        let ports = read().unwrap_or_else(|error| {
            tracing::warn!(%error, "the range of local ports cannot be read; the kernel chooses them");
            Vec::new()
        });
        Self::halves(ports)
    }

    fn halves(ports: Vec<u16>) -> Self {
        let odd = ports.first().map_or(1, |low| (low + 1) % 2);
        let (ours, spare) = ports.into_iter().partition(|port| port % 2 == odd);
        Self { ours: Turns::shuffled(ours), spare: Turns::shuffled(spare) }
    }

    /// Gives `socket` the address `source` and the next port that nobody listens on or keeps for himself; a spare one where
    /// asked for, and where all others are taken.
    ///
    /// A port that another connection of this box has, or had a moment ago, is not passed over: it is free for every other
    /// endpoint, and only the dial can tell for which it is not.
    ///
    /// # Errors
    /// Where the address is not there, or all ports that were tried are taken (`AddrInUse`).
    pub(super) fn bind(&self, socket: &Socket, source: IpAddr, spare: bool) -> io::Result<()> {
        if self.ours.order.is_empty() && self.spare.order.is_empty() {
            return socket.bind(&SocketAddr::new(source, 0).into());
        }
        socket.set_reuse_address(true)?;
        let first = if spare { &self.spare } else { &self.ours };
        let second = if spare { &self.ours } else { &self.spare };
        for port in first.some().chain(second.some()) {
            match socket.bind(&SocketAddr::new(source, port).into()) {
                Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => (),
                bound => return bound,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

impl Turns {
    fn shuffled(mut ports: Vec<u16>) -> Self {
        for last in (1..ports.len()).rev() {
            ports.swap(last, below(last + 1));
        }
        Self { order: ports.into(), turn: AtomicUsize::new(0) }
    }

    /// The next ones, as many as are tried at most; each is taken from the order when it is asked for.
    fn some(&self) -> impl Iterator<Item = u16> {
        (0..TRIED.min(self.order.len())).filter_map(|_| self.next())
    }

    fn next(&self) -> Option<u16> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.order.get(turn % self.order.len().max(1)).copied()
    }
}

/// A number below `bound`, each as likely as the next but for one in 2⁶⁴.
fn below(bound: usize) -> usize {
    let mut bytes = [0; 16];
    // Without entropy no handshake succeeds either; the ports are then in order.
    let _unready = rand::fill(&mut bytes);
    usize::try_from(u128::from_ne_bytes(bytes) % bound.max(1) as u128).unwrap_or_default()
}

fn read() -> io::Result<Vec<u16>> {
    let (range, reserved) = (fs::read_to_string(RANGE)?, fs::read_to_string(RESERVED)?);
    usable(&range, &reserved)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a range of ports"))
}

/// The ports of `range` (`32768 60999`) without those of `reserved` (`8080,40000-40010`); `None` where none is left or they
/// are written in another way.
fn usable(range: &str, reserved: &str) -> Option<Vec<u16>> {
    let (low, high) = range.trim().split_once(char::is_whitespace)?;
    let range = low.parse().ok()?..=high.trim().parse().ok()?;
    let pieces = reserved.trim().split(',').filter(|piece| !piece.is_empty());
    let reserved: Vec<RangeInclusive<u16>> = pieces.map(piece).collect::<Option<_>>()?;
    let ports: Vec<u16> =
        range.filter(|port| !reserved.iter().any(|kept| kept.contains(port))).collect();
    (!ports.is_empty()).then_some(ports)
}

fn piece(text: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some(low.parse().ok()?..=high.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::AtomicUsize;

    use socket2::{Domain, Protocol, Socket, Type};

    use super::{Ports, Turns, usable};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 31, 7));

    fn ports(ours: &[u16], spare: &[u16]) -> Ports {
        let turns = |ports: &[u16]| Turns { order: ports.into(), turn: AtomicUsize::new(0) };
        Ports { ours: turns(ours), spare: turns(spare) }
    }

    /// Bind, then dial, as an upstream connection does.
    fn dial(ports: &Ports, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        ports.bind(&socket, HERE, false)?;
        socket.connect(&to.into())?;
        Ok(socket.into())
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A port that nobody has now.
    fn free() -> u16 {
        listener().1.port()
    }

    #[test]
    fn the_kernel_s_range_counts_without_what_it_keeps_for_others() {
        let check = |range, reserved, ports: Option<&[u16]>| {
            assert_eq!(usable(range, reserved).as_deref(), ports, "{range} without {reserved}");
        };
        check("32768\t32771\n", "\n", Some(&[32768, 32769, 32770, 32771]));
        check("100 105", "101,103-104\n", Some(&[100, 102, 105]));
        check("100 102", "1-65535", None);
        check("102 100", "", None);
        check("100", "", None);
        check("100 70000", "", None);
        check("100 102", "101-", None);
    }

    #[test]
    fn every_port_has_its_turn_before_one_has_it_twice() {
        let turns = Turns::shuffled((40_000..40_100).collect());
        let round = || (0..100).filter_map(|_| turns.next()).collect::<Vec<_>>();
        let (first, second) = (round(), round());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 100);
        assert_eq!(first, second, "the one that rested longest comes first");
        assert!(!first.is_sorted(), "nobody can foresee the next");
    }

    #[test]
    fn the_half_that_whoever_only_connects_looks_at_first_is_spared() {
        for (low, ours) in [(40_000, [40_001, 40_003]), (40_001, [40_002, 40_004])] {
            let ports = Ports::halves((low..low + 4).collect());
            let next: BTreeSet<_> = ports.ours.some().collect();
            assert_eq!(next, BTreeSet::from(ours), "from {low} on");
        }
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_passed_over() {
        let (_busy, taken) = listener();
        let (_upstream, endpoint) = listener();
        let (second, spare) = (free(), free());
        let pair = [
            (ports(&[taken.port(), second], &[]), second),
            (ports(&[taken.port()], &[spare]), spare),
        ];
        for (ports, next) in pair {
            let stream = dial(&ports, endpoint).unwrap();
            assert_eq!(stream.local_addr().unwrap().port(), next);
        }
        let none = dial(&ports(&[taken.port()], &[]), endpoint).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_port_that_had_a_connection_a_moment_ago_is_used_again() {
        let (upstream, endpoint) = listener();
        let (other, elsewhere) = listener();
        let ports = ports(&[free()], &[]);
        let first = dial(&ports, endpoint).unwrap();
        let _accepted = upstream.accept().unwrap();
        // This side closes first, so that the port is the one that has to rest.
        drop(first);
        dial(&ports, elsewhere).unwrap();
        let _accepted_too = other.accept().unwrap();
    }

    #[test]
    fn only_the_dial_tells_that_a_port_is_taken_for_this_endpoint() {
        let (_upstream, endpoint) = listener();
        let (_other, elsewhere) = listener();
        let ports = ports(&[free()], &[]);
        let _first = dial(&ports, endpoint).unwrap();
        let taken = dial(&ports, endpoint).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrNotAvailable);
        dial(&ports, elsewhere).unwrap();
    }

    #[test]
    fn without_a_range_the_kernel_chooses() {
        let (_upstream, endpoint) = listener();
        let stream = dial(&ports(&[], &[]), endpoint).unwrap();
        assert_ne!(stream.local_addr().unwrap().port(), 0);
    }
}
