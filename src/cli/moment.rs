//! Moments as people read them: in the law's time zone, which is named.

use crate::flow::Timestamp;

/// How much of a moment is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// `2026-11-22`.
    Day,
    /// `2026-11-22 02:14`.
    Minute,
    /// `2026-11-22 02:14:07 JST`.
    Second,
}

/// A moment `offset` seconds east of UTC.
pub(super) fn local(at: Timestamp, offset: i32, clock: Clock) -> String {
    let shifted = at.as_seconds().saturating_add(i64::from(offset));
    let text = Timestamp::from_seconds(shifted).to_string().replace('T', " ");
    let length = match clock {
        Clock::Day => 10,
        Clock::Minute => 16,
        Clock::Second => 19,
    };
    let shown: String = text.chars().take(length).collect();
    if clock == Clock::Second { format!("{shown} {}", zone(offset)) } else { shown }
}

/// `JST`, `UTC`, or an offset.
fn zone(offset: i32) -> String {
    match offset {
        0 => "UTC".to_owned(),
        32_400 => "JST".to_owned(),
        _ => {
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.unsigned_abs() / 60;
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, local};
    use crate::flow::Timestamp;

    #[test]
    fn a_moment_is_shown_in_the_laws_zone() {
        let at = Timestamp::parse("2026-11-21T17:14:07Z").unwrap();
        assert_eq!(local(at, 32_400, Clock::Second), "2026-11-22 02:14:07 JST");
        assert_eq!(local(at, 0, Clock::Day), "2026-11-21");
        assert_eq!(local(at, -12_600, Clock::Second), "2026-11-21 13:44:07 -03:30");
        assert_eq!(local(at, 32_400, Clock::Minute), "2026-11-22 02:14");
    }
}
