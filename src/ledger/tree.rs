//! The Merkle tree of RFC 6962 §2.1 over SHA-256: hashes, appending with a logarithmic state, proofs and their
//! checks. What a leaf means, and where leaves are kept, is not known here; no clock, no file.
//!
//! A proof is a list of [`Span`]s, the subtrees whose hashes it consists of, and the hashes. [`inclusion`] and
//! [`consistency`] name the spans; a [`Gather`] computes them in one pass over the leaves, in bounded memory.

use std::fmt;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

/// The hash of a leaf, of a node, or of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of a leaf: `SHA-256(0x00 || data)` (RFC 6962 §2.1). A leaf of the ledger is one line without its line
/// break.
pub fn leaf(data: &[u8]) -> Hash {
    // In one piece it costs no allocation; nearly every line is shorter than this.
    let mut whole = [0; 1024];
    if let Some(room) = whole.get_mut(1..=data.len()) {
        room.copy_from_slice(data);
        return of(&digest(&SHA256, whole.get(..=data.len()).unwrap_or_default()));
    }
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(data);
    of(&context.finish())
}

/// The hash of two subtrees beside each other: `SHA-256(0x01 || left || right)`.
pub fn node(left: Hash, right: Hash) -> Hash {
    let mut whole = [1; 65];
    let (_, both) = whole.split_at_mut(1);
    let (to_left, to_right) = both.split_at_mut(32);
    to_left.copy_from_slice(&left.0);
    to_right.copy_from_slice(&right.0);
    of(&digest(&SHA256, &whole))
}

/// The hash of the tree without leaves: `SHA-256()`.
pub fn empty() -> Hash {
    of(&digest(&SHA256, &[]))
}

fn of(digest: &Digest) -> Hash {
    let mut hash = [0; 32];
    // SHA-256 has 32 bytes, so both are equally long.
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    Hash(hash)
}

/// Leaves that stand beside each other, `begin` the first and `end` after the last, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first leaf.
    pub begin: u64,
    /// After the last leaf.
    pub end: u64,
}

impl Span {
    /// The complete subtrees that these leaves consist of, from the left: the largest ones whose place in the
    /// tree is a multiple of their width. At most twice as many as the span's length has binary digits.
    pub fn subtrees(self) -> impl Iterator<Item = Self> {
        let mut begin = self.begin;
        std::iter::from_fn(move || {
            let left = self.end.checked_sub(begin).filter(|left| *left > 0)?;
            let fitting = 1 << left.ilog2();
            let width = if begin == 0 { fitting } else { fitting.min(1 << begin.trailing_zeros()) };
            let subtree = Self { begin, end: begin + width };
            begin += width;
            Some(subtree)
        })
    }

    const fn holds(self, inner: Self) -> bool {
        self.begin <= inner.begin && inner.end <= self.end
    }
}

/// The hashes of the complete subtrees of a span, to which leaves can be appended. Its state is logarithmic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    span: Span,
    nodes: Vec<Hash>,
}

impl Range {
    /// No leaf yet, to be followed by the leaf `begin`.
    pub const fn new(begin: u64) -> Self {
        Self { span: Span { begin, end: begin }, nodes: Vec::new() }
    }

    /// From the hashes of `span.subtrees()`, in order; `None` where there are not as many.
    pub fn of(span: Span, nodes: Vec<Hash>) -> Option<Self> {
        let fits = span.begin <= span.end && span.subtrees().count() == nodes.len();
        fits.then_some(Self { span, nodes })
    }

    /// The leaves that are in it.
    pub const fn span(&self) -> Span {
        self.span
    }

    /// The hashes of the complete subtrees, from the left; how wide each is, `span().subtrees()` tells.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Puts the next leaf behind the others.
    pub fn append(&mut self, leaf: Hash) {
        self.push(leaf, 1);
    }

