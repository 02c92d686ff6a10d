//! What the operator WROTE in the law's files: the same keys, each value with its place. Nothing here knows what a
//! rule means.

mod scenario;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub(super) use scenario::{ExpectText, FlowText, ScenarioText};

use super::model::{
    Dial, Enforcement, IndividualNumber, PathPattern, Protocol, RoundTrip, Side, Zone,
};
use super::word::{Country, Passthrough, Sha256};
use crate::flow::{Host, Identity, Method, Name, TlsVersion};
use crate::yaml::{
    At, Count, Faults, Kind, Moment, Named, Nullable, Place, Read, SourceFile, Version, mapping,
    parse as yaml,
};

/// One file of the law.
#[derive(Debug)]
pub(super) struct FileText {
    /// Where its keys are, also of those whose value is wrong.
    pub(super) sections: Vec<(Arc<str>, Place)>,
    /// What could be read.
    pub(super) text: PolicyText,
}

/// Reads one file of the law.
pub(super) fn parse(file: &SourceFile, faults: &mut Faults) -> Option<FileText> {
    let root = yaml(file, faults)?;
    let text = PolicyText::read(&root, faults)?;
    let Kind::Mapping(entries) = root.kind else { return None };
    let sections =
        entries.iter().map(|entry| (Arc::clone(&entry.key), entry.place.clone())).collect();
    Some(FileText { sections, text })
}

mapping! {
    /// One file of the law: all `*.yaml` of the directory are read in name order and merged by key.
    PolicyText {
        /// The zone in which dates without a time are read: `Asia/Tokyo`, `UTC` or a fixed offset such as `+09:00`.
        optional timezone: At<Zone>,
        /// The interconnection record (電算結合記録票).
        optional interconnection: InterconnectionText,
        /// What is proven on paper; `check` warns 60 days before `until`.
        optional documents: Named<DocumentText>,
        /// The council's decisions that rules, endpoints and declarations stand on.
        optional approvals: Named<ApprovalText>,
        /// What no rule can widen.
        optional guardrails: GuardrailsText,
        /// Where endpoints stand.
        optional sites: Named<SiteText>,
        /// Who may issue certificates.
        optional trust: Named<TrustText>,
        /// Everybody who takes part.
        optional systems: Named<SystemText>,
        /// The only ways to pass; their order never matters.
        optional rules: Named<RuleText>,
        /// Prepared exceptions for degraded operation (縮退運転), opened by an operator for a limited time.
        optional declarations: Named<DeclarationText>,
        /// A file that says where public addresses are registered.
        optional geography: GeographyText,
        /// The law's own tests; `check` runs them.
        optional scenarios: Vec<ScenarioText>,
    }
    checked {
        /// The version of the file format: 1.
        required version: At<Version>,
    }
}

mapping! {
    /// The interconnection record (電算結合記録票).
    InterconnectionText {
        /// 業務登録番号, or null where the record is blank.
        required business_number: Nullable<At<String>>,
        /// The section in charge.
        required section: At<String>,
        /// The name of the interconnection.
        required name: At<String>,
        /// What it is for.
        required purpose: At<String>,
        /// The other parties; who owns a system of the centre is one of them.
        required counterparties: Vec<At<String>>,
        /// The categories of data, as in the record.
        required categories: Vec<At<String>>,
        /// 結合年月日: nothing passes before it.
        required connection_date: At<Moment>,
    }
}

mapping! {
    /// Where public addresses are registered.
    GeographyText {
        /// RIR delegated-extended statistics, a `.mmdb` database or a list of CIDR blocks; relative to this file.
        required file: At<String>,
        /// The SHA-256 of the file, as `sha256sum` writes it.
        required sha256: At<Sha256>,
        /// After this time, counted from the file's own date, it is no longer believed.
        required age_max: At<Duration>,
    }
}

mapping! {
    /// What is proven on paper.
    DocumentText {
        /// Its title.
        optional title: At<String>,
        /// The clause of the consultation that it speaks to.
        required clause: At<String>,
        /// Where it is kept.
        required reference: At<String>,
        /// Its last day.
        optional until: At<Moment>,
    }
}

mapping! {
    /// A decision of the council.
    ApprovalText {
        /// 諮問.
        required consultation: At<String>,
        /// 答申, when there is one.
        optional opinion: At<String>,
        /// The approval that this one amends.
        optional amends: At<Name>,
        /// Its first day, from 00:00, or a time.
        optional since: At<Moment>,
        /// Its last day, to 24:00, or a time.
        optional until: At<Moment>,
    }
}

mapping! {
    /// What no rule can widen; each is optional and warned of where it is absent.
    GuardrailsText {
        /// The only systems that anybody may be led to.
        optional destinations: DestinationsText,
        /// The systems that may never open a connection.
        optional reverse_access: ReverseAccessText,
        /// The countries in which endpoints may stand.
        optional residency: ResidencyText,
        /// The systems toward which no individual number may go.
        optional content: ContentText,
        /// TLS on both legs.
        optional encryption: EncryptionText,
    }
}

mapping! {
    /// The only destinations.
    DestinationsText {
        /// The systems that rules may lead to.
        required only: Vec<At<Name>>,
        /// The clause behind it.
        optional clause: At<String>,
    }
}

mapping! {
    /// Who never opens a connection.
    ReverseAccessText {
        /// Refused by address and by certificate, before any rule is looked at.
        required never_initiates: Vec<At<Name>>,
        /// The clause behind it.
        required clause: At<String>,
    }
}

