//! The law and the box file that the edge is measured under: of the size a union has (10 systems, 20 rules, every
//! guardrail, revocation lists), not the smallest that would let a request pass.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::site::{Addresses, HTTPS_NAME, TLS_NAME};

/// The systems of the union beside the one that is measured, and the paths each may use at every destination.
const NEIGHBOURS: [(&str, &str); 4] =
    [("terminal", "10"), ("ward-east", "20"), ("ward-west", "30"), ("ward-north", "40")];

/// The destinations that speak `https`.
const HTTPS_SYSTEMS: [&str; 3] = ["intermediate-server", "notice-server", "insurer-server"];

const COUNCIL: &str = r#"version: 1
timezone: Asia/Tokyo
interconnection:
  business_number: null
  section: 保険部管理課
  name: 更改後の医療保険者等向け中間サーバー等への接続
  purpose: マイナンバー情報連携
  counterparties: [社会保険診療報酬支払基金, 国民健康保険中央会]
  categories: [basic, economic, health, individual_number]
  connection_date: 2020-06-15
documents:
  site-contract: { title: クラウドサービス利用契約, clause: "4(1)ア(ア)", reference: "contract" }
approvals:
  r1-5: { consultation: 令和元年度諮問第５号, since: 2020-06-15 }
guardrails:
  destinations:   { only: [intermediate-server, notice-server, insurer-server, stream-server] }
  reverse_access: { never_initiates: [online-eligibility], clause: "別添1(2)1" }
  residency:      { countries: [JP], round_trip: observe, clause: "4(1)ア(ア)～(ウ)" }
  content:        { no_individual_number_to: [online-eligibility], clause: "別添1(2)1" }
  encryption:     { tls: ["1.3"], mutual: true, passthrough: refused, clause: "4(1)イ" }
"#;

const SYSTEMS: &str = r#"version: 1
sites:
  tokyo: { title: 東京拠点, country: JP, dial: always,   evidence: site-contract }
  osaka: { title: 大阪拠点, country: JP, dial: declared, evidence: site-contract }
trust:
  union-ca:  { roots: ../certs/union-ca.pem,  revocation: { lists: [../certs/union-ca.crl] } }
  center-ca: { roots: ../certs/center-ca.pem, revocation: { lists: [../certs/center-ca.crl] } }
systems:
  existing-system:
    title: 既存システム
    side: union
    addresses: [127.1.0.0/24]
    identities: ["dns:kizon.union.example"]
  online-eligibility:
    title: オンライン資格確認等システム
    side: center
    addresses: [127.63.0.0/16]
    identities: ["dns:oqs.center.example"]
"#;

const SCENARIOS: &str = r#"scenarios:
  - title: the existing system registers eligibility data
    flow: { from: 127.1.0.1, identity: "dns:kizon.union.example", to: intermediate-server, method: PUT, path: /exchange/in/1 }
    expect: { allow: register }
  - title: the eligibility system may not open a connection
    flow: { from: 127.63.0.9, to_address: "127.60.0.1:8443" }
    expect: { deny: reverse_access }
"#;

/// Writes `appliance.yaml` and `policies/` into `folder`.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn write(folder: &Path, addresses: &Addresses) -> io::Result<()> {
    let policies = folder.join("policies");
    fs::create_dir_all(&policies)?;
    fs::write(folder.join("appliance.yaml"), appliance(addresses))?;
    fs::write(policies.join("00-council.yaml"), COUNCIL)?;
    fs::write(policies.join("10-systems.yaml"), systems(addresses))?;
    fs::write(policies.join("20-rules.yaml"), rules())
}

