//! What is said: real handshakes of a TLS library cut into segments, and HTTP/1 with its framings.

use std::io::Read;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName as Sought};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
};

use crate::capture::{Application, Bounds, Connection, HttpHead, Inspect, Part, Side, Sink};
use crate::flow::{Alpn, Host, ServerName, TlsVersion};

use super::packet::{ACK, Bytes, Wire, eth, ip, udp};
use super::store::{connections, plain, read_all};

const CLIENT: &str = "10.13.10.5:50000";
const SERVER: &str = "10.13.0.1:8443";
const NAME: &str = "chukan.center.example";

/// What both ends of a whole mutual handshake send, and the two certificates.
struct Spoken {
    flights: Vec<(usize, Bytes)>,
    client: Bytes,
    server: Bytes,
}

fn handshake(version: &'static rustls::SupportedProtocolVersion) -> Spoken {
    let issued = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (client, server) = (issued("kizon.union.example"), issued(NAME));
    let mut roots = RootCertStore::empty();
    roots.add(client.cert.der().clone()).unwrap();
    roots.add(server.cert.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let provider = Arc::new(default_provider());
    let key = |pair: &rcgen::KeyPair| PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let mut serving = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.cert.der().clone()], key(&server.signing_key))
        .unwrap();
    serving.alpn_protocols = vec![b"h2".to_vec()];
    let mut asking = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![client.cert.der().clone()], key(&client.signing_key))
        .unwrap();
    asking.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut one = ClientConnection::new(Arc::new(asking), Sought::try_from(NAME).unwrap()).unwrap();
    let mut other = ServerConnection::new(Arc::new(serving)).unwrap();
    let mut flights = Vec::new();
    while one.is_handshaking() || other.is_handshaking() {
        flights.push((0, pass(&mut one, &mut other)));
        flights.push((1, pass(&mut other, &mut one)));
    }
    let der = |cert: &rcgen::Certificate| cert.der().to_vec();
    Spoken { flights, client: der(&client.cert), server: der(&server.cert) }
}

fn pass<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> Bytes {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest.by_ref()).unwrap();
        to.process_new_packets().unwrap();
    }
    bytes
}

/// The flights as segments of `size` bytes each.
fn segments(flights: &[(usize, Bytes)], size: usize) -> Wire {
    let mut wire = Wire::new(CLIENT, SERVER).open();
    for (end, bytes) in flights {
        for part in bytes.chunks(size) {
            wire = if *end == 0 { wire.ask(part) } else { wire.tell(part) };
        }
    }
    wire
}

