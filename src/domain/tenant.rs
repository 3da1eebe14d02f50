//! What happens to a tenant as a whole.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An event of a tenant. Topic `tenants`, compacted, key: the tenant; the last one holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantEvent {
    pub tenant: String,
    pub kind: TenantEventKind,
    /// The highest revision that any of its days has had. Whoever reads the log passes over revisions up to it; a tenant
    /// that comes back counts on from there, so nobody who read the old ones takes a new one for stale.
    pub last_revision: u32,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantEventKind {
    /// Everything of it is to be treated as if it had never been.
    Forgotten,
}
