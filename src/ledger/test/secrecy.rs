//! No individual number comes into a line by way of a masked text. The numbers are synthetic.

use proptest::prelude::*;

use super::entry;
use crate::ledger::{Body, RequestFacts, line};
use crate::policy::Masked;
use crate::verdict::{Denied, Reason, Stage, Verdict};

const NUMBERS: [&str; 8] = [
    "123456789018",
    "111111111118",
    "999999999996",
    "123456789050",
    "123456789140",
    "621498320257",
    "987654321093",
    "123456789012",
];

/// As it is, full-width, and in groups of four behind one another.
fn written(number: &str, form: usize) -> String {
    let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap();
    let groups = number.as_bytes().chunks(4).map(|group| str::from_utf8(group).unwrap());
    let grouped = |between: &str| groups.collect::<Vec<_>>().join(between);
    match form {
        0 => number.to_owned(),
        1 => number.chars().map(wide).collect(),
        2 => grouped(" "),
        3 => grouped("-"),
        _ => grouped("－"),
    }
}

fn rendered(text: &str) -> String {
    let request = RequestFacts {
        method: Masked::text(text),
        host: Some(Masked::text(text)),
        path: Masked::text(text),
    };
    let body = Body::Refused {
        client: None,
        request: Some(request),
        endpoint: None,
        verdict: Verdict::Deny(Denied::plain(Reason::Method, Stage::Request)),
        detail: Some(Masked::text(text)),
    };
    let mut out = Vec::new();
    line::render(&mut out, &entry(body), false);
    String::from_utf8(out).unwrap()
}

proptest! {
    #[test]
    fn a_number_in_any_form_leaves_no_digits(before in any::<String>(), after in any::<String>(), number in 0..8_usize, form in 0..5_usize) {
        let number = NUMBERS[number];
        let line = rendered(&format!("{before}{}{after}", written(number, form)));
        prop_assert!(!line.contains(number));
        let value: serde_json::Value = serde_json::from_str(&format!("{{{line}}}")).unwrap();
        for text in value["facts"].as_object().unwrap().values() {
            let text = text.as_str().unwrap();
            prop_assert!(!text.chars().any(char::is_numeric), "{}", text);
        }
    }
}
