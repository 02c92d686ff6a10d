//! `tls` passages: bytes both ways, half-close kept, cut when the law says so.

use std::time::Duration;

use sekisho::flow::{Identity, Timestamp};
use sekisho::lab::{CHUKEI, RELAYED, TANMATSU, issue};
use sekisho::proxy::clock;
use sekisho::standin::{Issued, Order, Pattern, Talk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fixture::{COUNCIL, Checkpoint, PATIENCE, SCENARIOS, between, hours};

/// What the client says before it ends its direction.
const SAID: u64 = 20 << 20;

#[test]
fn what_comes_after_an_early_end_is_byte_exact() {
    let site = Checkpoint::new();
    site.run(async {
        let back = site.open_relay().await.exchange(SAID).await.unwrap();
        assert!(back.whole, "the end was said");
        assert_eq!((back.bytes, back.sha256), (RELAYED, Pattern::sha256(RELAYED)));
        assert_eq!(site.center.relay.witness().received(), SAID);
        let closed = site.entry(0, "closed", None).await;
        assert_eq!(closed.entry["facts"]["to_upstream"], SAID);
        assert_eq!(closed.entry["facts"]["to_client"], RELAYED);
    });
    let metric = |direction| {
        format!(
            "sekisho_transferred_bytes_total{{direction=\"{direction}\",rule=\"relay\",system=\"relay-server\"}}"
        )
    };
    assert_eq!(site.metric(&metric("to_center")), SAID.to_string());
    assert_eq!(site.metric(&metric("to_union")), RELAYED.to_string());
}

#[test]
fn every_relay_has_an_upstream_connection_of_its_own_and_the_ledger_announced_it() {
    let site = Checkpoint::new();
    site.run(async {
        for _ in 0..5 {
            assert!(site.open_relay().await.exchange(10).await.unwrap().whole);
        }
    });
    let witness = site.center.relay.witness();
    assert_eq!(witness.accepted(), 5);
    assert_eq!(site.record.dialled().unwrap(), witness.peers());
}

#[test]
fn the_end_of_the_upstream_reaches_the_client_while_it_still_speaks() {
    let mut site = Checkpoint::new();
    site.replace_relay(Talk::Echo);
    site.run(async {
        let back = site.open_relay().await.exchange(5 << 20).await.unwrap();
        assert!(back.whole);
        assert_eq!((back.bytes, back.sha256), (5 << 20, Pattern::sha256(5 << 20)));
    });
}

#[test]
fn a_revoked_relay_is_cut_within_a_second_and_its_neighbour_is_byte_exact() {
    let site = Checkpoint::new();
    site.run(async {
        let culprit = issue(&site.papers.pki.union, &[TANMATSU]).unwrap();
        let client = site.client((14, 6), Some(&culprit));
        let mut live = client.open_raw(site.listener(), Some(CHUKEI)).await.unwrap();
        live.stream().write_all(b"a").await.unwrap();
        live.stream().flush().await.unwrap();
        let mark = site.entry(0, "dialled", None).await.seq;
        site.papers.revoke(&site.folder.certificates(), &[culprit.serial]).unwrap();
        let neighbour = site.open_relay().await;
        let (back, ()) = tokio::join!(neighbour.exchange(8 << 20), async {
            assert!(!site.reload().await.is_refused());
            let mut block = [0; 64];
            let end = tokio::time::timeout(PATIENCE, live.stream().read(&mut block)).await;
            assert!(matches!(end, Ok(Ok(0) | Err(_))), "{end:?}");
        });
        assert_eq!(back.unwrap().sha256, Pattern::sha256(RELAYED));
        site.entry(mark, "refused", Some("certificate_revoked")).await;
        let closed = site.entry(mark, "closed", None).await;
        assert_eq!(closed.fact("how"), Some("certificate_revoked"));
        let policy = site.entry(mark, "policy", None).await;
        let took = between(&policy, &closed);
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
    site.wait_metric("sekisho_connections_cut_total{reason=\"certificate_revoked\"}", "1");
}

#[test]
fn what_ends_while_it_is_live_is_cut_by_time_alone() {
    let end = Timestamp::from_seconds(clock::now().as_seconds() + 3);
    let names = [Identity::parse(TANMATSU).unwrap()];
    let until = format!("since: 2020-06-15, until: \"{end}\" }}");
    let approval = Checkpoint::with(|folder| {
        folder.write(SCENARIOS, "version: 1\n").unwrap();
        folder.edit(COUNCIL, "since: 2020-06-15 }", &until).unwrap();
    });
    let certificate = Checkpoint::new();
    let order = Order::new(&names).valid(hours(-1), end);
    let ending = certificate.papers.pki.union.issue(&order).unwrap();
    let cases = [
        (&approval, &approval.tanmatsu, "after_approval"),
        (&certificate, &ending, "certificate_expired"),
    ];
    let open = |(site, shown, _): &(&Checkpoint, &Issued, &str)| {
        site.run(async {
            let client = site.client((14, 5), Some(shown));
            let mut live = client.open_raw(site.listener(), Some(CHUKEI)).await.unwrap();
            live.stream().write_all(b"a").await.unwrap();
            live.stream().flush().await.unwrap();
            live
        })
    };
    let live: Vec<_> = cases.iter().map(open).collect();
    for (site, _, reason) in cases {
        site.run(async {
            let closed = site.entry(0, "closed", None).await;
            assert_eq!(closed.fact("how"), Some(reason));
            site.entry(0, "refused", Some(reason)).await;
        });
    }
    drop(live);
}
