//! Texts that are safe to record: what a client wrote, with everything hidden that could be an individual number.

use std::fmt;

/// As many digits, wherever they stand in a text, make every one of them too many.
const DIGITS_MAX: usize = 7;

/// What Base64 makes of that many digits and one more.
const BASE64_MIN: usize = 11;

/// A text that may be recorded. Made only by the masks of the law in force, or of a text of our own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Masked(Box<str>);

impl Masked {
    /// A text of the program itself.
    pub fn own(text: &'static str) -> Self {
        Self(Box::from(text))
    }

    /// Any text: where it has 8 or more digits in all (full-width ones too, separators ignored), every digit is `*`.
    /// Digits in `%`-escapes count; a word that is Base64 of digits, or that in such a text mixes letters and
    /// digits as Base64 does, is one `*`.
    /// Control characters, bidi marks and what is not printable are escaped by the ledger's JSON, not here.
    pub fn text(text: &str) -> Self {
        let many = text.chars().filter(|c| c.is_numeric()).count() > DIGITS_MAX;
        let plain = hide_words(text, many);
        Self(if many { hide_digits(&plain) } else { plain.into_boxed_str() })
    }

    /// The range of entry numbers that a line of the ledger speaks of; numbers that the program itself has counted.
    pub fn entries(first: u64, last: u64) -> Self {
        Self(format!("entries {first} to {last}").into_boxed_str())
    }

    /// A text of the law in force.
    pub(super) fn literal(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    /// A masked text behind a label of our own.
    pub(super) fn labelled(label: &'static str, masked: &str) -> Self {
        Self(format!("{label}{masked}").into_boxed_str())
    }

    /// The recorded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every digit becomes `*`; also the letter that is the second half of a full-width digit in an escaped `Shift_JIS`
/// text (`%82P` is `１`), which no digit gives away.
fn hide_digits(text: &str) -> Box<str> {
    let mut hidden = String::with_capacity(text.len());
    let (mut before, mut last) = ('\0', '\0');
    for c in text.chars() {
        let second_half = before == '8' && last == '2' && ('O'..='X').contains(&c);
        hidden.push(if c.is_numeric() || second_half { '*' } else { c });
        (before, last) = (last, c);
    }
    hidden.into_boxed_str()
}

/// Words of the Base64 alphabets (RFC 4648 §4, §5) that hide digits become `*`.
fn hide_words(text: &str, many: bool) -> String {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let mut hidden = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if is_base64(c) {
            word.push(c);
        } else {
            push_word(&mut hidden, &word, many);
            word.clear();
            hidden.push(c);
        }
    }
    push_word(&mut hidden, &word, many);
    hidden
}

fn push_word(hidden: &mut String, word: &str, many: bool) {
    if word.len() >= BASE64_MIN && hides_digits(word.as_bytes()) {
        hidden.push('*');
    } else if many {
        // A host name is folded to lower case, and such Base64 cannot be read back here, but by others.
        let parts = word.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        hidden.extend(parts.map(|part| if is_mixed(part) { "*" } else { part }));
    } else {
        hidden.push_str(word);
    }
}

fn is_mixed(part: &str) -> bool {
    let digit = part.bytes().any(|c| c.is_ascii_digit());
    let letter = part.bytes().any(|c| c.is_ascii_alphabetic());
    part.len() >= BASE64_MIN && digit && letter
}

/// Whether the word is Base64 of digits, from any of the four places where a group can begin.
fn hides_digits(word: &[u8]) -> bool {
    (0..4)
        .filter_map(|start| word.get(start..))
        .any(|word| has_digits(&decode(word)) || folded_digits(word) >= BASE64_MIN)
}

fn decode(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for sextet in word.iter().map(|c| sextet(*c)) {
        bits = (bits << 6 | u32::from(sextet)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.extend(u8::try_from(bits >> held & 0xff));
        }
    }
    bytes
}

const fn sextet(c: u8) -> u8 {
    match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    }
}

/// Whether 8 or more digits stand in a row, in any encoding of them; what separates groups of digits, and the zero
/// bytes of UTF-16, do not end the row.
fn has_digits(mut bytes: &[u8]) -> bool {
    let mut count = 0;
    loop {
        bytes = match bytes {
            [] => return false,
            [0xef, 0xbc, 0x90..=0x99, rest @ ..]
            | [0x82, 0x4f..=0x58, rest @ ..]
            | [0xa3, 0xb0..=0xb9, rest @ ..]
            | [0xff, 0x10..=0x19, rest @ ..]
            | [0x10..=0x19, 0xff, rest @ ..]
            | [b'0'..=b'9', rest @ ..] => {
                count += 1;
                rest
            }
            [0 | b' ' | b'-' | b'.' | b'_' | b',', rest @ ..] => rest,
            [_, rest @ ..] => {
                count = 0;
                rest
            }
        };
        if count > DIGITS_MAX {
            return true;
        }
    }
}

