//! The paths of all requests, cut along patterns: pieces that no pattern can tell apart, each with an example.

use std::collections::{BTreeMap, BTreeSet};

use super::TooFine;
use crate::flow::Path;
use crate::policy::engine::matches;
use crate::policy::model::{PathPattern, SegmentPattern};

/// More pieces are not told apart.
const PIECES_MAX: usize = 16_384;

/// The patterns that fit, by number.
type Signature = BTreeSet<usize>;

/// The pieces.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    patterns: Vec<PathPattern>,
    pieces: BTreeMap<Signature, usize>,
    examples: Vec<Path>,
}

/// A way through the segments: the patterns that may still fit, and those that fit whatever comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    depth: usize,
    alive: Vec<usize>,
    absorbed: Vec<usize>,
}

impl Paths {
    /// Cuts along these patterns.
    pub(super) fn of(patterns: &[&PathPattern]) -> Result<Self, TooFine> {
        let distinct: BTreeMap<String, &PathPattern> =
            patterns.iter().map(|it| (it.to_string(), *it)).collect();
        let patterns: Vec<PathPattern> = distinct.into_values().cloned().collect();
        let alive = (0..patterns.len()).collect();
        let mut paths = Self { patterns, pieces: BTreeMap::new(), examples: Vec::new() };
        let stranger = paths.stranger();
        let mut seen = BTreeSet::new();
        let mut pending = vec![(Way { depth: 0, alive, absorbed: Vec::new() }, String::new())];
        while let Some((way, text)) = pending.pop() {
            for segment in paths.segments(&way, &stranger) {
                let next = paths.step(&way, &segment);
                let text = format!("{text}/{segment}");
                paths.record(&next, &text)?;
                if !segment.is_empty() && !next.alive.is_empty() && seen.insert(next.clone()) {
                    pending.push((next, text));
                }
            }
        }
        Ok(paths)
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.examples.len()
    }

    /// The piece that a path is in.
    pub(super) fn piece(&self, path: &Path) -> Option<usize> {
        let fits = |(_, pattern): &(usize, &PathPattern)| matches(pattern, path);
        let signature: Signature =
            self.patterns.iter().enumerate().filter(fits).map(|(at, _)| at).collect();
        self.pieces.get(&signature).copied()
    }

    /// A path of a piece.
    pub(super) fn example(&self, piece: usize) -> Option<&Path> {
        self.examples.get(piece)
    }

    /// The patterns with the pieces they take.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&PathPattern, BTreeSet<usize>)> {
        self.patterns.iter().enumerate().map(|(at, pattern)| {
            let taken = self.pieces.iter().filter(|(signature, _)| signature.contains(&at));
            (pattern, taken.map(|(_, piece)| *piece).collect())
        })
    }

    /// A segment that no pattern names.
    fn stranger(&self) -> String {
        let literals: BTreeSet<&str> = self.patterns.iter().flat_map(literals).collect();
        let mut text = "x".to_owned();
        while literals.contains(text.as_str()) {
            text.push('x');
        }
        text
    }

    /// What can come next: a segment that a pattern names there, any other, or nothing (the path ends with `/`).
    fn segments(&self, way: &Way, stranger: &str) -> BTreeSet<String> {
        let named = |at: &usize| match self.patterns.get(*at)?.segments.get(way.depth)? {
            SegmentPattern::Literal(text) => Some(text.to_string()),
            SegmentPattern::Any => None,
        };
        let named = way.alive.iter().filter_map(named);
        named.chain([stranger.to_owned(), String::new()]).collect()
    }

    fn step(&self, way: &Way, segment: &str) -> Way {
        let mut next =
            Way { depth: way.depth + 1, alive: Vec::new(), absorbed: way.absorbed.clone() };
        for at in &way.alive {
            let Some(pattern) = self.patterns.get(*at) else { continue };
            match pattern.segments.get(way.depth) {
                Some(SegmentPattern::Literal(text)) if **text == *segment => next.alive.push(*at),
                Some(SegmentPattern::Any) if !segment.is_empty() => next.alive.push(*at),
                None if pattern.rest && !segment.is_empty() => next.absorbed.push(*at),
                Some(SegmentPattern::Literal(_) | SegmentPattern::Any) | None => {}
            }
        }
        next.absorbed.sort_unstable();
        next
    }

    /// Records the path that ends here.
    fn record(&mut self, way: &Way, text: &str) -> Result<(), TooFine> {
        let ends = |at: &&usize| {
            self.patterns.get(**at).is_some_and(|it| !it.rest && it.segments.len() == way.depth)
        };
        let signature: Signature =
            way.alive.iter().filter(ends).chain(&way.absorbed).copied().collect();
        if self.pieces.contains_key(&signature) {
            return Ok(());
        }
        if self.examples.len() >= PIECES_MAX {
            return Err(TooFine { most: PIECES_MAX });
        }
        if let Ok(example) = Path::parse(text) {
            self.pieces.insert(signature, self.examples.len());
            self.examples.push(example);
        }
        Ok(())
    }
}

