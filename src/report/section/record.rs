//! What the records are worth: whose report this is, whether the ledgers are what they were, what is missing in them,
//! and what was changed and done on the box.

use maud::{Markup, html};

use super::{facts, listed, sure};
use crate::ledger::note::encode;
use crate::ledger::verify::Findings;
use crate::report::Council;
use crate::report::complete::Book;
use crate::report::lang::{Clock, Lang, grouped, word};

pub(in crate::report) fn summary(council: &Council<'_>) -> Markup {
    let Council { lang, appliance, digest, period, made, tally, .. } = council;
    let (lang, clock) = (*lang, council.clock());
    let passed = tally.passed();
    html! {
        p { (appliance.organisation) "　" (lang.of("装置", "box")) " " (appliance.name) }
        h2 { "1. " (lang.of("概要", "Summary")) }
        (facts(&[
            (lang.of("対象期間", "period"), html! {
                (clock.moment(period.from)) " – " (clock.moment(period.to)) " (" (clock.zone()) ")"
            }),
            (lang.of("作成日時", "made"), html! { (clock.moment(*made)) " (" (clock.zone()) ")" }),
            (lang.of("規則の版", "the law shown"), html! { code { (digest) } }),
            (lang.of("許した要求", "requests passed"), html! { (sure(council).count(passed.requests)) }),
            (lang.of("拒否", "refusals"), html! { (sure(council).count(tally.refused_in_all())) }),
            (lang.of("逆方向の接続の試み", "attempts at reverse access"), html! { (sure(council).count(tally.reverse.count)) }),
        ]))
        (completeness(council, clock))
    }
}

fn completeness(council: &Council<'_>, clock: Clock) -> Markup {
    let lang = council.lang;
    html! {
        @if council.holes.is_empty() {
            div class="box" { p { (lang.of(
                "記録はそろっています。記録簿は署名のとおりで、期間中の欠落はありません。件数が0のものは、起きていないことを示します。",
                "The records are complete: the ledgers are as they were signed, and nothing is missing in the period. A count of 0 means that it did not happen.",
            )) } }
        } @else {
            div class="box doubt" {
                p { strong { (lang.of("記録がそろっていることを示せません。", "The records cannot be shown to be complete.")) } }
                ul { @for hole in council.holes { li { (hole.text(lang, clock)) } } }
                p { (lang.of(
                    "このため、件数が0のものは「不明」、ほかは「…以上」と記します。",
                    "Where nothing was recorded this report therefore says unknown, and elsewhere at least.",
                )) }
            }
        }
    }
}

pub(in crate::report) fn ledger(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    html! {
        h2 { "3. " (lang.of("記録簿", "The ledger")) }
        @for book in council.books { (volume(lang, book)) }
        p class="small" { (lang.of(
            "「控え」をこの装置の外で保管してください。それより古い記録は、後から変えれば必ず分かります（sekisho ledger verify --against 控え）。",
            "Keep the head outside of this box: nothing older than it can be changed unseen (sekisho ledger verify --against HEAD).",
        )) }
        h3 { (lang.of("欠落などの記録", "Gaps")) }
        @if council.tally.gaps.count == 0 {
            p { (sure(council).count(0)) }
        } @else {
            (listed(council, &council.tally.gaps, &[
                lang.of("いつから", "since"), lang.of("失われた数", "lost"), lang.of("理由", "cause"),
            ]))
        }
    }
}

fn volume(lang: Lang, book: &Book) -> Markup {
    html! {
        h3 { code { (book.directory) } }
        @match &book.findings {
            Err(why) => div class="box harm" { p { (lang.of("検証できません：", "could not be verified: ")) (why) } },
            Ok(found) => (verified(lang, book, found)),
        }
    }
}

fn verified(lang: Lang, book: &Book, found: &Findings) -> Markup {
    let head = found.root.map(|root| format!("{}:{}", found.signed, encode(&root.0)));
    html! {
        @for damage in &found.damage {
            div class="box harm" { p { strong { (lang.of("改変の跡：", "altered: ")) } (damage.harm) " " (damage.place) "（" (damage.seq) "）" } }
        }
        (facts(&[
            (lang.of("記録の数", "entries"), html! { (grouped(found.entries)) }),
            (lang.of("署名で確かめた数", "shown by signatures"), html! { (grouped(found.signed)) }),
            (lang.of("まだ署名のない数", "unsigned tail"), html! { (grouped(found.unsigned())) }),
            (lang.of("保存期間を過ぎて消した数", "gone in their time"), html! { (grouped(found.pruned)) }),
            (lang.of("署名付きチェックポイント", "signed checkpoints"), html! { (grouped(found.checkpoints + found.unkept)) }),
            (lang.of("控え（件数：ルート）", "head to keep (size:root)"), html! {
                @match head { Some(head) => code { (head) }, None => (lang.of("なし", "none")) }
            }),
            (lang.of("検証鍵", "public key"), html! {
                @match &book.key { Some(key) => code { (key) }, None => (lang.of("なし", "none")) }
            }),
        ]))
    }
}

pub(in crate::report) fn changes(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let tally = council.tally;
    html! {
        h2 { "9. " (lang.of("規則の変更と操作", "Changes of the law, operations")) }
        @if tally.changes.count == 0 { p { (lang.of("規則の変更：", "changes of the law: ")) (sure(council).count(0)) } }
        @else {
            (listed(council, &tally.changes, &[
                lang.of("結果", "outcome"), lang.of("版", "law"), lang.of("読込元", "from"), lang.of("誤りの数", "faults"),
            ]))
        }
        h3 { (lang.of("期間中に用いた規則の版", "The laws of the period")) }
        table {
            thead { tr {
                th { (lang.of("版", "law")) }
                th style="width:22%" { (lang.of("最初の記録", "first entry")) }
                th style="width:22%" { (lang.of("最後の記録", "last entry")) }
            } }
            @for (digest, (first, last)) in &tally.laws {
                tr {
                    td { code { (digest) } }
                    td { (council.clock().moment(*first)) }
                    td { (council.clock().moment(*last)) }
                }
            }
        }
        h3 { (lang.of("操作", "Operations")) }
        table {
            thead { tr {
                th { (lang.of("操作", "operation")) }
                th { (lang.of("結果", "outcome")) }
                th class="n" style="width:20%" { (lang.of("回数", "times")) }
            } }
            tr { td { (lang.of("起動", "start")) } td { "—" } td class="n" { (grouped(tally.starts)) } }
            @for ((call, outcome), count) in &tally.operations {
                tr { td { (word(lang, call)) } td { (word(lang, outcome)) } td class="n" { (grouped(*count)) } }
            }
        }
    }
}
