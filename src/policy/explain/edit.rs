//! Which small edits of the law's text could change an answer. Whether one does, and whether a guardrail forbids it, is
//! found out by trying: that is `repair`.

use super::text::Draft;
use super::{Asked, Candidate, Explanation};
use crate::flow::{Flow, Name, Timestamp};
use crate::policy::engine::Engine;
use crate::policy::model::{Period, Rule};
use crate::verdict::{Denied, Reason, Stage, Verdict};

/// The most rules whose edits are tried.
const RULES_MAX: usize = 3;

/// What could be done about an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// One of these edits may help.
    Edits(Vec<Draft>),
    /// Only the council's file says it.
    Council(&'static str),
    /// No edit of the law does.
    Nothing(&'static str),
}

/// What edits are made from.
pub(super) struct Ground<'a> {
    pub(super) engine: &'a Engine,
    pub(super) asked: &'a Asked,
    pub(super) at: Timestamp,
    pub(super) explanation: &'a Explanation,
    pub(super) draft: &'a Draft,
}

impl Ground<'_> {
    /// What could be done about the answer.
    pub(super) fn next(&self) -> Next {
        match &self.explanation.verdict {
            Verdict::Deny(denied) => self.loosened(denied),
            Verdict::Allow(allowed) => self.tightened(&allowed.rule),
            Verdict::NotYet(_) => Next::Nothing("facts are missing, and nothing refuses it so far"),
        }
    }

    fn loosened(&self, denied: &Denied) -> Next {
        match denied.reason {
            Reason::ReverseAccess => Next::Council("reverse_access"),
            Reason::DestinationNotListed => Next::Council("destinations"),
            Reason::TlsVersion => Next::Council("encryption"),
            Reason::OutsideCountry => Next::Council("residency"),
            Reason::BeforeConnectionDate => Next::Council("connection_date"),
            Reason::UnknownSource => Next::Edits(self.addresses()),
            Reason::IdentityUnknown => Next::Edits(self.identity()),
            Reason::SiteNotDeclared => Next::Edits(self.site()),
            Reason::BeforeApproval | Reason::AfterApproval if denied.stage == Stage::Dial => {
                Next::Edits(self.endpoint_dates())
            }
            Reason::Listener if self.on_refusing() => {
                Next::Nothing("the listener answers nothing: that is said in the box file")
            }
            Reason::NoRule if denied.stage == Stage::Dial => Next::Nothing(
                "the address is no endpoint of the destination: it has to be described first",
            ),
            Reason::NoRule
            | Reason::Listener
            | Reason::Protocol
            | Reason::Method
            | Reason::Path
            | Reason::Upgrade
            | Reason::BeforeApproval
            | Reason::AfterApproval => self.rules(),
            Reason::UnknownDestination
            | Reason::CountryUnknown
            | Reason::IdentityMissing
            | Reason::IdentityMismatch
            | Reason::CertificateRevoked
            | Reason::RevocationUnknown
            | Reason::CertificateExpired
            | Reason::CertificateInvalid
            | Reason::HostMismatch
            | Reason::RoundTrip
            | Reason::IndividualNumber
            | Reason::ContentUnreadable
            | Reason::MalformedRequest
            | Reason::Handshake
            | Reason::Timeout
            | Reason::Limit
            | Reason::LedgerUnwritable
            | Reason::UpstreamUnreachable
            | Reason::UpstreamIdentity
            | Reason::UpstreamFailed
            | Reason::Draining => Next::Nothing(not_by_an_edit(denied.reason)),
        }
    }

    /// The address for the system that the certificate names, else for one that a rule lets go there.
    fn addresses(&self) -> Vec<Draft> {
        let model = self.engine.model();
        let named = |name: &&Name| {
            let system = model.systems.get(*name);
            system.is_some_and(|it| {
                it.identities.iter().any(|id| self.asked.identities().contains(id))
            })
        };
        let leads =
            |rule: &&Rule| self.explanation.destination.as_ref().is_none_or(|to| rule.to == *to);
        let from = || model.rules.values().filter(leads).flat_map(|rule| &rule.from);
        let all: Vec<&Name> = model.systems.keys().filter(named).chain(from()).collect();
        let mut systems: Vec<&Name> = Vec::new();
        systems.extend(all.into_iter().filter(|name| {
            model.systems.get(*name).is_some_and(|system| !system.addresses.is_empty())
        }));
        systems.dedup();
        let net = ipnet::IpNet::from(self.explanation.flow.source).to_string();
        let few = systems.into_iter().take(RULES_MAX);
        few.filter_map(|name| self.draft.appended(&["systems", name.as_str(), "addresses"], &net))
            .collect()
    }

    fn identity(&self) -> Vec<Draft> {
        let identity = self.asked.identities().first();
        let edit = self.explanation.source.as_ref().zip(identity).and_then(|(source, identity)| {
            self.draft.appended(&["systems", source.as_str(), "identities"], &identity.to_string())
        });
        edit.into_iter().collect()
    }

    fn site(&self) -> Vec<Draft> {
        let site =
            self.explanation.flow.endpoint.and_then(|endpoint| self.engine.site_of(endpoint));
        let edit =
            site.and_then(|site| self.draft.replaced(&["sites", site.as_str(), "dial"], "always"));
        edit.into_iter().collect()
    }

    fn endpoint_dates(&self) -> Vec<Draft> {
        let flow = &self.explanation.flow;
        let found =
            flow.endpoint.zip(self.explanation.destination.as_ref()).and_then(|(address, to)| {
                let endpoints = &self.engine.model().systems.get(to)?.upstream.as_ref()?.endpoints;
                let index = endpoints.iter().position(|endpoint| endpoint.address == address)?;
                Some((to, index, endpoints.get(index)?))
            });
        let edit = found.and_then(|(to, index, endpoint)| {
            let number = index.to_string();
            let own = ["systems", to.as_str(), "upstream", "endpoints", &number];
            self.dated(self.draft.clone(), &own, endpoint.period)
                .and_then(|draft| self.approval_dated(draft, &endpoint.approval))
        });
        edit.into_iter().collect()
    }

    /// For each of the nearest rules that could lead there, everything that stops it put right.
    fn rules(&self) -> Next {
        let may_help =
            |it: &&Candidate| !it.stopped_by.iter().any(|fact| ["to", "protocol"].contains(fact));
        let near = self.explanation.candidates.iter().filter(may_help).take(RULES_MAX);
        let edits: Vec<_> = near.filter_map(|it| self.widened(it)).collect();
        if edits.is_empty() {
            return Next::Nothing("no rule leads there in this protocol: a rule has to be written");
        }
        Next::Edits(edits)
    }

    fn widened(&self, candidate: &Candidate) -> Option<Draft> {
        candidate
            .stopped_by
            .iter()
            .try_fold(self.draft.clone(), |draft, fact| self.fitted(draft, &candidate.rule, fact))
    }

    /// With one kind of fact of a rule put right.
    fn fitted(&self, draft: Draft, rule: &Name, fact: &str) -> Option<Draft> {
        let name = rule.as_str();
        let request = self.explanation.flow.request.as_ref();
        match fact {
            "source" => {
                draft.appended(&["rules", name, "from"], self.explanation.source.as_ref()?.as_str())
            }
            "listener" => draft.dropped(&["rules", name, "listener"]),
            "dates" => {
                let written = self.engine.rule(rule)?;
                let own = self.dated(draft, &["rules", name], written.period)?;
                self.approval_dated(own, &written.approval)
            }
            "method" => {
                draft.appended(&["rules", name, "http", "methods"], request?.method.as_str())
            }
            "path" => draft.appended(&["rules", name, "http", "paths"], request?.path.as_str()),
            "upgrade" => draft
                .replaced(&["rules", name, "upgrade"], "true")
                .or_else(|| draft.keyed(&["rules", name], "upgrade", "true")),
            _ => None,
        }
    }

    fn approval_dated(&self, draft: Draft, approval: &Name) -> Option<Draft> {
        let period = self.engine.model().approvals.get(approval)?.period;
        self.dated(draft, &["approvals", approval.as_str()], period)
    }

    /// With a period widened to the day that is asked about, where it does not hold.
    fn dated(&self, draft: Draft, keys: &[&str], period: Period) -> Option<Draft> {
        let day = self.day();
        let set = |draft: Draft, key: &'static str| draft.replaced(&[keys, &[key]].concat(), &day);
        let early = period.since.is_some_and(|since| self.at < since);
        let late = period.until.is_some_and(|until| self.at >= until);
        let draft = if early { set(draft, "since")? } else { draft };
        if late { set(draft, "until") } else { Some(draft) }
    }

    /// The day that is asked about, in the law's time zone.
    fn day(&self) -> String {
        let offset = i64::from(self.engine.model().timezone.offset);
        let local = Timestamp::from_seconds(self.at.as_seconds().saturating_add(offset));
        local.to_string().chars().take(10).collect()
    }

    fn on_refusing(&self) -> bool {
        let listener = self.explanation.flow.listener.as_ref();
        listener.is_some_and(|name| self.engine.refusing().contains(name))
    }

    /// Something less in the rule that lets it pass.
    fn tightened(&self, rule: &Name) -> Next {
        let name = rule.as_str();
        let source = self.explanation.source.as_ref();
        let method = self.explanation.flow.request.as_ref().map(|request| request.method.as_str());
        let edits = [
            method.and_then(|it| self.draft.without(&["rules", name, "http", "methods"], it)),
            source.and_then(|it| self.draft.without(&["rules", name, "from"], it.as_str())),
            self.without_path(rule, &self.explanation.flow),
        ];
        let edits: Vec<_> = edits.into_iter().flatten().collect();
        if edits.is_empty() {
            return Next::Nothing("only without the rule that it passes by");
        }
        Next::Edits(edits)
    }

    fn without_path(&self, rule: &Name, flow: &Flow) -> Option<Draft> {
        let path = &flow.request.as_ref()?.path;
        let http = self.engine.rule(rule)?.http.as_ref()?;
        let fits: Vec<_> =
            http.paths.iter().filter(|it| crate::policy::engine::matches(it, path)).collect();
        let texts = fits.into_iter().map(ToString::to_string);
        texts.into_iter().try_fold(self.draft.clone(), |draft, text| {
            draft.without(&["rules", rule.as_str(), "http", "paths"], &text)
        })
    }
}