    /// Puts all leaves of `next` behind the others; `false`, and nothing done, where it does not follow.
    #[must_use]
    pub fn extend(&mut self, next: &Self) -> bool {
        let follows = next.span.begin == self.span.end;
        if follows {
            for (subtree, hash) in next.span.subtrees().zip(&next.nodes) {
                self.push(*hash, subtree.end - subtree.begin);
            }
        }
        follows
    }

    /// Two subtrees of one width become one where the left one's place is a multiple of twice that width.
    fn push(&mut self, mut hash: Hash, mut width: u64) {
        let mut begin = self.span.end;
        self.span.end += width;
        while begin & width != 0 && begin - width >= self.span.begin {
            let Some(left) = self.nodes.pop() else { break };
            hash = node(left, hash);
            begin -= width;
            width *= 2;
        }
        self.nodes.push(hash);
    }

    /// `MTH` of these leaves as a tree of their own (RFC 6962 §2.1). Meant for spans that begin at 0, or at a
    /// multiple of a power of two that is no less than their length, as the spans of proofs do.
    pub fn root(&self) -> Hash {
        let from_the_right = self.nodes.iter().rev().copied();
        from_the_right.reduce(|right, left| node(left, right)).unwrap_or_else(empty)
    }
}

/// The whole tree so far, as little of it as appending needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier(Range);

impl Default for Frontier {
    fn default() -> Self {
        Self(Range::new(0))
    }
}

impl Frontier {
    /// From the peaks of a tree of `size` leaves, the widest first; `None` where there are not as many as such a
    /// tree has.
    pub fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        Range::of(Span { begin: 0, end: size }, peaks).map(Self)
    }

    /// How many leaves it has.
    pub const fn size(&self) -> u64 {
        self.0.span.end
    }

    /// The hashes of its complete subtrees, the widest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.0.nodes
    }

    /// Puts the next leaf behind the others.
    pub fn append(&mut self, leaf: Hash) {
        self.0.append(leaf);
    }

    /// Puts all leaves of `next` behind the others; `false`, and nothing done, where it does not follow.
    #[must_use]
    pub fn extend(&mut self, next: &Range) -> bool {
        self.0.extend(next)
    }

    /// The root hash.
    pub fn root(&self) -> Hash {
        self.0.root()
    }
}

/// Which subtrees prove that the leaf `index` is in a tree of `size` leaves, nearest the leaf first (RFC 6962
/// §2.1.1). Nothing where the tree has no such leaf.
pub fn inclusion(index: u64, size: u64) -> Vec<Span> {
    let mut path = Vec::new();
    let mut within = Span { begin: 0, end: size };
    while index < size && within.end - within.begin > 1 {
        let (left, right) = halves(within);
        let (inner, beside) = if index < left.end { (left, right) } else { (right, left) };
        path.push(beside);
        within = inner;
    }
    path.reverse();
    path
}

/// Which subtrees prove that a tree of `size` leaves begins with the tree of `old` leaves (RFC 6962 §2.1.2).
/// Nothing where `old` is 0, equal to `size` or greater: there is nothing to prove.
pub fn consistency(old: u64, size: u64) -> Vec<Span> {
    let mut path = Vec::new();
    if old == 0 || old >= size {
        return path;
    }
    let mut within = Span { begin: 0, end: size };
    while within.end != old {
        let (left, right) = halves(within);
        let (inner, beside) = if old <= left.end { (left, right) } else { (right, left) };
        path.push(beside);
        within = inner;
    }
    // The old tree's own hash is known to whoever checks.
    if within.begin > 0 {
        path.push(within);
    }
    path.reverse();
    path
}

/// The left half is as wide as the largest power of two smaller than the whole, which has two leaves or more.
fn halves(whole: Span) -> (Span, Span) {
    let middle = whole.begin + (1 << (whole.end - whole.begin - 1).ilog2());
    (Span { end: middle, ..whole }, Span { begin: middle, ..whole })
}

