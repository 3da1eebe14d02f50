//! Parts of a file, as `Range` asks for them.

/// What is to be sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// From the first byte to the last, both included.
    Of(u64, u64),
    /// The range begins behind the end.
    Nothing,
}

/// Reads a `Range`. What is none of a single range of bytes asks for the whole file, as RFC 9110 lets a server say.
pub(crate) fn part(text: Option<&str>, length: u64) -> Part {
    let Some((first, last)) = text.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => Part::Nothing,
            Some(_) if length == 0 => Part::Nothing,
            Some(count) => Part::Of(length.saturating_sub(count), length - 1),
            None => Part::Whole,
        },
        (first, "") => match number(first) {
            Some(first) if first >= length => Part::Nothing,
            Some(first) => Part::Of(first, length - 1),
            None => Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => Part::Whole,
            (Some(first), Some(_)) if first >= length => Part::Nothing,
            (Some(first), Some(last)) => Part::Of(first, last.min(length - 1)),
            _ => Part::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_within_the_file() {
        let of = |text: &str| part(Some(text), 10);
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(of("bytes=0-"), Part::Of(0, 9));
        assert_eq!(of("bytes=3-5"), Part::Of(3, 5));
        assert_eq!(of("bytes=3-500"), Part::Of(3, 9));
        assert_eq!(of("bytes=-4"), Part::Of(6, 9));
        assert_eq!(of("bytes=-40"), Part::Of(0, 9));
        for beyond in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999-"] {
            assert_eq!(of(beyond), Part::Nothing, "{beyond}");
        }
        for other in ["bytes=5-3", "bytes=a-b", "bytes=1-2,4-5", "rows=1-2", "bytes=", "bytes=-"] {
            assert_eq!(of(other), Part::Whole, "{other}");
        }
        assert_eq!(part(Some("bytes=0-"), 0), Part::Nothing);
        assert_eq!(part(Some("bytes=-1"), 0), Part::Nothing);
    }
}
