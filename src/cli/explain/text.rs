//! An explanation for people. Wide (Japanese) text stands last in a row, so that columns align.

use std::fmt::Write;

use super::asked::title;
use super::{Past, Told};
use crate::cli::moment::{Clock, local};
use crate::flow::{Flow, Identity, Paper, Peer, ServerName};
use crate::policy::explain::{Candidate, Proven, Step};
use crate::policy::model::Model;
use crate::verdict::{Allowed, Denied, Reason, Stage, Verdict};
use crate::yaml::{Faults, Place, Severity};

/// The whole text.
pub(super) fn render(told: &Told<'_>) -> String {
    let mut text = told.head();
    for part in
        [told.facts(), told.road(), told.rules(), told.guardrails(), told.edit(), told.repeats()]
    {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    for note in &told.notes {
        line(&mut text, &format!("note: {note}"));
    }
    text
}

/// What refuses, in one sentence.
pub(super) fn refusal(denied: &Denied, flow: &Flow) -> String {
    let reason = denied.reason;
    let request = flow.request.as_ref();
    let detail = match (reason, request, denied.rule.as_ref()) {
        (Reason::Method, Some(request), Some(rule)) => {
            format!("{} is not in rule `{rule}`", request.method)
        }
        (Reason::Path, Some(request), Some(rule)) => {
            format!("{} is not in rule `{rule}`", request.path)
        }
        _ => reason.english().to_owned(),
    };
    format!("{reason}: {detail}")
}

impl Told<'_> {
    fn model(&self) -> &Model {
        self.law.engine.model()
    }

    fn head(&self) -> String {
        let explanation = &self.explanation;
        let (sentence, rule) = match &explanation.verdict {
            Verdict::Allow(allowed) => (passes(allowed), Some(&allowed.rule)),
            Verdict::Deny(denied) => {
                (format!("DENIED  {}", refusal(denied, &explanation.flow)), denied.rule.as_ref())
            }
            Verdict::NotYet(not_yet) => (
                format!(
                    "NOT YET  nothing refuses it so far; facts are missing after {}",
                    not_yet.stage
                ),
                not_yet.rule.as_ref(),
            ),
        };
        let title = rule.and_then(|rule| self.law.engine.rule(rule)?.title.as_deref());
        let title = title.map(|title| format!("  {title}")).unwrap_or_default();
        let digest = format!("{:.8}", self.law.digest);
        let moment = local(self.at, self.model().timezone.offset, Clock::Second);
        let today = self.past.as_ref().map(|past| format!(" ({})", self.today(past)));
        format!("{sentence}{title}\n{moment}, policy {digest}{}\n", today.unwrap_or_default())
    }

    /// What the law on disk says of an old entry.
    fn today(&self, past: &Past) -> String {
        let law = match past.same_law {
            Some(true) => "the law on disk is the same",
            Some(false) => "the law on disk is another",
            None => "the law on disk",
        };
        let same = past.today.code() == self.explanation.verdict.code()
            && past.today.reason() == self.explanation.verdict.reason();
        if same {
            return format!("{law}; same answer today");
        }
        let answer = match &past.today {
            Verdict::Allow(allowed) => format!("ALLOWED by `{}`", allowed.rule),
            Verdict::Deny(denied) => format!("DENIED `{}`", denied.reason),
            Verdict::NotYet(_) => "not refused so far".to_owned(),
        };
        format!("{law}; today: {answer}")
    }

    /// How often the same happened, and what passed last.
    fn repeats(&self) -> String {
        let Some(past) = &self.past else { return String::new() };
        let (repeats, offset) = (&past.found.repeats, self.model().timezone.offset);
        let shown = |at| local(at, offset, Clock::Minute);
        let since = repeats.first.map(|at| format!("since {}", shown(at))).unwrap_or_default();
        let seen = (repeats.count > 0).then(|| format!("seen {} times {since}", repeats.count));
        let last = match &repeats.allowed {
            Some((at, reference)) => format!("last allowed {} ({reference})", shown(*at)),
            None => "never allowed before, as far as the ledger goes back".to_owned(),
        };
        let parts: Vec<_> = seen.into_iter().chain([last]).collect();
        format!("{}\n", parts.join("; "))
    }

    fn facts(&self) -> String {
        let (flow, model) = (&self.explanation.flow, self.model());
        let (source, destination) =
            (self.explanation.source.as_ref(), self.explanation.destination.as_ref());
        let mut rows = vec![[
            "from".to_owned(),
            format!("{}  {}", flow.source, identities(flow)),
            title(model, source).to_owned(),
        ]];
        let to = destination.map(ToString::to_string).or_else(|| asked(flow));
        rows.extend(to.map(|to| ["to".to_owned(), to, title(model, destination).to_owned()]));
        let endpoint = flow.endpoint.map(|endpoint| {
            let site = self.law.engine.site_of(endpoint);
            let title = site.and_then(|site| model.sites.get(site)?.title.clone());
            ["dialled".to_owned(), endpoint.to_string(), title.unwrap_or_default()]
        });
        rows.extend(
            flow.request.as_ref().map(|it| {
                ["request".to_owned(), format!("{} {}", it.method, it.path), String::new()]
            }),
        );
        rows.extend(endpoint);
        rows.extend(
            flow.listener.as_ref().map(|it| ["listener".to_owned(), it.to_string(), String::new()]),
        );
        table(&rows)
    }

    fn road(&self) -> String {
        let row = |step: &Step| {
            let (answer, detail) = match &step.verdict {
                Verdict::Allow(allowed) => ("ALLOW", format!("rule `{}`", allowed.rule)),
                Verdict::Deny(denied) => ("DENY", denied.reason.code().to_owned()),
                Verdict::NotYet(_) => ("not yet", self.seen(step.stage)),
            };
            [step.stage.code().to_owned(), answer.to_owned(), detail]
        };
        table(&self.explanation.road.iter().map(row).collect::<Vec<_>>())
    }

    /// What a stage that refuses nothing has found.
    fn seen(&self, stage: Stage) -> String {
        let flow = &self.explanation.flow;
        match stage {
            Stage::Arrival => "known source, may initiate".to_owned(),
            Stage::Hello => flow.hello.as_ref().map_or_else(String::new, |hello| {
                format!("{}, TLS {}", asked(flow).unwrap_or_default(), hello.version.as_str())
            }),
            Stage::Identity => match flow.paper.as_deref() {
                Some(Paper::Presented(certificate))
                    if certificate.not_after.as_seconds() < LATE =>
                {
                    let end =
                        local(certificate.not_after, self.model().timezone.offset, Clock::Day);
                    format!("certificate to {end}")
                }
                Some(Paper::Presented(_) | Paper::Absent) | None => {
                    "a certificate in order".to_owned()
                }
            },
            Stage::Request => "a rule takes it".to_owned(),
            Stage::Dial => "may be dialled".to_owned(),
            Stage::Peer => match flow.peer {
                Some(Peer::Verified(_)) => "shows its own certificate".to_owned(),
                Some(Peer::Refused) | None => String::new(),
            },
            Stage::Accept | Stage::Content => String::new(),
        }
    }

    fn rules(&self) -> String {
        let row =
            |it: &Candidate| [it.rule.to_string(), it.fits.join(" "), it.stopped_by.join(", ")];
        let head = ["rule", "fits", "stopped by"].map(str::to_owned);
        let rows: Vec<_> =
            std::iter::once(head).chain(self.explanation.candidates.iter().map(row)).collect();
        let mut text = table(&rows);
        if self.explanation.others > 0 {
            line(&mut text, &format!("and {} rules that come less near", self.explanation.others));
        }
        text
    }

    fn guardrails(&self) -> String {
        let broken = self.explanation.gates.iter().filter_map(|(_, reason)| guardrail(*reason));
        let broken: Vec<_> = broken.map(|name| format!("`{name}`")).collect();
        if broken.is_empty() {
            return "guardrails: none violated\n".to_owned();
        }
        format!("guardrails: {} violated\n", broken.join(", "))
    }

    fn edit(&self) -> String {
        let proposal = &self.proposal;
        let mut text = String::new();
        for (index, hunk) in proposal.hunks.iter().enumerate() {
            let word = if index == 0 { "smallest edit" } else { "and" };
            line(&mut text, &format!("{word}, {}:{}", hunk.file, hunk.line));
            hunk.removed.iter().for_each(|it| line(&mut text, &format!("-{it}")));
            hunk.added.iter().for_each(|it| line(&mut text, &format!("+{it}")));
        }
        if let Some(declared) = self.declarations() {
            line(&mut text, &declared);
        }
        match &proposal.proven {
            Proven::Permitted { verdict, approval, scenarios } => {
                let allowed = matches!(verdict, Verdict::Allow(_) | Verdict::NotYet(_));
                let answer = if allowed { "guardrails allow it" } else { "it is then refused" };
                let section = &self.model().interconnection.section;
                let ask = approval
                    .as_ref()
                    .map(|it| format!("; approval {it} must cover it: ask {section}"));
                line(&mut text, &format!("{answer}{}", ask.unwrap_or_default()));
                promises(&mut text, scenarios);
            }
            Proven::Forbidden { faults } => {
                line(&mut text, "this edit is forbidden; the law would not be sound:");
                reasons(&mut text, faults);
            }
            Proven::Council { what, place, clause } => {
                line(&mut text, &council(what, place.as_ref(), clause.as_deref()));
            }
            Proven::Nothing { why } => {
                line(&mut text, &format!("no edit of the law changes this: {why}"));
            }
        }
        text
    }
}

