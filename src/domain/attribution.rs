//! Which Kafka topic causes which part of its cluster's bill.

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
    /// A topic of the cluster, or `__UNATTRIBUTED__`.
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
