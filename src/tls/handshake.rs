//! Tests: whole handshakes in memory, our leg against a plain rustls on the other side. No sockets.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
use rustls_pki_types::{PrivateKeyDer, ServerName};

use super::fixture::{Authority, Credulous, Day, Leaf, San, day, now};
use super::{Credential, TrustStore, agreed, client_refusal, hello, offered, originate};
use super::{provider, terminate, upstream_refusal};
use crate::flow::{self, Alpn, Chain, Host, Identity, Paper, TlsVersion};
use crate::verdict::Reason;

const NAME: &str = "chukan.center.example";

fn versions(text: &str) -> BTreeSet<TlsVersion> {
    let all = [TlsVersion::Tls12, TlsVersion::Tls13];
    all.into_iter().filter(|version| text.split(' ').any(|t| t == version.as_str())).collect()
}

fn credential(leaf: &Leaf) -> Credential {
    Credential::parse(leaf.chain_pem().as_bytes(), leaf.key_pem().as_bytes()).unwrap()
}

fn plain_client(versions: &BTreeSet<TlsVersion>, resolver: Option<CertifiedKey>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&super::protocol_versions(versions))
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    match resolver {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    }
}

fn certified(chain: &Leaf, key: &Leaf) -> CertifiedKey {
    let key = PrivateKeyDer::try_from(key.key.serialize_der()).unwrap();
    CertifiedKey::new(chain.chain(), provider().key_provider.load_private_key(key).unwrap())
}

/// A handshake; the first error of either side.
fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> (ClientConnection, ServerConnection, Result<(), (Side, io::Error)>) {
    let name = ServerName::try_from(NAME).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let result = converse(&mut client, &mut server);
    (client, server, result)
}

#[derive(Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

fn converse(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), (Side, io::Error)> {
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| server.read_tls(bytes).map(drop));
        server.process_new_packets().map_err(|error| (Side::Server, wrap(error)))?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| client.read_tls(bytes).map(drop));
        client.process_new_packets().map_err(|error| (Side::Client, wrap(error)))?;
    }
    Ok(())
}

fn feed(mut wire: &[u8], mut read: impl FnMut(&mut &[u8]) -> io::Result<()>) {
    while !wire.is_empty() {
        read(&mut wire).unwrap();
    }
}

fn wrap(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn client_reason(client: ClientConfig, server: &Arc<ServerConfig>) -> (Reason, &'static str) {
    let (_, _, result) = shake(&Arc::new(client), server);
    let (side, error) = result.unwrap_err();
    assert_eq!(side, Side::Server, "{error}");
    client_refusal(&error)
}

#[test]
fn a_certificate_is_asked_for_and_becomes_facts() {
    let root = Authority::new("union");
    let server =
        terminate(&credential(&root.leaf(&[San::Dns(NAME)])), &versions("1.3"), true).unwrap();
    let leaf = root.leaf(&[San::Dns("kizon.union.example")]);
    let mut client = plain_client(&versions("1.2 1.3"), Some(certified(&leaf, &leaf)));
    client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let (_, server, result) = shake(&Arc::new(client), &server);
    result.unwrap();
    assert_eq!(agreed(&server), (TlsVersion::Tls13, Some(Alpn::H2)));
    let trust = TrustStore::parse(root.pem().as_bytes(), None).unwrap();
    let Paper::Presented(certificate) = trust.paper(server.peer_certificates(), now()) else {
        panic!("a certificate was shown");
    };
    assert_eq!(certificate.chain, Chain::Trusted);
    assert!(certificate.identities.contains(&Identity::parse("dns:kizon.union.example").unwrap()));
}

#[test]
fn a_client_without_papers_and_one_of_a_stranger_reach_the_law() {
    let root = Authority::new("union");
    let server = terminate(&credential(&root.leaf(&[])), &versions("1.3"), true).unwrap();
    let trust = TrustStore::parse(root.pem().as_bytes(), None).unwrap();
    let (_, bare, result) = shake(&Arc::new(plain_client(&versions("1.3"), None)), &server);
    result.unwrap();
    assert_eq!(trust.paper(bare.peer_certificates(), now()), Paper::Absent);
    let stranger = Authority::new("rogue").leaf(&[]);
    let stranger = plain_client(&versions("1.3"), Some(certified(&stranger, &stranger)));
    let (_, strange, result) = shake(&Arc::new(stranger), &server);
    result.unwrap();
    let Paper::Presented(certificate) = trust.paper(strange.peer_certificates(), now()) else {
        panic!("a certificate was shown");
    };
    assert_eq!(certificate.chain, Chain::Untrusted);
}

#[test]
fn a_certificate_without_its_key_is_worth_nothing() {
    let root = Authority::new("union");
    let (leaf, thief) = (root.leaf(&[]), root.leaf(&[]));
    for version in ["1.2", "1.3"] {
        let server = terminate(&credential(&leaf), &versions(version), false).unwrap();
        let client = plain_client(&versions(version), Some(certified(&leaf, &thief)));
        let (reason, said) = client_reason(client, &server);
        assert_eq!(reason, Reason::Handshake);
        assert_eq!(said, "the client did not prove that it holds the key of its certificate");
    }
}

#[test]
fn only_the_permitted_versions_are_spoken() {
    let leaf = Authority::new("union").leaf(&[]);
    for (ours, theirs) in [("1.3", "1.2"), ("1.2", "1.3")] {
        let server = terminate(&credential(&leaf), &versions(ours), true).unwrap();
        let (reason, _) = client_reason(plain_client(&versions(theirs), None), &server);
        assert_eq!(reason, Reason::TlsVersion, "{ours} here, {theirs} there");
    }
    let server = terminate(&credential(&leaf), &versions("1.2 1.3"), true).unwrap();
    let (_, server, result) = shake(&Arc::new(plain_client(&versions("1.2"), None)), &server);
    result.unwrap();
    assert_eq!(agreed(&server), (TlsVersion::Tls12, None));
    assert!(terminate(&credential(&leaf), &BTreeSet::new(), true).is_err());
}

#[test]
fn every_connection_is_a_full_handshake() {
    let leaf = Authority::new("union").leaf(&[San::Dns(NAME)]);
    for version in ["1.2", "1.3"] {
        let server = terminate(&credential(&leaf), &versions(version), true).unwrap();
        // This client would resume if it could.
        let client = Arc::new(plain_client(&versions(version), Some(certified(&leaf, &leaf))));
        for _ in 0..2 {
            let (client, server, result) = shake(&client, &server);
            result.unwrap();
            assert_ne!(server.handshake_kind(), Some(HandshakeKind::Resumed));
            assert_eq!(client.tls13_tickets_received(), 0);
        }
    }
}

#[test]
fn the_application_protocol_is_answered_for_http_only() {
    let leaf = Authority::new("union").leaf(&[]);
    let mut client = plain_client(&versions("1.3"), None);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let raw = terminate(&credential(&leaf), &versions("1.3"), false).unwrap();
    let (_, server, result) = shake(&Arc::new(client.clone()), &raw);
    result.unwrap();
    assert_eq!(agreed(&server).1, None);
    client.alpn_protocols = vec![b"ftp".to_vec()];
    let http = terminate(&credential(&leaf), &versions("1.3"), true).unwrap();
    assert_eq!(client_reason(client, &http).0, Reason::Protocol);
}

/// An upstream that demands a certificate of `root`.
fn upstream(root: &Authority, leaf: &Leaf) -> Arc<ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified(leaf, leaf))));
    config.time_provider = Arc::new(Day);
    Arc::new(config)
}

