//! The scenarios: which facts they name and what they expect. They are run elsewhere.

use super::Table;
use crate::flow::Identity;
use crate::policy::document::{ExpectText, FlowText, ScenarioText};
use crate::policy::model::{Declaration, Expectation, Rule, Scenario, ScenarioFlow, System, Zone};
use crate::yaml::{At, Fault, Faults, Mapped};

/// What scenarios rest on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) zone: Zone,
    pub(super) systems: &'a Table<System>,
    pub(super) rules: &'a Table<Rule>,
    pub(super) declarations: &'a Table<Declaration>,
}

pub(super) fn scenarios(
    texts: Vec<ScenarioText>,
    ground: &Ground<'_>,
    faults: &mut Faults,
) -> Vec<Scenario> {
    let numbered = texts.into_iter().enumerate();
    numbered.filter_map(|(index, text)| scenario(text, index + 1, ground, faults)).collect()
}

fn scenario(
    text: ScenarioText,
    number: usize,
    ground: &Ground<'_>,
    faults: &mut Faults,
) -> Option<Scenario> {
    let expect = text.expect.and_then(|text| expectation(text, ground, faults));
    let flow = text.flow.and_then(|text| flow(text, ground, faults));
    let place = text.title.as_ref().map_or(text.place, |at| at.place.clone());
    let title = text.title.map_or_else(|| format!("scenario {number}"), |at| at.value);
    Some(Scenario { title, flow: flow?, expect: expect?, place })
}

fn expectation(text: ExpectText, ground: &Ground<'_>, faults: &mut Faults) -> Option<Expectation> {
    let written = ["allow", "deny", "would_deny"].iter().filter(|key| !text.lacks(key)).count();
    if written != 1 {
        let message = "a scenario expects one of `allow`, `deny` and `would_deny`";
        let fault = Fault::error("bad_value", &text.place, message);
        faults.push(fault.remedy("write `allow: RULE`, `deny: REASON` or `would_deny: REASON`"));
        return None;
    }
    let allow = text.allow.and_then(|at| ground.rules.find(&at, faults)).map(Expectation::Allow);
    let deny = || text.deny.map(|at| Expectation::Deny(at.value));
    let would_deny = || text.would_deny.map(|at| Expectation::WouldDeny(at.value));
    allow.or_else(deny).or_else(would_deny)
}

fn flow(text: FlowText, ground: &Ground<'_>, faults: &mut Faults) -> Option<ScenarioFlow> {
    let to = text.to.map(|at| ground.systems.find(&at, faults));
    let declared = text.declared.into_iter().flatten();
    let declared = declared.filter_map(|at| ground.declarations.find(&at, faults)).collect();
    let moment = text.at.map(|at| at.value.begin(ground.zone.offset));
    Some(ScenarioFlow {
        from: text.from.map(|at| at.value),
        to_address: text.to_address.map(|at| at.value),
        listener: text.listener.map(|at| at.value),
        identities: identities(text.identity, text.identities, faults),
        flaw: text.certificate.map(|at| at.value.0),
        stranger: text.peer.is_some(),
        to: to.map_or(Some(None), |to| to.map(Some))?,
        server_name: text.server_name.map(|at| at.value),
        host: text.host.map(|at| at.value),
        method: text.method.map(|at| at.value),
        path: text.path.map(|at| at.value),
        upgrade: text.upgrade.is_some_and(|at| at.value),
        endpoint: text.endpoint.map(|at| at.value),
        tls: text.tls.map(|at| at.value.0),
        declared,
        at: moment,
    })
}

/// `identity` is one name, `identities` a certificate with several.
fn identities(
    one: Option<At<Identity>>,
    several: Option<Vec<At<Identity>>>,
    faults: &mut Faults,
) -> Vec<Identity> {
    if let (Some(one), Some(_)) = (&one, &several) {
        let fault =
            Fault::error("bad_value", &one.place, "`identity` and `identities` stand for the same");
        faults.push(fault.remedy("write all names of the certificate into `identities`"));
    }
    one.into_iter().chain(several.into_iter().flatten()).map(|at| at.value).collect()
}
