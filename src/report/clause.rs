//! The clauses of the consultation, one by one: what each asks, whose duty it is, how far a box at the edge of a network
//! reaches, and by what means. The texts only; what is in force and what happened is for `standing` to say.
//!
//! Section 4(1) binds the cloud service. There this box can only take measures in line with a clause on its own segment
//! (準じた措置); it never claims that the cloud meets it.

use super::lang::{Lang, Said};

/// Whose duty a clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// 広域連合.
    Union,
    /// 取りまとめ機関.
    Coordinators,
    /// クラウド事業者.
    Cloud,
    /// The cloud's for itself, ours for our box.
    Both,
    /// 回線事業者.
    Carrier,
}

/// How far a box at the edge of the network reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All of it.
    Full,
    /// On our own segment.
    Segment,
    /// A document that is registered.
    Register,
    /// Not at all.
    Outside,
}

/// A clause, as a key for what is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// 2 第1段落.
    Connection,
    /// 2 第2段落.
    Provider,
    /// 4(1) 柱書.
    Operation,
    /// 4(1)ア(ア).
    Location,
    /// 4(1)ア(イ).
    Export,
    /// 4(1)ア(ウ).
    Degraded,
    /// 4(1)ア 注, sites.
    Backup,
    /// 4(1)ア 注, logs.
    Log,
    /// 4(1)ア 注, media.
    Disposal,
    /// 4(1)(エ)(オ)(キ), エ.
    Contract,
    /// 4(1)(カ).
    Protection,
    /// 4(1)イ.
    Line,
    /// 4(1)ウ.
    Room,
    /// 4(2)ア.
    Vpn,
    /// 4(2)イ.
    Leased,
    /// 別記様式.
    Record,
    /// 別添1(2)1.
    Eligibility,
    /// 6.
    Later,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Clause {
    /// Which.
    pub key: Key,
    /// Its number as the consultation has it.
    pub number: &'static str,
    /// Documents whose `clause` begins so belong to it.
    pub documents: &'static [&'static str],
    /// What it asks.
    pub asks: Said,
    /// Whose duty.
    pub duty: Duty,
    /// How far we reach.
    pub reach: Reach,
    /// By what means.
    pub how: Said,
}

impl Duty {
    /// Who, for a reader.
    pub const fn text(self, lang: Lang) -> &'static str {
        match self {
            Self::Union => lang.of("広域連合", "the union"),
            Self::Coordinators => lang.of("取りまとめ機関", "the coordinating bodies"),
            Self::Cloud => lang.of("クラウド事業者", "the cloud service"),
            Self::Both => lang.of(
                "クラウド事業者（本装置の分は広域連合）",
                "the cloud service; the union for this box",
            ),
            Self::Carrier => lang.of("回線事業者", "the carrier"),
        }
    }

    /// Whether what we do about it is only in line with the clause.
    pub const fn is_anothers(self) -> bool {
        matches!(self, Self::Cloud | Self::Both | Self::Carrier | Self::Coordinators)
    }
}

impl Reach {
    /// How far, for a reader.
    pub const fn text(self, lang: Lang) -> &'static str {
        match self {
            Self::Full => lang.of("全部", "full"),
            Self::Segment => lang.of("一部（自区間）", "in part: our own segment"),
            Self::Register => lang.of("文書の登録のみ", "a registered document only"),
            Self::Outside => lang.of("対象外", "out of reach"),
        }
    }
}

const fn said(ja: &'static str, en: &'static str) -> Said {
    Said { ja, en }
}

