//! The smallest edit that changes an answer, found by trying: the text is edited in memory, understood and proven as any
//! law is, and the engine is asked again. What the proofs refuse, a guardrail forbids.

use super::edit::{Ground, Next};
use super::patch::{Hunk, hunks};
use super::text::Draft;
use super::{Asked, explain};
use crate::appliance::Appliance;
use crate::flow::{Name, Timestamp};
use crate::policy::engine::Engine;
use crate::policy::imagine;
use crate::policy::model::Model;
use crate::verdict::Verdict;
use crate::yaml::{Faults, Place, SourceFile};

/// The most edits one after the other.
const DEPTH_MAX: usize = 4;
/// The most laws that are understood in search of one.
const TRIES_MAX: usize = 16;

/// What would change the answer.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The edit, as a patch; empty where there is none.
    pub hunks: Vec<Hunk>,
    /// What came of trying it.
    pub proven: Proven,
}

/// What came of trying an edit.
#[derive(Debug, Clone)]
pub enum Proven {
    /// The law stays sound and answers otherwise.
    Permitted {
        /// The new answer.
        verdict: Verdict,
        /// The approval that the rule stands on, which must cover the change.
        approval: Option<Name>,
        /// The law's own scenarios that expect the old answer.
        scenarios: Faults,
    },
    /// The proofs refuse it.
    Forbidden {
        /// Why.
        faults: Faults,
    },
    /// Only the council's own words would do.
    Council {
        /// The guardrail, or `connection_date`.
        what: &'static str,
        /// Where it stands.
        place: Option<Place>,
        /// The clause behind it.
        clause: Option<String>,
    },
    /// No small edit of the law does.
    Nothing {
        /// Why, and what would.
        why: &'static str,
    },
}

/// Looks for the smallest edit of `files` that changes the answer to `asked` at `at`.
pub fn propose(
    files: &[SourceFile],
    appliance: Option<&Appliance>,
    engine: &Engine,
    (asked, at): (&Asked, Timestamp),
) -> Proposal {
    let before = asked.verdict(engine, at);
    let mut search =
        Search { files, appliance, asked, at, allowed: allows(&before), tries: 0, best: None };
    search.from(&Draft { files: files.to_vec() }, engine, 0);
    let nothing = || Proposal {
        hunks: Vec::new(),
        proven: Proven::Nothing { why: "no small edit was found" },
    };
    search.best.unwrap_or_else(nothing)
}

fn allows(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Deny(_))
}

struct Search<'a> {
    files: &'a [SourceFile],
    appliance: Option<&'a Appliance>,
    asked: &'a Asked,
    at: Timestamp,
    /// Whether it passed before.
    allowed: bool,
    tries: usize,
    best: Option<Proposal>,
}

impl Search<'_> {
    fn from(&mut self, draft: &Draft, engine: &Engine, depth: usize) {
        let explanation = explain(engine, self.asked, self.at);
        let ground =
            Ground { engine, asked: self.asked, at: self.at, explanation: &explanation, draft };
        match ground.next() {
            Next::Edits(edits) if depth < DEPTH_MAX => {
                for edit in &edits {
                    self.tried(edit, depth);
                }
            }
            Next::Edits(_) => {}
            Next::Council(what) => {
                let (place, clause) = council(engine.model(), what);
                self.found(draft, Proven::Council { what, place, clause });
            }
            Next::Nothing(why) => self.found(draft, Proven::Nothing { why }),
        }
    }

    fn tried(&mut self, edit: &Draft, depth: usize) {
        if self.tries >= TRIES_MAX {
            return;
        }
        self.tries += 1;
        let (engine, scenarios) = match imagine(&edit.files, self.appliance) {
            Ok(imagined) => imagined,
            Err(faults) => return self.found(edit, Proven::Forbidden { faults }),
        };
        let verdict = self.asked.verdict(&engine, self.at);
        if allows(&verdict) == self.allowed {
            return self.from(edit, &engine, depth + 1);
        }
        let rule = verdict.rule().and_then(|rule| engine.rule(rule));
        let approval = rule.filter(|_| !self.allowed).map(|rule| rule.approval.clone());
        self.found(edit, Proven::Permitted { verdict, approval, scenarios });
    }

    /// Keeps the better of two: one that works, else one that is forbidden, else the shorter.
    fn found(&mut self, edit: &Draft, proven: Proven) {
        let hunks = hunks(self.files, &edit.files);
        let new = Proposal { hunks, proven };
        if self.best.as_ref().is_none_or(|best| cost(&new) < cost(best)) {
            self.best = Some(new);
        }
    }
}

