//! Moments at equal distances.
//!
//! In: first, last, step. Out: the same in parts that a server will answer. Absent: what is asked.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Day;
use crate::domain::promql::Sampling;

/// At least one moment, whole seconds, equally far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    first: DateTime<Utc>,
    step: TimeDelta,
    count: usize,
}

impl Times {
    /// The moments at which the periods that fill the days `[from, until)` begin or end. `None` for no day, and for a
    /// step that does not divide one.
    pub fn within(from: Day, until: Day, sampling: Sampling) -> Option<Self> {
        let step = sampling.step;
        let (seconds, step_seconds) = ((until.start() - from.start()).num_seconds(), step.num_seconds());
        let fits = seconds > 0 && step_seconds > 0 && 86_400 % step_seconds == 0;
        let count = usize::try_from(seconds.checked_div(step_seconds)?).ok()?;
        let first = if sampling.at_ends { from.start() + step } else { from.start() };
        fits.then_some(Self { first, step, count })
    }

    pub fn first(&self) -> DateTime<Utc> {
        self.first
    }

    pub fn last(&self) -> DateTime<Utc> {
        self.first + self.step * i32::try_from(self.count - 1).unwrap_or(i32::MAX)
    }

    pub fn step(&self) -> TimeDelta {
        self.step
    }

    /// At most `most` moments (at least 1) each, in order.
    pub fn parts(self, most: usize) -> impl Iterator<Item = Self> {
        let most = most.max(1);
        let starts = (0..self.count).step_by(most);
        starts.map(move |start| self.slice(start, most.min(self.count - start)))
    }

    /// Two halves; `None` for a single moment.
    pub fn halves(self) -> Option<(Self, Self)> {
        let half = self.count / 2;
        (half > 0).then(|| (self.slice(0, half), self.slice(half, self.count - half)))
    }

    fn slice(self, start: usize, count: usize) -> Self {
        let first = self.first + self.step * i32::try_from(start).unwrap_or(i32::MAX);
        Self { first, count, ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn moments(times: Times) -> Vec<DateTime<Utc>> {
        (0..times.count).map(|n| times.first + times.step * n as i32).collect()
    }

    #[test]
    fn periods_fill_days_and_belong_to_one() {
        let within = |until, step, at_ends| Times::within(day("2026-02-01"), day(until), Sampling { step, at_ends });
        let hours = within("2026-02-02", TimeDelta::hours(1), true).unwrap();
        assert_eq!((hours.count, hours.first().to_rfc3339()), (24, "2026-02-01T01:00:00+00:00".into()));
        assert_eq!(hours.last().to_rfc3339(), "2026-02-02T00:00:00+00:00");
        let levels = within("2026-02-02", TimeDelta::hours(1), false).unwrap();
        assert_eq!(
            (levels.count, levels.first(), levels.last().to_rfc3339()),
            (24, day("2026-02-01").start(), "2026-02-01T23:00:00+00:00".into())
        );
        assert_eq!(within("2026-02-01", TimeDelta::hours(1), true), None);
        assert_eq!(within("2026-02-02", TimeDelta::hours(7), true), None);
        assert_eq!(within("2026-02-02", TimeDelta::zero(), true), None);
    }

    proptest! {
        #[test]
        fn parts_and_halves_are_the_whole(days in 1u64..40, most in 1usize..400) {
            let from = day("2026-02-01");
            let whole = Times::within(from, from.plus(days), Sampling::FINE).unwrap();
            let parts: Vec<Times> = whole.parts(most).collect();
            prop_assert!(parts.iter().all(|part| part.count <= most));
            prop_assert_eq!(parts.into_iter().flat_map(moments).collect::<Vec<_>>(), moments(whole));
            let (first, second) = whole.halves().unwrap();
            prop_assert_eq!([moments(first), moments(second)].concat(), moments(whole));
        }
    }
}