/// Every clause, in the order of the consultation.
pub const CLAUSES: &[Clause] = &[
    Clause {
        key: Key::Connection,
        number: "2 第1段落",
        documents: &["2第1段落"],
        asks: said(
            "更改後の中間サーバーへ接続する。中間サーバーはオンライン資格確認等システムとも接続される",
            "connect to the renewed intermediate server, which also joins the online-eligibility system",
        ),
        duty: Duty::Union,
        reach: Reach::Full,
        how: said(
            "既定は拒否。登録した接続先だけを許し、相手を証明書で確かめる",
            "deny by default; listed destinations only; peers are known by certificate",
        ),
    },
    Clause {
        key: Key::Provider,
        number: "2 第2段落",
        documents: &["2第2段落"],
        asks: said(
            "クラウド事業者はデータを取り扱わず、アクセス制御を行う",
            "the cloud provider does not handle the data, and access is controlled",
        ),
        duty: Duty::Coordinators,
        reach: Reach::Register,
        how: said("文書", "documents"),
    },
    Clause {
        key: Key::Operation,
        number: "4(1) 柱書・ア 柱書",
        documents: &["4(1)柱書", "4(1)ア柱書"],
        asks: said(
            "取りまとめ機関が運営し、国内法を守る",
            "run by the coordinating bodies, under domestic law",
        ),
        duty: Duty::Coordinators,
        reach: Reach::Register,
        how: said("文書", "documents"),
    },
    Clause {
        key: Key::Location,
        number: "4(1)ア(ア)",
        documents: &["4(1)ア(ア)"],
        asks: said("データセンターは日本国内に置く", "the data centre lies in Japan"),
        duty: Duty::Cloud,
        reach: Reach::Segment,
        how: said(
            "接続するすべての宛先を、所在国を登録した拠点に限る",
            "every address that is dialled belongs to a site whose country is registered",
        ),
    },
    Clause {
        key: Key::Export,
        number: "4(1)ア(イ)",
        documents: &["4(1)ア(イ)"],
        asks: said(
            "発注者の指示なくデータを国外へ出さない",
            "nothing leaves Japan unless the orderer says so",
        ),
        duty: Duty::Cloud,
        reach: Reach::Segment,
        how: said(
            "規則にない宛先へは送らず、判定していない宛先へは接続しない",
            "nothing is sent outside the rules, and nothing is dialled unjudged",
        ),
    },
    Clause {
        key: Key::Degraded,
        number: "4(1)ア(ウ)",
        documents: &["4(1)ア(ウ)"],
        asks: said("縮退運転でも国外へ出さない", "nor in degraded operation"),
        duty: Duty::Cloud,
        reach: Reach::Segment,
        how: said(
            "切替先もそのつど判定し、許された先がなければ拒否する",
            "every failover step is judged; where none is left, the passage is refused",
        ),
    },
    Clause {
        key: Key::Backup,
        number: "4(1)ア 注（拠点）",
        documents: &["4(1)ア注"],
        asks: said(
            "東京で運用し、大阪はクラウドのバックアップにだけ用いる",
            "Tokyo serves; Osaka is only the backup of the cloud",
        ),
        duty: Duty::Cloud,
        reach: Reach::Segment,
        how: said(
            "大阪の拠点は、宣言がない限り接続しない設定にできる",
            "a site can be kept from being dialled unless that is declared",
        ),
    },
    Clause {
        key: Key::Log,
        number: "4(1)ア 注（記録）",
        documents: &["4(1)ア注(記録)"],
        asks: said(
            "転送と操作を記録し、確認できるようにする",
            "transfers and operations are logged and can be checked",
        ),
        duty: Duty::Both,
        reach: Reach::Segment,
        how: said(
            "本装置の通過と操作を改変検知のできる記録簿に記録する",
            "passages and operations of this box are kept in a tamper-evident ledger",
        ),
    },
    Clause {
        key: Key::Disposal,
        number: "4(1)ア 注（媒体）",
        documents: &["4(1)ア注(媒体)"],
        asks: said(
            "媒体の廃棄（NIST SP 800-88、ISO/IEC 27001）",
            "media are disposed of by NIST SP 800-88, ISO/IEC 27001",
        ),
        duty: Duty::Both,
        reach: Reach::Register,
        how: said(
            "文書。本装置の記録簿の終了は記録簿自身に記録する",
            "documents; the end of this box's ledger is recorded in it",
        ),
    },
    Clause {
        key: Key::Contract,
        number: "4(1)ア(エ)(オ)(キ)・エ",
        documents: &["4(1)ア(エ)", "4(1)ア(オ)", "4(1)ア(キ)", "4(1)エ"],
        asks: said(
            "準拠法、裁判所、権利の帰属、ISO/IEC 27017、SOC 2、CSゴールドマーク",
            "law, court, ownership of content, ISO/IEC 27017, SOC 2, CS Gold Mark",
        ),
        duty: Duty::Cloud,
        reach: Reach::Register,
        how: said("有効期限のある文書", "documents with expiry"),
    },
    Clause {
        key: Key::Protection,
        number: "4(1)ア(カ)",
        documents: &["4(1)ア(カ)"],
        asks: said("記録を保護する", "protect the records"),
        duty: Duty::Both,
        reach: Reach::Segment,
        how: said(
            "記録簿の完全性を検証できるようにし、定めた期間保存する",
            "the ledger's integrity can be verified; it is retained for a set time",
        ),
    },
    Clause {
        key: Key::Line,
        number: "4(1)イ",
        documents: &["4(1)イ"],
        asks: said(
            "建物間の通信では、送信した設備の誤認、盗聴、改変を防ぐ",
            "between buildings, prevent mistaking the sending equipment, eavesdropping and alteration",
        ),
        duty: Duty::Cloud,
        reach: Reach::Segment,
        how: said(
            "自区間で相互TLS 1.3、相手の識別、失効の確認を行う",
            "on our segment: mutual TLS 1.3, identities, revocation, no downgrade",
        ),
    },
    Clause {
        key: Key::Room,
        number: "4(1)ウ",
        documents: &["4(1)ウ"],
        asks: said("部屋とラックの施錠", "rooms and racks are locked"),
        duty: Duty::Cloud,
        reach: Reach::Outside,
        how: said("本装置では扱えない", "nothing that this box could do"),
    },
    Clause {
        key: Key::Vpn,
        number: "4(2)ア",
        documents: &["4(2)ア"],
        asks: said(
            "広域連合からNTT東日本の設備まではIP-VPNを用いる",
            "IP-VPN from the union to NTT East's equipment",
        ),
        duty: Duty::Union,
        reach: Reach::Segment,
        how: said(
            "宛先ごとに回線を定め、その回線のアドレスから接続する",
            "each destination has its line, and is dialled from that line's address",
        ),
    },
    Clause {
        key: Key::Leased,
        number: "4(2)イ",
        documents: &["4(2)イ"],
        asks: said("その先は専用回線を用いる", "a leased line from there on"),
        duty: Duty::Carrier,
        reach: Reach::Segment,
        how: said(
            "到達できるかどうかを通信のたびに見る",
            "whether it can be reached is seen with each passage",
        ),
    },
    Clause {
        key: Key::Record,
        number: "別記様式（電算結合記録票）",
        documents: &["別記様式"],
        asks: said(
            "業務、所管、目的、結合年月日、相手方、データの種類を記録する",
            "business, section, purpose, connection date, counterparties, categories of data",
        ),
        duty: Duty::Union,
        reach: Reach::Full,
        how: said(
            "結合年月日より前は何も通さない。ほかの項目は登録する",
            "nothing passes before the connection date; the other items are registered",
        ),
    },
    Clause {
        key: Key::Eligibility,
        number: "別添1(2)1",
        documents: &["別添1(2)1"],
        asks: said(
            "オンライン資格確認等システムへ渡す情報に個人番号を含めない。同システム側から中間サーバーへアクセスしないよう制御する",
            "information given to online eligibility holds no individual number; its side is kept from accessing the intermediate server",
        ),
        duty: Duty::Coordinators,
        reach: Reach::Segment,
        how: said(
            "自区間では、アドレスと証明書の両方で逆方向の接続を拒否する",
            "on our segment: reverse access is refused by address and by certificate",
        ),
    },
    Clause {
        key: Key::Later,
        number: "6",
        documents: &["6"],
        asks: said(
            "オンライン資格確認等システムの委託は、別に諮問する",
            "the entrusting of the eligibility system will be consulted on later",
        ),
        duty: Duty::Union,
        reach: Reach::Register,
        how: said("その諮問の登録", "an approval of its own then"),
    },
];

