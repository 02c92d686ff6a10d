//! TLS clients that mean harm: what comes instead of a hello, hellos in the smallest pieces, records with nothing in
//! them.

use std::time::Duration;

use rustls::ClientConnection;
use rustls_pki_types::ServerName;
use sekisho::lab::CHUKAN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::counted_in;
use super::{beside_a_neighbour, config};
use crate::fixture::Checkpoint;

const FAILED: &str = "sekisho_handshake_failures_total{reason=\"handshake\",side=\"client\"}";

/// Reads until the other side ends; gives how much came.
async fn drain(tcp: &mut (impl AsyncReadExt + Unpin)) -> usize {
    let (mut heard, mut block) = (0, [0; 4096]);
    while let Ok(length @ 1..) = tcp.read(&mut block).await {
        heard += length;
    }
    heard
}

/// Says `begin`, then `again` as often as somebody takes it, and waits for the end.
async fn say(tcp: &mut TcpStream, begin: &[u8], again: &[u8]) -> usize {
    let (mut reader, mut writer) = tcp.split();
    let write = async {
        writer.write_all(begin).await?;
        for _ in 0..100_000 {
            writer.write_all(again).await?;
        }
        std::io::Result::Ok(())
    };
    let (_written, heard) = tokio::join!(write, drain(&mut reader));
    heard
}

/// The first flight of the permitted client, as one record.
fn hello(site: &Checkpoint) -> Vec<u8> {
    let name = ServerName::try_from(CHUKAN).unwrap();
    let mut client = ClientConnection::new(config(site).into(), name).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).unwrap();
    }
    wire
}

#[test]
fn what_is_no_hello_is_ended_and_counted() {
    let site = Checkpoint::limited("handshake_timeout: 2s");
    for (what, begin, again) in [
        ("garbage", vec![0xa5; 70_000], vec![0xa5; 100]),
        ("empty handshake records", vec![], vec![0x16, 3, 1, 0, 0]),
        ("empty alerts", vec![], vec![0x15, 3, 1, 0, 0]),
        ("warnings", vec![], vec![0x15, 3, 1, 0, 2, 1, 90]),
        ("changes of cipher", vec![], vec![0x14, 3, 3, 0, 1, 1]),
        ("empty data", vec![], vec![0x17, 3, 3, 0, 0]),
        (
            "a hello of 16 MiB",
            vec![0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff],
            vec![0x16, 3, 1, 0, 1, 0],
        ),
        ("a record beyond the largest", vec![0x16, 3, 1, 0xff, 0xff], vec![0; 1000]),
    ] {
        let counted = counted_in(&site, FAILED);
        let mark = site.head();
        let passed = beside_a_neighbour(&site, async {
            let mut tcp = site.existing().open_tcp(site.listener()).await.unwrap();
            say(&mut tcp, &begin, &again).await;
            site.entry(mark, "refused", Some("handshake")).await;
        });
        assert_eq!(passed, 0, "{what}");
        assert_eq!(counted_in(&site, FAILED), counted + 1, "{what}");
    }
}

#[test]
fn a_hello_in_the_smallest_segments_is_a_hello() {
    let site = Checkpoint::new();
    let passed = beside_a_neighbour(&site, async {
        let mut tcp = site.existing().open_tcp(site.listener()).await.unwrap();
        for byte in hello(&site) {
            tcp.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut first = [0; 1];
        tcp.read_exact(&mut first).await.unwrap();
        assert_eq!(first, [0x16], "it is answered by a handshake");
    });
    assert_eq!(passed, 0);
}

#[test]
fn a_hello_in_the_smallest_records_is_answered_or_refused_but_ended() {
    let site = Checkpoint::new();
    let mark = site.head();
    let passed = beside_a_neighbour(&site, async {
        let mut tcp = site.existing().open_tcp(site.listener()).await.unwrap();
        let records =
            hello(&site)[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect::<Vec<_>>();
        tcp.write_all(&records).await.unwrap();
        let mut first = [0; 1];
        tcp.read_exact(&mut first).await.unwrap();
        assert!([0x16, 0x15].contains(&first[0]), "a handshake or an alert: {first:?}");
        drop(tcp);
        site.entry(mark, "refused", Some("handshake")).await;
    });
    assert_eq!(passed, 0);
}

#[test]
fn records_that_stop_in_the_middle_are_not_waited_for() {
    let site = Checkpoint::limited("handshake_timeout: 500ms");
    let whole = hello(&site);
    for cut in [1, 5, 6, 100, whole.len() - 1] {
        let mark = site.head();
        let passed = beside_a_neighbour(&site, async {
            let mut tcp = site.existing().open_tcp(site.listener()).await.unwrap();
            tcp.write_all(&whole[..cut]).await.unwrap();
            drain(&mut tcp).await;
            site.entry(mark, "refused", Some("timeout")).await;
        });
        assert_eq!(passed, 0);
    }
}

#[test]
fn a_hello_and_then_nothing_is_not_waited_for() {
    let site = Checkpoint::limited("handshake_timeout: 500ms");
    let mark = site.head();
    let passed = beside_a_neighbour(&site, async {
        let mut tcp = site.existing().open_tcp(site.listener()).await.unwrap();
        tcp.write_all(&hello(&site)).await.unwrap();
        assert!(drain(&mut tcp).await > 0, "it was answered");
        site.entry(mark, "refused", Some("timeout")).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    });
    assert_eq!(passed, 0);
}
