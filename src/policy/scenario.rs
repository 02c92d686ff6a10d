//! The law's own tests: imagined flows, of which only some facts are named, and the answers that are due. Whatever
//! imagines a flow (a scenario, `explain`) fills it in here, in the one way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::flow::{
    Alpn, Certificate, Chain, Flow, Hello, Host, Identity, Method, Name, Paper, Path, Peer,
    Request, Revocation, ServerName, Timestamp, TlsVersion,
};
use crate::policy::engine::{Engine, Opened, matches};
use crate::policy::model::{
    Expectation, Flaw, Http, PathPattern, Protocol, Rule, Scenario, ScenarioFlow, SegmentPattern,
    System,
};
use crate::verdict::{Denied, Reason, Stage, Verdict};
use crate::yaml::{Fault, Faults, Severity};

/// Runs the law's scenarios; one that ends otherwise than expected is a fault.
pub fn run(engine: &Engine) -> Faults {
    Faults(engine.model().scenarios.iter().filter_map(|it| failure(engine, it)).collect())
}

/// The answer to an imagined flow. A path that is none is a malformed request, unless the law refuses before it.
pub fn verdict(engine: &Engine, facts: &ScenarioFlow, at: Timestamp) -> Verdict {
    let declared = engine.with_declarations(&opened(engine, facts, at));
    let engine = if facts.declared.is_empty() { engine } else { &declared };
    judged(engine, &flow(engine, facts, at), facts.path.as_deref())
}

/// The answer to a flow whose request had this path as it was written.
pub(super) fn judged(engine: &Engine, flow: &Flow, path: Option<&str>) -> Verdict {
    let verdict = engine.decide(flow);
    let malformed = path.is_some_and(|path| Path::parse(path).is_err());
    let earlier = matches!(&verdict, Verdict::Deny(denied) if denied.stage < Stage::Request);
    if malformed && !earlier {
        return Verdict::Deny(Denied::plain(Reason::MalformedRequest, Stage::Request));
    }
    verdict
}

/// The flow with these facts. A fact that is not named takes the most favourable value: an address and a name of a
/// system that may ask, the destination's server name, the best permitted TLS, a certificate in order, a request that
/// a rule takes, the first endpoint that may be dialled, its true peer. What rests on something unknown is left out.
/// A path that is none leaves the request out.
pub fn flow(engine: &Engine, facts: &ScenarioFlow, at: Timestamp) -> Flow {
    let imagined = Imagined { engine, facts, at };
    let source = imagined.source();
    let server_name = imagined.server_name(source);
    let to_address = facts.to_address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 443)));
    let mut flow = Flow::arrival(at, source, to_address, facts.listener.clone());
    let Some(server_name) = server_name else { return flow };
    let sight = imagined.sight(source, &server_name);
    flow.endpoint = imagined.endpoint(&server_name);
    if sight != Sight::Bytes {
        flow.paper = (sight == Sight::Inside).then(|| Arc::new(imagined.paper(source)));
        flow.request = imagined.request(source, &server_name);
        flow.peer = flow.endpoint.and_then(|_| imagined.peer(&server_name));
        flow.hello = Some(Arc::new(imagined.hello(source, server_name)));
    }
    flow
}

/// The declarations that are open in it: since this very moment, for as long as the law permits.
pub(super) fn opened(engine: &Engine, facts: &ScenarioFlow, at: Timestamp) -> Vec<Opened> {
    let opened = |declaration: &Name| Opened {
        declaration: declaration.clone(),
        since: at,
        until: Timestamp::MAX,
    };
    facts.declared.iter().filter(|_| !engine.model().declarations.is_empty()).map(opened).collect()
}

