//! How a clause stands: what the law enforces, what operated in the period, what the evidence is. Says nothing that
//! the law or the records do not say.

use std::collections::BTreeSet;

use super::Council;
use super::clause::{Clause, Key};
use super::complete::Sure;
use super::lang::{Lang, grouped, size};
use crate::policy::model::{Dial, Guardrail, Model};

/// Reasons that are given where TLS or certificates are not as the law asks.
const TLS: &[&str] = &[
    "tls_version",
    "identity_missing",
    "identity_unknown",
    "identity_mismatch",
    "certificate_revoked",
    "certificate_expired",
    "certificate_invalid",
    "revocation_unknown",
    "host_mismatch",
    "upstream_identity",
];
const ABROAD: &[&str] = &["outside_country", "country_unknown"];
const UNLISTED: &[&str] = &["destination_not_listed", "unknown_destination", "no_rule"];

/// The three columns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// What the law enforces.
    pub(super) enforced: Vec<String>,
    /// What happened.
    pub(super) operated: Vec<String>,
    /// What shows it.
    pub(super) evidence: Vec<String>,
}

/// Whoever says how clauses stand.
pub(super) struct Speaker<'a> {
    council: &'a Council<'a>,
    sure: Sure,
}

impl<'a> Speaker<'a> {
    /// For a report.
    pub(super) fn new(council: &'a Council<'a>) -> Self {
        let sure = Sure { lang: council.lang, complete: council.holes.is_empty() };
        Self { council, sure }
    }

    const fn lang(&self) -> Lang {
        self.council.lang
    }

