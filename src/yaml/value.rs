//! One text → one value: names, numbers, times, words (addresses are in `address`). Each is refused where another program could read
//! it as something else (`no`, `010`, full-width digits).

use std::time::Duration;

use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

use super::compare::suggest;
use super::node::plain_name;
use crate::flow::{Host, Identity, Method, Name, Timestamp, TlsVersion};

/// A text as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// Whether it stands without quotes.
    pub(crate) plain: bool,
}

/// Why a text is not the value that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The code of the fault.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write, where that can be said.
    pub(crate) remedy: Option<String>,
}

/// A value that one text can be.
pub(crate) trait Scalar: Sized {
    /// Takes the text as this value.
    fn parse(written: Written<'_>) -> Result<Self, Wrong>;
}

impl Wrong {
    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self { code: "bad_value", message: message.into(), remedy: None }
    }

    pub(crate) fn address(text: &str, why: &str) -> Self {
        Self { code: "bad_address", message: format!("{}: {why}", quoted(text)), remedy: None }
    }

    pub(crate) fn remedy(self, text: String) -> Self {
        Self { remedy: Some(text), ..self }
    }

    fn kind(due: &str, found: &str) -> Self {
        Self {
            code: "wrong_type",
            message: format!("{due} is due here, not {found}"),
            remedy: None,
        }
    }
}

/// A text of the operator in backticks: at most 80 characters, nothing in it that moves a cursor.
pub(crate) fn quoted(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::from("`");
    for c in text.chars().take(80) {
        if hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    let rest = if text.chars().nth(80).is_some() { "…`" } else { "`" };
    shown + rest
}

impl<'a> Written<'a> {
    /// The text, where nobody could take it for a number, a truth value or nothing.
    pub(crate) fn text(self, due: &str) -> Result<&'a str, Wrong> {
        match plain_name(self.text) {
            _ if !self.plain && self.text.trim().is_empty() => {
                Err(Wrong::value(format!("{due} is due here, not a blank")))
            }
            found if self.plain && found != "a text" => {
                let message = Wrong::kind(due, found);
                let remedy = format!("if it is meant, put it in quotes: `\"{}\"`", self.text);
                Err(if found == "nothing" { message } else { message.remedy(remedy) })
            }
            _ => Ok(self.text),
        }
    }

    /// The text, where quotes would not make a number or a truth value of it right.
    pub(super) fn unquoted(self, due: &str) -> Result<&'a str, Wrong> {
        self.text(due).map_err(|wrong| Wrong { remedy: None, ..wrong })
    }

    /// A whole number in decimal digits, without quotes, sign or leading zero.
    fn number<N: std::str::FromStr>(self, due: &str) -> Result<N, Wrong> {
        if !self.plain {
            return Err(Wrong::kind(due, "a text").remedy("leave the quotes out".to_owned()));
        }
        let number = digits(self.text).and_then(|digits| digits.parse().ok());
        number.ok_or_else(|| Wrong::value(format!("{} is not {due}", quoted(self.text))))
    }
}

/// `text` where it is decimal digits without a leading zero.
pub(super) fn digits(text: &str) -> Option<&str> {
    let fits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    (fits && (text == "0" || !text.starts_with('0'))).then_some(text)
}

impl Scalar for String {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        written.text("a text").map(Into::into)
    }
}

impl Scalar for Name {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.text("a name")?;
        Self::parse(text).map_err(|why| Wrong {
            code: "bad_name",
            message: format!("{} is not a name", quoted(text)),
            remedy: Some(why.to_string()),
        })
    }
}

impl Scalar for bool {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        match (written.text, written.plain) {
            ("true", true) => Ok(true),
            ("false", true) => Ok(false),
            _ => Err(Wrong::kind("`true` or `false`", &quoted(written.text))),
        }
    }
}

/// A number from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u32);

impl Scalar for Count {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        match written.number("a whole number")? {
            0 => Err(Wrong::value("the number must be at least 1")),
            number => Ok(Self(number)),
        }
    }
}

/// The version of the file format: always 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version;

impl Scalar for Version {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        match written.number::<u32>("a whole number")? {
            1 => Ok(Self),
            other => Err(Wrong::value(format!(
                "version {other} is not known; this program reads version 1"
            ))),
        }
    }
}

impl Scalar for Duration {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text =
            written.unquoted("a duration such as `250ms`, `10s`, `5m`, `72h`, `30d` or `7y`")?;
        let wrong = || {
            Wrong::value(format!(
                "{} is not a duration such as `250ms`, `10s`, `5m`, `72h`, `30d` or `7y`",
                quoted(text)
            ))
        };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        // A year counts 366 days, so that what is kept for years is never kept too short.
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "y" => 366 * 86_400_000,
            _ => return Err(wrong()),
        };
        let total =
            number.checked_mul(millis).filter(|total| (1..=100 * 366 * 86_400_000).contains(total));
        total.map(Self::from_millis).ok_or_else(|| {
            Wrong::value(format!("{} is not between 1 ms and 100 years", quoted(text)))
        })
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Scalar for Size {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("a size such as `64KiB`")?;
        let wrong = || {
            Wrong::value(format!(
                "{} is not a size such as `512B`, `64KiB`, `16MiB` or `1GiB`",
                quoted(text)
            ))
        };
        let (number, unit) = split_unit(text).ok_or_else(wrong)?;
        let shift = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).map(Self).ok_or_else(wrong)
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    Some((digits(number)?.parse().ok()?, unit))
}