/// When a scenario takes place: where it says, else when its expected rule begins, else on the connection date.
fn moment(engine: &Engine, scenario: &Scenario) -> Timestamp {
    let model = engine.model();
    let date = model.interconnection.connection_date;
    let begins = |rule: &Name| {
        let rule = engine.rule(rule)?;
        let approval = model.approvals.get(&rule.approval)?;
        approval.period.since.max(rule.period.since)
    };
    let rule_begins = || match &scenario.expect {
        Expectation::Allow(rule) => begins(rule).map_or(date, |begin| begin.max(date)),
        Expectation::Deny(_) | Expectation::WouldDeny(_) => date,
    };
    scenario.flow.at.unwrap_or_else(rule_begins)
}

fn failure(engine: &Engine, scenario: &Scenario) -> Option<Fault> {
    let at = moment(engine, scenario);
    let happened = verdict(engine, &scenario.flow, at);
    let expected = match &scenario.expect {
        Expectation::Allow(rule) => format!("allow by `{rule}`"),
        Expectation::Deny(reason) => format!("deny `{reason}`"),
        Expectation::WouldDeny(reason) => format!("allow that would be deny `{reason}`"),
    };
    let holds = match (&scenario.expect, &happened) {
        (Expectation::Allow(rule), Verdict::Allow(allowed)) => {
            *rule == allowed.rule && allowed.would_deny.is_none()
        }
        (Expectation::Deny(reason), Verdict::Deny(denied)) => *reason == denied.reason,
        (Expectation::WouldDeny(reason), Verdict::Allow(allowed)) => {
            allowed.would_deny == Some(*reason)
        }
        (Expectation::Allow(_) | Expectation::Deny(_) | Expectation::WouldDeny(_), _) => false,
    };
    (!holds).then(|| Fault {
        code: "scenario",
        severity: Severity::Error,
        message: format!(
            "scenario `{}` expects {expected}, happened: {}",
            scenario.title,
            shown(&happened)
        ),
        places: vec![(scenario.place.clone(), format!("expects {expected}"))],
        notes: notes(&happened, at),
        remedy: Some(
            "correct the rule or the guardrail that decides it, or what is expected".to_owned(),
        ),
    })
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(allowed) => {
            let would = allowed.would_deny.map(|reason| format!(", would be deny `{reason}`"));
            format!("allow by `{}`{}", allowed.rule, would.unwrap_or_default())
        }
        Verdict::Deny(denied) => format!("deny `{}` at {}", denied.reason, denied.stage),
        Verdict::NotYet(not_yet) => {
            format!("not decided: facts are missing after {}", not_yet.stage)
        }
    }
}

fn notes(verdict: &Verdict, at: Timestamp) -> Vec<String> {
    let mut notes = vec![format!("judged at {at}")];
    if let Verdict::Deny(denied) = verdict {
        notes.push(format!("`{}`: {}", denied.reason, denied.reason.english()));
        notes.extend(denied.nearest.iter().map(|near| {
            let kinds: Vec<_> = near.stopped_by.iter().map(|kind| kind.code()).collect();
            format!("nearest: rule `{}`, stopped by {}", near.rule, kinds.join(" and "))
        }));
    }
    notes
}

/// How far somebody at this place can see into a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// TLS is terminated here.
    Inside,
    /// Only the `ClientHello` is read.
    Hello,
    /// Bytes, of which nothing is known.
    Bytes,
}

/// A flow in the making.
#[derive(Clone, Copy)]
struct Imagined<'a> {
    engine: &'a Engine,
    facts: &'a ScenarioFlow,
    at: Timestamp,
}

impl<'a> Imagined<'a> {
    /// The named address, else the first of a system that may go there.
    fn source(self) -> IpAddr {
        let first =
            |rule: &Rule| rule.from.iter().find_map(|name| self.system(name)?.addresses.first());
        let fits = |rule: &&Rule| self.fits_target(rule) && self.fits_request(rule);
        let rules = || self.engine.model().rules.values();
        self.facts.from.unwrap_or_else(|| {
            let net = rules().filter(fits).find_map(first).or_else(|| rules().find_map(first));
            net.and_then(|net| net.hosts().next()).unwrap_or_else(|| IpAddr::from([0, 0, 0, 0]))
        })
    }

