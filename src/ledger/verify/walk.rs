//! One pass over lines and claims together, in the order of their sizes. What was done to a damaged line is for
//! `locate` to find out.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::claim::{Notes, Witness};
use super::locate::{Doubted, locate};
use super::{Damage, Doubt, Findings, Harm, Place};
use crate::ledger::note::{Checkpoint, NoteError, VerifierKey};
use crate::ledger::reading::{Form, Line, Stretch, is_damage, stretches};
use crate::ledger::record::{Head, Record};
use crate::ledger::tree::{self, Frontier, Hash};

/// How often, in lines, progress is told.
const STEP: u64 = 1 << 16;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read; of a compressed segment, about.
    pub done: u64,
    /// Bytes there are.
    pub of: u64,
    /// Entries that were read.
    pub entries: u64,
}

/// Verifies the ledger in `directory` by the public `key` and by what outsiders hold. A process may be writing it.
///
/// # Errors
/// Files cannot be read. What is wrong in them is no error but what was asked for.
pub fn verify(
    (directory, key): (&Path, &VerifierKey),
    witnesses: &[Witness],
    progress: &mut dyn FnMut(Progress),
) -> io::Result<Findings> {
    // The checkpoints first: what they speak of is on disk before them.
    let notes = Notes::open(directory)?;
    let stretches = stretches(directory)?;
    let claims = Claims::new((notes, key), witnesses)?;
    let of = stretches.iter().map(Stretch::size).sum();
    let mut walk = Walk {
        claims,
        tree: Frontier::default(),
        proven: 0,
        heard: 0,
        recorded: 0,
        suspicions: Vec::new(),
        findings: Findings::default(),
        progress: Progress { done: 0, of, entries: 0 },
    };
    let trouble = walk.run(&stretches, progress)?;
    walk.finish((directory, &stretches), trouble)
}

/// Why the walk ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The root at this size is not the one that was signed.
    Differs(u64),
    /// This entry's line does not have the form or the number that is due.
    Form(u64),
}

/// The claims in the order of their sizes.
struct Claims<'a> {
    notes: Notes,
    key: &'a VerifierKey,
    next: Option<Checkpoint>,
    /// The last checkpoint that was read.
    newest: Option<(u64, Hash)>,
    witnesses: VecDeque<&'a Witness>,
    damage: Option<Damage>,
}

impl<'a> Claims<'a> {
    fn new((notes, key): (Notes, &'a VerifierKey), witnesses: &'a [Witness]) -> io::Result<Self> {
        let mut sorted: Vec<_> = witnesses.iter().collect();
        sorted.sort_by_key(|witness| witness.size);
        let witnesses = sorted.into();
        let mut claims = Self { notes, key, next: None, newest: None, witnesses, damage: None };
        claims.advance()?;
        Ok(claims)
    }

    /// The size of the next one; none is as good as one that is never reached.
    fn due(&self) -> u64 {
        let note = self.next.as_ref().map_or(u64::MAX, |checkpoint| checkpoint.size);
        note.min(self.witnesses.front().map_or(u64::MAX, |witness| witness.size))
    }

    /// Goes on to the next checkpoint that can be believed.
    fn advance(&mut self) -> io::Result<()> {
        self.next = None;
        while let Some(found) = self.notes.next()? {
            if !found.whole && self.notes.is_over() {
                return Ok(());
            }
            match Checkpoint::open(&found.text, self.key) {
                Ok(checkpoint) => {
                    let Some(harm) = self.harm(&checkpoint) else {
                        self.newest = Some((checkpoint.size, checkpoint.root));
                        self.next = Some(checkpoint);
                        return Ok(());
                    };
                    self.note(harm, found.line);
                }
                Err(NoteError::Foreign) => self.note(Harm::ForeignKey, found.line),
                Err(NoteError::Malformed | NoteError::Forged) => {
                    self.note(Harm::Altered, found.line);
                }
            }
        }
        Ok(())
    }

    /// What a checkpoint gives away beside the one before it.
    fn harm(&self, checkpoint: &Checkpoint) -> Option<Harm> {
        let (size, root) = self.newest?;
        let forked = checkpoint.size == size && checkpoint.root != root;
        let back = checkpoint.size < size;
        let harms = [(forked, Harm::Forked), (back, Harm::RolledBack)];
        harms.into_iter().find_map(|(done, harm)| done.then_some(harm))
    }

    fn note(&mut self, harm: Harm, line: u64) {
        let seq = self.newest.map_or(1, |(size, _)| size + 1);
        let place = Place { file: "checkpoints".to_owned(), line };
        let damage = Damage { harm, seq, last: seq, since: seq, exact: true, place };
        self.damage.get_or_insert(damage);
    }
}

struct Walk<'a> {
    claims: Claims<'a>,
    tree: Frontier,
    /// The size up to which a root that fits proves the lines.
    proven: u64,
    /// The size up to which outsiders agree.
    heard: u64,
    /// The last entry that a record says was removed in its time.
    recorded: u64,
    /// Where outsiders do not.
    suspicions: Vec<Damage>,
    findings: Findings,
    progress: Progress,
}

