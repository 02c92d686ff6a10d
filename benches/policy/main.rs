//! How long a large law takes: `check` of 5 000 rules, 20 000 prefixes and 2 000 systems, one decision under it and
//! under a small one, and `diff` with another that differs in ten places, or in a guardrail that every flow meets. Prints the figures and ends with 1 where a bound does not hold. `cargo bench --bench policy`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark on its own input: a mistake of it shall end it"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Host, Identity, Method, Paper, Path, Peer, Request,
    Revocation, ServerName, Timestamp, TlsVersion,
};
use sekisho::policy::compare::compare;
use sekisho::policy::{self, Engine};
use sekisho::verdict::Verdict;
use sekisho::yaml::SourceFile;

const COUNCIL: &str = include_str!("../../policies/tokyo/00-council.yaml");
const DESTINATIONS: usize = 20;
const PREFIXES: usize = 10;

const CHECK_MAX: Duration = Duration::from_secs(1);
const DECIDE_MAX: f64 = 300.0;
const GROWTH_MAX: f64 = 2.0;
const DIFF_MAX: Duration = Duration::from_secs(5);

/// Ten places in which the large law is edited: what is written, and what instead.
const EDITS: [(&str, &str); 10] = [
    ("\"/exchange/7/**\"", "\"/exchange/7/**\", /report"),
    (
        "methods: [GET, POST], paths: [\"/exchange/11/**\"]",
        "methods: [GET], paths: [\"/exchange/11/**\"]",
    ),
    ("rule-13: { approval: r1-5,", "rule-13: { approval: r1-5, since: 2028-01-01,"),
    ("rule-17: { approval: r1-5,", "rule-17: { approval: r1-5, listener: union-lan,"),
    ("from: [union-19], to: center-19", "from: [union-19, union-20], to: center-19"),
    ("  rule-23: ", "  # rule-23: "),
    ("rule-29: { approval: r1-5,", "rule-29: { approval: r1-5, enforcement: observe,"),
    (", 10.0.7.96/28]", ", 11.0.0.0/28]"),
    ("[\"dns:u6.union.example\"]", "[\"dns:u6.union.example\", \"dns:other.union.example\"]"),
    (
        "[{ address: \"172.16.3.10:443\", site: tokyo, approval: r1-5 }]",
        "[{ address: \"172.16.3.10:443\", site: tokyo, approval: r1-5 }, { address: \"172.16.3.11:443\", site: tokyo, approval: r1-5 }]",
    ),
];

fn main() -> ExitCode {
    let large = law(5000);
    let mut times: Vec<Duration> = (0..5).map(|_| understand(&large).1).collect();
    times.sort();
    let check = times[times.len() / 2];
    let (small, _) = understand(&law(10));
    let (large, _) = understand(&large);
    let (few, many) = (decide(&small, 10), decide(&large, 5000));
    let growth = many / few;
    let ten = diff(&EDITS);
    let all = diff(&[("tls: [\"1.3\"]", "tls: [\"1.2\", \"1.3\"]")]);
    let decided = many < DECIDE_MAX && growth <= GROWTH_MAX;
    let holds = check < CHECK_MAX && decided && ten.max(all) < DIFF_MAX;
    let mut out = io::stdout();
    let _gone = writeln!(
        out,
        "check   5000 rules, 20000 prefixes, 2000 systems   {:.0} ms   (bound {} ms)\n\
         decide  10 rules                                   {few:.0} ns\n\
         decide  5000 rules                                 {many:.0} ns   (bound {DECIDE_MAX:.0} ns)\n\
         growth                                             {growth:.2}   (bound {GROWTH_MAX})\n\
         diff    in ten places, both laws read              {:.0} ms   (bound {} ms)\n\
         diff    in a guardrail that every flow meets       {:.0} ms",
        check.as_secs_f64() * 1e3,
        CHECK_MAX.as_millis(),
        ten.as_secs_f64() * 1e3,
        DIFF_MAX.as_millis(),
        all.as_secs_f64() * 1e3,
    );
    ExitCode::from(u8::from(!holds))
}

fn understand(files: &[SourceFile]) -> (Arc<Engine>, Duration) {
    let began = Instant::now();
    let law = policy::understand(files, None).unwrap_or_else(|it| panic!("{}", it.render(false)));
    (law.engine, began.elapsed())
}

/// From the texts of two large laws to the words for what is other.
fn diff(edits: &[(&str, &str)]) -> Duration {
    let old = law(5000);
    let new: Vec<_> = old.iter().map(|file| edited(file, edits)).collect();
    let began = Instant::now();
    let (old, new) = (understand(&old).0, understand(&new).0);
    let difference = compare(&old, &new).unwrap();
    let sentences = difference.sentences().len();
    let took = began.elapsed();
    assert!(sentences >= edits.len(), "{sentences} sentences for {} edits", edits.len());
    took
}

fn edited(file: &SourceFile, edits: &[(&str, &str)]) -> SourceFile {
    let text = String::from_utf8(file.bytes.to_vec()).unwrap();
    let text = edits.iter().fold(text, |text, (old, new)| text.replacen(old, new, 1));
    SourceFile { name: Arc::clone(&file.name), bytes: text.into_bytes().into() }
}