    /// The named server name, else the destination's, else that of a rule that the source has.
    fn server_name(self, source: IpAddr) -> Option<ServerName> {
        if let Some(text) = &self.facts.server_name {
            return Some(match Host::parse(text) {
                Ok(host) => ServerName::Name(host),
                Err(_) if text.is_empty() => ServerName::Missing,
                Err(_) => ServerName::Unusable,
            });
        }
        let to = self.facts.to.as_ref().or_else(|| self.first_target(source))?;
        Some(self.name_of(to).map_or(ServerName::Missing, ServerName::Name))
    }

    fn first_target(self, source: IpAddr) -> Option<&'a Name> {
        let system = self.engine.system_of(source)?;
        let from = |rule: &&Rule| rule.from.contains(system) && self.fits_listener(rule);
        let rules = || self.engine.model().rules.values().filter(from);
        let fitting = rules().find(|rule| self.fits_target(rule) && self.fits_request(rule));
        fitting.or_else(|| rules().next()).map(|rule| &rule.to)
    }

    /// What a client would ask for: the server name, or of what cannot be reached the name of its certificate.
    fn name_of(self, system: &Name) -> Option<Host> {
        let system = self.system(system)?;
        let dns = |identity: &Identity| match identity {
            Identity::Dns(host) => Some(host.clone()),
            Identity::Uri(_) | Identity::Spki(_) => None,
        };
        let server_name = system.upstream.as_ref().map(|upstream| upstream.server_name.clone());
        server_name.or_else(|| system.identities.iter().find_map(dns))
    }

    /// What is named is seen, whatever the rule speaks.
    fn sight(self, source: IpAddr, server_name: &ServerName) -> Sight {
        let facts = self.facts;
        let named = facts.server_name.is_some() || facts.tls.is_some();
        match self.engine.protocol_of(facts.listener.as_ref(), source, server_name) {
            _ if !facts.identities.is_empty() || facts.flaw.is_some() => Sight::Inside,
            Some(Protocol::TlsPassthrough) => Sight::Hello,
            Some(Protocol::Tcp) if named => Sight::Hello,
            Some(Protocol::Tcp) => Sight::Bytes,
            Some(Protocol::Https | Protocol::Tls) | None => Sight::Inside,
        }
    }

    fn hello(self, source: IpAddr, server_name: ServerName) -> Hello {
        let encryption = self.engine.model().guardrails.encryption.as_ref();
        let best = encryption.and_then(|guardrail| guardrail.what.versions.last().copied());
        let version = self.facts.tls.or(best).unwrap_or(TlsVersion::Tls13);
        let alpn = self.is_https(source, &server_name).then_some(Alpn::Http11);
        Hello { server_name, version, alpn }
    }

    fn paper(self, source: IpAddr) -> Paper {
        let mut certificate = self.certificate(source);
        match self.facts.flaw {
            Some(Flaw::Absent) => return Paper::Absent,
            Some(Flaw::Untrusted) => certificate.chain = Chain::Untrusted,
            Some(Flaw::Expired) => certificate.not_after = Timestamp::from_nanos(i64::MIN),
            Some(Flaw::Revoked) => certificate.revocation = Revocation::Revoked,
            Some(Flaw::Unlisted) => certificate.revocation = Revocation::Unknown,
            None => {}
        }
        Paper::Presented(certificate)
    }

    fn certificate(self, source: IpAddr) -> Certificate {
        let own = || {
            let system = self.engine.system_of(source).and_then(|name| self.system(name));
            system.into_iter().filter_map(|system| system.identities.first()).cloned().collect()
        };
        let named = Some(self.facts.identities.clone()).filter(|names| !names.is_empty());
        Certificate {
            identities: named.unwrap_or_else(own),
            chain: Chain::Trusted,
            not_before: Timestamp::from_nanos(i64::MIN),
            not_after: Timestamp::MAX,
            revocation: Revocation::NotKept,
            fingerprint: [0; 32],
        }
    }

    /// What is named of the request, and the rest as a rule takes it that takes the named.
    fn request(self, source: IpAddr, server_name: &ServerName) -> Option<Request> {
        if !self.is_https(source, server_name) {
            return None;
        }
        let rule = self.asked_rule(source, server_name).and_then(|rule| rule.http.as_ref());
        let method = rule.and_then(|http| http.methods.first().cloned());
        let path = rule.and_then(|http| http.paths.first()).map_or_else(|| "/".to_owned(), example);
        let written = self.facts.path.as_ref().unwrap_or(&path);
        Some(Request {
            method: self.facts.method.clone().or(method).or_else(|| Method::parse("GET").ok())?,
            host: match &self.facts.host {
                Some(text) => Host::parse(text).ok(),
                None => host_of(server_name).cloned(),
            },
            path: Path::parse(written).ok()?,
            upgrade: self.facts.upgrade,
        })
    }

    /// The rule whose request fits best: all that is named, else the path, else any of the source and destination.
    fn asked_rule(self, source: IpAddr, server_name: &ServerName) -> Option<&'a Rule> {
        let from = self.engine.system_of(source)?;
        let to = self.engine.destination(host_of(server_name)?)?.name;
        let joins = move |rule: &&Rule| {
            rule.from.contains(from) && rule.to == *to && self.fits_listener(rule)
        };
        let rules = || self.engine.model().rules.values().filter(joins);
        let fitting = rules().find(|rule| self.fits_request(rule));
        let near = || rules().find(|rule| self.fits_path(rule));
        fitting.or_else(near).or_else(|| rules().next())
    }

    /// The named endpoint, else the first that may be dialled, else the first.
    fn endpoint(self, server_name: &ServerName) -> Option<SocketAddr> {
        let destination = || self.engine.destination(host_of(server_name)?);
        let first = || {
            let endpoints = &destination()?.upstream.endpoints;
            let open = endpoints.iter().find(|endpoint| self.may_be_dialled(endpoint.address));
            open.or_else(|| endpoints.first()).map(|endpoint| endpoint.address)
        };
        self.facts.endpoint.or_else(first)
    }

    fn may_be_dialled(self, endpoint: SocketAddr) -> bool {
        self.engine.dial_refusal(endpoint, self.at).is_none()
    }

    fn peer(self, server_name: &ServerName) -> Option<Peer> {
        if self.facts.stranger {
            return Some(Peer::Refused);
        }
        let destination = self.engine.destination(host_of(server_name)?)?;
        Some(Peer::Verified(destination.system.identities.clone()))
    }

    fn is_https(self, source: IpAddr, server_name: &ServerName) -> bool {
        let named =
            self.facts.method.is_some() || self.facts.path.is_some() || self.facts.host.is_some();
        let listener = self.facts.listener.as_ref();
        let shared = self.engine.protocol_of(listener, source, server_name);
        named || shared == Some(Protocol::Https)
    }

    fn fits_target(self, rule: &Rule) -> bool {
        let named = self.facts.server_name.as_deref().and_then(|text| Host::parse(text).ok());
        let asked = named.as_ref().and_then(|host| self.engine.destination(host));
        let to = self.facts.to.as_ref().or_else(|| asked.map(|destination| destination.name));
        to.is_none_or(|to| rule.to == *to) && self.fits_listener(rule)
    }

    fn fits_listener(self, rule: &Rule) -> bool {
        rule.listener.is_none()
            || self.facts.listener.is_none()
            || rule.listener == self.facts.listener
    }

    fn fits_request(self, rule: &Rule) -> bool {
        let named = self.facts.method.as_ref();
        let fits = |http: &Http| named.is_none_or(|method| http.methods.contains(method));
        rule.http.as_ref().map_or_else(|| named.is_none(), fits) && self.fits_path(rule)
    }

    fn fits_path(self, rule: &Rule) -> bool {
        let Some(named) = &self.facts.path else { return true };
        let Ok(path) = Path::parse(named) else { return false };
        let takes = |http: &Http| http.paths.iter().any(|pattern| matches(pattern, &path));
        rule.http.as_ref().is_some_and(takes)
    }

    fn system(self, name: &Name) -> Option<&'a System> {
        self.engine.model().systems.get(name)
    }
}

