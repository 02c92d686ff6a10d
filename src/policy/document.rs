//! What the operator WROTE in the law's files: the same keys, each value with its place. Nothing here knows what a
//! rule means.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::model::{
    Dial, Enforcement, IndividualNumber, PathPattern, Protocol, RoundTrip, Side, Zone,
};
use super::word::{Country, OfferedVersion, Passthrough, Sha256};
use crate::flow::{Host, Identity, Method, Name, TlsVersion};
use crate::verdict::Reason;
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
    /// The keys of one file.
    PolicyText {
        optional timezone: At<Zone>,
        optional interconnection: InterconnectionText,
        optional documents: Named<DocumentText>,
        optional approvals: Named<ApprovalText>,
        optional guardrails: GuardrailsText,
        optional sites: Named<SiteText>,
        optional trust: Named<TrustText>,
        optional systems: Named<SystemText>,
        optional rules: Named<RuleText>,
        optional declarations: Named<DeclarationText>,
        optional geography: GeographyText,
        optional scenarios: Vec<ScenarioText>,
    }
    checked { required version: At<Version>, }
}

mapping! {
    /// 電算結合記録票.
    InterconnectionText {
        required business_number: Nullable<At<String>>,
        required section: At<String>,
        required name: At<String>,
        required purpose: At<String>,
        required counterparties: Vec<At<String>>,
        required categories: Vec<At<String>>,
        required connection_date: At<Moment>,
    }
}

mapping! {
    /// Where public addresses are registered.
    GeographyText {
        required file: At<String>,
        required sha256: At<Sha256>,
        required age_max: At<Duration>,
    }
}

mapping! {
    /// A document.
    DocumentText {
        optional title: At<String>,
        required clause: At<String>,
        required reference: At<String>,
        optional until: At<Moment>,
    }
}

mapping! {
    /// A decision of the council.
    ApprovalText {
        required consultation: At<String>,
        optional opinion: At<String>,
        optional amends: At<Name>,
        optional since: At<Moment>,
        optional until: At<Moment>,
    }
}

mapping! {
    /// All guardrails.
    GuardrailsText {
        optional destinations: DestinationsText,
        optional reverse_access: ReverseAccessText,
        optional residency: ResidencyText,
        optional content: ContentText,
        optional encryption: EncryptionText,
    }
}

mapping! {
    /// The only destinations.
    DestinationsText {
        required only: Vec<At<Name>>,
        optional clause: At<String>,
    }
}

mapping! {
    /// Who never opens a connection.
    ReverseAccessText {
        required never_initiates: Vec<At<Name>>,
        required clause: At<String>,
    }
}

mapping! {
    /// Where endpoints may stand.
    ResidencyText {
        required countries: Vec<At<Country>>,
        required round_trip: At<RoundTrip>,
        required clause: At<String>,
    }
}

mapping! {
    /// Who gets no individual numbers.
    ContentText {
        required no_individual_number_to: Vec<At<Name>>,
        required clause: At<String>,
    }
}

mapping! {
    /// TLS on both legs.
    EncryptionText {
        required tls: Vec<At<TlsVersion>>,
        required mutual: At<bool>,
        required passthrough: At<Passthrough>,
        required clause: At<String>,
    }
}

mapping! {
    /// Where endpoints stand.
    SiteText {
        optional title: At<String>,
        required country: At<Country>,
        required dial: At<Dial>,
        required evidence: At<Name>,
        optional round_trip_max: At<Duration>,
    }
}

mapping! {
    /// A certification authority.
    TrustText {
        required roots: At<String>,
        required revocation: RevocationText,
    }
}

mapping! {
    /// How revocation is known: one of the two.
    RevocationText {
        optional lists: Vec<At<String>>,
        optional none: At<String>,
    }
}

mapping! {
    /// One who takes part.
    SystemText {
        optional title: At<String>,
        required side: At<Side>,
        optional owner: At<String>,
        optional addresses: Vec<At<IpNet>>,
        required identities: Vec<At<Identity>>,
        optional upstream: UpstreamText,
    }
}

mapping! {
    /// How a system is reached.
    UpstreamText {
        required server_name: At<Host>,
        required line: At<Name>,
        required trust: At<Name>,
        required certificate: At<Name>,
        optional connections: At<Count>,
        required endpoints: Vec<EndpointText>,
    }
}

mapping! {
    /// One socket address.
    EndpointText {
        required address: At<SocketAddr>,
        required site: At<Name>,
        required approval: At<Name>,
        optional since: At<Moment>,
        optional until: At<Moment>,
    }
}

mapping! {
    /// One way to pass.
    RuleText {
        optional title: At<String>,
        required approval: At<Name>,
        optional since: At<Moment>,
        optional until: At<Moment>,
        optional listener: At<Name>,
        required from: Vec<At<Name>>,
        required to: At<Name>,
        required protocol: At<Protocol>,
        optional http: HttpText,
        required individual_number: At<IndividualNumber>,
        optional idle_timeout: At<Duration>,
        optional response_timeout: At<Duration>,
        optional enforcement: At<Enforcement>,
        optional upgrade: At<bool>,
    }
}

mapping! {
    /// A prepared exception for degraded operation.
    DeclarationText {
        optional title: At<String>,
        required site: At<Name>,
        required rules: Vec<At<Name>>,
        required at_most: At<Duration>,
        required approval: At<Name>,
    }
}

mapping! {
    /// What may be asked.
    HttpText {
        required methods: Vec<At<Method>>,
        required paths: Vec<At<PathPattern>>,
    }
}

mapping! {
    /// One test of the law by itself.
    ScenarioText {
        optional title: At<String>,
        required flow: FlowText,
        required expect: ExpectText,
    }
}

mapping! {
    /// The facts of a scenario.
    FlowText {
        optional from: At<IpAddr>,
        optional to_address: At<SocketAddr>,
        optional listener: At<Name>,
        optional identity: At<Identity>,
        optional identities: Vec<At<Identity>>,
        optional to: At<Name>,
        optional server_name: At<String>,
        optional host: At<String>,
        optional method: At<Method>,
        optional path: At<String>,
        optional upgrade: At<bool>,
        optional endpoint: At<SocketAddr>,
        optional tls: At<OfferedVersion>,
        optional declared: Vec<At<Name>>,
        optional at: At<Moment>,
    }
}

mapping! {
    /// The answer that is due: one of the three.
    ExpectText {
        optional allow: At<Name>,
        optional deny: At<Reason>,
        optional would_deny: At<Reason>,
    }
}
