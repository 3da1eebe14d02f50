//! From the provider's cost rows to billing lines.
//!
//! In: rows as received, each with the period it was asked for. Out: a [`Bill`]: per day its lines, price
//! tiers added up, and the rows that cannot be booked. Pure.
//!
//! * A number is read from its JSON text. A row without a usable amount or date is set aside, never booked as 0
//!   or on a made-up day.
//! * A row that spans several days is spread over them evenly, to the last digit; the days of the period are kept.
//! * Quantity and price are not money: where unusable they are 0, and the evidence keeps their text.
//! * A row with an id that arrives twice in the very same form is one row on two pages; with another form under
//!   the same id it is a price tier.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::ECOSYSTEM;
use super::json::text;
use super::row::{Fault, Row};
use crate::domain::{Amount, BillingLine, Day, Granularities};
use crate::ecosystem::{BadRow, Bill};

/// The answer to one request for costs.
#[derive(Debug)]
pub struct Costs {
    /// `[from, until)`, by the rows' start date.
    pub from: Day,
    pub until: Day,
    /// Only rows that reach into the bill from before it are wanted.
    pub before: bool,
    /// The request, for messages.
    pub source: String,
    /// Rows as received.
    pub rows: Vec<String>,
}

/// What lines of a day are told apart by: environment, resource, category, type, currency.
type Key = (String, String, String, String, String);

/// A row's part of one day.
#[derive(Debug)]
struct Part {
    row: Row,
    source: String,
}

/// Puts the bill of `[from, until)` together.
pub fn bill(from: Day, until: Day, answers: &[Costs], granularities: &Granularities) -> Bill {
    let mut bill = Bill::default();
    let mut parts: BTreeMap<Day, BTreeMap<Key, Vec<Part>>> = BTreeMap::new();
    for answer in answers {
        let mut seen = HashSet::new();
        for json in answer.rows.iter().filter(|json| !is_repeated(json, &mut seen)) {
            match Row::read(json, granularities).and_then(|row| row.inside(answer.from, answer.until)) {
                Ok(row) => {
                    for part in row.by_day().filter(|part| from <= part.start && part.start < until) {
                        let lines = parts.entry(part.start).or_default();
                        lines.entry(key(&part)).or_default().push(Part { row: part, source: answer.source.clone() });
                    }
                }
                Err(_) if answer.before => {}
                Err(fault) => set_aside(&mut bill, answer, json, fault),
            }
        }
    }
    for (day, lines) in parts {
        let booked = bill.days.entry(day).or_default();
        for parts in lines.into_values() {
            match line(parts) {
                Ok(line) => booked.lines.push(line),
                Err(bad) => booked.bad.extend(bad),
            }
        }
    }
    bill
}

fn set_aside(bill: &mut Bill, answer: &Costs, json: &str, fault: Fault) {
    let bad = bad_row(json, &fault.reason, &answer.source);
    match fault.day.filter(|day| answer.from <= *day && *day < answer.until) {
        Some(day) => bill.days.entry(day).or_default().bad.push(bad),
        None => bill.undated.push(bad),
    }
}

/// The same row with the same id, seen before in this answer?
fn is_repeated<'a>(json: &'a str, seen: &mut HashSet<&'a str>) -> bool {
    let has_id = || serde_json::from_str::<Value>(json).is_ok_and(|row| text(&row, &["id"]).is_some());
    !seen.insert(json) && has_id()
}

fn key(row: &Row) -> Key {
    let Row { env_id, resource_id, category, product_type, currency, .. } = row;
    (env_id.clone(), resource_id.clone(), category.clone(), product_type.clone(), currency.clone())
}

fn bad_row(json: &str, fault: &str, source: &str) -> BadRow {
    let reason = format!("{fault}; it is not booked until the provider corrects it");
    BadRow { bytes: json.as_bytes().to_vec(), reason, source: source.to_owned() }
}

