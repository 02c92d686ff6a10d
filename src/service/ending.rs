//! What ends soon: papers and permissions 60 days ahead, revocation lists (which live for days) three. Ending is
//! never a fault: it is a warning first and a refusal then.

use std::time::Duration;

use crate::flow::{Name, Timestamp};
use crate::policy::Model;

const DAY: Duration = Duration::from_hours(24);
const PAPER: Duration = DAY.saturating_mul(60);
const LIST: Duration = DAY.saturating_mul(3);

/// One thing that ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// When.
    pub(super) until: Timestamp,
    /// ``approval `r1-5` ``.
    pub(super) what: String,
    /// Its title, where it has one.
    pub(super) title: Option<String>,
}

/// What leans on dates beside the law itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Dates {
    /// The certificates of the box.
    pub(super) certificates: Vec<(Name, Timestamp)>,
    /// The `nextUpdate` of the first list of each trust.
    pub(super) next_updates: Vec<(Name, Timestamp)>,
}

/// What ends soon as of `now`, the first first.
pub(super) fn soon(model: &Model, dates: &Dates, now: Timestamp) -> Vec<Ending> {
    let certificates =
        dates.certificates.iter().map(|(name, until)| named("certificate", name, *until));
    let lists =
        dates.next_updates.iter().map(|(name, until)| named("revocation list of", name, *until));
    let mut endings: Vec<_> = of_law(model).into_iter().chain(certificates).collect();
    endings.retain(|ending| ending.until <= now.plus(PAPER));
    endings.extend(lists.filter(|ending| ending.until <= now.plus(LIST)));
    endings.sort_by(|a, b| (a.until, &a.what).cmp(&(b.until, &b.what)));
    endings
}

fn of_law(model: &Model) -> Vec<Ending> {
    let mut endings = Vec::new();
    for (name, document) in &model.documents {
        endings.extend(document.until.map(|until| Ending {
            title: document.title.clone(),
            ..named("document", name, until)
        }));
    }
    for (name, approval) in &model.approvals {
        endings.extend(approval.period.until.map(|until| Ending {
            title: Some(approval.consultation.clone()),
            ..named("approval", name, until)
        }));
    }
    for (name, rule) in &model.rules {
        endings.extend(
            rule.period
                .until
                .map(|until| Ending { title: rule.title.clone(), ..named("rule", name, until) }),
        );
    }
    endings.extend(of_endpoints(model));
    endings
}

fn of_endpoints(model: &Model) -> Vec<Ending> {
    let mut endings = Vec::new();
    for system in model.systems.values() {
        for endpoint in system.upstream.iter().flat_map(|upstream| &upstream.endpoints) {
            endings.extend(endpoint.period.until.map(|until| Ending {
                until,
                what: format!("endpoint `{}`", endpoint.address),
                title: system.title.clone(),
            }));
        }
    }
    endings
}

fn named(kind: &str, name: &Name, until: Timestamp) -> Ending {
    Ending { until, what: format!("{kind} `{name}`"), title: None }
}

#[cfg(test)]
mod tests {
    use super::{Dates, soon};
    use crate::flow::{Name, Timestamp};
    use crate::service::testing;

    const DAY: i64 = 86_400;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_seconds(day * DAY)
    }

    fn found(now: i64) -> Vec<String> {
        let mut model = testing::model();
        model.approvals.values_mut().for_each(|approval| approval.period.until = Some(day(100)));
        model.rules.values_mut().for_each(|rule| rule.period.until = Some(day(90)));
        let upstream = model.systems.values_mut().find_map(|system| system.upstream.as_mut());
        upstream.unwrap().endpoints[0].period.until = Some(day(80));
        let dates = Dates {
            certificates: vec![(Name::parse("center-facing").unwrap(), day(70))],
            next_updates: vec![(Name::parse("center-ca").unwrap(), day(50))],
        };
        soon(&model, &dates, day(now)).into_iter().map(|ending| ending.what).collect()
    }

    #[test]
    fn papers_show_sixty_days_ahead_and_lists_three() {
        assert_eq!(found(9), [""; 0]);
        assert_eq!(found(10), ["certificate `center-facing`"]);
        assert_eq!(found(20), ["certificate `center-facing`", "endpoint `10.200.1.10:443`"]);
        let all = [
            "revocation list of `center-ca`",
            "certificate `center-facing`",
            "endpoint `10.200.1.10:443`",
            "rule `register`",
            "approval `r1-5`",
        ];
        assert_eq!(found(46), all[1..]);
        assert_eq!(found(47), all);
        assert_eq!(found(1_000), all, "what has ended still shows");
    }
}
