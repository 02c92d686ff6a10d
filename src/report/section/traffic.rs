//! What happened on the line: passages by rule, site and day, refusals by reason, attempts at reverse access,
//! certificates.

use maud::{Markup, html};

use super::{listed, sure};
use crate::flow::Timestamp;
use crate::report::lang::{Lang, grouped, size};
use crate::report::tally::Passage;
use crate::report::{Council, chart};
use crate::verdict::Reason;

pub(in crate::report) fn traffic(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let (clock, period) = (council.clock(), council.period);
    let last = Timestamp::from_nanos(period.to.as_nanos().saturating_sub(1)).max(period.from);
    let span = (clock.day(period.from), clock.day(last));
    html! {
        h2 { "5. " (lang.of("通信", "Traffic")) }
        h3 { (lang.of("日別", "By day")) }
        (chart::days(&council.tally.days, span, lang))
        h3 { (lang.of("規則別", "By rule")) }
        (passages(council, lang.of("規則", "rule"), |name| council.rule(name), &council.tally.rules))
        h3 { (lang.of("拠点別", "By site")) }
        (passages(council, lang.of("拠点（所在国）", "site (country)"), |name| stands(council, name), &council.tally.sites))
        p class="small" { (lang.of(
            "量は平文のバイト数で、接続が終わったときに数えます。一つの接続で複数の規則を使ったときは、最初の規則に数えます。",
            "Sizes are bytes of plaintext, counted when a connection ends; one that passed by several rules counts for the first.",
        )) }
        h3 { (lang.of("所在国にかかわる拒否", "Refusals that concern a site or a country")) }
        @if council.tally.residency.count == 0 { p { (sure(council).count(0)) } }
        @else { (listed(council, &council.tally.residency, &[lang.of("理由", "reason"), lang.of("宛先", "address")])) }
        p { (lang.of(
            "往復時間：不明（記録簿には記録していません。監視の指標 sekisho_endpoint_round_trip_min_seconds にあります）。",
            "Round trips: unknown here; the ledger does not hold them, the metric sekisho_endpoint_round_trip_min_seconds does.",
        )) }
    }
}

fn stands(council: &Council<'_>, name: &str) -> String {
    let sites = &council.law.engine.model().sites;
    let country = sites.iter().find(|(known, _)| known.as_str() == name);
    let unknown = council.lang.of("不明", "unknown");
    let country = country.map_or(unknown, |(_, site)| site.country.as_str());
    format!("{}（{country}）", council.site(name))
}

fn passages(
    council: &Council<'_>,
    head: &'static str,
    name: impl Fn(&str) -> String,
    passages: &std::collections::BTreeMap<String, Passage>,
) -> Markup {
    let lang = council.lang;
    html! {
        table {
            thead { tr {
                th { (head) }
                th class="n" style="width:13%" { (lang.of("接続", "dialled")) }
                th class="n" style="width:13%" { (lang.of("要求", "requests")) }
                th class="n" style="width:16%" { (lang.of("センターへ", "to centre")) }
                th class="n" style="width:16%" { (lang.of("広域連合へ", "to union")) }
            } }
            @if passages.is_empty() { tr { td colspan="5" { (sure(council).count(0)) } } }
            @for (key, Passage { dialled, requests, up, down }) in passages {
                tr {
                    td { (name(key)) }
                    td class="n" { (grouped(*dialled)) }
                    td class="n" { (grouped(*requests)) }
                    td class="n" { (size(*up)) }
                    td class="n" { (size(*down)) }
                }
            }
        }
    }
}

pub(in crate::report) fn refusals(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let mut counts: Vec<_> = council.tally.refusals.iter().map(|(k, n)| (k.clone(), *n)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    html! {
        h2 { "6. " (lang.of("拒否", "Refusals")) }
        @if counts.is_empty() { p { (sure(council).count(0)) } }
        @else {
            (chart::named(&counts))
            table {
                thead { tr {
                    th style="width:26%" { (lang.of("理由", "reason")) }
                    th { (lang.of("意味", "meaning")) }
                    th class="n" style="width:14%" { (lang.of("件数", "count")) }
                } }
                @for (code, count) in &counts {
                    tr { td { code { (code) } } td { (meaning(lang, code)) } td class="n" { (grouped(*count)) } }
                }
            }
        }
        h3 { (lang.of("許したが成立しなかったもの", "Permitted, but it did not work out")) }
        @if council.tally.failures.is_empty() { p { (sure(council).count(0)) } }
        @else {
            table {
                @for (code, count) in &council.tally.failures {
                    tr { td style="width:26%" { code { (code) } } td { (meaning(lang, code)) } td class="n" style="width:14%" { (grouped(*count)) } }
                }
            }
        }
    }
}

fn meaning(lang: Lang, code: &str) -> &'static str {
    match (Reason::from_code(code), lang) {
        (Some(reason), Lang::Japanese) => reason.japanese(),
        (Some(reason), Lang::English) => reason.english(),
        (None, lang) => lang.of("そのほか", "other"),
    }
}

pub(in crate::report) fn reverse(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let reverse = &council.tally.reverse;
    html! {
        h2 { "7. " (lang.of("逆方向の接続の試み", "Attempts at reverse access")) }
        p { (lang.of(
            "接続の開始を認めていないシステムから開こうとした接続で、すべて拒否したものです：",
            "Connections that a system which may never initiate tried to open; all were refused: ",
        )) strong { (sure(council).count(reverse.count)) } }
        @if !reverse.listed.is_empty() {
            (listed(council, reverse, &[
                lang.of("通信元", "from"), lang.of("宛先", "to"), lang.of("段階", "stage"),
            ]))
        }
    }
}

pub(in crate::report) fn certificates(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let tally = council.tally;
    html! {
        h2 { "8. " (lang.of("証明書とTLS", "Certificates and TLS")) }
        table {
            thead { tr {
                th { (lang.of("証明書の名前（許した接続）", "name in a certificate, of admitted connections")) }
                th style="width:30%" { (lang.of("証明書の期限", "certificate until")) }
            } }
            @if tally.identities.is_empty() { tr { td colspan="2" { (sure(council).count(0)) } } }
            @for (name, until) in &tally.identities {
                tr { td { (name) } td { (ends(council, until.as_deref())) } }
            }
        }
        table {
            thead { tr {
                th { (lang.of("TLSの版", "TLS version")) }
                th class="n" style="width:30%" { (lang.of("許した接続", "admitted connections")) }
            } }
            @if tally.versions.is_empty() { tr { td colspan="2" { (sure(council).count(0)) } } }
            @for (version, count) in &tally.versions {
                tr { td { (version) } td class="n" { (grouped(*count)) } }
            }
        }
    }
}

fn ends(council: &Council<'_>, until: Option<&str>) -> String {
    let until = until.and_then(|until| Timestamp::parse(until).ok());
    until.map_or_else(|| "—".to_owned(), |until| council.clock().moment(until))
}
