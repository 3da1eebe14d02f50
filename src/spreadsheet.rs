//! Texts that a spreadsheet takes for texts.

use std::borrow::Cow;

/// A text as a cell of a CSV file: one that looks like a formula gets an apostrophe in front.
pub fn guarded(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_guarded() {
        for text in ["=1+1", "+1", "-lkc", "@sum", "\t=1", "\r=1"] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        for text in ["", "lkc-1", "a=b", "1"] {
            assert!(matches!(guarded(text), Cow::Borrowed(same) if same == text));
        }
    }
}
