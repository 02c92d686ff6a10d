//! A start finds its place in the tree: the newest checkpoint, the subtrees of the last closed segment, and the lines
//! after it. Years of lines are not read again, and yet every one is held to what was signed: a root that comes out
//! as promised needs all of them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::checkpoints;
use super::file;
use super::key;
use super::note::{Checkpoint, SigningKey};
use super::segment::{Directory, Stored};
use super::settings::{LedgerError, Settings};
use super::signer::{Signer, Tree};
use super::subtree::Subtrees;
use super::tree::{Frontier, leaf};
use super::writer::Segment;
use crate::flow::Timestamp;

/// Finds the signer of a ledger whose last entry is `end`, 0 where it has none.
pub(super) fn resume(
    directory: &Directory,
    settings: &Settings,
    end: u64,
) -> Result<Signer, LedgerError> {
    let path = directory.path();
    let (notes, newest) = checkpoints::open(path).map_err(LedgerError::io("open", path))?;
    let Some(key) = key::load(&settings.state)? else {
        // Lines without any checkpoint are of a version that did not sign: they get their first one.
        if newest.is_some() {
            return Err(LedgerError::Foreign { directory: path.to_owned() });
        }
        let ground = Ground { directory, promised: Vec::new(), end };
        return ground.signer(key::make(settings)?, (notes, None));
    };
    let foreign = |_| LedgerError::Foreign { directory: path.to_owned() };
    let newest = newest.map(|note| Checkpoint::open(&note, key.verifier()));
    let newest = newest.transpose().map_err(foreign)?;
    let kept = key::head(&settings.state, key.verifier())?;
    let mut notes = (notes, newest.clone());
    if let (None, Some((head, note))) = (&newest, &kept) {
        tracing::error!(
            size = head.size,
            "the ledger's checkpoints are gone; the copy of the newest one is put back"
        );
        let name = path.join(checkpoints::NAME);
        let put = notes.0.append(format!("{note}\n").as_bytes(), 0);
        put.map_err(LedgerError::io("write", name))?;
        notes.1 = Some(head.clone());
    }
    let promised = newest.into_iter().chain(kept.map(|(head, _)| head)).collect();
    Ground { directory, promised, end }.signer(key, notes)
}

/// For a ledger that begins anew: nothing is promised.
pub(super) fn begin(directory: &Directory, settings: &Settings) -> Result<Signer, LedgerError> {
    let key = key::make(settings)?;
    let path = directory.path();
    let (notes, _) = checkpoints::open(path).map_err(LedgerError::io("open", path))?;
    Ok(Signer::new(key, Tree::new(Frontier::default()), notes, None))
}

/// What is there, and what was promised of it.
struct Ground<'a> {
    directory: &'a Directory,
    promised: Vec<Checkpoint>,
    /// The last entry.
    end: u64,
}