const fn host_of(server_name: &ServerName) -> Option<&Host> {
    match server_name {
        ServerName::Name(host) => Some(host),
        ServerName::Missing | ServerName::Unusable => None,
    }
}

/// A path that the pattern takes.
fn example(pattern: &PathPattern) -> String {
    let segment = |segment: &SegmentPattern| match segment {
        SegmentPattern::Literal(text) => format!("/{text}"),
        SegmentPattern::Any => "/x".to_owned(),
    };
    let rest = if pattern.rest { "/x" } else { "" };
    let path: String = pattern.segments.iter().map(segment).collect();
    path + rest
}

#[cfg(test)]
mod tests {
    use super::{flow, run, verdict};
    use crate::flow::{Method, ServerName, TlsVersion};
    use crate::policy::engine::Engine;
    use crate::policy::imagined::{
        approval, connection_date, endpoint, http, identity, law, moment, name, place, rule,
        socket, system, upstream,
    };
    use crate::policy::model::{
        Enforcement, Expectation, Flaw, Model, Period, Protocol, Scenario, ScenarioFlow, Side,
        System,
    };
    use crate::verdict::Reason;

    fn from(source: &str) -> ScenarioFlow {
        let from = Some(source.parse().expect("an address"));
        ScenarioFlow { from, ..ScenarioFlow::default() }
    }

