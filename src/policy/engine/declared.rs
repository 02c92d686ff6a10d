//! Declarations that are open: which site they open, for which rules, from when until when. Who opens them, and when, is
//! not here.

use std::collections::BTreeSet;

use crate::flow::{Name, Timestamp};
use crate::policy::compile::Term;
use crate::policy::model::{Model, Period};

/// A declaration that somebody opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its name in the law.
    pub declaration: Name,
    /// From when on.
    pub since: Timestamp,
    /// Until when, exclusive; the law's `at_most` and its approval end it earlier.
    pub until: Timestamp,
}

/// What an open declaration comes to under one law.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    site: Name,
    rules: BTreeSet<Name>,
    term: Term,
}

impl Standing {
    /// `None` where the law does not know it.
    pub(super) fn of(model: &Model, opened: &Opened) -> Option<Self> {
        let declaration = model.declarations.get(&opened.declaration)?;
        let longest = opened.since.plus(declaration.at_most);
        let own = Period { since: Some(opened.since), until: Some(opened.until.min(longest)) };
        let term = Term::approved(model, &declaration.approval, own);
        Some(Self { site: declaration.site.clone(), rules: declaration.rules.clone(), term })
    }

    /// When it begins and when it ends.
    pub(super) const fn changes(&self) -> [Timestamp; 2] {
        [self.term.since, self.term.until]
    }

    fn opens(&self, site: &Name, rule: Option<&Name>, at: Timestamp) -> bool {
        self.site == *site
            && rule.is_none_or(|rule| self.rules.contains(rule))
            && self.term.refuses(at).is_none()
    }
}

/// Whether a site may be dialled at `at` by this rule, or by any where none is named.
pub(super) fn opens(open: &[Standing], site: &Name, rule: Option<&Name>, at: Timestamp) -> bool {
    open.iter().any(|standing| standing.opens(site, rule, at))
}
