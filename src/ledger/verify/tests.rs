//! Ledgers written line by line and then damaged: what is done to them is named with its first place.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Damage, Doubt, Findings, Harm, Held, Outcome, Witness, verify};
use crate::ledger::Subtrees;
use crate::ledger::note::{Checkpoint, SigningKey};
use crate::ledger::prove;
use crate::ledger::tree::{self, Frontier, Range};

/// Entries 1 to 100 in segments that begin with 1, 31 and 71; checkpoints at every tenth, the last one at 90.
const FIRSTS: [u64; 3] = [1, 31, 71];
const LAST: u64 = 100;
const SIGNED: u64 = 90;

struct Desk {
    folder: tempfile::TempDir,
    key: SigningKey,
}

fn line(seq: u64) -> String {
    if seq == 75 {
        return "{\"seq\":75,\"boot\":3,\"at\":\"2026-11-22T02:14:15.000000Z\",\"kind\":\"operation\",\"facts\":{\"call\":\"prune\",\"outcome\":\"done\",\"detail\":[\"entries 1 to 30\"]}}".into();
    }
    let kind = if seq == 42 { "gap" } else { "request" };
    format!(
        "{{\"seq\":{seq},\"boot\":3,\"at\":\"2026-11-22T02:14:{:02}.000000Z\",\"kind\":\"{kind}\",\"facts\":{{\"method\":\"GET\"}}}}",
        seq % 60
    )
}

fn range(first: u64) -> std::ops::RangeInclusive<u64> {
    let next = FIRSTS.iter().find(|next| **next > first);
    first..=next.map_or(LAST, |next| next - 1)
}

fn frontier(size: u64) -> Frontier {
    let mut frontier = Frontier::default();
    (1..=size).for_each(|seq| frontier.append(tree::leaf(line(seq).as_bytes())));
    frontier
}

fn root(size: u64) -> tree::Hash {
    frontier(size).root()
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            key: SigningKey::generate("sekisho/edge-1").unwrap(),
        };
        for first in FIRSTS {
            let lines: String = range(first).map(|seq| line(seq) + "\n").collect();
            fs::write(desk.segment(first), lines).unwrap();
            let hints: Vec<u8> = range(first)
                .flat_map(|seq| tree::leaf(line(seq).as_bytes()).0[..8].to_vec())
                .collect();
            fs::write(desk.segment(first).with_extension("leaves"), hints).unwrap();
        }
        let notes: String =
            (10..=SIGNED).step_by(10).map(|size| desk.note(&desk.key, size)).collect();
        fs::write(desk.at("checkpoints"), notes).unwrap();
        desk
    }

    fn note(&self, key: &SigningKey, size: u64) -> String {
        let origin = self.key.verifier().name().to_owned();
        Checkpoint { origin, size, root: root(size) }.sign(key) + "\n"
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn segment(&self, first: u64) -> PathBuf {
        self.at(&format!("{first:012}.jsonl"))
    }

    fn change(&self, path: &Path, change: impl FnOnce(String) -> String) {
        assert!(path.starts_with(self.folder.path()));
        fs::write(path, change(fs::read_to_string(path).unwrap())).unwrap();
    }

    fn forget_hints(&self) {
        for first in FIRSTS {
            fs::remove_file(self.segment(first).with_extension("leaves")).unwrap();
        }
    }

    /// Leaves of a segment only what a pruned one leaves.
    fn prune(&self, first: u64) {
        self.keep_tree(first);
        fs::remove_file(self.segment(first)).unwrap();
        fs::remove_file(self.segment(first).with_extension("leaves")).unwrap();
    }

    fn keep_tree(&self, first: u64) {
        let mut within = Range::new(first - 1);
        range(first).for_each(|seq| within.append(tree::leaf(line(seq).as_bytes())));
        let kept = Subtrees { before: frontier(first - 1), within, until: 20_779 };
        fs::write(self.segment(first).with_extension("tree"), kept.to_string()).unwrap();
    }

    fn compress(&self, first: u64) {
        let packed = zstd::encode_all(fs::File::open(self.segment(first)).unwrap(), 0).unwrap();
        fs::write(self.segment(first).with_extension("jsonl.zst"), packed).unwrap();
        fs::remove_file(self.segment(first)).unwrap();
    }

    fn verify(&self, witnesses: &[Witness]) -> Findings {
        verify((self.folder.path(), self.key.verifier()), witnesses, &mut |_| {}).unwrap()
    }

    /// The first damage, which there must be.
    fn damage(&self) -> Damage {
        let found = self.verify(&[]);
        assert_eq!(found.outcome(), Outcome::Altered, "{found:?}");
        found.damage[0].clone()
    }

    #[track_caller]
    fn check(&self, expected: (Harm, u64), place: &str) {
        let damage = self.damage();
        assert!(damage.exact, "{damage:?}");
        assert_eq!((damage.harm, damage.seq), expected, "{damage:?}");
        assert_eq!(damage.place.to_string(), place);
    }
}

