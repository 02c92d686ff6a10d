//! The law's own tests as the operator WROTE them.

use std::net::{IpAddr, SocketAddr};

use crate::flow::{Identity, Method, Name};
use crate::policy::word::{CertificateFlaw, OfferedVersion, PeerWord};
use crate::verdict::Reason;
use crate::yaml::{At, Moment, mapping};

mapping! {
    /// One test of the law by itself.
    ScenarioText {
        /// What it shows.
        optional title: At<String>,
        /// The facts that are named; others take the most favourable value.
        required flow: FlowText,
        /// The answer that is due.
        required expect: ExpectText,
    }
}

mapping! {
    /// The facts of a scenario.
    FlowText {
        /// The source address.
        optional from: At<IpAddr>,
        /// The address that the connection was opened to.
        optional to_address: At<SocketAddr>,
        /// The listener that took it.
        optional listener: At<Name>,
        /// The name in the client certificate.
        optional identity: At<Identity>,
        /// The names in a client certificate that has several.
        optional identities: Vec<At<Identity>>,
        /// What is wrong with the client certificate.
        optional certificate: At<CertificateFlaw>,
        /// The destination.
        optional to: At<Name>,
        /// The server name asked for (SNI).
        optional server_name: At<String>,
        /// The host of the request.
        optional host: At<String>,
        /// The method.
        optional method: At<Method>,
        /// The path.
        optional path: At<String>,
        /// Whether the request asks for another protocol.
        optional upgrade: At<bool>,
        /// The socket address that is dialled.
        optional endpoint: At<SocketAddr>,
        /// What the upstream turns out to be.
        optional peer: At<PeerWord>,
        /// The TLS version that the client offers.
        optional tls: At<OfferedVersion>,
        /// The declarations that are open.
        optional declared: Vec<At<Name>>,
        /// When; where left out, when the approval of the expected rule begins.
        optional at: At<Moment>,
    }
}

mapping! {
    /// The answer that is due: one of the three.
    ExpectText {
        /// The rule that it passes by.
        optional allow: At<Name>,
        /// The reason that it is refused for.
        optional deny: At<Reason>,
        /// It passes only because its rule observes; the reason that it would be refused for.
        optional would_deny: At<Reason>,
    }
}
