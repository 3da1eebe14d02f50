//! Whole numbers, and prices.
//!
//! In: a single value, in quotes or not. Out: a number within its bounds.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::kind::Kind;
use super::scalar::{or_text, quoted, scalar};
use super::section::Value;
use crate::domain::Amount;

/// A whole number within bounds.
pub(super) struct Int<T>(pub RangeInclusive<T>);

impl<T: Copy + Display + PartialOrd + Into<i128> + TryFrom<i128>> Kind for Int<T> {
    type Out = T;

    fn schema(&self) -> Json {
        let (least, most): (i128, i128) = ((*self.0.start()).into(), (*self.0.end()).into());
        let mut number = json!({"type": "integer", "minimum": least as i64});
        if most < i128::from(u32::MAX) {
            number["maximum"] = json!(most as i64);
        }
        or_text(number, r"^\s*[-+]?\d+\s*$")
    }

    fn read(&self, value: &Value<'_>) -> Option<T> {
        let scalar = scalar(value, "a whole number")?;
        let bounds = self.bounds();
        let Some(number) = whole(&scalar.text) else {
            value.fault(format!("{} is not a whole number", quoted(&scalar.text)), format!("write one {bounds}"));
            return None;
        };
        if scalar.plain
            && scalar.text.trim_start_matches(['+', '-']).starts_with('0')
            && scalar.text.len() > 1
            && number != 0
        {
            let problem = format!("{} may mean two numbers: older YAML reads it as octal", scalar.text);
            value.fault(problem, "write it without zeros in front");
            return None;
        }
        let fits = T::try_from(number).ok().filter(|number| self.0.contains(number));
        if fits.is_none() {
            value.fault(format!("{number} is not {bounds}"), format!("write a whole number {bounds}"));
        }
        fits
    }

    fn placeholder(&self) -> T {
        *self.0.start()
    }

    fn shown(&self, out: &T) -> Json {
        let number: i128 = (*out).into();
        json!(number as i64)
    }
}

impl<T: Copy + Display + Into<i128>> Int<T> {
    fn bounds(&self) -> String {
        let most: i128 = (*self.0.end()).into();
        match most < i128::from(i32::MAX) {
            true => format!("between {} and {}", self.0.start(), self.0.end()),
            false => format!("at least {}", self.0.start()),
        }
    }
}

/// `10`, ` 10 `, `1_000`, `10.0`.
fn whole(text: &str) -> Option<i128> {
    let text = text.trim();
    let text = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    text.replace('_', "").parse().ok()
}

/// A price: a decimal that is not negative.
pub(super) struct Price;

impl Kind for Price {
    type Out = Amount;

    fn schema(&self) -> Json {
        or_text(json!({"type": "number", "minimum": 0}), r"^\s*\+?[0-9.]+([eE][-+]?\d+)?\s*$")
    }

    fn read(&self, value: &Value<'_>) -> Option<Amount> {
        let scalar = scalar(value, "a decimal number")?;
        let text = scalar.text.trim().replace('_', "");
        let remedy = "write a decimal number that is not negative, best in quotes: \"0.0123\"";
        match Amount::parse(&text) {
            Ok(price) if price >= Amount::ZERO => return Some(price),
            Ok(price) => value.fault(format!("{price} is less than nothing"), remedy),
            Err(error) => value.fault(format!("{} is {error}", quoted(&scalar.text)), remedy),
        }
        None
    }

    fn placeholder(&self) -> Amount {
        Amount::ZERO
    }

    fn shown(&self, out: &Amount) -> Json {
        json!(out.to_string())
    }
}