/// Whether a path can fit both.
pub(super) fn overlap(a: &PathPattern, b: &PathPattern) -> bool {
    let meet = |(a, b): (&SegmentPattern, &SegmentPattern)| match (a, b) {
        (SegmentPattern::Literal(a), SegmentPattern::Literal(b)) => a == b,
        (SegmentPattern::Literal(text), SegmentPattern::Any)
        | (SegmentPattern::Any, SegmentPattern::Literal(text)) => !text.is_empty(),
        (SegmentPattern::Any, SegmentPattern::Any) => true,
    };
    let (short, long) = if a.segments.len() <= b.segments.len() { (a, b) } else { (b, a) };
    let begins = short.segments.iter().zip(&long.segments).all(meet);
    let ends = match long.segments.get(short.segments.len()) {
        Some(SegmentPattern::Literal(text)) => short.rest && !text.is_empty(),
        Some(SegmentPattern::Any) => short.rest,
        None => short.rest == long.rest,
    };
    begins && ends
}

fn literals(pattern: &PathPattern) -> impl Iterator<Item = &str> {
    pattern.segments.iter().filter_map(|segment| match segment {
        SegmentPattern::Literal(text) => Some(&**text),
        SegmentPattern::Any => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Paths;
    use crate::flow::Path;
    use crate::policy::compare::TooFine;
    use crate::policy::imagined::pattern;

    fn paths(texts: &[&str]) -> Paths {
        let patterns: Vec<_> = texts.iter().map(|text| pattern(text)).collect();
        Paths::of(&patterns.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn every_combination_that_a_path_can_have_is_a_piece() {
        let cut = paths(&["/a/**", "/a/b", "/*/b", "/a/"]);
        let examples: Vec<_> = (0..cut.len()).map(|at| cut.example(at).unwrap().as_str()).collect();
        // None; `/a/`; `/a/b`; `/a/x`; `/x/b`.
        assert_eq!(cut.len(), 5, "{examples:?}");
        assert_eq!(paths(&[]).len(), 1);
        assert_eq!(paths(&["/**"]).len(), 2);
        assert_eq!(paths(&["/**", "/"]).len(), 2, "every path fits one of the two");
    }

    #[test]
    fn two_patterns_overlap_where_a_piece_is_of_both() {
        let texts =
            ["/d/**", "/d/*", "/d/u", "/e", "/*/u", "/", "/**", "/d/*/u", "/*/*/**", "/d/", "/x/x"];
        for a in texts {
            for b in texts {
                let cut = paths(&[a, b]);
                let both: Vec<_> = cut.patterns().map(|(_, pieces)| pieces).collect();
                let meet =
                    both.iter().all(|pieces| both.iter().all(|other| !pieces.is_disjoint(other)));
                assert_eq!(super::overlap(&pattern(a), &pattern(b)), meet, "{a} {b}");
            }
        }
    }

    /// Patterns of one length, each with a literal of its own: every set of them is a piece.
    fn independent(count: usize) -> Vec<String> {
        let segment = |at: usize| move |place| if place == at { "/a" } else { "/*" };
        (0..count).map(|at| (0..count).map(segment(at)).collect()).collect()
    }

    #[test]
    fn as_many_pieces_as_the_bound_are_told_apart_and_one_more_is_not() {
        let mut texts = independent(14);
        let cut = |texts: &[String]| {
            let patterns: Vec<_> = texts.iter().map(|text| pattern(text)).collect();
            Paths::of(&patterns.iter().collect::<Vec<_>>()).map(|cut| cut.len())
        };
        assert_eq!(cut(&texts), Ok(super::PIECES_MAX));
        texts.push("/b".to_owned());
        assert_eq!(cut(&texts), Err(TooFine { most: super::PIECES_MAX }));
    }

    proptest! {
        #[test]
        fn every_path_lies_in_a_piece_whose_example_fits_the_same_patterns(
            picked in proptest::sample::subsequence(
                vec!["/d/**", "/d/*", "/d/u", "/e", "/*/u", "/", "/**", "/d/*/u", "/*/*/**", "/d/", "/x/x"], 0..=11),
            segments in proptest::collection::vec("[duevx]{1,2}", 0..5),
            slash in any::<bool>(),
        ) {
            let mut text: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
            if slash || text.is_empty() {
                text.push('/');
            }
            let path = Path::parse(&text).unwrap();
            let cut = paths(&picked);
            let piece = cut.piece(&path).expect("every path lies in a piece");
            prop_assert_eq!(cut.piece(cut.example(piece).unwrap()), Some(piece));
        }
    }
}
