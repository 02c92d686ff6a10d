//! Real captures against flows published for them. They are not part of this project: the directory is named by
//! `SEKISHO_CAPTURES`, with a `truth.jsonl` of `{file, flows: [{proto, a, ap, b, bp}]}` in it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::capture::{Bounds, Connection, Coverage, Input, Protocol, read};

use super::damage::survive;

#[derive(Deserialize)]
struct Line {
    file: String,
    flows: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    proto: String,
    a: IpAddr,
    ap: String,
    b: IpAddr,
    bp: String,
}

type Flow = (Protocol, SocketAddr, SocketAddr);

#[test]
#[ignore = "needs a directory of captures in SEKISHO_CAPTURES"]
fn every_published_flow_is_found_with_its_initiator() {
    let folder = PathBuf::from(std::env::var_os("SEKISHO_CAPTURES").expect("SEKISHO_CAPTURES"));
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).unwrap();
    let (mut found, mut turned, mut missing) = (0, 0, Vec::new());
    for line in truth.lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let (seen, coverage) = connections(&folder.join(&line.file));
        for flow in line.flows.iter().map(Published::flow) {
            if seen.contains(&flow) {
                found += 1;
            } else if seen.contains(&(flow.0, flow.2, flow.1)) {
                turned += 1;
                println!("turned   {} {flow:?}", line.file);
            } else {
                missing.push(format!("{} {flow:?}", line.file));
            }
        }
        let unjudged: Vec<_> = coverage.files.iter().filter(|file| !file.is_complete()).collect();
        if !unjudged.is_empty() {
            println!("coverage {} {unjudged:?}", line.file);
        }
    }
    println!("found {found}, turned {turned}, missing {}", missing.len());
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

impl Published {
    fn flow(&self) -> Flow {
        let protocol = if self.proto == "tcp" { Protocol::Tcp } else { Protocol::Udp };
        let socket = |address: IpAddr, port: &str| {
            SocketAddr::new(address.to_canonical(), port.parse().unwrap())
        };
        (protocol, socket(self.a, &self.ap), socket(self.b, &self.bp))
    }
}

fn connections(path: &Path) -> (BTreeSet<Flow>, Coverage) {
    let mut seen = BTreeSet::new();
    let mut sink = |each: Connection| {
        seen.insert((each.protocol, each.initiator, each.responder));
    };
    let coverage = read(&[Input::Path(path.to_owned())], &Bounds::default(), &mut sink).unwrap();
    (seen, coverage)
}

#[test]
#[ignore = "needs a directory of captures in SEKISHO_CAPTURES"]
fn no_damage_to_a_real_capture_breaks_the_reading() {
    let folder = PathBuf::from(std::env::var_os("SEKISHO_CAPTURES").expect("SEKISHO_CAPTURES"));
    let mut pending = vec![folder];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for step in 0..40 {
            survive(&bytes[..bytes.len() * step / 40]);
            let mut damaged = bytes.clone();
            for at in (step * 7..bytes.len()).step_by(997 + step * 13) {
                damaged[at] ^= 1 << (at % 8);
            }
            survive(&damaged);
        }
    }
}
