//! Stand-ins for everybody around the box: authorities, an upstream, a client. For the lab, the self-test and tests.
//!
//! They are peers, not parts of the proxy: they know nothing of rules or verdicts. Everything runs on the caller's
//! tokio runtime, of one thread or many, and ends with the value that started it.

mod ask;
mod client;
mod pattern;
mod pki;
mod raw;
mod route;
mod upstream;
mod witness;

pub use ask::{Answer, Ask, Broken, Connection, Content};
pub use client::{Client, Speak};
pub use pattern::Pattern;
pub use pki::{Authority, Issued, Order, Pki};
pub use raw::{Exchanged, Raw};
pub use upstream::{Talk, Upstream};
pub use witness::{Seen, Witness};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::SocketAddr;
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::{Ask, Client, Content, Order, Pattern, Pki, Speak, Talk, Upstream};
    use crate::flow::{Chain, Identity, Revocation, Timestamp, TlsVersion};
    use crate::tls::{Credential, TrustStore};

    const NAME: &str = "chukan.center.example";

    /// Here is the edge: a stand-in's certificates are valid by the real clock.
    #[expect(clippy::disallowed_methods, reason = "the handshakes of this test are real")]
    fn now() -> Timestamp {
        SystemTime::now().into()
    }

    fn named(name: &str) -> Order {
        Order::new(&[Identity::parse(name).unwrap()])
    }

    struct Scene {
        pki: Pki,
        trust: TrustStore,
        ours: Credential,
    }

    impl Scene {
        fn new() -> Self {
            let pki = Pki::new(now()).unwrap();
            let trust = TrustStore::parse(pki.center.pem().as_bytes(), None).unwrap();
            let ours = pki.center.issue(&named("dns:edge.union.example")).unwrap();
            let ours = Credential::parse(ours.chain.as_bytes(), ours.key.as_bytes()).unwrap();
            Self { pki, trust, ours }
        }

        fn upstream(&self, talk: Talk) -> Upstream {
            let leaf = self.pki.center.issue(&named("dns:chukan.center.example")).unwrap();
            let leaf = Credential::parse(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
            let address: SocketAddr = "127.0.0.2:0".parse().unwrap();
            Upstream::start(address, talk, &leaf, &self.pki.center.pem()).unwrap()
        }

        fn client(&self, credential: Option<&Credential>) -> Client {
            let versions = BTreeSet::from([TlsVersion::Tls13]);
            let source = "127.0.0.3".parse().unwrap();
            Client::new(source, &self.trust, credential, &versions).unwrap()
        }
    }

    #[tokio::test]
    async fn bytes_go_up_and_come_down_whole_in_both_versions() {
        let scene = Scene::new();
        let upstream = scene.upstream(Talk::Http);
        for (speak, h2) in [(Speak::Http11, false), (Speak::H2, true), (Speak::Either, true)] {
            let client = scene.client(Some(&scene.ours));
            let mut connection = client.open(upstream.address(), Some(NAME), speak).await.unwrap();
            assert_eq!(connection.is_h2(), h2);
            assert_eq!(connection.local().ip().to_string(), "127.0.0.3");
            assert!(upstream.witness().peers().contains(&connection.local()));
            let up = Ask::new(Method::POST, NAME, "/exchange/upload")
                .with(Content::Pattern(Pattern::new(300_001)));
            let answer = connection.ask(up).await.unwrap();
            let expected =
                format!("{{\"bytes\":300001,\"sha256\":\"{}\"}}\n", Pattern::sha256(300_001));
            assert_eq!((answer.status, answer.text), (200, expected));
            let down = Ask::new(Method::GET, NAME, "/exchange/download?bytes=300001&pace=1");
            let answer = connection.ask(down).await.unwrap();
            assert_eq!((answer.bytes, answer.sha256), (300_001, Pattern::sha256(300_001)));
        }
        let witness = upstream.witness();
        assert_eq!((witness.accepted(), witness.handshakes(), witness.requests()), (3, 3, 6));
        assert_eq!(witness.received(), 3 * 300_001);
        assert_eq!(witness.seen()[0].uri, "/exchange/upload");
    }

    #[tokio::test]
    async fn trailers_go_both_ways() {
        let scene = Scene::new();
        let upstream = scene.upstream(Talk::Http);
        for speak in [Speak::Http11, Speak::H2] {
            let client = scene.client(Some(&scene.ours));
            let mut connection = client.open(upstream.address(), Some(NAME), speak).await.unwrap();
            let value = HeaderValue::from_static("done");
            let trailers = || HeaderMap::from_iter([("x-end".parse().unwrap(), value.clone())]);
            let content = || Content::Pattern(Pattern::new(70_000).with_trailers(trailers()));
            // RFC 9110 §6.5.1: without `TE` an HTTP/1.1 server may leave trailers out; HTTP/2 needs none.
            let te = (speak == Speak::Http11).then_some((http::header::TE, "trailers"));
            let fields = [Some((http::header::TRAILER, "x-end")), te];
            let field = |ask: Ask, (name, text)| ask.header(name, HeaderValue::from_static(text));
            let named = |path| {
                let ask = Ask::new(Method::POST, NAME, path).with(content());
                fields.clone().into_iter().flatten().fold(ask, field)
            };
            let answer = connection.ask(named("/a/echo")).await.unwrap();
            assert_eq!((answer.bytes, answer.sha256), (70_000, Pattern::sha256(70_000)));
            assert_eq!(answer.trailers.get("x-end"), Some(&value), "{speak:?}");
            let answer = connection.ask(named("/a/upload")).await.unwrap();
            assert_eq!(answer.headers.get("x-trailer-x-end"), Some(&value), "{speak:?}");
        }
    }

    #[tokio::test]
    async fn an_early_half_close_loses_nothing_of_what_comes_back() {
        let scene = Scene::new();
        let client = scene.client(Some(&scene.ours));
        for (talk, back) in [(Talk::Echo, 200_000), (Talk::AfterEnd(3_000_000), 3_000_000)] {
            let upstream = scene.upstream(talk);
            let raw = client.open_raw(upstream.address(), Some(NAME)).await.unwrap();
            let exchanged = raw.exchange(200_000).await.unwrap();
            assert_eq!((exchanged.bytes, exchanged.whole), (back, true));
            assert_eq!(exchanged.sha256, Pattern::sha256(back));
            assert_eq!(upstream.witness().received(), 200_000);
        }
    }

    #[tokio::test]
    async fn a_client_without_the_right_certificate_never_gets_a_request_through() {
        let scene = Scene::new();
        let upstream = scene.upstream(Talk::Http);
        let rogue = scene.pki.rogue.issue(&named("dns:edge.union.example")).unwrap();
        let rogue = Credential::parse(rogue.chain.as_bytes(), rogue.key.as_bytes()).unwrap();
        for credential in [None, Some(&rogue)] {
            let client = scene.client(credential);
            if let Ok(mut open) = client.open(upstream.address(), Some(NAME), Speak::Http11).await {
                assert!(open.ask(Ask::new(Method::GET, NAME, "/")).await.is_err());
            }
        }
        let witness = upstream.witness();
        assert_eq!((witness.accepted(), witness.handshakes(), witness.requests()), (2, 0, 0));
    }

    #[tokio::test]
    async fn a_dead_upstream_refuses_and_comes_back_on_its_address() {
        let scene = Scene::new();
        let mut upstream = scene.upstream(Talk::Http11);
        let address = upstream.address();
        let client = scene.client(Some(&scene.ours));
        let mut open = client.open(address, Some(NAME), Speak::Either).await.unwrap();
        assert_eq!(
            open.ask(Ask::new(Method::GET, NAME, "/a/status?code=204")).await.unwrap().status,
            204
        );
        upstream.stop().await;
        assert!(open.ask(Ask::new(Method::GET, NAME, "/")).await.is_err());
        let refused = client.open(address, Some(NAME), Speak::Either).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        upstream.restart().unwrap();
        assert_eq!(upstream.address(), address);
        let mut open = client.open(address, Some(NAME), Speak::Either).await.unwrap();
        let text = Content::Text(Bytes::from_static(b"abc"));
        let ask = Ask::new(Method::PUT, NAME, "/").with(text);
        assert!(open.ask(ask).await.unwrap().text.starts_with("{\"bytes\":3,"));
        assert_eq!(upstream.witness().accepted(), 2);
    }

    #[tokio::test]
    async fn a_transfer_that_is_cut_says_how_far_it_came() {
        let scene = Scene::new();
        let mut upstream = scene.upstream(Talk::Http);
        let client = scene.client(Some(&scene.ours));
        let mut open = client.open(upstream.address(), Some(NAME), Speak::H2).await.unwrap();
        let ask = Ask::new(Method::GET, NAME, "/download?bytes=90000000&pace=10");
        let (broken, ()) = tokio::join!(open.ask(ask), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            upstream.stop().await;
        });
        let broken = broken.unwrap_err();
        assert_eq!(broken.status, Some(200));
        assert!(broken.bytes > 0 && broken.bytes < 90_000_000, "{}", broken.bytes);
    }

    #[test]
    fn leaves_lists_and_intermediates_are_what_was_ordered() {
        let at = now();
        let day = Duration::from_hours(24);
        let union = Pki::new(at).unwrap().union;
        let office = union.intermediate("office").unwrap();
        let leaf = office.issue(&named("uri:urn:example:kizon")).unwrap();
        let other =
            union.issue(&named("dns:a.example").valid(at.plus(day), at.plus(day * 2))).unwrap();
        let facts = |revoked: &[u64], chain: &str| {
            let lists = [union.list(&[], at, at.plus(day)), office.list(revoked, at, at.plus(day))];
            let lists = lists.map(|list| list.unwrap().into_bytes());
            let trust = TrustStore::parse(union.pem().as_bytes(), Some(&lists)).unwrap();
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
            trust.certificate(&chain.map(Result::unwrap).collect::<Vec<_>>(), at)
        };
        let good = facts(&[], &leaf.chain);
        assert_eq!(good.chain, Chain::Trusted);
        assert!(good.identities.contains(&Identity::parse("uri:urn:example:kizon").unwrap()));
        assert!(matches!(good.revocation, Revocation::Good { .. }));
        assert_eq!(facts(&[leaf.serial], &leaf.chain).revocation, Revocation::Revoked);
        assert!(facts(&[], &other.chain).not_before > at);
    }

    #[test]
    fn files_are_written_whole_and_keys_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(now()).unwrap();
        let leaf = pki.union.issue(&named("dns:a.example")).unwrap();
        leaf.write(folder.path(), "a").unwrap();
        pki.union.write(folder.path()).unwrap();
        pki.union
            .write_list(folder.path(), &[leaf.serial], now(), now().plus(Duration::from_hours(1)))
            .unwrap();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert!(Credential::parse(&read("a.pem"), &read("a.key")).is_ok());
        assert!(TrustStore::parse(&read("union-ca.pem"), Some(&[read("union-ca.crl")])).is_ok());
        let mode = std::fs::metadata(folder.path().join("a.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{leaf:?}").contains("PRIVATE"));
    }
}