/// What lies outside of what a box at the edge of a network can see or do.
pub const OUTSIDE: &[Said] = &[
    said(
        "別添1の情報の流れ（1、2-①～⑧、3-①～③）はセンターの内部のもので、広域連合の回線を通りません。本装置が示せるのは、自区間にそのような通信がなかったことだけです",
        "the numbered flows of annex 1 (1, 2-①…⑧, 3-①…③) run inside the centre and do not cross the union's line; this box can only show that there was no such traffic on its own segment",
    ),
    said(
        "クラウドの内部でのデータの置き場所、複製、運用、アクセス制御",
        "where data lie inside the cloud, how they are copied, operated and access-controlled",
    ),
    said("部屋とラックの施錠、媒体の廃棄", "the locks of rooms and racks, the disposal of media"),
    said(
        "所在国は登録した文書によります。往復時間が示すのは距離の上限だけで、データの置き場所ではありません",
        "a country is what a registered document says; a round trip bounds a distance, and does not say where data lie",
    ),
    said("本装置を通らない通信", "traffic that does not pass this box"),
];

#[cfg(test)]
mod tests {
    use super::{CLAUSES, OUTSIDE};

    #[test]
    fn no_text_claims_that_anybody_meets_a_clause() {
        let texts = CLAUSES.iter().flat_map(|clause| [clause.asks, clause.how]);
        for text in texts.chain(OUTSIDE.iter().copied()) {
            assert!(!text.ja.contains("遵守") && !text.en.contains("compl"), "{text:?}");
        }
    }

    #[test]
    fn every_clause_has_a_key_of_its_own() {
        let mut keys: Vec<_> = CLAUSES.iter().map(|clause| clause.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), CLAUSES.len());
    }
}