    fn toward_the_center() -> ScenarioFlow {
        ScenarioFlow { to: Some(name("intermediate-server")), ..from("10.13.10.5") }
    }

    /// The fault of one scenario under `law`; empty where it holds.
    fn check(law: Model, flow: ScenarioFlow, expect: Expectation) -> String {
        let scenario = Scenario { title: "it".to_owned(), flow, expect, place: place(30) };
        let law = Model { scenarios: vec![scenario], ..law };
        let faults = run(&Engine::compile(law)).0;
        let messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
        messages.join("; ")
    }

    fn allow(rule: &str) -> Expectation {
        Expectation::Allow(name(rule))
    }

    #[test]
    fn what_is_not_named_is_favourable() {
        let method = |text| Some(Method::parse(text).expect("a method"));
        let table = [
            (ScenarioFlow::default(), "register"),
            (from("10.13.10.5"), "register"),
            (toward_the_center(), "register"),
            (ScenarioFlow { method: method("PUT"), ..toward_the_center() }, "register"),
            (ScenarioFlow { path: Some("/result/9".to_owned()), ..toward_the_center() }, "results"),
            (
                ScenarioFlow {
                    identities: vec![identity("dns:kizon.union.example")],
                    method: method("POST"),
                    path: Some("/exchange/upload".to_owned()),
                    ..toward_the_center()
                },
                "register",
            ),
        ];
        for (flow, rule) in table {
            let shown = format!("{flow:?}");
            assert_eq!(check(law(), flow, allow(rule)), "", "{shown}");
        }
    }