fn dial(root: &Authority, lists: &[Vec<u8>], identity: &str) -> Arc<ClientConfig> {
    let trust = TrustStore::parse(root.pem().as_bytes(), Some(lists)).unwrap();
    let ours = root.leaf(&[San::Dns("edge.union.example")]);
    let identity = Identity::parse(identity).unwrap();
    let config =
        originate(&credential(&ours), &trust, &[identity], &versions("1.3"), true).unwrap();
    let mut config = ClientConfig::clone(&config);
    config.time_provider = Arc::new(Day);
    Arc::new(config)
}

#[test]
fn an_upstream_that_is_who_it_should_be_sees_our_certificate() {
    let root = Authority::new("center");
    let leaf = root.leaf(&[San::Dns(NAME), San::Uri("urn:center:chukan")]);
    let pin = super::identities(&leaf.certificate).unwrap().pop().unwrap().to_string();
    for identity in ["dns:chukan.center.example", "uri:urn:center:chukan", &pin] {
        let client = dial(&root, &[root.list(&[], 3)], identity);
        for _ in 0..2 {
            let (client, server, result) = shake(&client, &upstream(&root, &leaf));
            result.unwrap();
            assert!(server.peer_certificates().is_some());
            assert_eq!(agreed(&client), (TlsVersion::Tls13, None));
            assert_ne!(client.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
}

#[test]
fn a_wrong_upstream_is_refused_before_it_sees_our_certificate() {
    let root = Authority::new("center");
    let identity = "dns:chukan.center.example";
    let named = || root.leaf(&[San::Dns(NAME)]);
    let expired = root.leaf_with(&[San::Dns(NAME)], |params| {
        (params.not_before, params.not_after) = (day(-9), day(-1));
    });
    let early = root.leaf_with(&[San::Dns(NAME)], |params| params.not_before = day(1));
    let good = || vec![root.list(&[], 3)];
    let table = [
        (
            named(),
            good(),
            "dns:other.center.example",
            "the upstream's certificate has none of the system's identities",
        ),
        (
            root.leaf(&[San::Dns("other.example")]),
            good(),
            identity,
            "the upstream's certificate is for another server name",
        ),
        (
            root.leaf(&[San::Dns("*.center.example")]),
            good(),
            identity,
            "the upstream's certificate is for another server name",
        ),
        (
            Authority::new("center").leaf(&[San::Dns(NAME)]),
            good(),
            identity,
            "the upstream's certificate does not lead to the trust of the law, or is not for servers",
        ),
        (expired, good(), identity, "the upstream's certificate has expired"),
        (early, good(), identity, "the upstream's certificate is not valid yet"),
        (named(), vec![root.list(&[7], 3)], identity, "the upstream's certificate is revoked"),
        (
            named(),
            vec![root.list(&[], -1)],
            identity,
            "the revocation list for the upstream is overdue",
        ),
        (
            named(),
            vec![Authority::new("other").list(&[], 3)],
            identity,
            "no revocation list covers the upstream",
        ),
    ];
    for (leaf, lists, identity, said) in table {
        let (_, server, result) = shake(&dial(&root, &lists, identity), &upstream(&root, &leaf));
        let (side, error) = result.unwrap_err();
        assert_eq!(side, Side::Client);
        assert_eq!(upstream_refusal(&error), (Reason::UpstreamIdentity, said));
        assert!(server.peer_certificates().is_none(), "{said}");
    }
}

#[test]
fn an_upstream_that_refuses_our_certificate_failed_and_is_no_stranger() {
    let (root, other) = (Authority::new("center"), Authority::new("other"));
    let client = dial(&root, &[root.list(&[], 3)], "dns:chukan.center.example");
    let server = upstream(&other, &root.leaf(&[San::Dns(NAME)]));
    let (mut client, mut server, result) = shake(&client, &server);
    assert_eq!(result.unwrap_err().0, Side::Server);
    let mut alert = Vec::new();
    server.write_tls(&mut alert).unwrap();
    feed(&alert, |bytes| client.read_tls(bytes).map(drop));
    let error = wrap(client.process_new_packets().unwrap_err());
    let refused = (Reason::UpstreamFailed, "the upstream refused the certificate of this box");
    assert_eq!(upstream_refusal(&error), refused);
}

/// The first flight of a client that asks for `name`.
fn first_flight(name: Option<&str>) -> Vec<u8> {
    let mut config = plain_client(&versions("1.2 1.3"), None);
    config.enable_sni = name.is_some();
    config.alpn_protocols = vec![b"h2".to_vec(), b"x".to_vec()];
    let name = ServerName::try_from(name.unwrap_or(NAME).to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).unwrap();
    }
    wire
}

fn facts(wire: &[u8]) -> Result<(flow::Hello, Vec<Alpn>), (Reason, &'static str)> {
    let mut acceptor = Acceptor::default();
    feed(wire, |bytes| acceptor.read_tls(bytes).map(drop));
    let accepted = acceptor.accept().map_err(|(error, _)| client_refusal(&wrap(error)))?;
    let accepted = accepted.expect("a whole hello");
    Ok((hello(&accepted.client_hello()), offered(&accepted.client_hello())))
}

fn replaced(wire: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = memchr::memmem::find(wire, from.as_bytes()).unwrap();
    let mut wire = wire.to_vec();
    wire[at..at + to.len()].copy_from_slice(to.as_bytes());
    wire
}

#[test]
fn the_hello_says_the_name_the_version_and_the_protocols() {
    let (hello, alpn) = facts(&first_flight(Some("Chukan.Center.example"))).unwrap();
    assert_eq!(hello.server_name, flow::ServerName::Name(Host::parse(NAME).unwrap()));
    assert_eq!((hello.version, alpn), (TlsVersion::Tls13, vec![Alpn::H2]));
}

#[test]
fn a_name_that_is_missing_or_none_ends_in_host_mismatch_one_way_or_the_other() {
    let name = |wire: &[u8]| facts(wire).map(|(hello, _)| hello.server_name);
    assert_eq!(name(&first_flight(None)), Ok(flow::ServerName::Missing));
    let wire = first_flight(Some("kizon.union.example"));
    let literal = replaced(&wire, "kizon.union.example", "2001:db8:1:2:3:4::5");
    assert_eq!(name(&literal), Ok(flow::ServerName::Missing));
    for bad in ["kizon union example", "kizon\0union.example", "\x1b[31m.union.examp\r\n"] {
        let (reason, _) = name(&replaced(&wire, "kizon.union.example", bad)).unwrap_err();
        assert_eq!(reason, Reason::HostMismatch, "{bad:?}");
    }
}

#[test]
fn an_old_version_and_no_tls_at_all_are_told_apart() {
    let mut old = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    old.extend([7; 32]);
    old.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    assert_eq!(facts(&old).unwrap_err().0, Reason::TlsVersion);
    let (reason, said) = facts(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err();
    assert_eq!((reason, said), (Reason::Handshake, "the client does not speak TLS"));
}

#[test]
fn a_broken_connection_is_told_from_a_slow_one() {
    for (kind, client, upstream) in [
        (io::ErrorKind::UnexpectedEof, Reason::Handshake, Reason::UpstreamFailed),
        (io::ErrorKind::ConnectionReset, Reason::Handshake, Reason::UpstreamFailed),
        (io::ErrorKind::TimedOut, Reason::Timeout, Reason::Timeout),
    ] {
        assert_eq!(client_refusal(&kind.into()).0, client);
        assert_eq!(upstream_refusal(&kind.into()).0, upstream);
    }
}
