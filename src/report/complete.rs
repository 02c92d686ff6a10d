//! Whether the records of a period are shown to be complete. "Nothing happened" is a claim about that: where it is
//! not shown, the report says *unknown*.

use super::lang::{Clock, Lang, grouped};
use super::tally::{Period, Tally};
use crate::flow::Timestamp;
use crate::ledger::verify::{Findings, Outcome};

/// One box's ledger and what verifying it has found.
#[derive(Debug)]
pub struct Book {
    /// Its directory.
    pub directory: String,
    /// What was found; why nothing was, where it could not be verified.
    pub findings: Result<Findings, String>,
    /// The public key it was verified with.
    pub key: Option<String>,
    /// Its first entry.
    pub first: Option<Timestamp>,
    /// The first entry of the period that no checkpoint covers.
    pub unsigned: u64,
}

/// What keeps the records from being shown complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hole {
    /// A ledger could not be verified.
    Unverified(String),
    /// A ledger is altered.
    Altered(String),
    /// It cannot be told whether a ledger is altered.
    Untold(String),
    /// Entries of the period are signed by no checkpoint.
    Unsigned(u64),
    /// Entries were lost.
    Lost(u64),
    /// So many gaps do not say how much was lost.
    Unknown(u64),
    /// The clock was set.
    Stepped(u64),
    /// The records begin only within the period.
    Begins(Timestamp),
    /// There are no records at all.
    Empty,
    /// The period is not over.
    Runs,
}

/// Everything that keeps the records from being shown complete; empty where they are.
pub fn holes(books: &[Book], tally: &Tally, (period, made): (Period, Timestamp)) -> Vec<Hole> {
    let mut holes = Vec::new();
    for book in books {
        let name = book.directory.clone();
        match book.findings.as_ref().map(Findings::outcome) {
            Err(why) => holes.push(Hole::Unverified(format!("{name}: {why}"))),
            Ok(Outcome::Altered) => holes.push(Hole::Altered(name)),
            Ok(Outcome::Incomplete) => holes.push(Hole::Untold(name)),
            Ok(Outcome::Intact) => {}
        }
        match book.first {
            Some(first) if first > period.from => holes.push(Hole::Begins(first)),
            Some(_) => {}
            None => holes.push(Hole::Empty),
        }
    }
    let unsigned = books.iter().map(|book| book.unsigned).sum();
    let counted = [
        (unsigned, Hole::Unsigned(unsigned)),
        (tally.lost, Hole::Lost(tally.lost)),
        (tally.unknown, Hole::Unknown(tally.unknown)),
        (tally.steps, Hole::Stepped(tally.steps)),
    ];
    holes.extend(counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, hole)| hole));
    if period.to > made {
        holes.push(Hole::Runs);
    }
    holes
}

impl Hole {
    /// What it is, for a reader.
    pub fn text(&self, lang: Lang, clock: Clock) -> String {
        let (ja, en) = match self {
            Self::Unverified(what) => (
                format!("記録簿を検証できていません（{what}）"),
                format!("a ledger could not be verified ({what})"),
            ),
            Self::Altered(name) => (
                format!("記録簿に改変の跡があります（{name}）"),
                format!("a ledger is altered ({name})"),
            ),
            Self::Untold(name) => (
                format!("記録簿が改変されていないことを確認できません（{name}）"),
                format!("it cannot be told whether a ledger is altered ({name})"),
            ),
            Self::Unsigned(count) => (
                format!("期間中の記録{}件には、まだ署名がありません", grouped(*count)),
                format!("{} entries of the period are not signed yet", grouped(*count)),
            ),
            Self::Lost(count) => (
                format!("記録{}件が失われました（欠落の記録あり）", grouped(*count)),
                format!("{} entries were lost, as gap entries say", grouped(*count)),
            ),
            Self::Unknown(count) => (
                format!(
                    "正常でない停止などが{}回あり、失われた記録の数が分かりません",
                    grouped(*count)
                ),
                format!("{} unclean stops or torn lines do not say what was lost", grouped(*count)),
            ),
            Self::Stepped(count) => (
                format!("時計が{}回変更されました", grouped(*count)),
                format!("the clock was set {} times", grouped(*count)),
            ),
            Self::Begins(first) => (
                format!("記録は{}から始まり、それより前は分かりません", clock.moment(*first)),
                format!(
                    "the records begin at {}; before it nothing is known",
                    clock.moment(*first)
                ),
            ),
            Self::Empty => ("記録がありません".to_owned(), "there are no records".to_owned()),
            Self::Runs => (
                "対象期間がまだ終わっていません".to_owned(),
                "the period is not over yet".to_owned(),
            ),
        };
        lang.choose(|| ja, || en)
    }
}

/// How a count is said where the records may not be complete.
#[derive(Debug, Clone, Copy)]
pub struct Sure {
    /// The language.
    pub lang: Lang,
    /// Whether the records are shown to be complete.
    pub complete: bool,
}

impl Sure {
    /// A count, `unknown` where nothing was recorded and completeness is not shown.
    pub fn count(self, count: u64) -> String {
        let text = self.lang.count(count);
        match (self.complete, count) {
            (true, _) => text,
            (false, 0) => self.lang.of("不明（記録上は0件）", "unknown (none recorded)").to_owned(),
            (false, _) => {
                let lang = self.lang;
                lang.choose(|| format!("{text}以上"), || format!("at least {text}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Hole, Sure, holes};
    use crate::flow::Timestamp;
    use crate::ledger::verify::Findings;
    use crate::report::lang::Lang;
    use crate::report::tally::{Period, Tally};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn book(change: impl FnOnce(&mut Book)) -> Book {
        let mut book = Book {
            directory: "ledger".into(),
            findings: Ok(Findings { signed: 9, checkpoints: 1, ..Findings::default() }),
            key: None,
            first: Some(at(0)),
            unsigned: 0,
        };
        change(&mut book);
        book
    }

    #[test]
    fn records_are_complete_only_where_nothing_speaks_against_it() {
        let check = |book: Book, tally: &Tally, made: i64, expected: &[Hole]| {
            let period = Period { from: at(10), to: at(20) };
            assert_eq!(holes(&[book], tally, (period, at(made))), expected);
        };
        let none = Tally::default();
        check(book(|_| {}), &none, 20, &[]);
        check(book(|_| {}), &none, 19, &[Hole::Runs]);
        check(book(|book| book.first = Some(at(11))), &none, 20, &[Hole::Begins(at(11))]);
        check(book(|book| book.first = None), &none, 20, &[Hole::Empty]);
        check(book(|book| book.unsigned = 2), &none, 20, &[Hole::Unsigned(2)]);
        let why = |book: &mut Book| book.findings = Err("no key".into());
        check(book(why), &none, 20, &[Hole::Unverified("ledger: no key".into())]);
        let mut gaps = Tally::default();
        (gaps.lost, gaps.unknown, gaps.steps) = (3, 1, 2);
        check(book(|_| {}), &gaps, 20, &[Hole::Lost(3), Hole::Unknown(1), Hole::Stepped(2)]);
    }

    #[test]
    fn a_count_is_unknown_where_completeness_is_not_shown() {
        let say = |lang, complete, count| Sure { lang, complete }.count(count);
        assert_eq!(say(Lang::Japanese, true, 0), "0件");
        assert_eq!(say(Lang::Japanese, false, 0), "不明（記録上は0件）");
        assert_eq!(say(Lang::Japanese, false, 4), "4件以上");
        assert_eq!(say(Lang::English, false, 0), "unknown (none recorded)");
        assert_eq!(say(Lang::English, false, 4), "at least 4");
    }
}
