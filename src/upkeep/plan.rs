//! Decides what is too old.
//!
//! In: months there are partitions of, who has which days in them, from which day on each tenant's days are kept. Out:
//! steps. Absent: clocks, tables.
//!
//! A month whose days are all too old, for every tenant in it, goes as a whole, which costs nothing. In the other months
//! the days of those tenants go that keep theirs for a shorter time. A tenant that nobody says anything about keeps
//! everything: its configuration may be in another process.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::{Day, TOPICS_KEEP_DAYS, TenantDay};
use crate::store::{Holding, Projection};

/// How long a tenant's days are kept, each 1 or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    pub tenant: String,
    pub days: u32,
    /// The same for the rows of topics.
    pub topic_days: u32,
}

/// For each tenant the first day that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keep(BTreeMap<String, First>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct First {
    day: Day,
    /// The same for the rows of topics.
    of_topics: Day,
}

impl Keep {
    /// Today is kept, and as many days before it as each tenant says.
    pub fn new(periods: impl IntoIterator<Item = Period>, today: Day) -> Self {
        let before = |days: u32| today.minus(u64::from(days));
        let first = |of: &Period| First { day: before(of.days), of_topics: before(of.topic_days) };
        Self(periods.into_iter().map(|of| (of.tenant.clone(), first(&of))).collect())
    }

    /// Is anything known of this tenant? Of one that is not known all days are kept.
    pub fn knows(&self, tenant: &str) -> bool {
        self.0.contains_key(tenant)
    }

    /// Is this day too old for every table?
    pub fn expires(&self, key: &TenantDay) -> bool {
        self.0.get(&key.tenant).is_some_and(|first| key.day < first.day.min(first.of_topics))
    }

    /// Has the log nothing more of this day, so that not even a rebuild brings it back?
    pub fn is_gone(&self, key: &TenantDay) -> bool {
        let first = self.0.get(&key.tenant).map(|first| first.day.min(first.of_topics));
        first.is_some_and(|first| key.day < first.minus(TOPICS_KEEP_DAYS))
    }

    /// The first day of a tenant that a projection keeps.
    fn first(&self, projection: Projection, tenant: &str) -> Option<Day> {
        self.0.get(tenant).map(|first| first.in_tables_of(projection))
    }

    /// The first day that anybody keeps; `None` if nobody is known.
    fn first_of_all(&self, projection: Projection) -> Option<Day> {
        self.0.values().map(|first| first.in_tables_of(projection)).min()
    }
}

impl First {
    fn in_tables_of(self, projection: Projection) -> Day {
        if projection == Projection::TopicAttributions { self.of_topics } else { self.day }
    }
}

/// One thing to do in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The partition of the month that begins at this day.
    DropMonth { projection: Projection, month: Day },
    /// A tenant's days `[from, before)`.
    DeleteDays { projection: Projection, key: i32, tenant: String, from: Day, before: Day },
}

impl Step {
    /// Where it takes place.
    pub fn projection(&self) -> Projection {
        match self {
            Self::DropMonth { projection, .. } | Self::DeleteDays { projection, .. } => *projection,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DropMonth { projection, month } => {
                write!(f, "{}: drop the partition of {}", projection.name(), month.date().format("%Y-%m"))
            }
            Self::DeleteDays { projection, tenant, from, before, .. } => {
                write!(f, "{}: delete days of {tenant} from {from} to {}", projection.name(), before.minus(1))
            }
        }
    }
}

