//! How long the period of a charge is, by the name of its granularity.
//!
//! In: names and hours that an operator adds. Out: hours. Absent: whether a charge says its end itself.

use std::collections::BTreeMap;

use chrono::{Datelike, Months};

use super::Day;

/// The known granularities: `hourly`, `daily`, `monthly`, and those of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granularities(BTreeMap<String, u32>);

/// The calendar decides on its length, nobody else.
pub const MONTHLY: &str = "monthly";

impl Granularities {
    /// With names of an operator's own, in lower case, and their lengths in hours, at least 1. They may say anew what
    /// `hourly` and `daily` mean; `monthly` stays what it is.
    pub fn new(own: BTreeMap<String, u32>) -> Self {
        Self(own)
    }

    /// Hours from `start` on, in whatever case the name is written; `None`: nobody knows the name.
    pub fn hours(&self, name: &str, start: Day) -> Option<u32> {
        let name = name.to_lowercase();
        match (name.as_str(), self.0.get(&name)) {
            (MONTHLY, _) => Some(24 * days_of_month(start)),
            (_, Some(hours)) => Some(*hours),
            ("hourly", None) => Some(1),
            ("daily", None) => Some(24),
            _ => None,
        }
    }

    /// Days that the longest of them touches, at least those of the longest month.
    pub fn longest_days(&self) -> u64 {
        let own = self.0.values().max().map_or(0, |hours| u64::from(hours.div_ceil(24)));
        own.max(31)
    }
}

/// Days of the calendar month that a day is in.
fn days_of_month(day: Day) -> u32 {
    let first = day.date().with_day(1);
    let next = first.and_then(|first| first.checked_add_months(Months::new(1)));
    let length = first.zip(next).map_or(31, |(first, next)| (next - first).num_days());
    u32::try_from(length).unwrap_or(31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_lengths() {
        let own = BTreeMap::from([("weekly".to_owned(), 168), ("daily".to_owned(), 12), ("monthly".to_owned(), 1)]);
        let own = Granularities::new(own);
        let hours = |of: &Granularities, name: &str, start: &str| of.hours(name, start.parse().unwrap());
        assert_eq!(hours(&own, "WEEKLY", "2026-02-01"), Some(168));
        assert_eq!(hours(&own, "daily", "2026-02-01"), Some(12));
        let plain = Granularities::default();
        assert_eq!(
            ["hourly", "Daily", "weekly"].map(|name| hours(&plain, name, "2026-02-01")),
            [Some(1), Some(24), None]
        );
        let months = ["2026-02-17", "2028-02-01", "2026-12-31", "2026-04-30"];
        assert_eq!(months.map(|start| hours(&own, "monthly", start).unwrap() / 24), [28, 29, 31, 30]);
        assert_eq!((plain.longest_days(), Granularities::new([("q".into(), 2161)].into()).longest_days()), (31, 91));
    }
}