impl Told<'_> {
    /// The declarations that would open a site that waits for one: what an operator does, not an edit.
    fn declarations(&self) -> Option<String> {
        let refused = self.explanation.verdict.reason() == Some(Reason::SiteNotDeclared);
        let site = self
            .explanation
            .flow
            .endpoint
            .filter(|_| refused)
            .and_then(|it| self.law.engine.site_of(it))?;
        let prepared = self.model().declarations.iter().filter(|(_, it)| it.site == *site);
        let names: Vec<_> = prepared.map(|(name, _)| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| format!("prepared for this: declaration {}", names.join(", ")))
    }
}

/// A certificate that ends later than this has no end that anybody wrote.
const LATE: i64 = 9_000_000_000;

fn passes(allowed: &Allowed) -> String {
    let observed = allowed
        .would_deny
        .map(|reason| format!(", which only observes: would be refused for `{reason}`"));
    format!("ALLOWED  by rule `{}`{}", allowed.rule, observed.unwrap_or_default())
}

/// The guardrail that a reason stands for.
pub(super) fn guardrail(reason: Reason) -> Option<&'static str> {
    let all = [
        (Reason::ReverseAccess, "reverse_access"),
        (Reason::DestinationNotListed, "destinations"),
        (Reason::TlsVersion, "encryption"),
        (Reason::OutsideCountry, "residency"),
        (Reason::CountryUnknown, "residency"),
    ];
    all.into_iter().find(|(broken, _)| *broken == reason).map(|(_, name)| name)
}

