//! Which periods are due: days and months of which readers see more than was emitted.
//!
//! In: the days that readers see, what was emitted, the moment. Out: tasks, the oldest first. Absent: IO, clocks.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Emitter;
use crate::domain::{Aggregation, Day, Emission, EmissionOutcome};
use crate::store::read::VisibleDay;

/// The pause before a failed emission is tried again; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(30);
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);
/// How long a month that is over waits for days that are missing in between, after the refresh window has passed it. Days
/// without any cost are never sealed, so they cannot be told from days that are late.
const GRACE_DAYS: u64 = 7;

/// A day or a month that readers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First day, included; what the period is named by.
    pub from: Day,
    /// Last day, excluded.
    pub to: Day,
    /// As in [`Emission::revision`].
    pub revision: u32,
}

impl Period {
    fn of(day: &VisibleDay) -> Self {
        Self { from: day.day, to: day.day.plus(1), revision: day.revision }
    }
}

/// A period to emit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// First day, included; what the period is named by.
    pub from: Day,
    /// Last day, excluded.
    pub to: Day,
    /// As in [`Emission::revision`].
    pub revision: u32,
    /// How often this revision was tried before.
    pub tried: u32,
    /// Was anything ever emitted for the period? Then it is emitted even when nothing is left, to replace that.
    pub replaces: bool,
}

/// What is due now. `known` has what became of each period of the emitter, by its first day.
pub fn due(
    emitter: &Emitter,
    visible: &[VisibleDay],
    known: &BTreeMap<Day, Emission>,
    now: DateTime<Utc>,
) -> Vec<Task> {
    let task = |Period { from, to, revision }: Period| {
        let before = known.get(&from);
        let same = before.filter(|before| before.revision == revision);
        let due = match before {
            // Less than was there: retention or a rebuild has taken days of a month away.
            Some(before) if before.revision > revision => false,
            _ => same.is_none_or(|before| retry_at(before).is_some_and(|at| at <= now)),
        };
        due.then(|| Task {
            from,
            to,
            revision,
            tried: same.map_or(0, |before| before.attempts),
            // A failure says nothing about what stands there from before.
            replaces: before.is_some_and(|before| before.outcome != EmissionOutcome::Skipped),
        })
    };
    periods(emitter, visible, now).into_iter().filter_map(task).collect()
}

/// The periods of an emitter that are there, young enough for it, in order.
pub fn periods(emitter: &Emitter, visible: &[VisibleDay], now: DateTime<Utc>) -> Vec<Period> {
    let mut periods = match emitter.aggregation {
        Aggregation::Rows | Aggregation::Daily => visible.iter().map(Period::of).collect(),
        Aggregation::Monthly => months(visible, emitter.cutoff_days, now),
    };
    if let Some(days) = emitter.lookback_days {
        let oldest = Day::of(now).minus(days.into());
        periods.retain(|period| period.to > oldest);
    }
    periods
}

/// When a failed emission is tried again.
pub fn retry_at(emission: &Emission) -> Option<DateTime<Utc>> {
    let doublings = emission.attempts.saturating_sub(1).min(16);
    let pause = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
    (emission.outcome == EmissionOutcome::Failed).then(|| emission.at + pause)
}

/// The revision of a period: of a day its own, of a month the sum, which rises whenever one of its days is corrected.
pub fn revision(days: &[VisibleDay]) -> u32 {
    days.iter().fold(0, |sum, day| sum.saturating_add(day.revision))
}

