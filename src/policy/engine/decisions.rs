//! Tables of decisions: the seed's law, a flow with one thing changed, the reason and the stage that are due.

use std::sync::Arc;

use super::Engine;
use crate::flow::{
    Certificate, Chain, Flow, Hello, Paper, Request, Revocation, ServerName, Timestamp, TlsVersion,
    Transport,
};
use crate::policy::imagined::{
    approval, certificate, endpoint, flow, guardrail, hello, host, http, identity, law, moment,
    name, names, request, rule, socket, upstream,
};
use crate::policy::model::{Encryption, Model, Period, Protocol};
use crate::verdict::{Near, Reason, Stage, Verdict};

/// What is due: allowed by a rule, or refused for a reason at a stage.
pub(super) type Due = Result<&'static str, (Reason, Stage)>;

pub(super) const REGISTER: Due = Ok("register");

pub(super) fn engine(model: Model) -> Engine {
    Engine::compile(model).with_listeners(names(&["center-guard"]))
}

pub(super) fn check(title: &str, model: Model, flow: &Flow, due: Due) {
    let happened = match engine(model).decide(flow) {
        Verdict::Allow(allowed) => Ok(allowed.rule.to_string()),
        Verdict::Deny(denied) => Err((denied.reason, denied.stage)),
        Verdict::NotYet(not_yet) => Ok(format!("not yet at {}", not_yet.stage)),
    };
    assert_eq!(happened, due.map(str::to_owned), "{title}");
}

pub(super) fn flow_with(change: impl FnOnce(&mut Flow)) -> Flow {
    let mut flow = flow();
    change(&mut flow);
    flow
}

pub(super) fn law_with(change: impl FnOnce(&mut Model)) -> Model {
    let mut law = law();
    change(&mut law);
    law
}

fn from(source: &str) -> Flow {
    flow_with(|flow| flow.source = source.parse().expect("an address"))
}

fn asking(change: impl FnOnce(&mut Hello)) -> Flow {
    let mut hello = hello("chukan.center.example");
    change(&mut hello);
    flow_with(|flow| flow.hello = Some(Arc::new(hello)))
}

fn showing(change: impl FnOnce(&mut Certificate)) -> Flow {
    let mut certificate = certificate(&["dns:kizon.union.example"]);
    change(&mut certificate);
    flow_with(|flow| flow.paper = Some(Arc::new(Paper::Presented(certificate))))
}

fn named(identities: &[&str]) -> Flow {
    showing(|it| it.identities = identities.iter().map(|text| identity(text)).collect())
}

pub(super) fn sending(method: &str, path: &str) -> Flow {
    flow_with(|flow| flow.request = Some(request(method, path)))
}

#[test]
fn the_seed_passes_by_register() {
    check("as it is", law(), &flow(), REGISTER);
    check("its second rule", law(), &sending("GET", "/result/7"), Ok("results"));
    let allowed = engine(law()).decide(&flow());
    let Verdict::Allow(allowed) = allowed else { panic!("{allowed:?}") };
    assert_eq!(allowed.system, name("intermediate-server"));
    assert_eq!(allowed.endpoint, socket("10.200.1.10:443"));
}

#[test]
fn a_source_is_judged_by_its_address_before_tls() {
    let table = [
        ("192.0.2.7", Reason::UnknownSource),
        ("10.13.10.64", Reason::UnknownSource),
        ("10.210.0.9", Reason::ReverseAccess),
        ("10.200.1.10", Reason::NoRule),
        ("10.13.20.1", Reason::NoRule),
        ("fd00::1", Reason::UnknownSource),
    ];
    for (source, reason) in table {
        check(source, law(), &from(source), Err((reason, Stage::Arrival)));
    }
}

#[test]
fn ipv4_inside_ipv6_is_judged_as_the_ipv4_that_it_is() {
    for spelling in [
        "::ffff:10.210.0.9",
        "64:ff9b::10.210.0.9",
        "2002:0ad2:0009::1",
        "2001:0:4136:e378:8000:63bf:f52d:fff6",
    ] {
        check(spelling, law(), &from(spelling), Err((Reason::ReverseAccess, Stage::Arrival)));
    }
    check("a friend", law(), &from("::ffff:10.13.10.5"), REGISTER);
    let endpoint_at = flow_with(|flow| flow.endpoint = Some(socket("[::ffff:10.200.1.10]:443")));
    check("an endpoint", law(), &endpoint_at, REGISTER);
}

