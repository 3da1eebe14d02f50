//! From sums to what people compare: the period before, totals, shares.
//!
//! Pure, and exact: every total is the sum of its parts to the last digit, however they are grouped.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::Amount;
use crate::store::read::Cell;

/// The values of a group, in the order of `group_by`; `None` inside is a missing value.
type Group = Vec<Option<String>>;

/// A sum, and the same of the period before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    pub cell: Cell,
    /// The same group in the period before; only where buckets are not asked for.
    pub previous: Option<Amount>,
}

impl Sum {
    /// A sum that is not compared with another period.
    pub fn alone(cell: Cell) -> Self {
        Self { cell, previous: None }
    }
}

/// A total of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub amount: Amount,
    /// Only of chargebacks.
    pub usage_amount: Option<Amount>,
    pub rows: u64,
    pub previous: Option<Amount>,
}

/// Puts the sums of the period before beside those of this one; a group of the period before that has no sum now gets one of
/// nothing, so that what was saved is seen. Where groups were added up as the rest, it belongs there.
pub(crate) fn compare(now: Vec<Cell>, before: Vec<Cell>) -> Vec<Sum> {
    let named: BTreeSet<Group> = now.iter().filter_map(|cell| cell.group.clone()).collect();
    let has_rest = now.iter().any(|cell| cell.group.is_none());
    let mut previous: BTreeMap<(Option<Group>, String), Amount> = BTreeMap::new();
    for cell in before {
        let group = cell.group.filter(|group| named.contains(group) || !has_rest);
        *previous.entry((group, cell.currency)).or_default() += cell.amount;
    }
    let mut sums: Vec<Sum> = Vec::with_capacity(now.len());
    for cell in now {
        let previous = previous.remove(&(cell.group.clone(), cell.currency.clone())).unwrap_or_default();
        sums.push(Sum { cell, previous: Some(previous) });
    }
    let usage_amount = sums.iter().find_map(|sum| sum.cell.usage_amount).map(|_| Amount::ZERO);
    sums.extend(previous.into_iter().map(|((group, currency), amount)| Sum {
        cell: Cell { start: None, group, currency, amount: Amount::ZERO, usage_amount, rows: 0 },
        previous: Some(amount),
    }));
    sums
}

/// The totals by currency.
pub(crate) fn totals<'a>(sums: impl Iterator<Item = &'a Sum>) -> BTreeMap<String, Total> {
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    for Sum { cell, previous } in sums {
        let total = totals.entry(cell.currency.clone()).or_default();
        total.amount += cell.amount;
        if let Some(used) = cell.usage_amount {
            *total.usage_amount.get_or_insert_default() += used;
        }
        total.rows += cell.rows;
        if let Some(previous) = previous {
            *total.previous.get_or_insert_default() += *previous;
        }
    }
    totals
}

/// A part of a total in percent, for people; `None` of a total of nothing.
pub(crate) fn percent(part: Amount, total: Amount) -> Option<f64> {
    let ratio = part.units() as f64 / total.units() as f64;
    (!total.is_zero()).then_some((ratio * 1e6).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(group: Option<&str>, amount: &str) -> Cell {
        Cell {
            start: None,
            group: group.map(|value| vec![Some(value.to_owned())]),
            currency: "USD".to_owned(),
            amount: amount.parse().unwrap(),
            usage_amount: Some(Amount::ZERO),
            rows: 1,
        }
    }

    fn told(sums: &[Sum]) -> Vec<(String, String, Option<String>)> {
        let name = |sum: &Sum| match &sum.cell.group {
            Some(values) => values[0].clone().unwrap_or_default(),
            None => "(other)".to_owned(),
        };
        sums.iter().map(|sum| (name(sum), sum.cell.amount.to_string(), sum.previous.map(|p| p.to_string()))).collect()
    }

    fn row(name: &str, amount: &str, previous: Option<&str>) -> (String, String, Option<String>) {
        (name.to_owned(), amount.to_owned(), previous.map(str::to_owned))
    }

    #[test]
    fn what_was_there_before_and_is_gone_is_seen() {
        let sums = compare(vec![cell(Some("a"), "3")], vec![cell(Some("a"), "1"), cell(Some("z"), "4")]);
        assert_eq!(told(&sums), [row("a", "3", Some("1")), row("z", "0", Some("4"))]);
        // With a rest, it belongs there.
        let now = vec![cell(Some("a"), "3"), cell(None, "1")];
        let sums = compare(now, vec![cell(Some("b"), "2"), cell(Some("z"), "4")]);
        assert_eq!(told(&sums), [row("a", "3", Some("0")), row("(other)", "1", Some("6"))]);
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!(percent(Amount::whole(1), Amount::whole(8)), Some(12.5));
        assert_eq!(percent(Amount::whole(1), Amount::whole(3)), Some(33.3333));
        assert_eq!(percent(Amount::ZERO, Amount::ZERO), None);
    }

    proptest! {
        #[test]
        fn totals_are_those_of_both_periods(
            amounts in proptest::collection::vec((0..5u8, -1_000_000_000i64..1_000_000_000), 0..40), rest in 0..6u8,
        ) {
            let cells = |with_rest: bool| {
                let of = |(value, units): &(u8, i64)| Cell {
                    amount: Amount::from_units(i128::from(*units)),
                    ..cell((!with_rest || *value < rest).then(|| value.to_string()).as_deref(), "0")
                };
                // One of each group, as Postgres has added them up.
                let mut summed: BTreeMap<Option<Group>, Cell> = BTreeMap::new();
                for next in amounts.iter().map(of) {
                    let sum = summed.entry(next.group.clone()).or_insert_with(|| Cell { amount: Amount::ZERO, ..next.clone() });
                    sum.amount += next.amount;
                }
                summed.into_values().collect::<Vec<_>>()
            };
            let expected: Amount = amounts.iter().map(|(_, units)| Amount::from_units(i128::from(*units))).sum();
            let total = totals(compare(cells(true), cells(false)).iter()).remove("USD").unwrap_or_default();
            prop_assert_eq!((total.amount, total.previous.unwrap_or_default()), (expected, expected));
        }
    }
}
