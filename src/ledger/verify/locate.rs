//! Which line is the first damaged one, and what was done to it. Asked only once the tree has shown that something
//! is wrong between two sizes.
//!
//! The tree proves that a stretch is not what it was; it cannot say which line. The `.leaves` files beside the
//! segments can: the first eight bytes of every line's leaf hash. They are a hint, since whoever alters a line can
//! alter them too; then, and where they are missing, a line is found by its form and number or not at all, and the
//! stretch between two checkpoints is what is named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Damage, Harm, Place};
use crate::ledger::hint::{self, Hint};
use crate::ledger::reading::{Form, Stretch, is_damage};
use crate::ledger::record::Head;
use crate::ledger::tree;

/// How far apart the two places of a moved line, or how many removed or inserted lines, are recognised as such.
const WINDOW: usize = 1 << 16;

/// The `.leaves` files of a directory; one of them in memory at a time.
pub(super) struct Hints {
    files: Vec<(u64, PathBuf)>,
    loaded: Option<(u64, Vec<u8>)>,
}

impl Hints {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            let first = path.file_name().and_then(|name| name.to_str()?.strip_suffix(hint::SUFFIX));
            if let Some(first) = first.and_then(|digits| digits.parse().ok()) {
                files.push((first, path));
            }
        }
        files.sort_unstable();
        Ok(Self { files, loaded: None })
    }

    /// Of the entry `seq`, where it is kept.
    pub(super) fn of(&mut self, seq: u64) -> Option<Hint> {
        let after = self.files.partition_point(|(first, _)| *first <= seq);
        let (first, path) = self.files.get(after.checked_sub(1)?)?;
        if self.loaded.as_ref().is_none_or(|(loaded, _)| loaded != first) {
            // One that cannot be read is as good as one that is not there.
            self.loaded = Some((*first, fs::read(path).unwrap_or_default()));
        }
        let (_, bytes) = self.loaded.as_ref()?;
        let place = usize::try_from(seq - first).ok()?.checked_mul(8)?;
        // Nothing but zeros is what a crash leaves of a hint that was not on disk yet.
        bytes.get(place..)?.first_chunk().copied().filter(|hint| *hint != [0; 8])
    }
}

/// A line as it is met again.
struct Met {
    hint: Hint,
    /// The number it gives itself.
    own: Option<u64>,
    whole: bool,
    place: Place,
}

/// What is searched: from the first entry that is not proven, to the size whose root does not fit or the place
/// where the numbering broke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubted {
    /// The first entry that no root covers that fits.
    pub(super) since: u64,
    /// The last entry that may be the damaged one.
    pub(super) until: u64,
    /// The size that was promised, where the lines ended before it.
    pub(super) promised: Option<u64>,
}

/// Names the first damaged line among the doubted; `None` where every one is as its hint has it, or has its
/// number and no hint.
pub(super) fn locate(
    (directory, stretches): (&Path, &[Stretch]),
    doubted: Doubted,
) -> io::Result<Option<Damage>> {
    let mut hints = Hints::open(directory)?;
    let Some(mut met) = Meeting::from(stretches, doubted.since)? else { return Ok(None) };
    let mut seq = doubted.since;
    let mut exact = true;
    while seq <= doubted.until {
        let hint = hints.of(seq);
        let line = match met.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) if is_damage(&error) => return Ok(Some(met.broken((seq, doubted.since)))),
            Err(error) => return Err(error),
        };
        // What a crash left, and the start after it went on behind.
        if !line.whole && met.follows(seq) {
            continue;
        }
        exact &= hint.is_some();
        let fits = match hint {
            Some(hint) => hint == line.hint,
            None => line.own == Some(seq),
        };
        if !fits || !line.whole {
            let window = Window { seq, first: line, met: &mut met, hints: &mut hints };
            return Ok(Some(window.damage((doubted.since, exact))));
        }
        seq += 1;
    }
    let Some(promised) = doubted.promised else { return Ok(None) };
    let place = met.place();
    Ok(Some(Damage {
        harm: Harm::CutTail,
        seq,
        last: promised,
        since: doubted.since,
        exact,
        place,
    }))
}

/// The lines from a number on, across segments, as they lie there.
struct Meeting<'a> {
    rest: std::slice::Iter<'a, Stretch>,
    lines: Option<crate::ledger::reading::Lines>,
    place: Place,
}