    #[test]
    fn what_is_named_is_judged() {
        let text = |text: &str| Some(text.to_owned());
        let base = toward_the_center;
        let table = [
            (from("10.210.0.9"), Reason::ReverseAccess),
            (from("192.0.2.1"), Reason::UnknownSource),
            (from("10.13.20.1"), Reason::NoRule),
            (ScenarioFlow { server_name: text(""), ..base() }, Reason::HostMismatch),
            (ScenarioFlow { server_name: text("10.0.0.1"), ..base() }, Reason::HostMismatch),
            (
                ScenarioFlow { server_name: text("no.example"), ..base() },
                Reason::UnknownDestination,
            ),
            (ScenarioFlow { host: text("no.example"), ..base() }, Reason::HostMismatch),
            (
                ScenarioFlow { to: Some(name("online-eligibility")), ..base() },
                Reason::DestinationNotListed,
            ),
            (ScenarioFlow { tls: Some(TlsVersion::Tls12), ..base() }, Reason::TlsVersion),
            (
                ScenarioFlow { identities: vec![identity("dns:hyojun.union.example")], ..base() },
                Reason::IdentityMismatch,
            ),
            (ScenarioFlow { method: Method::parse("DELETE").ok(), ..base() }, Reason::Method),
            (ScenarioFlow { path: text("/elsewhere"), ..base() }, Reason::Path),
            (ScenarioFlow { path: text("/a/../b"), ..base() }, Reason::MalformedRequest),
            (ScenarioFlow { path: text("//"), ..from("10.210.0.9") }, Reason::ReverseAccess),
            (
                ScenarioFlow { endpoint: Some(socket("10.201.1.10:443")), ..base() },
                Reason::SiteNotDeclared,
            ),
            (
                ScenarioFlow { at: Some(moment("2020-06-14T23:59:59+09:00")), ..base() },
                Reason::BeforeConnectionDate,
            ),
        ];
        for (flow, reason) in table {
            let shown = format!("{flow:?}");
            assert_eq!(check(law(), flow, Expectation::Deny(reason)), "", "{shown}");
        }
    }

    #[test]
    fn a_mismatch_says_what_was_expected_and_what_happened() {
        let told = check(law(), from("10.210.0.9"), allow("register"));
        let due =
            "scenario `it` expects allow by `register`, happened: deny `reverse_access` at arrival";
        assert_eq!(told, due);
        let told = check(law(), toward_the_center(), Expectation::Deny(Reason::Method));
        assert_eq!(told, "scenario `it` expects deny `method`, happened: allow by `register`");
        let told = check(law(), toward_the_center(), allow("results"));
        assert_eq!(told, "scenario `it` expects allow by `results`, happened: allow by `register`");
    }

    #[test]
    fn what_only_passes_because_a_rule_observes_is_expected_as_that() {
        let mut law = law();
        law.rules.get_mut("register").expect("a rule").enforcement = Enforcement::Observe;
        let told = |flow: &ScenarioFlow, expect| check(law.clone(), flow.clone(), expect);
        let path = Some("/elsewhere".to_owned());
        let flow = ScenarioFlow { path, ..toward_the_center() };
        let happened = "happened: allow by `register`, would be deny `path`";
        assert_eq!(told(&flow, Expectation::WouldDeny(Reason::Path)), "");
        assert_eq!(
            told(&flow, Expectation::WouldDeny(Reason::Method)),
            format!("scenario `it` expects allow that would be deny `method`, {happened}")
        );
        assert_eq!(
            told(&flow, allow("register")),
            format!("scenario `it` expects allow by `register`, {happened}")
        );
        assert_eq!(
            told(&toward_the_center(), Expectation::WouldDeny(Reason::Path)),
            "scenario `it` expects allow that would be deny `path`, happened: allow by `register`"
        );
    }

