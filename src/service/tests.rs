//! Whole lives of a service in this process, over its real sockets: what it says, records and leaves behind.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::control::{self, Answer, Outcome};
use super::{Error, Options, Ready, ReloadResult, Reloaded, Stop, Supervisor};
use crate::flow::Identity;
use crate::proxy::clock;
use crate::standin::{Order, Pki};

const PATIENCE: Duration = Duration::from_secs(30);

const COUNCIL: &str = "version: 1
timezone: Asia/Tokyo
interconnection:
  business_number: null
  section: 保険部管理課
  name: 更改後の医療保険者等向け中間サーバー等への接続
  purpose: マイナンバー情報連携
  counterparties: [社会保険診療報酬支払基金]
  categories: [basic]
  connection_date: 2020-06-15
documents:
  site-contract: { title: 契約, clause: \"4(1)ア(ア)\", reference: test }
approvals:
  r1-5: { consultation: 令和元年度諮問第５号, since: 2020-06-15 }
guardrails:
  encryption: { tls: [\"1.3\"], mutual: true, passthrough: refused, clause: \"4(1)イ\" }
";

const SYSTEMS: &str = "version: 1
sites:
  tokyo: { title: 東京拠点, country: JP, dial: always, evidence: site-contract }
trust:
  union-ca:  { roots: ../certs/union-ca.pem, revocation: { lists: [../certs/union-ca.crl] } }
  center-ca: { roots: ../certs/center-ca.pem, revocation: { none: test } }
systems:
  existing-system:
    side: union
    addresses: [127.78.13.0/26]
    identities: [\"dns:kizon.union.example\"]
  intermediate-server:
    title: 医療保険者等向け中間サーバー
    side: center
    owner: 社会保険診療報酬支払基金
    identities: [\"dns:chukan.center.example\"]
    upstream:
      server_name: chukan.center.example
      line: ip-vpn
      trust: center-ca
      certificate: center-facing
      connections: 4
      endpoints:
        - { address: \"127.78.101.10:8443\", site: tokyo, approval: r1-5 }
";

const RULES: &str = "version: 1
rules:
  register:
    title: 資格情報の登録
    approval: r1-5
    from: [existing-system]
    to: intermediate-server
    protocol: https
    http: { methods: [GET], paths: [\"/exchange/**\"] }
    individual_number: permitted
";

/// A box in a folder of its own.
struct Lot {
    folder: TempDir,
    listener: SocketAddr,
}

impl Lot {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lot = Self { listener: free("127.78.0.1"), folder };
        fs::create_dir(lot.path("law")).unwrap();
        fs::create_dir(lot.path("certs")).unwrap();
        lot.write("law/00-council.yaml", COUNCIL);
        lot.write("law/10-systems.yaml", SYSTEMS);
        lot.write("law/20-rules.yaml", RULES);
        lot.write_box(lot.listener);
        lot.write_certificates();
        lot
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn write_box(&self, listener: SocketAddr) {
        let text = format!(
            "version: 1
name: kouiki-edge-1
organisation: 東京都後期高齢者医療広域連合
policies: law
state: state
control: control.sock
admin: {{ bind: \"{}\", allow: [127.0.0.0/8] }}
ledger: {{ directory: ledger, retain: 7y, when_unwritable: refuse, sync: 20ms }}
lines:
  ip-vpn: {{ title: IP-VPN, interface: lo, source: 127.78.200.2 }}
certificates:
  union-facing:  {{ chain: certs/union-facing.pem,  key: certs/union-facing.key }}
  center-facing: {{ chain: certs/center-facing.pem, key: certs/center-facing.key }}
listeners:
  union-lan: {{ bind: [\"{listener}\"], mode: reverse, certificate: union-facing, clients: union-ca }}
limits: {{ drain_timeout: 1s, disk_reserve: 1MiB }}
",
            self.admin()
        );
        self.write("appliance.yaml", &text);
    }

    /// Beside the listener, so that two lots never want the same one.
    fn admin(&self) -> SocketAddr {
        SocketAddr::new("127.78.0.2".parse().unwrap(), self.listener.port())
    }

    fn write_certificates(&self) {
        let now = clock::now();
        let (certs, pki) = (self.path("certs"), Pki::new(now).unwrap());
        fs::write(certs.join("union-ca.pem"), pki.union.pem()).unwrap();
        fs::write(certs.join("center-ca.pem"), pki.center.pem()).unwrap();
        let list = pki.union.list(&[], now, now.plus(Duration::from_hours(24))).unwrap();
        fs::write(certs.join("union-ca.crl"), list).unwrap();
        let order = Order::new(&[Identity::parse("dns:chukan.center.example").unwrap()]);
        pki.union.issue(&order).unwrap().write(&certs, "union-facing").unwrap();
        let order = Order::new(&[Identity::parse("dns:edge.union.example").unwrap()]);
        pki.center.issue(&order).unwrap().write(&certs, "center-facing").unwrap();
    }

    fn start(&self, supervisor: Supervisor) -> Life {
        let (said, ready) = mpsc::channel();
        let mut options = Options::new(self.path("appliance.yaml"));
        options.supervisor = supervisor;
        options.workers = 1;
        options.ready = Box::new(move |ready| said.send(ready.clone()).unwrap());
        let stop = options.stop.clone();
        let thread = std::thread::spawn(move || super::run(options));
        match ready.recv_timeout(PATIENCE) {
            Ok(ready) => Life { stop, thread, ready },
            Err(late) => panic!("{late}: {:?}", thread.join().unwrap()),
        }
    }

    fn ledger(&self) -> Vec<Value> {
        let mut segments: Vec<_> = fs::read_dir(self.path("ledger"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        segments.sort();
        let text: String = segments.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Kind by kind, with the one fact that tells entries of a kind apart.
    fn story(&self) -> Vec<String> {
        let fact = |entry: &Value| {
            let facts = &entry["facts"];
            let told = [&facts["origin"], &facts["call"], &facts["cause"]];
            let told = told.into_iter().find_map(Value::as_str).unwrap_or_default();
            let sign = match facts["accepted"].as_bool() {
                Some(false) => "refused ",
                Some(true) | None => "",
            };
            format!("{} {sign}{told}", entry["kind"].as_str().unwrap()).trim().to_owned()
        };
        self.ledger().iter().map(fact).collect()
    }
}

/// A running service.
struct Life {
    stop: Stop,
    thread: JoinHandle<Result<(), Error>>,
    ready: Ready,
}

impl Life {
    fn call(&self, name: &str) -> Answer {
        control::call(&self.ready.control, name, PATIENCE).unwrap()
    }

    fn reload(&self) -> Reloaded {
        self.call("reload").reload.unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.ready.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[track_caller]
    fn measures(&self, lines: &[&str]) {
        let metrics = self.get("/metrics");
        for line in lines {
            assert!(metrics.lines().any(|found| found == *line), "{line} is not in\n{metrics}");
        }
    }

    fn end(self) -> Result<(), Error> {
        self.stop.ask();
        self.thread.join().unwrap()
    }
}

fn free(address: &str) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_life_from_the_first_entry_to_the_last() {
    let lot = Lot::new();
    let life = lot.start(Supervisor::absent());
    assert_eq!(life.ready.boot, 1);
    assert!(life.get("/readyz").starts_with("HTTP/1.1 200 "), "ready means ready");
    assert!(life.get("/").contains("kouiki-edge-1: serving"));
    let report = life.call("status").status.unwrap();
    assert_eq!(report.policy.digest, life.ready.policy.to_string());
    assert_eq!((report.policy.origin.as_str(), report.policy.matches_disk), ("disk", true));
    assert_eq!(report.endpoints[0].state, "unknown", "nothing was dialled");
    assert!(report.endings.iter().any(|one| one.what == "revocation list of `union-ca`"));
    life.measures(&[
        "sekisho_policy_matches_disk 1",
        "sekisho_policy_last_reload_successful 1",
        "sekisho_requests_total{code=\"200\",rule=\"register\"} 0",
        "sekisho_line_up{line=\"ip-vpn\"} 1",
        "sekisho_connections_limit 10000",
    ]);
    life.end().unwrap();
    assert_eq!(
        lot.story(),
        ["start", "policy disk", "operation status", "operation stop", "stop drained"]
    );
    assert!(!lot.path("control.sock").exists());
    assert!(lot.ledger().iter().all(|entry| entry["policy"].is_string()));
}

#[test]
fn a_reload_puts_the_whole_law_in_force_or_leaves_the_old_one() {
    let lot = Lot::new();
    let life = lot.start(Supervisor::absent());
    let first = life.ready.policy.to_string();

    let unchanged = life.reload();
    assert_eq!((unchanged.result, unchanged.policy.as_str()), (ReloadResult::Unchanged, &*first));

    lot.write("law/20-rules.yaml", &RULES.replace("[GET]", "[GET, PUT]"));
    let second = life.reload();
    assert_eq!((second.result, &*second.was), (ReloadResult::InForce, &*first));
    assert_ne!(second.policy, first);

    lot.write("law/20-rules.yaml", &RULES.replace("[existing-system]", "[existing-sytem]"));
    let answer = life.call("reload");
    assert_eq!(answer.outcome, Outcome::Refused);
    let refused = answer.reload.unwrap();
    assert_eq!((refused.result, &refused.policy), (ReloadResult::Refused, &second.policy));
    assert!(refused.faults.contains("no system `existing-sytem`"), "{}", refused.faults);
    assert!(refused.errors >= 1);
    life.measures(&[
        "sekisho_policy_last_reload_successful 0",
        "sekisho_policy_matches_disk 0",
        "sekisho_policy_reloads_total{result=\"accepted\"} 2",
        "sekisho_policy_reloads_total{result=\"refused\"} 1",
        &format!("sekisho_policy_info{{digest=\"{}\"}} 1", second.policy),
    ]);
    assert!(life.get("/readyz").starts_with("HTTP/1.1 200 "), "the old law serves as before");
    let report = life.call("status").status.unwrap();
    assert_eq!((report.reload, report.policy.matches_disk), (Some(refused), false));

    lot.write("law/20-rules.yaml", RULES);
    let third = life.reload();
    assert_eq!(
        (third.result, &*third.policy, third.was),
        (ReloadResult::InForce, &*first, second.policy)
    );
    life.measures(&["sekisho_policy_last_reload_successful 1", "sekisho_policy_matches_disk 1"]);
    life.end().unwrap();
    assert_eq!(
        lot.story(),
        [
            "start",
            "policy disk",
            "policy disk",
            "operation reload",
            "policy disk",
            "operation reload",
            "policy refused disk",
            "operation reload",
            "operation status",
            "policy disk",
            "operation reload",
            "operation stop",
            "stop drained",
        ]
    );
}

#[test]
fn what_is_bound_cannot_be_reloaded_and_says_so() {
    let lot = Lot::new();
    let life = lot.start(Supervisor::absent());
    lot.write_box(free("127.78.0.3"));
    let refused = life.reload();
    assert_eq!(refused.result, ReloadResult::Refused);
    assert!(refused.faults.contains("listener `union-lan` cannot change"), "{}", refused.faults);
    assert!(TcpStream::connect(lot.listener).is_ok(), "the old listener listens on");
    let report = life.call("status").status.unwrap();
    assert!(report.policy.matches_disk, "the law itself is the same");
    life.end().unwrap();
}

#[test]
fn a_start_with_a_faulty_law_runs_the_last_accepted_one_loudly() {
    let lot = Lot::new();
    let life = lot.start(Supervisor::absent());
    let accepted = life.ready.policy;
    life.end().unwrap();

    lot.write("law/20-rules.yaml", "version: 1\nrules: [");
    let life = lot.start(Supervisor::absent());
    assert_eq!((life.ready.policy, life.ready.boot), (accepted, 2));
    let report = life.call("status").status.unwrap();
    assert_eq!((report.policy.origin.as_str(), report.policy.matches_disk), ("archive", false));
    assert!(report.text().contains("the law on disk is FAULTY"));
    life.measures(&["sekisho_policy_matches_disk 0", "sekisho_policy_last_reload_successful 0"]);
    assert!(life.get("/readyz").starts_with("HTTP/1.1 200 "));

    lot.write("law/20-rules.yaml", RULES);
    assert!(!life.reload().is_refused());
    let report = life.call("status").status.unwrap();
    assert_eq!((report.policy.origin.as_str(), report.policy.matches_disk), ("disk", true));
    life.end().unwrap();
    assert_eq!(
        lot.story()[4..8],
        ["start", "policy refused disk", "policy archive", "operation status"]
    );
}

#[test]
fn a_start_with_a_faulty_law_and_no_accepted_one_cannot_run_and_restarting_would_not_help() {
    let lot = Lot::new();
    lot.write("law/20-rules.yaml", &RULES.replace("[existing-system]", "[existing-sytem]"));
    let error = super::run(Options::new(lot.path("appliance.yaml"))).unwrap_err();
    assert!(error.to_string().contains("no system `existing-sytem`"), "{error}");
    assert_eq!(
        format!("{:?}", error.exit_code()),
        format!("{:?}", std::process::ExitCode::from(2))
    );
    assert!(
        !lot.path("ledger").exists() && !lot.path("control.sock").exists(),
        "nothing was touched"
    );
}

#[test]
fn a_second_service_on_the_same_box_leaves_the_first_alone() {
    let lot = Lot::new();
    let life = lot.start(Supervisor::absent());
    let error = super::run(Options::new(lot.path("appliance.yaml"))).unwrap_err();
    assert!(matches!(&error, Error::Bind { whose, .. } if whose == "union-lan"), "{error}");
    assert_eq!(
        format!("{:?}", error.exit_code()),
        format!("{:?}", std::process::ExitCode::FAILURE)
    );
    assert_eq!(life.call("status").outcome, Outcome::Ok);
    life.end().unwrap();
}

#[test]
fn a_ledger_that_cannot_be_written_is_told_and_no_law_begins_unrecorded() {
    let lot = Lot::new();
    let text = fs::read_to_string(lot.path("appliance.yaml")).unwrap();
    lot.write("appliance.yaml", &text.replace("disk_reserve: 1MiB", "disk_reserve: 1000000GiB"));
    let life = lot.start(Supervisor::absent());
    let ready = life.get("/readyz");
    assert!(
        ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("ledger_unwritable\n"),
        "{ready}"
    );
    assert!(life.get("/livez").starts_with("HTTP/1.1 200 "));
    assert!(!life.call("status").status.unwrap().ledger.writable);
    lot.write("law/20-rules.yaml", &RULES.replace("[GET]", "[GET, PUT]"));
    let refused = life.reload();
    assert_eq!(
        (refused.result, refused.policy),
        (ReloadResult::Refused, life.ready.policy.to_string())
    );
    assert!(refused.faults.contains("no law begins unrecorded"), "{}", refused.faults);
    let in_force = life.ready.policy;
    life.end().unwrap();
    lot.write("law/20-rules.yaml", "version: 1\nrules: [");
    let life = lot.start(Supervisor::absent());
    assert_eq!(life.ready.policy, in_force, "a refused law is none to fall back to");
    life.end().unwrap();
}

#[test]
fn two_services_run_side_by_side() {
    let (one, other) = (Lot::new(), Lot::new());
    let (first, second) = (one.start(Supervisor::absent()), other.start(Supervisor::absent()));
    first.reload();
    first.measures(&["sekisho_policy_reloads_total{result=\"accepted\"} 1"]);
    second.measures(&["sekisho_policy_reloads_total{result=\"accepted\"} 0"]);
    first.end().unwrap();
    assert_eq!(second.call("status").outcome, Outcome::Ok);
    second.end().unwrap();
}

#[test]
fn the_service_manager_hears_each_turn_and_that_it_lives() {
    let lot = Lot::new();
    let manager = UnixDatagram::bind(lot.path("notify")).unwrap();
    let supervisor = manager_at(&lot.path("notify"), Duration::from_millis(400));
    let life = lot.start(supervisor);
    let short = format!("{:.8}", life.ready.policy);
    assert_eq!(next_turn(&manager), format!("READY=1\nSTATUS=policy {short} in force\n"));
    await_ping(&manager);
    life.reload();
    assert!(next_turn(&manager).starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let status =
        format!("STATUS=reloaded: policy {short} in force (unchanged), 0 connections cut\n");
    assert_eq!(next_turn(&manager), format!("READY=1\n{status}"));
    life.end().unwrap();
    assert!(next_turn(&manager).starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC="));
}

fn manager_at(path: &Path, watchdog: Duration) -> Supervisor {
    Supervisor::at(path.as_os_str(), Some(watchdog)).unwrap()
}

fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = manager.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// The next thing that is not a ping.
fn next_turn(manager: &UnixDatagram) -> String {
    loop {
        let text = heard(manager);
        if text != "WATCHDOG=1\n" {
            return text;
        }
    }
}

fn await_ping(manager: &UnixDatagram) {
    assert_eq!(heard(manager), "WATCHDOG=1\n");
}
