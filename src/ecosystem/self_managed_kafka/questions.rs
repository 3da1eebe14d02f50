//! Which question measures what.
//!
//! In: names of metrics and labels, a selector. Out: PromQL. Data and pure functions.
//!
//! Brokers publish bytes by topic and, under the same name without a topic, once more for all topics together. The
//! series with a topic count; only where there are none, the others.

use std::collections::BTreeMap;

use crate::domain::Subject;
use crate::ecosystem::metered::measure::{Fold, GIB, Measure, Sampling};
use crate::ecosystem::metered::tariff::{Once, Presence};
use crate::ecosystem::metered::usage::Question;
use crate::ecosystem::prometheus::escape;
use crate::ecosystem::topics;

/// What the cluster's metrics are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Counter of bytes that clients wrote.
    pub bytes_in: String,
    /// Counter of bytes that clients read.
    pub bytes_out: String,
    /// Gauge: bytes of a partition's log on a broker.
    pub log_size: String,
    /// Bytes by principal where `bytes_in` and `bytes_out` do not name them.
    pub by_principal: Option<PrincipalMetrics>,
    pub broker: String,
    pub topic: String,
    pub partition: String,
    pub principal: String,
    /// Labels that all of the cluster's series have, with their values.
    pub selector: BTreeMap<String, String>,
}

/// Metrics of their own for bytes by principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalMetrics {
    pub bytes_in: String,
    pub bytes_out: String,
    /// Are they rates (Kafka's quota metrics), or counters?
    pub rates: bool,
}

impl Names {
    /// A metric of the cluster, with further conditions.
    fn select(&self, metric: &str, further: &[(&str, &str)]) -> String {
        let own = self.selector.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value)));
        let further = further.iter().map(|(label, condition)| format!("{label}{condition}"));
        format!("{metric}{{{}}}", own.chain(further).collect::<Vec<_>>().join(","))
    }

    fn bytes(&self, written: bool) -> &str {
        if written { &self.bytes_in } else { &self.bytes_out }
    }
}

/// Bytes kept, the mean over the day.
pub fn storage(names: &Names) -> Measure {
    let expressions = vec![format!("sum({})", names.select(&names.log_size, &[]))];
    Measure { expressions, sampling: Sampling::FINE, fold: Fold::Mean, unit: GIB, hourly: true }
}

/// Bytes written or read over exactly the day.
pub fn network(names: &Names, written: bool) -> Measure {
    let metric = names.bytes(written);
    let over = |further: &[(&str, &str)]| format!("sum(increase({}[1d]))", names.select(metric, further));
    let expressions = vec![over(&[(&names.topic, "!=\"\"")]), over(&[])];
    Measure { expressions, sampling: Sampling::DAY, fold: Fold::Sum, unit: GIB, hourly: false }
}

/// Brokers that were measured at a moment.
pub fn presence(names: &Names, broker_count: u32) -> Presence {
    let logs = names.select(&names.log_size, &[]);
    let expression = format!("count(count by ({}) ({logs}))", names.broker);
    Presence { expression, full: broker_count, what: format!("brokers (label `{}`)", names.broker) }
}

/// How often the same log is measured on the same broker.
pub fn once(names: &Names) -> Once {
    let Names { broker, topic, partition, log_size, .. } = names;
    let logs = names.select(log_size, &[(broker, "!=\"\""), (partition, "!=\"\"")]);
    Once {
        expression: format!("max(count by ({broker}, {topic}, {partition}) ({logs}))"),
        why: format!(
            "series of `{log_size}` are there twice for the same broker, topic and partition, so everything would be \
             billed twice; are brokers scraped by two jobs or kept by two replicas? tell them apart with \
             `metric_names.selector`"
        ),
    }
}

/// Bytes by principal over exactly the day.
pub fn bytes(names: &Names, written: bool) -> Question {
    let (principal, topic) = (&names.principal, &names.topic);
    let by = |over: &str, metric: &str, further: &[(&str, &str)]| {
        format!("sum by ({principal}) ({over}({}[1d]))", names.select(metric, further))
    };
    let expressions = match &names.by_principal {
        None => {
            let metric = names.bytes(written);
            vec![by("increase", metric, &[(topic, "!=\"\"")]), by("increase", metric, &[])]
        }
        Some(own) => {
            let metric = if written { &own.bytes_in } else { &own.bytes_out };
            // A weight: the sum of equally frequent samples of a rate is in proportion to the bytes.
            vec![by(if own.rates { "sum_over_time" } else { "increase" }, metric, &[])]
        }
    };
    let name = if written { super::rules::BYTES_IN } else { super::rules::BYTES_OUT };
    let label_setting = "metric_names.principal_label".to_owned();
    Question {
        name: name.to_owned(),
        expressions,
        sampling: Sampling::DAY,
        subject: Subject::Principal,
        label: principal.clone(),
        label_setting,
    }
}

/// Bytes by topic over exactly the day: written, read, and kept.
pub fn by_topic(names: &Names) -> [Question; 3] {
    let Names { topic, log_size, .. } = names;
    let question = |name: &str, over: &str, metric: &str| Question {
        name: name.to_owned(),
        expressions: vec![format!("sum by ({topic}) ({over}({}[1d]))", names.select(metric, &[(topic, "!=\"\"")]))],
        sampling: Sampling::DAY,
        subject: Subject::Topic,
        label: topic.clone(),
        label_setting: "metric_names.topic_label".to_owned(),
    };
    [
        question(topics::BYTES_IN, "increase", &names.bytes_in),
        question(topics::BYTES_OUT, "increase", &names.bytes_out),
        // The sum of equally frequent samples is in proportion to bytes and time, as the bill for them is.
        question(topics::RETAINED, "sum_over_time", log_size),
    ]
}

/// Which labels the series of the last hours have.
pub fn discovery(names: &Names, hours: u32) -> Vec<String> {
    let Names { broker, topic, principal, .. } = names;
    let group = |labels: String, metric: &str| {
        format!("group by ({labels}) (last_over_time({}[{hours}h]))", names.select(metric, &[]))
    };
    let all = format!("{broker}, {topic}, {principal}");
    let mut expressions = vec![group(all.clone(), &names.bytes_in), group(all, &names.bytes_out)];
    expressions.push(group(format!("{broker}, {topic}"), &names.log_size));
    if let Some(own) = &names.by_principal {
        expressions.extend([&own.bytes_in, &own.bytes_out].map(|metric| group(principal.clone(), metric)));
    }
    expressions
}
