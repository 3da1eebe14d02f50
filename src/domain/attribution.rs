//! Which Kafka topic causes which part of its cluster's bill, and the rules for it.
//!
//! In: nothing. Out: the row that says so, rules as data that travel in the seal, names of topics as resources.
//! Absent: vendors, and the algorithm, which is in `allocate::topics`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Amount, Day};

/// One topic's part of one billing line of its cluster.
///
/// The rows of a line add up to it exactly. Unique in a revision by the line and `topic_name`. Topic
/// `topic-attributions`, key `<tenant>/<day>`; the highest revision of a day that is whole holds.
///
/// Borrows its texts: rows are written by the million.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicAttributionRow<'a> {
    pub tenant: &'a str,
    pub day: Day,
    pub revision: u32,
    /// Place among the revision's rows, from 0.
    pub ordinal: u32,
    /// How many rows the revision has.
    pub count: u32,
    pub ecosystem: &'a str,
    pub env_id: &'a str,
    pub cluster_resource_id: &'a str,
    /// A topic of the cluster, or [`UNATTRIBUTED`].
    pub topic_name: &'a str,
    pub product_category: &'a str,
    pub product_type: &'a str,
    pub attribution_method: &'a str,
    pub amount: Amount,
    pub currency: &'a str,
    /// The topic's share of the line, from 0 to 1.
    pub share: f64,
    /// The usage the share rests on, where it rests on usage.
    pub usage: Option<f64>,
}

/// The topic of a line whose topics could not be measured.
pub const UNATTRIBUTED: &str = "__UNATTRIBUTED__";
/// The method of its row.
pub const FAILED: &str = "ATTRIBUTION_FAILED";
/// The method of rows that share a line evenly.
pub const EVEN_SPLIT: &str = "even_split";
/// The `resource_type` of a topic in the inventory; its parent is the cluster, its display name the topic's name.
pub const TOPIC: &str = "topic";

/// The id of a topic as a resource.
pub fn topic_id(cluster: &str, name: &str) -> String {
    format!("{cluster}:topic:{name}")
}

/// How a seal names the topics of a cluster among the resources whose usage could not be fetched.
pub fn topics_of(cluster: &str) -> String {
    topic_id(cluster, "*")
}

/// Is it such a name?
pub fn is_topics_of(id: &str) -> bool {
    id.ends_with(":topic:*")
}

/// How lines of Kafka clusters are broken down to topics; a part of a [`RuleBook`](super::RuleBook).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRules {
    /// How the ids of clusters begin; lines of other resources take no part. May be empty.
    pub cluster_prefix: String,
    /// Usage by topic to ask for about each cluster; whoever is in one of them is a topic of the day.
    pub metrics: Vec<String>,
    /// By product type; types that are not here take no part.
    pub products: BTreeMap<String, TopicSplit>,
    /// Names that take no part: `*` is any text, `?` any character, `[a-c]` and `[!a-c]` one of or none of.
    pub excluded: Vec<String>,
    pub without_usage: WithoutUsage,
}

/// How the lines of a product type are split over the topics of their cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSplit {
    /// As rows tell it.
    pub method: String,
    /// Of the rules' metrics those that are added up to weigh a topic; none: every topic weighs the same.
    pub metrics: Vec<String>,
}

/// What becomes of a line that is split by usage when no topic has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutUsage {
    /// The topics that are known share it evenly.
    EvenSplit,
    /// It has no rows.
    Skip,
}

impl TopicRules {
    /// Is a line of this kind broken down to topics?
    pub fn covers(&self, resource_id: &str, product_type: &str) -> bool {
        self.is_cluster(resource_id) && self.products.contains_key(product_type)
    }

    /// May the resource be a cluster? What a provider left without an id is none.
    pub fn is_cluster(&self, resource_id: &str) -> bool {
        resource_id.starts_with(&self.cluster_prefix) && !resource_id.starts_with(super::billing::UNRESOLVED)
    }
}
