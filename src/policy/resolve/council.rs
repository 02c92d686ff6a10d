//! The council's part: the interconnection record, documents, approvals, guardrails.

use std::collections::BTreeSet;

use super::{Table, each_once, period};
use crate::flow::Name;
use crate::policy::document::{
    ApprovalText, ContentText, DestinationsText, DocumentText, EncryptionText, GuardrailsText,
    InterconnectionText, ResidencyText, ReverseAccessText,
};
use crate::policy::merge::Section;
use crate::policy::model::{
    Approval, Document, Encryption, Guardrail, Guardrails, Interconnection, Period, RoundTrip,
    System, Zone,
};
use crate::policy::word::Passthrough;
use crate::yaml::{At, Fault, Faults, Place};

pub(super) fn interconnection(text: InterconnectionText, zone: Zone) -> Option<Interconnection> {
    let values = |list: Vec<At<String>>| list.into_iter().map(|at| at.value).collect();
    Some(Interconnection {
        business_number: text.business_number?.0.map(|at| at.value),
        section: text.section?.value,
        name: text.name?.value,
        purpose: text.purpose?.value,
        counterparties: values(text.counterparties?),
        categories: values(text.categories?),
        connection_date: text.connection_date?.value.begin(zone.offset),
        place: text.place,
    })
}

pub(super) fn document(
    text: DocumentText,
    name: &At<Name>,
    zone: Zone,
    faults: &mut Faults,
) -> Option<Document> {
    let Period { until, .. } = period(None, text.until, zone, faults);
    Some(Document {
        title: text.title.map(|at| at.value),
        clause: text.clause?.value,
        reference: text.reference?.value,
        until,
        place: name.place.clone(),
    })
}

/// The approvals; each may amend another one, declared before or after it.
pub(super) fn approvals(
    section: Section<ApprovalText>,
    zone: Zone,
    faults: &mut Faults,
) -> Table<Approval> {
    let amends: Vec<_> = section
        .iter()
        .filter_map(|(name, text)| Some((name.value.clone(), text.as_ref()?.amends.clone()?)))
        .collect();
    let table = Table::build("approval", section, |name, text| approval(text, name, zone, faults));
    for (name, at) in amends {
        if name == at.value {
            faults.push(Fault::error("bad_value", &at.place, "an approval cannot amend itself"));
        } else {
            table.declared(&at, faults);
        }
    }
    table
}

fn approval(
    text: ApprovalText,
    name: &At<Name>,
    zone: Zone,
    faults: &mut Faults,
) -> Option<Approval> {
    let period = period(text.since, text.until, zone, faults);
    Some(Approval {
        consultation: text.consultation?.value,
        opinion: text.opinion.map(|at| at.value),
        amends: text.amends.map(|at| at.value),
        period,
        place: name.place.clone(),
    })
}

pub(super) fn guardrails(
    text: Option<GuardrailsText>,
    systems: &Table<System>,
    faults: &mut Faults,
) -> Guardrails {
    let Some(text) = text else { return Guardrails::default() };
    let round_trip = text.residency.as_ref().and_then(|it| it.round_trip.as_ref());
    Guardrails {
        round_trip: round_trip.map_or(RoundTrip::Observe, |at| at.value),
        destinations: text.destinations.and_then(|text| destinations(text, systems, faults)),
        reverse_access: text.reverse_access.and_then(|text| reverse_access(text, systems, faults)),
        residency: text.residency.and_then(|text| residency(text, faults)),
        content: text.content.and_then(|text| content(text, systems, faults)),
        encryption: text.encryption.and_then(|text| encryption(text, faults)),
    }
}

fn destinations(
    text: DestinationsText,
    systems: &Table<System>,
    faults: &mut Faults,
) -> Option<Guardrail<BTreeSet<Name>>> {
    Some(guardrail(names(text.only?, systems, faults), text.clause, text.place))
}

fn reverse_access(
    text: ReverseAccessText,
    systems: &Table<System>,
    faults: &mut Faults,
) -> Option<Guardrail<BTreeSet<Name>>> {
    Some(guardrail(names(text.never_initiates?, systems, faults), text.clause, text.place))
}

fn content(
    text: ContentText,
    systems: &Table<System>,
    faults: &mut Faults,
) -> Option<Guardrail<BTreeSet<Name>>> {
    Some(guardrail(names(text.no_individual_number_to?, systems, faults), text.clause, text.place))
}

fn residency(text: ResidencyText, faults: &mut Faults) -> Option<Guardrail<BTreeSet<String>>> {
    let countries = each_once(text.countries?, faults).into_iter().map(|at| at.value.0).collect();
    Some(guardrail(countries, text.clause, text.place))
}

fn encryption(text: EncryptionText, faults: &mut Faults) -> Option<Guardrail<Encryption>> {
    let versions = each_once(text.tls?, faults).into_iter().map(|at| at.value).collect();
    let passthrough = text.passthrough?.value == Passthrough::Allowed;
    let what = Encryption { versions, mutual: text.mutual?.value, passthrough };
    Some(guardrail(what, text.clause, text.place))
}

fn names(list: Vec<At<Name>>, systems: &Table<System>, faults: &mut Faults) -> BTreeSet<Name> {
    each_once(list, faults).iter().filter_map(|at| systems.declared(at, faults)).collect()
}

fn guardrail<T>(what: T, clause: Option<At<String>>, place: Place) -> Guardrail<T> {
    Guardrail { what, clause: clause.map(|at| at.value), place }
}
