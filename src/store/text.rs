//! Texts as Postgres can store them.
//!
//! In: any text. Out: the same, with U+FFFD in place of each zero byte, which no text of Postgres may hold; a reader
//! sees that something was there, and the row, its money above all, is where it belongs. The log keeps the original.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The text as it is stored.
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.as_bytes().contains(&0) { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Attributes as they are stored, as JSON.
pub fn json(attributes: &BTreeMap<String, String>) -> String {
    let stored: BTreeMap<_, _> = attributes.iter().map(|(name, value)| (storable(name), storable(value))).collect();
    serde_json::to_string(&stored).unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_byte_is_seen_and_everything_else_stays() {
        assert!(matches!(storable("naïve \\u0000"), Cow::Borrowed("naïve \\u0000")));
        assert_eq!(storable("a\0b\0"), "a\u{fffd}b\u{fffd}");
        let attributes = BTreeMap::from([("k\0".to_owned(), "\\u0000\0".to_owned())]);
        assert_eq!(json(&attributes), "{\"k\u{fffd}\":\"\\\\u0000\u{fffd}\"}");
    }
}
