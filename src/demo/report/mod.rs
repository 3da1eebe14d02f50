//! Who caused which cost, as tables for a terminal.
//!
//! In: a tenant's chargeback rows and billed total from Postgres ([`read`]). Out: text, at most 100 columns wide
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

/// A tenant's rows, and the bill they must add up to.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub rows: Vec<Row>,
    pub billed: Amount,
    pub billing_lines: u64,
    pub currency: String,
}