fn cost(proposal: &Proposal) -> (usize, usize, usize) {
    let kind = match &proposal.proven {
        Proven::Permitted { .. } => 0,
        Proven::Forbidden { .. } => 1,
        Proven::Council { .. } => 2,
        Proven::Nothing { .. } => 3,
    };
    let lines = |hunk: &Hunk| hunk.removed.len().max(hunk.added.len());
    let length = |hunk: &Hunk| hunk.added.iter().map(String::len).sum::<usize>();
    let hunks = &proposal.hunks;
    (kind, hunks.iter().map(lines).sum(), hunks.iter().map(length).sum())
}

/// Where the council says it.
fn council(model: &Model, what: &str) -> (Option<Place>, Option<String>) {
    let guardrails = &model.guardrails;
    let said = match what {
        "reverse_access" => guardrails.reverse_access.as_ref().map(|it| (&it.place, &it.clause)),
        "destinations" => guardrails.destinations.as_ref().map(|it| (&it.place, &it.clause)),
        "encryption" => guardrails.encryption.as_ref().map(|it| (&it.place, &it.clause)),
        "residency" => guardrails.residency.as_ref().map(|it| (&it.place, &it.clause)),
        _ => Some((&model.interconnection.place, &None)),
    };
    said.map_or((None, None), |(place, clause)| (Some(place.clone()), clause.clone()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Draft, Proven, Search, TRIES_MAX, council};
    use crate::flow::{Method, Name, Timestamp};
    use crate::policy::explain::Asked;
    use crate::policy::model::ScenarioFlow;
    use crate::policy::understand;
    use crate::yaml::SourceFile;

    const TEXTS: [&str; 3] = [
        include_str!("../../../policies/tokyo/00-council.yaml"),
        include_str!("../../../policies/tokyo/10-systems.yaml"),
        include_str!("../../../policies/tokyo/20-rules.yaml"),
    ];

    fn files() -> Vec<SourceFile> {
        let file = |text: &&str| SourceFile {
            name: Arc::from("tokyo/law.yaml"),
            bytes: text.as_bytes().into(),
        };
        TEXTS.iter().map(file).collect()
    }

    /// What a deletion would need.
    fn asked() -> Asked {
        let facts = ScenarioFlow {
            from: Some("10.13.10.5".parse().unwrap()),
            to: Some(Name::parse("intermediate-server").unwrap()),
            method: Some(Method::parse("DELETE").unwrap()),
            path: Some("/exchange/x".to_owned()),
            ..ScenarioFlow::default()
        };
        Asked { facts, ..Asked::default() }
    }

    fn search<'a>(files: &'a [SourceFile], asked: &'a Asked, tries: usize) -> Search<'a> {
        let at = Timestamp::parse("2026-11-22T02:14:07+09:00").unwrap();
        Search { files, appliance: None, asked, at, allowed: false, tries, best: None }
    }

    fn appended(files: &[SourceFile], method: &str) -> Draft {
        let draft = Draft { files: files.to_vec() };
        draft.appended(&["rules", "register", "http", "methods"], method).unwrap()
    }

    #[test]
    fn as_many_laws_as_the_bound_are_understood_and_no_more() {
        let (files, asked) = (files(), asked());
        let edit = appended(&files, "DELETE");
        let mut last = search(&files, &asked, TRIES_MAX - 1);
        last.tried(&edit, 0);
        assert_eq!(last.tries, TRIES_MAX, "each is counted");
        assert!(matches!(last.best.unwrap().proven, Proven::Permitted { .. }));
        let mut spent = search(&files, &asked, TRIES_MAX);
        spent.tried(&edit, 0);
        assert!(spent.best.is_none());
    }

    #[test]
    fn what_only_the_council_can_change_is_shown_where_the_council_says_it() {
        let law = understand(&files(), None).unwrap();
        for what in ["reverse_access", "destinations", "encryption", "residency"] {
            let (place, clause) = council(law.engine.model(), what);
            let text = place.unwrap().text;
            assert!(text.trim_start().starts_with(&format!("{what}:")), "{what}: {text}");
            assert_eq!(clause.is_some(), what != "destinations", "{what}");
        }
        let (place, clause) = council(law.engine.model(), "connection_date");
        assert!(place.unwrap().text.starts_with("interconnection"), "the date stands in it");
        assert_eq!(clause, None);
    }

    #[test]
    fn of_two_edits_that_are_equally_small_the_first_stays() {
        let (files, asked) = (files(), asked());
        let mut search = search(&files, &asked, 0);
        for method in ["LOCK", "COPY", "MOVE"] {
            search.found(&appended(&files, method), Proven::Nothing { why: "tried" });
        }
        let added = &search.best.unwrap().hunks[0].added[0];
        assert!(added.contains("LOCK"), "{added}");
    }
}