fn witness(size: u64, root: tree::Hash) -> Witness {
    Witness { name: "witness".into(), size, root: Held::Whole(root) }
}

#[test]
fn an_intact_ledger_is_proven_to_its_newest_checkpoint_and_the_rest_is_an_unsigned_tail() {
    let found = Desk::new().verify(&[]);
    assert_eq!(found.outcome(), Outcome::Intact, "{found:?}");
    assert_eq!((found.entries, found.signed, found.unsigned()), (100, 90, 10));
    assert_eq!((found.checkpoints, found.gaps, found.torn), (9, 1, false));
    assert_eq!(found.root, Some(root(90)));
}

#[test]
fn compressed_and_pruned_segments_are_covered_too() {
    let desk = Desk::new();
    desk.compress(31);
    assert_eq!(desk.verify(&[]).outcome(), Outcome::Intact);
    desk.prune(1);
    let found = desk.verify(&[witness(30, root(30))]);
    assert_eq!(found.outcome(), Outcome::Intact, "{found:?}");
    assert_eq!((found.entries, found.pruned, found.checkpoints), (100, 30, 7));
    assert_eq!((found.unkept, found.witnesses), (2, 1));
    let older = desk.verify(&[witness(29, root(29))]);
    assert_eq!((older.outcome(), older.doubts), (Outcome::Incomplete, vec![Doubt::WitnessUnkept]));
}

#[test]
fn a_torn_last_line_is_no_damage_and_one_that_was_promised_is() {
    let desk = Desk::new();
    desk.change(&desk.segment(71), |text| text.chars().take(text.len() - 9).collect());
    let found = desk.verify(&[]);
    assert_eq!((found.outcome(), found.torn, found.entries), (Outcome::Intact, true, 99));
    desk.change(&desk.segment(71), |text| text.chars().take(1000).collect());
    let kept = 70 + fs::read_to_string(desk.segment(71)).unwrap().lines().count() as u64;
    desk.check((Harm::CutTail, kept), &format!("000000000071.jsonl:{}", kept - 70));
}

#[test]
fn each_damage_has_its_name() {
    let desk = Desk::new;
    let swap = |text: String, a: u64, b: u64| {
        text.replace(&line(a), "@").replace(&line(b), &line(a)).replace('@', &line(b))
    };
    let altered = desk();
    altered.change(&altered.segment(31), |text| text.replacen("GET", "PUT", 1));
    altered.check((Harm::Altered, 31), "000000000031.jsonl:1");

    let removed = desk();
    removed.change(&removed.segment(31), |text| text.replace(&(line(50) + "\n"), ""));
    removed.check((Harm::Removed, 50), "000000000031.jsonl:20");

    let inserted = desk();
    inserted.change(&inserted.segment(31), |text| {
        text.replace(&line(50), &(line(7) + "\n" + &line(50)))
    });
    inserted.check((Harm::Inserted, 50), "000000000031.jsonl:20");

    let reordered = desk();
    reordered.change(&reordered.segment(1), |text| swap(text, 5, 25));
    reordered.check((Harm::Reordered, 5), "000000000001.jsonl:5");

    let cut = desk();
    cut.change(&cut.segment(71), |text| {
        text.lines().take(3).map(|line| line.to_owned() + "\n").collect()
    });
    cut.check((Harm::CutTail, 74), "000000000071.jsonl:4");

    let deleted = desk();
    fs::remove_file(deleted.segment(31)).unwrap();
    deleted.check((Harm::Removed, 31), "000000000071.jsonl:1");

    let renumbered = desk();
    renumbered.change(&renumbered.segment(31), |text| text.replace("\"seq\":50,", "\"seq\":51,"));
    renumbered.check((Harm::Altered, 50), "000000000031.jsonl:20");

    let packed = desk();
    packed.compress(31);
    let path = packed.segment(31).with_extension("jsonl.zst");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(path, bytes).unwrap();
    assert_eq!(packed.damage().harm, Harm::Altered);

    let pruned = desk();
    pruned.prune(1);
    pruned.change(&pruned.segment(1).with_extension("tree"), |text| {
        text.replacen(text.lines().last().unwrap(), &text.lines().last().unwrap().to_lowercase(), 1)
    });
    let damage = pruned.damage();
    assert_eq!((damage.harm, damage.exact, damage.since), (Harm::Altered, false, 1));
}

