//! The axes along which a cell is cut, and small sets of atoms.

use super::both::Both;
use crate::flow::{Alpn, Identity, Name, Timestamp, TlsVersion, Transport};

/// What a flow can differ in, inside a cell and at an endpoint. In the order in which boxes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Axis {
    When,
    Listener,
    Transport,
    Version,
    Spoken,
    Paper,
    Ask,
    Peer,
}

impl Axis {
    /// Every axis, in order.
    pub(super) const ALL: [Self; 8] = [
        Self::When,
        Self::Listener,
        Self::Transport,
        Self::Version,
        Self::Spoken,
        Self::Paper,
        Self::Ask,
        Self::Peer,
    ];
}

/// One atom of each axis, by number.
pub(super) type Point = [usize; 8];

/// The transports.
pub(super) const TRANSPORTS: [Transport; 4] =
    [Transport::Tcp, Transport::Udp, Transport::Icmp, Transport::Esp];
/// The versions.
pub(super) const VERSIONS: [TlsVersion; 3] =
    [TlsVersion::Tls13, TlsVersion::Tls12, TlsVersion::Old];
/// Ways to speak: the application protocol that was agreed on, and whether something is said that no TLS protects.
/// Without a hello nothing is agreed on, and every other one is the same as the one before it.
pub(super) const SPOKEN: [(Option<Alpn>, bool); 4] =
    [(None, false), (Some(Alpn::Http11), false), (None, true), (Some(Alpn::Http11), true)];

/// A set of atoms of one axis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Atoms(Vec<u64>);

impl Atoms {
    /// Adds one.
    pub(super) fn insert(&mut self, atom: usize) {
        let word = atom / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (atom % 64);
        }
    }

    /// Whether it is in.
    pub(super) fn contains(&self, atom: usize) -> bool {
        self.0.get(atom / 64).is_some_and(|bits| bits >> (atom % 64) & 1 == 1)
    }

    /// All that are in, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(word, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        })
    }

    /// The first that is in.
    pub(super) fn first(&self) -> Option<usize> {
        self.iter().next()
    }

    /// All of both.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        other.iter().for_each(|atom| both.insert(atom));
        both
    }
}

impl FromIterator<usize> for Atoms {
    fn from_iter<I: IntoIterator<Item = usize>>(atoms: I) -> Self {
        let mut set = Self::default();
        atoms.into_iter().for_each(|atom| set.insert(atom));
        set
    }
}

/// Where a connection came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entrance {
    /// It was only seen on the wire.
    Unknown,
    /// A listener that a law names.
    Named(Name),
    /// Any other.
    Other(Name),
}

impl Entrance {
    /// The listener, where a law names it.
    pub(super) const fn named(&self) -> Option<&Name> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unknown | Self::Other(_) => None,
        }
    }
}

/// What a client showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing is known yet.
    Unknown,
    /// No certificate.
    Absent,
    /// One that is not in order.
    Flawed,
    /// One in order; whose names they are, with an example.
    Named(Both<Whose>, Vec<Identity>),
}

/// Whose names a certificate carries, seen from the system that the address belongs to. Of several names the one that
/// comes last here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Whose {
    Nobody,
    Own,
    Other,
    /// One that may never initiate.
    Closed,
}

/// What the dialled server turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// Nothing is known yet.
    Unknown,
    /// The handshake refused it.
    Refused,
    /// Whether it speaks for the destination, with an example.
    Verified(Both<bool>, Vec<Identity>),
}

/// What is asked, beside method and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// Nothing is asked yet, or nobody can read it.
    Nothing,
    /// For another host than the connection's.
    Elsewhere,
    /// A request: whether it asks for another protocol, its method and its path by number.
    Request { upgrade: bool, method: usize, path: usize },
}

/// The moments from which a stretch of time goes until the next one begins.
pub(super) type Moments = Vec<Timestamp>;