/// The bounds are the ones of a box file that names none; 10 000 connections from 40 sources just fit.
fn appliance(addresses: &Addresses) -> String {
    let Addresses { edge, admin, line, https: _, tls: _ } = addresses;
    format!(
        r#"version: 1
name: bench-edge
organisation: 計測用広域連合
policies: policies
state: state
control: control.sock
admin:  {{ bind: "{admin}", allow: [127.0.0.0/8] }}
ledger: {{ directory: state/ledger, retain: 7y, when_unwritable: refuse, sync: 50ms }}
lines:
  ip-vpn: {{ title: IP-VPN, interface: lo, source: {line} }}
certificates:
  union-facing:  {{ chain: ../certs/union-facing.pem,  key: ../certs/union-facing.key }}
  center-facing: {{ chain: ../certs/center-facing.pem, key: ../certs/center-facing.key }}
listeners:
  union-lan:    {{ bind: ["{edge}"], mode: reverse, certificate: union-facing, clients: union-ca }}
  center-guard: {{ bind: ["{line}:8443"], mode: refuse }}
"#
    )
}

fn systems(addresses: &Addresses) -> String {
    let mut text = SYSTEMS.replace("../certs/", "../../certs/");
    for (name, block) in NEIGHBOURS {
        let _infallible = write!(
            text,
            "  {name}:\n    side: union\n    addresses: [10.13.{block}.0/24]\n    identities: [\"dns:{name}.union.example\"]\n"
        );
    }
    text += &center("intermediate-server", HTTPS_NAME, &addresses.https.to_string());
    text += &center("stream-server", TLS_NAME, &addresses.tls.to_string());
    text += &center("notice-server", "notice.center.example", "10.200.1.11:443");
    text += &center("insurer-server", "insurer.center.example", "10.200.1.12:443");
    text
}

/// A destination in Tokyo with a place in Osaka that nobody has declared.
fn center(name: &str, host: &str, endpoint: &str) -> String {
    let port = endpoint.rsplit(':').next().unwrap_or("443");
    let reserve = match name {
        "intermediate-server" => "1",
        "stream-server" => "2",
        "notice-server" => "3",
        _ => "4",
    };
    format!(
        r#"  {name}:
    side: center
    owner: 社会保険診療報酬支払基金
    identities: ["dns:{host}"]
    upstream:
      server_name: {host}
      line: ip-vpn
      trust: center-ca
      certificate: center-facing
      connections: 4096
      endpoints:
        - {{ address: "{endpoint}", site: tokyo, approval: r1-5 }}
        - {{ address: "10.201.1.{reserve}:{port}", site: osaka, approval: r1-5 }}
"#
    )
}

/// 4 × 3 rules of the neighbours, 6 `https` and 2 `tls` ones of the measured system: 20.
fn rules() -> String {
    let mut text = "version: 1\nrules:\n".to_owned();
    let measured = [
        ("register", "intermediate-server", "[GET, POST, PUT]", "/exchange/**"),
        ("results", "intermediate-server", "[GET]", "/results/*/*"),
        ("history", "intermediate-server", "[GET]", "/history/**"),
        ("correction", "intermediate-server", "[POST, PATCH]", "/correction/*"),
        ("notices", "notice-server", "[GET]", "/notice/**"),
        ("insurers", "insurer-server", "[GET, POST]", "/insurer/**"),
    ];
    for (name, to, methods, path) in measured {
        text += &https_rule(name, "existing-system", to, methods, path);
    }
    for (from, _) in NEIGHBOURS {
        for to in HTTPS_SYSTEMS {
            let name = format!("{from}-{to}");
            text += &https_rule(&name, from, to, "[GET, POST]", &format!("/{from}/**"));
        }
    }
    text += &tls_rule("stream", "existing-system");
    text += &tls_rule("terminal-stream", "terminal");
    text + SCENARIOS
}

fn https_rule(name: &str, from: &str, to: &str, methods: &str, path: &str) -> String {
    format!(
        r#"  {name}:
    approval: r1-5
    from: [{from}]
    to: {to}
    protocol: https
    http: {{ methods: {methods}, paths: ["{path}"] }}
    individual_number: permitted
"#
    )
}

fn tls_rule(name: &str, from: &str) -> String {
    format!(
        r"  {name}:
    approval: r1-5
    from: [{from}]
    to: stream-server
    protocol: tls
    individual_number: permitted
"
    )
}