#[test]
fn a_prefix_inside_one_that_never_initiates_is_closed() {
    let law = law_with(|law| {
        let inner = "10.210.7.0/24".parse().expect("a net");
        law.systems.get_mut("existing-system").expect("a system").addresses.push(inner);
    });
    check("inner", law, &from("10.210.7.5"), Err((Reason::ReverseAccess, Stage::Arrival)));
}

#[test]
fn a_listener_that_refuses_or_is_not_named_is_the_reason() {
    let on = |listener: &str, source: &str| {
        flow_with(|flow| {
            flow.listener = Some(name(listener));
            flow.source = source.parse().expect("an address");
        })
    };
    let due = |reason| Err((reason, Stage::Arrival));
    check("refusing", law(), &on("center-guard", "10.13.10.5"), due(Reason::Listener));
    check("guard first", law(), &on("center-guard", "10.210.0.9"), due(Reason::ReverseAccess));
    check("stranger", law(), &on("center-guard", "192.0.2.7"), due(Reason::UnknownSource));
    let bound = || {
        law_with(|law| {
            for rule in law.rules.values_mut() {
                rule.listener = Some(name("union-lan"));
            }
        })
    };
    check("named", bound(), &flow(), REGISTER);
    check("another", bound(), &on("other-lan", "10.13.10.5"), due(Reason::Listener));
    check("seen only", bound(), &flow_with(|flow| flow.listener = None), REGISTER);
}

#[test]
fn a_transport_that_no_rule_speaks_is_protocol() {
    for transport in [Transport::Udp, Transport::Icmp, Transport::Esp, Transport::Other(89)] {
        let flow = flow_with(|flow| flow.transport = transport);
        check("transport", law(), &flow, Err((Reason::Protocol, Stage::Arrival)));
    }
}

#[test]
fn bytes_in_clear_fit_no_rule_whatever_else_is_known() {
    let due = Err((Reason::Protocol, Stage::Hello));
    let clear = flow_with(|flow| flow.in_clear = true);
    check("with a hello behind it", law(), &clear, due);
    let only = flow_with(|flow| (flow.in_clear, flow.hello) = (true, None));
    check("nothing else", law(), &only, due);
    let stranger = Flow { source: socket("192.0.2.7:1").ip(), ..only };
    check("a stranger", law(), &stranger, Err((Reason::UnknownSource, Stage::Arrival)));
}

#[test]
fn a_hello_is_judged_by_name_and_version() {
    let name = |text: &str| asking(|it| it.server_name = ServerName::Name(host(text)));
    let due = |reason| Err((reason, Stage::Hello));
    let old = |it: &mut Hello| it.version = TlsVersion::Old;
    let table = [
        ("missing", asking(|it| it.server_name = ServerName::Missing), Reason::HostMismatch),
        ("literal", asking(|it| it.server_name = ServerName::Unusable), Reason::HostMismatch),
        ("stranger", name("other.example"), Reason::UnknownDestination),
        ("not listed", name("oqs.center.example"), Reason::DestinationNotListed),
        ("a source", name("kizon.union.example"), Reason::DestinationNotListed),
        ("1.2", asking(|it| it.version = TlsVersion::Tls12), Reason::TlsVersion),
        ("old", asking(old), Reason::TlsVersion),
        (
            "old and nameless",
            asking(|it| {
                old(it);
                it.server_name = ServerName::Missing;
            }),
            Reason::TlsVersion,
        ),
    ];
    for (title, flow, reason) in table {
        check(title, law(), &flow, due(reason));
    }
}

#[test]
fn tls_1_2_passes_only_where_the_law_lists_it() {
    let twelve = asking(|it| it.version = TlsVersion::Tls12);
    let law_of = |versions: &[TlsVersion]| {
        law_with(|law| {
            let versions = versions.iter().copied().collect();
            let encryption = Encryption { versions, mutual: true, passthrough: false };
            law.guardrails.encryption = guardrail(encryption);
        })
    };
    check("listed", law_of(&[TlsVersion::Tls12, TlsVersion::Tls13]), &twelve, REGISTER);
    let refused = Err((Reason::TlsVersion, Stage::Hello));
    check("only 1.2", law_of(&[TlsVersion::Tls12]), &flow(), refused);
    check("unguarded", law_with(|law| law.guardrails.encryption = None), &twelve, refused);
}

