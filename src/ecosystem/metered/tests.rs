//! Bills from made-up answers.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::measure::{Fold, GIB, Measure, Points, Sampling};
use super::tariff::{Cost, Once, Presence, Quantity, Tariff, bill};
use crate::domain::{Amount, Day};
use crate::ecosystem::prometheus::{Matrix, Series};
use crate::ecosystem::{Bill, Gap};

const FINE: TimeDelta = TimeDelta::minutes(5);

fn ends(step: TimeDelta) -> Sampling {
    Sampling { step, at_ends: true }
}

fn day(n: u64) -> Day {
    "2026-02-01".parse::<Day>().unwrap().plus(n)
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn measured(fold: Fold, step: TimeDelta, hourly: bool) -> Quantity {
    Quantity::Measured(Measure { expressions: vec!["x".into()], sampling: ends(step), fold, unit: GIB, hourly })
}

fn tariff(step: TimeDelta, rates: [Amount; 3]) -> Tariff {
    let cost = |name: &str, unit_price, quantity| Cost {
        product_type: name.into(),
        category: "c".into(),
        unit_price,
        quantity,
    };
    Tariff {
        ecosystem: "e",
        resource_id: "r".into(),
        resource_name: "r".into(),
        currency: "USD".into(),
        costs: vec![
            cost("FIXED", rates[0], Quantity::Fixed { per_hour: Amount::whole(3) }),
            cost("KEPT", rates[1], measured(Fold::Mean, step, true)),
            cost("MOVED", rates[2], measured(Fold::Sum, step, false)),
        ],
        minimum_coverage: 0.9,
        wait_days: 3,
        presence: None,
        once: None,
    }
}

/// The values of days, from a function of the day and of the minute at which a period ends.
fn points(days: &[u64], step: TimeDelta, value: impl Fn(u64, i64) -> f64) -> Points {
    let minutes = step.num_minutes();
    let at = |n: u64, minute: i64| day(n).start() + TimeDelta::minutes(minute);
    let all = days.iter().flat_map(|n| (1..=1440 / minutes).map(move |i| (*n, i * minutes)));
    let points = all.map(|(n, minute)| (at(n, minute), value(n, minute))).collect();
    Points::read(Matrix { series: vec![Series { labels: BTreeMap::new(), points }], dropped: 0 }, ends(FINE))
}

fn late() -> DateTime<Utc> {
    day(30).start()
}

fn billed(tariff: &Tariff, now: DateTime<Utc>, kept: &Points, moved: &Points) -> Bill {
    let none = Points::default();
    bill(tariff, (day(0), day(3)), now, &[none.clone(), kept.clone(), moved.clone()], &none, &none)
}

fn gap(bill: &Bill, n: u64) -> Option<&Gap> {
    bill.days[&day(n)].gap.as_ref()
}

fn cents() -> [Amount; 3] {
    ["0.5", "0.0001", "0.05"].map(amount)
}

#[test]
fn a_whole_day_has_a_line_for_each_cost_with_its_evidence() {
    let hour = TimeDelta::hours(1);
    let kept = points(&[0, 1, 2], hour, |_, _| 10.0 * GIB);
    let moved = points(&[0, 1, 2], hour, |_, _| GIB);
    let bill = billed(&tariff(hour, cents()), late(), &kept, &moved);
    let lines = &bill.days[&day(1)].lines;
    let told: Vec<_> = lines.iter().map(|l| format!("{} {} {}", l.product_type, l.quantity, l.amount)).collect();
    assert_eq!(told, ["FIXED 72 36", "KEPT 240 0.024", "MOVED 24 1.2"]);
    assert_eq!((gap(&bill, 1), lines[2].currency.as_str(), lines[2].period_end), (None, "USD", day(1).end()));
    let evidence: serde_json::Value = serde_json::from_str(&lines[2].evidence[0]).unwrap();
    assert_eq!(
        (&evidence["periods"], &evidence["of"], &evidence["unit_price"]),
        (&24.into(), &24.into(), &"0.05".into())
    );
}

#[test]
fn a_hole_waits_then_is_billed_and_told_and_nothing_at_all_is_never_billed() {
    let hour = TimeDelta::hours(1);
    let in_part = |n: u64, minute: i64| if n == 1 && minute > 600 { f64::NAN } else { 1.0 };
    // What the client leaves out is not there.
    let cut = |points: Points| {
        let kept = (0..3).filter_map(|n| Some((n, points.values(day(n))?.clone())));
        let series = kept.flat_map(|(_, values)| values).filter(|(_, value)| value.is_finite()).collect();
        Points::read(
            Matrix { series: vec![Series { labels: BTreeMap::new(), points: series }], dropped: 0 },
            ends(FINE),
        )
    };
    let known = cut(points(&[0, 1], hour, in_part));
    let soon = billed(&tariff(hour, cents()), day(3).start(), &known, &known);
    assert_eq!((gap(&soon, 0), soon.days[&day(1)].lines.len()), (None, 0));
    let Some(Gap::Open(why)) = gap(&soon, 1) else { panic!("it waits") };
    assert!(why.starts_with("only 42 % of the day is measured for KEPT, 90 % are wanted"), "{why}");
    let later = billed(&tariff(hour, cents()), late(), &known, &known);
    assert!(matches!(gap(&later, 1), Some(Gap::Final(_))));
    assert_eq!(later.days[&day(1)].lines.len(), 3);
    let Some(Gap::Open(why)) = gap(&later, 2) else { panic!("it is never billed") };
    assert!(why.contains("no sample of any cost"), "{why}");
}

#[test]
fn days_before_the_first_sample_are_told_apart_from_holes() {
    let known = points(&[1], FINE, |_, _| 1.0);
    let bill = billed(&tariff(FINE, cents()), late(), &known, &known);
    assert_eq!(gap(&bill, 0), Some(&Gap::Before));
    assert!(matches!(gap(&bill, 2), Some(Gap::Open(_))));
    let nothing = billed(&tariff(FINE, cents()), late(), &Points::default(), &Points::default());
    assert!(matches!(gap(&nothing, 0), Some(Gap::Open(_))), "a wrong name is told, not taken for a beginning");
}

#[test]
fn a_broker_that_nobody_measured_and_one_measured_twice_are_gaps() {
    let known = points(&[0, 1, 2], FINE, |_, _| 1.0);
    let presence = Presence { expression: "p".into(), full: 3, what: "brokers".into() };
    let once = Once { expression: "o".into(), why: "twice".into() };
    let tariff = Tariff { presence: Some(presence), once: Some(once), ..tariff(FINE, cents()) };
    let seen = points(&[0, 1, 2], FINE, |n, _| if n == 1 { 2.0 } else { 3.0 });
    let counted = points(&[0, 1, 2], TimeDelta::hours(1), |n, _| if n == 2 { 2.0 } else { 1.0 });
    let measured = [Points::default(), known.clone(), known];
    let bill = bill(&tariff, (day(0), day(3)), late(), &measured, &seen, &counted);
    assert_eq!(gap(&bill, 0), None);
    let Some(Gap::Final(why)) = gap(&bill, 1) else { panic!("a broker is missing") };
    assert_eq!(why, "at most 2 of 3 brokers were measured, 67 % of what the day should have");
    assert_eq!(gap(&bill, 2), Some(&Gap::Open("twice".into())));
}

#[test]
fn what_does_not_fit_is_set_aside_and_the_rest_is_billed() {
    let known = points(&[0, 1, 2], FINE, |_, _| 1e30);
    let bill = billed(&tariff(FINE, cents()), late(), &known, &known);
    let booked = &bill.days[&day(0)];
    assert_eq!((booked.lines.len(), booked.bad.len()), (1, 2));
    assert!(booked.bad[0].reason.contains("more than 14 digits"));
}

proptest! {
    /// Whatever the rates and the series: no line is negative, each is quantity times price, and none depends on how
    /// often was asked, up to the last digit of a float sum.
    #[test]
    fn lines_are_never_negative_and_do_not_depend_on_the_step(
        rates in proptest::array::uniform3(0u64..10_u64.pow(15)),
        hours in proptest::collection::vec(0.0f64..1e15, 24),
    ) {
        let rates = rates.map(|units| Amount::from_units(i128::from(units)));
        let of = |step: TimeDelta| {
            let hour = |minute: i64| hours[((minute - 1) / 60) as usize];
            let kept = points(&[0, 1, 2], step, |_, minute| hour(minute));
            let part = step.num_minutes() as f64 / 60.0;
            let moved = points(&[0, 1, 2], step, |_, minute| hour(minute) * part);
            billed(&tariff(step, rates), late(), &kept, &moved)
        };
        let hourly = of(TimeDelta::hours(1));
        for finer in [FINE, TimeDelta::minutes(15), TimeDelta::minutes(30)] {
            for (a, b) in hourly.days[&day(1)].lines.iter().zip(&of(finer).days[&day(1)].lines) {
                prop_assert!(a.amount >= Amount::ZERO);
                prop_assert_eq!(a.quantity.times(a.unit_price), Some(a.amount));
                let (a, b) = (a.quantity.units() as f64, b.quantity.units() as f64);
                // Nine digits after the point, times 24 hours.
                prop_assert!((a - b).abs() <= a * 1e-12 + 24e5, "{} and {}", a, b);
            }
        }
    }

    /// The same for a cost of one unit: any series, any fold.
    #[test]
    fn any_series_gives_a_quantity_that_is_not_negative(values in proptest::collection::vec(-1e12f64..1e12, 24)) {
        for fold in [Fold::Sum, Fold::Mean, Fold::Maximum] {
            let points = points(&[0], TimeDelta::hours(1), |_, minute| values[(minute / 60 - 1) as usize]);
            let measure = Measure { expressions: vec![], sampling: ends(TimeDelta::hours(1)), fold, unit: 1.0, hourly: false };
            let none = BTreeMap::new();
            let reading = measure.reading(points.values(day(0)).unwrap_or(&none));
            prop_assert!(measure.decimal(reading.quantity).unwrap() >= Amount::ZERO);
            prop_assert!(reading.periods.0 <= reading.periods.1);
        }
    }
}
