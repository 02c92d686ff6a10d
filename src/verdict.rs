//! The answer to a flow, and the closed set of reasons. Codes are stable: they are the same in YAML,
//! ledger, metrics, JSON and refusals, and every table over them is exhaustive.

use std::fmt;
use std::net::SocketAddr;

use crate::flow::Name;

/// How far the life of a connection had come when it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The bounds on connections.
    Accept,
    /// The source address alone.
    Arrival,
    /// The TLS `ClientHello`.
    Hello,
    /// The client certificate.
    Identity,
    /// One HTTP request.
    Request,
    /// The socket address about to be dialled.
    Dial,
    /// The upstream's certificate.
    Peer,
    /// What flows inside.
    Content,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 8] = [
        Self::Accept,
        Self::Arrival,
        Self::Hello,
        Self::Identity,
        Self::Request,
        Self::Dial,
        Self::Peer,
        Self::Content,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Arrival => "arrival",
            Self::Hello => "hello",
            Self::Identity => "identity",
            Self::Request => "request",
            Self::Dial => "dial",
            Self::Peer => "peer",
            Self::Content => "content",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What the law says of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass, by this rule, to this very address.
    Allow(Allowed),
    /// It may not.
    Deny(Denied),
    /// Facts are missing; some rule may still fit.
    NotYet(NotYet),
}

/// An allowed flow: only one with an endpoint can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The rule it passes by.
    pub rule: Name,
    /// The system it goes to.
    pub system: Name,
    /// The judged socket address.
    pub endpoint: SocketAddr,
    /// What it would be refused for, where it passes only because its rule observes.
    pub would_deny: Option<Reason>,
}

/// A refused flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub reason: Reason,
    /// At which stage.
    pub stage: Stage,
    /// The rule that was nearest where exactly one was.
    pub rule: Option<Name>,
    /// The rules that fitted longest, and what stopped each; filled for [`Reason::NoRule`].
    pub nearest: Vec<Near>,
}

/// A rule that nearly fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// Its name.
    pub rule: Name,
    /// The facts that kept it from fitting.
    pub stopped_by: Vec<Reason>,
}

/// An undecided flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet {
    /// The stage whose facts were the last that were known.
    pub stage: Stage,
    /// The rule, where only one is left.
    pub rule: Option<Name>,
}

impl Verdict {
    /// The reason of a refusal.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Deny(denied) => Some(denied.reason),
            Self::Allow(_) | Self::NotYet(_) => None,
        }
    }

    /// `allow`, `deny` or `not_yet`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Deny(_) => "deny",
            Self::NotYet(_) => "not_yet",
        }
    }

    /// The rule it speaks of, where there is exactly one.
    pub const fn rule(&self) -> Option<&Name> {
        match self {
            Self::Allow(allowed) => Some(&allowed.rule),
            Self::Deny(denied) => denied.rule.as_ref(),
            Self::NotYet(not_yet) => not_yet.rule.as_ref(),
        }
    }
}

impl Denied {
    /// A refusal that names no rule.
    pub const fn plain(reason: Reason, stage: Stage) -> Self {
        Self { reason, stage, rule: None, nearest: Vec::new() }
    }
}

/// Makes the enum, its list and its table in one go, so that a new reason does not compile until it
/// has a code, an HTTP status and a text in both languages.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $code:literal $status:literal $ja:literal $en:literal)+) => {
        /// Why something was refused. A closed set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* #[doc = $en] $name,)+ }

        impl Reason {
            /// Every reason, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code, snake case.
            pub const fn code(self) -> &'static str { match self { $(Self::$name => $code,)+ } }

            /// The HTTP status of a refusal for this reason. Two depend on where it happens, see
            /// [`Reason::header_status`] and [`Reason::upstream_status`].
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)+ } }

            /// What it means, for a Japanese reader.
            pub const fn japanese(self) -> &'static str { match self { $(Self::$name => $ja,)+ } }

            /// What it means, in English.
            pub const fn english(self) -> &'static str { match self { $(Self::$name => $en,)+ } }
        }
    };
}