#[test]
fn lines_that_went_without_a_record_were_removed() {
    let desk = Desk::new();
    desk.prune(1);
    assert_eq!(desk.verify(&[]).outcome(), Outcome::Intact);
    desk.prune(31);
    desk.check((Harm::Removed, 31), "000000000031.tree:1");
    let middle = Desk::new();
    middle.prune(31);
    let damage = middle.damage();
    assert_eq!((damage.harm, damage.seq), (Harm::Removed, 31), "{damage:?}");
}

#[test]
fn checkpoints_give_away_what_was_done_to_them() {
    let check = |change: &dyn Fn(&Desk, String) -> String, harm, place: &str| {
        let desk = Desk::new();
        desk.change(&desk.at("checkpoints"), |text| change(&desk, text));
        let found = desk.verify(&[]);
        let damage = &found.damage[0];
        assert_eq!((damage.harm, damage.place.to_string()), (harm, place.into()), "{found:?}");
        assert_eq!(found.outcome(), Outcome::Altered);
    };
    check(&|_, text| text.replacen("\n20\n", "\n21\n", 1), Harm::Altered, "checkpoints:7");
    let foreign = SigningKey::generate("sekisho/edge-1").unwrap();
    check(&|desk, text| text + &desk.note(&foreign, 100), Harm::ForeignKey, "checkpoints:55");
    check(&|desk, text| text + &desk.note(&desk.key, 80), Harm::RolledBack, "checkpoints:55");
    let forked = |desk: &Desk, text: String| {
        let origin = desk.key.verifier().name().to_owned();
        let note = Checkpoint { origin, size: 90, root: root(91) }.sign(&desk.key);
        text + &note
    };
    check(&forked, Harm::Forked, "checkpoints:55");
}

#[test]
fn without_a_checkpoint_nothing_is_proven() {
    let desk = Desk::new();
    fs::remove_file(desk.at("checkpoints")).unwrap();
    let found = desk.verify(&[]);
    assert_eq!((found.outcome(), found.doubts), (Outcome::Incomplete, vec![Doubt::NoCheckpoint]));
}

#[test]
fn an_outsiders_head_shows_what_the_signing_key_can_hide() {
    let desk = Desk::new();
    let good = [witness(40, root(40)), witness(95, root(95))];
    let found = desk.verify(&good);
    assert_eq!((found.outcome(), found.witnesses), (Outcome::Intact, 2), "{found:?}");

    let forked = desk.verify(&[witness(40, root(41))]);
    assert_eq!((forked.damage[0].harm, forked.damage[0].last), (Harm::Forked, 40));

    // The newest lines are gone together with their checkpoints: an older state of everything.
    desk.change(&desk.segment(71), |text| {
        text.lines().take(10).map(|line| line.to_owned() + "\n").collect()
    });
    desk.change(&desk.at("checkpoints"), |text| {
        text.lines().take(48).map(|line| line.to_owned() + "\n").collect()
    });
    assert_eq!(desk.verify(&[]).outcome(), Outcome::Intact, "nothing inside shows it");
    let back = desk.verify(&good);
    assert_eq!((back.damage[0].harm, back.damage[0].seq), (Harm::RolledBack, 81), "{back:?}");
}

#[test]
fn an_outsiders_head_proves_the_unsigned_tail() {
    let desk = Desk::new();
    desk.change(&desk.segment(71), |text| {
        text.replace("\"seq\":93,\"boot\":3", "\"seq\":93,\"boot\":4")
    });
    let unproven = desk.verify(&[]);
    assert_eq!(
        (unproven.outcome(), unproven.doubts),
        (Outcome::Incomplete, vec![Doubt::UnsignedDiffers])
    );
    let found = desk.verify(&[witness(95, root(95))]);
    assert_eq!(
        (found.damage[0].harm, found.damage[0].seq, found.damage.len()),
        (Harm::Altered, 93, 1)
    );
    assert_eq!(found.doubts, []);
}

#[test]
fn an_entry_is_proven_by_a_text_that_needs_nothing_else() {
    let desk = Desk::new();
    desk.compress(31);
    desk.keep_tree(31);
    desk.prune(1);
    let key = desk.key.verifier();
    for seq in [31, 70, 71, 90] {
        let proof = prove::prove(desk.folder.path(), key, seq).unwrap();
        let proven = prove::check(&proof, key).unwrap();
        assert_eq!((proven.seq, proven.line), (seq, line(seq).into_bytes()));
        assert_eq!(proven.checkpoint.size, 90);
        let lines: Vec<_> = proof.lines().collect();
        assert_eq!(
            (lines[0], lines[2]),
            ("c2sp.org/tlog-proof@v1", &*format!("index {}", seq - 1))
        );
        let other = SigningKey::generate(key.name()).unwrap();
        let foreign = prove::check(&proof, other.verifier());
        assert!(matches!(foreign, Err(prove::ProofError::Note(_))), "{foreign:?}");
        for (at, change) in [(1, "extra e30="), (2, "index 5"), (3, lines[4])] {
            let tampered = proof.replacen(lines[at], change, 1);
            assert!(
                matches!(prove::check(&tampered, key), Err(prove::ProofError::Wrong)),
                "{change}"
            );
        }
    }
    let unsigned = prove::prove(desk.folder.path(), key, 91);
    assert!(matches!(unsigned, Err(prove::ProofError::Unsigned(90))), "{unsigned:?}");
    assert!(matches!(prove::prove(desk.folder.path(), key, 7), Err(prove::ProofError::Pruned)));
    desk.change(&desk.segment(71), |text| text.replacen("GET", "PUT", 1));
    assert!(matches!(prove::prove(desk.folder.path(), key, 90), Err(prove::ProofError::Damaged)));
}

