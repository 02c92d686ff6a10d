//! Path patterns as written → [`PathPattern`]. How a path fits one is in the engine.

use super::model::{PathPattern, SegmentPattern};
use crate::flow::Path;
use crate::yaml::{Wrong, quoted};

/// Takes a pattern whose literal segments are in the normal form of [`Path`]: what is not in it could never fit.
pub(super) fn parse(text: &str) -> Result<PathPattern, Wrong> {
    let wrong = |why: &str| Wrong::value(format!("{} is not a path: {why}", quoted(text)));
    let normal = Path::parse(text).map_err(|why| wrong(&why.to_string()))?;
    if normal.as_str() != text {
        return Err(
            wrong("it is not in the normal form").remedy(format!("did you mean `{normal}`?"))
        );
    }
    let mut segments: Vec<_> = text.split('/').skip(1).collect();
    let rest = segments.last() == Some(&"**");
    if rest {
        segments.pop();
    }
    if segments.contains(&"**") {
        return Err(wrong("`**` stands for the rest of a path and can only be its end"));
    }
    if segments.iter().any(|segment| *segment != "*" && segment.contains('*')) {
        return Err(wrong("`*` stands for a whole segment")
            .remedy("write `*` between two slashes".to_owned()));
    }
    Ok(PathPattern { segments: segments.into_iter().map(segment).collect(), rest })
}

fn segment(text: &str) -> SegmentPattern {
    if text == "*" { SegmentPattern::Any } else { SegmentPattern::Literal(Box::from(text)) }
}

#[cfg(test)]
mod tests {
    use super::{parse, segment};

    #[test]
    fn stars_are_whole_segments() {
        let pattern = parse("/a/*/b/**").unwrap();
        assert_eq!(pattern.segments, ["a", "*", "b"].map(segment));
        assert!(pattern.rest);
        assert!(!parse("/a/").unwrap().rest);
        assert_eq!(parse("/a/").unwrap().segments, ["a", ""].map(segment));
        assert_eq!(parse("/**").unwrap().segments, []);
    }

    #[test]
    fn what_could_never_fit_is_refused() {
        let table = [
            ("exchange", "`exchange` is not a path: a path begins with `/`"),
            (
                "/a/**/b",
                "`/a/**/b` is not a path: `**` stands for the rest of a path and can only be its end",
            ),
            ("/a*", "`/a*` is not a path: `*` stands for a whole segment"),
            ("/a/***", "`/a/***` is not a path: `*` stands for a whole segment"),
            ("/a/../b", "`/a/../b` is not a path: `.` and `..` have no place in a path here"),
            ("/a//b", "`/a//b` is not a path: `//` has no place in a path here"),
            ("/%61", "`/%61` is not a path: it is not in the normal form"),
            (
                "/a?b=c",
                "`/a?b=c` is not a path: a character that a path cannot have unless it is %-encoded",
            ),
        ];
        for (text, message) in table {
            assert_eq!(parse(text).unwrap_err().message, message);
        }
        assert_eq!(parse("/%61").unwrap_err().remedy.as_deref(), Some("did you mean `/a`?"));
    }
}
