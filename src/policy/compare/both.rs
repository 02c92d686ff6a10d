//! The same thing of the old and of the new law.

/// The old one and the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Both<T> {
    pub(super) old: T,
    pub(super) new: T,
}

impl<T> Both<T> {
    /// Something made of each.
    pub(super) fn map<U>(self, mut make: impl FnMut(T) -> U) -> Both<U> {
        Both { old: make(self.old), new: make(self.new) }
    }

    /// Each beside its own of `other`.
    pub(super) fn with<U>(self, other: Both<U>) -> Both<(T, U)> {
        Both { old: (self.old, other.old), new: (self.new, other.new) }
    }

    /// Each as it lies there.
    pub(super) fn each(&self) -> Both<&T> {
        Both { old: &self.old, new: &self.new }
    }

    /// First the old one.
    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        [self.old, self.new].into_iter()
    }
}

impl<T: PartialEq> Both<T> {
    /// Whether the laws agree.
    pub(super) fn agrees(&self) -> bool {
        self.old == self.new
    }
}