reasons! {
    ReverseAccess "reverse_access" 403 "接続を開始してはならないシステムからの接続です" "a system that may never initiate a connection tried to open one"
    UnknownSource "unknown_source" 403 "接続元アドレスがどのシステムにも属していません" "the source address belongs to no system of the law"
    UnknownDestination "unknown_destination" 403 "接続先の名前がどのシステムにも属していません" "the requested name belongs to no system of the law"
    DestinationNotListed "destination_not_listed" 403 "接続先が、認められた接続先の一覧にありません" "the destination is not among those that the guardrail lists"
    NoRule "no_rule" 403 "この通信を認める規則がありません" "no rule fits, and several kinds of facts stand in the way"
    Listener "listener" 403 "この受け口からの通信は認められていません" "the listener takes no such connection, or the rule does not name it"
    IdentityMissing "identity_missing" 403 "クライアント証明書が提示されていません" "no client certificate was presented"
    IdentityUnknown "identity_unknown" 403 "クライアント証明書の名前がどのシステムにも属していません" "the client certificate names no system of the law"
    IdentityMismatch "identity_mismatch" 403 "クライアント証明書の名前と接続元アドレスが、同じシステムのものではありません" "the client certificate belongs to another system than the source address"
    CertificateRevoked "certificate_revoked" 403 "クライアント証明書は失効しています" "the client certificate is revoked"
    RevocationUnknown "revocation_unknown" 403 "証明書の失効状態を確認できません（失効リストがないか、期限切れです）" "the revocation status cannot be told: there is no list, or it is out of date"
    CertificateExpired "certificate_expired" 403 "クライアント証明書の有効期間外です" "the client certificate is outside its validity period"
    CertificateInvalid "certificate_invalid" 403 "クライアント証明書を、信頼する認証局までたどることができません" "the client certificate does not chain to a trusted authority"
    TlsVersion "tls_version" 403 "認められていないTLSバージョンです" "the TLS version is not one that the law permits"
    HostMismatch "host_mismatch" 421 "接続時のサーバー名（SNI）と要求のホスト名が一致しないか、サーバー名がありません" "the server name of the connection (SNI) is missing or is not the host of the request"
    Protocol "protocol" 403 "この規則では認められていないプロトコルです" "the rule speaks another protocol"
    Method "method" 403 "この規則では認められていないHTTPメソッドです" "the method is not in the rule"
    Path "path" 403 "この規則では認められていないパスです" "the path is not in the rule"
    Upgrade "upgrade" 403 "プロトコルの切り替えは認められていません" "the rule does not permit a switch of protocols"
    BeforeConnectionDate "before_connection_date" 403 "結合年月日より前です" "it is before the connection date"
    BeforeApproval "before_approval" 403 "承認の始期より前です" "the approval has not begun"
    AfterApproval "after_approval" 403 "承認の終期を過ぎています" "the approval has ended"
    OutsideCountry "outside_country" 403 "接続先の所在国が、認められた国ではありません" "the address to be dialled lies in a country that is not permitted"
    CountryUnknown "country_unknown" 403 "接続先の所在国を確認できません" "the country of the address to be dialled cannot be told"
    SiteNotDeclared "site_not_declared" 403 "この拠点を使う縮退運転が宣言されていません" "no degraded operation is declared that would use this site"
    RoundTrip "round_trip" 403 "往復遅延が、この拠点の上限を超えています" "the round trip is longer than this site permits"
    IndividualNumber "individual_number" 403 "個人番号を送ることが認められていない通信です" "an individual number was found where none may pass"
    ContentUnreadable "content_unreadable" 403 "内容を検査できないため、送ることができません" "the content cannot be read, so it cannot be shown to be free of individual numbers"
    MalformedRequest "malformed_request" 400 "要求の形式が正しくありません" "the request is not well-formed, or can be read in two ways"
    Handshake "handshake" 403 "TLSハンドシェイクが成立しませんでした" "the TLS handshake did not succeed"
    Timeout "timeout" 408 "時間内に完了しませんでした" "it took longer than the limits permit"
    Limit "limit" 503 "上限に達しています" "a limit of this box is reached"
    LedgerUnwritable "ledger_unwritable" 503 "記録簿に書き込めないため、通信を止めています" "the ledger cannot be written, and nothing passes unrecorded"
    UpstreamUnreachable "upstream_unreachable" 502 "接続先に到達できません" "no permitted endpoint of the destination can be reached"
    UpstreamIdentity "upstream_identity" 502 "接続先の証明書が、想定したものではありません" "the upstream's certificate is not the expected one"
    UpstreamFailed "upstream_failed" 502 "接続先が通信を途中で打ち切りました" "the upstream broke off, or answered with something that is not HTTP"
    Draining "draining" 503 "停止準備中のため、新しい通信を受け付けません" "this box is draining and takes nothing new"
}

impl Reason {
    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// The status where the bound that was hit is the size of a request's head (RFC 6585 §5).
    pub const fn header_status(self) -> u16 {
        if matches!(self, Self::Limit) { 431 } else { self.status() }
    }

    /// The status where it was the upstream that did not answer in time (RFC 9110 §15.6.5).
    pub const fn upstream_status(self) -> u16 {
        if matches!(self, Self::Timeout) { 504 } else { self.status() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Reason;

    #[test]
    fn a_code_is_unique_and_leads_back_to_its_reason() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            assert!(reason.code().bytes().all(|c| c.is_ascii_lowercase() || c == b'_'));
        }
        assert_eq!(Reason::from_code("nonsense"), None);
    }
}
