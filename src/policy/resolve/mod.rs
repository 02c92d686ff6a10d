//! What the law MEANS: names looked up, dates put into their zone, paths joined, contradictions found. What a model
//! allows or forbids is for the engine and the proofs.
//!
//! A part with a mistake is left out together with what rests on it, so that the model never has a name without its
//! thing and the proofs can still be tried on the rest.

mod council;
pub(super) mod geography;
mod overlap;
mod rule;
mod scenario;
mod system;

use std::collections::BTreeMap;

use super::merge::{LawText, Section};
use super::model::{Model, Period, Zone};
use crate::flow::Name;
use crate::yaml::{At, Fault, Faults, Moment, Place, SourceFile, unknown_name};

/// Finds what the text means; `None` where there is not enough of it. Whether the model is whole, the faults say.
pub(super) fn resolve(law: LawText, data: &[SourceFile], faults: &mut Faults) -> Option<Model> {
    let zone = law.timezone.map_or(Zone { offset: 0 }, |at| at.value);
    let documents = Table::build("document", law.documents, |name, text| {
        council::document(text, name, zone, faults)
    });
    let approvals = council::approvals(law.approvals, zone, faults);
    let sites =
        Table::build("site", law.sites, |name, text| system::site(text, name, &documents, faults));
    let trust = Table::build("trust", law.trust, |name, text| system::trust(text, name, faults));
    overlap::check(&law.systems, faults);
    let reachable = system::reachable(&law.systems);
    let ground = system::Ground { zone, approvals: &approvals, sites: &sites, trust: &trust };
    let systems = Table::build("system", law.systems, |name, text| {
        system::system(text, name, &ground, faults)
    });
    let guardrails = council::guardrails(law.guardrails, &systems, faults);
    let ground =
        rule::Ground { zone, approvals: &approvals, systems: &systems, reachable: &reachable };
    let rules =
        Table::build("rule", law.rules, |name, text| rule::rule(text, name, &ground, faults));
    rule::check_protocols(&rules.known, faults);
    let declarations = Table::build("declaration", law.declarations, |name, text| {
        rule::declaration(text, name, (&approvals, &sites, &rules), faults)
    });
    let geography =
        law.geography.and_then(|text| geography::geography(text, &systems.known, data, faults));
    documents.complete(faults);
    approvals.complete(faults);
    sites.complete(faults);
    trust.complete(faults);
    systems.complete(faults);
    rules.complete(faults);
    declarations.complete(faults);
    let ground =
        scenario::Ground { zone, systems: &systems, rules: &rules, declarations: &declarations };
    let scenarios = scenario::scenarios(law.scenarios, &ground, faults);
    Some(Model {
        timezone: zone,
        interconnection: law
            .interconnection
            .and_then(|text| council::interconnection(text, zone))?,
        documents: documents.known,
        approvals: approvals.known,
        geography,
        guardrails,
        sites: sites.known,
        trust: trust.known,
        systems: systems.known,
        rules: rules.known,
        declarations: declarations.known,
        scenarios,
    })
}

/// As long as there are fewer faults than this, each unknown name is met with what was probably meant.
const MEANT_MAX: usize = 2 * Faults::SHOWN_MAX;

/// One section: what could be resolved, and all names that are declared.
#[derive(Debug)]
struct Table<T> {
    kind: &'static str,
    declared: BTreeMap<Name, Place>,
    known: BTreeMap<Name, T>,
}

impl<T> Table<T> {
    fn build<W>(
        kind: &'static str,
        section: Section<W>,
        mut resolve: impl FnMut(&At<Name>, W) -> Option<T>,
    ) -> Self {
        let declared =
            section.iter().map(|(name, _)| (name.value.clone(), name.place.clone())).collect();
        let entry = |(name, text): (At<Name>, Option<W>)| {
            let value = resolve(&name, text?)?;
            Some((name.value, value))
        };
        Self { kind, declared, known: section.into_iter().filter_map(entry).collect() }
    }

