//! The command as it is typed, over the shipped law.

use clap::Parser;

use super::{Arguments, explained};

#[derive(Debug, Parser)]
struct Typed {
    #[command(flatten)]
    arguments: Arguments,
}

fn told(line: &str) -> Result<(String, bool), String> {
    let at = ["explain", "-p", "policies/tokyo", "--at", "2026-11-22T02:14:07+09:00"];
    let typed = Typed::try_parse_from(at.into_iter().chain(line.split(' '))).unwrap();
    explained(&typed.arguments)
}

/// Without what changes with every edit of the shipped law: its digest and its line numbers.
fn unnumbered(text: &str) -> String {
    let cut = |line: &str| match line.split_once(".yaml:") {
        Some((file, rest)) => {
            format!("{file}.yaml:N{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.split(", policy ").next().unwrap().to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_refusal_at_two_in_the_morning() {
    let (text, refused) =
        told("--from 10.13.10.5 --to intermediate-server --method DELETE --path /exchange/results")
            .unwrap();
    assert!(refused);
    insta::assert_snapshot!(unnumbered(&text));
}

#[test]
fn what_passes_says_by_which_rule() {
    let (text, refused) = told("--from 10.13.10.5 --method POST --path /exchange/upload").unwrap();
    assert!(!refused);
    assert!(
        text.starts_with(
            "ALLOWED  by rule `register`  資格情報の登録\n2026-11-22 02:14:07 JST, policy "
        ),
        "{text}"
    );
}

#[test]
fn the_json_says_the_same() {
    let (text, _) = told("--from 10.210.0.9 --format json").unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["format"], "sekisho.explain/1");
    assert_eq!((&value["verdict"], &value["reason"]), (&"deny".into(), &"reverse_access".into()));
    assert_eq!(value["guardrails_violated"][0], "reverse_access");
    assert_eq!(value["edit"]["status"], "council");
    assert_eq!(value["road"][0]["stage"], "arrival");
}

#[test]
fn a_name_that_is_not_there_is_met_with_the_nearest() {
    let error = told("--to intermediate-sever").unwrap_err();
    assert_eq!(error, "no system `intermediate-sever`; did you mean `intermediate-server`?");
}

#[test]
fn a_certificate_file_is_read_with_its_names_and_dates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = crate::tls::fixture::Authority::new("union-ca");
    let leaf = authority.leaf(&[crate::tls::fixture::San::Dns("kizon.union.example")]);
    let file = folder.path().join("client.pem");
    std::fs::write(&file, leaf.chain_pem()).unwrap();
    let line = format!(
        "--from 10.13.10.5 --method GET --path /exchange/x --certificate {}",
        file.display()
    );
    // The certificate of the fixture was made a moment ago: at that moment of 2026 it may not hold yet.
    let (text, _) = told(&line).unwrap();
    assert!(text.contains("dns:kizon.union.example"), "{text}");
    assert!(text.contains("note: no file of a trust can be read here"), "{text}");
    std::fs::write(&file, "no certificate").unwrap();
    assert!(told(&line).unwrap_err().contains("there is no certificate in it"));
}

const LEDGER: &[&str] = &[
    r#"{"seq":1,"boot":17,"at":"2026-11-22T01:00:00.000000Z","kind":"start","facts":{"format":"sekisho.ledger/1"}}"#,
    r#"{"seq":2,"boot":17,"at":"2026-11-22T02:00:00.000000Z","kind":"opened","connection":1,"policy":"POLICY","stage":"identity","verdict":"not_yet","facts":{"source":"10.13.10.5:40001","to_address":"10.13.0.1:8443","listener":"union-lan","system":"existing-system","server_name":"chukan.center.example","tls":"1.3","identities":["dns:kizon.union.example"],"not_after":"2027-02-01T00:00:00.000000Z"}}"#,
    r#"{"seq":3,"boot":17,"at":"2026-11-22T02:00:01.000000Z","kind":"request","connection":1,"policy":"POLICY","stage":"dial","verdict":"allow","rule":"register","facts":{"method":"GET","path":"/exchange/*","endpoint":"10.200.1.10:443"}}"#,
    r#"{"seq":4,"boot":17,"at":"2026-11-22T02:10:00.000000Z","kind":"refused","connection":1,"policy":"POLICY","stage":"request","verdict":"deny","reason":"method","rule":"register","facts":{"method":"DELETE","path":"/exchange/*"}}"#,
    r#"{"seq":6,"boot":17,"at":"2026-11-22T02:14:06.000000Z","kind":"refused","selftest":true,"connection":1,"policy":"POLICY","stage":"request","verdict":"deny","reason":"method","rule":"register","facts":{"method":"DELETE","path":"/exchange/*"}}"#,
    r#"{"seq":5,"boot":17,"at":"2026-11-22T02:14:07.000000Z","kind":"refused","connection":1,"policy":"POLICY","stage":"request","verdict":"deny","reason":"method","rule":"register","facts":{"method":"DELETE","path":"/exchange/*"}}"#,
];

fn ledger() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<_> =
        LEDGER.iter().map(|line| line.replace("POLICY", &"ab".repeat(32))).collect();
    std::fs::write(folder.path().join("000000000001.jsonl"), lines.join("\n") + "\n").unwrap();
    folder
}