/// A law of so many rules: two sources for every five of them, ten prefixes for each.
fn law(rules: usize) -> Vec<SourceFile> {
    let sources = rules * 2 / 5;
    let only: Vec<_> = (0..DESTINATIONS).map(|it| format!("center-{it}")).collect();
    let council = COUNCIL.replace("[intermediate-server]", &format!("[{}]", only.join(", ")));
    let council =
        council.replace("never_initiates: [online-eligibility]", "never_initiates: [silent]");
    let council = council.replace(
        "no_individual_number_to: [online-eligibility]",
        "no_individual_number_to: [silent]",
    );
    vec![
        file("00-council.yaml", council),
        file("10-systems.yaml", systems(sources)),
        file("20-rules.yaml", text(rules, sources)),
    ]
}

fn file(name: &str, text: String) -> SourceFile {
    SourceFile { name: Arc::from(name), bytes: text.into_bytes().into() }
}

fn prefix(source: usize, number: usize) -> String {
    let base = (source * PREFIXES + number) * 32;
    format!("10.{}.{}.{}/28", base >> 16 & 255, base >> 8 & 255, base & 255)
}

fn systems(sources: usize) -> String {
    let mut text = "version: 1\nsites:\n  tokyo: { country: JP, dial: always, evidence: site-contract }\n\
                    trust:\n  ca: { roots: ca.pem, revocation: { none: synthetic } }\nsystems:\n\
                    \u{20} silent: { side: center, addresses: [192.168.0.0/16], identities: [\"dns:silent.example\"] }\n"
        .to_owned();
    let mut line = |it: String| text.push_str(&it);
    for source in 0..sources {
        let nets: Vec<_> = (0..PREFIXES).map(|it| prefix(source, it)).collect();
        line(format!(
            "  union-{source}: {{ side: union, addresses: [{}], identities: [\"dns:u{source}.union.example\"] }}\n",
            nets.join(", ")
        ));
    }
    for it in 0..DESTINATIONS {
        line(format!(
            "  center-{it}: {{ side: center, owner: 社会保険診療報酬支払基金, identities: [\"dns:c{it}.center.example\"], \
             upstream: {{ server_name: c{it}.center.example, line: ip-vpn, trust: ca, certificate: own, \
             endpoints: [{{ address: \"172.16.{it}.10:443\", site: tokyo, approval: r1-5 }}] }} }}\n"
        ));
    }
    text
}

fn text(rules: usize, sources: usize) -> String {
    let mut text = "version: 1\nrules:\n".to_owned();
    for rule in 0..rules {
        let _infallible = writeln!(
            text,
            "  rule-{rule}: {{ approval: r1-5, from: [union-{}], to: center-{}, protocol: https, \
             http: {{ methods: [GET, POST], paths: [\"/exchange/{rule}/**\"] }}, individual_number: permitted }}",
            rule % sources,
            rule % DESTINATIONS,
        );
    }
    text
}

/// The median nanoseconds of a decision, over flows that each pass by a rule of their own.
fn decide(engine: &Engine, rules: usize) -> f64 {
    let flows: Vec<Flow> = (0..64).map(|it| flow(it * rules / 64, rules * 2 / 5)).collect();
    for flow in &flows {
        let verdict = engine.decide(flow);
        assert!(matches!(verdict, Verdict::Allow(_)), "{verdict:?}");
    }
    let mut times: Vec<f64> = (0..401)
        .map(|_| {
            let began = Instant::now();
            for flow in flows.iter().cycle().take(1024) {
                drop(black_box(engine.decide(black_box(flow))));
            }
            began.elapsed().as_secs_f64() * 1e9 / 1024.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn flow(rule: usize, sources: usize) -> Flow {
    let (source, to) = (rule % sources, rule % DESTINATIONS);
    let net: ipnet::Ipv4Net = prefix(source, rule % PREFIXES).parse().unwrap();
    let host = Host::parse(&format!("c{to}.center.example")).unwrap();
    let identity = |text: String| Identity::parse(&text).unwrap();
    let certificate = Certificate {
        identities: vec![identity(format!("dns:u{source}.union.example"))],
        chain: Chain::Trusted,
        not_before: Timestamp::from_seconds(0),
        not_after: Timestamp::MAX,
        revocation: Revocation::NotKept,
        fingerprint: [0; 32],
    };
    let at = Timestamp::parse("2026-11-22T12:00:00+09:00").unwrap();
    let to_address: SocketAddr = "10.255.0.1:8443".parse().unwrap();
    let mut flow = Flow::arrival(at, net.hosts().nth(1).unwrap().into(), to_address, None);
    flow.hello = Some(Arc::new(Hello {
        server_name: ServerName::Name(host.clone()),
        version: TlsVersion::Tls13,
        alpn: Some(Alpn::H2),
    }));
    flow.paper = Some(Arc::new(Paper::Presented(certificate)));
    flow.request = Some(Request {
        method: Method::parse("POST").unwrap(),
        host: Some(host),
        path: Path::parse(&format!("/exchange/{rule}/upload")).unwrap(),
        upgrade: false,
    });
    flow.endpoint = format!("172.16.{to}.10:443").parse().ok();
    flow.peer = Some(Peer::Verified(vec![identity(format!("dns:c{to}.center.example"))]));
    flow
}
