//! Rules for traffic that no rule covers, proposed with the evidence for them. Never one that a guardrail forbids: each
//! proposal is put into a copy of the law, proved, and the very flows are judged by it. Nothing is put in force here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Connection;
use super::judge::{Judge, Judged, Leg, server_name};
use crate::flow::{Flow, Host, Method, Name, Timestamp};
use crate::policy::model::SegmentPattern;
use crate::policy::model::{
    Enforcement, Http, IndividualNumber, Model, PathPattern, Period, Protocol, Rule,
};
use crate::policy::{Engine, proof};
use crate::verdict::{Reason, Verdict};
use crate::yaml::Place;

/// The most different wishes that are kept; what is beyond is counted.
const WISHES_MAX: usize = 1000;

/// What was refused for want of a rule, and what else was refused.
#[derive(Debug, Default)]
pub struct Learned {
    wishes: BTreeMap<Wish, Evidence>,
    /// Refusals that no rule could change, by reason.
    hopeless: BTreeMap<Reason, u64>,
    beyond: u64,
}

/// From which system to which, in what protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    from: Name,
    to: Name,
    https: bool,
    listener: Option<Name>,
}

/// What was seen of it.
#[derive(Debug)]
struct Evidence {
    connections: u64,
    to_responder: u64,
    to_initiator: u64,
    first: Timestamp,
    last: Timestamp,
    file: Arc<str>,
    packet: u64,
    initiator: SocketAddr,
    responder: SocketAddr,
    server_name: Option<Host>,
    /// The flow that a proposal has to help.
    flow: Flow,
}

impl Learned {
    /// Takes one judged connection.
    pub fn take(&mut self, judge: &Judge, connection: &Connection, judged: &Judged) {
        let Some(reason) = judged.answer.reason() else { return };
        let wish = Some(reason).filter(|reason| *reason == Reason::NoRule);
        match wish.and_then(|_| wish_of(judge, connection, judged.leg)) {
            Some(wish) if self.wishes.contains_key(&wish) || self.wishes.len() < WISHES_MAX => {
                let seen = self.wishes.entry(wish);
                seen.or_insert_with(|| Evidence::of(judge, connection, judged)).add(connection);
            }
            Some(_) => self.beyond += 1,
            None => *self.hopeless.entry(reason).or_default() += 1,
        }
    }

    /// The proposals as a file of the law, with what was not proposed and why in comments.
    pub fn propose(&self, judge: &Judge) -> String {
        let model = judge.engine().model();
        let (mut rules, mut refused) = (String::new(), String::new());
        let mut taken = Vec::new();
        for (wish, evidence) in &self.wishes {
            let name = free_name(model, &taken, wish);
            match name
                .ok_or("no name is free")
                .and_then(|name| proposal(model, wish, evidence, name))
            {
                Ok((name, rule)) => {
                    render(&mut rules, &name, &rule, evidence);
                    taken.push(name);
                }
                Err(why) => refusal(&mut refused, wish, evidence, why),
            }
        }
        self.file(&rules, &refused)
    }

