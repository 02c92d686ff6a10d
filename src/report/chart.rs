//! Pictures of counts, as inline SVG. No script, no style of its own beyond the colours.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::lang::{Clock, Lang, grouped};
use super::tally::Day;

const WIDTH: u64 = 720;
const HEIGHT: u64 = 90;
const LEFT: u64 = 46;
/// More days than this are drawn together.
const BARS_MAX: u64 = 124;
/// A bar is no wider, in hundredths.
const BAR_MAX: u64 = 2_400;
const PASSED: &str = "#3b6ea5";
const REFUSED: &str = "#b4442c";

/// Passages and refusals by day, one above the other, each on its own scale.
pub(super) fn days(days: &BTreeMap<i64, Day>, (first, last): (i64, i64), lang: Lang) -> Markup {
    let count = u64::try_from(last - first + 1).unwrap_or(1).max(1);
    let together = count.div_ceil(BARS_MAX);
    let bars = count.div_ceil(together);
    let passed = gathered(days, (first, together, bars), |day| day.passed);
    let refused = gathered(days, (first, together, bars), |day| day.refused);
    let height = 2 * HEIGHT + 46;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" {
            title { (lang.of("日別の通過と拒否", "passages and refusals by day")) }
            (row(&passed, (14, PASSED), lang.of("通過", "passed")))
            (row(&refused, (HEIGHT + 30, REFUSED), lang.of("拒否", "refused")))
            text x=(LEFT) y=(height - 2) { (Clock::date_of_day(first)) }
            text x=(WIDTH) y=(height - 2) text-anchor="end" { (Clock::date_of_day(last)) }
        }
        @if together > 1 {
            p class="small" {
                @match lang {
                    Lang::Japanese => { "棒1本は" (together) "日分です。" }
                    Lang::English => { "One bar is " (together) " days." }
                }
            }
        }
    }
}

fn gathered(
    days: &BTreeMap<i64, Day>,
    (first, together, bars): (i64, u64, u64),
    of: impl Fn(&Day) -> u64,
) -> Vec<u64> {
    let bar = |index: u64| {
        let width = i64::try_from(together).unwrap_or(1);
        let begin = first + i64::try_from(index).unwrap_or(0) * width;
        days.range(begin..begin + width).map(|(_, day)| of(day)).sum()
    };
    (0..bars).map(bar).collect()
}

fn row(counts: &[u64], (top, colour): (u64, &str), name: &str) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(0);
    let bottom = top + HEIGHT;
    let room = (WIDTH - LEFT) * 100 / (counts.len() as u64).max(1);
    let bars = (0_u64..).zip(counts).filter(|(_, count)| **count > 0).map(|(index, count)| {
        // A bar that is there can be seen.
        let height = scaled(*count, most).max(1);
        let left = LEFT * 100 + index * room;
        (hundredths(left), bottom - height, hundredths((room * 8 / 10).clamp(40, BAR_MAX)), height)
    });
    html! {
        text x="0" y=(top + 10) { (name) }
        text x=(LEFT - 4) y=(top + 22) text-anchor="end" { (grouped(most)) }
        text x=(LEFT - 4) y=(bottom) text-anchor="end" { "0" }
        line x1=(LEFT) y1=(bottom) x2=(WIDTH) y2=(bottom) stroke="#888" stroke-width="0.6" {}
        @for (x, y, width, height) in bars {
            rect x=(x) y=(y) width=(width) height=(height) fill=(colour) {}
        }
    }
}

fn scaled(count: u64, most: u64) -> u64 {
    let share = u128::from(count) * u128::from(HEIGHT - 14) / u128::from(most.max(1));
    u64::try_from(share).unwrap_or(HEIGHT)
}

fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

/// Named counts as bars beside each other, the largest first.
pub(super) fn named(counts: &[(String, u64)]) -> Markup {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let height = 16 * counts.len() as u64 + 4;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" {
            @for (place, (name, count)) in (0_u64..).zip(counts) {
                @let width = u64::try_from(u128::from(*count) * 380 / u128::from(most)).unwrap_or(0).max(1);
                text x="0" y=(16 * place + 12) { (name) }
                rect x="230" y=(16 * place + 3) width=(width) height="11" fill=(REFUSED) {}
                text x=(236 + width) y=(16 * place + 12) { (grouped(*count)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Day, Lang, days};

    #[test]
    fn every_day_has_its_bar_and_a_long_time_is_drawn_together() {
        let check = |last: i64, counted: &[i64], expected: usize| {
            let map = counted.iter().map(|day| (*day, Day { passed: 3, refused: 0 })).collect();
            let drawn = days(&map, (0, last), Lang::English).into_string();
            assert_eq!(drawn.matches("<rect").count(), expected, "{drawn}");
        };
        check(30, &[0, 15, 30], 3);
        check(364, &[0, 1, 2, 364], 2);
        check(0, &[], 0);
    }
}
