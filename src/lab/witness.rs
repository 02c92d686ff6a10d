//! What both ends say at the close: the servers' own counting held against the ledger on disk.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use super::cast::Seen;
use super::record::Record;

/// What went upstream although it was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Leak {
    /// Requests.
    pub(super) requests: u64,
    /// Bytes.
    pub(super) bytes: u64,
}

impl Leak {
    /// Adds what was seen between two looks around something refused.
    pub(super) const fn add(&mut self, before: &Seen, after: &Seen) {
        self.requests += after.requests - before.requests;
        self.bytes += after.bytes - before.bytes;
    }
}

/// The two books side by side.
#[derive(Debug)]
pub(super) struct Witness {
    counted: usize,
    dialled: usize,
    unanswered: usize,
    /// Connections that a server saw and the ledger does not know.
    unknown: usize,
    requests: u64,
    recorded: u64,
    leak: Leak,
    gaps: usize,
}

impl Witness {
    /// Holds what the servers saw against the ledger.
    pub(super) fn compare(seen: &Seen, leak: Leak, record: &Record) -> io::Result<Self> {
        let lines = record.lines()?;
        let dialled = record.dialled()?;
        // A dial that nobody answered was announced like any other, and no server can have counted it.
        let unanswered =
            lines.iter().filter(|line| line.is("failed", Some("upstream_unreachable"))).filter(
                |line| line.entry.get("stage").and_then(|stage| stage.as_str()) == Some("dial"),
            );
        let recorded = lines.iter().filter(|line| line.kind == "request").count();
        Ok(Self {
            counted: seen.peers.len(),
            dialled: dialled.len(),
            unanswered: unanswered.count(),
            unknown: unknown(&seen.peers, &dialled),
            requests: seen.requests,
            recorded: u64::try_from(recorded).unwrap_or(u64::MAX),
            leak,
            gaps: record.gaps()?,
        })
    }

    /// Whether the books agree.
    pub(super) fn agrees(&self) -> bool {
        self.unknown == 0
            && self.counted + self.unanswered == self.dialled
            && self.requests <= self.recorded
            && self.leak == Leak::default()
            && self.gaps == 0
    }

    /// The witness in words.
    pub(super) fn text(&self) -> String {
        let Self { counted, dialled, unanswered, requests, recorded, leak, gaps, unknown } = self;
        let answered = dialled.saturating_sub(*unanswered);
        let word = if self.agrees() { "" } else { " THE BOOKS DIFFER:" };
        format!(
            "Witness:{word} upstreams counted {counted} connections, the ledger dialled {answered} \
             (and {unanswered} in vain), {unknown} unknown to it;\n         \
             {requests} requests counted, {recorded} recorded; upstream after a refusal: \
             {} bytes, {} requests; ledger gaps: {gaps}",
            leak.bytes, leak.requests
        )
    }
}

/// How many of `peers` are not among `dialled`, each announcement counting once.
fn unknown(peers: &[SocketAddr], dialled: &[SocketAddr]) -> usize {
    let mut announced = BTreeMap::new();
    for local in dialled {
        *announced.entry(local).or_insert(0_usize) += 1;
    }
    let mut unknown = 0;
    for peer in peers {
        match announced.get_mut(peer) {
            Some(left) if *left > 0 => *left -= 1,
            Some(_) | None => unknown += 1,
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::unknown;

    #[test]
    fn a_connection_without_an_announcement_of_its_own_is_unknown() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let dialled = [address(1), address(2), address(2)];
        for (peers, expected) in [(vec![1, 2], 0), (vec![2, 2], 0), (vec![1, 1], 1), (vec![3], 1)] {
            let peers: Vec<_> = peers.into_iter().map(address).collect();
            assert_eq!(unknown(&peers, &dialled), expected, "{peers:?}");
        }
    }
}