/// What is to go, in the order of projections and months.
pub fn plan(months: &[(Projection, Day)], holdings: &[Holding], keep: &Keep) -> Vec<Step> {
    let old =
        |holding: &Holding| keep.first(holding.projection, &holding.tenant).filter(|first| holding.first < *first);
    let wholly_old = |holding: &Holding| old(holding).is_some_and(|first| holding.last < first);
    let of_month = |projection: Projection, month: Day| {
        holdings.iter().filter(move |holding| holding.projection == projection && holding.month == month)
    };
    let dropped = |projection: Projection, month: Day| {
        months.contains(&(projection, month))
            && of_month(projection, month).all(wholly_old)
            // One without any rows was made for rows that are on their way, unless it is from long ago.
            && (of_month(projection, month).next().is_some()
                || keep.first_of_all(projection).is_some_and(|first| month.month().1 <= first))
    };
    let months = months.iter().filter(|(projection, month)| dropped(*projection, *month));
    let drops = months.map(|(projection, month)| Step::DropMonth { projection: *projection, month: *month });
    let deletes = holdings.iter().filter(|holding| !dropped(holding.projection, holding.month));
    let deletes = deletes.filter_map(|holding| {
        let before = old(holding)?.min(holding.last.plus(1));
        let Holding { projection, key, tenant, first, .. } = holding.clone();
        Some(Step::DeleteDays { projection, key, tenant, from: first, before })
    });
    drops.chain(deletes).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn holding(tenant: &str, first: &str, last: &str) -> Holding {
        let month = format!("{}-01", &first[..7]);
        Holding {
            projection: Projection::Billing,
            key: i32::from(tenant.as_bytes()[0]),
            tenant: tenant.to_owned(),
            month: day(&month),
            first: day(first),
            last: day(last),
        }
    }

    fn keeping(day: Day) -> First {
        First { day, of_topics: day }
    }

    fn told(months: &[&str], holdings: &[Holding], keep: &[(&str, &str)]) -> Vec<String> {
        let months: Vec<_> = months.iter().map(|month| (Projection::Billing, day(month))).collect();
        let keep = Keep(keep.iter().map(|(tenant, first)| ((*tenant).to_owned(), keeping(day(first)))).collect());
        plan(&months, holdings, &keep).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn today_and_as_many_days_before_it_are_kept() {
        let period = Period { tenant: "t".to_owned(), days: 2, topic_days: 2 };
        let keep = Keep::new([period], day("2026-03-05"));
        assert!(keep.expires(&TenantDay::new("t", day("2026-03-02"))));
        assert!(!keep.expires(&TenantDay::new("t", day("2026-03-03"))));
        assert!(!keep.expires(&TenantDay::new("other", day("1999-01-01"))));
    }

    #[test]
    fn the_log_has_a_day_for_longer_than_the_tables() {
        let period = Period { tenant: "t".to_owned(), days: 250, topic_days: 90 };
        let keep = Keep::new([period], day("2026-03-05"));
        let last = day("2026-03-05").minus(250 + TOPICS_KEEP_DAYS);
        assert!(keep.is_gone(&TenantDay::new("t", last.minus(1))) && !keep.is_gone(&TenantDay::new("t", last)));
        assert!(!keep.is_gone(&TenantDay::new("other", day("1999-01-01"))));
    }

    #[test]
    fn rows_of_topics_have_an_age_of_their_own() {
        let of = |projection| Holding { projection, ..holding("a", "2026-01-03", "2026-01-31") };
        let held = [of(Projection::Chargebacks), of(Projection::TopicAttributions)];
        let months = held.each_ref().map(|of| (of.projection, of.month));
        let told = |days, topic_days| {
            let period = Period { tenant: "a".to_owned(), days, topic_days };
            let keep = Keep::new([period], day("2026-02-10"));
            let steps: Vec<_> = plan(&months, &held, &keep).iter().map(ToString::to_string).collect();
            (steps, keep.expires(&TenantDay::new("a", day("2026-01-31"))))
        };
        let (steps, expires) = told(250, 9);
        assert_eq!(steps, ["topic-attributions: drop the partition of 2026-01"]);
        assert!(!expires, "chargebacks need the day's outcome still");
        let (steps, expires) = told(9, 250);
        assert_eq!(steps, ["chargebacks: drop the partition of 2026-01"]);
        assert!(!expires, "rows of topics do");
        assert!(told(9, 9).1);
    }

    #[test]
    fn a_month_goes_when_it_is_too_old_for_everybody_in_it() {
        let held = [holding("a", "2026-01-03", "2026-01-31"), holding("b", "2026-01-01", "2026-01-10")];
        let keep = [("a", "2026-02-01"), ("b", "2026-01-11")];
        assert_eq!(told(&["2026-01-01"], &held, &keep), ["billing: drop the partition of 2026-01"]);
    }

    #[test]
    fn where_somebody_keeps_theirs_longer_days_go_one_by_one() {
        let held = [holding("a", "2026-01-03", "2026-01-31"), holding("b", "2026-01-01", "2026-01-10")];
        let keep = [("a", "2026-01-20"), ("b", "2026-02-01")];
        let expected = [
            "billing: delete days of a from 2026-01-03 to 2026-01-19",
            "billing: delete days of b from 2026-01-01 to 2026-01-10",
        ];
        assert_eq!(told(&["2026-01-01"], &held, &keep), expected);
        assert_eq!(told(&["2026-01-01"], &held, &[("a", "2025-12-01"), ("b", "2026-01-01")]), Vec::<String>::new());
    }

    #[test]
    fn whoever_is_not_configured_keeps_everything() {
        let held = [holding("a", "2020-01-03", "2020-01-31"), holding("b", "2020-01-01", "2020-01-10")];
        let expected = ["billing: delete days of a from 2020-01-03 to 2020-01-31"];
        assert_eq!(told(&["2020-01-01"], &held, &[("a", "2026-01-20")]), expected);
        assert_eq!(told(&["2020-01-01"], &held, &[]), Vec::<String>::new());
    }

    #[test]
    fn an_empty_month_goes_once_nobody_could_want_it() {
        let keep = [("a", "2026-02-01"), ("b", "2026-05-01")];
        assert_eq!(told(&["2026-01-01"], &[], &keep), ["billing: drop the partition of 2026-01"]);
        assert_eq!(told(&["2026-02-01"], &[], &keep), Vec::<String>::new());
        assert_eq!(told(&["2026-01-01"], &[], &[]), Vec::<String>::new());
    }

    proptest! {
        /// Whatever is held: exactly the days go that are too old for their tenant.
        #[test]
        fn exactly_what_is_too_old_goes(
            held in prop::collection::btree_map((0..3_usize, 0..4_u64), (0..28_u64, 0..28_u64), 0..10),
            keep in prop::collection::btree_map(0..3_usize, 0..150_u64, 0..4),
        ) {
            let months = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"];
            let name = |i: usize| ["a", "b", "c"][i].to_owned();
            let holdings: Vec<Holding> = held.iter().map(|((tenant, month), (one, two))| {
                let month = day(months[*month as usize]);
                let (first, last) = (month.plus(*one.min(two)), month.plus(*one.max(two)));
                Holding { projection: Projection::Billing, key: *tenant as i32, tenant: name(*tenant), month, first, last }
            }).collect();
            let start = day("2025-12-25");
            let keep = Keep(keep.iter().map(|(tenant, days)| (name(*tenant), keeping(start.plus(*days)))).collect());
            let partitions = months.map(|month| (Projection::Billing, day(month)));
            let steps = plan(&partitions, &holdings, &keep);
            for of in &holdings {
                for day in of.first.until(of.last.plus(1)) {
                    let goes = steps.iter().any(|step| match step {
                        Step::DropMonth { month, .. } => *month == of.month,
                        Step::DeleteDays { key, from, before, .. } => *key == of.key && *from <= day && day < *before,
                    });
                    let expires = keep.expires(&TenantDay::new(of.tenant.clone(), day));
                    prop_assert_eq!(goes, expires, "{} of {}: {:?}", day, of.tenant, steps);
                }
            }
        }
    }
}
