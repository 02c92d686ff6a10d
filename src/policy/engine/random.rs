//! Random laws and flows over a small world, so that they meet. No test stands here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::Opened;
use crate::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Identity, Paper, Peer, Request, Revocation, ServerName,
    Timestamp, TlsVersion, Transport,
};
use crate::policy::imagined::{
    approval, certificate, endpoint, guardrail, host, http, identity, law, name, names, place,
    request, rule, site, socket, system, upstream,
};
use crate::policy::model::{
    Declaration, Dial, Encryption, Enforcement, Geography, Guardrail, Guardrails, Model, Period,
    Protocol, RoundTrip, Rule, Side,
};

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const PATTERNS: [&str; 8] = ["/d/**", "/d/*", "/d/u", "/e", "/*/u", "/", "/**", "/d/*/u"];
const PATHS: [&str; 10] = [
    "/",
    "/d",
    "/d/",
    "/d/u",
    "/d/v",
    "/d/v/u",
    "/e",
    "/x/u",
    "/123456789018",
    "/d/123456789018/u",
];

pub(in crate::policy) fn second(at: i64) -> Timestamp {
    Timestamp::from_seconds(at)
}

fn period() -> impl Strategy<Value = Period> {
    (option::weighted(0.3, 0_i64..9), option::weighted(0.2, 3_i64..14))
        .prop_map(|(since, until)| Period { since: since.map(second), until: until.map(second) })
}

pub(in crate::policy) fn guardrails() -> impl Strategy<Value = Guardrails> {
    let systems = |all: &'static [&'static str]| {
        option::weighted(0.3, subsequence(all, 0..=all.len()).prop_map(|it| names(&it)))
    };
    let countries = subsequence(vec!["JP", "JP", "US"], 0..=3)
        .prop_map(|it| it.into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    let (old, new) = (TlsVersion::Tls12, TlsVersion::Tls13);
    let versions =
        select(vec![vec![new], vec![new], vec![old, new], vec![old, new], vec![new], vec![old]]);
    (
        systems(&["x", "y", "x", "a"]),
        systems(&["b", "z"]),
        option::weighted(0.6, countries),
        option::of(versions.prop_map(|it| it.into_iter().collect())),
        any::<bool>(),
    )
        .prop_map(|(destinations, reverse_access, residency, versions, passthrough)| {
            Guardrails {
                destinations: destinations.and_then(guardrail),
                reverse_access: reverse_access.and_then(guardrail),
                residency: residency.and_then(guardrail),
                content: None,
                round_trip: RoundTrip::Observe,
                encryption: versions.and_then(encryption).map(|mut it| {
                    it.what.passthrough = passthrough;
                    it
                }),
            }
        })
}

pub(in crate::policy) fn encryption(
    versions: BTreeSet<TlsVersion>,
) -> Option<Guardrail<Encryption>> {
    guardrail(Encryption { versions, mutual: true, passthrough: false })
}

prop_compose! {
    fn any_rule()(
        approval in select(vec!["p0", "p1", "p2"]),
        period in period(),
        listener in option::weighted(0.3, select(vec!["l0", "l1"])),
        from in prop_oneof![Just(vec!["a"]), subsequence(vec!["a", "b", "c", "z"], 1..=4)],
        to in select(vec!["x", "x", "x", "y"]),
        protocol in prop_oneof![
            8 => Just(Protocol::Https),
            2 => Just(Protocol::Tls),
            1 => Just(Protocol::TlsPassthrough),
            1 => Just(Protocol::Tcp),
        ],
        observes in prop::bool::weighted(0.15),
        upgrade in prop::bool::weighted(0.3),
        methods in subsequence(METHODS.to_vec(), 1..=3),
        paths in subsequence(PATTERNS.to_vec(), 1..=3),
    ) -> Rule {
        let http = (protocol == Protocol::Https).then(|| http(&methods, &paths));
        Rule {
            approval: name(approval),
            period,
            listener: listener.map(name),
            enforcement: if observes { Enforcement::Observe } else { Enforcement::Enforce },
            upgrade,
            ..rule(&from, to, protocol, http)
        }
    }
}

