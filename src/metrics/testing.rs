//! A law for tests, built by hand: this layer knows no YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::flow::{Host, Method, Name, Timestamp};
use crate::policy::model::{
    Approval, Dial, Endpoint, Enforcement, Guardrails, Http, IndividualNumber, Interconnection,
    Model, PathPattern, Period, Protocol, Rule, Side, Site, System, Upstream, Zone,
};
use crate::yaml::Place;

/// The one endpoint.
pub(crate) const TOKYO: &str = "10.200.1.10:443";

/// A law with these rules, all of them `https` towards the intermediate server.
pub(crate) fn model(rules: &[&str]) -> Model {
    let place = place();
    let approval = Approval {
        consultation: "令和元年度諮問第５号".to_owned(),
        opinion: None,
        amends: None,
        period: Period { since: None, until: Some(Timestamp::from_seconds(3000)) },
        place: place.clone(),
    };
    let site = Site {
        title: None,
        country: "JP".to_owned(),
        dial: Dial::Always,
        evidence: name("site-contract"),
        round_trip_max: None,
        place,
    };
    Model {
        timezone: Zone { offset: 32_400 },
        interconnection: interconnection(),
        documents: BTreeMap::new(),
        approvals: [(name("r1-5"), approval)].into(),
        guardrails: Guardrails::default(),
        sites: [(name("tokyo"), site)].into(),
        trust: BTreeMap::new(),
        systems: [(name("intermediate-server"), intermediate_server())].into(),
        geography: None,
        declarations: BTreeMap::new(),
        rules: rules.iter().map(|rule| (name(rule), rule_to_the_server())).collect(),
        scenarios: Vec::new(),
    }
}

fn interconnection() -> Interconnection {
    Interconnection {
        business_number: None,
        section: "保険部管理課".to_owned(),
        name: String::new(),
        purpose: String::new(),
        counterparties: Vec::new(),
        categories: Vec::new(),
        connection_date: Timestamp::from_seconds(0),
        place: place(),
    }
}

fn intermediate_server() -> System {
    let endpoint = Endpoint {
        address: TOKYO.parse().unwrap(),
        site: name("tokyo"),
        approval: name("r1-5"),
        period: Period { since: None, until: None },
        place: place(),
    };
    let upstream = Upstream {
        server_name: Host::parse("chukan.center.example").unwrap(),
        line: name("ip-vpn"),
        trust: name("center-ca"),
        certificate: name("center-facing"),
        connections: None,
        endpoints: vec![endpoint],
        line_place: place(),
        certificate_place: place(),
    };
    System {
        title: None,
        side: Side::Center,
        owner: None,
        addresses: Vec::new(),
        identities: Vec::new(),
        upstream: Some(upstream),
        place: place(),
    }
}

fn rule_to_the_server() -> Rule {
    let any = PathPattern { segments: Vec::new(), rest: true };
    Rule {
        title: None,
        approval: name("r1-5"),
        period: Period { since: None, until: None },
        listener: None,
        from: BTreeSet::from([name("existing-system")]),
        to: name("intermediate-server"),
        protocol: Protocol::Https,
        http: Some(Http { methods: [Method::parse("GET").unwrap()].into(), paths: vec![any] }),
        individual_number: IndividualNumber::Permitted,
        idle_timeout: None,
        response_timeout: None,
        enforcement: Enforcement::Enforce,
        upgrade: false,
        place: place(),
    }
}

fn place() -> Place {
    Place { file: Arc::from("t"), line: 1, column: 1, length: 0, text: Arc::from("") }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}
