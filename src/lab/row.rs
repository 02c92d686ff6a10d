//! What the lab tries: a table of sentences, what is due, and what was found. How it is tried is elsewhere.

use crate::standin::Speak;
use crate::verdict::Reason;

/// One thing that is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// What, in words.
    pub(super) tried: &'static str,
    /// What must come of it.
    pub(super) due: Due,
    /// What a Japanese reader calls it, or a word more.
    pub(super) note: &'static str,
    /// How.
    pub(super) act: Act,
}

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It passes, whole.
    Allow,
    /// It is refused for this reason and no other.
    Deny(Reason),
    /// A law is not put in force.
    Refused,
    /// A live transfer ends at once.
    Cut,
}

/// How it is tried.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// 8 MiB to the intermediate server.
    Upload(Speak),
    /// 8 MiB from it.
    Download(Speak),
    /// A `tls` passage whose client has said that this was all long before the answer has.
    Passage,
    /// A connection from one address to another; the last two octets of each.
    Arrive((u8, u8), (u8, u8)),
    /// A request that the law does not permit.
    Ask(Shown, Wish),
    /// The existing system, under a law whose connection date is yet to come.
    TooEarly,
    /// The relay server is dead, and there is only one.
    RelayDead,
    /// Tokyo is dead, and nobody has declared a degraded operation.
    TokyoDead,
    /// Tokyo is back.
    TokyoBack,
    /// A law with an endpoint in another country.
    Abroad,
    /// A law with mistakes.
    Faulty,
    /// A certificate is revoked while its owner's transfer goes on, beside a neighbour's.
    Revoked,
}

/// Whose certificate is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// None.
    Nothing,
    /// The existing system's.
    Kizon,
    /// The dedicated terminal's.
    Tanmatsu,
    /// The eligibility system's.
    Oqs,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// What the rule permits.
    Permitted,
    /// DELETE.
    Delete,
    /// A path that no rule has.
    ElsewherePath,
    /// Another host than the connection's server name.
    OtherHost,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Found {
    /// In words.
    pub(super) happened: String,
    /// The entry that says so in the ledger.
    pub(super) seq: Option<u64>,
    /// Whether the answer, its reason and the ledger are what was due.
    pub(super) fits: bool,
}

impl Due {
    /// The word in the table.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::Refused => "refused",
            Self::Cut => "cut",
        }
    }
}

const fn allow(tried: &'static str, act: Act, note: &'static str) -> Row {
    Row { tried, due: Due::Allow, note, act }
}

const fn deny(tried: &'static str, reason: Reason, act: Act, note: &'static str) -> Row {
    Row { tried, due: Due::Deny(reason), note, act }
}

/// The existing system and the listener it knows.
const KIZON_AT: (u8, u8) = (13, 5);
const UNION_LAN: (u8, u8) = (0, 1);

/// Everything that is tried, in this order. The revocation stands last: it holds from then on.
pub(super) const ROWS: &[Row] = &[
    allow("upload 8 MiB, digest equal", Act::Upload(Speak::Http11), "既存システム→中間サーバー"),
    allow("download 8 MiB, digest equal", Act::Download(Speak::Http11), ""),
    allow("the same upload over HTTP/2", Act::Upload(Speak::H2), ""),
    allow("the same download over HTTP/2", Act::Download(Speak::H2), ""),
    allow("tls passage, early half-close", Act::Passage, "統合専用端末→中継サーバー, byte-exact"),
    deny(
        "unknown source",
        Reason::UnknownSource,
        Act::Arrive((99, 9), UNION_LAN),
        "closed before TLS",
    ),
    deny(
        "eligibility side, by address",
        Reason::ReverseAccess,
        Act::Arrive((210, 9), UNION_LAN),
        "オンライン資格確認等システム",
    ),
    deny(
        "eligibility side, by identity",
        Reason::ReverseAccess,
        Act::Ask(Shown::Oqs, Wish::Permitted),
        "",
    ),
    deny(
        "eligibility side, other port",
        Reason::ReverseAccess,
        Act::Arrive((210, 9), (200, 2)),
        "refusing listener",
    ),
    deny(
        "existing system, other port",
        Reason::Listener,
        Act::Arrive(KIZON_AT, (200, 2)),
        "refusing listener",
    ),
    deny(
        "no client certificate",
        Reason::IdentityMissing,
        Act::Ask(Shown::Nothing, Wish::Permitted),
        "",
    ),
    deny(
        "another system's certificate",
        Reason::IdentityMismatch,
        Act::Ask(Shown::Tanmatsu, Wish::Permitted),
        "統合専用端末",
    ),
    deny("DELETE", Reason::Method, Act::Ask(Shown::Kizon, Wish::Delete), ""),
    deny("path outside the rule", Reason::Path, Act::Ask(Shown::Kizon, Wish::ElsewherePath), ""),
    deny(
        "SNI differs from Host",
        Reason::HostMismatch,
        Act::Ask(Shown::Kizon, Wish::OtherHost),
        "",
    ),
    deny("before the connection date", Reason::BeforeConnectionDate, Act::TooEarly, "結合年月日"),
    deny("the only endpoint dead", Reason::UpstreamUnreachable, Act::RelayDead, "中継サーバー"),
    deny("Tokyo dead, nothing declared", Reason::SiteNotDeclared, Act::TokyoDead, "縮退運転"),
    allow("Tokyo back", Act::TokyoBack, "東京拠点"),
    Row {
        tried: "reload: an endpoint abroad",
        due: Due::Refused,
        note: "the old policy stays",
        act: Act::Abroad,
    },
    Row {
        tried: "reload: a faulty file",
        due: Due::Refused,
        note: "the old policy stays",
        act: Act::Faulty,
    },
    Row {
        tried: "revoked during a transfer",
        due: Due::Cut,
        note: "the neighbour byte-exact",
        act: Act::Revoked,
    },
];