fn council(what: &str, place: Option<&Place>, clause: Option<&str>) -> String {
    let place = place.map(|place| format!(", {}:{}", place.file, place.line)).unwrap_or_default();
    let clause = clause.map(|clause| format!("  {clause}")).unwrap_or_default();
    format!("no rule can change this: `{what}`{place} is the council's word{clause}")
}

fn promises(text: &mut String, scenarios: &Faults) {
    for fault in &scenarios.0 {
        let place =
            fault.places.first().map(|(place, _)| format!("{}:{}: ", place.file, place.line));
        line(
            text,
            &format!("to be changed with it: {}{}", place.unwrap_or_default(), fault.message),
        );
    }
}

fn reasons(text: &mut String, faults: &Faults) {
    for fault in faults.0.iter().filter(|fault| fault.severity == Severity::Error).take(3) {
        let places = fault
            .places
            .iter()
            .map(|(place, label)| format!("  {}:{} {label}", place.file, place.line));
        line(text, &format!("  {}: {}", fault.code, fault.message));
        places.for_each(|place| line(text, place.trim_end()));
    }
}

fn asked(flow: &Flow) -> Option<String> {
    flow.hello.as_ref().map(|hello| match &hello.server_name {
        ServerName::Name(host) => host.to_string(),
        ServerName::Missing => "no server name".to_owned(),
        ServerName::Unusable => "an unusable server name".to_owned(),
    })
}

fn identities(flow: &Flow) -> String {
    match flow.paper.as_deref() {
        None => String::new(),
        Some(Paper::Absent) => "no certificate".to_owned(),
        Some(Paper::Presented(certificate)) => {
            let names = certificate.identities.iter().filter(|it| !matches!(it, Identity::Spki(_)));
            names.map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Rows whose columns but the last are as wide as the widest.
pub(in crate::cli) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(&mut text, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").unwrap_or_default();
}