    #[test]
    fn who_and_where_to_are_taken_from_a_rule_that_takes_the_rest() {
        let mut law = law();
        let archive = System {
            upstream: Some(upstream(
                "archive.center.example",
                vec![endpoint("10.200.2.10:443", "tokyo", "r1-5")],
            )),
            ..system(Side::Center, &[], &["dns:archive.center.example"])
        };
        law.systems.insert(name("archive"), archive);
        let destinations = law.guardrails.destinations.as_mut().expect("it is written");
        destinations.what.insert(name("archive"));
        // By their names they come before those of the seed.
        let https = |from: &str, to: &str, path: &str| {
            rule(&[from], to, Protocol::Https, Some(http(&["GET"], &[path])))
        };
        law.rules.insert(name("a-copy"), https("existing-system", "archive", "/copy/*"));
        law.rules.insert(name("b-list"), https("standard-system", "archive", "/list"));
        law.rules.insert(name("a-look"), https("standard-system", "intermediate-server", "/look"));
        let path = |text: &str| Some(text.to_owned());
        let to = |system: &str| Some(name(system));
        let table = [
            (ScenarioFlow::default(), "a-copy"),
            (ScenarioFlow { path: path("/list"), ..ScenarioFlow::default() }, "b-list"),
            (ScenarioFlow { path: path("/look"), ..ScenarioFlow::default() }, "a-look"),
            (ScenarioFlow { path: path("/exchange/a"), ..ScenarioFlow::default() }, "register"),
            (ScenarioFlow { path: path("/result/1"), ..from("10.13.10.5") }, "results"),
            (ScenarioFlow { path: path("/look"), ..from("10.13.20.5") }, "a-look"),
            (from("10.13.10.5"), "a-copy"),
            (from("10.13.20.5"), "a-look"),
            (ScenarioFlow { to: to("intermediate-server"), ..ScenarioFlow::default() }, "a-look"),
            (ScenarioFlow { to: to("archive"), ..from("10.13.20.5") }, "b-list"),
            (ScenarioFlow { to: to("intermediate-server"), ..from("10.13.10.5") }, "register"),
            (
                ScenarioFlow {
                    server_name: path("chukan.center.example"),
                    ..ScenarioFlow::default()
                },
                "a-look",
            ),
        ];
        for (flow, rule) in table {
            let shown = format!("{flow:?}");
            assert_eq!(check(law.clone(), flow, allow(rule)), "", "{shown}");
        }
    }

    #[test]
    fn as_much_is_seen_as_the_protocol_shows_and_what_is_named() {
        let seen = |protocol: Protocol, facts: ScenarioFlow| {
            let mut law = law();
            let pipe = rule(&["existing-system"], "intermediate-server", protocol, None);
            law.rules = [(name("pipe"), pipe)].into();
            let flow = flow(&Engine::compile(law), &facts, connection_date());
            (flow.hello.is_some(), flow.paper.is_some(), flow.endpoint.is_some())
        };
        let base = toward_the_center;
        let named =
            || ScenarioFlow { server_name: Some("chukan.center.example".to_owned()), ..base() };
        let table = [
            (base(), [(false, false), (true, false), (true, true)]),
            (named(), [(true, false), (true, false), (true, true)]),
            (
                ScenarioFlow { tls: Some(TlsVersion::Tls12), ..base() },
                [(true, false), (true, false), (true, true)],
            ),
            (
                ScenarioFlow { identities: vec![identity("dns:a.example")], ..base() },
                [(true, true); 3],
            ),
            (ScenarioFlow { flaw: Some(Flaw::Absent), ..base() }, [(true, true); 3]),
        ];
        for (facts, due) in table {
            let protocols = [Protocol::Tcp, Protocol::TlsPassthrough, Protocol::Tls];
            for (protocol, (hello, paper)) in protocols.into_iter().zip(due) {
                let found = seen(protocol, facts.clone());
                assert_eq!(found, (hello, paper, true), "{protocol:?} {facts:?}");
            }
        }
    }

    #[test]
    fn a_server_name_that_is_empty_is_missing_and_one_that_is_none_is_unusable() {
        let asked = |text: &str| {
            let facts = ScenarioFlow { server_name: Some(text.to_owned()), ..from("10.13.10.5") };
            let flow = flow(&Engine::compile(law()), &facts, connection_date());
            flow.hello.map(|hello| hello.server_name.clone())
        };
        assert_eq!(asked(""), Some(ServerName::Missing));
        assert_eq!(asked("10.0.0.1"), Some(ServerName::Unusable));
    }