fn only(frames: &[Bytes]) -> Connection {
    let (mut found, _) = connections(&plain(frames));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn name() -> ServerName {
    ServerName::Name(Host::parse(NAME).unwrap())
}

#[test]
fn a_handshake_is_read_whatever_its_segments() {
    let spoken = handshake(&rustls::version::TLS13);
    for size in [1, 7, 100, 1400, 60_000] {
        let one = only(&segments(&spoken.flights, size).close().frames);
        let hello = one.hello.as_ref().unwrap_or_else(|| panic!("segments of {size}"));
        assert_eq!((&hello.server_name, hello.best), (&name(), TlsVersion::Tls13));
        assert_eq!(hello.versions, [0x0304]);
        assert_eq!(hello.alpn.iter().map(|each| &**each).collect::<Vec<_>>(), ["h2", "http/1.1"]);
        let chosen = one.handshake.unwrap();
        assert_eq!(
            (chosen.version, chosen.alpn),
            (TlsVersion::Tls13, None),
            "its protocol is encrypted"
        );
        assert!(
            one.server_chain.is_none() && one.client_chain.is_none(),
            "a capture cannot see them"
        );
        assert_eq!(one.application, Application::Tls);
        assert_eq!(hello.fact(one.handshake).version, TlsVersion::Tls13);
    }
}

#[test]
fn certificates_before_tls_1_3_are_seen() {
    let spoken = handshake(&rustls::version::TLS12);
    for size in [1, 333, 60_000] {
        let one = only(&segments(&spoken.flights, size).frames);
        let ends = (one.server_chain.unwrap(), one.client_chain.unwrap());
        assert_eq!(&*ends.0.certificates[0], spoken.server.as_slice());
        assert_eq!(&*ends.1.certificates[0], spoken.client.as_slice());
        let chosen = one.handshake.unwrap();
        assert_eq!((chosen.version, chosen.alpn), (TlsVersion::Tls12, Some(Alpn::H2)));
    }
}

#[test]
fn segments_out_of_order_twice_and_overlapping_are_one_hello() {
    let spoken = handshake(&rustls::version::TLS13);
    let hello = &spoken.flights[0].1;
    let mut wire = Wire::new(CLIENT, SERVER).open();
    let third = hello.len() / 3;
    let at = |offset: usize| u32::try_from(offset).unwrap();
    wire.frame(0, ACK, at(2 * third), &hello[2 * third..]);
    wire.frame(0, ACK, at(third), &hello[third..2 * third]);
    wire.frame(0, ACK, at(third), &hello[third..2 * third]);
    wire.frame(0, ACK, 0, &hello[..third + 5]);
    let one = only(&wire.frames);
    assert_eq!(one.hello.unwrap().server_name, name());
    assert_eq!(one.bytes_to_responder, hello.len() as u64);
}

#[test]
fn a_hello_split_over_many_records_is_one_hello() {
    let spoken = handshake(&rustls::version::TLS13);
    let message = &spoken.flights[0].1[5..];
    let mut records = Vec::new();
    for part in message.chunks(50) {
        records.extend([&[0x16, 3, 1, 0, u8::try_from(part.len()).unwrap()], part].concat());
    }
    let one = only(&Wire::new(CLIENT, SERVER).open().ask(&records).frames);
    assert_eq!(one.hello.unwrap().server_name, name());
}

#[test]
fn a_hole_in_a_hello_leaves_it_unknown_and_is_counted() {
    let spoken = handshake(&rustls::version::TLS13);
    let hello = &spoken.flights[0].1;
    let mut wire = Wire::new(CLIENT, SERVER).open();
    wire.frame(0, ACK, 0, &hello[..50]);
    wire.frame(0, ACK, 60, &hello[60..]);
    let (found, coverage) = connections(&plain(&wire.frames));
    assert!(found[0].hello.is_none());
    assert_eq!((found[0].application, coverage.gap_bytes), (Application::Tls, 10));
}

#[test]
fn tls_after_clear_text_is_found() {
    let spoken = handshake(&rustls::version::TLS12);
    let mut wire = Wire::new(CLIENT, SERVER)
        .open()
        .tell(b"220 ready\r\n")
        .ask(b"STARTTLS\r\n")
        .tell(b"220 go\r\n");
    for (end, bytes) in &spoken.flights {
        wire = if *end == 0 { wire.ask(bytes) } else { wire.tell(bytes) };
    }
    let one = only(&wire.frames);
    assert_eq!(one.application, Application::Upgraded);
    assert_eq!(one.hello.unwrap().server_name, name());
    assert_eq!(&*one.server_chain.unwrap().certificates[0], spoken.server.as_slice());
}

#[test]
fn tls_through_a_proxy_is_found_behind_the_request_for_it() {
    let spoken = handshake(&rustls::version::TLS12);
    let mut wire = Wire::new(CLIENT, "10.13.0.1:3128").open();
    wire = wire.ask(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    wire = wire.tell(b"HTTP/1.1 200 OK\r\n\r\n");
    for (end, bytes) in &spoken.flights {
        wire = if *end == 0 { wire.ask(bytes) } else { wire.tell(bytes) };
    }
    let one = only(&wire.frames);
    assert_eq!((one.application, said(&one.heads).len()), (Application::Upgraded, 1));
    assert_eq!(one.hello.unwrap().server_name, name());
    assert_eq!(one.handshake.unwrap().version, TlsVersion::Tls12);
    assert_eq!(&*one.client_chain.unwrap().certificates[0], spoken.client.as_slice());
}

#[test]
fn old_hellos_are_known_as_old() {
    let ssl2 = [&[0x80, 0x2e, 1, 3, 0, 0, 21, 0, 0, 0, 16][..], &[7; 37]].concat();
    let mut ssl3 =
        [&[0x16, 3, 0, 0, 45, 1, 0, 0, 41, 3, 0][..], &[9; 32], &[0, 0, 2, 0, 5, 1, 0]].concat();
    for hello in [&ssl3, &ssl2] {
        let one = only(&Wire::new(CLIENT, SERVER).open().ask(hello).frames);
        let hello = one.hello.unwrap();
        assert_eq!(
            (hello.server_name, hello.best, hello.versions),
            (ServerName::Missing, TlsVersion::Old, vec![0x0300])
        );
    }
    // Lengths that lie tell nothing and break nothing.
    ssl3[44] = 255;
    assert!(only(&Wire::new(CLIENT, SERVER).open().ask(&ssl3).frames).hello.is_none());
}

#[test]
fn a_quic_initial_is_recognised() {
    let initial = [&[0xc3, 0, 0, 0, 1, 8][..], &[7; 1194]].concat();
    let (from, to) = ("10.13.10.5".parse().unwrap(), "10.13.0.1".parse().unwrap());
    let one = only(&[eth(0x0800, &ip(from, to, 17, &udp(50_000, 443, &initial)))]);
    assert_eq!(one.application, Application::Quic(1));
}

fn requests(parts: &[&[u8]]) -> Connection {
    let wire =
        parts.iter().fold(Wire::new(CLIENT, "10.13.0.1:80").open(), |wire, part| wire.ask(part));
    only(&wire.tell(b"HTTP/1.1 200 OK\r\n\r\n").frames)
}

fn said(heads: &[HttpHead]) -> Vec<(&str, Option<&str>, &str)> {
    heads.iter().map(|head| (&*head.method, head.host.as_deref(), &*head.path)).collect()
}

#[test]
fn every_request_of_a_connection_is_read() {
    let text: &[u8] = b"POST /a?secret=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nGET /\
        PUT /b HTTP/1.1\r\nhost:b.example\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\nGET /no HTTP/1.1\r\n0\r\nTrailer: x\r\n\r\n\r\n\
        GET http://c.example/c#f HTTP/1.1\r\nHost: other\r\n\r\n\
        GET /two HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n\
        CONNECT d.example:443 HTTP/1.1\r\nHost: d.example:443\r\n\r\n";
    let expected = [
        ("POST", Some("a.example"), "/a"),
        ("PUT", Some("b.example"), "/b"),
        ("GET", Some("c.example"), "/c"),
        ("GET", None, "/two"),
        ("CONNECT", Some("d.example:443"), "d.example:443"),
    ];
    for size in [1, 2, 13, 1400] {
        let parts: Vec<&[u8]> = text.chunks(size).collect();
        let one = requests(&parts);
        assert_eq!(said(&one.heads), expected, "segments of {size}");
        assert_eq!((one.application, one.heads_lost), (Application::Http, 0));
        assert!(one.heads[4].upgrade && !one.heads[0].upgrade);
    }
}

#[test]
fn heads_that_are_not_read_are_counted() {
    let one = requests(&[
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /next HTTP/1.1\r\n\r\n",
    ]);
    assert_eq!(
        said(&one.heads),
        [("GET", None, "/"), ("GET", None, "/next")],
        "found again where a segment begins"
    );
    let one = requests(&[b"GET / HTTP/1.1\r\n\r\n", b"GET nonsense\r\n\r\n"]);
    assert_eq!((one.heads.len(), one.heads_lost), (1, 1));
    let one = requests(&[b"GET /x: this is no HTTP\r\n\r\n"]);
    assert_eq!((one.heads.len(), one.application), (0, Application::Other));
    let one = requests(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"]);
    assert_eq!(
        (one.application, one.heads_lost),
        (Application::Http, 1),
        "HTTP/2 in clear is known, not read"
    );
    let many: Bytes = b"GET / HTTP/1.1\r\n\r\n".repeat(5);
    let bounds = Bounds { heads: 3, ..Bounds::default() };
    let mut found = Vec::new();
    let file = plain(&Wire::new(CLIENT, SERVER).open().ask(&many).frames);
    read_all(&[&file], &bounds, &mut |each: Connection| found.push(each));
    assert_eq!((found[0].heads.len(), found[0].heads_lost), (3, 2));
}

#[test]
fn a_hole_inside_a_body_loses_no_request() {
    let mut wire = Wire::new(CLIENT, "10.13.0.1:80").open();
    wire = wire.ask(b"POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
    wire.move_on(0, 990);
    wire.frame(0, ACK, 0, b"0123456789GET /b HTTP/1.1\r\n\r\n");
    let one = only(&wire.frames);
    assert_eq!(said(&one.heads), [("POST", None, "/a"), ("GET", None, "/b")]);
    assert_eq!(one.gap_to_responder.bytes, 990);
}

/// Keeps what it is shown.
#[derive(Default)]
struct Watch {
    shown: Vec<(Side, u64, Bytes)>,
    connections: Vec<Connection>,
}

impl Sink for Watch {
    fn connection(&mut self, connection: Connection) {
        self.connections.push(connection);
    }

    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        Some(self)
    }
}

impl Inspect for Watch {
    fn depth(&self) -> u64 {
        10
    }

    fn part(&mut self, part: &Part<'_>) {
        let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        let ends = if part.side == Side::Initiator { (client, server) } else { (server, client) };
        assert_eq!((part.sender, part.receiver, part.connection), (ends.0, ends.1, 0));
        self.shown.push((part.side, part.offset, part.bytes.to_vec()));
    }
}

#[test]
fn clear_bytes_are_shown_in_order_up_to_the_depth_asked_for() {
    let mut wire = Wire::new(CLIENT, SERVER).open();
    wire.frame(0, ACK, 3, b"defg");
    wire.frame(0, ACK, 0, b"abc");
    wire.frame(0, ACK, 7, b"hijklmn");
    wire.frame(0, ACK, 14, b"never shown");
    let wire = wire.tell(b"ok");
    let mut watch = Watch::default();
    read_all(&[&plain(&wire.frames)], &Bounds::default(), &mut watch);
    let expected: [(Side, u64, &[u8]); 4] = [
        (Side::Initiator, 0, b"abc"),
        (Side::Initiator, 3, b"defg"),
        (Side::Initiator, 7, b"hij"),
        (Side::Responder, 0, b"ok"),
    ];
    let shown: Vec<_> = watch
        .shown
        .iter()
        .map(|(side, offset, bytes)| (*side, *offset, bytes.as_slice()))
        .collect();
    assert_eq!(shown, expected);
    assert_eq!(watch.connections.len(), 1);
}

#[test]
fn what_is_encrypted_is_not_shown() {
    let spoken = handshake(&rustls::version::TLS13);
    let mut watch = Watch::default();
    read_all(&[&plain(&segments(&spoken.flights, 1400).frames)], &Bounds::default(), &mut watch);
    assert!(watch.shown.is_empty());
}
