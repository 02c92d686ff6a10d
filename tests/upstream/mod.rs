//! The upstream leg: failover along judged endpoints only, strangers, sessions that are never resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sekisho::lab::{CHUKAN, CHUKEI, Folder, Line, issue};
use sekisho::standin::{Speak, Talk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::fixture::{Checkpoint, SCENARIOS, SYSTEMS, assert_refused, get_ask};

fn osaka_always(folder: &Folder) {
    // One of the law's own tests says that Osaka is not dialled.
    folder.write(SCENARIOS, "version: 1\n").unwrap();
    folder.edit(SYSTEMS, "dial: declared", "dial: always").unwrap();
}

#[test]
fn failover_goes_to_the_next_judged_endpoint_and_comes_back() {
    let mut site = Checkpoint::with(osaka_always);
    site.stop_tokyo();
    site.run(async {
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_eq!(answer.status, 200);
        let failed = site.entry(0, "failed", Some("upstream_unreachable")).await;
        assert_eq!(failed.fact("endpoint"), Some(site.ground.socket(101, 10).to_string().as_str()));
        let to_osaka = |line: &Line| line.kind == "dialled" && line.fact("site") == Some("osaka");
        assert!(site.record.wait(0, to_osaka).await.unwrap().is_some());
    });
    assert_eq!(site.center.osaka.witness().requests(), 1);
}

#[test]
fn where_the_law_bars_the_last_live_endpoint_its_reason_is_given_and_nothing_is_dialled() {
    let mut site = Checkpoint::new();
    site.stop_tokyo();
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            let mark = site.head();
            let answer = site.open(speak).await.ask(get_ask("/exchange/x")).await.unwrap();
            assert_refused(&answer, 403, "site_not_declared");
            site.entry(mark, "refused", Some("site_not_declared")).await;
        }
    });
    assert_eq!(site.center.osaka.witness().accepted(), 0);
}

#[test]
fn where_all_permitted_endpoints_are_dead_it_is_unreachable() {
    let mut site = Checkpoint::with(osaka_always);
    site.stop_tokyo();
    site.stop_osaka();
    site.run(async {
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_refused(&answer, 502, "upstream_unreachable");
        let first = site.entry(0, "failed", Some("upstream_unreachable")).await;
        let second = site.entry(first.seq, "failed", Some("upstream_unreachable")).await;
        assert_ne!(first.fact("endpoint"), second.fact("endpoint"), "both were tried");
    });
}

#[test]
fn a_stranger_at_the_address_sees_no_certificate_and_is_no_reason_to_go_elsewhere() {
    let mut site = Checkpoint::with(osaka_always);
    site.replace_tokyo("stranger.center.example", Talk::Http);
    site.run(async {
        for speak in [Speak::Http11, Speak::H2] {
            let mark = site.head();
            let answer = site.open(speak).await.ask(get_ask("/exchange/x")).await.unwrap();
            assert_refused(&answer, 502, "upstream_identity");
            site.entry(mark, "failed", Some("upstream_identity")).await;
        }
    });
    let stranger = site.center.tokyo.witness();
    assert_eq!((stranger.accepted(), stranger.handshakes()), (2, 0));
    assert_eq!(site.center.osaka.witness().accepted(), 0);
}

#[test]
fn the_right_name_under_another_authority_is_a_stranger_too() {
    let mut site = Checkpoint::new();
    site.replace_tokyo_by_rogue();
    site.run(async {
        let answer = site.open(Speak::Http11).await.ask(get_ask("/exchange/x")).await.unwrap();
        assert_refused(&answer, 502, "upstream_identity");
    });
    assert_eq!(site.center.tokyo.witness().handshakes(), 0);
}

/// Counts the tickets that it is given, and keeps none.
#[derive(Debug, Default)]
struct Tickets(AtomicUsize);

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

fn config(
    site: &Checkpoint,
    shown: &sekisho::standin::Issued,
    tickets: &Arc<Tickets>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(site.papers.pki.union.pem().as_bytes()).unwrap())
        .unwrap();
    let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(sekisho::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    let store: Arc<dyn ClientSessionStore> = Arc::clone(tickets) as _;
    config.resumption = Resumption::store(store);
    config
}

#[test]
fn no_ticket_is_given_and_every_handshake_is_a_full_one() {
    let site = Checkpoint::new();
    site.run(async {
        for (name, shown, from) in
            [(CHUKAN, &site.kizon, (13, 5)), (CHUKEI, &site.tanmatsu, (14, 5))]
        {
            let tickets = Arc::new(Tickets::default());
            let connector = TlsConnector::from(Arc::new(config(&site, shown, &tickets)));
            for _ in 0..3 {
                let tcp = site.client(from, None).open_tcp(site.listener()).await.unwrap();
                let mut stream =
                    connector.connect(ServerName::try_from(name).unwrap(), tcp).await.unwrap();
                let request = format!(
                    "GET /exchange/x HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                if name == CHUKEI {
                    stream.shutdown().await.unwrap();
                }
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                assert!(!heard.is_empty());
                let kind = stream.get_ref().1.handshake_kind().unwrap();
                assert!(matches!(
                    kind,
                    HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest
                ));
            }
            assert_eq!(tickets.0.load(Ordering::Relaxed), 0, "{name}");
        }
    });
}

/// Takes two connections at the relay's address, offers tickets, and tells what kind of handshakes they were.
async fn offer_tickets(site: &Checkpoint) -> Vec<HandshakeKind> {
    let shown = issue(&site.papers.pki.center, &["dns:chukei.center.example"]).unwrap();
    let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(sekisho::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    config.session_storage = ServerSessionMemoryCache::new(16);
    config.send_tls13_tickets = 2;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(site.center.relay.address()).await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        stream.write_all(b"heard").await.unwrap();
        stream.shutdown().await.unwrap();
    }
    kinds
}

#[test]
fn a_ticket_that_an_upstream_gives_is_not_taken() {
    let mut site = Checkpoint::new();
    site.stop_relay();
    site.run(async {
        let (kinds, ()) = tokio::join!(offer_tickets(&site), async {
            for _ in 0..2 {
                let back = site.open_relay().await.exchange(10).await.unwrap();
                assert_eq!(back.bytes, 5);
            }
        });
        assert_eq!(kinds, [HandshakeKind::Full; 2]);
    });
}