/// How many letters in a row can be Base64 of ASCII digits when case is lost. Three digits make four letters, of which
/// each has few values: `0011dddd 0011dddd 0011dddd`.
fn folded_digits(word: &[u8]) -> usize {
    const GROUP: [&[u8]; 4] = [b"mno", b"dtjz", b"aeimquycgk", b"wxyz012345"];
    let mut longest = 0;
    let mut run = 0;
    for (c, wanted) in word.iter().zip(GROUP.iter().cycle()) {
        run = if wanted.contains(&c.to_ascii_lowercase()) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::Masked;

    /// The synthetic individual numbers that pass their check digit; no person's.
    const NUMBERS: [&str; 7] = [
        "123456789018",
        "111111111118",
        "999999999996",
        "123456789050",
        "123456789140",
        "621498320257",
        "987654321093",
    ];

    fn full_width(number: &str) -> String {
        let wide = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(0xff10 + digit));
        number.chars().filter_map(wide).collect()
    }

    fn each<T>(items: impl IntoIterator<Item = T>, form: impl Fn(T) -> String) -> String {
        items.into_iter().map(form).collect::<Vec<_>>().concat()
    }

    fn escaped(bytes: impl IntoIterator<Item = u8>) -> String {
        each(bytes, |byte| format!("%{byte:02X}"))
    }

    fn in_fours(number: &str, between: &str) -> String {
        let groups = number.as_bytes().chunks(4).map(|four| four.escape_ascii().to_string());
        groups.collect::<Vec<_>>().join(between)
    }

    fn base64(bytes: &[u8], url: bool) -> String {
        let last = if url { "-_" } else { "+/" };
        let all = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(last.chars());
        let alphabet: Vec<char> = all.collect();
        let group = |bytes: &[u8]| {
            let mut joined = [0_u8; 4];
            joined[1..=bytes.len()].copy_from_slice(bytes);
            let bits = u32::from_be_bytes(joined);
            let place = move |at: usize| (bits >> (18 - 6 * at) & 63) as usize;
            (0..=bytes.len()).map(place).collect::<Vec<_>>()
        };
        bytes.chunks(3).flat_map(group).map(|sextet| alphabet[sextet]).collect()
    }

    fn shift_jis(number: &str) -> Vec<u8> {
        number.bytes().flat_map(|c| [0x82, c - b'0' + 0x4f]).collect()
    }

    fn euc(number: &str) -> Vec<u8> {
        number.bytes().flat_map(|c| [0xa3, c - b'0' + 0xb0]).collect()
    }

    fn utf16(number: &str, little: bool) -> Vec<u8> {
        let order = |c: u16| if little { c.to_le_bytes() } else { c.to_be_bytes() };
        number.encode_utf16().flat_map(order).collect()
    }

    /// Every form in which a number is written into a name.
    fn forms(number: &str) -> Vec<String> {
        let wide = full_width(number);
        let mut forms = vec![
            number.to_owned(),
            wide.clone(),
            in_fours(number, " "),
            in_fours(number, "-"),
            in_fours(number, "."),
            in_fours(number, "－"),
            each(number.chars(), |c| format!("\\u{:04x}", u32::from(c))),
            each(number.bytes(), |c| format!("{c:02x}")),
            escaped(number.bytes()),
            escaped(wide.bytes()),
            escaped(shift_jis(number)),
            each(shift_jis(number).chunks(2), |pair| format!("%82{}", char::from(pair[1]))),
            escaped(euc(number)),
            escaped(utf16(number, false)),
        ];
        let encodings = [
            number.as_bytes().to_vec(),
            in_fours(number, "-").into_bytes(),
            wide.into_bytes(),
            shift_jis(number),
            euc(number),
            utf16(number, false),
            utf16(number, true),
        ];
        for bytes in encodings {
            for lead in ["", "a", "ab"] {
                let led: Vec<u8> = lead.bytes().chain(bytes.iter().copied()).collect();
                forms.extend([base64(&led, false), base64(&led, true)]);
            }
        }
        forms.push(base64(number.as_bytes(), false).to_lowercase());
        forms.push(base64(full_width(number).as_bytes(), false).to_lowercase());
        forms
    }

    fn digits(text: &str) -> usize {
        text.chars().filter(|c| c.is_numeric()).count()
    }

    /// Whether something of the form is still there, beyond what a short name can show.
    fn survives(form: &str, masked: &str) -> bool {
        let characters: Vec<char> = form.chars().collect();
        let part = |window: &[char]| masked.contains(&window.iter().collect::<String>());
        digits(masked) >= 8 || characters.windows(8).any(part)
    }

    #[test]
    fn no_form_of_an_individual_number_survives() {
        for number in NUMBERS {
            for form in forms(number) {
                for text in [form.clone(), format!("id-{form}.example"), format!("urn:x:{form}/a")]
                {
                    let masked = Masked::text(&text);
                    assert!(!survives(&form, masked.as_str()), "{text} became {masked}");
                }
            }
        }
    }

    #[test]
    fn the_second_half_of_a_shift_jis_digit_is_hidden_too() {
        let masked = Masked::text("%82P%82Q%82R%82S%82T%82U%82V%82W");
        assert_eq!(masked.as_str(), "%***%***%***%***%***%***%***%***");
    }

    #[test]
    fn the_shortest_base64_of_eight_digits_is_hidden() {
        assert_eq!(base64(b"12345678", false), "MTIzNDU2Nzg");
        assert_eq!(Masked::text("MTIzNDU2Nzg").as_str(), "*");
        assert_eq!(Masked::text("MTIzNDU2Nw").as_str(), "MTIzNDU2Nw");
        assert_eq!(Masked::text("mtizndu2nzg").as_str(), "*", "in lower case");
        // The last byte of the eighth digit ends a group; with seven, such a word is a name.
        assert_eq!(Masked::text(&base64(b"a12345678", false)).as_str(), "*");
        // Wherever a full-width digit begins in a group; the second place makes `+` or `-` of each.
        for (lead, url) in [("", false), ("a", false), ("a", true), ("ab", false)] {
            let wide = base64(format!("{lead}{}", full_width("12345678")).as_bytes(), url);
            assert_eq!(Masked::text(&wide).as_str(), "*", "{wide}");
        }
        let seven = base64(b"a1234567b", false);
        assert_eq!(Masked::text(&seven).as_str(), seven);
    }

    #[test]
    fn a_text_without_eight_digits_is_as_it_was() {
        for text in [
            "www.example",
            "2026-11",
            "kizon-1.union.example",
            "１２３４５６７",
            "中間サーバー",
            "an unusually long name without a single digit",
            "%E3%81%82",
            "",
        ] {
            assert_eq!(Masked::text(text).as_str(), text);
        }
    }

    #[test]
    fn separators_do_not_count() {
        let table = [
            ("1.2.3.4.5.6.7", "1.2.3.4.5.6.7"),
            ("1.2.3.4.5.6.7.8", "*.*.*.*.*.*.*.*"),
            ("１２３４ 5678", "**** ****"),
            ("१२३४५६७८", "********"),
            ("①②③④⑤⑥⑦⑧", "********"),
            ("a1234567 and 8", "a******* and *"),
            // What looks like half of a digit is one only behind the other half.
            ("Q 12345678", "Q ********"),
            ("2Q 8-Q 12345678", "*Q *-Q ********"),
            ("%82Z%82P 12345678", "%**Z%*** ********"),
            ("internationalisation 12345678", "internationalisation ********"),
            ("a1b2c3d4e5f 12345678", "* ********"),
            ("a1b2c3d4e5 12345678", "a*b*c*d*e* ********"),
        ];
        for (text, due) in table {
            assert_eq!(Masked::text(text).as_str(), due, "{text}");
        }
    }

    proptest! {
        #[test]
        fn eight_digits_in_all_leave_none(text in "[0-9０-９a-z%. -]{0,40}") {
            let masked = Masked::text(&text);
            prop_assert!(digits(&text) < 8 || digits(masked.as_str()) == 0, "{masked}");
            prop_assert!(digits(masked.as_str()) <= 7);
        }

        #[test]
        fn masking_twice_is_masking_once(text in "\\PC{0,40}") {
            let once = Masked::text(&text);
            prop_assert_eq!(&Masked::text(once.as_str()), &once);
        }

        #[test]
        fn nothing_around_a_number_helps_it(
            number in select(NUMBERS.to_vec()),
            form in any::<prop::sample::Index>(),
            before in "[a-zA-Z.:/]{0,9}",
            after in "[a-zA-Z.:/]{0,9}",
        ) {
            let forms = forms(number);
            let form = form.get(&forms);
            let text = format!("{before}{form}{after}");
            let masked = Masked::text(&text);
            prop_assert!(!survives(form, masked.as_str()), "{text} became {masked}");
        }
    }
}
