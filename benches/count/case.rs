//! What is counted, and how often in one round. How it is done is elsewhere.

use clap::ValueEnum;

use crate::door::Way;

/// One line of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// A request judged under a law of 20 rules.
    Decide,
    /// The same under a law of 5 000 rules, half of them between the same two systems.
    DecideWide,
    /// A *request* entry: rendered, placed, written. The sync is the kernel's.
    Entry,
    /// A request on a kept connection, by an `https` rule.
    Https,
    /// The same round trip through a `tls` rule.
    Tls,
    /// A new client connection by an `https` rule with one request, the upstream's connection kept.
    Handshake,
}

/// Where a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a process that calls the library.
    Inside,
    /// Through the real program, over sockets.
    Served(Pattern, Way),
}

/// What the clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Each keeps its connection.
    Kept,
    /// A connection for each request.
    New,
}

impl Case {
    /// In the order in which they are shown.
    pub(crate) const ALL: [Self; 6] =
        [Self::Decide, Self::DecideWide, Self::Entry, Self::Https, Self::Tls, Self::Handshake];

    /// As in the baseline and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::DecideWide => "decide-wide",
            Self::Entry => "entry",
            Self::Https => "https",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
        }
    }

    /// What one unit is, for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Decide => "one decision",
            Self::DecideWide => "one decision, 5 000 rules",
            Self::Entry => "one ledger entry",
            Self::Https => "one kept request, https",
            Self::Tls => "one kept round trip, tls",
            Self::Handshake => "one new connection, https",
        }
    }

    /// Where it runs.
    pub(crate) const fn place(self) -> Place {
        match self {
            Self::Decide | Self::DecideWide | Self::Entry => Place::Inside,
            Self::Https => Place::Served(Pattern::Kept, Way::Https),
            Self::Tls => Place::Served(Pattern::Kept, Way::Tls),
            Self::Handshake => Place::Served(Pattern::New, Way::Https),
        }
    }

    /// How many units a round has: so many that what the process does beside them is lost among them.
    pub(crate) const fn units(self) -> u32 {
        match self {
            Self::Decide | Self::DecideWide | Self::Entry => 20_000,
            Self::Https | Self::Tls => 1_600,
            Self::Handshake => 240,
        }
    }

    /// How many rules the law has.
    pub(crate) const fn rules(self) -> usize {
        match self {
            Self::DecideWide => 5_000,
            Self::Decide | Self::Entry | Self::Https | Self::Tls | Self::Handshake => 20,
        }
    }
}
