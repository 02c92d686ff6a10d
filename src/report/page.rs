//! The page as a whole: its head, its style and the order of its sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Council;
use super::section;

const STYLE: &str = include_str!("style.css");
/// Nothing is fetched and nothing runs, whatever a text in it says.
const NOTHING: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The report as one HTML file.
pub fn render(council: &Council<'_>) -> String {
    let Council { lang, appliance, .. } = council;
    let title = lang.of(
        "中間サーバー接続 運用状況報告書",
        "Report on the connection to the intermediate server",
    );
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(NOTHING);
                meta name="viewport" content="width=device-width";
                title { (title) " " (appliance.name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (sections(council))
            }
        }
    };
    page.into_string()
}

fn sections(council: &Council<'_>) -> Markup {
    html! {
        (section::summary(council))
        (section::interconnection(council))
        (section::ledger(council))
        (section::clauses(council))
        (section::traffic(council))
        (section::refusals(council))
        (section::reverse(council))
        (section::certificates(council))
        (section::changes(council))
        (section::documents(council))
        (section::outside(council))
    }
}
