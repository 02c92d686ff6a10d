//! What the tests of this module stand on: one box, one law, one report.

use std::sync::Arc;

use super::reload::{Reloaded, Result};
use super::status::{
    ConnectionReport, EndingReport, EndpointReport, FORMAT, LedgerReport, LineReport, PolicyReport,
    Report,
};
use crate::appliance::{self, Appliance};
use crate::policy::Model;
use crate::yaml::{Fault, Place, Severity, SourceFile};

const BOX: &str = r#"
version: 1
name: kouiki-edge-1
organisation: 東京都後期高齢者医療広域連合
policies: policies
state: /var/lib/sekisho
control: /run/sekisho/control.sock
admin: { bind: "127.0.0.1:9617", allow: [127.0.0.0/8] }
ledger: { directory: /var/lib/sekisho/ledger, retain: 7y, when_unwritable: refuse, sync: 50ms }
lines:
  ip-vpn: { title: IP-VPN, interface: eth1, source: 10.200.0.2 }
certificates:
  union-facing: { chain: certs/union-facing.pem, key: certs/union-facing.key }
listeners:
  union-lan: { bind: ["10.13.0.1:8443"], mode: reverse, certificate: union-facing, clients: union-ca }
"#;

/// A box with one reverse listener, `union-lan`.
pub(super) fn appliance() -> Appliance {
    let file = SourceFile {
        name: Arc::from("appliance.yaml"),
        bytes: Arc::from(BOX.trim_start().as_bytes()),
    };
    appliance::understand(&file).unwrap()
}

/// A law with one rule, `register`, towards `intermediate-server` at 10.200.1.10:443 in Tokyo.
pub(super) fn model() -> Model {
    crate::metrics::testing::model(&["register"])
}

/// A fault of a law.
pub(super) fn fault(message: &str) -> Fault {
    let text = "    from: [existing-sytem]";
    let place = Place {
        file: Arc::from("policies/20-rules.yaml"),
        line: 6,
        column: 12,
        length: 14,
        text: Arc::from(text),
    };
    Fault {
        code: "unknown_name",
        severity: Severity::Error,
        message: message.to_owned(),
        places: vec![(place, String::new())],
        notes: Vec::new(),
        remedy: None,
    }
}

/// A reload that was refused.
pub(super) fn refused() -> Reloaded {
    Reloaded {
        at: "2026-11-21T20:00:00.000000Z".to_owned(),
        result: Result::Refused,
        policy: "4f1c9a02".repeat(8),
        was: "4f1c9a02".repeat(8),
        cut: 0,
        errors: 2,
        faults: "error[unknown_name]: no system `existing-sytem`\n".to_owned(),
    }
}

/// A healthy night.
pub(super) fn report() -> Report {
    Report {
        format: FORMAT.to_owned(),
        appliance: "kouiki-edge-1".to_owned(),
        version: "0.1.0".to_owned(),
        state: "serving".to_owned(),
        started: "2026-11-21T17:10:07.000000Z".to_owned(),
        uptime_seconds: 3 * 3600 + 12 * 60,
        boot: 17,
        now: "2026-11-22T12:00:00.000000Z".to_owned(),
        offset_seconds: 32_400,
        policy: PolicyReport {
            digest: "4f1c9a02".repeat(8),
            since: "2026-11-21T17:10:07.000000Z".to_owned(),
            origin: "disk".to_owned(),
            matches_disk: true,
        },
        reload: None,
        connections: ConnectionReport { open: 12, limit: 10_000 },
        ledger: LedgerReport {
            head: 48_213,
            writable: true,
            lost: 0,
            free_bytes: 241 << 29,
            signed: 48_190,
            root: None,
            set_aside: None,
        },
        endpoints: vec![
            endpoint("10.200.1.10:443", "tokyo", "up", Some(0.0024)),
            endpoint("10.201.1.10:443", "osaka", "unknown", None),
        ],
        lines: vec![LineReport {
            line: "ip-vpn".to_owned(),
            interface: "eth1".to_owned(),
            up: true,
        }],
        endings: vec![EndingReport {
            until: "2027-01-05T15:00:00.000000Z".to_owned(),
            what: "document `iso27017`".to_owned(),
            title: Some("ISO/IEC 27017 登録証".to_owned()),
        }],
    }
}

fn endpoint(address: &str, site: &str, state: &str, trip: Option<f64>) -> EndpointReport {
    EndpointReport {
        system: "intermediate-server".to_owned(),
        endpoint: address.to_owned(),
        site: site.to_owned(),
        state: state.to_owned(),
        round_trip_min_seconds: trip,
        title: Some("医療保険者等向け中間サーバー".to_owned()),
    }
}