    fn file(&self, rules: &str, refused: &str) -> String {
        let mut text = String::from(
            "# Proposed from recorded traffic that no rule covers. A proposal is no approval: the council's decision must\n\
             # cover it. TLS hides methods and paths: an `https` rule takes `GET /` only, until you write what is needed.\n",
        );
        if rules.is_empty() {
            text.push_str("# Nothing to propose.\n");
        } else {
            text.push_str("version: 1\nrules:\n");
            text.push_str(rules);
        }
        text.push_str(refused);
        for (reason, count) in &self.hopeless {
            let code = reason.code();
            writeln!(
                text,
                "# Not proposed: {count} connections, `{code}`: no rule can permit them."
            )
            .unwrap_or_default();
        }
        if self.beyond > 0 {
            writeln!(
                text,
                "# Not looked at: {} connections, more than {WISHES_MAX} kinds.",
                self.beyond
            )
            .unwrap_or_default();
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Evidence {
    fn of(judge: &Judge, connection: &Connection, judged: &Judged) -> Self {
        Self {
            connections: 0,
            to_responder: 0,
            to_initiator: 0,
            first: connection.at,
            last: connection.at,
            file: Arc::clone(&connection.file),
            packet: judged.packet,
            initiator: connection.initiator,
            responder: connection.responder,
            server_name: server_name(connection).cloned(),
            flow: judge.flow(connection, judged.leg),
        }
    }

    fn add(&mut self, connection: &Connection) {
        self.connections += 1;
        self.to_responder += connection.bytes_to_responder;
        self.to_initiator += connection.bytes_to_initiator;
        self.first = self.first.min(connection.at);
        self.last = self.last.max(connection.at);
    }
}

/// What somebody wanted, where both ends are systems of the law. The box's own dials follow from rules, not before.
fn wish_of(judge: &Judge, connection: &Connection, leg: Leg) -> Option<Wish> {
    if leg == Leg::Outbound || connection.protocol != super::Protocol::Tcp {
        return None;
    }
    let engine = judge.engine();
    let named = server_name(connection).and_then(|host| engine.destination(host)).map(|it| it.name);
    let reached = || engine.system_of(connection.responder.ip()).filter(|_| leg == Leg::Beside);
    let offered = connection.hello.iter().flat_map(|hello| &hello.alpn);
    let listener = judge.flow(connection, leg).listener;
    Some(Wish {
        from: engine.system_of(connection.initiator.ip())?.clone(),
        to: named.or_else(reached)?.clone(),
        https: offered.into_iter().any(|name| ["h2", "http/1.1"].contains(&&**name)),
        listener,
    })
}

/// The rule, where a law with it is sound and no longer refuses the flow.
fn proposal(
    model: &Model,
    wish: &Wish,
    evidence: &Evidence,
    name: Name,
) -> Result<(Name, Rule), &'static str> {
    let reachable = model.systems.get(&wish.to).is_some_and(|system| system.upstream.is_some());
    if !reachable {
        return Err("its destination has no `upstream`");
    }
    let rule = rule(model, wish, evidence.first).ok_or("no approval was in force")?;
    let before = proof::prove(model, None).errors();
    let mut law = model.clone();
    law.rules.insert(name.clone(), rule.clone());
    if proof::prove(&law, None).errors() > before {
        return Err("a guardrail forbids it");
    }
    match Engine::compile(law).decide(&evidence.flow) {
        Verdict::Deny(_) => Err("the law would refuse it all the same"),
        Verdict::Allow(_) | Verdict::NotYet(_) => Ok((name, rule)),
    }
}

fn rule(model: &Model, wish: &Wish, at: Timestamp) -> Option<Rule> {
    let holds = |period: &Period| {
        period.since.is_none_or(|since| since <= at) && period.until.is_none_or(|until| at < until)
    };
    let (approval, written) = model.approvals.iter().find(|(_, it)| holds(&it.period))?;
    let http = || {
        let root =
            PathPattern { segments: vec![SegmentPattern::Literal(Box::from(""))], rest: false };
        let methods = Method::parse("GET").into_iter().collect();
        Http { methods, paths: vec![root] }
    };
    Some(Rule {
        title: None,
        approval: approval.clone(),
        period: Period { since: None, until: None },
        listener: wish.listener.clone(),
        from: [wish.from.clone()].into(),
        to: wish.to.clone(),
        protocol: if wish.https { Protocol::Https } else { Protocol::Tls },
        http: wish.https.then(http),
        individual_number: IndividualNumber::Unseen,
        enforcement: Enforcement::Enforce,
        upgrade: false,
        idle_timeout: None,
        response_timeout: None,
        place: Place { file: Arc::from("proposal"), ..written.place.clone() },
    })
}

/// `FROM-to-TO`, cut to the length of a name, numbered where it is taken.
fn free_name(model: &Model, taken: &[Name], wish: &Wish) -> Option<Name> {
    let protocol = if wish.https { "" } else { "-tls" };
    let base = format!("{}-to-{}{protocol}", wish.from, wish.to);
    let base = base.get(..base.len().min(58)).unwrap_or(&base);
    let numbered = (2..100_u32).map(|number| format!("{base}-{number}"));
    let names = std::iter::once(base.to_owned()).chain(numbered);
    let mut parsed = names.filter_map(|text| Name::parse(&text).ok());
    parsed.find(|name| !model.rules.contains_key(name) && !taken.contains(name))
}

fn render(text: &mut String, name: &Name, rule: &Rule, evidence: &Evidence) {
    let lines = [
        described(evidence),
        format!("  {name}:"),
        format!(
            "    approval: {}          # does it cover this? ask the section in charge",
            rule.approval
        ),
        format!(
            "    from: [{}]",
            rule.from.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
        ),
        format!("    to: {}", rule.to),
    ];
    text.push_str(&lines.join("\n"));
    writeln!(text, "\n    protocol: {}", rule.protocol.as_str()).unwrap_or_default();
    if rule.http.is_some() {
        text.push_str("    http: { methods: [GET], paths: [/] }\n");
    }
    if let Some(listener) = &rule.listener {
        writeln!(text, "    listener: {listener}").unwrap_or_default();
    }
    text.push_str("    individual_number: unseen\n");
}

fn described(evidence: &Evidence) -> String {
    let asked = evidence.server_name.as_ref().map(|_| ", asking for its name").unwrap_or_default();
    format!(
        "  # {} connections, {} bytes there and {} back, {} to {}\n  # such as {} to {}{asked}: packet {} of {:?}",
        evidence.connections,
        evidence.to_responder,
        evidence.to_initiator,
        evidence.first,
        evidence.last,
        evidence.initiator,
        evidence.responder,
        evidence.packet,
        evidence.file,
    )
}

fn refusal(text: &mut String, wish: &Wish, evidence: &Evidence, why: &str) {
    let Wish { from, to, .. } = wish;
    writeln!(
        text,
        "# Not proposed: `{from}` to `{to}`, {why}.\n{}",
        described(evidence).replace("\n  #", "\n#").trim_start()
    )
    .unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Learned;
    use crate::capture::Connection;
    use crate::capture::fixture::tls;
    use crate::capture::judge::{Judge, Own};
    use crate::flow::TlsVersion;
    use crate::policy::imagined::{endpoint, law, names, socket, upstream};
    use crate::policy::model::Model;
    use crate::policy::understand;
    use crate::yaml::SourceFile;

    const LISTENER: &str = "10.13.0.1:8443";
    const CHUKAN: &str = "chukan.center.example";

    fn proposed(model: &Model, connections: &[Connection]) -> String {
        let own = Own::of_addresses(&[socket(LISTENER).ip()]);
        let judge = Judge::new(model, own, BTreeMap::new());
        let mut learned = Learned::default();
        for connection in connections {
            learned.take(&judge, connection, &judge.judge(connection));
        }
        learned.propose(&judge)
    }

    fn asking(from: &str, name: &str) -> Connection {
        tls(from, LISTENER, name, TlsVersion::Tls13)
    }

    #[test]
    fn a_rule_is_proposed_with_its_evidence_for_what_no_rule_covers() {
        let wanted = [asking("10.13.20.5:1000", CHUKAN), asking("10.13.20.6:1000", CHUKAN)];
        insta::assert_snapshot!(proposed(&law(), &wanted));
    }

    /// The shipped law with one rule of its two.
    fn shipped(proposal: &str) -> Vec<SourceFile> {
        let rules = include_str!("../../policies/tokyo/20-rules.yaml");
        let (register, rest) = rules.split_once("  inquire:").expect("the second rule");
        let (_, after) = rest.split_once("\n# Degraded").expect("the end of the rules");
        let rules = format!("{register}\n# {after}").replace(", inquire]", "]");
        let files = [
            ("00-council.yaml", include_str!("../../policies/tokyo/00-council.yaml")),
            ("10-systems.yaml", include_str!("../../policies/tokyo/10-systems.yaml")),
            ("20-rules.yaml", &rules),
            ("90-proposal.yaml", proposal),
        ];
        let file = |(name, text): (&str, &str)| SourceFile {
            name: name.into(),
            bytes: text.as_bytes().into(),
        };
        files.into_iter().filter(|(_, text)| !text.is_empty()).map(file).collect()
    }

    #[test]
    fn a_proposal_is_sound_law_and_covers_the_traffic() {
        let wanted = asking("10.13.20.5:1000", CHUKAN);
        let law = understand(&shipped(""), None).expect("the shipped law is sound");
        let text = proposed(law.engine.model(), std::slice::from_ref(&wanted)) + "\n";
        assert!(text.contains("  dedicated-terminal-to-intermediate-server:\n"), "{text}");
        let law = understand(&shipped(&text), None)
            .unwrap_or_else(|faults| panic!("{}", faults.render(false)));
        let own = Own::of_addresses(&[socket(LISTENER).ip()]);
        let judged = Judge::new(law.engine.model(), own, BTreeMap::new()).judge(&wanted);
        assert_eq!(judged.answer.code(), "not_yet");
    }

    #[test]
    fn what_a_guardrail_forbids_is_never_proposed() {
        let mut law = law();
        let other =
            upstream("other.center.example", vec![endpoint("10.202.0.1:443", "tokyo", "r1-5")]);
        law.systems.get_mut("standard-system").expect("a system").upstream = Some(other);
        let reverse = asking("10.210.0.9:1000", CHUKAN);
        let unlisted = asking("10.13.10.5:1000", "other.center.example");
        let text = proposed(&law, &[reverse, unlisted]);
        assert!(text.contains("# Nothing to propose."), "{text}");
        assert!(text.contains("# Not proposed: 1 connections, `reverse_access`"), "{text}");
        assert!(text.contains("# Not proposed: 1 connections, `destination_not_listed`"), "{text}");
        // Listed, but individual numbers may not go there, and nobody looks.
        law.guardrails.destinations.as_mut().expect("it is there").what =
            names(&["intermediate-server", "standard-system"]);
        law.guardrails.content.as_mut().expect("it is there").what = names(&["standard-system"]);
        let text = proposed(&law, &[asking("10.13.10.5:1000", "other.center.example")]);
        assert!(
            text.contains("`existing-system` to `standard-system`, a guardrail forbids it"),
            "{text}"
        );
        assert!(!text.contains("rules:"), "{text}");
    }

    #[test]
    fn the_centre_reaching_for_the_union_is_no_rule_either() {
        let text = proposed(
            &law(),
            &[tls("10.200.1.10:1000", "10.13.10.5:443", "kizon.union.example", TlsVersion::Tls13)],
        );
        assert!(text.contains("# Nothing to propose."), "{text}");
    }
}
