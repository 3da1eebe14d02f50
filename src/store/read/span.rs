//! Which months of a span can be taken as sums, and which days have to be read row by row.

use std::collections::BTreeSet;

use chrono::{Months, NaiveDate};
use sqlx::{FromRow, QueryBuilder};

use super::dataset::Dataset;
use super::{Bucket, Reader, Selection, StoreError};

/// What a span is added up from: every day that readers see is in one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Span {
    /// First days of months.
    pub months: Vec<NaiveDate>,
    pub days: Vec<NaiveDate>,
}

/// A month that was added up, and of which slices.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
struct Summed {
    month: NaiveDate,
    days: Vec<NaiveDate>,
    revisions: Vec<i32>,
}

impl Reader {
    /// Where to take the chosen chargebacks from. `None`: row by row, because periods are shorter than months, or no month
    /// of the span is added up.
    pub(super) async fn span(&mut self, of: &Selection, bucket: Bucket) -> Result<Option<Span>, StoreError> {
        if matches!(bucket, Bucket::Day | Bucket::Week) {
            return Ok(None);
        }
        let mut query = QueryBuilder::new(
            "SELECT month, days, revisions FROM chargeback_months
             WHERE tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ",
        );
        query.push_bind(of.tenant.clone()).push(") AND month >= ").push_bind(of.from.date());
        query.push(" AND (month + interval '1 month')::date <= ").push_bind(of.to.date()).push(" ORDER BY month");
        let summed: Vec<Summed> = self.all(query).await?;
        if summed.is_empty() {
            return Ok(None);
        }
        let seen = self.available(Dataset::Chargebacks, &of.tenant, of.from, of.to).await?;
        let seen: BTreeSet<(NaiveDate, i32)> = seen.into_iter().map(|day| (day.day, day.revision)).collect();
        Ok(span(&seen, &summed))
    }
}

/// A month counts if all that is in its sums is what readers see; days that came to it since are read beside it.
fn span(seen: &BTreeSet<(NaiveDate, i32)>, summed: &[Summed]) -> Option<Span> {
    let mut left = seen.clone();
    let mut months = Vec::new();
    for month in summed {
        let slices = || month.days.iter().copied().zip(month.revisions.iter().copied());
        let end = month.month.checked_add_months(Months::new(1));
        let within = slices().all(|(day, _)| month.month <= day && end.is_some_and(|end| day < end));
        if within && slices().all(|slice| left.contains(&slice)) {
            for slice in slices() {
                left.remove(&slice);
            }
            months.push(month.month);
        }
    }
    let days = left.into_iter().map(|(day, _)| day).collect();
    (!months.is_empty()).then_some(Span { months, days })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn summed(month: &str, slices: &[(&str, i32)]) -> Summed {
        let (days, revisions) = slices.iter().map(|(date, revision)| (day(date), revision)).unzip();
        Summed { month: day(month), days, revisions }
    }

    fn told(seen: &[(&str, i32)], summed: &[Summed]) -> Option<(Vec<String>, Vec<String>)> {
        let seen = seen.iter().map(|(date, revision)| (day(date), *revision)).collect();
        let texts = |dates: Vec<NaiveDate>| dates.iter().map(NaiveDate::to_string).collect();
        span(&seen, summed).map(|span| (texts(span.months), texts(span.days)))
    }

    const SEEN: [(&str, i32); 4] = [("2026-01-30", 1), ("2026-02-01", 2), ("2026-02-02", 1), ("2026-03-01", 1)];

    fn some(months: &[&str], days: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Some((texts(months), texts(days)))
    }

    #[test]
    fn a_month_that_is_what_readers_see_stands_for_its_days() {
        let february = summed("2026-02-01", &[("2026-02-01", 2), ("2026-02-02", 1)]);
        assert_eq!(told(&SEEN, &[february]), some(&["2026-02-01"], &["2026-01-30", "2026-03-01"]));
    }

    #[test]
    fn a_day_that_came_later_is_read_beside_its_month() {
        let february = summed("2026-02-01", &[("2026-02-01", 2)]);
        assert_eq!(told(&SEEN, &[february]), some(&["2026-02-01"], &["2026-01-30", "2026-02-02", "2026-03-01"]));
    }

    #[test]
    fn a_month_with_a_day_that_was_corrected_or_is_gone_does_not_count() {
        let corrected = summed("2026-02-01", &[("2026-02-01", 1), ("2026-02-02", 1)]);
        let gone = summed("2026-02-01", &[("2026-02-01", 2), ("2026-02-03", 1)]);
        assert_eq!(told(&SEEN, &[corrected]), None);
        assert_eq!(told(&SEEN, &[gone]), None);
    }
}
