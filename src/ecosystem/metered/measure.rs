//! From the values of an expression to the quantity of a day.
//!
//! In: an answer about many moments. Out: quantities, and how much of each day they cover. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::domain::promql::{Fold, Sampling};
use crate::domain::{Amount, Day};
use crate::ecosystem::prometheus::Matrix;

/// Digits after the point of a measured quantity; of GiB, the ninth is a byte.
const DIGITS: usize = 9;
/// Bytes of a GiB. A power of two: dividing a float by it loses nothing.
pub const GIB: f64 = 1_073_741_824.0;

/// A quantity that is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The first that has any value on a day counts for the day; never empty.
    pub expressions: Vec<String>,
    /// When it is asked for.
    pub sampling: Sampling,
    pub fold: Fold,
    /// What one unit is, in units of the expression: [`GIB`] for bytes.
    pub unit: f64,
    /// Does the price hold for a unit over an hour, so that a day has 24 of them?
    pub hourly: bool,
}

/// Values of an expression on one day, series added up, by their moment.
pub type Values = BTreeMap<DateTime<Utc>, f64>;

/// Values of an expression by day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points(BTreeMap<Day, Values>);

/// What is known of a quantity on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub quantity: f64,
    /// Periods with a value, of all the day has.
    pub periods: (usize, usize),
}

impl Points {
    /// Negative values are left out like those that are no numbers: nothing that is billed can be less than nothing.
    pub fn read(matrix: Matrix, sampling: Sampling) -> Self {
        let mut days: BTreeMap<Day, Values> = BTreeMap::new();
        for (at, value) in matrix.series.into_iter().flat_map(|series| series.points).filter(|(_, value)| *value >= 0.0)
        {
            // A period that ends at midnight belongs to the day before.
            let day = Day::of(if sampling.at_ends { at - TimeDelta::seconds(1) } else { at });
            *days.entry(day).or_default().entry(at).or_default() += value;
        }
        // A level stays visible for some minutes: at midnight it may be that of the day before. Alone it says nothing.
        days.retain(|day, values| sampling.at_ends || values.keys().any(|at| *at > day.start()));
        Self(days)
    }

    /// Takes days over that are not known yet.
    pub fn fill(&mut self, others: Self) {
        for (day, points) in others.0 {
            self.0.entry(day).or_insert(points);
        }
    }

    /// The values of a day in the order of time; `None` without any.
    pub fn values(&self, day: Day) -> Option<&Values> {
        self.0.get(&day)
    }

    /// The first day with a value.
    pub fn first_day(&self) -> Option<Day> {
        self.0.first_key_value().map(|(day, _)| *day)
    }
}

impl Measure {
    /// What the values of a day say.
    pub fn reading(&self, points: &Values) -> Reading {
        let values = points.values().copied();
        let quantity = match self.fold {
            Fold::Sum => values.sum(),
            Fold::Mean => values.sum::<f64>() / points.len().max(1) as f64,
            Fold::Maximum => values.fold(0.0, f64::max),
        };
        Reading { quantity, periods: (points.len(), self.sampling.periods()) }
    }

    /// A quantity as a decimal in billed units; `None` if it is too large for one.
    pub fn decimal(&self, quantity: f64) -> Option<Amount> {
        let units = Amount::parse(&format!("{:.DIGITS$}", quantity / self.unit)).ok()?;
        units.times(Amount::whole(if self.hourly { 24 } else { 1 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::prometheus::Series;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_level_at_midnight_alone_is_none_of_the_day() {
        let series = |moments: &[&str]| Series {
            labels: BTreeMap::new(),
            points: moments.iter().map(|moment| (at(moment), 1.0)).collect(),
        };
        let known = |moments: &[&str], sampling| {
            let matrix = Matrix { series: vec![series(moments)], dropped: 0 };
            Points::read(matrix, sampling).values("2026-02-02".parse().unwrap()).map(Values::len)
        };
        assert_eq!(known(&["2026-02-01T23:55:00Z", "2026-02-02T00:00:00Z"], Sampling::FINE), None);
        assert_eq!(known(&["2026-02-02T00:00:00Z", "2026-02-02T00:05:00Z"], Sampling::FINE), Some(2));
        assert_eq!(known(&["2026-02-03T00:00:00Z"], Sampling::DAY), Some(1));
    }

    #[test]
    fn series_are_added_up_and_midnight_belongs_to_the_day_before() {
        let series = |points: &[(&str, f64)]| Series {
            labels: BTreeMap::new(),
            points: points.iter().map(|(moment, value)| (at(moment), *value)).collect(),
        };
        let matrix = Matrix {
            series: vec![
                series(&[("2026-02-01T01:00:00Z", 1.0), ("2026-02-02T00:00:00Z", 2.0), ("2026-02-02T01:00:00Z", 4.0)]),
                series(&[("2026-02-02T00:00:00Z", 8.0), ("2026-02-02T01:00:00Z", -16.0)]),
            ],
            dropped: 0,
        };
        let points = Points::read(matrix, Sampling { step: TimeDelta::hours(1), at_ends: true });
        let first: Vec<f64> = points.values("2026-02-01".parse().unwrap()).unwrap().values().copied().collect();
        assert_eq!(first, [1.0, 10.0]);
        assert_eq!(points.values("2026-02-02".parse().unwrap()).unwrap().len(), 1);
    }

    fn measure(fold: Fold, hourly: bool) -> Measure {
        Measure { expressions: vec![], sampling: Sampling::FINE, fold, unit: GIB, hourly }
    }

    #[test]
    fn quantities_become_decimals_once() {
        let kept = measure(Fold::Mean, true);
        assert_eq!(kept.decimal(268_435_456_000.0).unwrap().to_string(), "6000");
        let network = measure(Fold::Sum, false);
        assert_eq!(network.decimal(1.0e11).unwrap().to_string(), "93.132257462");
        assert_eq!(network.decimal(1.0e30), None);
    }
}