/// The root of a tree of `size` leaves in which `leaf` is the leaf `index`, as `proof` has it (RFC 9162
/// §2.1.3.2); `None` where no such tree has a proof of this length.
pub fn root_by_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    let spans = inclusion(index, size);
    if index >= size || spans.len() != proof.len() {
        return None;
    }
    let climb = |hash, (span, beside): (&Span, &Hash)| {
        if span.begin > index { node(hash, *beside) } else { node(*beside, hash) }
    };
    Some(spans.iter().zip(proof).fold(leaf, climb))
}

/// Whether `proof` shows that the tree of `new_root` begins with the tree of `old_root` (RFC 9162 §2.1.4.2), each
/// given with its number of leaves.
pub fn is_consistent(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == new_size || old_size == 0 {
        return proof.is_empty() && (old == new || old == (0, empty()));
    }
    let spans = consistency(old_size, new_size);
    if spans.len() != proof.len() || spans.is_empty() {
        return false;
    }
    let mut path = spans.iter().zip(proof);
    let known = spans.first().is_some_and(|span| span.end == old_size);
    let seed = if known { path.next().map_or(old_root, |(_, hash)| *hash) } else { old_root };
    // What lies left of the old tree's end belongs to both trees, the rest to the new one only.
    let (older, newer) = path.fold((seed, seed), |(older, newer), (span, beside)| {
        if span.begin >= old_size {
            (older, node(newer, *beside))
        } else {
            (node(*beside, older), node(*beside, newer))
        }
    });
    (older, newer) == (old_root, new_root)
}

/// Computes the hashes of chosen spans while leaves, or whole subtrees, go by in order.
#[derive(Debug, Clone)]
pub struct Gather {
    wanted: Vec<Range>,
    spans: Vec<Span>,
}

impl Gather {
    /// For the spans of a proof, of [`inclusion`] or [`consistency`].
    pub fn new(spans: Vec<Span>) -> Self {
        let wanted = spans.iter().map(|span| Range::new(span.begin)).collect();
        Self { wanted, spans }
    }

    /// The leaf `index` goes by.
    pub fn leaf(&mut self, index: u64, leaf: Hash) {
        self.subtree(Span { begin: index, end: index + 1 }, leaf);
    }

    /// A complete subtree goes by, as [`Span::subtrees`] gives them. What a span wants only a part of is lost to it.
    pub fn subtree(&mut self, subtree: Span, hash: Hash) {
        for (range, span) in self.wanted.iter_mut().zip(&self.spans) {
            if span.holds(subtree) && range.span.end == subtree.begin {
                range.push(hash, subtree.end - subtree.begin);
            }
        }
    }