impl<'a> Meeting<'a> {
    /// All lines before `seq` are proven, so that its place in its segment is known by counting. `None` where its
    /// line is gone in its time.
    fn from(stretches: &'a [Stretch], seq: u64) -> io::Result<Option<Self>> {
        let begin = stretches.iter().rposition(|stretch| stretch.first <= seq).unwrap_or(0);
        let holding = stretches.get(begin);
        let is_gone = holding.is_some_and(|stretch| stretch.form == Form::Pruned);
        let mut older = stretches.get(..begin).unwrap_or_default().iter();
        if is_gone && older.all(|stretch| stretch.form == Form::Pruned) {
            return Ok(None);
        }
        let rest = stretches.get(begin..).unwrap_or_default().iter();
        let mut meeting = Self { rest, lines: None, place: Place::default() };
        let first = holding.filter(|_| !is_gone).map_or(seq, |stretch| stretch.first);
        for _proven in first..seq {
            meeting.next()?;
        }
        Ok(Some(meeting))
    }

    /// Whether the next segment begins with this number.
    fn follows(&self, seq: u64) -> bool {
        self.rest.as_slice().first().is_some_and(|stretch| stretch.first == seq)
    }

    fn next(&mut self) -> io::Result<Option<Met>> {
        loop {
            if let Some(lines) = &mut self.lines
                && let Some(line) = lines.next()?
            {
                self.place.line = line.number;
                return Ok(Some(Met {
                    hint: hint::of(tree::leaf(line.bytes)),
                    own: Head::of(line.bytes).map(|head| head.seq),
                    whole: line.whole,
                    place: self.place.clone(),
                }));
            }
            let Some(stretch) = self.rest.next() else { return Ok(None) };
            self.place = Place { file: stretch.name(), line: 0 };
            self.lines = Some(stretch.lines()?);
        }
    }

    /// The file itself is not what its name says, from here on.
    fn broken(&self, (seq, since): (u64, u64)) -> Damage {
        let place = self.place();
        Damage { harm: Harm::Altered, seq, last: seq, since, exact: false, place }
    }

    /// Behind the last line that was met.
    fn place(&self) -> Place {
        Place { line: self.place.line + 1, ..self.place.clone() }
    }
}

/// What lies from the first line that does not fit on: beside each other what is there and what should be.
struct Window<'a, 'b> {
    seq: u64,
    first: Met,
    met: &'a mut Meeting<'b>,
    hints: &'a mut Hints,
}

impl Window<'_, '_> {
    fn damage(self, (since, exact): (u64, bool)) -> Damage {
        let Self { seq, first, met, hints } = self;
        let place = first.place.clone();
        let mut there = vec![first];
        while there.len() < WINDOW
            && let Ok(Some(line)) = met.next()
        {
            there.push(line);
        }
        let due: Vec<_> = (seq..).map_while(|seq| hints.of(seq)).take(WINDOW).collect();
        let is_torn = there.len() == 1 && there.first().is_some_and(|line| !line.whole);
        let harm = match (is_torn, due.is_empty()) {
            (true, _) => Harm::CutTail,
            (false, true) => by_number(seq, &there),
            (false, false) => by_hint(&there, &due),
        };
        Damage { harm, seq, last: seq, since, exact, place }
    }
}

/// Recognises lines by their hashes.
fn by_hint(there: &[Met], due: &[Hint]) -> Harm {
    let (Some(line), Some(hint)) = (there.first(), due.first()) else { return Harm::CutTail };
    let is_due_later = due.contains(&line.hint);
    let comes_later = there.iter().any(|line| line.hint == *hint);
    match (is_due_later, comes_later) {
        (true, true) => Harm::Reordered,
        (true, false) => Harm::Removed,
        (false, true) => Harm::Inserted,
        (false, false) => Harm::Altered,
    }
}

/// Recognises lines by the numbers that they give themselves, where there is nothing better.
fn by_number(seq: u64, there: &[Met]) -> Harm {
    let own = |at: usize| there.get(at).and_then(|line| line.own);
    let comes_later = || there.iter().skip(1).any(|line| line.own == Some(seq));
    match own(0) {
        Some(own) if own == seq => Harm::Altered,
        None if comes_later() => Harm::Inserted,
        None => Harm::Altered,
        // The next one stands where it belongs: only this one's number is wrong.
        Some(_) if own(1) == Some(seq + 1) => Harm::Altered,
        Some(own) if own > seq && comes_later() => Harm::Reordered,
        Some(own) if own > seq => Harm::Removed,
        Some(_) => Harm::Inserted,
    }
}
