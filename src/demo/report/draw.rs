//! Amounts, bars and days as short texts.

use std::collections::BTreeMap;

use crate::domain::{Amount, Day};

/// Two decimals, thousands apart.
pub fn money(amount: Amount) -> String {
    let cents = (amount.units().unsigned_abs() + 500_000_000_000) / 1_000_000_000_000;
    let sign = if amount < Amount::ZERO && cents > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

pub fn grouped(n: impl ToString) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// For pictures and percentages only.
pub fn ratio(part: Amount, whole: Amount) -> f64 {
    if whole.is_zero() { 0.0 } else { part.units() as f64 / whole.units() as f64 }
}

pub fn percent(part: Amount, whole: Amount) -> String {
    format!("{:.1} %", ratio(part, whole) * 100.0)
}

/// Columns of a bar and of the days.
const BAR: usize = 12;
const SPARK: usize = 30;

/// A bar of eighths.
pub fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * BAR as f64 * 8.0).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + rest
}

/// The days as columns, from the lowest day to the highest; level where they differ by less than 2 %. Long
/// periods are put together, days without anything stay empty.
pub fn spark(daily: &BTreeMap<Day, Amount>, (first, last): (Day, Day)) -> String {
    let days: Vec<Day> = first.until(last.plus(1)).collect();
    let of = |days: &[Day]| days.iter().filter_map(|d| daily.get(d)).copied().reduce(|a, b| a + b);
    let columns: Vec<Option<Amount>> = days.chunks(days.len().div_ceil(SPARK).max(1)).map(of).collect();
    let highest = columns.iter().flatten().max().copied().unwrap_or_default();
    let lowest = columns.iter().flatten().min().copied().unwrap_or_default();
    let level = ratio(highest - lowest, highest).abs() < 0.02;
    let height = |amount: &Amount| match level {
        true => 3,
        false => (ratio(*amount - lowest, highest - lowest) * 7.0).round() as usize,
    };
    let draw = |column: &Option<Amount>| column.as_ref().map_or(' ', |c| HEIGHTS[height(c).min(7)]);
    columns.iter().map(draw).collect()
}

const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_only_for_the_eye() {
        let texts = ["0", "1234567.895", "-0.004", "-1000.5", "999.994"];
        let shown = texts.map(|t| money(Amount::parse(t).unwrap()));
        assert_eq!(shown, ["0.00", "1,234,567.90", "0.00", "-1,000.50", "999.99"]);
    }

    #[test]
    fn bars_and_days_are_drawn_in_eighths() {
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(0.5 / BAR as f64), "▌");
        assert_eq!(bar(-1.0), "");
        let first: Day = "2026-01-01".parse().unwrap();
        let days = |amounts: &[(u64, i64)]| {
            let daily = amounts.iter().map(|(n, a)| (first.plus(*n), Amount::whole(*a))).collect();
            spark(&daily, (first, first.plus(2)))
        };
        assert_eq!(days(&[(0, 1000), (1, 500)]), "█▁ ");
        assert_eq!(days(&[(1, 250)]), " ▄ ");
        assert_eq!(days(&[(0, -30), (1, 0), (2, 30)]), "▁▅█");
    }
}