impl Walk<'_> {
    fn run(
        &mut self,
        stretches: &[Stretch],
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Option<Trouble>> {
        for (index, stretch) in stretches.iter().enumerate() {
            let due = self.tree.size() + 1;
            if stretch.first != due {
                return Ok(Some(Trouble::Form(due)));
            }
            let after = stretches.get(index + 1).map(|stretch| stretch.first);
            let done = self.progress.done;
            let trouble = match stretch.form {
                // Only the oldest go in their time.
                Form::Pruned if self.findings.pruned < due - 1 => Some(Trouble::Form(due)),
                Form::Pruned => self.pruned(stretch)?,
                Form::Plain | Form::Compressed => self.lines(stretch, after, progress)?,
            };
            if trouble.is_some() {
                return Ok(trouble);
            }
            self.progress.done = done + stretch.size();
            progress(self.progress);
        }
        self.settle()
    }

    /// What is left of a pruned segment goes into the tree as whole subtrees.
    fn pruned(&mut self, stretch: &Stretch) -> io::Result<Option<Trouble>> {
        let Some(range) = stretch.range()? else { return Ok(Some(Trouble::Form(stretch.first))) };
        if !self.tree.extend(&range) {
            return Ok(Some(Trouble::Form(stretch.first)));
        }
        self.findings.pruned = self.tree.size();
        self.pass()?;
        self.settle()
    }

    /// Claims inside of what is pruned can no longer be compared.
    fn pass(&mut self) -> io::Result<()> {
        let size = self.tree.size();
        while self.claims.next.as_ref().is_some_and(|next| next.size < size) {
            self.findings.unkept += 1;
            self.claims.advance()?;
        }
        while self.claims.witnesses.front().is_some_and(|witness| witness.size < size) {
            self.claims.witnesses.pop_front();
            self.doubt(Doubt::WitnessUnkept);
        }
        Ok(())
    }

    fn lines(
        &mut self,
        stretch: &Stretch,
        after: Option<u64>,
        progress: &mut dyn FnMut(Progress),
    ) -> io::Result<Option<Trouble>> {
        let mut lines = stretch.lines()?;
        let (begin, size) = (self.progress.done, stretch.size());
        let mut read = 0;
        loop {
            let due = self.tree.size() + 1;
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(error) if is_damage(&error) => return Ok(Some(Trouble::Form(due))),
                Err(error) => return Err(error),
            };
            // A crash leaves the last line torn; the next start cuts it, or goes on with its number.
            if !line.whole && after.is_none_or(|after| after == due) {
                self.findings.torn = after.is_none();
                return Ok(None);
            }
            if let Some(trouble) = self.line(line, due)? {
                return Ok(Some(trouble));
            }
            read += line.bytes.len() as u64 + 1;
            if due.is_multiple_of(STEP) {
                self.progress =
                    Progress { done: begin + read.min(size), entries: due, ..self.progress };
                progress(self.progress);
            }
        }
    }

    fn line(&mut self, line: Line<'_>, due: u64) -> io::Result<Option<Trouble>> {
        let Some(head) = Head::of(line.bytes).filter(|head| head.seq == due && line.whole) else {
            return Ok(Some(Trouble::Form(due)));
        };
        self.findings.gaps += u64::from(head.kind == b"gap");
        if head.kind == b"operation" && self.findings.pruned > 0 {
            self.note_prune(line.bytes);
        }
        self.tree.append(tree::leaf(line.bytes));
        self.progress.entries = due;
        if self.claims.due() == due { self.settle() } else { Ok(None) }
    }

    /// What is removed in its time is recorded first.
    fn note_prune(&mut self, line: &[u8]) {
        let record = Record::parse(line).filter(|record| record.fact("call") == Some("prune"));
        let details = record.as_ref().and_then(|record| record.facts.get("detail")?.as_array());
        for detail in details.into_iter().flatten().filter_map(Value::as_str) {
            let range = detail.strip_prefix("entries ").and_then(|range| range.split_once(" to "));
            let end = range.and_then(|(_, last)| last.parse::<u64>().ok());
            self.recorded = self.recorded.max(end.unwrap_or(0));
        }
    }

    /// Compares every claim of the present size.
    fn settle(&mut self) -> io::Result<Option<Trouble>> {
        let size = self.tree.size();
        if self.claims.due() != size {
            return Ok(None);
        }
        let root = self.tree.root();
        while let Some(next) = self.claims.next.as_ref().filter(|next| next.size == size) {
            if next.root != root {
                return Ok(Some(Trouble::Differs(size)));
            }
            self.findings.checkpoints += 1;
            (self.findings.signed, self.findings.root) = (size, Some(root));
            self.proven = size;
            self.claims.advance()?;
        }
        self.hear(size, root);
        Ok(None)
    }

    /// What outsiders say of the present size.
    fn hear(&mut self, size: u64, root: Hash) {
        while let Some(witness) = self.claims.witnesses.front().filter(|next| next.size == size) {
            if witness.root.fits(root) {
                self.findings.witnesses += 1;
                (self.proven, self.heard) = (size, size);
            } else {
                self.suspicions.push(differing(witness, self.heard + 1));
            }
            self.claims.witnesses.pop_front();
        }
    }

    fn doubt(&mut self, doubt: Doubt) {
        if !self.findings.doubts.contains(&doubt) {
            self.findings.doubts.push(doubt);
        }
    }

    fn finish(
        mut self,
        where_: (&Path, &[Stretch]),
        trouble: Option<Trouble>,
    ) -> io::Result<Findings> {
        self.findings.entries = self.tree.size();
        let since = self.proven + 1;
        let promised = self.claims.next.as_ref().map(|next| next.size);
        let doubted = match (trouble, promised) {
            (Some(Trouble::Differs(until)), _) => Some(Doubted { since, until, promised: None }),
            (Some(Trouble::Form(until)), _) | (None, Some(until)) => {
                Some(Doubted { since, until, promised })
            }
            (None, None) => None,
        };
        match doubted {
            Some(doubted) => {
                let damage = locate(where_, doubted)?.unwrap_or_else(|| unnamed(doubted, where_.1));
                self.findings.damage.push(damage);
            }
            None => self.look_at_the_tail(where_)?,
        }
        if self.recorded < self.findings.pruned && self.findings.damage.is_empty() {
            self.findings.damage.extend(unrecorded(where_.1, self.recorded));
        }
        self.findings.damage.extend(self.claims.damage.take());
        if self.findings.checkpoints + self.findings.unkept == 0 && self.findings.damage.is_empty()
        {
            self.doubt(Doubt::NoCheckpoint);
        }
        self.findings.doubts.sort_unstable();
        Ok(self.findings)
    }

    /// No signature covers the tail; an outsider may, and the hints do.
    fn look_at_the_tail(&mut self, where_: (&Path, &[Stretch])) -> io::Result<()> {
        let (since, until) = (self.proven + 1, self.tree.size());
        let tail = locate(where_, Doubted { since, until, promised: None })?;
        let is_unheard = tail
            .as_ref()
            .is_some_and(|tail| self.suspicions.iter().all(|suspicion| suspicion.last < tail.seq));
        // What is signed fits: where an outsider's head lies within it, somebody has signed two histories.
        let signed = self.findings.signed;
        let damage = self.suspicions.first().map(|suspicion| match &tail {
            Some(tail) if suspicion.last > signed => tail.clone(),
            Some(_) | None => suspicion.clone(),
        });
        self.findings.damage.extend(damage);
        if let Some(witness) = self.claims.witnesses.back() {
            let harm = Harm::RolledBack;
            let back = Damage { harm, seq: until + 1, ..differing(witness, since) };
            self.findings.damage.push(back);
        }
        if is_unheard && tail.is_some() {
            self.doubt(Doubt::UnsignedDiffers);
        }
        Ok(())
    }
}