#[test]
fn a_destination_that_no_rule_joins_is_no_rule() {
    let mut law = law_with(|law| {
        let other =
            upstream("other.center.example", vec![endpoint("10.202.0.1:443", "tokyo", "r1-5")]);
        law.systems.get_mut("standard-system").expect("a system").upstream = Some(other);
    });
    let flow = asking(|it| it.server_name = ServerName::Name(host("other.center.example")));
    check("guarded", law.clone(), &flow, Err((Reason::DestinationNotListed, Stage::Hello)));
    law.guardrails.destinations = None;
    check("unguarded", law, &flow, Err((Reason::NoRule, Stage::Hello)));
}

#[test]
fn a_paper_is_judged_by_its_flaws_and_then_by_its_names() {
    let good = |text: &str| Revocation::Good { until: moment(text) };
    let mine = "dns:kizon.union.example";
    let table = [
        (
            "absent",
            flow_with(|it| it.paper = Some(Arc::new(Paper::Absent))),
            Reason::IdentityMissing,
        ),
        ("chain", showing(|it| it.chain = Chain::Untrusted), Reason::CertificateInvalid),
        ("early", showing(|it| it.not_before = Timestamp::MAX), Reason::CertificateExpired),
        (
            "late",
            showing(|it| it.not_after = moment("2026-11-22T02:14:06+09:00")),
            Reason::CertificateExpired,
        ),
        ("revoked", showing(|it| it.revocation = Revocation::Revoked), Reason::CertificateRevoked),
        ("unlisted", showing(|it| it.revocation = Revocation::Unknown), Reason::RevocationUnknown),
        (
            "list is due",
            showing(|it| it.revocation = good("2026-11-22T02:14:07+09:00")),
            Reason::RevocationUnknown,
        ),
        ("no name", named(&[]), Reason::IdentityUnknown),
        ("a stranger", named(&["dns:other.example"]), Reason::IdentityUnknown),
        ("a subdomain", named(&["dns:a.kizon.union.example"]), Reason::IdentityUnknown),
        ("another", named(&["dns:hyojun.union.example"]), Reason::IdentityMismatch),
        ("two", named(&[mine, "dns:hyojun.union.example"]), Reason::IdentityMismatch),
        ("closed", named(&["dns:oqs.center.example"]), Reason::ReverseAccess),
        ("closed among", named(&[mine, "dns:oqs.center.example"]), Reason::ReverseAccess),
        (
            "closed, not even trusted",
            showing(|it| {
                it.chain = Chain::Untrusted;
                it.identities = vec![identity("dns:oqs.center.example")];
            }),
            Reason::ReverseAccess,
        ),
        (
            "untrusted names are not believed",
            showing(|it| {
                it.chain = Chain::Untrusted;
                it.identities = Vec::new();
            }),
            Reason::CertificateInvalid,
        ),
    ];
    for (title, flow, reason) in table {
        check(title, law(), &flow, Err((reason, Stage::Identity)));
    }
}

#[test]
fn a_paper_in_order_passes_from_its_first_moment_to_its_last() {
    let good = |text: &str| Revocation::Good { until: moment(text) };
    let mine = "dns:kizon.union.example";
    let pin = format!("spki-sha256:{}", "0a".repeat(32));
    check("with a stranger's name", law(), &named(&[mine, &pin]), REGISTER);
    let last = moment("2026-11-22T02:14:07+09:00");
    check("the last moment", law(), &showing(|it| it.not_after = last), REGISTER);
    check("the first moment", law(), &showing(|it| it.not_before = last), REGISTER);
    let two_names = law_with(|law| {
        let own = law.systems.get_mut("existing-system").expect("a system");
        own.identities.push(identity("dns:kizon2.union.example"));
    });
    check("two names of its own", two_names, &named(&[mine, "dns:kizon2.union.example"]), REGISTER);
    check(
        "a list in time",
        law(),
        &showing(|it| it.revocation = good("2026-11-23T00:00:00Z")),
        REGISTER,
    );
}