mapping! {
    /// Where endpoints may stand.
    ResidencyText {
        /// The permitted countries.
        required countries: Vec<At<Country>>,
        /// What is done about a round trip that is longer than the site permits.
        required round_trip: At<RoundTrip>,
        /// The clause behind it.
        required clause: At<String>,
    }
}

mapping! {
    /// Who gets no individual numbers.
    ContentText {
        /// Rules toward these systems say `individual_number: forbidden`.
        required no_individual_number_to: Vec<At<Name>>,
        /// The clause behind it.
        required clause: At<String>,
    }
}

mapping! {
    /// TLS on both legs.
    EncryptionText {
        /// The permitted versions.
        required tls: Vec<At<TlsVersion>>,
        /// Whether both sides show a certificate.
        required mutual: At<bool>,
        /// Whether TLS may pass unterminated.
        required passthrough: At<Passthrough>,
        /// The clause behind it.
        required clause: At<String>,
    }
}

mapping! {
    /// A place where endpoints stand.
    SiteText {
        /// Its title.
        optional title: At<String>,
        /// The country it lies in.
        required country: At<Country>,
        /// When its endpoints may be dialled: always, only while a declaration is open, never.
        required dial: At<Dial>,
        /// The document that shows where it is.
        required evidence: At<Name>,
        /// The longest round trip that fits it.
        optional round_trip_max: At<Duration>,
    }
}

mapping! {
    /// A certification authority.
    TrustText {
        /// A PEM file with its roots, relative to this file.
        required roots: At<String>,
        /// How revocation is known.
        required revocation: RevocationText,
    }
}

mapping! {
    /// How revocation is known: `lists`, or `none` with the reason.
    RevocationText {
        /// Revocation lists, PEM or DER; all of them are read.
        optional lists: Vec<At<String>>,
        /// Why there is no list.
        optional none: At<String>,
    }
}

mapping! {
    /// One who takes part.
    SystemText {
        /// Its title.
        optional title: At<String>,
        /// The side of the line that it stands on.
        required side: At<Side>,
        /// Who answers for it; needed with `upstream`.
        optional owner: At<String>,
        /// Its addresses besides its endpoints; needed where there is no `upstream`.
        optional addresses: Vec<At<IpNet>>,
        /// The names that its certificates carry.
        required identities: Vec<At<Identity>>,
        /// How it is reached; without it nobody is led to it.
        optional upstream: UpstreamText,
    }
}

mapping! {
    /// How a system is reached.
    UpstreamText {
        /// The name that clients ask for and that its certificate carries.
        required server_name: At<Host>,
        /// The line of the box that it is dialled on.
        required line: At<Name>,
        /// Who issues its certificate.
        required trust: At<Name>,
        /// The certificate of the box that it is shown.
        required certificate: At<Name>,
        /// The most connections to each endpoint, from this box.
        optional connections: At<Count>,
        /// Its socket addresses, in order of preference.
        required endpoints: Vec<EndpointText>,
    }
}

mapping! {
    /// One socket address.
    EndpointText {
        /// Address and port.
        required address: At<SocketAddr>,
        /// Where it stands.
        required site: At<Name>,
        /// The approval that it stands on.
        required approval: At<Name>,
        /// Narrows the approval: its first day or a time.
        optional since: At<Moment>,
        /// Narrows the approval: its last day or a time.
        optional until: At<Moment>,
    }
}

mapping! {
    /// One way to pass.
    RuleText {
        /// Its title.
        optional title: At<String>,
        /// The approval that it stands on.
        required approval: At<Name>,
        /// Narrows the approval: its first day or a time.
        optional since: At<Moment>,
        /// Narrows the approval: its last day or a time.
        optional until: At<Moment>,
        /// The listener of the box that it holds on; any where left out.
        optional listener: At<Name>,
        /// The systems that it is for, each known by its address and its certificate.
        required from: Vec<At<Name>>,
        /// The system that it leads to.
        required to: At<Name>,
        /// What it speaks.
        required protocol: At<Protocol>,
        /// What may be asked; needed for `https`, and wrong elsewhere.
        optional http: HttpText,
        /// Whether individual numbers may go this way; `unseen` where nobody can look.
        required individual_number: At<IndividualNumber>,
        /// The box's where left out.
        optional idle_timeout: At<Duration>,
        /// The box's where left out.
        optional response_timeout: At<Duration>,
        /// `observe`: what does not fit method, path or upgrade passes and is recorded as would deny.
        optional enforcement: At<Enforcement>,
        /// Whether a request may switch to another protocol.
        optional upgrade: At<bool>,
    }
}

mapping! {
    /// A prepared exception for degraded operation (縮退運転).
    DeclarationText {
        /// Its title.
        optional title: At<String>,
        /// The site that it opens; one with `dial: declared`.
        required site: At<Name>,
        /// The rules that it opens it for.
        required rules: Vec<At<Name>>,
        /// The longest it may stay open.
        required at_most: At<Duration>,
        /// The approval that it stands on.
        required approval: At<Name>,
    }
}

mapping! {
    /// What may be asked.
    HttpText {
        /// The methods.
        required methods: Vec<At<Method>>,
        /// Patterns: `*` is one segment, `**` (last only) one or more; the query is not judged.
        required paths: Vec<At<PathPattern>>,
    }
}