/// The months that are there: with every day from the tenant's first one on, or long enough over to wait no more.
fn months(visible: &[VisibleDay], cutoff_days: u32, now: DateTime<Utc>) -> Vec<Period> {
    let Some(first_ever) = visible.iter().map(|day| day.day).min() else { return Vec::new() };
    let mut months: BTreeMap<(Day, Day), Vec<VisibleDay>> = BTreeMap::new();
    for day in visible {
        months.entry(day.day.month()).or_default().push(*day);
    }
    let whole = |(first, next): (Day, Day), days: usize| first.max(first_ever).until(next).count() == days;
    let over = |next: Day| Day::of(now) >= next.plus(u64::from(cutoff_days) + GRACE_DAYS);
    let there = months.into_iter().filter(|(month, days)| whole(*month, days.len()) || over(month.1));
    there.map(|((from, to), days)| Period { from, to, revision: revision(&days) }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::EmittedRows;
    use crate::emit::Sink;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn emitter(aggregation: Aggregation, lookback_days: Option<u32>) -> Emitter {
        Emitter {
            tenant: "t".into(),
            name: "csv".into(),
            dataset: EmittedRows::Chargebacks,
            aggregation,
            lookback_days,
            cutoff_days: 5,
            sink: Sink::Csv { folder: "/x".into(), template: "{date}.csv".into() },
        }
    }

    fn visible(from: &str, to: &str, revision: u32) -> Vec<VisibleDay> {
        day(from).until(day(to)).map(|day| VisibleDay { day, revision, rows: 3 }).collect()
    }

    /// What is known after a task was done.
    fn done(task: &Task, outcome: EmissionOutcome, now: DateTime<Utc>) -> Emission {
        Emission {
            tenant: "t".into(),
            dataset: EmittedRows::Chargebacks,
            emitter: "csv".into(),
            aggregation: Aggregation::Daily,
            day: task.from,
            revision: task.revision,
            outcome,
            attempts: task.tried + 1,
            error: None,
            rows: 3,
            target: None,
            at: now,
        }
    }

    const NOW: &str = "2026-03-06T06:30:00Z";

    #[test]
    fn a_day_is_due_once_for_each_revision() {
        let (of, now) = (emitter(Aggregation::Daily, None), at(NOW));
        let mut known = BTreeMap::new();
        let tasks = due(&of, &visible("2026-02-27", "2026-03-01", 1), &known, now);
        assert_eq!(tasks.iter().map(|task| task.from).collect::<Vec<_>>(), [day("2026-02-27"), day("2026-02-28")]);
        known.extend(tasks.iter().map(|task| (task.from, done(task, EmissionOutcome::Emitted, now))));
        assert_eq!(due(&of, &visible("2026-02-27", "2026-03-01", 1), &known, now), []);
        let corrected = due(&of, &visible("2026-02-27", "2026-02-28", 2), &known, now);
        assert_eq!((corrected.len(), corrected[0].revision, corrected[0].replaces), (1, 2, true));
    }

    #[test]
    fn a_failure_is_tried_again_after_growing_pauses_and_a_new_revision_at_once() {
        let (of, mut now) = (emitter(Aggregation::Rows, None), at(NOW));
        let days = visible("2026-02-28", "2026-03-01", 4);
        let mut known = BTreeMap::new();
        let mut pauses = Vec::new();
        for attempt in 1..=10 {
            let tasks = due(&of, &days, &known, now);
            assert_eq!((tasks.len(), tasks[0].tried), (1, attempt - 1));
            let failed = done(&tasks[0], EmissionOutcome::Failed, now);
            let next = retry_at(&failed).unwrap();
            known.insert(failed.day, failed);
            assert_eq!(due(&of, &days, &known, next - TimeDelta::seconds(1)), []);
            pauses.push((next - now).num_seconds());
            now = next;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        let corrected = due(&of, &visible("2026-02-28", "2026-03-01", 5), &known, now - TimeDelta::hours(1));
        assert_eq!((corrected.len(), corrected[0].tried), (1, 0));
    }

    #[test]
    fn what_was_skipped_leaves_nothing_to_replace() {
        let (of, now) = (emitter(Aggregation::Rows, None), at(NOW));
        let first = due(&of, &visible("2026-02-28", "2026-03-01", 1), &BTreeMap::new(), now).remove(0);
        let known = BTreeMap::from([(first.from, done(&first, EmissionOutcome::Skipped, now))]);
        assert_eq!(due(&of, &visible("2026-02-28", "2026-03-01", 1), &known, now), []);
        assert!(!due(&of, &visible("2026-02-28", "2026-03-01", 2), &known, now)[0].replaces);
    }

    #[test]
    fn a_month_is_due_when_its_days_are_there_and_again_when_one_is_corrected() {
        let (of, now) = (emitter(Aggregation::Monthly, None), at("2026-03-06T00:00:00Z"));
        let none = BTreeMap::new();
        // It begins with the tenant's first day.
        assert_eq!(due(&of, &visible("2026-02-17", "2026-02-28", 1), &none, now), []);
        let mut days = visible("2026-02-17", "2026-03-03", 1);
        let tasks = due(&of, &days, &none, now);
        assert_eq!(tasks.len(), 1, "March is not over");
        assert_eq!((tasks[0].from, tasks[0].to, tasks[0].revision), (day("2026-02-01"), day("2026-03-01"), 12));
        let known = BTreeMap::from([(tasks[0].from, done(&tasks[0], EmissionOutcome::Emitted, now))]);
        assert_eq!(due(&of, &days, &known, now), []);
        days[3].revision = 2;
        assert_eq!(due(&of, &days, &known, now)[0].revision, 13);
    }

    #[test]
    fn a_month_that_loses_days_to_retention_stays_as_it_was_emitted() {
        let (of, now) = (emitter(Aggregation::Monthly, None), at("2026-03-20T00:00:00Z"));
        let whole = due(&of, &visible("2026-02-01", "2026-03-01", 2), &BTreeMap::new(), now).remove(0);
        let known = BTreeMap::from([(whole.from, done(&whole, EmissionOutcome::Emitted, now))]);
        assert_eq!(due(&of, &visible("2026-02-11", "2026-03-01", 2), &known, now), []);
    }

    #[test]
    fn a_month_with_missing_days_waits_and_not_for_ever() {
        let of = emitter(Aggregation::Monthly, None);
        let mut days = visible("2026-01-01", "2026-03-01", 1);
        days.retain(|visible| visible.day != day("2026-02-10"));
        let months = |now: &str| due(&of, &days, &BTreeMap::new(), at(now)).len();
        assert_eq!(months("2026-03-12T23:59:59Z"), 1, "January");
        assert_eq!(months("2026-03-13T00:00:00Z"), 2);
    }

    #[test]
    fn only_young_days_are_looked_at_and_months_with_such_a_day() {
        let days = visible("2026-01-01", "2026-03-01", 1);
        let of = |aggregation, lookback| due(&emitter(aggregation, Some(lookback)), &days, &BTreeMap::new(), at(NOW));
        let daily = of(Aggregation::Daily, 10);
        assert_eq!((daily.len(), daily[0].from), (5, day("2026-02-24")));
        assert_eq!(of(Aggregation::Monthly, 10).len(), 1);
        assert_eq!(of(Aggregation::Monthly, 34).len(), 2, "31 January is 34 days before");
        assert_eq!(of(Aggregation::Monthly, 33).len(), 1);
    }

    proptest! {
        /// Whatever becomes visible in whatever order: what is emitted in the end is what is visible, and nothing is
        /// emitted twice in the same revision.
        #[test]
        fn every_revision_that_stays_is_emitted_exactly_once(
            steps in proptest::collection::vec((0u64..40, any::<bool>()), 1..60),
            monthly in any::<bool>(),
        ) {
            let of = emitter(if monthly { Aggregation::Monthly } else { Aggregation::Daily }, None);
            let (mut seen, mut known, mut emitted) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
            let mut now = at("2026-04-30T00:00:00Z");
            for (offset, fails) in steps {
                let day = day("2026-01-20").plus(offset);
                let revision = seen.get(&day).map_or(1, |seen: &VisibleDay| seen.revision + 1);
                seen.insert(day, VisibleDay { day, revision, rows: 1 });
                let days: Vec<VisibleDay> = seen.values().copied().collect();
                now += TimeDelta::hours(2);
                for task in due(&of, &days, &known, now) {
                    let outcome = if fails { EmissionOutcome::Failed } else { EmissionOutcome::Emitted };
                    prop_assert!(fails || emitted.insert((task.from, task.revision)), "emitted twice");
                    known.insert(task.from, done(&task, outcome, now));
                }
            }
            now += TimeDelta::hours(2);
            let days: Vec<VisibleDay> = seen.values().copied().collect();
            for task in due(&of, &days, &known, now) {
                prop_assert!(emitted.insert((task.from, task.revision)));
                known.insert(task.from, done(&task, EmissionOutcome::Emitted, now));
            }
            prop_assert_eq!(due(&of, &days, &known, now), vec![]);
            let total: u32 = known.values().map(|emission| emission.revision).sum();
            prop_assert_eq!(total, revision(&days));
        }
    }
}
