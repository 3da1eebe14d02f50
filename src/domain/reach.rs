//! Which days of a tenant can be gathered at a moment.

use chrono::{DateTime, TimeDelta, Utc};

use super::Day;

/// A tenant's day counts, all back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// A cycle by itself begins so many days ago.
    pub lookback_days: u32,
    /// Bills of the last days may still change too much.
    pub cutoff_days: u32,
    /// What is older is deleted.
    pub retention_days: u32,
}

impl Reach {
    /// The day so many days before a moment.
    pub fn ago(now: DateTime<Utc>, days: u32) -> Day {
        Day::of(now.checked_sub_signed(TimeDelta::days(i64::from(days))).unwrap_or(DateTime::UNIX_EPOCH))
    }

    /// The days that can be gathered, `[from, to)`: within retention, and their bill is ready.
    pub fn days(self, now: DateTime<Utc>) -> (Day, Day) {
        let start = Self::ago(now, self.lookback_days);
        (Self::ago(now, self.retention_days).min(start), Self::ago(now, self.cutoff_days).max(start))
    }

    /// Why none of the days from `from` (included) to `to` (excluded) can be gathered; `None`: some can.
    pub fn misses(self, now: DateTime<Utc>, from: Option<Day>, to: Option<Day>) -> Option<String> {
        let (oldest, end) = self.days(now);
        let why = if to.is_some_and(|to| to <= oldest) {
            format!("days before {oldest} are not kept (retention_days: {})", self.retention_days)
        } else if from.is_some_and(|from| from >= end) {
            format!("the bill of days from {end} on is not ready (cutoff_days: {})", self.cutoff_days)
        } else {
            return None;
        };
        Some(format!("{why}; what can be gathered now are the days from {oldest} to before {end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_are_too_old_or_not_billed_yet_are_told_apart() {
        let reach = Reach { lookback_days: 10, cutoff_days: 1, retention_days: 70 };
        let day = |text: &str| Some(text.parse::<Day>().unwrap());
        let misses =
            |from: Option<Day>, to: Option<Day>| reach.misses("2026-03-05T06:30:00Z".parse().unwrap(), from, to);
        assert_eq!(misses(None, None), None);
        assert_eq!(misses(day("2020-11-01"), day("2025-12-26")), None, "one day is kept");
        assert_eq!(misses(day("2026-03-03"), day("2027-01-01")), None, "one day is billed");
        let old = misses(day("2020-11-01"), day("2025-12-25")).unwrap();
        assert!(old.starts_with("days before 2025-12-25 are not kept (retention_days: 70)"), "{old}");
        let early = misses(day("2026-03-04"), None).unwrap();
        assert!(early.ends_with("the days from 2025-12-25 to before 2026-03-04"), "{early}");
    }
}
