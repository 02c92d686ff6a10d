//! The entries of a ledger that speak of connections, read from its public format (`sekisho.ledger/1`) alone, as a
//! stranger would. Whether the ledger is intact is not asked here.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use memchr::memmem;
use serde::Deserialize;

use crate::flow::Timestamp;

/// No line of a ledger is longer, in bytes.
const LINE_MAX: u64 = 1 << 20;

/// One entry that speaks of a connection, or of its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) boot: u64,
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) what: What,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// *opened*, or *refused* at the door: a client from here to there.
    Inbound(SocketAddr, SocketAddr),
    /// *dialled*: from this local address to there.
    Outbound(SocketAddr, SocketAddr),
    /// *summary*: refusals of a source (or of the rest) that have no entry of their own, since then.
    Summary { source: Option<IpAddr>, since: Timestamp },
    /// *gap*: something was lost.
    Gap,
}

/// What is taken of a line.
#[derive(Deserialize)]
struct Line<'a> {
    seq: u64,
    boot: u64,
    at: &'a str,
    kind: &'a str,
    #[serde(default)]
    facts: Facts,
}

#[derive(Default, Deserialize)]
struct Facts {
    source: Option<End>,
    to_address: Option<SocketAddr>,
    local: Option<SocketAddr>,
    endpoint: Option<SocketAddr>,
    since: Option<String>,
}

/// A client is a socket address, the subject of a summary an address.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum End {
    Socket(SocketAddr),
    Address(IpAddr),
}

/// Hands over every such entry of the ledger in `directory`, in order; gives the number of lines that are none of its
/// format.
///
/// # Errors
/// What the file system says, or that no ledger is there.
pub(super) fn each(directory: &Path, take: &mut dyn FnMut(Recorded)) -> io::Result<u64> {
    let mut damaged = 0;
    for segment in segments(directory)? {
        let mut reader = BufReader::with_capacity(1 << 18, File::open(segment)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = io::Read::take(&mut reader, LINE_MAX);
            if bounded.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match understand(&line) {
                Ok(Some(recorded)) => take(recorded),
                Ok(None) => {}
                Err(Damaged) => damaged += 1,
            }
        }
    }
    Ok(damaged)
}

/// The segments by their names, which are their first numbers.
fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let numbered = stem.len() >= 12 && stem.bytes().all(|c| c.is_ascii_digit());
        if numbered && path.extension().is_some_and(|it| it == "jsonl") {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no ledger in it"));
    }
    found.sort();
    Ok(found)
}

/// A line that is none of the format.
#[derive(Debug, PartialEq, Eq)]
struct Damaged;

/// `None` where the line speaks of no connection.
fn understand(line: &[u8]) -> Result<Option<Recorded>, Damaged> {
    let kinds: [&[u8]; 5] = [b"opened", b"refused", b"dialled", b"summary", b"gap"];
    let text = line.strip_suffix(b"\n").ok_or(Damaged)?;
    let whole = text.starts_with(b"{\"seq\":") && text.ends_with(b"}");
    let from = memmem::find(text, b"\"kind\":\"").map(|at| at + 8).filter(|_| whole);
    let rest = from.and_then(|from| text.get(from..)).ok_or(Damaged)?;
    if !kinds.iter().any(|kind| rest.starts_with(kind)) {
        return Ok(None);
    }
    let line: Line<'_> = serde_json::from_slice(text).ok().ok_or(Damaged)?;
    let at = Timestamp::parse(line.at).ok().ok_or(Damaged)?;
    Ok(what(&line).map(|what| Recorded { boot: line.boot, seq: line.seq, at, what }))
}

fn what(line: &Line<'_>) -> Option<What> {
    let facts = &line.facts;
    let source = match facts.source {
        Some(End::Socket(socket)) => Some(socket),
        Some(End::Address(_)) | None => None,
    };
    match line.kind {
        // A refusal later in the life of a connection names no client: its *opened* has.
        "opened" | "refused" => Some(What::Inbound(source?, facts.to_address?)),
        "dialled" => Some(What::Outbound(facts.local?, facts.endpoint?)),
        "summary" => {
            let source = match facts.source {
                Some(End::Address(address)) => Some(address),
                Some(End::Socket(socket)) => Some(socket.ip()),
                None => None,
            };
            Some(What::Summary { source, since: Timestamp::parse(facts.since.as_deref()?).ok()? })
        }
        "gap" => Some(What::Gap),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Damaged, What, understand};

    fn read(line: &str) -> Result<Option<What>, Damaged> {
        understand(format!("{line}\n").as_bytes()).map(|it| it.map(|recorded| recorded.what))
    }

    #[test]
    fn the_entries_that_speak_of_connections_are_understood() {
        let head = r#"{"seq":7,"boot":1,"at":"2026-11-22T02:14:07.000001Z","kind":"#;
        let inbound =
            What::Inbound("10.13.10.5:40000".parse().unwrap(), "10.13.0.1:8443".parse().unwrap());
        let facts = r#""facts":{"source":"10.13.10.5:40000","to_address":"10.13.0.1:8443","listener":"union-lan"}}"#;
        for kind in ["opened", "refused"] {
            assert_eq!(read(&format!(r#"{head}"{kind}",{facts}"#)), Ok(Some(inbound)), "{kind}");
        }
        let dialled =
            r#""facts":{"system":"x","endpoint":"10.200.1.10:443","local":"10.200.0.2:50000"}}"#;
        let outbound =
            What::Outbound("10.200.0.2:50000".parse().unwrap(), "10.200.1.10:443".parse().unwrap());
        assert_eq!(read(&format!(r#"{head}"dialled",{dialled}"#)), Ok(Some(outbound)));
        let summary =
            r#""facts":{"source":"192.0.2.1","count":40,"since":"2026-11-22T02:13:07Z"}}"#;
        let Ok(Some(What::Summary { source, .. })) = read(&format!(r#"{head}"summary",{summary}"#))
        else {
            panic!("a summary")
        };
        assert_eq!(source, "192.0.2.1".parse().ok());
    }

    #[test]
    fn a_late_refusal_names_no_client_and_a_torn_line_is_damage() {
        let head = r#"{"seq":7,"boot":1,"at":"2026-11-22T02:14:07.000001Z","kind":"#;
        assert_eq!(read(&format!(r#"{head}"refused","facts":{{"method":"DELETE"}}}}"#)), Ok(None));
        assert_eq!(read(&format!(r#"{head}"closed","facts":{{}}}}"#)), Ok(None));
        assert_eq!(understand(format!(r#"{head}"opened","#).as_bytes()), Err(Damaged));
        assert_eq!(read(r#"{"seq":7,"kind":"opened","facts":{}}"#), Err(Damaged));
    }
}
