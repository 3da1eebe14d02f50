//! Answers of a made-up Prometheus: expressions over the organisation's series.
//!
//! In: an [`Expr`], a moment. Out: one number for each group. Absent: the grammar, which is [`promql`](super::promql)'s.
//! An hour's number stands as one sample in the middle of its hour, so no sample lies on the border of a day; as a
//! level it holds for the whole hour.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use super::organisation::{Organisation, Series};
use super::promql::{Expr, Selector};

/// Labels of a group and its number.
pub type Answer<'a> = Vec<(BTreeMap<&'a str, &'a str>, u64)>;

impl Expr {
    /// Its groups at a moment, sorted by labels; a group without any number is absent.
    pub fn at<'a>(&self, org: &'a Organisation, moment: DateTime<Utc>) -> Answer<'a> {
        match self {
            Self::Group(fold, by, of) => {
                let mut groups: BTreeMap<BTreeMap<&str, &str>, Vec<u64>> = BTreeMap::new();
                for (mut labels, value) in of.at(org, moment) {
                    labels.retain(|label, _| by.iter().any(|b| b == label));
                    groups.entry(labels).or_default().push(value);
                }
                let one = |(labels, values): (_, Vec<u64>)| Some((labels, fold.of(values.into_iter())?));
                groups.into_iter().filter_map(one).collect()
            }
            Self::Over(fold, selector, window) => {
                let first = org.first_day.start() + TimeDelta::minutes(30);
                let hours = hours(first, moment - *window, moment);
                each(org, selector, |series| fold.of(series.hours[within(&hours, series)].iter().copied()))
            }
            Self::Level(selector) => {
                let now = hours(org.first_day.start(), moment - TimeDelta::hours(1), moment);
                each(org, selector, |series| series.hours[within(&now, series)].last().copied())
            }
        }
    }
}

/// The series that are meant and have a number.
fn each<'a>(org: &'a Organisation, selector: &Selector, number: impl Fn(&Series) -> Option<u64>) -> Answer<'a> {
    let meant = org.series.iter().filter(|series| selector.fits(series.metric, &series.labels));
    let labels = |series: &'a Series| series.labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
    meant.filter_map(|series| Some((labels(series), number(series)?))).collect()
}

/// Which samples lie in `(from, until]`, if the first is at `first` and they are an hour apart.
fn hours(first: DateTime<Utc>, from: DateTime<Utc>, until: DateTime<Utc>) -> Range<usize> {
    let after = |end: DateTime<Utc>| usize::try_from((end - first).num_seconds().div_euclid(3600) + 1).unwrap_or(0);
    after(from)..after(until)
}

fn within(hours: &Range<usize>, series: &Series) -> Range<usize> {
    let all = series.hours.len();
    hours.start.min(all)..hours.end.min(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::promql::moment;

    const BYTES: &str = "confluent_kafka_server_request_bytes";

    fn org() -> Organisation {
        Organisation::generate(1, "2026-01-10".parse().unwrap(), 3)
    }

    fn total(query: &str, at: &str) -> u64 {
        Expr::parse(query).unwrap().at(&org(), moment(at).unwrap()).iter().map(|(_, v)| v).sum()
    }

    #[test]
    fn a_day_is_exactly_its_24_hours() {
        let org = org();
        let all: u64 = org.series.iter().filter(|s| s.metric == BYTES).flat_map(|s| &s.hours[24..48]).sum();
        let query = format!("sum by (kafka_id, principal_id) (sum_over_time({BYTES}[1d]))");
        assert_eq!(total(&query, "2026-01-12T00:00:00Z"), all);
        assert_eq!(total(&query, "2026-02-12T00:00:00Z"), 0);
    }

    #[test]
    fn groups_by_the_labels_and_keeps_no_others() {
        let org = org();
        let id = &org.series.iter().find(|s| s.metric == BYTES).unwrap().labels["kafka_id"];
        let query = format!("sum by (kafka_id, principal_id)(sum_over_time({BYTES}{{kafka_id=\"{id}\"}}[24h]))");
        let query = Expr::parse(&query).unwrap();
        let answer = query.at(&org, moment("1768089600").unwrap());
        assert!(answer.len() > 1);
        assert!(answer.iter().all(|(labels, _)| labels["kafka_id"] == *id && labels.len() == 2));
    }

    #[test]
    fn a_gauge_is_asked_for_its_maximum() {
        let query = |over| format!("sum by (topic) ({over}(confluent_kafka_server_retained_bytes[1d]))");
        let at = "2026-01-12T00:00:00Z";
        let (most, sum) = (total(&query("max_over_time"), at), total(&query("sum_over_time"), at));
        assert!(0 < most && most * 10 < sum && sum < most * 25);
    }

    #[test]
    fn a_level_holds_for_its_hour_and_ends_with_the_series() {
        let org = org();
        let series = org.series.iter().find(|s| s.metric == "pg_database_size_bytes").unwrap();
        let query = format!("sum({}{{datname=\"{}\"}})", series.metric, series.labels["datname"]);
        let (last, end) = ("2026-01-10T01:59:59Z", org.first_day.start() + TimeDelta::hours(series.hours.len() as i64));
        assert_eq!(total(&query, "2026-01-10T01:00:00Z"), series.hours[1]);
        assert_eq!(total(&query, last), series.hours[1]);
        assert_eq!(Expr::parse(&query).unwrap().at(&org, end), vec![]);
        assert_eq!(total(&query, "2026-01-09T23:59:59Z"), 0);
    }

    #[test]
    fn groups_can_be_counted() {
        let logs = "count by (broker) (kafka_log_log_size)";
        assert_eq!(total(&format!("count({logs})"), "2026-01-11T00:00:00Z"), 3);
        assert_eq!(total("max(count by (broker, topic, partition) (kafka_log_log_size))", "2026-01-11T00:00:00Z"), 1);
    }
}
