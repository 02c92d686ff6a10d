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
        told("--from 10.13.10.5 --to intermediate-server --method DELETE --path /exchange/results").unwrap();
    assert!(refused);
    insta::assert_snapshot!(unnumbered(&text));
}

#[test]
fn what_passes_says_by_which_rule() {
    let (text, refused) = told("--from 10.13.10.5 --method POST --path /exchange/upload").unwrap();
    assert!(!refused);
    assert!(text.starts_with("ALLOWED  by rule `register`  資格情報の登録\n2026-11-22 02:14:07 JST, policy "), "{text}");
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
    let line = format!("--from 10.13.10.5 --method GET --path /exchange/x --certificate {}", file.display());
    // The certificate of the fixture was made a moment ago: at that moment of 2026 it may not hold yet.
    let (text, _) = told(&line).unwrap();
    assert!(text.contains("dns:kizon.union.example"), "{text}");
    assert!(text.contains("note: no file of a trust can be read here"), "{text}");
    std::fs::write(&file, "no certificate").unwrap();
    assert!(told(&line).unwrap_err().contains("it cannot be read"));
}