    /// The hashes in the order of the spans; `None` where not every leaf of them went by.
    pub fn finish(self) -> Option<Vec<Hash>> {
        let complete = self.wanted.iter().zip(&self.spans).all(|(range, span)| range.span == *span);
        complete.then(|| self.wanted.iter().map(Range::root).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Frontier, Gather, Hash, Range, Span, consistency, empty, inclusion, is_consistent, leaf,
        node, root_by_inclusion,
    };

    /// The leaves of the reference implementation of Certificate Transparency.
    const INPUTS: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    /// The roots of its first 1 to 8 leaves.
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16);
        hex.as_bytes().chunks(2).map(|digits| byte(digits).unwrap()).collect()
    }

    fn hash(hex: &str) -> Hash {
        Hash(bytes(hex).try_into().unwrap())
    }

    fn hashes(hex: &[&str]) -> Vec<Hash> {
        hex.iter().map(|hex| hash(hex)).collect()
    }

    fn known() -> Vec<Hash> {
        INPUTS.iter().map(|input| leaf(&bytes(input))).collect()
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|index| leaf(&index.to_be_bytes())).collect()
    }

    fn frontier(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.append(*leaf);
        }
        frontier
    }

    fn gather(spans: Vec<Span>, leaves: &[Hash]) -> Vec<Hash> {
        let mut gather = Gather::new(spans);
        (0..).zip(leaves).for_each(|(index, leaf)| gather.leaf(index, *leaf));
        gather.finish().unwrap()
    }

    /// `MTH(D[n])` as RFC 6962 §2.1 defines it.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(split(more.len()));
                node(naive_root(left), naive_root(right))
            }
        }
    }

    /// `PATH(m, D[n])` of §2.1.1.
    fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, beside) = if index < left.len() {
            (naive_path(index, left), right)
        } else {
            (naive_path(index - left.len(), right), left)
        };
        path.push(naive_root(beside));
        path
    }

    /// `SUBPROOF(m, D[n], b)` of §2.1.2.
    fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut proof, beside) = if old <= left.len() {
            (naive_subproof(old, left, whole), right)
        } else {
            (naive_subproof(old - left.len(), right, false), left)
        };
        proof.push(naive_root(beside));
        proof
    }

    fn split(count: usize) -> usize {
        count.next_power_of_two() / 2
    }

    #[test]
    fn an_empty_tree_and_an_empty_leaf_hash_as_the_rfc_says() {
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Frontier::default().root(), hash(nothing));
        assert_eq!(leaf(b""), hash(ROOTS[0]));
    }

    #[test]
    fn a_leaf_of_any_length_is_hashed_as_one_piece() {
        for length in [1, 54, 55, 1022, 1023, 1024, 1025, 5000] {
            let data = vec![b'x'; length];
            let whole = [&[0], data.as_slice()].concat();
            let expected = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &whole);
            assert_eq!(leaf(&data).0, expected.as_ref(), "{length}");
        }
    }

    #[test]
    fn the_known_trees_have_the_known_roots() {
        let leaves = known();
        for (size, root) in (1..).zip(ROOTS) {
            assert_eq!(frontier(&leaves[..size]).root(), hash(root), "{size}");
        }
    }

    #[test]
    fn the_known_inclusion_proofs_are_made_and_accepted() {
        let check = |index: u64, size: u64, expected: &[&str]| {
            let leaves = &known()[..usize::try_from(size).unwrap()];
            let proof = gather(inclusion(index, size), leaves);
            assert_eq!(proof, hashes(expected), "{index} of {size}");
            let leaf = leaves[usize::try_from(index).unwrap()];
            let root = hash(ROOTS[usize::try_from(size - 1).unwrap()]);
            assert_eq!(root_by_inclusion(index, size, leaf, &proof), Some(root));
        };
        check(0, 1, &[]);
        check(
            0,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        );
        check(
            5,
            8,
            &[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        );
        check(2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    }

    #[test]
    fn the_known_consistency_proofs_are_made_and_accepted() {
        let check = |old: usize, size: usize, expected: &[&str]| {
            let proof = gather(consistency(old as u64, size as u64), &known()[..size]);
            assert_eq!(proof, hashes(expected), "{old} in {size}");
            let (older, newer) = (hash(ROOTS[old - 1]), hash(ROOTS[size - 1]));
            assert!(is_consistent((old as u64, older), (size as u64, newer), &proof));
            assert!(!is_consistent((old as u64, newer), (size as u64, newer), &proof));
        };
        check(
            1,
            8,
            &[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        );
        check(
            6,
            8,
            &[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        );
        check(
            2,
            5,
            &[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        );
    }

    #[test]
    fn every_small_tree_agrees_with_the_recursive_definition() {
        let all = leaves(33);
        for size in 1..=all.len() {
            let tree = &all[..size];
            let root = frontier(tree).root();
            assert_eq!(root, naive_root(tree));
            for index in 0..size {
                let proof = gather(inclusion(index as u64, size as u64), tree);
                assert_eq!(proof, naive_path(index, tree), "{index} of {size}");
                let proved = root_by_inclusion(index as u64, size as u64, tree[index], &proof);
                assert_eq!(proved, Some(root));
                let old = index + 1;
                let proof = gather(consistency(old as u64, size as u64), tree);
                assert_eq!(proof, naive_subproof(old, tree, true), "{old} in {size}");
                let older = (old as u64, naive_root(&tree[..old]));
                assert!(is_consistent(older, (size as u64, root), &proof), "{old} in {size}");
            }
        }
    }

    #[test]
    fn what_begins_with_nothing_is_consistent_only_with_the_root_of_nothing() {
        let root = frontier(&leaves(3)).root();
        assert!(is_consistent((0, empty()), (3, root), &[]));
        assert!(!is_consistent((0, root), (3, root), &[]));
        assert!(!is_consistent((3, empty()), (3, root), &[]));
        assert!(!is_consistent((4, root), (3, root), &[]));
    }

    #[test]
    fn a_leaf_that_is_not_in_the_tree_has_no_root() {
        let leaves = leaves(4);
        assert_eq!(root_by_inclusion(4, 4, leaves[0], &[]), None);
        assert_eq!(root_by_inclusion(0, 0, leaves[0], &[]), None);
        assert_eq!(root_by_inclusion(0, 4, leaves[0], &[leaves[1]]), None, "too short");
    }

    #[test]
    fn peaks_of_another_size_are_no_frontier() {
        let whole = frontier(&leaves(6));
        assert_eq!(Frontier::of(6, whole.peaks().to_vec()), Some(whole.clone()));
        assert_eq!(Frontier::of(7, whole.peaks().to_vec()), None);
        assert!(whole.peaks().len() <= 64);
    }

    proptest! {
        #[test]
        fn ranges_put_together_are_the_tree(cuts in prop::collection::vec(0_u64..300, 0..6), size in 1_u64..300) {
            let all = leaves(size);
            let mut cuts: Vec<u64> = cuts.into_iter().map(|cut| cut.min(size)).collect();
            cuts.extend([0, size]);
            cuts.sort_unstable();
            let mut whole = Frontier::default();
            for pair in cuts.windows(2) {
                let mut range = Range::new(pair[0]);
                (pair[0]..pair[1]).for_each(|i| range.append(all[usize::try_from(i).unwrap()]));
                prop_assert!(range.nodes().len() <= 128);
                let again = Range::of(range.span(), range.nodes().to_vec());
                prop_assert_eq!(again.as_ref(), Some(&range));
                prop_assert!(whole.extend(&range));
            }
            prop_assert_eq!(&whole, &frontier(&all));
            prop_assert_eq!(whole.root(), naive_root(&all));
            prop_assert!(!whole.extend(&Range::new(size + 1)), "a hole");
        }

        #[test]
        fn a_proof_with_any_change_is_refused(
            size in 2_u64..200, index in any::<u64>(), place in any::<usize>(), bit in 0_usize..256,
        ) {
            let tree = leaves(size);
            let root = frontier(&tree).root();
            let index = index % size;
            let own = tree[usize::try_from(index).unwrap()];
            let mut proof = gather(inclusion(index, size), &tree);
            let place = place % proof.len();
            proof[place].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_by_inclusion(index, size, own, &proof), Some(root));

            let old = (index + 1).min(size - 1);
            let older = frontier(&tree[..usize::try_from(old).unwrap()]).root();
            let mut proof = gather(consistency(old, size), &tree);
            prop_assert!(is_consistent((old, older), (size, root), &proof));
            let place = place % proof.len();
            proof[place].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_consistent((old, older), (size, root), &proof));
        }

        #[test]
        fn whole_subtrees_serve_a_proof_as_well_as_their_leaves(size in 2_u64..300, cut in any::<u64>()) {
            let tree = leaves(size);
            let cut = cut % size;
            let pruned = frontier(&tree[..usize::try_from(cut).unwrap()]);
            let spans = consistency(cut, size);
            let mut gather_ = Gather::new(spans.clone());
            let peaks = Span { begin: 0, end: cut }.subtrees().zip(pruned.peaks());
            peaks.for_each(|(span, hash)| gather_.subtree(span, *hash));
            (cut..size).for_each(|i| gather_.leaf(i, tree[usize::try_from(i).unwrap()]));
            prop_assert_eq!(gather_.finish(), Some(gather(spans, &tree)));
        }
    }
}
