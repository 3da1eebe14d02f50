//! What a provider charged.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Amount, Day};

/// How the ids of billed "resources" begin that the provider did not name.
pub const UNRESOLVED: &str = "unresolved:";

/// One line of a tenant's day: what was charged, for what, in which revision of the day.
///
/// Within a revision a line is unique by (`env_id`, `resource_id`, `product_category`, `product_type`,
/// `currency`): price tiers are already added up. Topic `billing`, key `<tenant>/<day>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BillingLine {
    pub tenant: String,
    pub day: Day,
    pub revision: u32,
    /// Place among the revision's billing lines, from 0.
    pub ordinal: u32,
    /// How many billing lines the revision has.
    pub count: u32,
    /// Which kind of source, for example `confluent_cloud`.
    pub ecosystem: String,
    /// Environment, or empty where there is none.
    pub env_id: String,
    /// The billed resource, or `unresolved:<category>/<type>` where the provider names none.
    pub resource_id: String,
    pub resource_name: Option<String>,
    pub product_category: String,
    pub product_type: String,
    pub quantity: Amount,
    /// Price of one unit; 0 where several price tiers were added up.
    pub unit_price: Amount,
    /// What is allocated: after discounts, of any sign.
    pub amount: Amount,
    /// Before discounts, where the provider says so.
    pub original_amount: Option<Amount>,
    /// ISO 4217.
    pub currency: String,
    /// `daily`, `hourly`, `monthly` or a configured name.
    pub granularity: String,
    /// The charged interval `[period_start, period_end)`, cut to the day.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub period_start: DateTime<Utc>,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub period_end: DateTime<Utc>,
    /// The provider's rows behind the line, each as the JSON text it was received as.
    pub evidence: Vec<String>,
}
