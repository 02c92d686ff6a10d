//! One entry with the proof that it is in the tree, as a text that needs nothing else (C2SP `tlog-proof`): the line
//! itself is the extra data. Made from the directory; checked from the text and the public key alone.

use std::fmt;
use std::io;
use std::path::Path;

use super::note::{Checkpoint, NoteError, VerifierKey, decode, encode};
use super::reading::{Form, Stretch, stretches};
use super::tree::{self, Gather, Hash, Span};
use super::verify::Notes;

const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// An entry that is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its line, without the line break.
    pub line: Vec<u8>,
    /// Its number.
    pub seq: u64,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
}

/// Why an entry cannot be proven, or a proof is not believed.
#[derive(Debug)]
pub enum ProofError {
    /// Files cannot be read.
    Io(io::Error),
    /// No checkpoint covers the entry, by the size of the newest one.
    Unsigned(u64),
    /// The entry's line is gone in its time.
    Pruned,
    /// The tree of the lines is not the one that was signed: the ledger is to be verified first.
    Damaged,
    /// It is no proof by its form.
    Malformed,
    /// The checkpoint in it is not believed.
    Note(NoteError),
    /// The entry is not in the tree that was signed.
    Wrong,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the ledger cannot be read: {error}"),
            Self::Unsigned(size) => {
                write!(f, "no checkpoint covers the entry; the newest one covers {size} entries")
            }
            Self::Pruned => f.write_str("the entry is gone in its time, as the box file says"),
            Self::Damaged => f.write_str(
                "the lines are not those that were signed; `sekisho ledger verify` says which",
            ),
            Self::Malformed => f.write_str("this is no proof of the form `c2sp.org/tlog-proof@v1`"),
            Self::Note(error) => write!(f, "the checkpoint in the proof is not believed: {error}"),
            Self::Wrong => f.write_str("the entry is not in the tree that was signed"),
        }
    }
}

impl std::error::Error for ProofError {}

impl From<io::Error> for ProofError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The proof of the entry `seq` by the newest checkpoint that `key` signed. It is checked before it is given.
///
/// # Errors
/// [`ProofError`].
pub fn prove(directory: &Path, key: &VerifierKey, seq: u64) -> Result<String, ProofError> {
    let (note, checkpoint) = newest(directory, key)?.ok_or(ProofError::Unsigned(0))?;
    let index = seq.checked_sub(1).filter(|index| *index < checkpoint.size);
    let index = index.ok_or(ProofError::Unsigned(checkpoint.size))?;
    let mut gather = Gather::new(tree::inclusion(index, checkpoint.size));
    let mut line = None;
    let stretches = stretches(directory)?;
    for (at, stretch) in stretches.iter().enumerate() {
        let after = stretches.get(at + 1).map_or(checkpoint.size, |next| next.first - 1);
        let span = Span { begin: stretch.first.saturating_sub(1), end: after.min(checkpoint.size) };
        let is_wanted = span.begin <= index && index < span.end;
        if !is_wanted && gather_subtrees(stretch, span, &mut gather)? {
            continue;
        }
        if is_wanted && stretch.form == Form::Pruned {
            return Err(ProofError::Pruned);
        }
        gather_lines(stretch, (span, index), (&mut gather, &mut line))?;
    }
    let (line, hashes) = line.zip(gather.finish()).ok_or(ProofError::Damaged)?;
    let proof = write(&line, index, &hashes, &note);
    check(&proof, key).map_err(|_not_believed| ProofError::Damaged)?;
    Ok(proof)
}

/// The newest checkpoint that the key signed, as a note and as a value.
fn newest(directory: &Path, key: &VerifierKey) -> io::Result<Option<(String, Checkpoint)>> {
    let mut notes = Notes::open(directory)?;
    let mut newest: Option<(String, Checkpoint)> = None;
    while let Some(found) = notes.next()? {
        let size = newest.as_ref().map_or(0, |(_, checkpoint)| checkpoint.size);
        if let Ok(checkpoint) = Checkpoint::open(&found.text, key)
            && checkpoint.size >= size
        {
            newest = Some((found.text, checkpoint));
        }
    }
    Ok(newest)
}

/// The subtrees of a closed segment as they are kept beside it; `false` where they are not, or do not fit it.
fn gather_subtrees(stretch: &Stretch, span: Span, gather: &mut Gather) -> io::Result<bool> {
    let range = match stretch.tree().range() {
        Ok(range) => range.filter(|range| range.span() == span),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let Some(range) = range else { return Ok(false) };
    for (subtree, hash) in span.subtrees().zip(range.nodes()) {
        gather.subtree(subtree, *hash);
    }
    Ok(true)
}

fn gather_lines(
    stretch: &Stretch,
    (span, index): (Span, u64),
    (gather, wanted): (&mut Gather, &mut Option<Vec<u8>>),
) -> io::Result<()> {
    let mut lines = stretch.lines()?;
    for at in span.begin..span.end {
        let Some(line) = lines.next()? else { break };
        gather.leaf(at, tree::leaf(line.bytes));
        if at == index {
            *wanted = Some(line.bytes.to_vec());
        }
    }
    Ok(())
}

fn write(line: &[u8], index: u64, hashes: &[Hash], note: &str) -> String {
    let hashes: String = hashes.iter().map(|hash| encode(&hash.0) + "\n").collect();
    format!("{FORMAT}\nextra {}\nindex {index}\n{hashes}\n{note}", encode(line))
}

/// Checks a proof by the public key, and gives the entry.
///
/// # Errors
/// [`ProofError::Malformed`], [`ProofError::Note`], [`ProofError::Wrong`].
pub fn check(proof: &str, key: &VerifierKey) -> Result<Proven, ProofError> {
    let Parts { line, index, hashes, note } = divide(proof).ok_or(ProofError::Malformed)?;
    let checkpoint = Checkpoint::open(note, key).map_err(ProofError::Note)?;
    let root = tree::root_by_inclusion(index, checkpoint.size, tree::leaf(&line), &hashes);
    if root == Some(checkpoint.root) {
        Ok(Proven { line, seq: index + 1, checkpoint })
    } else {
        Err(ProofError::Wrong)
    }
}

struct Parts<'a> {
    line: Vec<u8>,
    index: u64,
    hashes: Vec<Hash>,
    note: &'a str,
}

fn divide(proof: &str) -> Option<Parts<'_>> {
    let (head, note) = proof.split_once("\n\n")?;
    let mut lines = head.split('\n');
    if lines.next() != Some(FORMAT) {
        return None;
    }
    let line = decode(lines.next()?.strip_prefix("extra ")?)?;
    let index = lines.next()?.strip_prefix("index ")?;
    let plain = index == "0" || !index.starts_with(['0', '+']);
    let index = index.parse().ok().filter(|_| plain)?;
    let hash = |text| Some(Hash(decode(text)?.try_into().ok()?));
    let hashes = lines.map(hash).collect::<Option<_>>()?;
    Some(Parts { line, index, hashes, note })
}