/// A time, or a whole day whose time zone is the law's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// RFC 3339.
    Time(Timestamp),
    /// A day.
    Day(Date),
}

impl Moment {
    /// When it begins, in a zone of `offset` seconds east of UTC.
    pub(crate) fn begin(self, offset: i32) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Day(day) => midnight(day, offset),
        }
    }

    /// When it is over: a time at once, a day at its 24:00.
    pub(crate) fn end(self, offset: i32) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Day(day) => day.next_day().map_or(Timestamp::MAX, |next| midnight(next, offset)),
        }
    }
}

fn midnight(day: Date, offset: i32) -> Timestamp {
    let zone = UtcOffset::from_whole_seconds(offset).unwrap_or(UtcOffset::UTC);
    Timestamp::from_seconds(
        OffsetDateTime::new_in_offset(day, time::Time::MIDNIGHT, zone).unix_timestamp(),
    )
}

impl Scalar for Moment {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let due = "a date such as `2020-06-15` or a time such as `2020-06-15T09:00:00+09:00`";
        let text = written.unquoted(due)?;
        let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
        // What a `Timestamp` can hold.
        let day = day.filter(|day| text.len() == 10 && (1700..=2250).contains(&day.year()));
        let time = || Timestamp::parse(text).ok().map(Self::Time);
        day.map(Self::Day)
            .or_else(time)
            .ok_or_else(|| Wrong::value(format!("{} is not {due}", quoted(text))))
    }
}

impl Scalar for Host {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("a host name")?;
        Self::parse(text)
            .map_err(|why| Wrong::value(format!("{} is not a host name: {why}", quoted(text))))
    }
}

impl Scalar for Identity {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("an identity such as `dns:a.example`")?;
        let remedy = |wrong: Wrong| {
            if Host::parse(text).is_ok() {
                wrong.remedy(format!("did you mean `dns:{text}`?"))
            } else {
                wrong
            }
        };
        Self::parse(text).map_err(|why| {
            remedy(Wrong::value(format!("{} is not an identity: {why}", quoted(text))))
        })
    }
}

impl Scalar for Method {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.unquoted("a method")?;
        let method =
            Self::parse(text).map_err(|why| Wrong::value(format!("{}: {why}", quoted(text))))?;
        // Methods are case-sensitive, so that `get` would be one that no client ever sends.
        let upper = text.to_ascii_uppercase();
        if method.is_registered() || !Self::parse(&upper).is_ok_and(|upper| upper.is_registered()) {
            return Ok(method);
        }
        Err(Wrong::value(format!("{} is not a method: their letters are upper case", quoted(text)))
            .remedy(format!("did you mean `{upper}`?")))
    }
}

/// One of a few words.
pub(crate) trait Word: Copy + 'static {
    /// What the words are, e.g. `a protocol`.
    const DUE: &'static str;
    /// The words.
    const WORDS: &'static [(&'static str, Self)];
}

impl<W: Word> Scalar for W {
    fn parse(written: Written<'_>) -> Result<Self, Wrong> {
        let text = written.text(W::DUE)?;
        match W::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => Err(unknown_word(text, W::DUE, W::WORDS.iter().map(|(word, _)| *word))),
        }
    }
}

/// The fault of a word that is none of `words`.
pub(crate) fn unknown_word(
    text: &str,
    due: &str,
    words: impl Iterator<Item = &'static str> + Clone,
) -> Wrong {
    let near = suggest(text, words.clone()).map(|word| format!("did you mean `{word}`?"));
    let all = || format!("write one of {}", words.map(quoted).collect::<Vec<_>>().join(" "));
    Wrong::value(format!("{} is not {due}", quoted(text))).remedy(near.unwrap_or_else(all))
}

