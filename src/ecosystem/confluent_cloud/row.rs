//! One cost row of the provider.
//!
//! In: its JSON. Out: what it says, or what is wrong with it. Pure.

use chrono::NaiveDate;
use serde_json::Value;

use super::json::{at, text};
use crate::domain::{Amount, AmountError, Day};

/// A row that can be booked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// First day charged for.
    pub start: Day,
    /// Day after the last one.
    pub end: Day,
    pub env_id: String,
    /// `unresolved:<category>/<type>` if the provider names none.
    pub resource_id: String,
    pub resource_name: Option<String>,
    pub category: String,
    pub product_type: String,
    pub quantity: Amount,
    pub unit_price: Amount,
    pub amount: Amount,
    pub original_amount: Option<Amount>,
    pub currency: String,
    /// As received.
    pub json: String,
}

/// Why a row cannot be booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The day it would have been booked on, if that is known.
    pub day: Option<Day>,
    pub reason: String,
}

/// A charge for more than this many days is an error in its dates.
const LONGEST_DAYS: i64 = 366;
/// What the provider bills in where a row does not say.
const CURRENCY: &str = "USD";

impl Row {
    /// Reads a row.
    ///
    /// # Errors
    /// [`Fault`] if it has no usable date or amount, or another shape than a cost row.
    pub fn read(json: &str) -> Result<Self, Fault> {
        let undated = |reason: String| Fault { day: None, reason };
        let row: Value = serde_json::from_str(json).map_err(|e| undated(format!("not JSON: {e}")))?;
        if !row.is_object() {
            return Err(undated(format!("{} where a cost row was expected", kind(&row))));
        }
        let start = date(at(&row, &["start_date"])).map_err(|why| undated(format!("start_date {why}")))?;
        Self::dated(&row, start, json).map_err(|reason| Fault { day: Some(start), reason })
    }

    fn dated(row: &Value, start: Day, json: &str) -> Result<Self, String> {
        let resource = object(row, "resource")?;
        let environment = object(resource, "environment")?;
        let category = at(row, &["product"]).and_then(Value::as_str).unwrap_or_default().to_owned();
        let product_type = word(row, "line_type")?;
        let resource_id = Some(word(resource, "id")?).filter(|id| !id.is_empty());
        Ok(Self {
            start,
            end: end(row, start)?,
            env_id: word(environment, "id")?,
            resource_id: resource_id.unwrap_or_else(|| format!("unresolved:{category}/{product_type}")),
            resource_name: text(resource, &["display_name"]),
            category,
            product_type,
            quantity: number(at(row, &["quantity"])).unwrap_or(Amount::ZERO),
            unit_price: number(at(row, &["price"])).unwrap_or(Amount::ZERO),
            amount: number(at(row, &["amount"])).map_err(|why| format!("amount {why}"))?,
            original_amount: number(at(row, &["original_amount"])).ok(),
            currency: Some(word(row, "currency")?).filter(|c| !c.is_empty()).unwrap_or_else(|| CURRENCY.to_owned()),
            json: json.to_owned(),
        })
    }

    /// Itself, if its first day is in `[from, until)`, as was asked for.
    ///
    /// # Errors
    /// [`Fault`] without a day: the row belongs to another request, and would be counted twice.
    pub fn inside(self, from: Day, until: Day) -> Result<Self, Fault> {
        if from <= self.start && self.start < until {
            return Ok(self);
        }
        Err(Fault { day: None, reason: format!("start_date {} is outside of the period asked for", self.start) })
    }

    /// A row for each of its days. Amounts and quantities add up to its own exactly.
    pub fn by_day(self) -> impl Iterator<Item = Self> {
        let days: Vec<Day> = self.start.until(self.end).collect();
        let count = days.len() as i128;
        days.into_iter().zip(0..).map(move |(day, i)| Self {
            start: day,
            end: day.plus(1),
            quantity: share(self.quantity, i, count),
            amount: share(self.amount, i, count),
            original_amount: self.original_amount.map(|amount| share(amount, i, count)),
            ..self.clone()
        })
    }
}

/// Part `i` of `n` equal parts in units of the larger of 4 and the amount's own decimals; the first parts get
/// what rounding leaves.
fn share(total: Amount, i: i128, n: i128) -> Amount {
    let unit = 10_i128.pow(crate::domain::amount::SCALE - total.scale().max(4));
    let units = total.units() / unit;
    let rest = units % n;
    let extra = if i < rest.abs() { rest.signum() } else { 0 };
    Amount::from_units((units / n + extra) * unit)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The object under a key; `null` and no key are an empty one.
fn object<'a>(row: &'a Value, key: &str) -> Result<&'a Value, String> {
    match row.get(key) {
        None => Ok(&Value::Null),
        Some(value @ (Value::Null | Value::Object(_))) => Ok(value),
        Some(other) => Err(format!("{key} is {}, not an object", kind(other))),
    }
}

/// The text under a key; `null` and no key are an empty one.
fn word(row: &Value, key: &str) -> Result<String, String> {
    match row.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{key} is {}, not a text", kind(other))),
    }
}

/// Year-month-day and nothing else; one digit is enough for month and day.
fn date(value: Option<&Value>) -> Result<Day, String> {
    let text = match value {
        None => return Err("is missing".to_owned()),
        Some(Value::String(text)) => text,
        Some(other) => return Err(format!("is {}, not a date", kind(other))),
    };
    let no_date = || format!("{text:?} is no date of the form YYYY-MM-DD");
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'-') && text.find('-') == Some(4);
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| digits).ok_or_else(no_date)?;
    Ok(Day::from(date))
}

/// The day after the last; a missing or unusable end date means one day, as all daily rows are.
fn end(row: &Value, start: Day) -> Result<Day, String> {
    let end = date(at(row, &["end_date"])).ok().filter(|end| *end > start).unwrap_or_else(|| start.plus(1));
    let days = (end.date() - start.date()).num_days();
    if days > LONGEST_DAYS { Err(format!("it charges for {days} days, more than a year")) } else { Ok(end) }
}

fn number(value: Option<&Value>) -> Result<Amount, String> {
    let text = match value {
        None => return Err("is missing".to_owned()),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => return Err(format!("is {}, not a number", kind(other))),
    };
    Amount::parse(&text).map_err(|error: AmountError| format!("{text:?} is {error}"))
}
