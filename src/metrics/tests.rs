//! What a scrape sees: completeness from the start, bounds, monotony over reloads, and the text format.

use super::testing::{TOKYO, model};
use super::*;
use crate::flow::Timestamp;
use crate::ledger::PolicyDigest;
use crate::policy::Model;

#[test]
fn closed_labels_exist_at_zero_from_the_start() {
    let text = Metrics::new().encode();
    for line in [
        "sekisho_denials_total{reason=\"reverse_access\",stage=\"arrival\"} 0",
        "sekisho_denials_total{reason=\"draining\",stage=\"content\"} 0",
        "sekisho_connections_cut_total{reason=\"certificate_revoked\"} 0",
        "sekisho_handshake_failures_total{reason=\"tls_version\",side=\"client\"} 0",
        "sekisho_policy_reloads_total{result=\"refused\"} 0",
        "sekisho_accept_errors_total 0",
        "sekisho_ledger_sync_duration_seconds_count 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing");
    }
    assert!(text.contains(concat!(
        "sekisho_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"} 1"
    )));
    assert!(text.contains("process_open_fds "));
}

#[test]
fn a_denial_is_counted_where_it_belongs_and_nowhere_else() {
    let metrics = Metrics::new();
    for (index, reason) in Reason::ALL.iter().enumerate() {
        for _ in 0..=index {
            metrics.denied(*reason, Stage::ALL[index % Stage::ALL.len()]);
        }
    }
    let text = metrics.encode();
    for (index, reason) in Reason::ALL.iter().enumerate() {
        for (at, stage) in Stage::ALL.iter().enumerate() {
            let due = if at == index % Stage::ALL.len() { index + 1 } else { 0 };
            let line =
                format!("sekisho_denials_total{{reason=\"{reason}\",stage=\"{stage}\"}} {due}");
            assert!(text.lines().any(|l| l == line), "{line}");
        }
    }
}

#[test]
fn every_family_has_a_help_text_and_a_counter_ends_in_total() {
    let metrics = Metrics::new();
    install(&metrics, &model(&["register"]));
    dial(&metrics, Some(5));
    let text = metrics.encode();
    let types: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("# TYPE sekisho_")).collect();
    assert!(types.len() > 25, "{types:?}");
    for kind in types {
        let (name, kind) = kind.split_once(' ').unwrap();
        assert!(text.contains(&format!("# HELP sekisho_{name} ")), "{name} has no help text");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    }
}

#[test]
fn a_rule_exists_at_zero_as_soon_as_its_law_is_in_force() {
    let metrics = Metrics::new();
    install(&metrics, &model(&["register"]));
    let text = metrics.encode();
    for line in [
        "sekisho_connections_open{rule=\"register\"} 0",
        "sekisho_connections_total{outcome=\"cut\",rule=\"register\"} 0",
        "sekisho_requests_total{code=\"403\",rule=\"register\"} 0",
        "sekisho_requests_total{code=\"other\",rule=\"register\"} 0",
        "sekisho_request_duration_seconds_count{rule=\"register\"} 0",
        "sekisho_rule_last_match_timestamp_seconds{rule=\"register\"} 0",
        "sekisho_connections_limit 10000",
        "sekisho_certificate_not_after_timestamp_seconds{name=\"center-facing\",role=\"client\"} 1000",
        "sekisho_revocation_next_update_timestamp_seconds{trust=\"center-ca\"} 2000",
        "sekisho_approval_until_timestamp_seconds{approval=\"r1-5\"} 3000",
        "sekisho_upstream_connections{endpoint=\"10.200.1.10:443\",system=\"intermediate-server\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing");
    }
    assert!(!text.contains("sekisho_endpoint_up"), "nothing was dialled, so nothing is known");
}

