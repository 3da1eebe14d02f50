//! The periods that sums are made over: their names, their days within a range, whether all of those are there. Pure.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::Range;
use crate::domain::Day;
use crate::store::read::Bucket;

/// A period of which not every day is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Incomplete {
    /// As in `items`; null where all days are together.
    bucket: Option<String>,
    /// First day of the bucket, within the range.
    from: NaiveDate,
    /// Last day, excluded, within the range.
    to: NaiveDate,
    /// How many days that is.
    days: u32,
    /// How many of them are gathered, allocated and in the tables.
    complete_days: u32,
}

/// A period within the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Period {
    pub label: Option<String>,
    pub from: Day,
    /// Excluded.
    pub to: Day,
    /// Is every day there?
    pub complete: bool,
}

/// The periods of a range.
#[derive(Debug, Clone)]
pub(crate) struct Periods {
    range: Range,
    bucket: Bucket,
    /// Those that are not complete, by their first day in the calendar; for [`Bucket::None`] by that of the range.
    incomplete: BTreeMap<NaiveDate, Incomplete>,
}

impl Periods {
    /// The periods of `range`, of which the days `there` are there.
    pub fn of(range: Range, bucket: Bucket, there: &[NaiveDate]) -> Self {
        let mut all: BTreeMap<NaiveDate, (u32, u32)> = BTreeMap::new();
        for day in range.from.until(range.to) {
            let key = if bucket == Bucket::None { range.from.date() } else { first(bucket, day.date()) };
            let (days, complete) = all.entry(key).or_default();
            *days += 1;
            *complete += u32::from(there.binary_search(&day.date()).is_ok());
        }
        let mut periods = Self { range, bucket, incomplete: BTreeMap::new() };
        for (start, (days, complete_days)) in all.into_iter().filter(|(_, (days, complete))| complete < days) {
            let Period { label, from, to, .. } = periods.period((bucket != Bucket::None).then_some(start));
            let told = Incomplete { bucket: label, from: from.date(), to: to.date(), days, complete_days };
            periods.incomplete.insert(start, told);
        }
        periods
    }

    /// The period that begins on `start` in the calendar, as far as it is within the range; `None`: all of it.
    pub fn period(&self, start: Option<NaiveDate>) -> Period {
        let Self { range, bucket, .. } = self;
        Period {
            label: start.map(|start| label(*bucket, start)),
            from: start.map_or(range.from, |start| Day::from(start).max(range.from)),
            to: start.map_or(range.to, |start| end(*bucket, start).min(range.to)),
            complete: !self.incomplete.contains_key(&start.unwrap_or(range.from.date())),
        }
    }

    /// Those that are not complete, in order.
    pub fn into_incomplete(self) -> Vec<Incomplete> {
        self.incomplete.into_values().collect()
    }
}

/// The first day of the period that holds `day`.
fn first(bucket: Bucket, day: NaiveDate) -> NaiveDate {
    let of_month = |month: u32| NaiveDate::from_ymd_opt(day.year(), month, 1).expect("a month's first day");
    match bucket {
        Bucket::None | Bucket::Day => day,
        Bucket::Week => day.week(chrono::Weekday::Mon).first_day(),
        Bucket::Month => of_month(day.month()),
        Bucket::Quarter => of_month(day.month0() / 3 * 3 + 1),
        Bucket::Year => of_month(1),
    }
}

fn label(bucket: Bucket, start: NaiveDate) -> String {
    match bucket {
        Bucket::None | Bucket::Day => start.to_string(),
        Bucket::Week => format!("{}-W{:02}", start.iso_week().year(), start.iso_week().week()),
        Bucket::Month => format!("{}-{:02}", start.year(), start.month()),
        Bucket::Quarter => format!("{}-Q{}", start.year(), start.month0() / 3 + 1),
        Bucket::Year => start.year().to_string(),
    }
}

/// The day after the last one of the period that begins on `start`.
fn end(bucket: Bucket, start: NaiveDate) -> Day {
    let months = |n| start.checked_add_months(chrono::Months::new(n)).unwrap_or(NaiveDate::MAX);
    match bucket {
        Bucket::None | Bucket::Day => Day::from(start).plus(1),
        Bucket::Week => Day::from(start).plus(7),
        Bucket::Month => Day::from(months(1)),
        Bucket::Quarter => Day::from(months(3)),
        Bucket::Year => Day::from(months(12)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(bucket: Bucket, from: &str, to: &str, there: &[&str]) -> Periods {
        let range = Range { from: from.parse().unwrap(), to: to.parse().unwrap() };
        let there: Vec<NaiveDate> = there.iter().map(|day| day.parse().unwrap()).collect();
        Periods::of(range, bucket, &there)
    }

    fn told(periods: &Periods) -> Vec<String> {
        let told = |one: &Incomplete| {
            let name = one.bucket.as_deref().unwrap_or("all");
            format!("{name} {} {} {}/{}", one.from, one.to, one.complete_days, one.days)
        };
        periods.incomplete.values().map(told).collect()
    }

    #[test]
    fn buckets_have_the_names_of_the_calendar() {
        let named = |bucket, day: &str| label(bucket, day.parse().unwrap());
        assert_eq!(named(Bucket::Week, "2024-12-30"), "2025-W01");
        assert_eq!(named(Bucket::Month, "2026-02-01"), "2026-02");
        assert_eq!(named(Bucket::Quarter, "2026-10-01"), "2026-Q4");
        assert_eq!(named(Bucket::Year, "2026-01-01"), "2026");
        let ends = |bucket, day: &str| end(bucket, day.parse().unwrap()).to_string();
        assert_eq!(ends(Bucket::Month, "2026-12-01"), "2027-01-01");
        assert_eq!(ends(Bucket::Quarter, "2026-10-01"), "2027-01-01");
        assert_eq!(ends(Bucket::Week, "2024-12-30"), "2025-01-06");
    }

    #[test]
    fn a_period_is_complete_if_all_its_days_within_the_range_are_there() {
        let there = ["2026-01-31", "2026-02-01", "2026-02-02"];
        let months = periods(Bucket::Month, "2026-01-31", "2026-02-04", &there);
        assert_eq!(told(&months), ["2026-02 2026-02-01 2026-02-04 2/3"]);
        let of = |day: &str| months.period(Some(day.parse().unwrap())).complete;
        assert!(of("2026-01-01") && !of("2026-02-01"));
        assert!(told(&periods(Bucket::None, "2026-01-31", "2026-02-03", &there)).is_empty());
        let whole = periods(Bucket::None, "2026-01-30", "2026-02-03", &there);
        assert_eq!(told(&whole), ["all 2026-01-30 2026-02-03 3/4"]);
        assert!(!whole.period(None).complete);
        let days = periods(Bucket::Day, "2026-02-02", "2026-02-05", &there);
        assert_eq!(told(&days), ["2026-02-03 2026-02-03 2026-02-04 0/1", "2026-02-04 2026-02-04 2026-02-05 0/1"]);
    }

    #[test]
    fn every_day_of_a_period_has_the_same_first_day() {
        for bucket in [Bucket::Day, Bucket::Week, Bucket::Month, Bucket::Quarter, Bucket::Year] {
            let day: Day = "2023-12-01".parse().unwrap();
            for day in day.until(day.plus(500)) {
                let start = first(bucket, day.date());
                assert!(start <= day.date() && day < end(bucket, start), "{day} {bucket:?}");
                assert_eq!(first(bucket, start), start);
                assert_eq!(first(bucket, end(bucket, start).date()), end(bucket, start).date(), "{day} {bucket:?}");
            }
        }
    }
}
