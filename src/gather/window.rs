//! Which days a cycle looks at.
//!
//! In: the moment, the tenant's day counts, the days held back. Out: days and the periods to ask bills for.
//! Absent: clocks, bills.

use chrono::{DateTime, Utc};

use crate::domain::{Day, Reach, TOPICS_KEEP_DAYS};

/// The whole UTC days of a cycle, `[start, end)`, and how far back a held day stays due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub start: Day,
    /// Excluded: the provider's bill for this day may still change too much.
    pub end: Day,
    /// The first day within retention, never later than `start`.
    pub oldest: Day,
    /// Of days before this one the log has nothing any more.
    pub forgotten: Day,
}

impl Window {
    /// `[now - lookback, now - cutoff)`, both ends cut down to midnight UTC; empty where they meet or cross.
    pub fn at(now: DateTime<Utc>, lookback_days: u32, cutoff_days: u32, retention_days: u32) -> Self {
        let (oldest, end) = Reach { lookback_days, cutoff_days, retention_days }.days(now);
        Self { start: Reach::ago(now, lookback_days), end, oldest, forgotten: oldest.minus(TOPICS_KEEP_DAYS) }
    }

    /// The same for chosen days `[from, to)`, as far as they are within retention and their bill is ready.
    pub fn of_days(self, from: Option<Day>, to: Option<Day>) -> Self {
        let start = from.unwrap_or(self.start).max(self.oldest);
        let end = to.unwrap_or(self.end).min(self.end).max(start);
        Self { start, end, ..self }
    }

    /// Is a day whose bill we once saw, and could not seal, still to be sealed?
    ///
    /// It is due for as long as it is within retention, also when the window has moved past it: nobody else
    /// will ever seal it.
    pub fn keeps_due(&self, held: Day) -> bool {
        held >= self.oldest && held < self.end
    }

    /// The periods `[from, to)` to ask bills for: the window, and what of `held` lies before it. In order,
    /// without overlap, neighbours joined.
    pub fn periods(&self, held: impl IntoIterator<Item = Day>) -> Vec<(Day, Day)> {
        let mut days: Vec<Day> = held.into_iter().filter(|day| self.keeps_due(*day)).collect();
        days.extend(self.start.until(self.end));
        days.sort_unstable();
        days.dedup();
        let mut periods: Vec<(Day, Day)> = Vec::new();
        for day in days {
            match periods.last_mut() {
                Some((_, to)) if *to == day => *to = day.plus(1),
                _ => periods.push((day, day.plus(1))),
            }
        }
        periods
    }
}

/// The periods without the days that are done with.
pub fn without(periods: &[(Day, Day)], done: impl Fn(Day) -> bool) -> Vec<(Day, Day)> {
    let mut left: Vec<(Day, Day)> = Vec::new();
    for day in periods.iter().flat_map(|(from, to)| from.until(*to)).filter(|day| !done(*day)) {
        match left.last_mut() {
            Some((_, to)) if *to == day => *to = day.plus(1),
            _ => left.push((day, day.plus(1))),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn window() -> Window {
        Window::at("2026-03-05T06:30:00Z".parse().unwrap(), 10, 1, 70)
    }

    #[test]
    fn both_ends_are_cut_down_to_midnight() {
        let (start, end, oldest) = (day("2026-02-23"), day("2026-03-04"), day("2025-12-25"));
        assert_eq!(window(), Window { start, end, oldest, forgotten: day("2023-11-26") });
    }

    #[test]
    fn a_cutoff_beyond_the_lookback_leaves_nothing() {
        let window = Window::at("2026-03-05T06:30:00Z".parse().unwrap(), 3, 5, 70);
        assert_eq!(window.periods([]), []);
    }

    #[test]
    fn held_days_stay_due_until_retention_ends() {
        let held = ["2025-12-24", "2026-01-03", "2026-02-21", "2026-02-22", "2026-02-25", "2026-03-04"].map(day);
        let expected = [("2026-01-03", "2026-01-04"), ("2026-02-21", "2026-03-04")];
        assert_eq!(window().periods(held), expected.map(|(from, to)| (day(from), day(to))));
    }

    #[test]
    fn chosen_days_may_lie_before_the_window_but_not_outside_retention_or_before_their_bill_is_ready() {
        let chosen = |from: &str, to: &str| {
            let window = window().of_days(Some(day(from)), Some(day(to)));
            (window.start.to_string(), window.end.to_string())
        };
        assert_eq!(chosen("2026-01-05", "2026-01-07"), ("2026-01-05".into(), "2026-01-07".into()));
        assert_eq!(chosen("2020-01-05", "2027-01-07"), ("2025-12-25".into(), "2026-03-04".into()));
        assert_eq!(chosen("2026-04-01", "2026-04-02"), ("2026-04-01".into(), "2026-04-01".into()));
        assert_eq!(window().of_days(None, None), window());
    }

    #[test]
    fn days_that_are_done_with_are_cut_out() {
        let periods =
            [("2026-01-01", "2026-01-05"), ("2026-01-07", "2026-01-08")].map(|(from, to)| (day(from), day(to)));
        assert_eq!(without(&periods, |_| false), periods);
        let left = without(&periods, |at| at == day("2026-01-02") || at == day("2026-01-07"));
        let expected =
            [("2026-01-01", "2026-01-02"), ("2026-01-03", "2026-01-05")].map(|(from, to)| (day(from), day(to)));
        assert_eq!(left, expected);
    }

    #[test]
    fn absurd_counts_do_not_break_the_calendar() {
        let window = Window::at("2026-03-05T06:30:00Z".parse().unwrap(), u32::MAX, 0, 0);
        assert_eq!(window.start, day("1970-01-01"));
    }
}