prop_compose! {
    /// The sites' countries and dials, and the approvals' periods.
    fn world()(
        countries in vec(select(vec!["JP", "JP", "US"]), 3),
        dials in vec(select(vec![Dial::Always, Dial::Always, Dial::Declared, Dial::Declared, Dial::Never]), 3),
        periods in vec(period(), 3),
        endpoint_period in period(),
        overlap in prop::bool::weighted(0.2),
        shared in prop::bool::weighted(0.1),
        connection in select(vec![0_i64, 0, 1, 3]),
        geography in option::weighted(0.6, (select(vec!["JP", "JP", "US"]), 6_i64..12)),
        paper in option::weighted(0.2, 4_i64..12),
    ) -> Model {
        let mut law = law();
        law.interconnection.connection_date = second(connection);
        let sites = ["s0", "s1", "s2"].into_iter().zip(countries.iter().zip(&dials));
        law.sites = sites.map(|(key, (country, dial))| (name(key), site(country, *dial))).collect();
        let approvals = ["p0", "p1", "p2"].into_iter().zip(&periods);
        law.approvals = approvals.map(|(key, period)| (name(key), approval(*period))).collect();
        law.geography = geography.map(|(country, until)| Geography {
            countries: [("8.8.8.8".parse().expect("an address"), country.to_owned())].into(),
            until: second(until),
            place: place(1),
        });
        law.documents.get_mut(&name("site-contract")).expect("a document").until = paper.map(second);
        let inner = if overlap { vec!["10.1.0.0/16", "10.9.0.0/16"] } else { vec!["10.9.0.0/16"] };
        let second_name = if shared { "dns:a.example" } else { "uri:urn:b" };
        let mut x = system(Side::Center, &[], &["dns:x.example"]);
        x.upstream = Some(upstream("x.up.example", vec![
            endpoint("10.200.1.10:443", "s0", "p0"),
            endpoint("10.201.1.10:443", "s1", "p1"),
            endpoint("8.8.8.8:443", "s2", "p0"),
        ]));
        let mut y = system(Side::Center, &["10.8.0.0/16"], &["dns:y.example", "dns:y.up.example"]);
        y.upstream = Some(upstream("y.up.example", vec![endpoint("10.202.0.1:443", "s2", "p2")]));
        y.upstream.as_mut().expect("set above").endpoints[0].period = endpoint_period;
        law.systems = [
            (name("a"), system(Side::Union, &["10.1.0.0/24", "2001:db8:a::/48"], &["dns:a.example"])),
            (name("b"), system(Side::Union, &["10.2.0.0/24"], &["dns:b.example", second_name])),
            (name("c"), system(Side::Union, &["10.3.0.0/16"], &["dns:c.example"])),
            (name("x"), x),
            (name("y"), y),
            (name("z"), system(Side::Center, &inner, &["dns:z.example"])),
        ].into();
        law
    }
}

pub(in crate::policy) fn model() -> impl Strategy<Value = Model> {
    let rules = prop_oneof![1 => vec(any_rule(), 0..4), 3 => vec(any_rule(), 4..16)];
    (world(), guardrails(), rules, vec(any_declaration(), 2)).prop_map(
        |(mut law, guardrails, rules, declarations)| {
            law.guardrails = guardrails;
            let keyed = ["d0", "d1"].into_iter().map(name).zip(declarations);
            law.declarations = keyed.collect();
            let keyed = rules.into_iter().enumerate();
            law.rules = keyed.map(|(key, rule)| (name(&format!("r{key}")), rule)).collect();
            law
        },
    )
}

prop_compose! {
    fn any_declaration()(
        site in select(vec!["s0", "s0", "s1", "s2"]),
        rules in subsequence(vec!["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"], 3..=8),
        at_most in 2_u64..12,
        approval in select(vec!["p0", "p1", "p2"]),
    ) -> Declaration {
        Declaration {
            title: None,
            site: name(site),
            rules: names(&rules),
            at_most: Duration::from_secs(at_most),
            approval: name(approval),
            place: place(1),
        }
    }
}

/// Declarations that are open; `d9` is none of the law's.
pub(in crate::policy) fn opened() -> impl Strategy<Value = Vec<Opened>> {
    let one = (select(vec!["d0", "d0", "d1", "d1", "d9"]), 0_i64..7, 6_i64..14).prop_map(
        |(declaration, since, until)| Opened {
            declaration: name(declaration),
            since: second(since),
            until: second(until),
        },
    );
    vec(one, 0..4)
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let known = [
        "x.up.example",
        "x.up.example",
        "x.up.example",
        "x.up.example",
        "x.up.example",
        "y.up.example",
        "y.up.example",
        "a.example",
        "z.example",
        "no.example",
    ];
    let server_name = prop_oneof![
        30 => select(known.to_vec()).prop_map(|text| ServerName::Name(host(text))),
        1 => Just(ServerName::Missing),
        1 => Just(ServerName::Unusable),
    ];
    let version = prop_oneof![
        40 => Just(TlsVersion::Tls13), 2 => Just(TlsVersion::Tls12), 1 => Just(TlsVersion::Old)
    ];
    let alpn = option::of(select(vec![Alpn::Http11, Alpn::H2]));
    (server_name, version, alpn).prop_map(|(server_name, version, alpn)| Hello {
        server_name,
        version,
        alpn,
    })
}

