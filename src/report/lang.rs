//! The two languages of the report, and how numbers, moments and sizes are written in them.

use crate::flow::Timestamp;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// 日本語.
    Japanese,
    /// English.
    English,
}

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// 日本語.
    pub ja: &'static str,
    /// English.
    pub en: &'static str,
}

impl Said {
    /// In one of them.
    pub const fn of(self, lang: Lang) -> &'static str {
        lang.of(self.ja, self.en)
    }
}

impl Lang {
    /// One of two texts.
    pub const fn of(self, ja: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Japanese => ja,
            Self::English => en,
        }
    }

    /// One of two texts that were made.
    pub fn choose(self, ja: impl FnOnce() -> String, en: impl FnOnce() -> String) -> String {
        match self {
            Self::Japanese => ja(),
            Self::English => en(),
        }
    }

    /// `3件`, `3`.
    pub fn count(self, count: u64) -> String {
        let grouped = grouped(count);
        self.choose(|| format!("{grouped}件"), || grouped.clone())
    }

    /// The tag of RFC 5646.
    pub const fn tag(self) -> &'static str {
        self.of("ja", "en")
    }
}

/// A code of the ledger in a reader's words; what has none stays as it was recorded.
pub fn word(lang: Lang, code: &str) -> &str {
    let found = WORDS.iter().find(|(known, _)| *known == code);
    found.map_or(code, |(_, said)| said.of(lang))
}

const WORDS: &[(&str, Said)] = &[
    ("accept", Said { ja: "受付", en: "at the door" }),
    ("arrival", Said { ja: "到着（アドレス）", en: "arrival, by address" }),
    ("hello", Said { ja: "TLSの開始", en: "start of TLS" }),
    ("identity", Said { ja: "証明書", en: "certificate" }),
    ("request", Said { ja: "要求", en: "request" }),
    ("dial", Said { ja: "接続先", en: "destination" }),
    ("peer", Said { ja: "相手の証明書", en: "the peer's certificate" }),
    ("accepted", Said { ja: "採用", en: "accepted" }),
    ("refused", Said { ja: "却下", en: "refused" }),
    ("disk", Said { ja: "規則のファイル", en: "the law's files" }),
    ("archive", Said { ja: "保管した版", en: "the archive" }),
    ("status", Said { ja: "状態の表示", en: "status shown" }),
    ("reload", Said { ja: "規則の再読込", en: "reload of the law" }),
    ("stop", Said { ja: "停止", en: "stop" }),
    ("prune", Said { ja: "保存期間を過ぎた記録の削除", en: "entries removed in their time" }),
    ("seal", Said { ja: "記録簿の終了", en: "ledger sealed" }),
    ("done", Said { ja: "完了", en: "done" }),
];

/// A moment in a zone.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Seconds east of UTC.
    pub offset: i32,
}

impl Clock {
    /// The day of a moment, counted from the epoch, in this zone.
    pub fn day(self, at: Timestamp) -> i64 {
        at.as_seconds().saturating_add(i64::from(self.offset)).div_euclid(86_400)
    }

    /// `2026-11-22 02:14:07`.
    pub fn moment(self, at: Timestamp) -> String {
        let there = at.as_seconds().saturating_add(i64::from(self.offset));
        let text = Timestamp::from_seconds(there).to_string();
        text.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
    }

    /// `2026-11-22`.
    pub fn date(self, at: Timestamp) -> String {
        self.moment(at).chars().take(10).collect()
    }

    /// The date of a day that [`Clock::day`] gave.
    pub fn date_of_day(day: i64) -> String {
        let midnight = Timestamp::from_seconds(day.saturating_mul(86_400)).to_string();
        midnight.chars().take(10).collect()
    }

    /// `+09:00`.
    pub fn zone(self) -> String {
        let minutes = self.offset.unsigned_abs() / 60;
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in units of 1024.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, UNITS.iter());
    let mut name = unit.next();
    while whole >= 1024 {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        name = unit.next();
    }
    let name = name.copied().unwrap_or("EiB");
    if bytes < 1024 || whole >= 100 {
        format!("{whole} {name}")
    } else {
        format!("{whole}.{tenths} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, grouped, size};
    use crate::flow::Timestamp;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1536, 8 << 20, 300 << 30].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "8.0 MiB", "300 GiB"]
        );
        assert_eq!(size(u64::MAX), "15.9 EiB");
    }

    #[test]
    fn moments_are_those_of_the_laws_zone() {
        let tokyo = Clock { offset: 32_400 };
        let late = Timestamp::parse("2026-11-21T15:00:00Z").unwrap();
        assert_eq!(
            (tokyo.moment(late), tokyo.zone()),
            ("2026-11-22 00:00:00".into(), "+09:00".into())
        );
        assert_eq!(Clock::date_of_day(tokyo.day(late)), "2026-11-22");
    }
}
