//! What holds for every flow that could ever come, shown from the law alone: the proofs, whose failure keeps a law from
//! being put in force, and the warnings. No flow is run here, and nothing depends on the day.
//!
//! The engine enforces the same guardrails at every flow; a proof says at the desk, with both places and an example,
//! what would otherwise only be refused at night.

mod coverage;
mod guardrail;
mod reverse;
mod unused;

use crate::appliance::{Appliance, Mode};
use crate::flow::Name;
use crate::policy::address;
use crate::policy::model::{Guardrail, Model, Rule};
use crate::yaml::{Fault, Faults, Place, Severity};

/// Proves the law; with a box also what the two must keep apart.
pub fn prove(model: &Model, appliance: Option<&Appliance>) -> Faults {
    let mut faults = reverse::reverse_access(model);
    faults.extend(guardrail::destinations(model));
    faults.extend(guardrail::residency(model));
    faults.extend(guardrail::content(model));
    faults.extend(guardrail::encryption(model));
    faults.extend(guardrail::declarations(model));
    faults.extend(guardrail::switches(model));
    faults.extend(guardrail::counterparties(model));
    faults.extend(appliance.into_iter().flat_map(line_addresses));
    faults.extend(coverage::dead(model));
    faults.extend(coverage::covered(model));
    faults.extend(unused::unused(model, appliance));
    faults.extend(unused::absent_guardrails(model));
    faults.extend(unused::untested_rules(model));
    Faults(faults)
}

/// A listener that forwards on the address of a line would offer the centre's side a way in.
fn line_addresses(appliance: &Appliance) -> Vec<Fault> {
    let forwarding = appliance.listeners.iter().filter(|(_, listener)| match listener.mode {
        Mode::Reverse { .. } | Mode::Forward(_) | Mode::Transparent(_) => true,
        Mode::Refuse => false,
    });
    let mut faults = Vec::new();
    for (name, listener) in forwarding {
        let bound = |ip| listener.bind.iter().find(|bind| address::canonical(bind.ip()) == ip);
        for (line, written) in &appliance.lines {
            let Some(bind) = bound(address::canonical(written.source)) else { continue };
            let message =
                format!("listener `{name}` forwards from `{bind}`, an address of line `{line}`");
            let fault = error("line_address", message, &listener.place, "forwards");
            let fault = beside(fault, &written.place, &format!("line `{line}`"));
            faults.push(Fault {
                notes: vec![format!("example: whoever is on line `{line}` → {bind}")],
                remedy: Some("bind it to an address of the inside, or let it `refuse`".to_owned()),
                ..fault
            });
        }
    }
    faults
}

fn error(code: &'static str, message: String, place: &Place, label: &str) -> Fault {
    found(code, Severity::Error, message, (place, label))
}

fn warning(code: &'static str, message: String, place: &Place) -> Fault {
    found(code, Severity::Warning, message, (place, ""))
}

fn found(
    code: &'static str,
    severity: Severity,
    message: String,
    (place, label): (&Place, &str),
) -> Fault {
    let places = vec![(place.clone(), label.to_owned())];
    Fault { code, severity, message, places, notes: Vec::new(), remedy: None }
}

/// The fault with the other place that it collides with.
fn beside(mut fault: Fault, place: &Place, label: &str) -> Fault {
    fault.places.push((place.clone(), label.to_owned()));
    fault
}

/// The fault with the guardrail that it breaks, named by its clause.
fn against<T>(fault: Fault, guardrail: &Guardrail<T>) -> Fault {
    beside(fault, &guardrail.place, guardrail.clause.as_deref().unwrap_or("the guardrail"))
}

/// A flow that a rule would let pass: an address of a source, the destination, and where it is dialled.
fn example(model: &Model, rule: &Rule) -> String {
    let system = |name: &Name| model.systems.get(name);
    let first = |name: &Name| system(name)?.addresses.first()?.hosts().next();
    let source = rule.from.iter().find_map(first);
    let shown = source.map_or_else(|| "any source".to_owned(), |address| address.to_string());
    format!("example: {shown} → {}", rule.to)
}

#[cfg(test)]
mod tests;
