//! `enforcement: observe`: what does not fit a rule's request facts passes, recorded and counted as *would deny*; nothing
//! else is relaxed.

use http::Method;
use sekisho::lab::{CHUKAN, Line};
use sekisho::standin::{Ask, Speak};

use crate::fixture::{Checkpoint, RULES, assert_refused, get_ask};

const WOULD: &str = "sekisho_would_deny_total{reason=\"method\",rule=\"register\"}";

fn observing() -> Checkpoint {
    Checkpoint::with(|folder| {
        let rule = "to: intermediate-server";
        folder.edit(RULES, rule, &format!("{rule}\n    enforcement: observe")).unwrap();
        // The law's own tests say what is refused; under this law it is not.
        let scenario = "expect: { deny: method }";
        folder
            .edit("policies/30-scenarios.yaml", scenario, "expect: { would_deny: method }")
            .unwrap();
    })
}

#[test]
fn what_would_be_refused_passes_is_recorded_and_counted() {
    let site = observing();
    site.run(async {
        assert_eq!(site.metric(WOULD), "0", "it is there before the first event");
        let mut connection = site.open(Speak::H2).await;
        assert_eq!(connection.ask(get_ask("/exchange/x")).await.unwrap().status, 200);
        let mark = site.head();
        let delete = Ask::new(Method::DELETE, CHUKAN, "/exchange/x");
        assert_eq!(connection.ask(delete).await.unwrap().status, 200);
        assert_eq!(connection.ask(get_ask("/other")).await.unwrap().status, 200);
        for reason in ["method", "path"] {
            let told = |line: &Line| line.fact("would_deny") == Some(reason);
            let line = site.record.wait(mark, told).await.unwrap().unwrap();
            assert_eq!((&*line.kind, &line.entry["verdict"]), ("request", &"allow".into()));
        }
        assert_eq!(site.metric(WOULD), "1");
    });
    assert_eq!(site.requests(), 3);
}

#[test]
fn whoever_it_is_and_wherever_it_goes_is_enforced_all_the_same() {
    let site = observing();
    site.run(async {
        let stranger = site.client((13, 5), Some(&site.tanmatsu));
        let mut connection =
            stranger.open(site.listener(), Some(CHUKAN), Speak::Http11).await.unwrap();
        assert_refused(
            &connection.ask(get_ask("/exchange/x")).await.unwrap(),
            403,
            "identity_mismatch",
        );
        let mut connection = site.open(Speak::Http11).await;
        let elsewhere = Ask::new(Method::GET, "elsewhere.example", "/exchange/x");
        assert_refused(&connection.ask(elsewhere).await.unwrap(), 421, "host_mismatch");
    });
    assert_eq!(site.requests(), 0);
    assert_eq!(site.metric(WOULD), "0");
}
