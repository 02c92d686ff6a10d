//! A client that has shaken hands in order and then sends records with nothing in them, sealed by hand: no library would
//! (RFC 8446 §5.2, §5.4).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{MALFORMED, beside_a_neighbour, config, connect, counted_in, frame};
use crate::fixture::Checkpoint;

/// Seals what the client sends from where its handshake has ended.
struct Sealer {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl Sealer {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else {
            panic!("another suite was agreed");
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        Self { key, iv: iv.as_ref().try_into().unwrap(), sequence }
    }

    /// One record of application data.
    fn seal(&mut self, content: &[u8]) -> Vec<u8> {
        let mut sealed = [content, &[0x17]].concat();
        let length = u16::try_from(sealed.len() + AES_256_GCM.tag_len()).unwrap().to_be_bytes();
        let head = [0x17, 3, 3, length[0], length[1]];
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut sealed).unwrap();
        [&head[..], &sealed].concat()
    }
}

/// A permitted client whose records are its own.
async fn open(site: &Checkpoint, protocol: &str) -> (TcpStream, Sealer) {
    let mut config = config(site);
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config.enable_secret_extraction = true;
    let (tcp, session) = connect(site, config).await.into_inner();
    // Until then what comes is part of the handshake.
    let source = tcp.local_addr().unwrap().to_string();
    let opened = site.record.wait(0, |line| line.fact("source") == Some(&source)).await.unwrap();
    assert_eq!(opened.unwrap().kind, "opened");
    (tcp, Sealer::new(session.dangerous_extract_secrets().unwrap().tx))
}

/// Sends records with nothing in them for as long as somebody takes them.
async fn send_nothing(tcp: &mut TcpStream, mut sealer: Sealer) {
    loop {
        let block: Vec<u8> = (0..200).flat_map(|_| sealer.seal(&[])).collect();
        if tcp.write_all(&block).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn endless_records_with_nothing_in_them_are_refused() {
    let site = Checkpoint::new();
    let ask = || [frame::opening(65_535), frame::get(1, "/exchange/slow?head=60000")].concat();
    for (protocol, begin) in [
        ("http/1.1", Vec::new()),
        ("h2", Vec::new()),
        ("h2", frame::opening(65_535)),
        ("h2", ask()),
    ] {
        let (mark, counted) = (site.head(), counted_in(&site, MALFORMED));
        let passed = beside_a_neighbour(&site, async {
            let (mut tcp, mut sealer) = open(&site, protocol).await;
            if !begin.is_empty() {
                tcp.write_all(&sealer.seal(&begin)).await.unwrap();
            }
            send_nothing(&mut tcp, sealer).await;
            let closed = site.entry(mark, "closed", None).await;
            assert_eq!(closed.fact("how"), Some("refused"), "{protocol}");
            site.entry(mark, "refused", Some("malformed_request")).await;
        });
        assert!(passed <= 1);
        assert_eq!(counted_in(&site, MALFORMED), counted + 1, "{protocol}");
    }
}

#[test]
fn a_record_that_is_no_record_is_refused() {
    let site = Checkpoint::new();
    for protocol in ["http/1.1", "h2"] {
        let mark = site.head();
        let passed = beside_a_neighbour(&site, async {
            let (mut tcp, mut sealer) = open(&site, protocol).await;
            let mut record = sealer.seal(b"altered on its way");
            record[7] ^= 1;
            tcp.write_all(&record).await.unwrap();
            site.entry(mark, "refused", Some("malformed_request")).await;
        });
        assert_eq!(passed, 0);
    }
}
