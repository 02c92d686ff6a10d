//! Tables of decisions, continued: a prefix of two systems, the days of the law, the address about to be dialled, the
//! upstream's peer.

use super::decisions::{REGISTER, check, flow_with, law_with};
use crate::flow::{Flow, Peer};
use crate::policy::imagined::{
    approval, endpoint, flow, guardrail, identity, law, moment, name, names, site, socket,
};
use crate::policy::model::{Dial, Period};
use crate::verdict::{Reason, Stage};

fn dialling(address: &str) -> Flow {
    flow_with(|flow| flow.endpoint = Some(socket(address)))
}

#[test]
fn a_prefix_of_two_systems_is_closed_where_either_may_never_initiate() {
    let due = Err((Reason::ReverseAccess, Stage::Arrival));
    let shared = flow_with(|flow| flow.source = socket("10.213.7.5:1").ip());
    for silent in ["existing-system", "online-eligibility"] {
        let law = law_with(|law| {
            law.guardrails.reverse_access = guardrail(names(&[silent]));
            let both = "10.213.0.0/16".parse().expect("a net");
            for system in ["existing-system", "online-eligibility"] {
                law.systems.get_mut(system).expect("a system").addresses.push(both);
            }
        });
        check(silent, law, &shared, due);
    }
}

#[test]
fn dates_are_judged_from_the_connection_date_to_the_end_of_an_approval() {
    let at = |text: &str| flow_with(|flow| flow.at = moment(text));
    let due = |reason, stage| Err((reason, stage));
    let approved = |since: &str, until: &str, rule: bool| {
        let period = Period { since: Some(moment(since)), until: Some(moment(until)) };
        law_with(|law| {
            law.approvals.insert(name("short"), approval(period));
            if rule {
                law.rules.values_mut().for_each(|rule| rule.approval = name("short"));
            } else {
                let center = law.systems.get_mut("intermediate-server").expect("a system");
                let up = center.upstream.as_mut().expect("it can be reached");
                up.endpoints.iter_mut().for_each(|endpoint| endpoint.approval = name("short"));
            }
        })
    };
    let (first, last) = ("2026-04-01T00:00:00+09:00", "2027-04-01T00:00:00+09:00");
    let early = due(Reason::BeforeConnectionDate, Stage::Arrival);
    check("the eve", law(), &at("2020-06-14T23:59:59+09:00"), early);
    check("the day", law(), &at("2020-06-15T00:00:00+09:00"), REGISTER);
    for (rule, stage) in [(true, Stage::Arrival), (false, Stage::Dial)] {
        let law = || approved(first, last, rule);
        let before = due(Reason::BeforeApproval, stage);
        check("not begun", law(), &at("2026-03-31T23:59:59+09:00"), before);
        check("begun", law(), &at(first), REGISTER);
        check("in its last second", law(), &at("2027-03-31T23:59:59+09:00"), REGISTER);
        check("ended", law(), &at(last), due(Reason::AfterApproval, stage));
    }
    let one_ended = law_with(|law| {
        let until = Some(moment("2021-01-01T00:00:00Z"));
        law.rules.get_mut("results").expect("a rule").period = Period { since: None, until };
    });
    check("the other rule goes on", one_ended, &flow(), REGISTER);
}

#[test]
fn the_very_address_is_judged_before_it_is_dialled() {
    let due = |reason| Err((reason, Stage::Dial));
    let abroad = |address: &str, country: &str| {
        law_with(|law| {
            law.sites.insert(name("away"), site(country, Dial::Always));
            let center = law.systems.get_mut("intermediate-server").expect("a system");
            let up = center.upstream.as_mut().expect("it can be reached");
            up.endpoints.push(endpoint(address, "away", "r1-5"));
        })
    };
    check("declared", law(), &dialling("10.201.1.10:443"), due(Reason::SiteNotDeclared));
    check("another port", law(), &dialling("10.200.1.10:444"), due(Reason::CountryUnknown));
    check("a stranger", law(), &dialling("203.0.113.9:443"), due(Reason::CountryUnknown));
    let unguarded = law_with(|law| law.guardrails.residency = None);
    check("unguarded stranger", unguarded, &dialling("203.0.113.9:443"), due(Reason::NoRule));
    let foreign = dialling("10.202.1.10:443");
    check("abroad", abroad("10.202.1.10:443", "US"), &foreign, due(Reason::OutsideCountry));
    let public = dialling("8.8.8.8:443");
    check("public", abroad("8.8.8.8:443", "JP"), &public, due(Reason::CountryUnknown));
    let hidden = dialling("[64:ff9b::8.8.8.8]:443");
    check("public inside IPv6", abroad("8.8.8.8:443", "JP"), &hidden, due(Reason::CountryUnknown));
    let never = law_with(|law| {
        law.sites.insert(name("tokyo"), site("JP", Dial::Never));
    });
    check("never", never, &flow(), due(Reason::SiteNotDeclared));
}

#[test]
fn a_peer_has_to_be_the_destination() {
    let peer = |peer| flow_with(|flow| flow.peer = Some(peer));
    let due = Err((Reason::UpstreamIdentity, Stage::Peer));
    check("refused", law(), &peer(Peer::Refused), due);
    let other = Peer::Verified(vec![identity("dns:oqs.center.example")]);
    check("another", law(), &peer(other), due);
    check("not known yet", law(), &flow_with(|flow| flow.peer = None), REGISTER);
}
