//! The files of a law as one text: sections are put together by key, and nothing may stand in two places.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{
    ApprovalText, DeclarationText, DocumentText, FileText, GeographyText, GuardrailsText,
    InterconnectionText, PolicyText, RuleText, ScenarioText, SiteText, SystemText, TrustText,
};
use super::model::Zone;
use crate::flow::Name;
use crate::yaml::{At, Fault, Faults, Named, Place, duplicate, quoted};

/// The entries of one section from all files.
pub(super) type Section<T> = Vec<(At<Name>, Option<T>)>;

/// The whole law as written.
#[derive(Debug, Default)]
pub(super) struct LawText {
    pub(super) timezone: Option<At<Zone>>,
    pub(super) interconnection: Option<InterconnectionText>,
    pub(super) documents: Section<DocumentText>,
    pub(super) approvals: Section<ApprovalText>,
    pub(super) guardrails: Option<GuardrailsText>,
    pub(super) sites: Section<SiteText>,
    pub(super) trust: Section<TrustText>,
    pub(super) systems: Section<SystemText>,
    pub(super) rules: Section<RuleText>,
    pub(super) declarations: Section<DeclarationText>,
    pub(super) geography: Option<GeographyText>,
    pub(super) scenarios: Vec<ScenarioText>,
}

/// Puts the files together, in their order.
pub(super) fn merge(files: Vec<FileText>, faults: &mut Faults) -> LawText {
    let sections = check_sections(&files, faults);
    check_council(&sections, faults);
    if let Some(first) = files.first() {
        check_complete(&sections, &first.text.place, faults);
    }
    let mut law = LawText::default();
    for file in files {
        law.add(file.text, faults);
    }
    law
}

/// The sections that the council approves; their file is what can be pinned.
const COUNCIL: [&str; 4] = ["timezone", "interconnection", "approvals", "guardrails"];
/// The other sections that a law cannot do without.
const REQUIRED: [&str; 4] = ["sites", "trust", "systems", "rules"];

/// Where each section is first seen.
type Sections = BTreeMap<Arc<str>, Place>;

fn check_sections(files: &[FileText], faults: &mut Faults) -> Sections {
    let mut seen = Sections::new();
    for (key, place) in files.iter().flat_map(|file| &file.sections) {
        match seen.get(key) {
            Some(first) if COUNCIL.contains(&&**key) || &**key == "geography" => {
                faults.push(duplicate(key, place, first));
            }
            Some(_) => {}
            None => drop(seen.insert(Arc::clone(key), place.clone())),
        }
    }
    seen
}

/// What the council approves stands in one file, so that one digest can pin it.
fn check_council(sections: &Sections, faults: &mut Faults) {
    let mut places = COUNCIL.iter().filter_map(|key| Some((key, sections.get(*key)?)));
    let Some((first, home)) = places.next() else { return };
    for (key, place) in places.filter(|(_, place)| place.file != home.file) {
        let message = format!(
            "`{key}` and `{first}` stand in two files; {} stand in one, the council's",
            COUNCIL.map(quoted).join(" ")
        );
        let fault =
            Fault::error("scattered", place, message).and(home, format!("`{first}` is here"));
        faults.push(fault.remedy(format!("move `{key}` to {}", quoted(&home.file))));
    }
}

fn check_complete(sections: &Sections, beginning: &Place, faults: &mut Faults) {
    let council = COUNCIL.iter().find_map(|key| sections.get(*key)).unwrap_or(beginning);
    let missing = |keys: &[&'static str], place: &Place, faults: &mut Faults| {
        for key in keys.iter().filter(|key| !sections.contains_key(**key)) {
            let message = format!("key `{key}` is missing; no file of the law has it");
            faults.push(Fault::error("missing_key", &Place::file(&place.file), message));
        }
    };
    missing(&COUNCIL, council, faults);
    missing(&REQUIRED, beginning, faults);
}

impl LawText {
    fn add(&mut self, file: PolicyText, faults: &mut Faults) {
        self.timezone = self.timezone.take().or(file.timezone);
        self.interconnection = self.interconnection.take().or(file.interconnection);
        self.guardrails = self.guardrails.take().or(file.guardrails);
        self.geography = self.geography.take().or(file.geography);
        extend(&mut self.documents, file.documents, faults);
        extend(&mut self.approvals, file.approvals, faults);
        extend(&mut self.sites, file.sites, faults);
        extend(&mut self.trust, file.trust, faults);
        extend(&mut self.systems, file.systems, faults);
        extend(&mut self.rules, file.rules, faults);
        extend(&mut self.declarations, file.declarations, faults);
        self.scenarios.extend(file.scenarios.into_iter().flatten());
    }
}

/// Adds what a file has of a section; a name that is there already is a mistake.
fn extend<T>(section: &mut Section<T>, more: Option<Named<T>>, faults: &mut Faults) {
    let known: BTreeMap<Name, Place> =
        section.iter().map(|(name, _)| (name.value.clone(), name.place.clone())).collect();
    for (name, text) in more.into_iter().flat_map(|named| named.entries) {
        match known.get(&name.value) {
            Some(first) => faults.push(duplicate(name.value.as_str(), &name.place, first)),
            None => section.push((name, text)),
        }
    }
}