#[test]
fn a_rule_counts_its_own_passage() {
    let metrics = Metrics::new();
    install(&metrics, &model(&["register"]));
    let rule = metrics.rule(&name("register"), &name("intermediate-server"));
    rule.opened(7.5);
    rule.request(200, Duration::from_millis(3));
    rule.request(299, Duration::from_secs(90));
    rule.to_upstream(10);
    rule.to_client(20);
    let line = |text: &str, line: &str| assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    let text = metrics.encode();
    line(&text, "sekisho_connections_open{rule=\"register\"} 1");
    line(&text, "sekisho_rule_last_match_timestamp_seconds{rule=\"register\"} 7.5");
    line(&text, "sekisho_requests_total{code=\"200\",rule=\"register\"} 1");
    line(&text, "sekisho_requests_total{code=\"other\",rule=\"register\"} 1");
    line(&text, "sekisho_request_duration_seconds_bucket{rule=\"register\",le=\"0.0025\"} 0");
    line(&text, "sekisho_request_duration_seconds_bucket{rule=\"register\",le=\"0.005\"} 1");
    line(&text, "sekisho_request_duration_seconds_bucket{rule=\"register\",le=\"60\"} 1");
    line(&text, "sekisho_request_duration_seconds_count{rule=\"register\"} 2");
    let bytes = |direction, n| {
        format!(
            "sekisho_transferred_bytes_total{{direction=\"{direction}\",rule=\"register\",system=\"intermediate-server\"}} {n}"
        )
    };
    line(&text, &bytes("to_center", 10));
    line(&text, &bytes("to_union", 20));
    rule.closed(Outcome::Cut);
    let text = metrics.encode();
    line(&text, "sekisho_connections_open{rule=\"register\"} 0");
    line(&text, "sekisho_connections_total{outcome=\"cut\",rule=\"register\"} 1");
    line(&text, "sekisho_connections_total{outcome=\"completed\",rule=\"register\"} 0");
}

#[test]
fn counters_are_monotone_over_a_reload_that_drops_and_brings_back_a_rule() {
    let metrics = Metrics::new();
    let count = "sekisho_requests_total{code=\"200\",rule=\"register\"} ";
    install(&metrics, &model(&["register", "results"]));
    let before = metrics.rule(&name("register"), &name("intermediate-server"));
    before.request(200, Duration::ZERO);
    install(&metrics, &model(&["results"]));
    assert!(metrics.encode().contains(&format!("{count}1")), "a rule that left keeps its count");
    before.request(200, Duration::ZERO);
    install(&metrics, &model(&["register", "results"]));
    metrics.rule(&name("register"), &name("intermediate-server")).request(200, Duration::ZERO);
    assert!(metrics.encode().contains(&format!("{count}3")), "old and new children are one series");
}

#[test]
fn gauges_that_speak_of_the_law_are_replaced_with_it() {
    let metrics = Metrics::new();
    install(&metrics, &model(&["register"]));
    dial(&metrics, Some(5));
    let mut law = model(&["register"]);
    law.approvals.clear();
    law.systems.clear();
    metrics.install(&InForce { digest: PolicyDigest([0xab; 32]), ..in_force(&law) });
    let text = metrics.encode();
    assert!(!text.contains("sekisho_approval_until"), "{text}");
    assert!(!text.contains("sekisho_endpoint_up"), "{text}");
    assert!(!text.contains("sekisho_endpoint_round_trip"), "{text}");
    let infos: Vec<_> = text.lines().filter(|l| l.starts_with("sekisho_policy_info")).collect();
    assert_eq!(infos, [format!("sekisho_policy_info{{digest=\"{}\"}} 1", "ab".repeat(32))]);
    assert_eq!(metrics.last_dials(), []);
}

#[test]
fn the_last_dial_and_the_shortest_round_trip_are_kept_apart() {
    let metrics = Metrics::new();
    install(&metrics, &model(&["register"]));
    dial(&metrics, Some(9));
    dial(&metrics, Some(4));
    dial(&metrics, Some(6));
    dial(&metrics, None);
    let labels = "{endpoint=\"10.200.1.10:443\",site=\"tokyo\",system=\"intermediate-server\"}";
    let text = metrics.encode();
    assert!(text.contains(&format!("sekisho_endpoint_up{labels} 0")), "{text}");
    assert!(
        text.contains(&format!("sekisho_endpoint_round_trip_min_seconds{labels} 0.004")),
        "{text}"
    );
    let [last] = metrics.last_dials().try_into().unwrap();
    assert!(!last.up);
    assert_eq!(last.round_trip_min, Some(Duration::from_millis(4)));
}

#[test]
fn a_million_odd_codes_and_refusals_add_no_series() {
    let metrics = Metrics::new();
    install(&metrics, &model(&["register"]));
    let rule = metrics.rule(&name("register"), &name("intermediate-server"));
    let before = metrics.encode().lines().count();
    for n in 0..1_000_000_u32 {
        rule.request(u16::try_from(n % 65_536).unwrap(), Duration::from_nanos(u64::from(n)));
        metrics.denied(Reason::ALL[n as usize % Reason::ALL.len()], Stage::Hello);
    }
    assert_eq!(metrics.encode().lines().count(), before);
}

