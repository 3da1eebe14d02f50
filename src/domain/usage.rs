//! How much was used, summed over a whole day.

use serde::{Deserialize, Serialize};

use super::Day;

/// Usage of one metric by one subject on one resource over the day.
///
/// Topic `metrics`, key `<tenant>/<day>`; unique in a revision by (`resource_id`, `metric`, `subject`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    pub tenant: String,
    pub day: Day,
    pub revision: u32,
    pub ordinal: u32,
    pub count: u32,
    pub ecosystem: String,
    /// The resource it was used on.
    pub resource_id: String,
    /// Name by which rules ask for it, for example `bytes_in`.
    pub metric: String,
    pub subject_type: Subject,
    /// Id of the principal, topic or statement.
    pub subject: String,
    /// A weight, never money: finite; any unit, the same for all subjects of a metric.
    pub value: f64,
}

/// The metric under which rules find the usage of a product type of a measured system.
pub fn metric_of_product(product_type: &str) -> String {
    format!("alloc_{product_type}")
}

/// A [`MetricValue`] that borrows its texts from the bytes it was read from: usage comes by the million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricValueRef<'a> {
    pub tenant: &'a str,
    pub day: Day,
    pub revision: u32,
    pub ordinal: u32,
    pub count: u32,
    pub ecosystem: &'a str,
    pub resource_id: &'a str,
    pub metric: &'a str,
    pub subject_type: Subject,
    pub subject: &'a str,
    pub value: f64,
}

/// What usage is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Principal,
    Topic,
    Statement,
}
