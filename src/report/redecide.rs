//! Recorded facts before the law of their time once more: whether it says again what was recorded. Which files a law
//! has is not known here.
//!
//! What the ledger does not hold cannot be judged again: whether a certificate chained or was revoked is taken from
//! the reason that was recorded, and of a masked name nothing but its mask is left. Where a difference may come from
//! that, it is *untold*, not *differing*.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::flow::{Alpn, Flow, Hello};
use crate::ledger::recall::{Recall, Recalled};
use crate::ledger::{PolicyDigest, Record};
use crate::policy::Engine;
use crate::policy::model::Protocol;
use crate::verdict::{Reason, Stage, Verdict};

/// Entries that are listed; the rest are counted.
const LIST_MAX: usize = 200;

/// Reasons that no law gives: they come from this box, the network or the other side.
const NOT_OF_THE_LAW: &[Reason] = &[
    Reason::RoundTrip,
    Reason::IndividualNumber,
    Reason::ContentUnreadable,
    Reason::MalformedRequest,
    Reason::Handshake,
    Reason::Timeout,
    Reason::Limit,
    Reason::LedgerUnwritable,
    Reason::UpstreamUnreachable,
    Reason::UpstreamFailed,
    Reason::Draining,
];

/// A law of some time, and whether the listeners of its box are known too.
#[derive(Debug, Clone)]
pub struct Then {
    /// The law.
    pub engine: Arc<Engine>,
    /// Whether it knows which listeners refuse.
    pub listeners: bool,
}

/// An entry about which its law does not say what was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// `BOOT-SEQ`.
    pub reference: String,
    /// What was recorded.
    pub recorded: String,
    /// What the law says.
    pub decided: String,
}

/// What asking again came to.
#[derive(Debug, Default)]
pub struct Redecided {
    /// Entries about which the law says what was recorded.
    pub same: u64,
    /// Entries about which it does not.
    pub differing: u64,
    /// The first of them.
    pub listed: Vec<Differing>,
    /// Entries of which it cannot be told.
    pub untold: u64,
    /// Entries whose law is not in the archive, by its digest.
    pub lawless: BTreeMap<String, u64>,
    recall: Recall,
    laws: BTreeMap<[u8; 32], Option<Then>>,
}

/// How an entry fares.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Same,
    Differs(String),
    Untold,
}

impl Redecided {
    /// Asks about the next entry; `law` finds the law of a digest.
    pub fn ask(&mut self, record: &Record, law: impl FnOnce(PolicyDigest) -> Option<Then>) {
        let Some(recalled) = self.recall.flow(record) else { return };
        if record.reason.as_deref().and_then(Reason::from_code).is_some_and(is_not_of_the_law) {
            return;
        }
        let Some(digest) = record.policy.as_deref().and_then(PolicyDigest::parse) else { return };
        let Some(then) = self.laws.entry(digest.0).or_insert_with(|| law(digest)) else {
            *self.lawless.entry(digest.to_string()).or_default() += 1;
            return;
        };
        match fate(record, &recalled, then) {
            Fate::Same => self.same += 1,
            Fate::Untold => self.untold += 1,
            Fate::Differs(decided) => {
                self.differing += 1;
                if self.listed.len() < LIST_MAX {
                    let recorded = recorded(record);
                    let reference = record.reference();
                    self.listed.push(Differing { reference, recorded, decided });
                }
            }
        }
    }
}

fn is_not_of_the_law(reason: Reason) -> bool {
    NOT_OF_THE_LAW.contains(&reason)
}

fn fate(record: &Record, recalled: &Recalled, then: &Then) -> Fate {
    let flow = agreed(&then.engine, &recalled.flow);
    let verdict = then.engine.decide(&flow);
    let decided = words(&verdict);
    let was = recorded(record);
    // A dial is judged with the request that needs it, which has its own entry.
    let waits = record.kind == "dialled" && matches!(verdict, Verdict::NotYet(_));
    let refuses = Some(Reason::Listener.code());
    let unknown = !then.listeners && record.reason.as_deref() == refuses;
    if decided == was || waits || is_barred(record, &flow, then) {
        Fate::Same
    } else if recalled.masked_name || unknown {
        Fate::Untold
    } else {
        Fate::Differs(decided)
    }
}

/// Where no endpoint was left to dial, the refusal names none: it is what the law says of one of them.
fn is_barred(record: &Record, flow: &Flow, then: &Then) -> bool {
    if record.stage.as_deref() != Some(Stage::Dial.code()) || flow.endpoint.is_some() {
        return false;
    }
    let was = recorded(record);
    let systems = then.engine.model().systems.values();
    let mut endpoints =
        systems.filter_map(|system| system.upstream.as_ref()).flat_map(|it| &it.endpoints);
    endpoints.any(|it| {
        let flow = Flow { endpoint: Some(it.address), ..flow.clone() };
        words(&then.engine.decide(&flow)) == was
    })
}

