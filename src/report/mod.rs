//! The council's report: what the law says, what the ledger has recorded of a period, and what of it can be shown.
//! One HTML file without script or anything from outside, for the screen and for A4. Nothing here reads a file.

pub mod clause;
pub mod complete;
pub mod lang;
pub mod redecide;
pub mod tally;

mod chart;
mod page;
mod section;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use page::render;

use complete::{Book, Hole};
use lang::{Clock, Lang};
use tally::{Period, Tally};

use crate::appliance::Appliance;
use crate::flow::{Name, Timestamp};
use crate::policy::Law;
use crate::yaml::folded;

/// Everything that a report is made of.
#[derive(Debug)]
pub struct Council<'a> {
    /// Its language.
    pub lang: Lang,
    /// The box.
    pub appliance: &'a Appliance,
    /// The law that is shown.
    pub law: &'a Law,
    /// Its digest, 64 hexadecimal digits.
    pub digest: &'a str,
    /// The period.
    pub period: Period,
    /// When it is made.
    pub made: Timestamp,
    /// What the ledgers hold of the period.
    pub tally: &'a Tally,
    /// The ledgers.
    pub books: &'a [Book],
    /// What keeps the records from being shown complete.
    pub holes: &'a [Hole],
}

impl<'a> Council<'a> {
    /// The law's zone.
    pub fn clock(&self) -> Clock {
        Clock { offset: self.law.engine.model().timezone.offset }
    }

    /// A system's title, else its name.
    fn system(&self, name: &Name) -> String {
        let system = self.law.engine.model().systems.get(name);
        let title = system.and_then(|system| system.title.as_deref());
        title.unwrap_or_else(|| name.as_str()).to_owned()
    }

    /// A site's title, else its name as recorded.
    fn site(&self, name: &str) -> String {
        let sites = &self.law.engine.model().sites;
        let site = sites.iter().find(|(known, _)| known.as_str() == name);
        site.and_then(|(_, site)| site.title.clone()).unwrap_or_else(|| name.to_owned())
    }

    /// A rule's title behind its name.
    fn rule(&self, name: &str) -> String {
        let rules = &self.law.engine.model().rules;
        let rule = rules.iter().find(|(known, _)| known.as_str() == name);
        let title = rule.and_then(|(_, rule)| rule.title.as_deref());
        title.map_or_else(|| name.to_owned(), |title| format!("{title}（{name}）"))
    }

    /// The addresses that the law knows as endpoints.
    fn endpoints(&self) -> BTreeSet<String> {
        let systems = self.law.engine.model().systems.values();
        let upstreams = systems.filter_map(|system| system.upstream.as_ref());
        upstreams
            .flat_map(|upstream| &upstream.endpoints)
            .map(|it| it.address.to_string())
            .collect()
    }

    /// The registered documents of clauses that begin so, each in a line.
    fn documents(&self, clauses: &'a [&'a str]) -> impl Iterator<Item = String> {
        let documents = self.law.engine.model().documents.iter();
        documents.filter_map(|(name, document)| {
            let clause = folded(&document.clause);
            clauses.iter().find(|wanted| clause.starts_with(&folded(wanted)))?;
            let title = document.title.as_deref().unwrap_or_else(|| name.as_str());
            let until = document.until.map(|until| self.until(until));
            let until = until.map(|until| format!("、{until}")).unwrap_or_default();
            Some(format!("{title}（{}{until}）", document.reference))
        })
    }

    /// The last day of something that ends before `until`, and whether that day is over.
    fn until(&self, until: Timestamp) -> String {
        let last = Timestamp::from_nanos(until.as_nanos().saturating_sub(1));
        let date = self.clock().date(last);
        let is_over = until <= self.made;
        self.lang.choose(
            || if is_over { format!("{date}で期限切れ") } else { format!("{date}まで") },
            || if is_over { format!("ended {date}") } else { format!("until {date}") },
        )
    }
}
