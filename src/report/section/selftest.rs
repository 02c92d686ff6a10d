//! The table of the self-tests of the period: every probe that was recorded, how often it was tried and what it came to.

use maud::{Markup, html};

use crate::report::Council;
use crate::report::lang::{grouped, word};

pub(super) fn table(council: &Council<'_>) -> Markup {
    let lang = council.lang;
    let probes = &council.tally.probes;
    html! {
        h3 { (lang.of("自己試験", "Self-tests")) }
        p class="small" { (lang.of(
            "有効な規則のもとで、代役の相手だけを使い、制御が実際に働くことを装置自身が試した結果です。実際の接続先へは何も送りません。通信と拒否の件数には含みません。",
            "The box tried, under the law in force and between stand-ins only, whether its controls really operate. Nothing is sent to a real endpoint; none of it is in the counts of traffic and refusals.",
        )) }
        @if probes.is_empty() { p { (lang.of("期間中の記録はありません。", "None is recorded in the period.")) } }
        @else {
            table {
                thead { tr {
                    th { (lang.of("試したこと", "what was tried")) }
                    th class="n" style="width:13%" { (lang.of("機能した", "operated")) }
                    th class="n" style="width:16%" { (lang.of("機能しなかった", "did not")) }
                    th class="n" style="width:13%" { (lang.of("規則にない", "not in the law")) }
                    th style="width:28%" { (lang.of("最終", "last")) }
                } }
                @for (probe, tried) in probes {
                    tr {
                        td { (word(lang, probe)) }
                        td class="n" { (grouped(tried.passed)) }
                        td class="n" { @if tried.failed > 0 { strong { (grouped(tried.failed)) } } @else { "0" } }
                        td class="n" { (grouped(tried.absent)) }
                        td { @if let Some((at, reference, outcome)) = &tried.last {
                            (council.clock().moment(*at)) " " (word(lang, outcome)) " " (reference)
                        } }
                    }
                }
            }
        }
    }
}
