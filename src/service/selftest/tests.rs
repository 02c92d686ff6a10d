//! The self-test on its own: each way in which a probe can come to nothing is seen, and none is taken for a pass.

use super::probe::{Expected, PROBES};
use super::scene::{Attempt, Seen};
use super::{Fate, Probed, judged};
use crate::ledger::{Kind, Noted};
use crate::verdict::Reason;

fn probed() -> Probed {
    Probed {
        probe: "p".to_owned(),
        title: String::new(),
        expected: String::new(),
        happened: "-".to_owned(),
        outcome: Fate::Failed,
        clause: None,
        entries: None,
        reference: None,
        detail: None,
    }
}

#[track_caller]
fn check(
    expected: Expected,
    (seen, noted, reached): (Seen, &[(Kind, Option<Reason>)], u64),
    due: (Fate, &str, Option<&str>),
) {
    let noted = noted.iter().zip(1..).map(|((kind, reason), seq)| Noted {
        seq,
        kind: *kind,
        reason: *reason,
    });
    let attempt = Attempt { seen, noted: noted.collect(), reached };
    let found = judged(probed(), expected, &attempt);
    assert_eq!((found.outcome, found.happened.as_str(), found.detail.as_deref()), due);
}

const PASSED: [(Kind, Option<Reason>); 2] = [(Kind::Opened, None), (Kind::Dialled, None)];

#[test]
fn a_passage_counts_only_where_client_ledger_and_stand_in_tell_the_same() {
    let allow = Expected::Allow;
    check(allow, (Seen::Passed, &PASSED, 2), (Fate::Passed, "allow", None));
    let unrecorded = Some("the ledger does not record that it passed");
    check(allow, (Seen::Passed, &[], 2), (Fate::Failed, "allow", unrecorded));
    let nowhere = Some("nothing reached the stand-in");
    check(allow, (Seen::Passed, &PASSED, 0), (Fate::Failed, "allow", nowhere));
    let refused = [(Kind::Refused, Some(Reason::AfterApproval))];
    let told = Seen::Refused("after_approval".to_owned());
    check(allow, (told, &refused, 0), (Fate::Failed, "after_approval", unrecorded));
    check(allow, (Seen::Nothing, &[], 0), (Fate::Failed, "unrecorded", unrecorded));
}

#[test]
fn a_refusal_counts_only_for_its_own_reason_and_where_nothing_went_out() {
    let deny = Expected::Deny(Reason::ReverseAccess);
    let refused = [(Kind::Refused, Some(Reason::ReverseAccess))];
    check(deny, (Seen::Closed, &refused, 0), (Fate::Passed, "reverse_access", None));
    let told = Seen::Refused("reverse_access".to_owned());
    check(deny, (told, &refused, 0), (Fate::Passed, "reverse_access", None));
    let other = Seen::Refused("no_rule".to_owned());
    let another = Some("the client was told another reason");
    check(deny, (other, &refused, 0), (Fate::Failed, "reverse_access", another));
    let no_rule = [(Kind::Refused, Some(Reason::NoRule))];
    check(deny, (Seen::Closed, &no_rule, 0), (Fate::Failed, "no_rule", None));
    let out = Some("something went out to the stand-in");
    check(deny, (Seen::Passed, &PASSED, 2), (Fate::Failed, "allow", out));
    check(deny, (Seen::Closed, &refused, 1), (Fate::Failed, "reverse_access", out));
    check(deny, (Seen::Closed, &[], 0), (Fate::Failed, "unrecorded", None));
}

#[test]
fn probes_have_names_of_their_own_and_the_passage_is_tried_first() {
    let mut names: Vec<_> = super::names().collect();
    assert_eq!(names[0], "allowed_passage");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROBES.len());
}