#[test]
fn fronting_is_refused() {
    let asked = |text: Option<&str>| {
        flow_with(|flow| {
            let host = text.map(host);
            flow.request = Some(Request { host, ..request("POST", "/exchange/upload") });
        })
    };
    let due = Err((Reason::HostMismatch, Stage::Request));
    check("another system's", law(), &asked(Some("oqs.center.example")), due);
    check("a stranger's", law(), &asked(Some("other.example")), due);
    check("an address", law(), &asked(None), due);
    let rule = |law| engine(law).decide(&asked(None)).rule().cloned();
    let one = law_with(|law| drop(law.rules.remove("results")));
    assert_eq!(rule(one), Some(name("register")), "the only rule that could have been meant");
    assert_eq!(rule(law()), None, "either of two");
}

#[test]
fn a_request_is_judged_by_upgrade_method_and_path() {
    let due = |reason| Err((reason, Stage::Request));
    let upgrade = |flow: &mut Flow| {
        let request = request("GET", "/exchange/upload");
        flow.request = Some(Request { upgrade: true, ..request });
    };
    let table = [
        ("DELETE", sending("DELETE", "/exchange/a"), Reason::Method),
        ("get", sending("get", "/exchange/a"), Reason::Method),
        ("outside", sending("GET", "/other"), Reason::Path),
        ("case", sending("POST", "/Exchange/a"), Reason::Path),
        ("nothing below", sending("PUT", "/exchange"), Reason::Path),
        ("an empty segment below", sending("PUT", "/exchange/"), Reason::Path),
        ("both", sending("DELETE", "/other"), Reason::NoRule),
        ("upgrade", flow_with(upgrade), Reason::Upgrade),
    ];
    for (title, flow, reason) in table {
        check(title, law(), &flow, due(reason));
    }
    check("deep", law(), &sending("PUT", "/exchange/a/b/"), REGISTER);
}

#[test]
fn several_kinds_of_facts_are_no_rule_with_the_nearest() {
    let verdict = engine(law()).decide(&sending("PUT", "/result/7"));
    let Verdict::Deny(denied) = verdict else { panic!("{verdict:?}") };
    let near = |rule: &str, kind| Near { rule: name(rule), stopped_by: vec![kind] };
    assert_eq!(denied.reason, Reason::NoRule);
    assert_eq!(denied.nearest, [near("register", Reason::Path), near("results", Reason::Method)]);
    let verdict = engine(law()).decide(&sending("DELETE", "/exchange/a"));
    assert_eq!(verdict.rule(), Some(&name("register")));
}

#[test]
fn an_ended_rule_does_not_blur_the_answer() {
    let law = law_with(|law| {
        let ended = Period { since: None, until: Some(moment("2021-01-01T00:00:00Z")) };
        law.approvals.insert(name("old"), approval(ended));
        let results = law.rules.get_mut("results").expect("a rule");
        results.approval = name("old");
        results.http = Some(http(&["DELETE"], &["/exchange/*"]));
    });
    let due = Err((Reason::Method, Stage::Request));
    check("in force: method", law, &sending("DELETE", "/exchange/a"), due);
}

#[test]
fn a_tls_rule_has_no_application_protocol_and_no_requests() {
    let law = || {
        law_with(|law| {
            let pipe = rule(&["existing-system"], "intermediate-server", Protocol::Tls, None);
            law.rules = [(name("pipe"), pipe)].into();
        })
    };
    let bare = |flow: &mut Flow| {
        flow.request = None;
        let hello = hello("chukan.center.example");
        flow.hello = Some(Arc::new(Hello { alpn: None, ..hello }));
    };
    check("bytes", law(), &flow_with(bare), Ok("pipe"));
    check("agreed", law(), &flow(), Err((Reason::Protocol, Stage::Hello)));
    let asked = flow_with(|flow| {
        bare(flow);
        flow.request = Some(request("GET", "/exchange/a"));
    });
    check("asked", law(), &asked, Err((Reason::Protocol, Stage::Request)));
}

#[test]
fn facts_that_are_missing_are_not_yet() {
    let due = Ok("not yet at peer");
    check("endpoint", law(), &flow_with(|flow| flow.endpoint = None), due);
    check("request", law(), &flow_with(|flow| flow.request = None), due);
    check("paper", law(), &flow_with(|flow| flow.paper = None), due);
    check("hello", law(), &flow_with(|flow| flow.hello = None), due);
    let arrival = flow_with(|flow| {
        *flow = Flow::arrival(flow.at, flow.source, flow.to_address, flow.listener.clone());
    });
    check("arrival", law(), &arrival, Ok("not yet at arrival"));
}
