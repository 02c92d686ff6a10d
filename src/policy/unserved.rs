//! What the language knows and this version's proxy cannot serve yet: said plainly before it is put in force, never
//! half done. `check` only warns of it.

use super::model::{IndividualNumber, Model, RoundTrip, Rule};
use crate::appliance::{Appliance, Mode};
use crate::yaml::{Fault, Faults, Place};

/// A fault for everything that a running box would have to do and cannot.
pub fn unserved(model: &Model, appliance: &Appliance) -> Faults {
    let mut faults: Vec<Fault> = model.rules.values().flat_map(rule).collect();
    if let (Some(guardrail), RoundTrip::Enforce) =
        (&model.guardrails.residency, model.guardrails.round_trip)
    {
        let fault = not_served(&guardrail.place, "`round_trip: enforce`");
        faults.push(fault.remedy("write `observe`: round trips are then measured and reported"));
    }
    for listener in appliance.listeners.values() {
        let mode = match listener.mode {
            Mode::Forward(_) => "mode `forward`",
            Mode::Transparent(_) => "mode `transparent`",
            Mode::Reverse { .. } | Mode::Refuse => continue,
        };
        faults.push(not_served(&listener.place, mode));
    }
    Faults(faults)
}

fn rule(rule: &Rule) -> Vec<Fault> {
    let mut faults = Vec::new();
    if rule.protocol.is_opaque() {
        let what = format!("protocol `{}`", rule.protocol.as_str());
        faults.push(not_served(&rule.place, &what));
    }
    if rule.individual_number == IndividualNumber::Forbidden {
        faults.push(not_served(&rule.place, "`individual_number: forbidden`"));
    }
    faults
}

fn not_served(place: &Place, what: &str) -> Fault {
    let message = format!("this version cannot serve {what} yet: `run` refuses it");
    Fault::error("not_served_yet", place, message)
}
