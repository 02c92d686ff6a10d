//! What differs between two versions of a law's files, line by line, as a patch shows it.

use std::sync::Arc;

use crate::yaml::SourceFile;

/// More lines between the first and the last difference than this are shown as one change.
const LINES_MAX: usize = 1000;

/// Lines that are there in one version only, next to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The file.
    pub file: Arc<str>,
    /// The line of the old version at which it begins, from 1.
    pub line: usize,
    /// What goes.
    pub removed: Vec<String>,
    /// What comes.
    pub added: Vec<String>,
}

/// The differences between the files before and after; both have the same files in the same order.
pub fn hunks(before: &[SourceFile], after: &[SourceFile]) -> Vec<Hunk> {
    let pairs = before.iter().zip(after).filter(|(before, after)| before.bytes != after.bytes);
    pairs.flat_map(|(before, after)| file_hunks(before, after)).collect()
}

fn file_hunks(before: &SourceFile, after: &SourceFile) -> Vec<Hunk> {
    let (old, new) =
        (String::from_utf8_lossy(&before.bytes), String::from_utf8_lossy(&after.bytes));
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let old = old.get(..old.len().saturating_sub(tail)).unwrap_or_default();
    let new = new.get(..new.len().saturating_sub(tail)).unwrap_or_default();
    let mut hunks = Hunks { file: &before.name, found: Vec::new(), open: false };
    if old.len().max(new.len()) > LINES_MAX {
        for (at, line) in old.iter().enumerate() {
            hunks.remove(head + at, line);
        }
        for line in new {
            hunks.add(head, line);
        }
    } else {
        walk(old, new, head, &mut hunks);
    }
    hunks.found
}

/// Keeps as many lines as can be kept in order.
fn walk(old: &[&str], new: &[&str], head: usize, hunks: &mut Hunks<'_>) {
    let width = new.len() + 1;
    let mut kept = vec![0_usize; (old.len() + 1) * width];
    let at = |kept: &[usize], i: usize, j: usize| kept.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a == b {
                at(&kept, i + 1, j + 1) + 1
            } else {
                at(&kept, i + 1, j).max(at(&kept, i, j + 1))
            };
            if let Some(cell) = kept.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                hunks.open = false;
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&kept, i + 1, j) >= at(&kept, i, j + 1) => {
                hunks.remove(head + i, a);
                i += 1;
            }
            (_, Some(b)) => {
                hunks.add(head + i, b);
                j += 1;
            }
            (Some(_) | None, None) => return,
        }
    }
}

/// The hunks in the making.
struct Hunks<'a> {
    file: &'a Arc<str>,
    found: Vec<Hunk>,
    open: bool,
}

impl Hunks<'_> {
    fn remove(&mut self, at: usize, line: &str) {
        if let Some(hunk) = self.current(at) {
            hunk.removed.push(line.to_owned());
        }
    }

    fn add(&mut self, at: usize, line: &str) {
        if let Some(hunk) = self.current(at) {
            hunk.added.push(line.to_owned());
        }
    }

    fn current(&mut self, at: usize) -> Option<&mut Hunk> {
        if !self.open {
            let file = Arc::clone(self.file);
            self.found.push(Hunk { file, line: at + 1, removed: Vec::new(), added: Vec::new() });
            self.open = true;
        }
        self.found.last_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Hunk, LINES_MAX, hunks};
    use crate::yaml::SourceFile;

    #[test]
    fn only_what_differs_is_shown_with_its_line() {
        let file =
            |text: &str| [SourceFile { name: Arc::from("a.yaml"), bytes: text.as_bytes().into() }];
        let found = hunks(&file("a\nb\nc\nd\ne\n"), &file("a\nB\nc\nd\nx\ne\n"));
        let shown: Vec<_> =
            found.iter().map(|it| (it.line, it.removed.join(","), it.added.join(","))).collect();
        assert_eq!(
            shown,
            [(2, "b".to_owned(), "B".to_owned()), (5, String::new(), "x".to_owned())]
        );
        assert_eq!(hunks(&file("a\n"), &file("a\n")), []);
    }

    /// `line -removed +added`, hunk by hunk.
    fn shown(before: &str, after: &str) -> Vec<String> {
        let file =
            |text: &str| [SourceFile { name: Arc::from("a.yaml"), bytes: text.as_bytes().into() }];
        let found = hunks(&file(before), &file(after));
        let hunk =
            |it: &Hunk| format!("{} -{} +{}", it.line, it.removed.join(","), it.added.join(","));
        found.iter().map(hunk).collect()
    }

    #[test]
    fn the_first_line_is_a_line_like_any_other() {
        assert_eq!(shown("a\nb\nc\n", "A\nb\nc\n"), ["1 -a +A"]);
    }

    #[test]
    fn of_two_lines_that_change_places_the_upper_one_moves() {
        assert_eq!(shown("a\nb\n", "b\na\n"), ["1 -a +", "3 - +a"]);
    }

    #[test]
    fn what_lies_between_two_changes_is_kept_up_to_the_bound_and_replaced_beyond_it() {
        let text = |count: usize, ends: &str| {
            let between = "same\n".repeat(count - 2);
            format!("{ends}\n{between}{ends}\n")
        };
        let found = shown(&text(LINES_MAX, "a"), &text(LINES_MAX, "b"));
        assert_eq!(found, ["1 -a +b", "1000 -a +b"]);
        let after_one = |ends: &str| format!("head\n{}", text(LINES_MAX + 1, ends));
        let beyond = shown(&after_one("a"), &after_one("b"));
        assert_eq!(beyond.len(), 1);
        assert!(beyond[0].starts_with("2 -a,same,"), "{:.20}", beyond[0]);
    }

    #[test]
    fn as_many_lines_stay_as_can_in_their_order() {
        let found = shown("b\nb\na\nb\nb\n", "a\nb\nc\n");
        assert_eq!(found, ["1 -b,b +", "5 -b +c"]);
    }

    /// How many lines two texts have in common, in order.
    fn common(old: &[u8], new: &[u8]) -> usize {
        match (old, new) {
            ([a, old @ ..], [b, new @ ..]) if a == b => 1 + common(old, new),
            ([_, shorter_old @ ..], [_, shorter_new @ ..]) => {
                common(shorter_old, new).max(common(old, shorter_new))
            }
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn no_line_is_removed_that_could_stay(old in "[abc]{0,7}", new in "[abc]{0,7}") {
            let lines = |text: &str| text.chars().flat_map(|line| [line, '\n']).collect::<String>();
            let file = |text: &str| [SourceFile { name: Arc::from("a.yaml"), bytes: lines(text).into_bytes().into() }];
            let found = hunks(&file(&old), &file(&new));
            let kept = common(old.as_bytes(), new.as_bytes());
            let removed: usize = found.iter().map(|it| it.removed.len()).sum();
            let added: usize = found.iter().map(|it| it.added.len()).sum();
            prop_assert_eq!((removed, added), (old.len() - kept, new.len() - kept));
        }
    }
}
