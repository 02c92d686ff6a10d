//! The entries of a ledger that speak of connections, from its public format (`sekisho.ledger/1`). Whether the ledger is
//! intact is not asked here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::flow::Timestamp;
use crate::ledger::reading::{Form, Stretch, is_damage, stretches};
use crate::ledger::{Head, Record};

/// One entry that speaks of a connection, or of its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) boot: u64,
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    /// The client connection it speaks of, unique within the ledger.
    pub(super) connection: Option<(u64, u64)>,
    pub(super) what: What,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// *opened*, or *refused* at the door: a client from here to there.
    Inbound(SocketAddr, SocketAddr),
    /// *dialled*: from this local address to there.
    Outbound(SocketAddr, SocketAddr),
    /// *failed* before there was a connection: the dial there came to nothing, and may not have left the box.
    InVain(SocketAddr),
    /// *summary*: refusals of a source (or of the rest) that have no entry of their own, since then.
    Summary { source: Option<IpAddr>, since: Timestamp },
    /// *gap*: something was lost.
    Gap,
}

/// What was read beside the entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Lines, and compressed segments, that could not be read.
    pub(super) damaged: u64,
    /// Segments whose lines are gone in their time.
    pub(super) pruned: u64,
    /// The moment of the first entry there is.
    pub(super) first: Option<Timestamp>,
}

/// Hands over every such entry of the ledger in `directory`, in order.
///
/// # Errors
/// What the file system says, or that no ledger is there.
pub(super) fn each(directory: &Path, take: &mut dyn FnMut(Recorded)) -> io::Result<Reading> {
    let all = stretches(directory)?;
    if all.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no ledger in it"));
    }
    let mut reading = Reading::default();
    for (number, stretch) in all.iter().enumerate() {
        if stretch.form == Form::Pruned {
            reading.pruned += 1;
            continue;
        }
        match segment(stretch, number + 1 == all.len(), &mut reading, take) {
            Err(error) if is_damage(&error) => reading.damaged += 1,
            done => done?,
        }
    }
    Ok(reading)
}

fn segment(
    stretch: &Stretch,
    is_last: bool,
    reading: &mut Reading,
    take: &mut dyn FnMut(Recorded),
) -> io::Result<()> {
    let mut lines = stretch.lines()?;
    while let Some(line) = lines.next()? {
        // The end of a ledger that is being written is no damage.
        if !line.whole && is_last {
            break;
        }
        if reading.first.is_none() {
            reading.first = Record::parse(line.bytes).map(|record| record.at);
        }
        match understand(line.bytes) {
            Ok(Some(recorded)) => take(recorded),
            Ok(None) => {}
            Err(Damaged) => reading.damaged += 1,
        }
    }
    Ok(())
}

/// A line that is none of the format.
#[derive(Debug, PartialEq, Eq)]
struct Damaged;

/// `None` where the line speaks of no connection.
fn understand(line: &[u8]) -> Result<Option<Recorded>, Damaged> {
    let kinds: [&[u8]; 6] = [b"opened", b"refused", b"dialled", b"failed", b"summary", b"gap"];
    let head = Head::of(line).ok_or(Damaged)?;
    if !kinds.contains(&head.kind) {
        return Ok(None);
    }
    let record = Record::parse(line).ok_or(Damaged)?;
    // What the self-test left never was on a wire that somebody records.
    if record.selftest {
        return Ok(None);
    }
    let (boot, seq, at, connection) = (record.boot, record.seq, record.at, record.connection());
    Ok(what(&record).map(|what| Recorded { boot, seq, at, connection, what }))
}

fn what(record: &Record) -> Option<What> {
    let socket = |name| record.fact(name)?.parse::<SocketAddr>().ok();
    match record.kind.as_str() {
        // A refusal later in the life of a connection names no client: its *opened* has.
        "opened" | "refused" => Some(What::Inbound(socket("source")?, socket("to_address")?)),
        "dialled" => Some(What::Outbound(socket("local")?, socket("endpoint")?)),
        "failed" if record.stage.as_deref() == Some("dial") => {
            Some(What::InVain(socket("endpoint")?))
        }
        "summary" => {
            let source = record.fact("source").and_then(|text| text.parse().ok());
            Some(What::Summary { source, since: Timestamp::parse(record.fact("since")?).ok()? })
        }
        "gap" => Some(What::Gap),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Damaged, What, understand};

    fn read(line: &str) -> Result<Option<What>, Damaged> {
        understand(line.as_bytes()).map(|it| it.map(|recorded| recorded.what))
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
        let failed = |stage| {
            let facts = r#""facts":{"endpoint":"10.200.1.10:443","detail":"no route"}}"#;
            read(&format!(r#"{head}"failed","stage":"{stage}",{facts}"#))
        };
        assert_eq!(failed("dial"), Ok(Some(What::InVain("10.200.1.10:443".parse().unwrap()))));
        assert_eq!(failed("peer"), Ok(None), "somebody answered");
        let summary =
            r#""facts":{"source":"192.0.2.1","count":40,"since":"2026-11-22T02:13:07Z"}}"#;
        let Ok(Some(What::Summary { source, .. })) = read(&format!(r#"{head}"summary",{summary}"#))
        else {
            panic!("a summary")
        };
        assert_eq!(source, "192.0.2.1".parse().ok());
    }

    #[test]
    fn what_the_self_test_left_is_no_traffic() {
        let head = r#"{"seq":7,"boot":1,"at":"2026-11-22T02:14:07.000001Z","kind":"dialled","selftest":true,"#;
        let facts = r#""facts":{"endpoint":"127.113.53.1:40000","local":"127.0.0.1:50000"}}"#;
        assert_eq!(read(&format!("{head}{facts}")), Ok(None));
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