    fn model(&self) -> &'a Model {
        self.council.law.engine.model()
    }

    fn say(&self, ja: &'static str, en: &'static str) -> Vec<String> {
        vec![self.lang().of(ja, en).to_owned()]
    }

    fn counted(&self, ja: &str, en: &str, count: u64) -> String {
        let count = self.sure.count(count);
        self.lang().choose(|| format!("{ja}：{count}"), || format!("{en}: {count}"))
    }

    fn refusals(&self, ja: &str, en: &str, reasons: &[&str]) -> String {
        self.counted(ja, en, self.council.tally.refused_for(reasons))
    }

    /// How this clause stands.
    pub(super) fn standing(&self, clause: &Clause) -> Standing {
        let mut standing = self.of_key(clause.key);
        standing.evidence.extend(self.documents(clause));
        standing
    }

    fn of_key(&self, key: Key) -> Standing {
        match key {
            Key::Connection => self.connection(),
            Key::Location | Key::Export | Key::Degraded => self.residency(key),
            Key::Backup => self.backup(),
            Key::Log => self.log(),
            Key::Protection => self.protection(),
            Key::Line => self.encryption(),
            Key::Vpn => self.vpn(),
            Key::Leased => self.leased(),
            Key::Record => self.record(),
            Key::Eligibility => self.eligibility(),
            Key::Disposal => Standing { operated: vec![self.sealed()], ..Standing::default() },
            Key::Provider | Key::Operation | Key::Contract | Key::Room | Key::Later => {
                Standing::default()
            }
        }
    }

    /// Whether a guardrail is there, in words.
    fn guardrail<T>(
        &self,
        rail: Option<&Guardrail<T>>,
        what: impl FnOnce(&T) -> String,
    ) -> Vec<String> {
        match rail {
            Some(rail) => vec![what(&rail.what)],
            None => self.say("ガードレールの登録なし", "no guardrail is registered"),
        }
    }

    fn connection(&self) -> Standing {
        let tally = self.council.tally;
        let known: BTreeSet<_> = self.council.endpoints();
        let strangers = tally.endpoints.keys().filter(|address| !known.contains(*address)).count();
        let destinations = self.guardrail(self.model().guardrails.destinations.as_ref(), |only| {
            let names = only.iter().map(|name| self.council.system(name)).collect::<Vec<_>>();
            let names = names.join(self.lang().of("、", ", "));
            self.lang()
                .choose(|| format!("接続先は{names}だけ"), || format!("destinations: {names} only"))
        });
        Standing {
            enforced: destinations,
            operated: vec![
                self.counted("許した接続", "connections dialled", tally.passed().dialled),
                self.refusals("登録外の宛先の拒否", "refused: destination not listed", UNLISTED),
            ],
            evidence: vec![self.counted(
                "現在の規則にない宛先への接続",
                "addresses dialled that the law shown here does not have",
                strangers as u64,
            )],
        }
    }

    fn residency(&self, key: Key) -> Standing {
        let enforced = self.guardrail(self.model().guardrails.residency.as_ref(), |countries| {
            let countries = countries.iter().cloned().collect::<Vec<_>>().join(" ");
            self.lang().choose(
                || format!("接続先の所在国を{countries}に限る"),
                || format!("endpoints stand in {countries} only"),
            )
        });
        let passed = self.council.tally.passed();
        let failed = self.council.tally.failures.values().sum();
        let undeclared = &["site_not_declared"];
        let operated = if key == Key::Degraded {
            vec![
                self.refusals(
                    "宣言のない拠点への接続の拒否",
                    "refused: site not declared",
                    undeclared,
                ),
                self.counted("失敗した接続", "failed", failed),
            ]
        } else {
            let abroad = self.refusals(
                "国外または国不明の拒否",
                "refused: abroad or country unknown",
                ABROAD,
            );
            let sent = self.lang().choose(
                || format!("センター側へ送った量：{}", size(passed.up)),
                || format!("sent to the centre: {}", size(passed.up)),
            );
            let sent = (key == Key::Export).then_some(sent);
            sent.into_iter().chain([abroad]).collect()
        };
        let evidence = self.say("拠点別の表（5）", "the table by site (5)");
        Standing { enforced, operated, evidence }
    }

    fn backup(&self) -> Standing {
        let word = |dial: Dial| match dial {
            Dial::Always => self.lang().of("常時", "always"),
            Dial::Declared => self.lang().of("宣言したときだけ", "only when declared"),
            Dial::Never => self.lang().of("接続しない", "never"),
        };
        let sites = self.model().sites.iter().map(|(name, site)| {
            let title = site.title.as_deref().unwrap_or(name.as_str());
            format!("{title}：{}", word(site.dial))
        });
        let by_site = self.council.tally.sites.iter().map(|(name, passage)| {
            format!("{}：{}", self.council.site(name), self.sure.count(passage.dialled))
        });
        Standing {
            enforced: sites.collect(),
            operated: by_site.collect(),
            evidence: self.say("拠点別の表（5）", "the table by site (5)"),
        }
    }

    fn log(&self) -> Standing {
        let tally = self.council.tally;
        let operations = tally.operations.values().sum();
        Standing {
            enforced: self.say(
                "通す前に記録し、記録できなければ定めに従う",
                "recorded before it passes; what happens where that fails is set",
            ),
            operated: vec![
                self.counted("期間中の記録", "entries", tally.entries),
                self.counted("操作の記録", "operations", operations),
                self.counted("欠落の記録", "gap entries", tally.gaps.count),
            ],
            evidence: self.say("記録簿の検証結果（3）", "the verification of the ledger (3)"),
        }
    }

    fn sealed(&self) -> String {
        let operations = &self.council.tally.operations;
        let seals =
            operations.iter().filter(|((call, _), _)| call == "seal").map(|(_, n)| *n).sum();
        self.counted("記録簿の終了の記録", "ledgers sealed", seals)
    }

    fn protection(&self) -> Standing {
        let days = self.council.appliance.ledger.retain.as_secs() / 86_400;
        let intact = self.council.books.iter().filter(|book| {
            book.findings
                .as_ref()
                .is_ok_and(|found| found.damage.is_empty() && found.doubts.is_empty())
        });
        let (intact, all) = (intact.count(), self.council.books.len());
        Standing {
            enforced: vec![self.lang().choose(
                || format!("保存期間：{}日", grouped(days)),
                || format!("retention: {} days", grouped(days)),
            )],
            operated: vec![self.lang().choose(
                || format!("検証で異常のなかった記録簿：{all}冊のうち{intact}冊"),
                || format!("ledgers found intact: {intact} of {all}"),
            )],
            evidence: self.say("署名付きチェックポイント（3）", "signed checkpoints (3)"),
        }
    }

    fn encryption(&self) -> Standing {
        let enforced = self.guardrail(self.model().guardrails.encryption.as_ref(), |rail| {
            let versions: Vec<_> = rail.versions.iter().map(|version| version.as_str()).collect();
            let versions = versions.join(" / ");
            let (ja, en) = if rail.mutual {
                ("相互認証", "mutual")
            } else {
                ("片方向の認証", "one-sided")
            };
            self.lang()
                .choose(|| format!("TLS {versions}、{ja}"), || format!("TLS {versions}, {en}"))
        });
        Standing {
            enforced,
            operated: vec![self.refusals(
                "証明書やTLSによる拒否",
                "refused for TLS or certificates",
                TLS,
            )],
            evidence: self.say(
                "証明書の表（8）、拒否の表（6）",
                "the tables of certificates (8) and refusals (6)",
            ),
        }
    }

    fn vpn(&self) -> Standing {
        let upstreams = self.model().systems.iter().filter_map(|(name, system)| {
            let upstream = system.upstream.as_ref()?;
            let line = self.council.appliance.lines.get(&upstream.line)?;
            let title = line.title.as_deref().unwrap_or(upstream.line.as_str());
            Some(format!(
                "{}：{title}（{}、{}）",
                self.council.system(name),
                line.interface,
                line.source
            ))
        });
        Standing {
            enforced: upstreams.collect(),
            operated: vec![self.counted(
                "接続",
                "connections",
                self.council.tally.passed().dialled,
            )],
            evidence: self.say(
                "記録簿の各接続に自側のアドレスを記録",
                "each connection's own address is in the ledger",
            ),
        }
    }

    fn leased(&self) -> Standing {
        let reached = ["upstream_unreachable", "timeout"];
        let failures = &self.council.tally.failures;
        let count = reached.iter().filter_map(|reason| failures.get(*reason)).sum();
        Standing {
            enforced: Vec::new(),
            operated: vec![
                self.counted("到達できなかった接続", "not reached", count),
                self.lang()
                    .of(
                        "往復時間：不明（記録簿には記録していません。監視の指標にあります）",
                        "round trips: unknown here (not in the ledger; the metrics have them)",
                    )
                    .to_owned(),
            ],
            evidence: Vec::new(),
        }
    }

    fn record(&self) -> Standing {
        let date = self.council.clock().date(self.model().interconnection.connection_date);
        Standing {
            enforced: vec![self.lang().choose(
                || format!("結合年月日 {date} より前は拒否"),
                || format!("nothing passes before {date}"),
            )],
            operated: vec![self.refusals(
                "結合年月日より前の拒否",
                "refused: before that date",
                &["before_connection_date"],
            )],
            evidence: self
                .say("電算結合記録票と規則の表（2）", "the record and the table of rules (2)"),
        }
    }

    fn eligibility(&self) -> Standing {
        let rails = &self.model().guardrails;
        let mut enforced = self.guardrail(rails.reverse_access.as_ref(), |never| {
            let names = never.iter().map(|name| self.council.system(name)).collect::<Vec<_>>();
            let names = names.join(self.lang().of("、", ", "));
            self.lang().choose(
                || format!("{names}からの接続を拒否"),
                || format!("{names} may never initiate"),
            )
        });
        enforced.extend(self.guardrail(rails.content.as_ref(), |to| {
            let names = to.iter().map(|name| self.council.system(name)).collect::<Vec<_>>();
            let names = names.join(self.lang().of("、", ", "));
            self.lang().choose(
                || format!("{names}へ個人番号を通す規則を認めない"),
                || format!("no rule may let individual numbers pass to {names}"),
            )
        }));
        Standing {
            enforced,
            operated: vec![
                self.counted(
                    "逆方向の接続の試み",
                    "attempts at reverse access",
                    self.council.tally.reverse.count,
                ),
                self.refusals(
                    "個人番号による拒否",
                    "refused for individual numbers",
                    &["individual_number"],
                ),
            ],
            evidence: self.say("逆方向の接続の表（7）", "the table of reverse access (7)"),
        }
    }

    /// The registered documents of a clause, and that there are none where one is all that there can be.
    fn documents(&self, clause: &Clause) -> Vec<String> {
        let found: Vec<_> = self.council.documents(clause.documents).collect();
        let is_register = clause.reach == super::clause::Reach::Register;
        if found.is_empty() && is_register {
            return self.say("文書の登録なし", "no document is registered");
        }
        found
    }
}
