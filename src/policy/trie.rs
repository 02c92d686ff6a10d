//! Which rules have a pattern that a path fits, however many rules there are: the patterns of some rules, segment by
//! segment. What one pattern means is said in `engine::stop`, and a test holds the two together.

// What is looked up comes from clients, what is stored from the law alone: no client can make keys collide.
use rustc_hash::FxHashMap as HashMap;

use crate::flow::Path;
use crate::policy::compile::RuleId;
use crate::policy::model::{PathPattern, SegmentPattern};

/// The patterns of some rules.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// Patterns that go on with this very text.
    literals: HashMap<Box<str>, Self>,
    /// Patterns that go on with `*`.
    any: Option<Box<Self>>,
    /// Rules with a pattern that ends here.
    ends: Vec<RuleId>,
    /// Rules with a pattern that goes on with `**`.
    rest: Vec<RuleId>,
}

impl Trie {
    /// Adds a pattern of a rule.
    pub(super) fn insert(&mut self, pattern: &PathPattern, rule: RuleId) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                SegmentPattern::Literal(text) => node.literals.entry(text.clone()).or_default(),
                SegmentPattern::Any => node.any.get_or_insert_default(),
            };
        }
        let rules = if pattern.rest { &mut node.rest } else { &mut node.ends };
        rules.push(rule);
    }

    /// Calls `visit` with every rule that has a pattern which `path` fits: in no order, and more than once where
    /// several of its patterns do.
    pub(super) fn visit(&self, path: &Path, visit: &mut impl FnMut(RuleId)) {
        self.descend(path.segments(), visit);
    }

    #[expect(single_use_lifetimes, reason = "an `impl Iterator` cannot have an unnamed one yet")]
    fn descend<'a>(
        &self,
        mut segments: impl Iterator<Item = &'a str> + Clone,
        visit: &mut impl FnMut(RuleId),
    ) {
        let Some(segment) = segments.next() else {
            return self.ends.iter().copied().for_each(visit);
        };
        if !segment.is_empty() {
            self.rest.iter().copied().for_each(&mut *visit);
            if let Some(any) = &self.any {
                any.descend(segments.clone(), visit);
            }
        }
        if let Some(literal) = self.literals.get(segment) {
            literal.descend(segments, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::Trie;
    use crate::flow::Path;
    use crate::policy::engine::matches;
    use crate::policy::model::{PathPattern, SegmentPattern};

    fn pattern() -> impl Strategy<Value = PathPattern> {
        let segment = prop_oneof![
            "[ab]{1,2}".prop_map(|text| SegmentPattern::Literal(text.into())),
            Just(SegmentPattern::Literal("".into())),
            Just(SegmentPattern::Any),
        ];
        (vec(segment, 0..4), any::<bool>())
            .prop_map(|(segments, rest)| PathPattern { segments, rest })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_trie_finds_what_fits_pattern_by_pattern(
            patterns in vec(pattern(), 0..24),
            text in "(/[ab]{0,2}){1,5}",
        ) {
            let Ok(path) = Path::parse(&text) else { return Ok(()) };
            let mut trie = Trie::default();
            for (rule, pattern) in patterns.iter().enumerate() {
                trie.insert(pattern, rule);
            }
            let mut found = BTreeSet::new();
            trie.visit(&path, &mut |rule| found.extend([rule]));
            let fitting: BTreeSet<_> = patterns
                .iter()
                .enumerate()
                .filter(|(_, pattern)| matches(pattern, &path))
                .map(|(rule, _)| rule)
                .collect();
            prop_assert_eq!(found, fitting);
        }
    }
}