/// Why no edit of the law helps, and what does.
fn not_by_an_edit(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownDestination => "no system has this name: one has to be described first",
        Reason::CountryUnknown => {
            "the address is no endpoint of the law, or of a country that cannot be told"
        }
        Reason::IdentityMissing => "every client shows a certificate",
        Reason::IdentityMismatch => {
            "certificate and address belong to different systems, which never share either"
        }
        Reason::CertificateRevoked
        | Reason::RevocationUnknown
        | Reason::CertificateExpired
        | Reason::CertificateInvalid => "the certificate or its revocation list has to be renewed",
        Reason::HostMismatch => "the client has to ask for the same name in TLS and HTTP",
        Reason::MalformedRequest => "the client has to send a well-formed request",
        Reason::UpstreamIdentity => "the upstream has to show a certificate of the destination",
        Reason::ReverseAccess
        | Reason::UnknownSource
        | Reason::DestinationNotListed
        | Reason::NoRule
        | Reason::Listener
        | Reason::IdentityUnknown
        | Reason::TlsVersion
        | Reason::Protocol
        | Reason::Method
        | Reason::Path
        | Reason::Upgrade
        | Reason::BeforeConnectionDate
        | Reason::BeforeApproval
        | Reason::AfterApproval
        | Reason::OutsideCountry
        | Reason::SiteNotDeclared
        | Reason::RoundTrip
        | Reason::IndividualNumber
        | Reason::ContentUnreadable
        | Reason::Handshake
        | Reason::Timeout
        | Reason::Limit
        | Reason::LedgerUnwritable
        | Reason::UpstreamUnreachable
        | Reason::UpstreamFailed
        | Reason::Draining => "it is not the text of the law that refuses it",
    }
}