fn entry(reference: &str) -> Result<(String, bool), String> {
    let folder = ledger();
    let line = [
        "explain",
        "-p",
        "policies/tokyo",
        "--ledger",
        folder.path().to_str().unwrap(),
        "--entry",
        reference,
    ];
    explained(&Typed::try_parse_from(line).unwrap().arguments)
}

#[test]
fn an_entry_is_judged_again_with_what_happened_around_it() {
    let (text, refused) = entry("17-5").unwrap();
    assert!(refused);
    assert!(text.starts_with("DENIED  method: DELETE is not in rule `register`  資格情報の登録\n2026-11-22 11:14:07 JST, policy "), "{text}");
    assert!(text.contains("(the law on disk; same answer today)"), "{text}");
    assert!(
        text.contains("seen 2 times since 2026-11-22 11:10; last allowed 2026-11-22 11:00 (17-3)"),
        "{text}"
    );
    assert!(
        text.contains("note: without a box there is no archive of laws; judged by the law on disk"),
        "{text}"
    );
    assert!(text.contains("+      methods: [GET, POST, PUT, DELETE]"), "{text}");
    assert_eq!(entry("5").unwrap().0, text);
    assert_eq!(entry("6").unwrap_err(), "entry 6 was left by a self-test, between stand-ins");
}

#[test]
fn an_entry_that_is_not_there_or_judges_nothing_says_so() {
    assert_eq!(entry("17-1").unwrap_err(), "entry 1 is of kind `start`: no flow was judged");
    assert!(entry("17-99").unwrap_err().starts_with("entry 99 is not in `"));
    assert_eq!(
        entry("yesterday").unwrap_err(),
        "`yesterday` is no entry; write `BOOT-SEQ` or `SEQ`"
    );
}

#[test]
fn the_edit_is_a_patch_that_applies() {
    let (patch, refused) =
        told("--from 10.13.10.5 --method DELETE --path /exchange/results --patch").unwrap();
    assert!(refused);
    let (head, changed) = patch.split_once("@@\n").unwrap();
    assert!(
        head.starts_with("--- policies/tokyo/20-rules.yaml\n+++ policies/tokyo/20-rules.yaml\n@@ -"),
        "{head}"
    );
    assert_eq!(changed.lines().filter(|line| line.starts_with(' ')).count(), 6);
    assert!(changed.contains(
        "\n-      methods: [GET, POST, PUT]\n+      methods: [GET, POST, PUT, DELETE]\n"
    ));
    let (nothing, refused) = told("--from 10.210.0.9 --patch").unwrap();
    assert!(refused && nothing.is_empty(), "{nothing}");
}
