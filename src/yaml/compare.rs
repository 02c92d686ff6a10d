//! When two texts are the same to a reader: full and half width, and what was probably meant.

use unicode_normalization::UnicodeNormalization;

/// The form in which Japanese texts are compared: NFKC, and the characters that tables of Shift JIS map in two ways
/// (`～` `〜`, `－` `−`, `―` `—`, `∥` `‖`) as one.
pub fn folded(text: &str) -> String {
    text.nfkc()
        .map(|c| match c {
            '\u{301c}' => '~',
            '\u{2212}' => '-',
            '\u{2014}' => '\u{2015}',
            '\u{2016}' => '\u{2225}',
            other => other,
        })
        .collect()
}

/// The candidate that was probably meant by `written`, if any is near enough.
pub fn suggest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = folded(written).to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&plain, candidate);
    let near = (plain.chars().count() / 3).max(1);
    let by_distance = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    by_distance.filter(|(far, _)| *far <= near).min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::{folded, suggest};

    #[test]
    fn widths_and_the_two_wave_dashes_are_equal() {
        assert_eq!(folded("4(1)ア(ア)～(ウ)"), folded("４（１）ｱ（ｱ）〜（ｳ）"));
        assert_eq!(folded("諮問第５号"), folded("諮問第5号"));
        assert_eq!(
            folded("社会保険診療報酬支払基金　本部"),
            folded("社会保険診療報酬支払基金 本部")
        );
        assert_ne!(folded("東京"), folded("大阪"));
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let systems = ["existing-system", "intermediate-server"];
        assert_eq!(suggest("existing-sytem", systems), Some("existing-system"));
        assert_eq!(suggest("Ｅxisting-system", systems), Some("existing-system"));
        assert_eq!(suggest("printer", systems), None);
        assert_eq!(suggest("", systems), None);
    }
}