/// Two histories: this ledger's, and the one that the witness has seen.
fn differing(witness: &Witness, since: u64) -> Damage {
    let place = Place { file: witness.name.clone(), line: 0 };
    Damage { harm: Harm::Forked, seq: since, last: witness.size, since, exact: false, place }
}

/// Lines that are gone, and no record that their time had come. The record of the newest that went so is always kept.
fn unrecorded(stretches: &[Stretch], recorded: u64) -> Option<Damage> {
    let pruned = stretches.iter().take_while(|stretch| stretch.form == Form::Pruned);
    let stretch = pruned.last().filter(|stretch| stretch.first > recorded)?;
    let place = Place { file: stretch.name(), line: 1 };
    let seq = stretch.first;
    Some(Damage { harm: Harm::Removed, seq, last: seq, since: seq, exact: true, place })
}

/// Something is altered, and nothing tells which line it is.
fn unnamed(doubted: Doubted, stretches: &[Stretch]) -> Damage {
    let Doubted { since, until, promised: _ } = doubted;
    let holding = stretches.iter().rev().find(|stretch| stretch.first <= since);
    let place = holding.map_or_else(Place::default, |stretch| Place {
        file: stretch.name(),
        line: since - stretch.first + 1,
    });
    Damage { harm: Harm::Altered, seq: since, last: until, since, exact: false, place }
}