/// Adds up the price tiers of one line; its rows come back if the sum is too large to be booked.
fn line(mut parts: Vec<Part>) -> Result<BillingLine, Vec<BadRow>> {
    // Any order of arrival gives the same line.
    parts.sort_by(|a, b| a.row.json.cmp(&b.row.json));
    let sum = |of: fn(&Row) -> Amount| parts.iter().map(|part| of(&part.row)).sum::<Amount>();
    let (amount, quantity) = (sum(|row| row.amount), sum(|row| row.quantity));
    let first = match parts.first() {
        Some(first) if amount.in_range() => &first.row,
        _ => {
            let reason = "the amounts of its line add up to more than 14 digits before the decimal point";
            return Err(parts.iter().map(|p| bad_row(&p.row.json, reason, &p.source)).collect());
        }
    };
    let original: Option<Vec<Amount>> = parts.iter().map(|part| part.row.original_amount).collect();
    let original = original.map(|amounts| amounts.into_iter().sum::<Amount>()).filter(|sum| sum.in_range());
    Ok(BillingLine {
        tenant: String::new(),
        day: first.start,
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: ECOSYSTEM.to_owned(),
        env_id: first.env_id.clone(),
        resource_id: first.resource_id.clone(),
        resource_name: parts.iter().find_map(|part| part.row.resource_name.clone()),
        product_category: first.category.clone(),
        product_type: first.product_type.clone(),
        quantity: if quantity.in_range() { quantity } else { Amount::ZERO },
        unit_price: if parts.len() == 1 { first.unit_price } else { Amount::ZERO },
        amount,
        original_amount: original,
        currency: first.currency.clone(),
        granularity: "daily".to_owned(),
        period_start: first.start.start(),
        period_end: first.start.end(),
        evidence: parts.iter().map(|part| part.row.json.clone()).collect(),
    })
}

