//! Time alone can change the law. Nobody sleeps until then: the clock of the machine can be set, and a sleep
//! would not notice. Once a second it is asked whether a change lies between the last judgement and now.

use crate::flow::Timestamp;
use crate::policy::Engine;

/// When the live connections were last judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clockwork {
    judged: Timestamp,
}

impl Clockwork {
    /// Every connection was judged at `now`.
    pub(super) const fn judged(now: Timestamp) -> Self {
        Self { judged: now }
    }

    /// Whether the law may answer differently now. A clock that was set back always may.
    pub(super) fn is_due(self, engine: &Engine, now: Timestamp) -> bool {
        self.is_due_by(now, |after| engine.next_change(after))
    }

    fn is_due_by(self, now: Timestamp, next: impl FnOnce(Timestamp) -> Option<Timestamp>) -> bool {
        now < self.judged || next(self.judged).is_some_and(|change| change <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::Clockwork;
    use crate::flow::Timestamp;

    fn due(judged: i64, now: i64, change: Option<i64>) -> bool {
        let at = Timestamp::from_seconds;
        Clockwork::judged(at(judged))
            .is_due_by(at(now), |after| change.map(at).filter(|change| *change > after))
    }

    #[test]
    fn a_change_is_due_once_it_has_come_also_when_the_clock_jumped_over_it_or_back() {
        assert!(!due(10, 11, None));
        assert!(!due(10, 19, Some(20)));
        assert!(due(10, 20, Some(20)));
        assert!(due(10, 9_000_000, Some(20)), "a jump ahead");
        assert!(due(30, 10, Some(20)), "a clock that was set back");
        assert!(!due(20, 21, Some(20)), "judged at that very moment already");
    }
}
