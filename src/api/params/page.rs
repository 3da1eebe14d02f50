//! Pages: so many rows, after the place that the page before ended at.
//!
//! A cursor holds that place and a mark of the question, so it cannot be used with another one. It is opaque, not
//! secret: whoever makes one up sees nothing that the question alone would not show.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;

use crate::api::problem::{Fault, Problem};
use crate::domain::Day;

const DEFAULT: u32 = 100;
const MOST: u32 = 1000;
/// Longer than any place there is.
const LONGEST: usize = 8192;

/// How many rows, and from where.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Rows of a page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A page to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page<K> {
    pub limit: u32,
    pub after: Option<K>,
}

/// Makes and reads the cursors of one question.
#[derive(Debug, Clone)]
pub(crate) struct Cursor(String);

impl Cursor {
    /// The cursors of a question; `parts` tell it from all others.
    pub fn of(parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        Self(hasher.finalize().to_hex()[..16].to_owned())
    }

    /// The text for a place.
    pub fn text<K: Serialize>(&self, place: &K) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(&self.0, place)).expect("a place is plain data"))
    }

    /// Reads what a caller says about pages.
    ///
    /// # Errors
    /// A [`Problem`] for a limit out of bounds, and for a cursor that is not one of this question.
    pub fn page<K: DeserializeOwned>(&self, params: &PageParams) -> Result<Page<K>, Problem> {
        let limit = params.limit.unwrap_or(DEFAULT);
        let mut faults = Vec::new();
        if !(1..=MOST).contains(&limit) {
            faults.push(Fault::new("limit", format!("{limit} is not within 1 and {MOST}")));
        }
        let after = params.cursor.as_deref().map(|text| self.place(text));
        let after = after.transpose().unwrap_or_else(|message| {
            faults.push(Fault::new("cursor", message));
            None
        });
        if faults.is_empty() { Ok(Page { limit, after }) } else { Err(Problem::of_parameters(faults)) }
    }

    fn place<K: DeserializeOwned>(&self, text: &str) -> Result<K, String> {
        let bytes = (text.len() <= LONGEST).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten();
        // No text in Postgres has a NUL.
        let bytes = bytes.filter(|bytes| !bytes.windows(6).any(|six| six == br"\u0000"));
        let read = bytes.and_then(|bytes| serde_json::from_slice::<(String, Value)>(&bytes).ok());
        let read = read.filter(|(_, place)| days_are_usual(place));
        let read = read.and_then(|(mark, place)| Some((mark, serde_json::from_value::<K>(place).ok()?)));
        let (mark, place) = read.ok_or("this is no cursor; take `next_cursor` of the page before as it is")?;
        let other = "this cursor is of another question, or of tables that were rebuilt since; begin without one";
        if mark == self.0 { Ok(place) } else { Err(other.to_owned()) }
    }
}

/// Are all days of a place ones that Postgres can compare with? Nobody is given others.
fn days_are_usual(place: &Value) -> bool {
    match place {
        Value::Array(parts) => parts.iter().all(days_are_usual),
        Value::String(text) => {
            let day = text.split('T').next().and_then(|text| text.parse::<NaiveDate>().ok());
            day.is_none_or(|day| (Day::FIRST.date()..=Day::LAST.date()).contains(&day))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<u32>, cursor: Option<String>) -> Result<Page<(String, i64)>, String> {
        Cursor::of(&["chargebacks", "acme"]).page(&PageParams { limit, cursor }).map_err(|problem| problem.detail)
    }

    #[test]
    fn a_cursor_comes_back_as_the_place_it_was_made_of() {
        let place = ("2026-02-01".to_owned(), 12);
        let text = Cursor::of(&["chargebacks", "acme"]).text(&place);
        assert_eq!(page(None, Some(text)), Ok(Page { limit: 100, after: Some(place) }));
        assert_eq!(page(Some(1), None), Ok(Page { limit: 1, after: None }));
    }

    #[test]
    fn a_cursor_of_another_question_is_refused() {
        let other = Cursor::of(&["chargebacksacme"]).text(&("2026-02-01", 12));
        assert!(page(None, Some(other)).unwrap_err().contains("another question"));
        let nul = Cursor::of(&["chargebacks", "acme"]).text(&("\0", 12));
        let [early, late] =
            ["-5000-01-01", "+12000-01-01T00:00:00Z"].map(|day| Cursor::of(&["chargebacks", "acme"]).text(&(day, 12)));
        for text in ["", "x", "AAAA", &nul, &early, &late, &"A".repeat(9000)] {
            assert!(page(None, Some(text.to_owned())).unwrap_err().contains("no cursor"), "{text}");
        }
    }

    #[test]
    fn limits_have_bounds() {
        assert!(page(Some(0), None).is_err());
        assert!(page(Some(1001), Some("x".into())).unwrap_err().contains("; cursor: "));
    }
}