/// The periods to ask for, at most `days` (at least 1) long each: `[from, until)` cut from its beginning.
pub fn windows(from: Day, until: Day, days: u32) -> Vec<(Day, Day)> {
    let length = u64::from(days.max(1));
    let starts = std::iter::successors(Some(from), |start| Some(start.plus(length)));
    starts.take_while(|start| *start < until).map(|start| (start, start.plus(length).min(until))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn cost(id: &str, start: &str, end: &str, amount: &str) -> String {
        format!(
            r#"{{"id": "{id}", "start_date": "{start}", "end_date": "{end}", "product": "KAFKA", "line_type": "T",
            "price": 2, "quantity": 1.5, "original_amount": 9, "amount": {amount}, "resource": {{"id": "lkc-1"}}}}"#
        )
    }

    fn answer(from: &str, until: &str, rows: &[String]) -> Costs {
        Costs { from: day(from), until: day(until), before: false, source: "GET".into(), rows: rows.to_vec() }
    }

    fn february(answers: &[Costs]) -> Bill {
        bill(day("2026-02-01"), day("2026-03-01"), answers, &Granularities::default())
    }

    fn amounts(bill: &Bill) -> Vec<String> {
        let lines = bill.days.iter().flat_map(|(day, booked)| booked.lines.iter().map(move |line| (day, line)));
        lines.map(|(day, line)| format!("{day} {}", line.amount)).collect()
    }

    #[test]
    fn price_tiers_are_added_up_in_any_order() {
        let rows = [cost("1", "2026-02-03", "2026-02-04", "5.52"), cost("2", "2026-02-03", "2026-02-04", "2.484")];
        let reversed = [rows[1].clone(), rows[0].clone()];
        let lines =
            |rows| february(&[answer("2026-02-01", "2026-03-01", rows)]).days.remove(&day("2026-02-03")).unwrap();
        let booked = lines(&rows);
        let [line] = booked.lines.as_slice() else { panic!("{booked:?}") };
        assert_eq!((line.amount.to_string(), line.quantity.to_string()), ("8.004".into(), "3".into()));
        assert_eq!((line.unit_price, line.original_amount), (Amount::ZERO, Some(Amount::whole(18))));
        assert_eq!(line.evidence, rows);
        assert_eq!(lines(&reversed).lines, booked.lines);
    }

    #[test]
    fn one_row_on_two_pages_counts_once() {
        let row = cost("1", "2026-02-03", "2026-02-04", "5");
        let tier = cost("1", "2026-02-03", "2026-02-04", "7");
        let nameless = row.replace("\"id\": \"1\", ", "");
        let rows = [row.clone(), tier, row, nameless.clone(), nameless];
        assert_eq!(amounts(&february(&[answer("2026-02-01", "2026-03-01", &rows)])), ["2026-02-03 22"]);
    }

    #[test]
    fn currencies_are_not_added_up() {
        let euros = cost("2", "2026-02-03", "2026-02-04", "7, \"currency\": \"EUR\"");
        let rows = [cost("1", "2026-02-03", "2026-02-04", "5"), euros];
        let bill = february(&[answer("2026-02-01", "2026-03-01", &rows)]);
        let currencies: Vec<_> =
            bill.days[&day("2026-02-03")].lines.iter().map(|line| line.currency.as_str()).collect();
        assert_eq!(currencies, ["EUR", "USD"]);
    }

    #[test]
    fn long_charges_are_cut_to_the_period() {
        let rows = [cost("1", "2026-02-27", "2026-03-03", "8")];
        let late = answer("2026-02-16", "2026-03-01", &rows);
        let rows = [cost("2", "2026-01-30", "2026-02-03", "4"), "null".to_owned()];
        let early = Costs { before: true, ..answer("2026-01-01", "2026-02-01", &rows) };
        let bill = february(&[early, late]);
        assert_eq!(amounts(&bill), ["2026-02-01 1", "2026-02-02 1", "2026-02-27 2", "2026-02-28 2"]);
        assert!(bill.undated.is_empty());
        let line = &bill.days[&day("2026-02-28")].lines[0];
        assert_eq!((line.period_start, line.period_end), (line.day.start(), line.day.end()));
    }

    #[test]
    fn bad_rows_are_kept_with_their_bytes() {
        let rows =
            [cost("1", "2026-02-03", "2026-02-04", "null"), "7".to_owned(), cost("2", "2026-03-03", "2026-03-04", "1")];
        let bill = february(&[answer("2026-02-01", "2026-03-01", &rows)]);
        let bad = &bill.days[&day("2026-02-03")].bad[0];
        assert_eq!((bad.bytes.as_slice(), bad.source.as_str()), (rows[0].as_bytes(), "GET"));
        assert_eq!(bad.reason, "amount is missing; it is not booked until the provider corrects it");
        let undated: Vec<_> = bill.undated.iter().map(|bad| bad.bytes.as_slice()).collect();
        assert_eq!(undated, [rows[1].as_bytes(), rows[2].as_bytes()]);
    }

    #[test]
    fn a_line_too_large_to_book_is_set_aside_whole() {
        let rows = ["1", "2"].map(|id| cost(id, "2026-02-03", "2026-02-04", "60000000000000"));
        let booked = &february(&[answer("2026-02-01", "2026-03-01", &rows)]).days[&day("2026-02-03")];
        assert_eq!((booked.lines.len(), booked.bad.len()), (0, 2));
    }

    #[test]
    fn periods_are_cut_into_requests() {
        let cut = |until, days| -> Vec<String> {
            let windows = windows(day("2026-01-01"), day(until), days);
            windows.iter().map(|(from, until)| format!("{from}..{until}")).collect()
        };
        let expected = ["2026-01-01..2026-01-16", "2026-01-16..2026-01-31", "2026-01-31..2026-02-03"];
        assert_eq!(cut("2026-02-03", 15), expected);
        assert_eq!(cut("2026-01-03", 0).len(), 2);
        assert!(cut("2026-01-01", 15).is_empty());
    }
}