fn identities() -> impl Strategy<Value = Vec<Identity>> {
    let all = [
        "dns:a.example",
        "dns:b.example",
        "dns:c.example",
        "uri:urn:b",
        "dns:z.example",
        "dns:no.example",
    ];
    prop_oneof![
        6 => Just(vec!["dns:a.example"]),
        2 => subsequence(all.to_vec(), 1..=1),
        1 => subsequence(all.to_vec(), 0..=3),
    ]
    .prop_map(|texts| texts.into_iter().map(identity).collect())
}

fn any_certificate() -> impl Strategy<Value = Certificate> {
    let revocation = prop_oneof![
        9 => Just(Revocation::NotKept),
        2 => (0_i64..14).prop_map(|at| Revocation::Good { until: second(at) }),
        1 => Just(Revocation::Revoked),
        1 => Just(Revocation::Unknown),
    ];
    let chain = prop_oneof![15 => Just(Chain::Trusted), 1 => Just(Chain::Untrusted)];
    (identities(), chain, revocation, 0_i64..4, 8_i64..20).prop_map(
        |(identities, chain, revocation, first, last)| Certificate {
            identities,
            chain,
            revocation,
            not_before: second(first),
            not_after: second(last),
            ..certificate(&[])
        },
    )
}

/// The paper with the name that belongs to the address.
fn named_as(source: &str, paper: Paper) -> Paper {
    let name = match source {
        "10.2.0.7" | "2002:0a02:0007::" => "dns:b.example",
        "10.3.9.9" => "dns:c.example",
        _ => "dns:a.example",
    };
    match paper {
        Paper::Absent => Paper::Absent,
        Paper::Presented(paper) => {
            Paper::Presented(Certificate { identities: vec![identity(name)], ..paper })
        }
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let hosts = select(vec!["x.up.example", "x.up.example", "x.up.example", "y.up.example"]);
    let hosts = option::weighted(0.97, hosts);
    let upgrade = prop::bool::weighted(0.1);
    (select(METHODS.to_vec()), select(PATHS.to_vec()), hosts, upgrade).prop_map(
        |(method, path, asked, upgrade)| Request {
            host: asked.map(host),
            upgrade,
            ..request(method, path)
        },
    )
}

prop_compose! {
    pub(in crate::policy) fn any_flow()(
        at in prop_oneof![2 => 5_i64..9, 1 => 0_i64..15],
        own in prop::bool::weighted(0.8),
        transport in prop_oneof![20 => Just(Transport::Tcp), 1 => Just(Transport::Udp)],
        in_clear in prop::bool::weighted(0.03),
        source in prop_oneof![4 => Just("10.1.0.5"), 1 => select(vec![
            "10.2.0.7", "10.3.9.9", "::ffff:10.1.0.5", "64:ff9b::10.9.0.1",
            "2001:db8:a::5", "2002:0a02:0007::", "10.9.0.1", "10.200.1.10", "10.8.0.1", "192.0.2.1", "10.1.77.1",
        ])],
        listener in option::weighted(0.4, select(vec!["l0", "l0", "l0", "l1", "l1", "l1", "guard"])),
        hello in option::weighted(0.9, any_hello()),
        paper in option::weighted(0.9, prop_oneof![
            1 => Just(Paper::Absent), 15 => any_certificate().prop_map(Paper::Presented)
        ]),
        request in option::weighted(0.8, any_request()),
        endpoint in option::weighted(0.8, select(vec![
            "10.200.1.10:443", "10.200.1.10:443", "10.200.1.10:443", "10.201.1.10:443", "10.201.1.10:443", "10.202.0.1:443", "8.8.8.8:443",
            "[::ffff:10.200.1.10]:443", "203.0.113.1:443", "10.200.1.10:80",
        ])),
        peer in option::weighted(0.5, prop_oneof![
            1 => Just(Peer::Refused),
            4 => Just(Peer::Verified(vec![identity("dns:x.example")])),
            2 => Just(Peer::Verified(vec![identity("dns:y.example"), identity("dns:no.example")])),
        ]),
    ) -> Flow {
        let paper = paper.map(|paper| if own { named_as(source, paper) } else { paper });
        let source = source.parse().expect("an address");
        Flow {
            transport,
            hello: hello.map(Arc::new),
            in_clear,
            paper: paper.map(Arc::new),
            request,
            endpoint: endpoint.map(socket),
            peer,
            ..Flow::arrival(second(at), source, socket("10.13.0.1:8443"), listener.map(name))
        }
    }
}
