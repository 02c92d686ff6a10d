//! The status page: the report as the operator reads it, and where to look further. One document, no scripts.

use super::status::Report;

/// The page as HTML.
pub(super) fn html(report: &Report) -> String {
    let title = escaped(&format!("{} {}", report.appliance, report.state));
    let text = escaped(&report.text());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body{{font:15px/1.5 system-ui,sans-serif;margin:2em}}pre{{font:14px/1.5 monospace}}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<pre>{text}</pre>\n\
         <p><a href=\"/metrics\">metrics</a> <a href=\"/readyz\">ready</a> <a href=\"/livez\">alive</a></p>\n\
         </body>\n</html>\n"
    )
}

/// Text as text, whatever is in it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use crate::service::testing;

    #[test]
    fn the_page_shows_the_report_and_nothing_in_it_becomes_markup() {
        let mut report = testing::report();
        report.endpoints[0].title = Some("<script>alert(1)</script> & \"more\"".to_owned());
        let page = super::html(&report);
        assert!(page.contains("10.200.1.10:443  tokyo  up"));
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;"),
            "{page}"
        );
        assert!(!page.contains("<script"));
    }
}