impl Ground<'_> {
    fn signer(
        &self,
        key: SigningKey,
        (notes, newest): (Segment, Option<Checkpoint>),
    ) -> Result<Signer, LedgerError> {
        let most = self.promised.iter().map(|head| head.size).max().unwrap_or(0);
        if most > self.end {
            let directory = self.directory.path().to_owned();
            return Err(LedgerError::RolledBack { directory, signed: most, last: self.end });
        }
        let tree = Tree::new(self.base(most)?);
        let mut signer = Signer::new(key, tree, notes, newest);
        self.keep_promises(&signer)?;
        for segment in self.stored()? {
            if segment.first > signer.tree.size() && segment.first <= self.end {
                self.read(&mut signer, &segment)?;
            }
        }
        if signer.tree.size() == self.end { Ok(signer) } else { Err(self.missing(&signer)) }
    }

    /// The tree at the end of the newest closed segment that the checkpoints cover.
    fn base(&self, most: u64) -> Result<Frontier, LedgerError> {
        let trees = self.trees()?;
        let base = trees.iter().rev().find(|subtrees| subtrees.last() <= most);
        Ok(base.map_or_else(Frontier::default, Subtrees::after))
    }

    /// The `.tree` files in order; each must follow the one before it, and have its lines where an earlier one has.
    fn trees(&self) -> Result<Vec<Subtrees>, LedgerError> {
        let path = self.directory.path();
        let names = self.directory.trees().map_err(LedgerError::io("list", path))?;
        let stored = self.stored()?;
        let has_lines = |first| stored.iter().any(|segment| segment.first == first);
        let mut trees: Vec<Subtrees> = Vec::new();
        let mut kept = false;
        for (first, name) in names {
            let text = std::fs::read_to_string(&name).map_err(LedgerError::io("read", &name))?;
            let damaged = || LedgerError::Damaged { path: name.clone(), line: 1 };
            let subtrees = Subtrees::parse(&text).ok_or_else(damaged)?;
            let due = trees.last().map_or(1, |before| before.last() + 1);
            if subtrees.first() != first || due != first || (kept && !has_lines(first)) {
                return Err(LedgerError::Missing { directory: path.to_owned(), entry: due });
            }
            kept |= has_lines(first);
            trees.push(subtrees);
        }
        Ok(trees)
    }

    fn stored(&self) -> Result<Vec<Stored>, LedgerError> {
        self.directory.stored().map_err(LedgerError::io("list", self.directory.path()))
    }

    fn missing(&self, signer: &Signer) -> LedgerError {
        let directory = self.directory.path().to_owned();
        LedgerError::Missing { directory, entry: signer.tree.size() + 1 }
    }

    /// Puts the lines of one segment into the tree, and closes it: a start begins a segment of its own.
    fn read(&self, signer: &mut Signer, segment: &Stored) -> Result<(), LedgerError> {
        if segment.first != signer.tree.size() + 1 {
            return Err(self.missing(signer));
        }
        let failed = || LedgerError::io("read", &segment.path);
        let mut lines = segment.open().map_err(failed())?;
        let (mut line, mut last) = (Vec::new(), Vec::new());
        while signer.tree.size() < self.end {
            line.clear();
            lines.read_until(b'\n', &mut line).map_err(failed())?;
            if line.pop() != Some(b'\n') {
                break;
            }
            signer.tree.push(leaf(&line));
            self.keep_promises(signer)?;
            std::mem::swap(&mut line, &mut last);
        }
        self.close(signer, segment.first, day(&last))
    }

    fn close(&self, signer: &mut Signer, first: u64, until: i64) -> Result<(), LedgerError> {
        let path = self.directory.path();
        if let Some(subtrees) = signer.tree.segment(until) {
            signer.sign().map_err(LedgerError::io("sign", path))?;
            let name = self.directory.tree(first);
            let text = subtrees.to_string();
            file::replace(&name, 0o640, text.as_bytes()).map_err(LedgerError::io("write", name))?;
            signer.tree.turn();
        }
        Ok(())
    }

    /// Where a checkpoint promised a root for as many entries as there are now, it must be this one.
    fn keep_promises(&self, signer: &Signer) -> Result<(), LedgerError> {
        let here = self.promised.iter().filter(|head| head.size == signer.tree.size());
        for head in here {
            if signer.head().root != head.root {
                let directory = self.directory.path().to_owned();
                return Err(LedgerError::Forked { directory, size: head.size });
            }
        }
        Ok(())
    }
}

/// The day of a line, counted from the epoch in UTC; 0 where it does not tell.
fn day(line: &[u8]) -> i64 {
    #[derive(serde::Deserialize)]
    struct Dated<'a> {
        at: &'a str,
    }
    let dated: Option<Dated<'_>> = serde_json::from_slice(line).ok();
    let at = dated.and_then(|dated| Timestamp::parse(dated.at).ok());
    at.map_or(0, |at| at.as_seconds().div_euclid(86_400))
}

impl Stored {
    /// Its lines, decompressed.
    pub(super) fn open(&self) -> io::Result<Box<dyn BufRead>> {
        open(&self.path, self.packed)
    }
}

/// The bytes of a segment's file.
pub(super) fn open(path: &Path, packed: bool) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    Ok(if packed {
        Box::new(BufReader::with_capacity(64 << 10, zstd::stream::read::Decoder::new(file)?))
    } else {
        Box::new(BufReader::with_capacity(64 << 10, file))
    })
}
