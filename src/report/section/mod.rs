//! The sections of the report, in the order in which they are read; each takes what it shows and gives its HTML.

mod law;
mod record;
mod traffic;

pub(super) use law::{clauses, documents, interconnection, outside};
pub(super) use record::{changes, ledger, summary};
pub(super) use traffic::{certificates, refusals, reverse, traffic};

use maud::{Markup, html};

use super::Council;
use super::complete::Sure;
use super::lang::{Lang, word};
use super::tally::List;

fn sure(council: &Council<'_>) -> Sure {
    Sure { lang: council.lang, complete: council.holes.is_empty() }
}

/// Two columns: what, and what of it.
fn facts(rows: &[(&'static str, Markup)]) -> Markup {
    html! {
        table {
            colgroup { col style="width:32%"; col; }
            @for (name, value) in rows { tr { th { (name) } td { (value) } } }
        }
    }
}

/// A list with the moment and the reference in front, and how many there are beyond it.
fn listed(council: &Council<'_>, list: &List, heads: &[&'static str]) -> Markup {
    let lang = council.lang;
    let more = list.count.saturating_sub(list.listed.len() as u64);
    html! {
        table {
            thead { tr {
                th style="width:21%" { (lang.of("日時", "when")) }
                th style="width:12%" { (lang.of("記録番号", "entry")) }
                @for head in heads { th { (head) } }
            } }
            @for entry in &list.listed {
                tr {
                    td { (council.clock().moment(entry.at)) }
                    td { (entry.reference) }
                    @for text in &entry.texts { td { (word(lang, text)) } }
                }
            }
        }
        @if more > 0 { p class="small" { (beyond(lang, more)) } }
    }
}

fn beyond(lang: Lang, more: u64) -> String {
    let count = lang.count(more);
    lang.choose(|| format!("ほかに{count}あります。"), || format!("And {count} more."))
}
