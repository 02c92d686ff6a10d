//! A law and flows for tests: the seed's situation with documentation names. No test stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Host, Identity, Method, Name, Paper, Path, Peer,
    Request, Revocation, ServerName, Timestamp, TlsVersion,
};
use crate::policy::model::{
    Approval, Dial, Document, Encryption, Endpoint, Enforcement, Guardrail, Guardrails, Http,
    IndividualNumber, Interconnection, Model, PathPattern, Period, Protocol, RevocationLists,
    RoundTrip, Rule, SegmentPattern, Side, Site, System, Trust, Upstream, Zone,
};
use crate::yaml::Place;

pub(crate) const OPEN: Period = Period { since: None, until: None };

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("tests write names")
}

pub(crate) fn names(texts: &[&str]) -> BTreeSet<Name> {
    texts.iter().map(|text| name(text)).collect()
}

pub(crate) fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("tests write moments")
}

pub(crate) fn socket(text: &str) -> SocketAddr {
    text.parse().expect("tests write socket addresses")
}

pub(crate) fn host(text: &str) -> Host {
    Host::parse(text).expect("tests write host names")
}

pub(crate) fn identity(text: &str) -> Identity {
    Identity::parse(text).expect("tests write identities")
}

pub(crate) fn place(line: u32) -> Place {
    Place { file: Arc::from("policies/law.yaml"), line, column: 1, length: 1, text: Arc::from("") }
}

#[expect(clippy::unnecessary_wraps, reason = "a guardrail that is written stands in an option")]
pub(crate) fn guardrail<T>(what: T) -> Option<Guardrail<T>> {
    Some(Guardrail { what, clause: Some("4(1)イ".to_owned()), place: place(1) })
}

pub(crate) fn pattern(text: &str) -> PathPattern {
    let mut segments: Vec<&str> = text.split('/').skip(1).collect();
    let rest = segments.last() == Some(&"**");
    if rest {
        segments.pop();
    }
    let segment = |text: &&str| match *text {
        "*" => SegmentPattern::Any,
        literal => SegmentPattern::Literal(Box::from(literal)),
    };
    PathPattern { segments: segments.iter().map(segment).collect(), rest }
}

pub(crate) fn http(methods: &[&str], paths: &[&str]) -> Http {
    let method = |text: &&str| Method::parse(text).expect("tests write methods");
    Http {
        methods: methods.iter().map(method).collect(),
        paths: paths.iter().map(|text| pattern(text)).collect(),
    }
}

pub(crate) fn approval(period: Period) -> Approval {
    let consultation = "令和元年度諮問第５号".to_owned();
    Approval { consultation, opinion: None, amends: None, period, place: place(2) }
}

pub(crate) fn site(country: &str, dial: Dial) -> Site {
    Site {
        title: None,
        country: country.to_owned(),
        dial,
        evidence: name("site-contract"),
        round_trip_max: None,
        place: place(3),
    }
}

pub(crate) fn endpoint(address: &str, site: &str, approval: &str) -> Endpoint {
    Endpoint {
        address: socket(address),
        site: name(site),
        approval: name(approval),
        period: OPEN,
        place: place(4),
    }
}

pub(crate) fn system(side: Side, addresses: &[&str], identities: &[&str]) -> System {
    System {
        title: None,
        side,
        owner: None,
        addresses: addresses.iter().map(|net| net.parse().expect("tests write nets")).collect(),
        identities: identities.iter().map(|text| identity(text)).collect(),
        upstream: None,
        place: place(5),
    }
}

pub(crate) fn upstream(server_name: &str, endpoints: Vec<Endpoint>) -> Upstream {
    Upstream {
        server_name: host(server_name),
        line: name("ip-vpn"),
        trust: name("center-ca"),
        certificate: name("center-facing"),
        connections: None,
        endpoints,
        line_place: place(6),
        certificate_place: place(7),
    }
}

pub(crate) fn rule(from: &[&str], to: &str, protocol: Protocol, http: Option<Http>) -> Rule {
    Rule {
        title: None,
        approval: name("r1-5"),
        period: OPEN,
        listener: None,
        from: names(from),
        to: name(to),
        protocol,
        http,
        individual_number: IndividualNumber::Permitted,
        idle_timeout: None,
        response_timeout: None,
        enforcement: Enforcement::Enforce,
        upgrade: false,
        place: place(8),
    }
}

pub(crate) fn connection_date() -> Timestamp {
    moment("2020-06-15T00:00:00+09:00")
}

fn interconnection() -> Interconnection {
    Interconnection {
        business_number: None,
        section: "保険部管理課".to_owned(),
        name: "更改後の医療保険者等向け中間サーバー等への接続".to_owned(),
        purpose: "マイナンバー情報連携".to_owned(),
        counterparties: vec!["社会保険診療報酬支払基金".to_owned()],
        categories: vec!["basic".to_owned()],
        connection_date: connection_date(),
        place: place(9),
    }
}