    /// The name where something is declared by it; else a fault.
    fn declared(&self, at: &At<Name>, faults: &mut Faults) -> Option<Name> {
        if self.declared.contains_key(&at.value) {
            return Some(at.value.clone());
        }
        // Every look for what was meant goes through all names: where nearly everything is wrong, that would take minutes.
        faults.push(if faults.0.len() < MEANT_MAX {
            let names: Vec<_> = self.declared.keys().map(Name::as_str).collect();
            unknown_name(self.kind, at.value.as_str(), &at.place, &names)
        } else {
            let message = format!("no {} `{}`", self.kind, at.value);
            Fault::error("unknown_name", &at.place, message)
        });
        None
    }

    /// The name where something without a mistake has it.
    fn find(&self, at: &At<Name>, faults: &mut Faults) -> Option<Name> {
        self.declared(at, faults).filter(|name| self.known.contains_key(name))
    }
}

impl<T> Table<T> {
    /// Nothing is left out in silence: what is declared is understood, or there is a fault.
    fn complete(&self, faults: &mut Faults) {
        if !faults.is_sound() {
            return;
        }
        for (name, place) in
            self.declared.iter().filter(|(name, _)| !self.known.contains_key(*name))
        {
            let message = format!("{} `{name}` is not understood", self.kind);
            faults.push(Fault::error("not_understood", place, message));
        }
    }
}

/// From `since` until `until`; a day as `until` still belongs to it.
fn period(
    since: Option<At<Moment>>,
    until: Option<At<Moment>>,
    zone: Zone,
    faults: &mut Faults,
) -> Period {
    let begin = since.as_ref().map(|at| at.value.begin(zone.offset));
    let end = until.as_ref().map(|at| at.value.end(zone.offset));
    if let (Some(since), Some(until)) = (since, until)
        && begin >= end
    {
        let fault =
            Fault::error("bad_value", &until.place, "it ends before it begins").label("ends here");
        faults.push(fault.and(&since.place, "begins here"));
    }
    Period { since: begin, until: end }
}

/// The values of a list, each once.
fn each_once<T: Ord + Clone>(list: Vec<At<T>>, faults: &mut Faults) -> Vec<At<T>> {
    let mut seen: BTreeMap<T, Place> = BTreeMap::new();
    let mut kept = Vec::with_capacity(list.len());
    for at in list {
        if let Some(first) = seen.get(&at.value) {
            let fault = Fault::error("duplicate_value", &at.place, "this is in the list twice")
                .label("again here");
            faults.push(fault.and(first, "first here"));
        } else {
            seen.insert(at.value.clone(), at.place.clone());
            kept.push(at);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{MEANT_MAX, Table};
    use crate::policy::imagined::{name, place};
    use crate::yaml::{At, Fault, Faults};

    /// Two sites are declared, one of which is understood.
    fn sites() -> Table<&'static str> {
        Table {
            kind: "site",
            declared: [(name("osaka"), place(1)), (name("tokyo"), place(2))].into(),
            known: [(name("tokyo"), "understood")].into(),
        }
    }

    #[test]
    fn what_is_declared_and_not_understood_is_left_out_with_a_fault() {
        let mut faults = Faults::default();
        sites().complete(&mut faults);
        let told: Vec<_> = faults.0.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(told, ["site `osaka` is not understood"]);
        let mut told = Faults(vec![Fault::error("bad_value", &place(1), "this is wrong")]);
        sites().complete(&mut told);
        assert_eq!(told.0.len(), 1, "what is wrong with it has been said");
    }

    #[test]
    fn what_was_meant_is_looked_for_in_twice_as_many_faults_as_are_shown() {
        let mut faults = Faults::default();
        let unknown = At { value: name("tokio"), place: place(3) };
        for _ in 0..MEANT_MAX + 9 {
            assert_eq!(sites().declared(&unknown, &mut faults), None);
        }
        assert!(faults.0.iter().all(|fault| fault.message == "no site `tokio`"));
        let meant = faults.0.iter().filter(|fault| fault.remedy.is_some()).count();
        assert_eq!(meant, 2 * Faults::SHOWN_MAX);
    }
}
