//! Cluster costs down to topics.

use super::super::kind::{List, Names, object};
use super::super::number::Int;
use super::super::scalar::{Choice, Flag};
use super::super::section::{Inner, Section};
use super::super::text::Text;
use super::super::{MissingMetrics, TopicAttribution, TopicMethod, suggest};
use super::emitter;

pub(super) fn topic_attribution(s: &mut Section<'_>) -> TopicAttribution {
    const MISSING: Choice<MissingMetrics> =
        Choice(&[("even_split", MissingMetrics::EvenSplit), ("skip", MissingMetrics::Skip)]);
    let enabled = s.default("enabled", Flag, false, "break cluster costs down to topics; needs `metrics`");
    let excluded = ["__consumer_offsets", "_schemas", "_confluent-*"].map(str::to_owned).to_vec();
    let excluded = s.default("exclude_topic_patterns", List(Text), excluded, "globs over topic names to leave out");
    let excluded = excluded.iter().map(|glob| glob.trim().to_owned()).filter(|glob| !glob.is_empty()).collect();
    let missing = "what happens to a cost of which nothing was measured";
    let missing = s.default("missing_metrics_behavior", MISSING, MissingMetrics::EvenSplit, missing);
    let costs = s.default("cost_mapping_overrides", Names(METHODS), vec![], "product type to method");
    let metrics = metric_names(s);
    let emitters = s.default("emitters", List(object(emitter::of_topics)), vec![], "where topic rows are written to");
    emitter::compare(s, "emitters", &emitters);
    if !emitters.is_empty() && !enabled {
        s.warn("emitters", "have nothing to emit while `enabled` is false");
    }
    TopicAttribution {
        enabled,
        exclude_topic_patterns: excluded,
        missing_metrics_behavior: missing,
        cost_mapping_overrides: costs.into_iter().map(|(product, how)| (product.trim().to_uppercase(), how)).collect(),
        metric_name_overrides: metrics.into_iter().collect(),
        retention_days: s.default("retention_days", Int(1..=365), 90, "age in days at which topic rows are deleted"),
        emitters,
    }
}

const METHODS: Choice<TopicMethod> = Choice(&[
    ("bytes_ratio", TopicMethod::BytesRatio),
    ("retained_bytes_ratio", TopicMethod::RetainedBytesRatio),
    ("even_split", TopicMethod::EvenSplit),
    ("disabled", TopicMethod::Disabled),
]);

fn metric_names(s: &mut Section<'_>) -> Vec<(String, String)> {
    const KEYS: [&str; 3] = ["topic_bytes_in", "topic_bytes_out", "topic_retained_bytes"];
    let key = "metric_name_overrides";
    let read =
        s.default(key, Names(Text), vec![], "topic_bytes_in, topic_bytes_out, topic_retained_bytes to a metric's name");
    let mut found = Vec::new();
    for (name, metric) in read {
        let (asked, metric) = (name.trim().to_lowercase(), metric.trim().to_owned());
        if !KEYS.contains(&asked.as_str()) {
            let (problem, remedy) = suggest::unknown("usage", &name, &KEYS);
            s.fault_inside(key, Inner::Key(&name), problem, remedy);
        } else if metric.is_empty() {
            s.fault_inside(key, Inner::Key(&name), "is empty", "write the metric's name, or remove the key");
        }
        found.push((asked, metric));
    }
    found
}
