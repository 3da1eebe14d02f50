//! From sums to what people compare: the largest groups and the rest, the period before, shares.
//!
//! Pure, and exact: every total is the sum of its parts to the last digit, however they are grouped.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;

use crate::domain::Amount;
use crate::store::read::Cell;

/// The values of a group, in the order of `group_by`; `None` inside is a missing value.
type Group = Vec<Option<String>>;

/// A sum, where it belongs, and the same of the period before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// First day of the bucket; `None` where all days are together.
    pub start: Option<NaiveDate>,
    /// `None`: all groups that are not among the largest.
    pub group: Option<Group>,
    pub currency: String,
    pub amount: Amount,
    pub usage_amount: Amount,
    pub rows: u64,
    /// The same group in the period before; only where buckets are not asked for.
    pub previous: Option<Amount>,
}

/// A total of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub amount: Amount,
    pub usage_amount: Amount,
    pub rows: u64,
    pub previous: Option<Amount>,
}

/// Keeps the `top` largest groups and adds up the rest.
///
/// Groups are ranked by the sum of their amounts over all buckets and currencies; equal ones by their values.
pub(crate) fn top(cells: Vec<Cell>, top: Option<usize>) -> Vec<Sum> {
    let kept = top.map(|top| largest(&cells, top));
    let mut sums: BTreeMap<(Option<NaiveDate>, bool, Group, String), Sum> = BTreeMap::new();
    for cell in cells {
        let stays = kept.as_ref().is_none_or(|kept| kept.contains(&cell.values));
        let group = if stays { cell.values } else { Vec::new() };
        let key = (cell.start, !stays, group.clone(), cell.currency.clone());
        let sum = sums.entry(key).or_insert_with(|| Sum {
            start: cell.start,
            group: stays.then_some(group),
            currency: cell.currency,
            amount: Amount::ZERO,
            usage_amount: Amount::ZERO,
            rows: 0,
            previous: None,
        });
        sum.amount += cell.amount;
        sum.usage_amount += cell.usage_amount;
        sum.rows += cell.rows;
    }
    sums.into_values().collect()
}

fn largest(cells: &[Cell], top: usize) -> BTreeSet<Group> {
    let mut totals: HashMap<&Group, Amount> = HashMap::new();
    for cell in cells {
        *totals.entry(&cell.values).or_default() += cell.amount;
    }
    let mut ranked: Vec<(&Group, Amount)> = totals.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    ranked.into_iter().take(top).map(|(group, _)| group.clone()).collect()
}

/// Puts the sums of the period before beside those of this one; a group of the period before that has no sum now gets one of
/// nothing, so that what was saved is seen.
pub(crate) fn compare(mut now: Vec<Sum>, before: Vec<Cell>) -> Vec<Sum> {
    let named: BTreeSet<Group> = now.iter().filter_map(|sum| sum.group.clone()).collect();
    let has_rest = now.iter().any(|sum| sum.group.is_none());
    let mut previous: BTreeMap<(Option<Group>, String), Amount> = BTreeMap::new();
    for cell in before {
        let group = if named.contains(&cell.values) || !has_rest { Some(cell.values) } else { None };
        *previous.entry((group, cell.currency)).or_default() += cell.amount;
    }
    for sum in &mut now {
        sum.previous = Some(previous.remove(&(sum.group.clone(), sum.currency.clone())).unwrap_or_default());
    }
    now.extend(previous.into_iter().map(|((group, currency), amount)| Sum {
        start: None,
        group,
        currency,
        amount: Amount::ZERO,
        usage_amount: Amount::ZERO,
        rows: 0,
        previous: Some(amount),
    }));
    now
}

/// The totals by currency.
pub(crate) fn totals(sums: &[Sum]) -> BTreeMap<String, Total> {
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    for sum in sums {
        let total = totals.entry(sum.currency.clone()).or_default();
        total.amount += sum.amount;
        total.usage_amount += sum.usage_amount;
        total.rows += sum.rows;
        if let Some(previous) = sum.previous {
            *total.previous.get_or_insert_default() += previous;
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

    fn cell(start: Option<&str>, value: &str, amount: &str) -> Cell {
        let amount = amount.parse().unwrap();
        Cell {
            start: start.map(|day| day.parse().unwrap()),
            values: vec![Some(value.to_owned())],
            currency: "USD".to_owned(),
            amount,
            usage_amount: Amount::ZERO,
            rows: 1,
        }
    }

    fn told(sums: &[Sum]) -> Vec<(String, String, Option<String>)> {
        let name = |sum: &Sum| match &sum.group {
            Some(values) => values[0].clone().unwrap_or_default(),
            None => "(other)".to_owned(),
        };
        sums.iter().map(|sum| (name(sum), sum.amount.to_string(), sum.previous.map(|p| p.to_string()))).collect()
    }

    fn row(name: &str, amount: &str, previous: Option<&str>) -> (String, String, Option<String>) {
        (name.to_owned(), amount.to_owned(), previous.map(str::to_owned))
    }

    #[test]
    fn the_rest_is_one_group() {
        let cells = vec![cell(None, "a", "1"), cell(None, "b", "5"), cell(None, "c", "2"), cell(None, "d", "-1")];
        let sums = top(cells.clone(), Some(2));
        assert_eq!(told(&sums), [row("b", "5", None), row("c", "2", None), row("(other)", "0", None)]);
        assert_eq!(told(&top(cells, None)).len(), 4);
    }

    #[test]
    fn the_largest_are_the_largest_over_all_buckets() {
        let (first, second) = (Some("2026-01-01"), Some("2026-02-01"));
        let cells = vec![cell(first, "a", "3"), cell(first, "b", "2"), cell(second, "b", "2"), cell(second, "c", "3")];
        let kept: Vec<_> = top(cells, Some(1)).into_iter().map(|sum| (sum.start.is_some(), sum.group)).collect();
        let b = Some(vec![Some("b".to_owned())]);
        assert_eq!(kept, [(true, b.clone()), (true, None), (true, b), (true, None)]);
    }

    #[test]
    fn what_was_there_before_and_is_gone_is_seen() {
        let now = top(vec![cell(None, "a", "3")], None);
        let sums = compare(now, vec![cell(None, "a", "1"), cell(None, "z", "4")]);
        assert_eq!(told(&sums), [row("a", "3", Some("1")), row("z", "0", Some("4"))]);
        // With a rest, it belongs there.
        let now = top(vec![cell(None, "a", "3"), cell(None, "b", "1")], Some(1));
        let sums = compare(now, vec![cell(None, "b", "2"), cell(None, "z", "4")]);
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
        fn totals_do_not_depend_on_the_grouping(
            amounts in proptest::collection::vec((0..5u8, 0..3u32, -1_000_000_000i64..1_000_000_000), 0..40),
            n in 0..6usize,
        ) {
            let cells: Vec<Cell> = amounts.iter().map(|(value, day, units)| Cell {
                amount: Amount::from_units(i128::from(*units)),
                ..cell(Some(&format!("2026-01-0{}", day + 1)), &value.to_string(), "0")
            }).collect();
            let expected: Amount = cells.iter().map(|cell| cell.amount).sum();
            let total = |sums: &[Sum]| totals(sums).values().map(|total| total.amount).sum::<Amount>();
            prop_assert_eq!(total(&top(cells.clone(), Some(n))), expected);
            prop_assert_eq!(total(&top(cells, None)), expected);
        }
    }
}