fn guardrails() -> Guardrails {
    let versions = BTreeSet::from([TlsVersion::Tls13]);
    Guardrails {
        destinations: guardrail(names(&["intermediate-server"])),
        reverse_access: guardrail(names(&["online-eligibility"])),
        residency: guardrail(BTreeSet::from(["JP".to_owned()])),
        round_trip: RoundTrip::Observe,
        content: guardrail(names(&["online-eligibility"])),
        encryption: guardrail(Encryption { versions, mutual: true, passthrough: false }),
    }
}

fn systems() -> BTreeMap<Name, System> {
    let endpoints = vec![
        endpoint("10.200.1.10:443", "tokyo", "r1-5"),
        endpoint("10.201.1.10:443", "osaka", "r1-5"),
    ];
    let center = System {
        owner: Some("社会保険診療報酬支払基金".to_owned()),
        upstream: Some(upstream("chukan.center.example", endpoints)),
        ..system(Side::Center, &[], &["dns:chukan.center.example"])
    };
    let union = |net, identity| system(Side::Union, &[net], &[identity]);
    BTreeMap::from([
        (name("existing-system"), union("10.13.10.0/26", "dns:kizon.union.example")),
        (name("standard-system"), union("10.13.20.0/26", "dns:hyojun.union.example")),
        (name("intermediate-server"), center),
        (
            name("online-eligibility"),
            system(Side::Center, &["10.210.0.0/16"], &["dns:oqs.center.example"]),
        ),
    ])
}

fn rules() -> BTreeMap<Name, Rule> {
    let register = http(&["GET", "POST", "PUT"], &["/exchange/**"]);
    let results = http(&["GET"], &["/result/*"]);
    let https = |from, http| rule(from, "intermediate-server", Protocol::Https, Some(http));
    BTreeMap::from([
        (name("register"), https(&["existing-system"], register)),
        (name("results"), https(&["existing-system"], results)),
    ])
}

/// The seed's law: every proof holds for it.
pub(crate) fn law() -> Model {
    let trust = Trust {
        roots: "certs/ca.pem".into(),
        revocation: RevocationLists::NotKept("synthetic".to_owned()),
        place: place(10),
    };
    let contract = Document {
        title: None,
        clause: "4(1)ア(ア)".to_owned(),
        reference: "契約書".to_owned(),
        until: None,
        place: place(11),
    };
    Model {
        timezone: Zone { offset: 9 * 3600 },
        interconnection: interconnection(),
        documents: BTreeMap::from([(name("site-contract"), contract)]),
        approvals: BTreeMap::from([(
            name("r1-5"),
            approval(Period { since: Some(connection_date()), until: None }),
        )]),
        geography: None,
        guardrails: guardrails(),
        sites: BTreeMap::from([
            (name("tokyo"), site("JP", Dial::Always)),
            (name("osaka"), site("JP", Dial::Declared)),
        ]),
        trust: BTreeMap::from([(name("center-ca"), trust)]),
        systems: systems(),
        rules: rules(),
        declarations: BTreeMap::new(),
        scenarios: Vec::new(),
    }
}

/// What a client says that asks for `server_name` in the best way.
pub(crate) fn hello(server_name: &str) -> Hello {
    Hello {
        server_name: ServerName::Name(host(server_name)),
        version: TlsVersion::Tls13,
        alpn: Some(Alpn::Http11),
    }
}

/// A certificate in order, with these names.
pub(crate) fn certificate(identities: &[&str]) -> Certificate {
    Certificate {
        identities: identities.iter().map(|text| identity(text)).collect(),
        chain: Chain::Trusted,
        not_before: Timestamp::from_nanos(i64::MIN),
        not_after: Timestamp::MAX,
        revocation: Revocation::NotKept,
        fingerprint: [0; 32],
    }
}

/// A request to the intermediate server.
pub(crate) fn request(method: &str, path: &str) -> Request {
    Request {
        method: Method::parse(method).expect("tests write methods"),
        host: Some(host("chukan.center.example")),
        path: Path::parse(path).expect("tests write paths"),
        upgrade: false,
    }
}

/// The flow that the law is for: allowed by `register`.
pub(crate) fn flow() -> Flow {
    let at = moment("2026-11-22T02:14:07+09:00");
    let source = "10.13.10.5".parse().expect("an address");
    let paper = Paper::Presented(certificate(&["dns:kizon.union.example"]));
    Flow {
        hello: Some(Arc::new(hello("chukan.center.example"))),
        paper: Some(Arc::new(paper)),
        request: Some(request("POST", "/exchange/upload")),
        endpoint: Some(socket("10.200.1.10:443")),
        peer: Some(Peer::Verified(vec![identity("dns:chukan.center.example")])),
        ..Flow::arrival(at, source, socket("10.13.0.1:8443"), Some(name("union-lan")))
    }
}
