//! The ledger as it lies on disk, read from outside: what an auditor would see. Nothing of the running service's
//! memory is asked.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long an entry may take to reach the disk, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ledger's directory.
#[derive(Debug, Clone)]
pub struct Record {
    directory: PathBuf,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// Its kind.
    pub kind: String,
    /// The client connection it speaks of.
    pub connection: Option<u64>,
    /// Why something was refused or failed.
    pub reason: Option<String>,
    /// The whole entry.
    pub entry: Value,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let entry: Value = serde_json::from_str(text).ok()?;
        let word = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| entry.get(key).and_then(Value::as_u64);
        Some(Self {
            seq: number("seq")?,
            kind: word("kind")?,
            connection: number("connection"),
            reason: word("reason"),
            entry,
        })
    }

    /// A text among its facts.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.entry.get("facts")?.get(key)?.as_str()
    }

    /// Whether it is of this kind and, where one is asked for, gives this reason.
    pub fn is(&self, kind: &str, reason: Option<&str>) -> bool {
        self.kind == kind && reason.is_none_or(|code| self.reason.as_deref() == Some(code))
    }
}

impl Record {
    /// The ledger in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Every entry on disk, in the order of the files; a last line that is still being written is left out.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn lines(&self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for path in segments(&self.directory)? {
            let text = fs::read_to_string(path)?;
            let whole = text.rsplit_once('\n').map_or("", |(whole, _torn)| whole);
            lines.extend(whole.lines().filter_map(Line::parse));
        }
        Ok(lines)
    }

    /// The number of the last entry on disk, 0 where there is none.
    ///
    /// # Errors
    /// As [`Record::lines`].
    pub fn head(&self) -> io::Result<u64> {
        Ok(self.lines()?.last().map_or(0, |line| line.seq))
    }

    /// The entries behind number `mark`.
    ///
    /// # Errors
    /// As [`Record::lines`].
    pub fn since(&self, mark: u64) -> io::Result<Vec<Line>> {
        Ok(self.lines()?.into_iter().filter(|line| line.seq > mark).collect())
    }

    /// Waits until an entry behind `mark` fits, and gives it; `None` where none comes.
    ///
    /// # Errors
    /// As [`Record::lines`].
    pub async fn wait(&self, mark: u64, fits: impl Fn(&Line) -> bool) -> io::Result<Option<Line>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.since(mark)?.into_iter().find(|line| fits(line));
            if found.is_some() || Instant::now() > deadline {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many numbers are missing or stand in the wrong order.
    ///
    /// # Errors
    /// As [`Record::lines`].
    pub fn gaps(&self) -> io::Result<usize> {
        let lines = self.lines()?;
        let said = lines.iter().filter(|line| line.kind == "gap").count();
        let due = 1..;
        Ok(said + lines.iter().zip(due).filter(|(line, due)| line.seq != *due).count())
    }

    /// The local addresses of all upstream connections that were announced.
    ///
    /// # Errors
    /// As [`Record::lines`].
    pub fn dialled(&self) -> io::Result<Vec<SocketAddr>> {
        let lines = self.lines()?;
        let dialled = lines.iter().filter(|line| line.kind == "dialled");
        Ok(dialled.filter_map(|line| line.fact("local")?.parse().ok()).collect())
    }
}

fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::Record;
    use crate::lab::folder::Folder;

    fn entry(seq: u64, kind: &str) -> String {
        format!(
            r#"{{"seq":{seq},"boot":1,"at":"2026-11-22T00:00:00Z","kind":"{kind}","facts":{{"local":"127.0.0.1:{seq}"}}}}"#
        )
    }

    #[test]
    fn holes_in_the_numbering_are_counted_and_a_torn_line_is_not_read() {
        let folder = Folder::temporary().unwrap();
        let record = Record::new(folder.path());
        folder
            .write(
                "000000000001.jsonl",
                &format!("{}\n{}\n", entry(1, "start"), entry(2, "dialled")),
            )
            .unwrap();
        folder
            .write(
                "000000000003.jsonl",
                &format!("{}\n{}", entry(3, "closed"), &"{\"seq\":4,\"boot\""),
            )
            .unwrap();
        assert_eq!((record.head().unwrap(), record.gaps().unwrap()), (3, 0));
        assert_eq!(record.dialled().unwrap().len(), 1);
        folder.write("000000000003.jsonl", &format!("{}\n", entry(4, "closed"))).unwrap();
        assert_eq!(record.gaps().unwrap(), 1);
        assert_eq!(record.since(2).unwrap().len(), 1);
    }
}
