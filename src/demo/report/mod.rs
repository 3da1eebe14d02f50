//! Who caused which cost, as tables for a terminal.
//!
//! In: a tenant's chargeback rows, costs by topic and billed total from Postgres ([`read`]). Out: text, at most 100 columns wide
//! ([`render`]), and commands to look further. Absent: arithmetic on rounded numbers; sums are exact and only
//! their printing has two decimals.

mod draw;
mod query;
mod sums;
mod tables;

pub use query::read;
pub use tables::{Further, further, render};

use crate::domain::{Amount, Day};

/// One chargeback row, with the names of who and what.
#[derive(Debug, Clone)]
pub struct Row {
    pub day: Day,
    /// `identity`, `resource` or `unallocated`.
    pub target: String,
    pub identity_id: String,
    /// Known only if the inventory has such an identity.
    pub identity_name: Option<String>,
    pub identity_type: Option<String>,
    /// `usage` or `shared`.
    pub cost_type: String,
    pub resource_id: String,
    pub resource_name: Option<String>,
    pub resource_type: Option<String>,
    pub environment: Option<String>,
    pub product_type: String,
    pub detail: Option<String>,
    pub amount: Amount,
}

/// A topic with its part of what was billed on its cluster.
#[derive(Debug, Clone)]
pub struct TopicCost {
    pub topic: String,
    pub cluster: String,
    pub environment: Option<String>,
    /// `KAFKA_STORAGE`, …
    pub product_type: String,
    pub amount: Amount,
}

/// A tenant's rows, and the bill they must add up to.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What the bill is, for people.
    pub title: &'static str,
    pub rows: Vec<Row>,
    /// By topic and product type, in no particular order; none where costs are not broken down to topics.
    pub topics: Vec<TopicCost>,
    pub billed: Amount,
    pub billing_lines: u64,
    pub currency: String,
}
