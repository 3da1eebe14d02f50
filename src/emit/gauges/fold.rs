//! Keeps the number of series within a bound: the dearest stay, the others become one.
//!
//! In: points, series by series. Out: series, their sums unchanged. Absent: IO.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::{OTHER, is_kept};
use crate::domain::{Amount, Day};
use crate::store::read::GaugePoint;

/// A series: the values of its labels, and its points in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub values: Vec<String>,
    pub points: Vec<(Day, Amount)>,
}

/// What a series weighs, the values of its labels, its points.
type Weighed = (Amount, Reverse<Vec<String>>, Vec<(Day, Amount)>);

/// Takes points and gives series. Its memory is bounded by `most` series.
#[derive(Debug)]
pub struct Fold<'a> {
    labels: &'a [&'a str],
    most: usize,
    open: Option<Series>,
    /// The cheapest on top; among equals the first by name stays.
    kept: BinaryHeap<Reverse<Weighed>>,
    others: BTreeMap<Vec<String>, BTreeMap<Day, Amount>>,
    folded: usize,
}

impl<'a> Fold<'a> {
    /// At most `most` series, and one for each combination of labels that are kept apart.
    pub fn new(labels: &'a [&'a str], most: u32) -> Self {
        let most = (most as usize).max(1);
        Self { labels, most, open: None, kept: BinaryHeap::new(), others: BTreeMap::new(), folded: 0 }
    }

    /// Takes the next point; those of a series follow each other.
    pub fn push(&mut self, point: GaugePoint) {
        match &mut self.open {
            Some(series) if series.values == point.values => series.points.push((point.day, point.value)),
            _ => {
                self.close();
                self.open = Some(Series { values: point.values, points: vec![(point.day, point.value)] });
            }
        }
    }

    /// The series in the order of their labels, and how many were made one with others.
    pub fn finish(mut self) -> (Vec<Series>, usize) {
        self.close();
        let kept = self.kept.into_iter().map(|Reverse((_, Reverse(values), points))| Series { values, points });
        let others = self.others.into_iter();
        let others = others.map(|(values, points)| Series { values, points: points.into_iter().collect() });
        let mut all: Vec<Series> = kept.chain(others).collect();
        all.sort_unstable();
        (all, self.folded)
    }

    fn close(&mut self) {
        let Some(Series { values, points }) = self.open.take() else { return };
        let weight = points.iter().map(|(_, value)| if *value < Amount::ZERO { -*value } else { *value }).sum();
        self.kept.push(Reverse((weight, Reverse(values), points)));
        if self.kept.len() > self.most
            && let Some(Reverse((_, Reverse(values), points))) = self.kept.pop()
        {
            let other = |(label, value): (&&str, String)| if is_kept(label) { value } else { OTHER.to_owned() };
            let values = self.labels.iter().zip(values).map(other).collect();
            let sums = self.others.entry(values).or_default();
            for (day, value) in points {
                *sums.entry(day).or_default() += value;
            }
            self.folded += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LABELS: [&str; 3] = ["tenant_id", "identity_id", "currency"];

    fn day(n: u64) -> Day {
        "2026-02-01".parse::<Day>().unwrap().plus(n)
    }

    fn point(identity: &str, currency: &str, n: u64, value: i64) -> GaugePoint {
        let values = ["t", identity, currency].map(str::to_owned).to_vec();
        GaugePoint { values, day: day(n), value: Amount::whole(value) }
    }

    fn fold(most: u32, points: Vec<GaugePoint>) -> (Vec<Series>, usize) {
        let mut fold = Fold::new(&LABELS, most);
        points.into_iter().for_each(|point| fold.push(point));
        fold.finish()
    }

    #[test]
    fn the_dearest_stay_and_currencies_are_not_added_up() {
        let points = vec![
            point("a", "USD", 0, 1),
            point("b", "EUR", 0, 2),
            point("b", "USD", 0, 3),
            point("b", "USD", 1, -9),
            point("c", "USD", 0, 5),
            point("d", "USD", 1, 2),
        ];
        let (series, folded) = fold(2, points.clone());
        let shown: Vec<(&str, &str)> = series.iter().map(|s| (s.values[1].as_str(), s.values[2].as_str())).collect();
        assert_eq!(shown, [("__other__", "EUR"), ("__other__", "USD"), ("b", "USD"), ("c", "USD")]);
        assert_eq!(folded, 3);
        assert_eq!(series[1].points, [(day(0), Amount::whole(1)), (day(1), Amount::whole(2))]);
        let (all, none) = fold(10, points);
        assert_eq!((all.len(), none), (5, 0));
    }

    proptest! {
        #[test]
        fn the_sum_of_each_day_stays(values in proptest::collection::vec((0u8..8, 0u64..4, -50i64..50), 0..40), most in 1u32..6) {
            let mut points: Vec<GaugePoint> =
                values.iter().map(|(who, n, value)| point(&format!("sa-{who}"), "USD", *n, *value)).collect();
            points.sort_by(|a, b| (&a.values, a.day).cmp(&(&b.values, b.day)));
            let sums = |points: &mut dyn Iterator<Item = (Day, Amount)>| {
                let mut sums: BTreeMap<Day, Amount> = BTreeMap::new();
                points.for_each(|(day, value)| *sums.entry(day).or_default() += value);
                sums
            };
            let before = sums(&mut points.iter().map(|point| (point.day, point.value)));
            let (series, _) = fold(most, points);
            prop_assert!(series.len() <= most as usize + 1);
            prop_assert_eq!(before, sums(&mut series.iter().flat_map(|series| series.points.iter().copied())));
        }
    }
}