impl Word for TlsVersion {
    const DUE: &'static str = "a TLS version";
    const WORDS: &'static [(&'static str, Self)] = &[("1.3", Self::Tls13), ("1.2", Self::Tls12)];
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::time::Duration;

    use super::{Count, Moment, Scalar, Size, Version, Written, quoted};
    use crate::flow::{Host, Identity, Method, Name, Timestamp, TlsVersion};

    fn plain<T: Scalar + Debug>(text: &str) -> Result<T, String> {
        T::parse(Written { text, plain: true })
            .map_err(|wrong| format!("{} {}", wrong.code, wrong.message))
    }

    fn in_quotes<T: Scalar + Debug>(text: &str) -> Result<T, String> {
        T::parse(Written { text, plain: false })
            .map_err(|wrong| format!("{} {}", wrong.code, wrong.message))
    }

    #[test]
    fn what_another_program_reads_as_something_else_is_no_name() {
        for text in ["no", "on", "y", "true", "null", "~", "", "010", "1e3", "0x1f"] {
            assert!(
                plain::<Name>(text).unwrap_err().starts_with("wrong_type a name is due here"),
                "{text}"
            );
            assert!(
                plain::<String>(text).unwrap_err().starts_with("wrong_type a text is due here"),
                "{text}"
            );
        }
        assert!(in_quotes::<Name>("no").is_ok());
        assert_eq!(in_quotes::<String>("010"), Ok("010".to_owned()));
        assert_eq!(
            in_quotes::<String>(" "),
            Err("bad_value a text is due here, not a blank".to_owned())
        );
        for text in ["Existing", "a_b", "１a", "ａ", "1a"] {
            assert!(plain::<Name>(text).unwrap_err().starts_with("bad_name "), "{text}");
        }
    }

    #[test]
    fn a_number_is_decimal_digits_without_quotes() {
        assert_eq!(plain("64"), Ok(Count(64)));
        assert!(in_quotes::<Count>("64").unwrap_err().starts_with("wrong_type"));
        for text in
            ["010", "0", "+1", "-1", "1_000", "0x10", "1.0", "６４", "4294967296", "", "no", "1 "]
        {
            assert!(plain::<Count>(text).unwrap_err().starts_with("bad_value"), "{text}");
        }
        assert_eq!(plain("1"), Ok(Version));
        assert_eq!(
            plain::<Version>("2"),
            Err("bad_value version 2 is not known; this program reads version 1".to_owned())
        );
        assert_eq!(plain("true"), Ok(true));
        for text in ["yes", "True", "1"] {
            assert!(plain::<bool>(text).is_err(), "{text}");
        }
        assert!(in_quotes::<bool>("true").is_err());
    }

    #[test]
    fn durations_and_sizes_have_units() {
        let table = [
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("72h", 259_200_000),
            ("30d", 2_592_000_000),
        ];
        for (text, millis) in table {
            assert_eq!(plain(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert!(plain::<Duration>("7y").unwrap() >= Duration::from_hours(24) * (7 * 365 + 2));
        for text in [
            "10",
            "0s",
            "010s",
            "10 s",
            "１０s",
            "10S",
            "1.5h",
            "-1s",
            "s",
            "101y",
            "99999999999999999999s",
        ] {
            assert!(plain::<Duration>(text).is_err(), "{text}");
        }
        assert_eq!(plain("64KiB"), Ok(Size(65_536)));
        assert_eq!(plain("1GiB"), Ok(Size(1 << 30)));
        for text in ["64", "64KB", "64kib", "0B", "064KiB", "18446744073709551615KiB"] {
            assert!(plain::<Size>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone_and_still_belongs_to_its_end() {
        let tokyo = 9 * 3600;
        let day: Moment = plain("2020-06-15").unwrap();
        assert_eq!(day.begin(tokyo), Timestamp::parse("2020-06-14T15:00:00Z").unwrap());
        assert_eq!(day.end(tokyo), Timestamp::parse("2020-06-15T15:00:00Z").unwrap());
        let time: Moment = plain("2020-06-15T09:00:00+09:00").unwrap();
        assert_eq!(time.begin(tokyo), time.end(0));
        assert_eq!(
            plain::<Moment>("2020-02-29").unwrap().end(0),
            Timestamp::parse("2020-03-01T00:00:00Z").unwrap()
        );
        for text in [
            "2020-6-15",
            "2020-02-30",
            "2019-02-29",
            "2020/06/15",
            "２０２０-06-15",
            "令和2年6月15日",
            "9999-12-31",
            "+2020-06-15",
            "2020-06-15 09:00",
        ] {
            assert!(plain::<Moment>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_of_http_and_tls() {
        assert!(plain::<Host>("chukan.center.example").is_ok());
        assert!(plain::<Host>("*.center.example").is_err());
        assert!(plain::<Identity>("uri:urn:example:a").is_ok());
        let bare = Identity::parse("a.example");
        assert!(bare.is_err());
        let wrong =
            <Identity as Scalar>::parse(Written { text: "a.example", plain: true }).unwrap_err();
        assert_eq!(wrong.remedy.as_deref(), Some("did you mean `dns:a.example`?"));
        assert!(plain::<Method>("get").unwrap_err().contains("upper case"));
        assert!(plain::<Method>("PURGE").is_ok());
        assert_eq!(in_quotes("1.3"), Ok(TlsVersion::Tls13));
        assert!(plain::<TlsVersion>("1.3").unwrap_err().starts_with("wrong_type"));
        assert!(in_quotes::<TlsVersion>("1.1").is_err());
    }

    #[test]
    fn a_quoted_text_is_short_and_harmless() {
        assert_eq!(quoted("中間\u{1b}[2J\u{202e}"), "`中間\\u{1b}[2J\\u{202e}`");
        assert_eq!(quoted(&"あ".repeat(100)), format!("`{}…`", "あ".repeat(80)));
    }
}
