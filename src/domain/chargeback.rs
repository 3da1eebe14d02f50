//! Who pays which part of a billing line, and why.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Amount, Day};

/// One target's part of one billing line.
///
/// The rows of a line add up to it exactly. Unique in a revision by the line and (`identity_id`, `cost_type`,
/// `allocation_method`, `allocation_detail`). Topic `chargebacks`, key `<tenant>/<day>`; the highest revision
/// of a day that is whole (`count` rows) is the one that holds.
///
/// Borrows its texts: rows are written by the million.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChargebackRow<'a> {
    pub tenant: &'a str,
    pub day: Day,
    pub revision: u32,
    /// Place among the revision's rows, from 0.
    pub ordinal: u32,
    /// How many rows the revision has.
    pub count: u32,
    pub ecosystem: &'a str,
    pub env_id: &'a str,
    pub resource_id: &'a str,
    pub product_category: &'a str,
    pub product_type: &'a str,
    /// An identity, a resource's id or `UNALLOCATED`, as `target` says.
    pub identity_id: &'a str,
    pub target: Target,
    pub cost_type: CostType,
    pub allocation_method: &'a str,
    pub allocation_detail: Option<&'a str>,
    pub amount: Amount,
    pub currency: &'a str,
    /// Which tier of the product type's rule fired, from 0.
    pub tier: u32,
    /// The target's share of the part that was split, from 0 to 1.
    pub share: f64,
    /// The usage the share rests on, where it rests on usage.
    pub usage: Option<f64>,
}

/// What kind of thing a row is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Identity,
    Resource,
    Unallocated,
}

/// Because it was used, or because it is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostType {
    Usage,
    Shared,
}

impl CostType {
    /// `usage` or `shared`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Shared => "shared",
        }
    }
}

impl Target {
    /// `identity`, `resource` or `unallocated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Resource => "resource",
            Self::Unallocated => "unallocated",
        }
    }
}

/// What became of a sealed revision. Topic `allocations`, compacted, key `<tenant>/<day>`.
///
/// Written in the transaction that writes the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayAllocated {
    pub tenant: String,
    pub day: Day,
    pub revision: u32,
    pub ecosystem: String,
    pub outcome: Outcome,
    /// Why it was refused.
    pub reason: Option<String>,
    pub billing_lines: u32,
    /// Rows in `chargebacks`; 0 if refused.
    pub rows: u32,
    /// Rows in `topic-attributions`; `None` in records of before they were counted, when there were none.
    pub topic_rows: Option<u32>,
    /// Sum of the lines, which is the sum of the rows.
    pub amount: Amount,
    /// The digest of the seal it was made from.
    pub facts_digest: String,
    /// Digest of the rows: the same facts give the same digest.
    pub rows_digest: String,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub allocated_at: DateTime<Utc>,
}

/// Whether a revision's rows exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Allocated,
    /// The day broke a law (conservation, counts, unreadable rules) and was set aside; the rows of the
    /// revision before it stay.
    Refused,
}
