//! One cost row of the provider.
//!
//! In: its JSON. Out: what it says, or what is wrong with it. Pure.

use chrono::NaiveDate;
use serde_json::Value;

use super::json::{at, text};
use crate::domain::split::{Splitter, Step};
use crate::domain::{Amount, AmountError, Day, Granularities};

/// A row that can be booked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// First day charged for.
    pub start: Day,
    /// Day after the last one.
    pub end: Day,
    /// Hours of the last day that are charged for, 1 to 24; of all others it is the whole day.
    pub last_hours: u32,
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
    /// Reads a row. If it does not say its end, its `granularity` does.
    ///
    /// # Errors
    /// [`Fault`] if it has no usable date or amount, or another shape than a cost row.
    pub fn read(json: &str, granularities: &Granularities) -> Result<Self, Fault> {
        let undated = |reason: String| Fault { day: None, reason };
        let row: Value = serde_json::from_str(json).map_err(|e| undated(format!("not JSON: {e}")))?;
        if !row.is_object() {
            return Err(undated(format!("{} where a cost row was expected", kind(&row))));
        }
        let start = date(at(&row, &["start_date"])).map_err(|why| undated(format!("start_date {why}")))?;
        Self::dated(&row, start, json, granularities).map_err(|reason| Fault { day: Some(start), reason })
    }

    fn dated(row: &Value, start: Day, json: &str, granularities: &Granularities) -> Result<Self, String> {
        let resource = object(row, "resource")?;
        let environment = object(resource, "environment")?;
        let category = at(row, &["product"]).and_then(Value::as_str).unwrap_or_default().to_owned();
        let product_type = word(row, "line_type")?;
        let resource_id = Some(word(resource, "id")?).filter(|id| !id.is_empty());
        let (end, last_hours) = end(row, start, granularities)?;
        Ok(Self {
            start,
            end,
            last_hours,
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

    /// A row for each of its days, by the hours of it. Amounts and quantities add up to its own exactly.
    pub fn by_day(self) -> impl Iterator<Item = Self> {
        let days: Vec<Day> = self.start.until(self.end).collect();
        let mut hours = vec![24; days.len()];
        if let Some(last) = hours.last_mut() {
            *last = u64::from(self.last_hours);
        }
        let (quantities, amounts) = (shares(self.quantity, &hours), shares(self.amount, &hours));
        let originals = self.original_amount.map(|amount| shares(amount, &hours));
        days.into_iter().enumerate().map(move |(i, day)| Self {
            start: day,
            end: day.plus(1),
            last_hours: hours[i] as u32,
            quantity: quantities[i],
            amount: amounts[i],
            original_amount: originals.as_ref().map(|amounts| amounts[i]),
            ..self.clone()
        })
    }
}

/// An amount's parts by hours.
fn shares(total: Amount, hours: &[u64]) -> Vec<Amount> {
    // Each day has an hour at least, so there is something to split by.
    let split = Splitter::default().by_ratio(total, Step::of(total), hours).map(<[Amount]>::to_vec);
    split.unwrap_or_else(|_| vec![total])
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

/// The day after the last, and the hours of the last. Without a usable end date the granularity says how long it is;
/// without that it is one day, as all daily rows are.
fn end(row: &Value, start: Day, granularities: &Granularities) -> Result<(Day, u32), String> {
    let hours = match (date(at(row, &["end_date"])).ok().filter(|end| *end > start), text(row, &["granularity"])) {
        (Some(end), _) => 24 * (end.date() - start.date()).num_days(),
        (None, None) => 24,
        (None, Some(name)) => granularities.hours(&name, start).map(i64::from).ok_or_else(|| {
            format!("it has no end, and nobody knows how long {name:?} is: name it in `granularity_durations`")
        })?,
    };
    let days = (hours + 23) / 24;
    if days > LONGEST_DAYS {
        return Err(format!("it charges for {days} days, more than a year"));
    }
    // 1 to 366, and 1 to 24.
    Ok((start.plus(days as u64), (hours - 24 * (days - 1)) as u32))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"id": "1", "start_date": "2026-02-28", "end_date": "2026-03-01", "product": "KAFKA",
        "line_type": "KAFKA_BASE", "price": 0.75, "quantity": 24, "original_amount": 20.0, "amount": 18.0,
        "resource": {"id": "lkc-1", "display_name": "orders", "environment": {"id": "env-1"}}}"#;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn weekly() -> Granularities {
        Granularities::new([("weekly".to_owned(), 168), ("shift".to_owned(), 36)].into())
    }

    /// The row that [`PLAIN`] is with one member replaced, or taken away.
    fn with(key: &str, value: &str) -> Result<Row, Fault> {
        let mut row: serde_json::Map<String, Value> = serde_json::from_str(PLAIN).unwrap();
        if value.is_empty() {
            row.remove(key);
        } else {
            row.insert(key.to_owned(), serde_json::from_str(value).unwrap());
        }
        Row::read(&serde_json::to_string(&row).unwrap(), &weekly())
    }

    #[test]
    fn a_plain_row() {
        let row = Row::read(PLAIN, &weekly()).unwrap();
        assert_eq!((row.env_id.as_str(), row.resource_id.as_str()), ("env-1", "lkc-1"));
        assert_eq!((row.category.as_str(), row.product_type.as_str()), ("KAFKA", "KAFKA_BASE"));
        assert_eq!((row.quantity, row.unit_price, row.amount), (amount("24"), amount("0.75"), amount("18")));
        assert_eq!((row.original_amount, row.currency.as_str()), (Some(amount("20")), "USD"));
        assert_eq!((row.start.to_string(), row.end.to_string()), ("2026-02-28".into(), "2026-03-01".into()));
        assert_eq!((row.resource_name.as_deref(), row.json.as_str()), (Some("orders"), PLAIN));
    }

    #[test]
    fn numbers_come_from_their_text() {
        for (text, expected) in [
            ("1e-07", "0.0000001"),
            ("7.7646999999999995", "7.7647"),
            ("\"-19.20268146\"", "-19.20268146"),
            ("12345678901234.00000000000001", "12345678901234.00000000000001"),
        ] {
            assert_eq!(with("amount", text).unwrap().amount, amount(expected), "{text}");
        }
    }

    #[test]
    fn without_a_usable_amount_a_row_is_not_booked() {
        for value in ["null", "", "\"n/a\"", "\"\"", "\"NaN\"", "\"1_000\"", "true", "[]", "{}", "1e20"] {
            let fault = with("amount", value).unwrap_err();
            assert_eq!(fault.day, Some("2026-02-28".parse().unwrap()), "{value}");
            assert!(fault.reason.starts_with("amount "), "{}", fault.reason);
        }
        assert_eq!(with("amount", "null").unwrap_err().reason, "amount is missing");
        assert_eq!(with("amount", "\"n/a\"").unwrap_err().reason, "amount \"n/a\" is not a decimal number");
    }

    #[test]
    fn quantity_and_price_are_not_worth_a_row() {
        for value in ["null", "", "\"n/a\"", "1e20"] {
            assert_eq!(with("quantity", value).unwrap().quantity, Amount::ZERO);
            assert_eq!(with("price", value).unwrap().unit_price, Amount::ZERO);
            assert_eq!(with("original_amount", value).unwrap().original_amount, None);
        }
    }

    #[test]
    fn without_a_usable_date_a_row_has_no_day() {
        for value in [
            "null",
            "",
            "\"\"",
            "20260228",
            "\"28/02/2026\"",
            "\" 2026-02-28\"",
            "\"2026-02-30\"",
            "\"2026-02-28T00:00:00Z\"",
            "\"26-02-28\"",
            "\"+2026-02-28\"",
        ] {
            assert_eq!(with("start_date", value).unwrap_err().day, None, "{value}");
        }
        assert_eq!(with("start_date", "\"2026-2-8\"").unwrap().start, "2026-02-08".parse().unwrap());
    }

    #[test]
    fn null_is_missing_and_another_shape_is_an_error() {
        for value in ["null", "", "{}", "{\"id\": null, \"environment\": null}", "{\"id\": \"\", \"environment\": {}}"]
        {
            let row = with("resource", value).unwrap();
            assert_eq!((row.resource_id.as_str(), row.env_id.as_str()), ("unresolved:KAFKA/KAFKA_BASE", ""), "{value}");
        }
        for value in ["\"lkc-1\"", "[]", "{\"id\": 7}", "{\"environment\": \"env-1\"}"] {
            assert!(with("resource", value).unwrap_err().day.is_some(), "{value}");
        }
        assert_eq!(with("line_type", "null").unwrap().product_type, "");
        assert_eq!(with("product", "7").unwrap().category, "");
        assert!(with("line_type", "7").is_err());
        assert_eq!(with("currency", "\"EUR\"").unwrap().currency, "EUR");
        assert!(with("currency", "978").is_err());
        for row in ["null", "7", "\"row\"", "[]", "{"] {
            assert_eq!(Row::read(row, &weekly()).unwrap_err().day, None);
        }
    }

    #[track_caller]
    fn by_day(end: &str, total: &str) -> Vec<String> {
        let mut row = with("end_date", &format!("\"{end}\"")).unwrap();
        row.amount = amount(total);
        let parts: Vec<Row> = row.by_day().collect();
        assert_eq!(parts.iter().map(|part| part.amount).sum::<Amount>(), amount(total));
        parts.iter().map(|part| format!("{} {}", part.start, part.amount)).collect()
    }

    #[test]
    fn a_charge_for_several_days_is_spread_exactly() {
        assert_eq!(by_day("2026-03-03", "10"), ["2026-02-28 3.3334", "2026-03-01 3.3333", "2026-03-02 3.3333"]);
        assert_eq!(
            by_day("2026-03-03", "-10.000001"),
            ["2026-02-28 -3.333334", "2026-03-01 -3.333334", "2026-03-02 -3.333333"]
        );
        assert_eq!(by_day("2026-03-02", "0.00000000000001"), ["2026-02-28 0.00000000000001", "2026-03-01 0"]);
        for one_day in ["2026-03-01", "2026-02-28", "2026-01-01", "soon"] {
            assert_eq!(by_day(one_day, "7"), ["2026-02-28 7"]);
        }
        assert!(with("end_date", "\"9999-12-31\"").unwrap_err().reason.contains("more than a year"));
    }

    #[test]
    fn a_charge_without_an_end_is_as_long_as_its_granularity_says() {
        let endless = |granularity: &str, total: &str| {
            let row = PLAIN.replace("\"end_date\": \"2026-03-01\", ", "");
            let row = row.replacen('{', &format!("{{\"granularity\": \"{granularity}\", "), 1);
            let mut row = Row::read(&row, &weekly())?;
            row.amount = amount(total);
            let parts: Vec<Row> = row.by_day().collect();
            assert_eq!(parts.iter().map(|part| part.amount).sum::<Amount>(), amount(total));
            Ok(parts.iter().map(|part| part.amount.to_string()).collect::<Vec<_>>())
        };
        let told = |granularity| endless(granularity, "10").map_err(|fault: Fault| fault.reason);
        for one_day in ["HOURLY", "DAILY", ""] {
            assert_eq!(told(one_day), Ok(vec!["10".to_owned()]), "{one_day}");
        }
        assert_eq!(told("monthly").unwrap().len(), 28);
        assert_eq!(told("weekly").unwrap()[0], "1.4286");
        assert_eq!(told("SHIFT").unwrap(), ["6.6667", "3.3333"]);
        assert!(told("yearly").unwrap_err().contains("\"yearly\" is: name it in `granularity_durations`"));
    }

    #[test]
    fn a_row_outside_of_what_was_asked_for_is_told() {
        let (from, until): (Day, Day) = ("2026-02-27".parse().unwrap(), "2026-03-01".parse().unwrap());
        assert!(Row::read(PLAIN, &weekly()).unwrap().inside(from, until).is_ok());
        assert_eq!(Row::read(PLAIN, &weekly()).unwrap().inside(until, until.plus(9)).unwrap_err().day, None);
    }
}