#[test]
fn the_ledger_sample_only_ever_raises_a_counter() {
    let metrics = Metrics::new();
    let syncs = |count| Durations {
        buckets: vec![(0.000_25, 1), (2.0, count)],
        count,
        sum: Duration::from_millis(count),
    };
    let sample = |entries, lost, free_bytes, count| LedgerSample {
        entries,
        lost,
        free_bytes,
        syncs: syncs(count),
        ..LedgerSample::default()
    };
    metrics.ledger(sample(10, 1, 1 << 30, 2));
    metrics.ledger(sample(12, 2, 4, 5));
    metrics.ledger(sample(7, 1, 4, 3));
    let text = metrics.encode();
    for line in [
        "sekisho_ledger_entries_total 12",
        "sekisho_ledger_lost_entries_total 2",
        "sekisho_ledger_free_bytes 4",
        "sekisho_ledger_sync_duration_seconds_bucket{le=\"0.00025\"} 1",
        "sekisho_ledger_sync_duration_seconds_bucket{le=\"2\"} 5",
        "sekisho_ledger_sync_duration_seconds_bucket{le=\"+Inf\"} 5",
        "sekisho_ledger_sync_duration_seconds_sum 0.005",
        "sekisho_ledger_sync_duration_seconds_count 5",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
}

#[test]
fn the_head_of_the_ledger_is_shown_in_parts_that_a_double_holds() {
    let metrics = Metrics::new();
    let names = |text: &str| text.lines().any(|line| line.starts_with("sekisho_ledger_head"));
    metrics.ledger(LedgerSample {
        key: "edge-1/ledger+01020304+AQ==".into(),
        ..LedgerSample::default()
    });
    assert!(!names(&metrics.encode()), "there is no checkpoint yet");
    let mut root = [0xff; 32];
    root[6..12].copy_from_slice(&[0, 0, 0, 0, 1, 2]);
    root[12] = 0x80;
    let key = "edge-1/ledger+01020304+AQ==".to_owned();
    let sample = LedgerSample { head: Some((48_213, root)), key, ..LedgerSample::default() };
    metrics.ledger(sample);
    let text = metrics.encode();
    for line in [
        "sekisho_ledger_checkpoint_entries 48213",
        "sekisho_ledger_head{part=\"0\"} 281474976710655",
        "sekisho_ledger_head{part=\"1\"} 258",
        "sekisho_ledger_head{part=\"2\"} 141836999983103",
        "sekisho_ledger_key_info{key=\"edge-1/ledger+01020304+AQ==\"} 1",
        "sekisho_ledger_set_aside 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
}

#[test]
fn a_refused_reload_shows_and_does_not_move_the_time_of_the_last_success() {
    let metrics = Metrics::new();
    metrics.began(ReloadResult::Accepted, 50.0);
    assert!(metrics.encode().contains("sekisho_policy_last_reload_successful 1"));
    assert!(metrics.encode().contains("sekisho_policy_reloads_total{result=\"accepted\"} 0"));
    metrics.reloaded(ReloadResult::Accepted, 100.0);
    metrics.policy_matches_disk(true);
    metrics.reloaded(ReloadResult::Refused, 200.0);
    metrics.policy_matches_disk(false);
    let text = metrics.encode();
    for line in [
        "sekisho_policy_reloads_total{result=\"accepted\"} 1",
        "sekisho_policy_reloads_total{result=\"refused\"} 1",
        "sekisho_policy_last_reload_successful 0",
        "sekisho_policy_last_reload_success_timestamp_seconds 100",
        "sekisho_policy_matches_disk 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn two_services_in_one_process_share_no_number() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.accept_failed();
    assert!(one.encode().contains("sekisho_accept_errors_total 1"));
    assert!(other.encode().contains("sekisho_accept_errors_total 0"));
}

fn dial(metrics: &Metrics, millis: Option<u64>) {
    let trip = millis.map(Duration::from_millis);
    metrics.dialled(&name("intermediate-server"), TOKYO.parse().unwrap(), &name("tokyo"), trip);
}

fn install(metrics: &Metrics, law: &Model) {
    metrics.install(&in_force(law));
}

fn in_force(model: &Model) -> InForce<'_> {
    InForce {
        model,
        digest: PolicyDigest([1; 32]),
        connections_limit: 10_000,
        lines: vec![name("ip-vpn")],
        certificates: vec![(name("center-facing"), Role::Client, Timestamp::from_seconds(1000))],
        next_updates: vec![(name("center-ca"), Timestamp::from_seconds(2000))],
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}
