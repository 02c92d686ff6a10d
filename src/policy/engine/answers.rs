//! What the engine answers beside the verdict: look-ups, the next change, masks.

use super::Engine;
use crate::flow::{Flow, Method, Name, Path, ServerName};
use crate::policy::imagined::{flow, host, identity, law, moment, name, names, socket};
use crate::policy::model::{Period, Protocol};
use crate::verdict::{Reason, Verdict};

#[test]
fn what_the_proxy_asks_beside_the_verdict() {
    let engine = Engine::compile(law());
    let asked = ServerName::Name(host("chukan.center.example"));
    let protocol = |source: &str, asked: &ServerName| {
        engine.protocol(&name("union-lan"), source.parse().expect("an address"), asked)
    };
    assert_eq!(protocol("10.13.10.5", &asked), Some(Protocol::Https));
    assert_eq!(protocol("10.13.20.5", &asked), None);
    assert_eq!(protocol("192.0.2.1", &asked), None);
    assert_eq!(protocol("10.13.10.5", &ServerName::Missing), None);
    let system = |text: &str| engine.system_of(text.parse().expect("an address")).map(Name::as_str);
    assert_eq!(system("10.13.10.5"), Some("existing-system"));
    assert_eq!(system("10.201.1.10"), Some("intermediate-server"));
    assert_eq!(system("192.0.2.1"), None);
    assert_eq!(engine.site_of(socket("10.201.1.10:443")), Some(&name("osaka")));
    assert_eq!(engine.site_of(socket("10.201.1.10:80")), None);
    let found = engine.destination(&host("chukan.center.example")).map(|it| it.name.as_str());
    assert_eq!(found, Some("intermediate-server"));
    assert!(engine.destination(&host("oqs.center.example")).is_none());
    assert_eq!(
        engine.rule(&name("register")).map(|rule| &rule.to),
        Some(&name("intermediate-server"))
    );
}

#[test]
fn another_law_on_the_same_box_leaves_its_listeners_as_they_are() {
    let engine = Engine::compile(law()).with_listeners(names(&["center-guard"]));
    let on_guard = Flow { listener: Some(name("center-guard")), ..flow() };
    for engine in [engine.under(law()), engine.with_declarations(&[])] {
        let verdict = engine.decide(&on_guard);
        let Verdict::Deny(denied) = verdict else { panic!("{verdict:?}") };
        assert_eq!(denied.reason, Reason::Listener);
        assert_eq!(engine.decide(&flow()).code(), "allow");
    }
}

#[test]
fn the_next_change_is_the_next_date_of_the_law() {
    let day = |text: &str| moment(text);
    let mut law = law();
    let until = Some(day("2027-04-01T00:00:00+09:00"));
    law.rules.get_mut("results").expect("a rule").period = Period { since: None, until };
    let engine = Engine::compile(law);
    let date = day("2020-06-15T00:00:00+09:00");
    assert_eq!(engine.next_change(day("2020-01-01T00:00:00Z")), Some(date));
    assert_eq!(engine.next_change(date), Some(day("2027-04-01T00:00:00+09:00")));
    assert_eq!(engine.next_change(day("2027-04-01T00:00:00+09:00")), None);
}

#[test]
fn a_recorded_text_holds_only_literals_of_the_law() {
    let engine = Engine::compile(law());
    let path = |text: &str| engine.mask_path(&Path::parse(text).expect("a path")).to_string();
    assert_eq!(path("/exchange/123456789018/result"), "/exchange/*/result");
    assert_eq!(path("/exchange/"), "/exchange/");
    assert_eq!(path("/"), "/");
    assert_eq!(engine.mask_host("CHUKAN.center.example").as_str(), "chukan.center.example");
    assert_eq!(engine.mask_host("1234-5678-9018.example").as_str(), "****-****-****.example");
    assert_eq!(
        engine.mask_identity(&identity("dns:kizon.union.example")).as_str(),
        "dns:kizon.union.example"
    );
    assert_eq!(
        engine.mask_identity(&identity("uri:urn:id:123456789018")).as_str(),
        "uri:urn:id:************"
    );
    let pin = identity(&format!("spki-sha256:{}", "1a".repeat(32)));
    assert_eq!(engine.mask_identity(&pin).as_str(), "spki-sha256:*");
    let method =
        |text: &str| engine.mask_method(&Method::parse(text).expect("a method")).to_string();
    assert_eq!(method("DELETE"), "DELETE");
    assert_eq!(method("X123456789018"), "*");
    let mut law = law();
    let asked = law.rules.get_mut("register").expect("a rule").http.as_mut().expect("it reads");
    asked.methods.extend(Method::parse("X12345678"));
    let own = Method::parse("X12345678").expect("a method");
    assert_eq!(Engine::compile(law).mask_method(&own).as_str(), "X12345678");
}