/// What somebody does to the lines.
#[derive(Debug, Clone)]
enum Deed {
    /// Flips a bit of the n-th byte of everything.
    Flip(prop::sample::Index, u8),
    Drop(u64),
    Insert(u64, u64),
    Swap(u64, u64),
    Cut(prop::sample::Index),
}

fn deed() -> impl Strategy<Value = Deed> {
    let seq = 1..=SIGNED;
    prop_oneof![
        (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Deed::Flip(at, bit)),
        seq.clone().prop_map(Deed::Drop),
        (seq.clone(), 1..=LAST).prop_map(|(at, what)| Deed::Insert(at, what)),
        (seq.clone(), seq).prop_filter("two", |(a, b)| a != b).prop_map(|(a, b)| Deed::Swap(a, b)),
        any::<prop::sample::Index>().prop_map(Deed::Cut),
    ]
}

impl Deed {
    /// Does it to the text of all signed lines; says which entry is the first that is not in its place.
    fn done(&self) -> (Vec<u8>, u64) {
        let mut lines: Vec<_> = (1..=SIGNED).map(|seq| line(seq) + "\n").collect();
        let place = |seq: u64| usize::try_from(seq - 1).unwrap();
        let holding = |at: usize| {
            let mut end = 0;
            (1..=SIGNED).find(|seq| {
                end += line(*seq).len() + 1;
                at < end
            })
        };
        let whole = lines.concat().into_bytes();
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(whole.len());
                let mut bytes = whole;
                bytes[at] ^= 1 << bit;
                return (bytes, holding(at).unwrap());
            }
            Self::Cut(at) => {
                let at = at.index(whole.len());
                return (whole[..at].to_vec(), holding(at).unwrap());
            }
            Self::Drop(seq) => drop(lines.remove(place(*seq))),
            Self::Insert(seq, what) => lines.insert(place(*seq), line(*what) + "\n"),
            Self::Swap(a, b) => lines.swap(place(*a), place(*b)),
        }
        let first = match self {
            Self::Drop(seq) => *seq,
            // A line before its own twin: the twin is the one that is too many.
            Self::Insert(seq, what) => {
                if seq == what {
                    seq + 1
                } else {
                    *seq
                }
            }
            Self::Swap(a, b) => *a.min(b),
            // Done above.
            Self::Flip(..) | Self::Cut(_) => 0,
        };
        (lines.concat().into_bytes(), first)
    }

    fn harm(&self) -> &'static [Harm] {
        match self {
            // The flip of a line break joins two lines, that of another byte may part one.
            Self::Flip(..) => &[Harm::Altered, Harm::CutTail],
            Self::Drop(SIGNED) | Self::Cut(_) => &[Harm::CutTail],
            Self::Drop(_) => &[Harm::Removed],
            Self::Insert(..) => &[Harm::Inserted, Harm::Reordered],
            Self::Swap(..) => &[Harm::Reordered],
        }
    }
}

proptest! {
    /// Any change up to the newest checkpoint is named with its first damaged place: the very line where the hints
    /// are there, a stretch that holds it where they are not.
    #[test]
    fn any_change_is_named_with_its_first_damaged_place(deed in deed(), hints: bool) {
        let (bytes, first) = deed.done();
        // A twin after the last line that is signed changes nothing that is.
        prop_assume!(first <= SIGNED);
        let desk = Desk::new();
        for segment in FIRSTS {
            fs::remove_file(desk.segment(segment)).unwrap();
        }
        fs::write(desk.segment(1), bytes).unwrap();
        if !hints {
            desk.forget_hints();
        }
        let damage = desk.damage();
        prop_assert!(damage.since <= first && first <= damage.last, "{deed:?} {first} {damage:?}");
        if hints {
            prop_assert!(damage.exact && damage.seq == first, "{deed:?} {first} {damage:?}");
            prop_assert!(deed.harm().contains(&damage.harm), "{deed:?} {damage:?}");
        }
    }
}