/// `allow register`, `deny method`, `not_yet`.
fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(allowed) => format!("{} {}", verdict.code(), allowed.rule),
        Verdict::Deny(denied) => format!("{} {}", verdict.code(), denied.reason),
        Verdict::NotYet(_) => verdict.code().to_owned(),
    }
}

/// The same of what was recorded.
fn recorded(record: &Record) -> String {
    let verdict = record.verdict.as_deref().unwrap_or("-");
    let word = match verdict {
        "allow" => record.rule.as_deref(),
        "deny" => record.reason.as_deref(),
        _ => None,
    };
    word.map_or_else(|| verdict.to_owned(), |word| format!("{verdict} {word}"))
}

/// The flow as the law had it: the application protocol is not recorded, since the law says it.
fn agreed(engine: &Engine, flow: &Flow) -> Flow {
    let Some(hello) = flow.hello.as_deref() else { return flow.clone() };
    let listener = flow.listener.as_ref();
    let spoken = listener.and_then(|name| engine.protocol(name, flow.source, &hello.server_name));
    let alpn = hello.alpn.or_else(|| (spoken == Some(Protocol::Https)).then_some(Alpn::Http11));
    Flow { hello: Some(Arc::new(Hello { alpn, ..hello.clone() })), ..flow.clone() }
}

#[cfg(test)]
mod tests {
    use super::{Differing, Record, Redecided, Then};
    use crate::report::tests::shipped;

    const LAW: &str = "4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f";

    fn line(seq: u64, rest: &str) -> Record {
        let line = format!(
            r#"{{"seq":{seq},"boot":1,"at":"2026-11-22T02:14:08.000000Z","policy":"{LAW}",{rest}}}"#
        );
        Record::parse(line.as_bytes()).unwrap()
    }

    const CLIENT: &str = r#""source":"10.13.10.5:40112","to_address":"10.13.0.1:8443","listener":"union-lan","system":"existing-system","server_name":"chukan.center.example","tls":"1.3","identities":["dns:kizon.union.example"],"not_after":"2027-11-22T02:14:07.000000Z""#;

    fn asked(records: &[Record], known: bool) -> Redecided {
        let (_, law) = shipped();
        let then = Then { engine: law.engine, listeners: true };
        let mut redecided = Redecided::default();
        for record in records {
            redecided.ask(record, |_digest| known.then(|| then.clone()));
        }
        redecided
    }

    #[test]
    fn a_refusal_after_every_endpoint_was_tried_names_none_and_is_asked_of_each() {
        let [opened, ..] = records("POST");
        let refused = |reason: &str| {
            line(
                5,
                &format!(
                    r#""kind":"refused","connection":1,"stage":"dial","verdict":"deny","reason":"{reason}","rule":"register","facts":{{"method":"POST","path":"/exchange/register/*"}}"#
                ),
            )
        };
        let found = asked(&[opened.clone(), refused("site_not_declared")], true);
        assert_eq!((found.same, found.differing), (2, 0), "{:?}", found.listed);
        let found = asked(&[opened, refused("outside_country")], true);
        assert_eq!((found.same, found.differing), (1, 1));
    }

    fn records(method: &str) -> [Record; 4] {
        [
            line(
                1,
                &format!(
                    r#""kind":"opened","connection":1,"stage":"identity","verdict":"not_yet","facts":{{{CLIENT}}}"#
                ),
            ),
            line(
                2,
                &format!(
                    r#""kind":"request","connection":1,"stage":"dial","verdict":"allow","rule":"register","facts":{{"method":"{method}","path":"/exchange/register/*","endpoint":"10.200.1.10:443"}}"#
                ),
            ),
            line(
                3,
                r#""kind":"refused","connection":1,"stage":"request","verdict":"deny","reason":"method","facts":{"method":"DELETE","path":"/exchange/register/*"}"#,
            ),
            line(
                4,
                r#""kind":"refused","stage":"arrival","verdict":"deny","reason":"reverse_access","facts":{"source":"10.210.0.9:1","to_address":"10.13.0.1:8443","listener":"union-lan"}"#,
            ),
        ]
    }

    #[test]
    fn a_law_says_again_what_it_said() {
        let found = asked(&records("POST"), true);
        assert_eq!((found.same, found.differing, found.untold), (4, 0, 0), "{:?}", found.listed);
    }

    #[test]
    fn an_entry_that_its_law_would_not_have_made_is_listed() {
        let found = asked(&records("DELETE"), true);
        assert_eq!((found.same, found.differing), (3, 1));
        let expected = Differing {
            reference: "1-2".into(),
            recorded: "allow register".into(),
            decided: "deny method".into(),
        };
        assert_eq!(found.listed, [expected]);
    }

    #[test]
    fn an_entry_whose_law_is_gone_is_counted_not_passed_over() {
        let found = asked(&records("POST"), false);
        assert_eq!((found.same, found.lawless[LAW]), (0, 4));
    }
}
