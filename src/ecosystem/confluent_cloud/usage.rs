//! Which question yields which usage.
//!
//! In: the name of a metric, a resource. Out: a Prometheus expression whose value at a day's end is the
//! usage of that day, and how to read the answer. Data and pure functions.

use std::collections::BTreeMap;

use super::ECOSYSTEM;
use crate::domain::{Day, MetricValue, Subject};
use crate::ecosystem::prometheus::{Sample, escape};

/// A metric that rules may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name in the rules.
    pub name: &'static str,
    /// Name of the exported metric.
    series: &'static str,
    /// Label with the resource's id.
    resource_label: &'static str,
    /// Label with what usage is counted by.
    subject_label: &'static str,
    subject: Subject,
    over: Over,
}

/// How the samples of a day become one number.
#[derive(Debug, Clone, Copy)]
enum Over {
    /// Each sample is what was added since the one before.
    Sum,
    /// Each sample is a level.
    Max,
}

const fn by_principal(name: &'static str, series: &'static str) -> Metric {
    let (resource_label, subject_label) = ("kafka_id", "principal_id");
    Metric { name, series, resource_label, subject_label, subject: Subject::Principal, over: Over::Sum }
}

const fn by_statement(name: &'static str, series: &'static str) -> Metric {
    let (resource_label, subject_label) = ("compute_pool_id", "flink_statement_name");
    Metric { name, series, resource_label, subject_label, subject: Subject::Statement, over: Over::Sum }
}

const fn by_topic(name: &'static str, series: &'static str, over: Over) -> Metric {
    Metric { name, series, resource_label: "kafka_id", subject_label: "topic", subject: Subject::Topic, over }
}

const METRICS: [Metric; 7] = [
    by_principal("bytes_in", "confluent_kafka_server_request_bytes"),
    by_principal("bytes_out", "confluent_kafka_server_response_bytes"),
    by_statement("flink_cfu_primary", "confluent_flink_num_cfu"),
    by_statement("flink_cfu_fallback", "confluent_flink_statement_utilization_cfu_minutes_consumed"),
    by_topic("topic_bytes_in", "confluent_kafka_server_received_bytes", Over::Sum),
    by_topic("topic_bytes_out", "confluent_kafka_server_sent_bytes", Over::Sum),
    by_topic("topic_retained_bytes", "confluent_kafka_server_retained_bytes", Over::Max),
];

/// The metric of that name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

impl Metric {
    /// The question for a resource's usage over the 24 hours before the moment it is asked for. `renamed` has
    /// the exported names of metrics where they are not the usual ones.
    pub fn expression(&self, resource: &str, renamed: &BTreeMap<String, String>) -> String {
        let Self { resource_label, subject_label, .. } = self;
        let series = renamed.get(self.name).map_or(self.series, String::as_str);
        let over = match self.over {
            Over::Sum => "sum_over_time",
            Over::Max => "max_over_time",
        };
        let id = escape(resource);
        format!("sum by ({resource_label}, {subject_label}) ({over}({series}{{{resource_label}=\"{id}\"}}[1d]))")
    }

    /// Usage by subject; series that name none are left out, several of one subject are added up.
    pub fn values(&self, resource: &str, day: Day, samples: Vec<Sample>) -> Vec<MetricValue> {
        let mut by_subject: BTreeMap<String, f64> = BTreeMap::new();
        for Sample { mut labels, value } in samples {
            if let Some(subject) = labels.remove(self.subject_label).filter(|subject| !subject.is_empty()) {
                *by_subject.entry(subject).or_default() += value;
            }
        }
        let value = |(subject, value)| MetricValue {
            tenant: String::new(),
            day,
            revision: 0,
            ordinal: 0,
            count: 0,
            ecosystem: ECOSYSTEM.to_owned(),
            resource_id: resource.to_owned(),
            metric: self.name.to_owned(),
            subject_type: self.subject,
            subject,
            value,
        };
        by_subject.into_iter().filter(|(_, value)| value.is_finite()).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_cover_a_whole_day() {
        let none = BTreeMap::new();
        assert_eq!(
            metric("bytes_in").unwrap().expression("lkc-1", &none),
            "sum by (kafka_id, principal_id) (sum_over_time(confluent_kafka_server_request_bytes{kafka_id=\"lkc-1\"}[1d]))"
        );
        let renamed = BTreeMap::from([("topic_retained_bytes".to_owned(), "kept".to_owned())]);
        assert_eq!(
            metric("topic_retained_bytes").unwrap().expression("lkc-\"1", &renamed),
            "sum by (kafka_id, topic) (max_over_time(kept{kafka_id=\"lkc-\\\"1\"}[1d]))"
        );
        assert!(metric("bytes").is_none());
    }

    #[test]
    fn values_are_by_subject_with_zeros_and_without_the_nameless() {
        let sample = |subject: &str, value| Sample {
            labels: BTreeMap::from([("principal_id".to_owned(), subject.to_owned())]),
            value,
        };
        let nameless = Sample { labels: BTreeMap::new(), value: 9.0 };
        let samples = vec![sample("sa-2", 1.5), sample("sa-1", 0.0), sample("sa-2", 2.0), sample("", 3.0), nameless];
        let values = metric("bytes_out").unwrap().values("lkc-1", "2026-02-28".parse().unwrap(), samples);
        let got: Vec<_> = values.iter().map(|v| (v.subject.as_str(), v.value, v.subject_type)).collect();
        assert_eq!(got, [("sa-1", 0.0, Subject::Principal), ("sa-2", 3.5, Subject::Principal)]);
    }
}
