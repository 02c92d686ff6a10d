//! The report as a reader finds it: what it says where records are complete, and where they are not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::complete::{Book, holes};
use super::lang::{Clock, Lang};
use super::tally::{Period, Scope, Tally};
use super::{Council, render};
use crate::appliance::{self, Appliance};
use crate::flow::Timestamp;
use crate::ledger::Record;
use crate::ledger::tree::Hash;
use crate::ledger::verify::Findings;
use crate::policy::{self, Law};
use crate::yaml::SourceFile;

fn file(path: &Path) -> SourceFile {
    SourceFile { name: Arc::from(path.to_str().unwrap()), bytes: fs::read(path).unwrap().into() }
}

pub(super) fn shipped() -> (Appliance, Law) {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let appliance = appliance::understand(&file(&policies.join("tokyo.appliance.yaml"))).unwrap();
    let mut files: Vec<_> =
        fs::read_dir(policies.join("tokyo")).unwrap().map(|it| file(&it.unwrap().path())).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let law = policy::understand(&files, Some(&appliance)).unwrap();
    (appliance, law)
}

const LINES: &[&str] = &[
    r#"{"seq":1,"boot":1,"at":"2026-03-31T00:00:00Z","kind":"start","facts":{}}"#,
    r#"{"seq":2,"boot":1,"at":"2026-04-02T00:00:00Z","kind":"refused","reason":"method","facts":{"detail":"<script>alert(1)</script>"}}"#,
    r#"{"seq":3,"boot":1,"at":"2026-04-02T00:00:01Z","kind":"operation","facts":{"call":"<b>reload</b>","outcome":"done"}}"#,
];

/// The report of April 2026, made on `made`.
fn report(lang: Lang, made: &str, lines: &[&str]) -> String {
    let (appliance, law) = shipped();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let period =
        Period { from: at("2026-04-01T00:00:00+09:00"), to: at("2026-05-01T00:00:00+09:00") };
    let clock = Clock { offset: law.engine.model().timezone.offset };
    let scope = Scope { period, clock, sites: [].into() };
    let mut tally = Tally::default();
    for line in lines {
        tally.count(&scope, 0, &Record::parse(line.as_bytes()).unwrap());
    }
    let root = Some(Hash([7; 32]));
    let findings = Findings { entries: 3, signed: 3, root, checkpoints: 1, ..Findings::default() };
    let first = tally.first;
    let directory = "/var/lib/sekisho/ledger".to_owned();
    let books = [Book { directory, findings: Ok(findings), key: None, first, unsigned: 0 }];
    let made = at(made);
    let holes = holes(&books, &tally, (period, made));
    let digest = "4f".repeat(32);
    let (tally, books, holes) = (&tally, &books, &holes);
    let (appliance, law, digest) = (&appliance, &law, &*digest);
    render(&Council { lang, appliance, law, digest, period, made, tally, books, holes })
}

#[test]
fn where_records_are_complete_nothing_means_that_it_did_not_happen() {
    let page = report(Lang::Japanese, "2026-05-02T00:00:00Z", LINES);
    assert!(page.contains("記録はそろっています"), "{page}");
    assert!(!page.contains("不明（記録上は0件）"));
    assert!(page.contains("すべて拒否したものです：<strong>0件</strong>"));
}

#[test]
fn where_they_are_not_nothing_is_unknown() {
    let page = report(Lang::Japanese, "2026-04-20T00:00:00Z", LINES);
    assert!(page.contains("対象期間がまだ終わっていません"), "{page}");
    assert!(page.contains("すべて拒否したものです：<strong>不明（記録上は0件）</strong>"));
    assert!(page.contains("1件以上"), "the refusal");
    let page = report(Lang::English, "2026-04-20T00:00:00Z", LINES);
    assert!(page.contains("<strong>unknown (none recorded)</strong>"));
}

#[test]
fn it_never_says_that_the_cloud_meets_a_clause_and_that_there_is_no_opinion() {
    for made in ["2026-05-02T00:00:00Z", "2026-04-20T00:00:00Z"] {
        let page = report(Lang::Japanese, made, LINES);
        assert!(!page.contains("遵守"), "a claim that nobody can make");
        assert!(page.contains("準じた措置") && page.contains("答申の記録なし"));
        assert!(page.contains("令和元年度諮問第５号"));
        let english = report(Lang::English, made, LINES).to_lowercase();
        assert!(!english.contains("complian") && !english.contains("complies"));
    }
}

#[test]
fn it_has_no_script_and_nothing_from_outside_whatever_the_records_hold() {
    for lang in [Lang::Japanese, Lang::English] {
        let page = report(lang, "2026-05-02T00:00:00Z", LINES);
        for word in ["<script", "src=", "href=", "@import", "url(", "<b>", "http://", "https://"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("&lt;b&gt;reload&lt;/b&gt;"), "shown as it was recorded");
    }
}

#[test]
fn the_same_sections_stand_in_both_languages() {
    let count = |lang| report(lang, "2026-05-02T00:00:00Z", LINES).matches("<h2>").count();
    assert_eq!((count(Lang::Japanese), count(Lang::English)), (11, 11));
}

#[test]
fn the_head_to_keep_is_one_that_verify_takes() {
    let page = report(Lang::English, "2026-05-02T00:00:00Z", LINES);
    let head = page.split("<code>3:").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let witness = crate::ledger::verify::Witness::of_text(&format!("3:{head}")).unwrap();
    assert_eq!(witness.size, 3);
}

const TRIED: &[&str] = &[
    r#"{"seq":4,"boot":1,"at":"2026-04-03T00:00:00Z","kind":"refused","selftest":true,"verdict":"deny","reason":"reverse_access","stage":"arrival","facts":{"source":"10.210.0.1:5"}}"#,
    r#"{"seq":5,"boot":1,"at":"2026-04-03T00:00:01Z","kind":"dialled","selftest":true,"connection":9,"rule":"register","facts":{"endpoint":"127.113.53.1:40000","site":"tokyo"}}"#,
    r#"{"seq":6,"boot":1,"at":"2026-04-03T00:00:02Z","kind":"probe","selftest":true,"facts":{"probe":"reverse_access_by_address","outcome":"passed"}}"#,
    r#"{"seq":7,"boot":1,"at":"2026-04-04T00:00:02Z","kind":"probe","selftest":true,"facts":{"probe":"foreign_endpoint","outcome":"failed"}}"#,
    r#"{"seq":8,"boot":1,"at":"2026-04-04T00:00:02Z","kind":"probe","selftest":true,"facts":{"probe":"later_control","outcome":"passed"}}"#,
];

#[test]
fn what_operated_by_self_test_stands_at_its_clause_and_in_no_count_of_traffic() {
    let page = report(Lang::Japanese, "2026-05-02T00:00:00Z", &[LINES, TRIED].concat());
    let operated = "自己試験「逆方向の接続（アドレス）」：機能した 1回、機能しなかった 0回（最終 2026-04-03 09:00:02, 1-6）";
    assert_eq!(page.matches(operated).count(), 1, "{page}");
    let failed = "自己試験「国外にある接続先」：機能した 0回、機能しなかった 1回";
    assert_eq!(page.matches(failed).count(), 2, "at each clause that asks for it");
    assert!(page.contains("自己試験「失効した証明書による接続」：期間中の記録なし"));
    assert!(page.contains("<td>later_control</td>"), "what a later version adds is listed");
    assert!(page.contains("すべて拒否したものです：<strong>0件</strong>"), "no reverse access");
    assert!(!page.contains("127.113.53.1"));
}