    #[test]
    fn a_scenario_that_fails_says_when_it_was_judged_and_what_came_near() {
        let path = Some("/elsewhere".to_owned());
        let scenario = Scenario {
            title: "it".to_owned(),
            flow: ScenarioFlow {
                path,
                method: Method::parse("DELETE").ok(),
                ..toward_the_center()
            },
            expect: allow("register"),
            place: place(30),
        };
        let law = Model { scenarios: vec![scenario], ..law() };
        let fault = run(&Engine::compile(law)).0.pop().expect("it fails");
        let remedy = "correct the rule or the guardrail that decides it, or what is expected";
        assert_eq!(fault.remedy.as_deref(), Some(remedy));
        let noted: Vec<&str> = fault.notes.iter().map(String::as_str).collect();
        let [judged, reason, near @ ..] = noted.as_slice() else { panic!("{noted:?}") };
        assert_eq!(*judged, "judged at 2020-06-14T15:00:00.000000Z");
        assert!(reason.starts_with("`no_rule`: "), "{reason}");
        assert_eq!(
            near,
            [
                "nearest: rule `register`, stopped by method and path",
                "nearest: rule `results`, stopped by method and path"
            ]
        );
    }

    #[test]
    fn a_rule_of_another_listener_is_not_what_is_meant() {
        let mut law = law();
        law.rules.get_mut("register").expect("a rule").listener = Some(name("union-lan"));
        law.rules.get_mut("results").expect("a rule").listener = Some(name("other-lan"));
        let on = |listener: &str| ScenarioFlow {
            listener: Some(name(listener)),
            ..ScenarioFlow::default()
        };
        assert_eq!(check(law.clone(), ScenarioFlow::default(), allow("register")), "");
        assert_eq!(check(law.clone(), on("union-lan"), allow("register")), "");
        assert_eq!(check(law.clone(), on("other-lan"), allow("results")), "");
        assert_eq!(check(law, on("third-lan"), Expectation::Deny(Reason::Listener)), "");
    }

    #[test]
    fn it_takes_place_when_the_expected_rule_begins() {
        let mut law = law();
        let since = Some(moment("2026-04-01T00:00:00+09:00"));
        law.approvals.insert(name("r8"), approval(Period { since, until: None }));
        law.rules.get_mut("results").expect("a rule").approval = name("r8");
        let path = Some("/result/9".to_owned());
        let flow = ScenarioFlow { path, ..toward_the_center() };
        assert_eq!(check(law.clone(), flow.clone(), allow("results")), "");
        let early = ScenarioFlow { at: Some(connection_date()), ..flow };
        assert_eq!(check(law, early, Expectation::Deny(Reason::Path)), "");
    }

    #[test]
    fn a_tls_rule_is_asked_without_a_request() {
        let mut law = law();
        let pipe = rule(&["existing-system"], "intermediate-server", Protocol::Tls, None);
        law.rules = [(name("pipe"), pipe)].into();
        assert_eq!(check(law.clone(), toward_the_center(), allow("pipe")), "");
        let asked = ScenarioFlow { path: Some("/a".to_owned()), ..toward_the_center() };
        assert_eq!(check(law, asked, Expectation::Deny(Reason::Protocol)), "");
    }

    #[test]
    fn the_first_endpoint_that_may_be_dialled_is_taken() {
        let mut law = law();
        let center = law.systems.get_mut("intermediate-server").expect("a system");
        center.upstream.as_mut().expect("it can be reached").endpoints.reverse();
        let engine = Engine::compile(law.clone());
        let verdict = verdict(&engine, &toward_the_center(), moment("2026-01-01T00:00:00Z"));
        assert_eq!(verdict.code(), "allow");
        law.sites.remove(&name("tokyo"));
        law.rules.get_mut("register").expect("a rule").http = Some(http(&["GET"], &["/a"]));
        let due = Expectation::Deny(Reason::CountryUnknown);
        let named =
            ScenarioFlow { endpoint: Some(socket("10.200.1.10:443")), ..toward_the_center() };
        assert_eq!(check(law, named, due), "");
    }
}
