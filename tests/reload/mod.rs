//! The law changes while bytes flow: a whole new one or none, and only what it no longer permits is hurt.

use std::cell::Cell;
use std::time::Duration;

use assert_cmd::Command;
use sekisho::lab::{CHUKAN, KIZON, Line, issue};
use sekisho::service::ReloadResult;
use sekisho::standin::{Pattern, Speak};

use crate::fixture::{
    COUNCIL, Checkpoint, RULES, SCENARIOS, SYSTEMS, assert_refused, between, get_ask, hours, post,
    value,
};

const SUCCESSFUL: &str = "sekisho_policy_last_reload_successful";
const MATCHES: &str = "sekisho_policy_matches_disk";
const ACCEPTED: &str = "sekisho_policy_reloads_total{result=\"accepted\"}";
const REFUSED: &str = "sekisho_policy_reloads_total{result=\"refused\"}";

#[test]
fn a_refused_law_leaves_the_old_in_force_and_everybody_says_so() {
    let site = Checkpoint::new();
    let before = site.folder.edit(RULES, "[existing-system]", "[existing-sytem]").unwrap();
    site.run(async {
        let mut live = site.open(Speak::Http11).await;
        assert_eq!(live.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        let reloaded = site.reload().await;
        assert_eq!((reloaded.result, reloaded.errors), (ReloadResult::Refused, 1));
        assert!(reloaded.faults.contains("did you mean `existing-system`?"), "{}", reloaded.faults);
        assert_eq!(reloaded.policy, site.gate().policy().to_string());
        let first = site.entry(0, "policy", None).await;
        let refused = site.entry(first.seq, "policy", None).await;
        assert_eq!(refused.entry["facts"]["accepted"], false);
        let status = site.gate().call("status").await.unwrap().status.unwrap();
        assert!(!status.policy.matches_disk && status.reload.unwrap().is_refused());
        assert_eq!(
            live.ask(get_ask("/exchange/x")).await.unwrap().status,
            200,
            "the connection lives on"
        );
        assert_eq!(
            (site.metric(SUCCESSFUL), site.metric(MATCHES), site.metric(REFUSED)),
            ("0".into(), "0".into(), "1".into())
        );
        site.folder.write(RULES, &before).unwrap();
        assert_eq!(site.reload().await.result, ReloadResult::Unchanged);
        assert_eq!(
            (site.metric(SUCCESSFUL), site.metric(MATCHES), site.metric(ACCEPTED)),
            ("1".into(), "1".into(), "1".into())
        );
    });
}

#[test]
fn the_exit_code_of_a_reload_tells_how_it_went() {
    let mut site = Checkpoint::new();
    let box_file = site.folder.box_file();
    let sekisho = |call: &str| {
        Command::new(env!("CARGO_BIN_EXE_sekisho")).arg(call).arg("-c").arg(&box_file).assert()
    };
    sekisho("reload").code(0);
    sekisho("status").code(0);
    site.folder.edit(RULES, "[existing-system]", "[existing-sytem]").unwrap();
    let refused = sekisho("reload").code(1);
    let said = String::from_utf8_lossy(
        &[&refused.get_output().stdout[..], &refused.get_output().stderr[..]].concat(),
    )
    .into_owned();
    assert!(said.contains("existing-sytem") && said.contains("stays in force"), "{said}");
    site.stop();
    sekisho("reload").code(2);
}

#[test]
fn a_box_whose_sockets_change_must_be_restarted() {
    let site = Checkpoint::new();
    let other = site.ground.socket(0, 9);
    site.folder.edit("appliance.yaml", &site.listener().to_string(), &other.to_string()).unwrap();
    site.run(async {
        let reloaded = site.reload().await;
        assert!(
            reloaded.is_refused() && reloaded.faults.contains("needs_restart"),
            "{}",
            reloaded.faults
        );
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn only_what_a_new_law_refuses_is_cut() {
    let site = Checkpoint::new();
    site.run(async {
        let (mut cut, mut kept) = (site.open(Speak::H2).await, site.open(Speak::H2).await);
        let (cut, kept, ()) = tokio::join!(
            cut.ask(get_ask("/exchange/old/download?bytes=1073741824&pace=10")),
            kept.ask(get_ask("/exchange/download?bytes=3000000&pace=10")),
            async {
                let first = site.entry(0, "request", None).await;
                site.entry(first.seq, "request", None).await;
                site.folder.edit(RULES, "\"/exchange/**\"", "\"/exchange/*\"").unwrap();
                assert!(!site.reload().await.is_refused());
            }
        );
        assert!(cut.is_err(), "its path is in no rule any more");
        assert_eq!(kept.unwrap().sha256, Pattern::sha256(3_000_000));
        site.entry(0, "refused", Some("path")).await;
        let first = site.entry(0, "policy", None).await;
        let second = site.entry(first.seq, "policy", None).await;
        assert_eq!(second.entry["facts"]["was"], first.entry["facts"]["offered"]);
        let changes = second.entry["facts"]["changes"].to_string();
        assert!(changes.contains(": paths\""), "what is different is recorded: {changes}");
    });
}

#[test]
fn a_revoked_client_is_cut_within_a_second_and_its_neighbour_is_byte_exact() {
    let site = Checkpoint::new();
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            let mark = site.head();
            let culprit = issue(&site.papers.pki.union, &[KIZON]).unwrap();
            let client = site.client((13, 6), Some(&culprit));
            let mut live = client.open(site.listener(), Some(CHUKAN), speak).await.unwrap();
            let mut neighbour = site.open(speak).await;
            let (ended, whole, ()) = tokio::join!(
                live.ask(get_ask("/exchange/download?bytes=1073741824&pace=10")),
                neighbour.ask(get_ask("/exchange/download?bytes=3000000&pace=10")),
                async {
                    let first = site.entry(mark, "request", None).await;
                    site.entry(first.seq, "request", None).await;
                    site.papers.revoke(&site.folder.certificates(), &[culprit.serial]).unwrap();
                    assert!(!site.reload().await.is_refused());
                }
            );
            assert!(ended.is_err(), "{speak:?}");
            let policy = site.entry(mark, "policy", None).await;
            let changes = policy.entry["facts"]["changes"].to_string();
            assert!(changes.contains("revocation lists replaced"), "{changes}");
            let is_cut = |line: &Line| line.fact("how") == Some("certificate_revoked");
            let closed = site.record.wait(mark, is_cut).await.unwrap().expect("a cut connection");
            let took = between(&policy, &closed);
            assert!(took < Duration::from_secs(1), "{took:?}");
            assert_eq!(whole.unwrap().sha256, Pattern::sha256(3_000_000));
            site.entry(mark, "refused", Some("certificate_revoked")).await;
            let again = client
                .open(site.listener(), Some(CHUKAN), speak)
                .await
                .unwrap()
                .ask(get_ask("/exchange/x"))
                .await;
            assert_refused(&again.unwrap(), 403, "certificate_revoked");
        }
    });
}

#[test]
fn an_expired_list_refuses_and_a_new_one_permits_again() {
    let site = Checkpoint::new();
    let certs = site.folder.certificates();
    let list = |from, until| {
        site.papers.pki.union.write_list(&certs, &[], hours(from), hours(until)).unwrap();
    };
    site.run(async {
        let mut live = site.open(Speak::Http11).await;
        assert_eq!(live.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        list(-48, -24);
        assert!(!site.reload().await.is_refused());
        assert!(live.ask(get_ask("/exchange/x")).await.is_err(), "live connections were cut");
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_refused(&answer, 403, "revocation_unknown");
        list(-1, 24);
        assert!(!site.reload().await.is_refused());
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn what_has_ended_or_not_begun_refuses_with_its_own_reason() {
    // The law's own tests would have to change with its dates.
    let site = Checkpoint::with(|folder| {
        folder.write(SCENARIOS, "version: 1\n").unwrap();
    });
    site.run(async {
        for (from, to, reason) in [
            (
                "connection_date: 2020-06-15",
                "connection_date: 2199-01-01",
                "before_connection_date",
            ),
            ("since: 2020-06-15 }", "since: 2199-01-01 }", "before_approval"),
            ("since: 2020-06-15 }", "since: 2020-06-15, until: 2021-01-01 }", "after_approval"),
        ] {
            let mark = site.head();
            let before = site.folder.edit(COUNCIL, from, to).unwrap();
            let reloaded = site.reload().await;
            assert!(!reloaded.is_refused(), "{}", reloaded.faults);
            let opened = site.existing().open(site.listener(), Some(CHUKAN), Speak::Http11).await;
            assert!(opened.is_err(), "{reason}: closed at arrival");
            site.entry(mark, "refused", Some(reason)).await;
            site.folder.write(COUNCIL, &before).unwrap();
        }
        assert!(!site.reload().await.is_refused());
    });
}

#[test]
fn many_reloads_under_load_fail_no_permitted_request_and_no_counter_goes_back() {
    const RELOADS: usize = 1000;
    let site = Checkpoint::new();
    let systems = std::fs::read_to_string(site.folder.path().join(SYSTEMS)).unwrap();
    site.run(async {
        let done = Cell::new(false);
        let reloads = async {
            let mut last = site.metrics();
            for number in 0..RELOADS {
                if number.is_multiple_of(20) {
                    let text = systems.replace("既存システム", &format!("既存システム・{number}"));
                    site.folder.write(SYSTEMS, &text).unwrap();
                }
                assert!(!site.reload().await.is_refused());
                if number.is_multiple_of(100) {
                    last = monotone(&last, site.metrics());
                }
            }
            done.set(true);
        };
        let (one, two, ()) =
            tokio::join!(load(&site, Speak::Http11, &done), load(&site, Speak::H2, &done), reloads);
        assert!(one > 100 && two > 100, "{one} {two}");
    });
    assert_eq!(site.metric(ACCEPTED), "1000");
    assert_eq!(site.record.gaps().unwrap(), 0);
}

/// Asks again and again, on ever new connections, until it is done; gives how often.
async fn load(site: &Checkpoint, speak: Speak, done: &Cell<bool>) -> u32 {
    let mut asked = 0;
    while !done.get() {
        let mut connection = site.open(speak).await;
        for _ in 0..50 {
            let answer = connection.ask(post("/exchange/upload", "hello")).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text);
            asked += 1;
            // Others live on this machine too.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    asked
}

/// Every counter of `before` is in `after`, not smaller.
fn monotone(before: &str, after: String) -> String {
    for line in before.lines().filter(|line| line.starts_with("sekisho_")) {
        let (series, old) = line.rsplit_once(' ').unwrap();
        if series.contains("_total") || series.contains("_count") {
            let new = value(&after, series).unwrap_or_else(|| panic!("`{series}` has gone"));
            let (new, old): (f64, f64) = (new.parse().unwrap(), old.parse().unwrap());
            assert!(new >= old, "`{series}` went from {old} to {new}");
        }
    }
    after
}
