//! Starts and ends: what a box begins with, and what the ledger makes of it.

use sekisho::lab::Gate;
use sekisho::service;
use sekisho::standin::Speak;

use crate::fixture::{Checkpoint, RULES, SCENARIOS, get, get_ask};

#[test]
fn a_restart_continues_the_numbering_and_counts_the_boot() {
    let mut site = Checkpoint::new();
    for boot in 1..=3 {
        assert_eq!(site.gate().boot(), boot);
        site.run(async {
            let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
            assert_eq!(answer.status, 200);
        });
        site.stop();
        let lines = site.record.lines().unwrap();
        let last = lines.last().unwrap();
        assert_eq!((last.kind.as_str(), &last.entry["boot"]), ("stop", &boot.into()));
        site.start();
    }
    assert_eq!(site.record.gaps().unwrap(), 0);
    let lines = site.record.lines().unwrap();
    assert_eq!(lines.iter().filter(|line| line.kind == "start").count(), 4);
}

#[test]
fn a_start_with_a_faulty_law_runs_the_last_accepted_one_loudly() {
    let mut site = Checkpoint::new();
    let accepted = site.gate().policy();
    site.stop();
    let before = site.folder.edit(RULES, "[existing-system]", "[existing-sytem]").unwrap();
    let mark = site.head();
    site.start();
    assert_eq!(site.gate().policy(), accepted);
    assert_eq!(site.metric("sekisho_policy_matches_disk"), "0");
    site.run(async {
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200);
        let refused = site.entry(mark, "policy", None).await;
        assert_eq!(refused.entry["facts"]["accepted"], false);
        let runs = site.entry(refused.seq, "policy", None).await;
        assert_eq!(
            (runs.fact("origin"), &runs.entry["facts"]["accepted"]),
            (Some("archive"), &true.into())
        );
        let status = site.gate().call("status").await.unwrap().status.unwrap();
        assert_eq!((status.policy.matches_disk, status.policy.origin.as_str()), (false, "archive"));
        site.folder.write(RULES, &before).unwrap();
        assert!(!site.reload().await.is_refused());
        assert_eq!(site.metric("sekisho_policy_matches_disk"), "1");
    });
}

#[test]
fn a_first_start_with_a_faulty_law_says_every_fault_and_exits_with_2() {
    let mut site = Checkpoint::new();
    site.stop();
    std::fs::remove_dir_all(site.folder.path().join("state")).unwrap();
    site.folder.edit(RULES, "[existing-system]", "[existing-sytem]").unwrap();
    let error = Gate::start(&site.folder.box_file(), 1).unwrap_err();
    assert!(matches!(error, service::Error::Faulty(_)), "{error:?}");
    assert!(error.to_string().contains("did you mean `existing-system`?"), "{error}");
    assert_eq!(
        format!("{:?}", error.exit_code()),
        format!("{:?}", std::process::ExitCode::from(2))
    );
}

#[test]
fn an_expired_approval_or_a_dead_endpoint_keeps_no_box_from_starting() {
    let mut site = Checkpoint::new();
    site.stop();
    site.stop_tokyo();
    site.folder.write(SCENARIOS, "version: 1\n").unwrap();
    site.folder
        .edit(
            "policies/00-council.yaml",
            "since: 2020-06-15 }",
            "since: 2020-06-15, until: 2021-01-01 }",
        )
        .unwrap();
    site.start();
    assert!(get(site.gate().admin(), "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(site.gate().admin(), "/").contains("r1-5"), "what has ended is on the status page");
}

#[test]
fn the_http_port_is_read_only() {
    let site = Checkpoint::new();
    let admin = site.gate().admin();
    for (path, status) in [
        ("/metrics", "200"),
        ("/livez", "200"),
        ("/readyz", "200"),
        ("/", "200"),
        ("/reload", "404"),
    ] {
        let page = get(admin, path);
        assert!(page.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {page}");
    }
}
